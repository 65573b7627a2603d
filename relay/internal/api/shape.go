package api

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"google.golang.org/protobuf/reflect/protoreflect"

	orielv1 "oriel/protocol/oriel/v1"
)

// shape is how a message of the wire stands in the API. A resource is described
// once, in its .proto, and a field that is added there is in the API by that.
//
// A field keeps its name. An int64 that ends in _at is Unix milliseconds and becomes
// a time, absent where zero; an enumeration becomes its word, empty where it says
// nothing; a message within is absent where unset, and has a shape of its own. A list is
// never null.
type shape struct {
	name    string // in the description
	of      protoreflect.MessageDescriptor
	renamed map[protoreflect.Name]string // fields with another name here
	without []protoreflect.Name          // fields that are not in the API
	always  []protoreflect.Name          // fields that are never absent, though others of their kind may be
	absent  []protoreflect.Name          // fields that are absent where they say nothing
	times   []protoreflect.Name          // times whose names do not end in _at
	words   map[protoreflect.Name]string // enumerations whose words are described, with that of zero; empty: it does not come
	beside  map[protoreflect.Name]*shape // messages whose fields stand beside the others
	sparse  bool                         // numbers that are zero are absent
	docs    map[protoreflect.Name]string
	within  map[protoreflect.Name]*shape
}

// schema describes the shape to r, and refers to it.
func (s *shape) schema(r huma.Registry) *huma.Schema {
	ref := &huma.Schema{Ref: "#/components/schemas/" + s.name}
	if r.Map()[s.name] != nil {
		return ref
	}
	all := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{}, AdditionalProperties: false}
	r.Map()[s.name] = all
	s.describe(r, all)
	all.PrecomputeMessages()
	return ref
}

// describe adds the fields to all.
func (s *shape) describe(r huma.Registry, all *huma.Schema) {
	for f, name := range s.fields {
		if beside := s.beside[f.Name()]; beside != nil {
			beside.describe(r, all)
			continue
		}
		one := s.field(r, f)
		one.Description = s.docs[f.Name()]
		all.Properties[name] = one
		if !s.optional(f) {
			all.Required = append(all.Required, name)
		}
	}
}

func (s *shape) field(r huma.Registry, f protoreflect.FieldDescriptor) *huma.Schema {
	if within := s.within[f.Name()]; within != nil {
		if f.IsList() {
			return &huma.Schema{Type: huma.TypeArray, Items: within.schema(r)}
		}
		return within.schema(r)
	}
	t := s.like(f)
	if f.IsList() {
		t = reflect.SliceOf(t)
	}
	one := *r.Schema(t, true, "")
	one.Nullable = false
	if zero, listed := s.words[f.Name()]; listed {
		for i := range f.Enum().Values().Len() {
			word := orielv1.WordOf(f.Enum(), f.Enum().Values().Get(i).Number())
			if word == "" {
				word = zero
			}
			if word != "" {
				one.Enum = append(one.Enum, word)
			}
		}
	}
	return &one
}

// like is the type that huma describes as one value of f.
func (s *shape) like(f protoreflect.FieldDescriptor) reflect.Type {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return reflect.TypeFor[bool]()
	case protoreflect.Int64Kind:
		if s.isTime(f) {
			return reflect.TypeFor[time.Time]()
		}
		return reflect.TypeFor[int64]()
	case protoreflect.Uint32Kind:
		return reflect.TypeFor[uint32]()
	case protoreflect.Uint64Kind:
		return reflect.TypeFor[uint64]()
	case protoreflect.StringKind, protoreflect.EnumKind:
		return reflect.TypeFor[string]()
	}
	panic(f.FullName() + " is of a kind that has no shape") // of the description alone, when it is made
}

// value is m in the shape, to be encoded as JSON.
func (s *shape) value(m protoreflect.Message) map[string]any {
	all := make(map[string]any)
	s.fill(all, m)
	return all
}

func (s *shape) fill(all map[string]any, m protoreflect.Message) {
	for f, name := range s.fields {
		v := m.Get(f)
		if beside := s.beside[f.Name()]; beside != nil {
			beside.fill(all, v.Message())
			continue
		}
		if !m.Has(f) && s.optional(f) {
			continue
		}
		if !f.IsList() {
			all[name] = s.one(f, v)
			continue
		}
		list := make([]any, v.List().Len()) // never null
		for i := range list {
			list[i] = s.one(f, v.List().Get(i))
		}
		all[name] = list
	}
}

func (s *shape) one(f protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch {
	case s.within[f.Name()] != nil:
		return s.within[f.Name()].value(v.Message())
	case s.isTime(f):
		return when(v.Int())
	case f.Kind() == protoreflect.EnumKind:
		if word := orielv1.WordOf(f.Enum(), v.Enum()); word != "" {
			return word
		}
		return s.words[f.Name()]
	}
	return v.Interface()
}

func (s *shape) encode(m protoreflect.Message) ([]byte, error) { return json.Marshal(s.value(m)) }

// fields are those of the shape, with their names here, in the order of the .proto.
func (s *shape) fields(yield func(protoreflect.FieldDescriptor, string) bool) {
	for i := range s.of.Fields().Len() {
		f := s.of.Fields().Get(i)
		if slices.Contains(s.without, f.Name()) {
			continue
		}
		name := string(f.Name())
		if other := s.renamed[f.Name()]; other != "" {
			name = other
		}
		if !yield(f, name) {
			return
		}
	}
}

// optional reports whether a field may be absent.
func (s *shape) optional(f protoreflect.FieldDescriptor) bool {
	if slices.Contains(s.always, f.Name()) {
		return false
	}
	return s.isTime(f) || slices.Contains(s.absent, f.Name()) || s.within[f.Name()] != nil && !f.IsList() || s.sparse && f.Kind() == protoreflect.Uint32Kind
}

func (s *shape) isTime(f protoreflect.FieldDescriptor) bool {
	return f.Kind() == protoreflect.Int64Kind && (strings.HasSuffix(string(f.Name()), "_at") || slices.Contains(s.times, f.Name()))
}
