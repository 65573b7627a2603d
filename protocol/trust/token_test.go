package trust

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
)

// Rule: enrollment tokens are proven: over both nonces, both keys and the TLS
// connection, by the secret alone. What a relay keeps of a token enrolls nobody.
func TestEnrollmentProof(t *testing.T) {
	token := NewToken(pub(key(1)))
	h := Hello{RelayNonce: []byte("relay's nonce"), RelayKey: pub(key(1)), AgentNonce: []byte("agent's nonce"), Exporter: []byte("exporter")}
	sig := token.Prove(h, pub(key(2)))
	if err := VerifyEnrollment(token.Public(), h, pub(key(2)), sig); err != nil {
		t.Fatal(err)
	}
	challenge, err := SignChallenge(Key(key(1)), h)
	if err != nil || VerifyChallenge(h, challenge) != nil {
		t.Fatal(err, VerifyChallenge(h, challenge))
	}
	for name, change := range map[string]func(*Hello){
		"relay's nonce": func(h *Hello) { h.RelayNonce = []byte("another") },
		"agent's nonce": func(h *Hello) { h.AgentNonce = []byte("another") },
		"relay's key":   func(h *Hello) { h.RelayKey = pub(key(3)) },
		"connection":    func(h *Hello) { h.Exporter = nil },
	} {
		other := h
		change(&other)
		if VerifyEnrollment(token.Public(), other, pub(key(2)), sig) == nil || VerifyChallenge(other, challenge) == nil {
			t.Errorf("good for another %s", name)
		}
	}
	if VerifyEnrollment(token.Public(), h, pub(key(3)), sig) == nil {
		t.Error("good for another machine")
	}
	if VerifyEnrollment(NewToken(pub(key(1))).Public(), h, pub(key(2)), sig) == nil {
		t.Error("good for another token")
	}
	if strings.Contains(string(sig)+string(token.Public()), token.secret) {
		t.Error("the secret is shown")
	}
}

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
