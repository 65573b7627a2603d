// Package plain makes text that others sent fit to be kept and shown as one
// line: names, versions and reasons from agents and browsers are hostile.
//
// What goes: control characters, and every format character that is not
// needed to spell (bidirectional overrides and marks that reorder the text
// around them, zero-width spaces, tags). Line breaks and tabs become a space,
// invalid UTF-8 becomes U+FFFD. What stays may still hold '<' or a quote:
// whoever shows it escapes it.
package plain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line is s as one line of at most limit bytes, cut between characters.
func Line(s string, limit int) string {
	var b strings.Builder
	space := false // one is due before the next character
	for _, r := range s {
		switch {
		case unicode.IsSpace(r), unicode.In(r, unicode.Zl, unicode.Zp, unicode.Zs):
			space = b.Len() > 0
			continue
		case unicode.Is(unicode.Cc, r):
			continue
		case unicode.Is(unicode.Cf, r) && r != joiner && r != nonJoiner:
			continue
		}
		n := utf8.RuneLen(r)
		if space {
			n++
		}
		if b.Len()+n > limit {
			return b.String()
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Without these two Persian, Sinhala and family emoji are misspelt.
const (
	nonJoiner = '\u200c'
	joiner    = '\u200d'
)

// Lines are the non-empty lines of at most count items.
func Lines(all []string, limit, count int) []string {
	var out []string
	for _, s := range all {
		if len(out) == count {
			break
		}
		if s = Line(s, limit); s != "" {
			out = append(out, s)
		}
	}
	return out
}
