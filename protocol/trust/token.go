package trust

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
)

var (
	// ErrToken: the text is no enrollment token.
	ErrToken = errors.New("this is not an enrollment token; copy it whole from 'Add computer' in the console")
	// ErrShortToken: the token names its relay's key by 64 bits only, as relays once
	// made them. A second key that fits can be searched for.
	ErrShortToken = errors.New("this enrollment token was made by an older relay; update the relay and create a new token")
)

const (
	// tokenHash is how much of SHA-256 of the relay's key a token carries, in bytes.
	tokenHash = 16
	// shortTokenHash is what a token of an older relay carries.
	shortTokenHash = 8
)

var tokenForm = regexp.MustCompile(`^oriel-([a-z2-7]{26})-([0-9a-f]{16}|[0-9a-f]{32})$`)

// Token is an enrollment token:
//
//	oriel-<secret: 128 bits as 26 of a-z2-7>-<first 128 bits of SHA-256 of the relay's key, in hex>
//
// The secret is what the relay knows it by. The hash tells an agent which relay
// was meant, before it has spoken to any.
type Token struct {
	secret string
	hash   string
}

// NewToken makes a token of the relay with this key.
func NewToken(relay ed25519.PublicKey) Token {
	secret := make([]byte, 16)
	_, _ = rand.Read(secret) // never fails
	return Token{
		secret: strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)),
		hash:   keyHash(relay),
	}
}

// ParseToken reads a token as a person pasted it. Errors: ErrToken; ErrShortToken
// beside a token that a relay may still know.
func ParseToken(s string) (Token, error) {
	m := tokenForm.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return Token{}, ErrToken
	}
	t := Token{secret: m[1], hash: m[2]}
	if len(t.hash) == 2*shortTokenHash {
		return t, ErrShortToken
	}
	return t, nil
}

// String is the token itself: a secret.
func (t Token) String() string { return "oriel-" + t.secret + "-" + t.hash }

// Secret is the part that a relay knows the token by.
func (t Token) Secret() string { return t.secret }

// For reports whether the relay with this key made the token.
func (t Token) For(relay ed25519.PublicKey) bool {
	return len(relay) == ed25519.PublicKeySize && subtle.ConstantTimeCompare([]byte(t.hash), []byte(keyHash(relay))) == 1
}

func keyHash(relay ed25519.PublicKey) string {
	sum := sha256.Sum256(relay)
	return hex.EncodeToString(sum[:tokenHash])
}
