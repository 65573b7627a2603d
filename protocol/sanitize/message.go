package sanitize

import "google.golang.org/protobuf/reflect/protoreflect"

// Message makes every text of a message plain, in place. Nothing gets longer, so
// that it keeps the bounds it was decoded with.
func Message(m protoreflect.Message) {
	m.SetUnknown(nil)
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsList():
			list := v.List()
			for i := range list.Len() {
				switch fd.Kind() {
				case protoreflect.StringKind:
					text := list.Get(i).String()
					list.Set(i, protoreflect.ValueOfString(Line(text, len(text))))
				case protoreflect.MessageKind:
					Message(list.Get(i).Message())
				}
			}
		case fd.Kind() == protoreflect.StringKind:
			m.Set(fd, protoreflect.ValueOfString(Line(v.String(), len(v.String()))))
		case fd.Kind() == protoreflect.MessageKind:
			Message(v.Message())
		}
		return true
	})
}
