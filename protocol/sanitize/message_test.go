package sanitize

import (
	"testing"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
)

func FuzzMessage(f *testing.F) {
	b, err := proto.Marshal(&orielv1.Inventory{General: &orielv1.General{HostName: "a\x00b", Users: []string{"c\u202ed"}},
		Hardware: &orielv1.Hardware{Software: []*orielv1.Software{{Name: "e\nf"}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		i := &orielv1.Inventory{}
		if orielv1.Decode(b, i) != nil {
			return
		}
		Message(i.ProtoReflect())
		if err := orielv1.Check(i); err != nil {
			t.Fatal("it kept its bounds before:", err)
		}
		for _, s := range append(i.GetGeneral().GetUsers(), i.GetGeneral().GetHostName()) {
			if Line(s, len(s)) != s {
				t.Fatalf("%q is not plain", s)
			}
		}
	})
}
