// Package orielv1 is the language between agent, relay and console: the
// messages in the .proto files beside this one, and the one way to decode them.
//
// # Changes
//
// Each change of a .proto adds a dated line to HISTORY, beside this file, which says how.
// history_test.go holds the .proto files to it.
//
// A message from a newer side is understood by an older one: unknown fields
// are dropped, so that no bound is got round by them and nobody passes on what
// was not checked; an unknown ask is answered with CODE_UNIMPLEMENTED. A change
// that an older side cannot live with raises Version.
package orielv1

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Version of the protocol that this side speaks.
const Version = 1

// Bounds of fields that name none of their own (bounds.proto).
const (
	DefaultMaxLen   = 256
	DefaultMaxItems = 64
)

// MaxMessage is the largest encoded message, in bytes, that either side reads.
const MaxMessage = 4 << 20

// ErrBounds is wrapped by the errors of Decode and Check for a message that
// parses but breaks a bound.
var ErrBounds = errors.New("out of bounds")

// MaxPreviewSide is the longest side of a preview, in pixels, and MaxPreviewBytes
// the size of its JPEG: that of Preview.data on the wire.
const (
	MaxPreviewSide  = 640
	MaxPreviewBytes = 40_960
)

// Decode parses b into m, without the fields that this side does not know, and
// checks every bound. It is the only door for bytes that come from a network.
func Decode(b []byte, m proto.Message) error {
	if len(b) > MaxMessage {
		return fmt.Errorf("message of %d bytes: %w", len(b), ErrBounds)
	}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, m); err != nil {
		return fmt.Errorf("decode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return Check(m)
}

// Encode is proto.Marshal for messages that keep their bounds; one that does
// not is our own fault and refused here rather than at the other side.
func Encode(m proto.Message) ([]byte, error) {
	if err := Check(m); err != nil {
		return nil, err
	}
	b, err := proto.Marshal(m)
	if err == nil && len(b) > MaxMessage {
		return nil, fmt.Errorf("%s of %d bytes: %w", m.ProtoReflect().Descriptor().Name(), len(b), ErrBounds)
	}
	return b, err
}

// Check reports the first field of m, or of a message within it, that is
// longer than its bound.
func Check(m proto.Message) error {
	return check(m.ProtoReflect(), 0)
}

const maxDepth = 16

func check(m protoreflect.Message, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: nested too deep: %w", m.Descriptor().Name(), ErrBounds)
	}
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		err = checkField(f, v, depth)
		return err == nil
	})
	return err
}

func checkField(f protoreflect.FieldDescriptor, v protoreflect.Value, depth int) error {
	if !f.IsList() {
		return checkValue(f, v, depth)
	}
	list := v.List()
	if limit := bound(f, E_MaxItems.TypeDescriptor(), DefaultMaxItems); list.Len() > limit {
		return fmt.Errorf("%s has %d items, at most %d: %w", f.FullName(), list.Len(), limit, ErrBounds)
	}
	for i := range list.Len() {
		if err := checkValue(f, list.Get(i), depth); err != nil {
			return err
		}
	}
	return nil
}

func checkValue(f protoreflect.FieldDescriptor, v protoreflect.Value, depth int) error {
	n := 0
	switch f.Kind() {
	case protoreflect.MessageKind:
		return check(v.Message(), depth+1)
	case protoreflect.StringKind:
		n = len(v.String())
	case protoreflect.BytesKind:
		n = len(v.Bytes())
	default:
		return nil
	}
	if limit := bound(f, E_MaxLen.TypeDescriptor(), DefaultMaxLen); n > limit {
		return fmt.Errorf("%s has %d bytes, at most %d: %w", f.FullName(), n, limit, ErrBounds)
	}
	return nil
}

func bound(f protoreflect.FieldDescriptor, x protoreflect.ExtensionTypeDescriptor, otherwise int) int {
	o := f.Options().ProtoReflect()
	if o.IsValid() && o.Has(x) {
		return int(o.Get(x).Uint())
	}
	return otherwise
}
