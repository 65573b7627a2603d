package orielv1

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

func TestCheck(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	many := make([]string, 257)
	for _, tc := range []struct {
		name string
		m    proto.Message
		ok   bool
	}{
		{"empty", &FromAgent{}, true},
		{"at its own bound", &Candidate{Candidate: long(1024)}, true},
		{"over its own bound", &Candidate{Candidate: long(1025)}, false},
		{"at the default", &Processor{Model: long(256)}, true},
		{"nested over", &FromAgent{Body: &FromAgent_Inventory{Inventory: &Inventory{Hardware: &Hardware{
			Processors: []*Processor{{Model: long(257)}}}}}}, false},
		{"items over", &Hello{Sessions: many}, false},
		{"an item over", &General{Users: []string{"a", long(257)}}, false},
		{"bytes over", &Preview{Data: make([]byte, 40961)}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := Check(tc.m)
			if (err == nil) != tc.ok {
				t.Fatalf("got %v", err)
			}
			if err != nil && !errors.Is(err, ErrBounds) {
				t.Fatalf("not ErrBounds: %v", err)
			}
			_, err = Encode(tc.m)
			if (err == nil) != tc.ok {
				t.Fatalf("encode: %v", err)
			}
			b, err := proto.Marshal(tc.m)
			if err != nil {
				t.Fatal(err)
			}
			if err := Decode(b, tc.m.ProtoReflect().New().Interface()); (err == nil) != tc.ok {
				t.Fatalf("decode: %v", err)
			}
		})
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	b, err := proto.Marshal(&Ping{Id: 7})
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, 0xba, 0x3e, 3, 'n', 'e', 'w') // field 999, from a newer side
	m := &Ping{}
	if err := Decode(b, m); err != nil || m.GetId() != 7 {
		t.Fatalf("got %v, %v", m, err)
	}
}

// decoded are all messages that are read from a network.
var decoded = map[string]func() proto.Message{
	"ToAgent":     func() proto.Message { return &ToAgent{} },
	"FromAgent":   func() proto.Message { return &FromAgent{} },
	"ToConsole":   func() proto.Message { return &ToConsole{} },
	"FromConsole": func() proto.Message { return &FromConsole{} },
	"PointerMove": func() proto.Message { return &PointerMove{} },
	"Again":       func() proto.Message { return &Again{} },
	"ToDesktop":   func() proto.Message { return &ToDesktop{} },
	"FromDesktop": func() proto.Message { return &FromDesktop{} },
	"ToHelper":    func() proto.Message { return &ToHelper{} },
	"FromHelper":  func() proto.Message { return &FromHelper{} },
	"Grant":       func() proto.Message { return &Grant{} },
}

// FuzzDecode: whatever arrives, Decode either refuses it or gives a message
// that keeps every bound and survives a round trip.
func FuzzDecode(f *testing.F) {
	for _, g := range goldenFiles(f) {
		f.Add(g)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, empty := range decoded {
			m := empty()
			if Decode(b, m) != nil {
				continue
			}
			again, err := Encode(m)
			if err != nil {
				t.Fatalf("%s: decoded but not encoded: %v", name, err)
			}
			back := empty()
			if err := Decode(again, back); err != nil || !proto.Equal(m, back) {
				t.Fatalf("%s: round trip: %v", name, err)
			}
		}
	})
}
