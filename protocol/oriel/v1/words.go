package orielv1

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Enum is an enumeration of this language.
type Enum interface {
	~int32
	protoreflect.Enum
}

// Word is e as databases and the API write it: its name in the .proto without the
// prefix, in lower case. Zero, and what this side does not know, is empty.
func Word(e protoreflect.Enum) string { return WordOf(e.Descriptor(), e.Number()) }

// WordOf is Word of a number.
func WordOf(d protoreflect.EnumDescriptor, n protoreflect.EnumNumber) string {
	v := d.Values().ByNumber(n)
	if v == nil || v.Number() == 0 {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix(d)))
}

// FromWord is what Word wrote; zero for a word that this side does not know.
func FromWord[E Enum](word string) (e E) { return E(NumberOf(e.Descriptor(), word)) }

// NumberOf is the number that WordOf wrote.
func NumberOf(d protoreflect.EnumDescriptor, word string) protoreflect.EnumNumber {
	v := d.Values().ByName(protoreflect.Name(prefix(d) + strings.ToUpper(word)))
	if v == nil {
		return 0
	}
	return v.Number()
}

// Words are several, with spaces between; those without a word are left out.
func Words[E Enum](all []E) string {
	var words []string
	for _, e := range all {
		if word := Word(e); word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// FromWords are what Words wrote, without those that this side does not know.
func FromWords[E Enum](words string) (all []E) {
	for word := range strings.FieldsSeq(words) {
		if e := FromWord[E](word); e != 0 {
			all = append(all, e)
		}
	}
	return all
}

// prefix of an enumeration's names, as its zero has it.
func prefix(d protoreflect.EnumDescriptor) string {
	return strings.TrimSuffix(string(d.Values().ByNumber(0).Name()), "UNSPECIFIED")
}
