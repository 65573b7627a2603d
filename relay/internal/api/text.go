package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"oriel/protocol/sanitize"
	"oriel/relay/internal/fault"
)

// maxDepth of a body; what the API takes has three.
const maxDepth = 32

// strict is JSON as the API takes it: text in UTF-8, not deeper than maxDepth, and
// every name of an object once and with a value, so that no two readers understand it
// differently: what is not to change is left out, not null. An error about one field
// begins with its JSON pointer, which the library passes on.
func strict(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errors.New("write text in UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := scan(d, "#", 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("write one value and nothing after it")
	}
	return json.Unmarshal(data, v)
}

// scan reads one value of d, to which a JSON pointer leads.
func scan(d *json.Decoder, pointer string, depth int) error {
	begin, err := d.Token()
	if err != nil {
		return err
	}
	if begin == nil && depth > 0 {
		return errors.New(pointer + ": write a value, or leave this out")
	}
	if _, opens := begin.(json.Delim); !opens {
		return nil
	}
	if depth == maxDepth {
		return fmt.Errorf("nothing that is asked for lies deeper than %d levels", maxDepth)
	}
	names := map[string]bool{}
	for i := 0; d.More(); i++ {
		at := fmt.Sprint(pointer, "/", i)
		if begin == json.Delim('{') {
			token, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := token.(string) // the decoder takes nothing else for a name
			at = pointer + "/" + escapePointer(sanitize.Line(name, 64))
			if names[name] {
				return errors.New(at + ": write this once")
			}
			names[name] = true
		}
		if err := scan(d, at, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// escapePointer is one step of a JSON pointer.
func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", ": ", ":").Replace(name)
}

// readable holds all text of an operation's input to what can be shown and kept,
// whatever it is for: no database takes NUL, and no name may turn the text around it.
// Passwords are neither shown nor kept; they may be anything. Errors: fields and parameters.
func readable(in any) error {
	return errors.Join(unreadable(reflect.ValueOf(in), fieldOf{})...)
}

// fieldOf an input: where a value came from.
type fieldOf struct {
	path      string // with slashes
	parameter bool
}

func unreadable(v reflect.Value, at fieldOf) (wrong []error) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			wrong = unreadable(v.Elem(), at)
		}
	case reflect.String:
		const sentence = "this has characters that cannot be shown; write it without them"
		switch {
		case sanitize.Readable(v.String()):
		case at.parameter:
			wrong = []error{fault.Parameter(at.path, sentence)}
		default:
			wrong = []error{fault.Field(at.path, sentence)}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return nil
		}
		for i := range v.Len() {
			one := at // a parameter is named as a whole
			if !at.parameter {
				one = at.step(fmt.Sprint(i))
			}
			wrong = append(wrong, unreadable(v.Index(i), one)...)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			below := at.step(escapePointer(sanitize.Line(key.String(), 64)))
			wrong = append(append(wrong, unreadable(key, below)...), unreadable(v.MapIndex(key), below)...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.IsExported() && f.Tag.Get("format") != "password" {
				wrong = append(wrong, unreadable(v.Field(i), at.of(f))...)
			}
		}
	}
	return wrong
}

// of a field of a struct.
func (at fieldOf) of(f reflect.StructField) fieldOf {
	for _, in := range []string{"query", "path", "header"} {
		if name, _, _ := strings.Cut(f.Tag.Get(in), ","); name != "" {
			return fieldOf{name, true}
		}
	}
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return at.step(name)
	}
	return at // the body itself, or what it embeds
}

func (at fieldOf) step(name string) fieldOf {
	if at.path != "" {
		name = at.path + "/" + name
	}
	return fieldOf{name, at.parameter}
}
