package host

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
)

// bound cuts every text and list of m, and of the messages within, to the
// bounds that agent.proto names.
func bound(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.IsList() {
			list := v.List()
			list.Truncate(min(list.Len(), option(f, orielv1.E_MaxItems, orielv1.DefaultMaxItems)))
			for i := range list.Len() {
				switch f.Kind() {
				case protoreflect.StringKind:
					list.Set(i, text(f, list.Get(i)))
				case protoreflect.MessageKind:
					bound(list.Get(i).Message())
				}
			}
			return true
		}
		switch f.Kind() {
		case protoreflect.StringKind:
			m.Set(f, text(f, v))
		case protoreflect.MessageKind:
			bound(v.Message())
		}
		return true
	})
}

func text(f protoreflect.FieldDescriptor, v protoreflect.Value) protoreflect.Value {
	return protoreflect.ValueOfString(sanitize.Line(v.String(), option(f, orielv1.E_MaxLen, orielv1.DefaultMaxLen)))
}

func option(f protoreflect.FieldDescriptor, x protoreflect.ExtensionType, otherwise int) int {
	if o := f.Options(); proto.HasExtension(o, x) {
		return int(proto.GetExtension(o, x).(uint32))
	}
	return otherwise
}
