package sanitize

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for _, tc := range []struct {
		name, in, want string
		limit          int
	}{
		{"as it is", "Debian GNU/Linux 12 (bookworm)", "Debian GNU/Linux 12 (bookworm)", 100},
		{"markup is the viewer's to escape", `<b>"x"</b>`, `<b>"x"</b>`, 100},
		{"control characters", "a\x00b\x1b[31mc\x7fd\u0085e", "ab[31mcd e", 100},
		{"line breaks", " a\r\n\tb\u2028c \n", "a b c", 100},
		{"bidirectional overrides", "a\u202eb\u2066c\u200fd\u061ce", "abcde", 100},
		{"hidden characters", "a\u200bb\ufeffc\U000e0041d\u00ade", "abcde", 100},
		{"joiners spell", "\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e", 100},
		{"invalid UTF-8", "a\xff\xfeb", "a\ufffd\ufffdb", 100},
		{"cut between characters", "ääää", "ää", 5},
		{"cut before a space", "abc def", "abc", 4},
		{"nothing", "\u202e\x00 ", "", 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Line(tc.in, tc.limit); got != tc.want {
				t.Fatalf("%q, want %q", got, tc.want)
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
