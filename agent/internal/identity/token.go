package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

var (
	// ErrToken: what was given is no enrollment token.
	ErrToken = errors.New("this is not an enrollment token; copy it whole from 'Add computer' in the console")
	// ErrAddress: what was given is no relay's address.
	ErrAddress = errors.New("not a relay's address")
)

var tokenForm = regexp.MustCompile(`^oriel-[a-z2-7]{26}-([0-9a-f]{16})$`)

// Token is an enrollment token: oriel-<secret>-<hash>, where the secret is
// what the relay knows it by and the hash is the first 8 bytes of SHA-256 of
// the key of the relay that made it.
type Token struct {
	text string
	hash string
}

// ParseToken reads a token as a person pasted it. Errors: ErrToken.
func ParseToken(s string) (Token, error) {
	s = strings.TrimSpace(s)
	m := tokenForm.FindStringSubmatch(s)
	if m == nil {
		return Token{}, ErrToken
	}
	return Token{text: s, hash: m[1]}, nil
}

// String is the token itself: a secret.
func (t Token) String() string { return t.text }

// For reports whether the relay with this key made the token.
func (t Token) For(relay ed25519.PublicKey) bool {
	sum := sha256.Sum256(relay)
	return len(relay) == ed25519.PublicKeySize && t.hash == hex.EncodeToString(sum[:8])
}

// RelayAddress brings an address into the form http(s)://host[:port][/path],
// https where it names no scheme. Errors: ErrAddress.
func RelayAddress(s string) (string, error) {
	given := s
	s = strings.TrimSpace(s)
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil || len(s) > 512 {
		return "", fmt.Errorf("%w: %.100q", ErrAddress, given)
	}
	u.Scheme = strings.ToLower(u.Scheme)
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%w: %.100q (use https://host)", ErrAddress, given)
	}
	if u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return "", fmt.Errorf("%w: %.100q (use https://host, with a port if needed, and nothing after it)", ErrAddress, given)
	}
	clean := url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host), Path: strings.TrimRight(u.Path, "/")}
	if out := clean.String(); len(out) <= 512 {
		if again, err := url.Parse(out); err == nil && again.Host == clean.Host && again.Path == clean.Path {
			return out, nil
		}
	}
	return "", fmt.Errorf("%w: %.100q", ErrAddress, given)
}
