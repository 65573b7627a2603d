package sanitize

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Rule: the console has the same rule, by the same vectors (console/src/core/sanitize.ts).
func TestLine(t *testing.T) {
	b, err := os.ReadFile("../testdata/lines.json")
	if err != nil {
		t.Fatal(err)
	}
	type vector struct {
		Name, In, Want string
		Limit          int
	}
	var all []vector
	if err := json.Unmarshal(b, &all); err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
	}
	all = append(all, vector{"invalid UTF-8", "a\xff\xfeb", "a\ufffd\ufffdb", 100}) // which JSON cannot say
	for _, tc := range all {
		t.Run(tc.Name, func(t *testing.T) {
			if got := Line(tc.In, tc.Limit); got != tc.Want {
				t.Fatalf("%q, want %q", got, tc.Want)
			}
		})
	}
	if got := Lines([]string{"a", " ", "b", "c"}, 5, 2); !slices.Equal(got, []string{"a", "b"}) {
		t.Fatal(got)
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]bool{
		"Ada  Lovelace": true, "\u0645\u06cc\u200c\u062e": true, "<b>": true, "": true,
		"a\nb": false, "a\tb": false, "a\u2028b": false, "a\u202eb": false, "a\u200bb": false, "a\xff": false, "a\x00": false,
	} {
		if Printable(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\u202e\x00\xff b", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = max(0, min(limit, 1000))
		got := Line(s, limit)
		if len(got) > limit || !utf8.ValidString(got) || strings.TrimSpace(got) != got || Line(got, limit) != got {
			t.Fatalf("%q of %q", got, s)
		}
		for _, r := range got {
			if unicode.IsControl(r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				t.Fatalf("%U in %q", r, got)
			}
		}
	})
}
