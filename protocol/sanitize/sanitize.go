// Package sanitize makes text that others sent fit to be kept, logged and shown as
// one line: names, versions and reasons from agents, browsers and relays are
// hostile. It is the one rule of what that is, for the agent and the relay; what
// is on this machine's screen or typed on it is not text for people and stays.
//
// What goes: control characters, and every format character that is not
// needed to spell (bidirectional overrides and marks that reorder the text
// around them, zero-width spaces, tags). Line breaks and tabs become a space,
// invalid UTF-8 becomes U+FFFD. What stays may still hold '<' or a quote:
// whoever shows it escapes it.
package sanitize

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
		case blank(r):
			space = b.Len() > 0
			continue
		case hidden(r):
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

// Printable reports whether text that a person typed can be shown to others as it
// is: in UTF-8, without line breaks, and without anything that Line would drop.
func Printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return hidden(r) || blank(r) && !unicode.Is(unicode.Zs, r) })
}

// Readable is Printable for text that may have line breaks and tabs. It takes no
// U+FFFD, which stands for what was no text.
func Readable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return hidden(r) || r == utf8.RuneError })
}

func blank(r rune) bool {
	return unicode.IsSpace(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Zs)
}

func hidden(r rune) bool {
	return unicode.Is(unicode.Cc, r) && !blank(r) || unicode.Is(unicode.Cf, r) && r != joiner && r != nonJoiner
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
