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
// The hash tells an agent which relay was meant, before it has spoken to any.
// The secret is the seed of an Ed25519 key. The agent signs with it, once the
// relay has proved its own key, and shows it to nobody; the relay keeps the
// public half. An HMAC would have done for the wire, but its key would lie in
// the relay's database: who steals that could enroll computers.
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

// ParseToken reads a token as a person pasted it. Errors: ErrToken, ErrShortToken.
func ParseToken(s string) (Token, error) {
	m := tokenForm.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return Token{}, ErrToken
	}
	t := Token{secret: m[1], hash: m[2]}
	if len(t.hash) == 2*shortTokenHash {
		return Token{}, ErrShortToken
	}
	return t, nil
}

// String is the token itself: a secret.
func (t Token) String() string { return "oriel-" + t.secret + "-" + t.hash }

// Public is what a relay knows the token by: no secret.
func (t Token) Public() ed25519.PublicKey { return t.key().Public().(ed25519.PublicKey) }

func (t Token) key() ed25519.PrivateKey {
	seed := sha256.Sum256(message("oriel enrollment key v1", []byte(t.secret)))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Prove is the signature of a token's holder who enrolls a machine, for a relay
// that has proved its key (VerifyChallenge).
func (t Token) Prove(h Hello, machine ed25519.PublicKey) []byte {
	return ed25519.Sign(t.key(), enrollment(h, machine))
}

// VerifyEnrollment checks what Prove made; token is Token.Public. Errors: ErrSignature.
func VerifyEnrollment(token ed25519.PublicKey, h Hello, machine ed25519.PublicKey, sig []byte) error {
	return verify(token, enrollment(h, machine), sig)
}

func enrollment(h Hello, machine ed25519.PublicKey) []byte {
	return message("oriel enroll v1", h.RelayNonce, h.RelayKey, h.AgentNonce, h.Exporter, machine)
}

// For reports whether the relay with this key made the token.
func (t Token) For(relay ed25519.PublicKey) bool {
	return len(relay) == ed25519.PublicKeySize && subtle.ConstantTimeCompare([]byte(t.hash), []byte(keyHash(relay))) == 1
}

// SameRelay reports whether one relay, by its key, made both tokens.
func (t Token) SameRelay(other Token) bool { return t.hash == other.hash }

func keyHash(relay ed25519.PublicKey) string {
	sum := sha256.Sum256(relay)
	return hex.EncodeToString(sum[:tokenHash])
}
