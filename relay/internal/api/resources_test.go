package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	orielv1 "oriel/protocol/oriel/v1"
)

var update = flag.Bool("update", false, "write what the API says of messages into testdata")

// fill gives each field of m a value of its own: text its name, a number its number, a
// list one item.
func fill(m protoreflect.Message) {
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		var v protoreflect.Value
		switch n := int64(f.Number()); f.Kind() {
		case protoreflect.StringKind:
			v = protoreflect.ValueOfString("the " + string(f.Name()))
		case protoreflect.BoolKind:
			v = protoreflect.ValueOfBool(true)
		case protoreflect.Int64Kind:
			v = protoreflect.ValueOfInt64(1_700_000_000_000 + n)
		case protoreflect.Uint32Kind:
			v = protoreflect.ValueOfUint32(uint32(n))
		case protoreflect.Uint64Kind:
			v = protoreflect.ValueOfUint64(1<<60 + uint64(n))
		case protoreflect.EnumKind:
			v = protoreflect.ValueOfEnum(2)
		default:
			if f.IsList() {
				fill(m.Mutable(f).List().AppendMutable().Message())
			} else {
				fill(m.Mutable(f).Message())
			}
			continue
		}
		if f.IsList() {
			m.Mutable(f).List().Append(v)
		} else {
			m.Set(f, v)
		}
	}
}

// Rule: a program reads of computers and inventories what it always read, field by field:
// where all is known, and where nothing is.
func TestResourcesAsJSON(t *testing.T) {
	computer, inventory := &orielv1.Computer{}, &orielv1.Inventory{}
	fill(computer.ProtoReflect())
	fill(inventory.ProtoReflect())
	if proto.Size(computer) == 0 || proto.Size(inventory) == 0 {
		t.Fatal("nothing filled in")
	}
	for name, v := range map[string]any{
		"computer": computerOf(computer), "computer-empty": computerOf(&orielv1.Computer{Status: orielv1.Computer_STATUS_ONLINE}),
		"inventory": inventoryOf(inventory), "inventory-empty": inventoryOf(&orielv1.Inventory{}),
	} {
		b, err := json.Marshal(v)
		var plain any
		if err == nil {
			d := json.NewDecoder(bytes.NewReader(b))
			d.UseNumber()
			err = d.Decode(&plain)
		}
		if err == nil {
			b, err = json.MarshalIndent(plain, "", "  ")
		}
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(append(b, '\n'), want) {
			t.Errorf("%s: %s\nwant %s (%v)", name, b, want, err)
		}
	}
}
