package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// schema of the description, as far as nonsense is made of it.
type schema struct {
	Ref             string `json:"$ref"`
	Type            any
	Format          string
	ContentEncoding string
	Pattern         string
	Enum            []any
	Properties      map[string]*schema
	Items           *schema
	Minimum         *float64
	Maximum         *float64
	MinLength       *int
	MaxLength       *int
}

// is reports whether a value of that type may stand here.
func (s *schema) is(kind string) bool {
	switch t := s.Type.(type) {
	case string:
		return t == kind
	case []any:
		return slices.Contains(t, any(kind))
	}
	return false
}

// nonsense is one request that is to be refused.
type nonsense struct {
	what        string
	path        string // empty: as it should be
	query       string
	header      map[string]string
	body        *string // nil: as it should be
	contentType string  // empty: as it should be
	at          string  // what the problem has to name: a pointer or a parameter; empty: nothing
	harmless    bool    // may be answered, too: it only asks
}

// large stands in a body for 10 MB of text.
const large = "@large@"

var megabytes = strings.Repeat("a", 10<<20)

// ofQuery is nonsense for a parameter.
func ofQuery(name string, s *schema) (all []nonsense) {
	if s.is("array") { // one value of it
		s = s.Items
	}
	add := func(what, value, at string) {
		all = append(all, nonsense{what: name + " is " + what, query: name + "=" + value, at: at, harmless: at == ""})
	}
	add("NUL", "%00", name)
	add("a control character", "a%1b%5b2J", name)
	add("bidirectional", "%E2%80%AEexe", name)
	add("no UTF-8", "%ff%fe", name)
	add("SQL", "%27%20OR%201=1--", map[bool]string{true: "", false: name}[s.is("string") && s.Enum == nil])
	add("no escape", "%zz", "")
	if s.MaxLength != nil {
		add("too long", strings.Repeat("a", *s.MaxLength+1), name)
	}
	if s.Enum != nil {
		add("none of its values", "nonsense", name)
	}
	if !s.is("string") {
		for _, value := range []string{"NaN", "1e999", "0x10", "-1", "1.5", "null", strings.Repeat("9", 40)} {
			add(value, value, name)
		}
	}
	return all
}

// ofHeader is nonsense for a parameter in a header.
func ofHeader(name string, s *schema) (all []nonsense) {
	values := map[string]string{"a control character": "a\x1b[2J", "bidirectional": "\u202eexe", "no UTF-8": "\xff\xfe"}
	if s.MaxLength != nil {
		values["too long"] = strings.Repeat("a", *s.MaxLength+1)
	}
	for what, value := range values {
		all = append(all, nonsense{what: name + " is " + what, header: map[string]string{name: value}, at: name})
	}
	return all
}

// ofPath is nonsense in the place of a name in the path.
func ofPath(path, name string) (all []nonsense) {
	for what, value := range map[string]string{
		"NUL": "%00", "no UTF-8": "%ff%fe", "bidirectional": "%E2%80%AEexe", "a control character": "a%0ab", "SQL": "%27%20OR%201=1--",
		"another path": "..%2f..%2fetc%2fpasswd", "too long": strings.Repeat("a", 65), "far too long": strings.Repeat("a", 8<<10),
	} {
		if name == "key" && (what == "SQL" || what == "too long") {
			continue // what somebody is named by may be such a text
		}
		all = append(all, nonsense{what: name + " in the path is " + what, path: sound.Replace(strings.Replace(path, "{"+name+"}", value, 1)), at: name})
	}
	return all
}

// hole stands in an example for what nonsense is put in.
const hole = `"@hole@"`

// fieldsOf finds every field of a body, and a body with a hole in its place.
func (d *described) fieldsOf(s *schema, example any, pointer string, body func(any) any, found func(s *schema, pointer, body string)) {
	s = d.resolve(s)
	holed, err := json.Marshal(body(strings.Trim(hole, `"`)))
	if err != nil {
		panic(err)
	}
	found(s, pointer, string(holed))
	switch example := example.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			d.fieldsOf(s.Properties[name], example[name], pointer+"/"+name, func(value any) any {
				other := maps.Clone(example)
				other[name] = value
				return body(other)
			}, found)
		}
	case []any:
		if s.Items != nil && len(example) > 0 {
			d.fieldsOf(s.Items, example[0], pointer+"/0", func(value any) any { return body([]any{value}) }, found)
		}
	}
}

// ofField is nonsense for one field.
func ofField(s *schema, pointer, body string) (all []nonsense) {
	add := func(what, raw, at string) {
		text := strings.Replace(body, hole, raw, 1)
		all = append(all, nonsense{what: pointer + " is " + what, body: &text, at: at})
	}
	for kind, raw := range map[string]string{"null": "null", "boolean": "true", "number": "12.5", "string": `"NaN"`, "array": "[]", "object": "{}"} {
		if !s.is(kind) {
			add(kind, raw, pointer)
		}
	}
	if !slices.Contains([]string{"#/staff_domains/0", "#/tag/0", "#/untag/0", "#/fields/0"}, pointer) { // an empty list of them is well
		add("nothing", "", "")
	}
	add("no JSON", "NaN", "")
	add("10,000 lists deep", strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000), "")
	add("10,000 objects deep", strings.Repeat(`{"a":`, 10_000)+"1"+strings.Repeat("}", 10_000), "")
	add("10 MB", `"`+large+`"`, "")
	switch {
	case s.is("string"):
		add("no UTF-8", "\"\xff\xfe\"", "")
		at := pointer
		if s.Format == "password" { // which may be anything, and is wrong
			at = ""
		}
		for what, raw := range map[string]string{"NUL": `"\u0000"`, "a control character": `"a\u001b[2J"`, "bidirectional": `"\u202eexe"`, "half a character": `"\ud800"`} {
			add(what, raw, at)
		}
		if s.MaxLength != nil {
			add("too long", `"`+strings.Repeat("a", *s.MaxLength+1)+`"`, pointer)
		}
		if s.MinLength != nil {
			add("empty", `""`, pointer)
		}
		if s.Enum != nil || s.ContentEncoding == "base64" || s.Format == "date-time" {
			add("another text", `"\"nonsense\""`, pointer)
		}
	case s.is("integer") || s.is("number"):
		add("huge", "1e999", "")
		add("too large for an integer", "18446744073709551616", "")
		if s.Maximum != nil {
			add("above its maximum", fmt.Sprintf("%.0f", *s.Maximum+1), pointer)
		}
		if s.Minimum != nil {
			add("below its minimum", fmt.Sprintf("%.0f", *s.Minimum-1), pointer)
		}
	case len(s.Properties) > 0:
		add("a list of itself", "[[[[{}]]]]", pointer)
	}
	return all
}

// ofBody is nonsense for a body as a whole; valid is one that is none.
func ofBody(s *schema, valid string) (all []nonsense) {
	add := func(what, body, contentType, at string) {
		all = append(all, nonsense{what: "the body is " + what, body: &body, contentType: contentType, at: at})
	}
	add("empty", "", "", "")
	add("cut off", valid[:len(valid)-1], "", "")
	add("two", valid+valid, "", "")
	add("1 MB of space", valid+strings.Repeat(" ", 1<<20), "", "")
	add("1 MB of nothing", strings.Repeat("\x00", 1<<20), "", "")
	add("with an unknown field", strings.Replace(valid, "{", `{"nonsense":1,`, 1), "", "#/nonsense")
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		add("with one name twice", strings.Replace(valid, "{", `{"`+name+`":null,`, 1), "", "#/"+name)
	}
	for _, kind := range []string{"text/xml", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/cbor", "nonsense"} {
		add("called "+kind, valid, kind, "")
	}
	return all
}
