package trust

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
)

// Rule: the key hash in an enrollment token has at least 128 bits.
func TestToken(t *testing.T) {
	relay, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, _ := ed25519.GenerateKey(nil)
	made := NewToken(relay)
	text := made.String()
	hash := text[strings.LastIndexByte(text, '-')+1:]
	if len(hash)*4 < 128 {
		t.Errorf("%d bits of the relay's key", len(hash)*4)
	}
	read, err := ParseToken("  " + text + "\n")
	if err != nil || read != made || !read.For(relay) || read.For(other) || read.For(nil) {
		t.Fatalf("%v: %v", read, err)
	}
	for _, c := range []struct {
		text string
		want error
	}{
		{text[:len(text)-16], ErrShortToken},
		{text[:len(text)-1], ErrToken},
		{text + "0", ErrToken},
		{strings.ToUpper(text), ErrToken},
		{"x" + text, ErrToken},
		{text + "\n" + text, ErrToken},
		{"", ErrToken},
	} {
		short, err := ParseToken(c.text)
		if !errors.Is(err, c.want) || short.For(relay) {
			t.Errorf("%q: %v, want %v, and no relay's", c.text, err, c.want)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("oriel-abcdefghijklmnopqrstuvwxyz-00112233445566778899aabbccddeeff")
	f.Add("oriel-abcdefghijklmnopqrstuvwxyz-0011223344556677")
	f.Fuzz(func(t *testing.T, s string) {
		made, err := ParseToken(s)
		if err == nil && made.String() != strings.TrimSpace(s) {
			t.Fatalf("%q was read as %q", s, made)
		}
	})
}

// Rule: a token that one door makes is let in by the next.
func TestAuthorizationCarriesAToken(t *testing.T) {
	key, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	token := NewToken(key).String()
	got, text := ParseAuthorization(Authorization(key, token))
	if !key.Equal(got) || text != token {
		t.Errorf("of a token of %d characters the relay reads %q", len(token), text)
	}
}
