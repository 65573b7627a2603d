package orielv1

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
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

// unknown is field 999 with n bytes, from a newer side or a hostile one.
func unknown(n int) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, 999, protowire.BytesType), make([]byte, n))
}

// Rule: bounds hold for unknown fields, too: none is kept, at any depth, so none
// is passed on.
func TestUnknownFieldsAreDropped(t *testing.T) {
	candidate := &Candidate{Candidate: "c"}
	operator := &Operator{Id: "o"}
	item := &IceServer{Urls: []string{"stun:x"}}
	for _, m := range []proto.Message{candidate, operator, item} {
		m.ProtoReflect().SetUnknown(unknown(900_000))
	}
	for _, dirty := range []proto.Message{
		candidate,
		&FromAgent{Body: &FromAgent_Candidate{Candidate: candidate}},
		&BusMessage{Body: &BusMessage_Session{Session: &BusSession{Body: &BusSession_Candidate{Candidate: candidate}}}},
		&Grant{Operator: operator},
		&Offer{IceServers: []*IceServer{item, item}},
	} {
		b, err := proto.Marshal(dirty)
		if err != nil || len(b) < 900_000 {
			t.Fatal(len(b), err)
		}
		m := dirty.ProtoReflect().New().Interface()
		if err := Decode(b, m); err != nil {
			t.Errorf("%s: %v", dirty.ProtoReflect().Descriptor().Name(), err)
		}
		if again, err := Encode(m); err != nil || len(again) > 100 {
			t.Errorf("%s: %d bytes are passed on, %v", dirty.ProtoReflect().Descriptor().Name(), len(again), err)
		}
	}
}

// Rule: the whole size is bounded where a message is made as where it is read.
func TestWholeSize(t *testing.T) {
	m := &Ping{Id: 7}
	m.ProtoReflect().SetUnknown(unknown(MaxMessage))
	if b, err := Encode(m); !errors.Is(err, ErrBounds) {
		t.Errorf("encoded as %d bytes, %v", len(b), err)
	}
	if err := Decode(unknown(MaxMessage), &Ping{}); !errors.Is(err, ErrBounds) {
		t.Errorf("decoded: %v", err)
	}
}

// Rule: the limits of a preview are one constant, that of the wire.
func TestPreviewLimitIsTheWires(t *testing.T) {
	field := (&Preview{}).ProtoReflect().Descriptor().Fields().ByName("data")
	if n := bound(field, E_MaxLen.TypeDescriptor(), DefaultMaxLen); n != MaxPreviewBytes {
		t.Errorf("the wire takes %d bytes of a preview, not %d", n, MaxPreviewBytes)
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
