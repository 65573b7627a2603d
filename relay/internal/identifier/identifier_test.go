package identifier_test

import (
	"errors"
	"strings"
	"testing"

	"oriel/relay/internal/fault"
	"oriel/relay/internal/identifier"
)

const (
	email    = identifier.Email
	userName = identifier.UserName
	number   = identifier.Number
)

// Rule: an identifier is one, however it is typed; what cannot be one has no key.
func TestKey(t *testing.T) {
	for _, tc := range []struct {
		kind      identifier.Kind
		text, key string
	}{
		{email, " Ada@Example.COM ", "ada@example.com"},
		{email, "ada@Bücher.example", "ada@bücher.example"},
		{email, "jose\u0301@example.com", "jos\u00e9@example.com"},
		{email, "ada", ""},
		{email, "@example.com", ""},
		{email, "ada@", ""},
		{email, "ada@exa mple.com", ""},
		{email, strings.Repeat("a", 250) + "@example.com", ""},

		{userName, "Ada", "ada"},
		{userName, "\uff21\uff24\uff21", "ada"}, // full width
		{userName, "Jose\u0301", "jos\u00e9"},
		{userName, "ada lovelace", ""},
		{userName, "ada@home", ""},
		{userName, "ada:home", ""},
		{userName, "12345", ""},
		{userName, "a\u202eb", ""},
		{userName, "a\x00b", ""},
		{userName, "a\xff", ""},
		{userName, strings.Repeat("a", 129), ""},

		{number, "123.456.789-09", "12345678909"},
		{number, "12345678909", "12345678909"},
		{number, "12.345.678/0001-95", "12345678000195"},
		{number, "12.abc.345/01de-35", "12ABC34501DE35"},
		{number, "E 4711", "E4711"},
		{number, "007", "007"}, // zeros count
		{number, "\uff11\uff12", "12"},
		{number, "ABC", ""},
		{number, "12_3", ""},
		{number, "1\u0660", ""}, // another script's zero
		{number, "", ""},

		{"passkey", "x1", ""},
	} {
		if key := identifier.Key(tc.kind, tc.text); key != tc.key {
			t.Errorf("%s %q has the key %q, want %q", tc.kind, tc.text, key, tc.key)
		}
	}
}

// Rule: what cannot be an identifier is refused at its field.
func TestCheck(t *testing.T) {
	for kind, bad := range map[identifier.Kind][]string{
		email:    {"", "ada", "Ada <ada@example.com>", "ada@example.com, b@example.com", "ada@example.com\nBcc: b@example.com"},
		userName: {"", "1", "a b", "a@b"},
		number:   {"", "one", "1;2"},
		"?":      {"1"},
	} {
		for _, text := range bad {
			_, err := identifier.Check(kind, "text", text)
			if !errors.Is(err, fault.ErrInvalid) {
				t.Errorf("%s %q: %v", kind, text, err)
			}
		}
	}
	for kind, good := range map[identifier.Kind]string{email: "ada@example.com", userName: "ada.l", number: "12-3"} {
		if key, err := identifier.Check(kind, "text", good); err != nil || key == "" {
			t.Errorf("%s %q: %q, %v", kind, good, key, err)
		}
	}
}

func TestCheckCode(t *testing.T) {
	for _, good := range []string{"main", " ACME ", "a-1", "42"} {
		if code, err := identifier.CheckCode("code", good); err != nil || code != strings.ToLower(strings.TrimSpace(good)) {
			t.Errorf("%q: %q, %v", good, code, err)
		}
	}
	for _, bad := range []string{"", "a", "-a", "a-", "a b", "ä1", "a:b", strings.Repeat("a", 33)} {
		if code, err := identifier.CheckCode("code", bad); err == nil {
			t.Errorf("%q is taken as %q", bad, code)
		}
	}
}

// Rule: a login may say its organization, and is looked for by all that it may be.
func TestParseLogin(t *testing.T) {
	for _, tc := range []struct {
		text  string
		login identifier.Login
		kinds []identifier.Kind
	}{
		{"ada@example.com", identifier.Login{Text: "ada@example.com"}, []identifier.Kind{email}},
		{"ada:acme", identifier.Login{Text: "ada", Code: "acme"}, []identifier.Kind{userName}},
		{" 123.456.789-09 : ACME ", identifier.Login{Text: "123.456.789-09", Code: "acme"}, []identifier.Kind{number}},
		{"e4711", identifier.Login{Text: "e4711"}, []identifier.Kind{userName, number}},
		{"ada@example.com:acme", identifier.Login{Text: "ada@example.com", Code: "acme"}, []identifier.Kind{email}},
		{"ada:", identifier.Login{Text: "ada:"}, nil},
		{":acme", identifier.Login{Text: ":acme"}, nil},
		{"a:b:acme", identifier.Login{Text: "a:b", Code: "acme"}, nil},
		{"", identifier.Login{}, nil},
		{strings.Repeat("a", 400), identifier.Login{}, nil},
	} {
		got := identifier.ParseLogin(tc.text)
		keys := got.Keys()
		if got != tc.login || len(keys) != len(tc.kinds) {
			t.Errorf("%q is %+v with %v", tc.text, got, keys)
		}
		for _, kind := range tc.kinds {
			if keys[kind] == "" {
				t.Errorf("%q is no %s", tc.text, kind)
			}
		}
	}
}

// Rule: tries of one login are counted together, however it is typed.
func TestSubject(t *testing.T) {
	for _, same := range [][]string{
		{"ada@example.com", " ADA@example.COM"},
		{"123.456.789-09", "12345678909", "123 456 789 09"},
		{"e-4711", "E4711"},
		{"Ada:acme", "ada : ACME"},
	} {
		for _, text := range same {
			a, b := identifier.ParseLogin(same[0]).Subject(), identifier.ParseLogin(text).Subject()
			if a != b || a == "" {
				t.Errorf("%q counts as %q, %q as %q", same[0], a, text, b)
			}
		}
	}
	if identifier.ParseLogin("ada:acme").Subject() == identifier.ParseLogin("ada:other").Subject() {
		t.Error("people of two organizations are one")
	}
}

// Rule: a key is its own key, valid and bounded, whatever is typed.
func FuzzKey(f *testing.F) {
	for _, text := range []string{"ada@example.com", "ada", "123.456.789-09", "ada:acme", "a\xff", "ſ", "İ@İ.com", "ßß"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for kind, key := range identifier.ParseLogin(text).Keys() {
			if again := identifier.Key(kind, key); again != key {
				t.Errorf("%s %q has the key %q, and that %q", kind, text, key, again)
			}
			if len(key) > 2*identifier.MaxEmail {
				t.Errorf("%s has a key of %d bytes", kind, len(key))
			}
		}
	})
}
