package trust

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"regexp"
)

var (
	// ErrAuthorization: the header names no machine.
	ErrAuthorization = errors.New(`say who you are: Authorization: Oriel key="..."`)
	// ErrTokenShown: an agent from before 2026-11-30 shows its enrollment token
	// itself, to whoever answers. It cannot enroll; once enrolled it shows none.
	ErrTokenShown = errors.New("this agent is too old to enroll here, it would show its enrollment token to anybody; update the agent, and make a new token, for this one was shown")
)

var (
	authorization = regexp.MustCompile(`^Oriel key="([A-Za-z0-9_-]{43})"(?:, token="([A-Za-z0-9_-]{43})", nonce="([A-Za-z0-9_-]{43})")?$`)
	shown         = regexp.MustCompile(`^Oriel key="[A-Za-z0-9_-]{43}", *token="[a-z0-9-]{1,128}"$`)
)

// Applicant is whom an agent is going to prove itself to be, in the header
// Authorization of the upgrade at /agent/v1. It proves nothing yet; it lets the
// relay turn strangers away before anything is opened for them.
type Applicant struct {
	Key   ed25519.PublicKey // the machine's
	Token ed25519.PublicKey // of the enrollment token (Token.Public); nil: enrolled already
	Nonce []byte            // with Token: 32 bytes, the agent's nonce, which the relay signs in Challenge
}

// Authorization is the header's value.
func (a Applicant) Authorization() string {
	text := base64.RawURLEncoding.EncodeToString
	header := `Oriel key="` + text(a.Key) + `"`
	if a.Token != nil {
		header += `, token="` + text(a.Token) + `", nonce="` + text(a.Nonce) + `"`
	}
	return header
}

// ParseAuthorization reads what Authorization wrote. Errors: ErrAuthorization,
// ErrTokenShown.
func ParseAuthorization(header string) (Applicant, error) {
	m := authorization.FindStringSubmatch(header)
	if m == nil {
		if shown.MatchString(header) {
			return Applicant{}, ErrTokenShown
		}
		return Applicant{}, ErrAuthorization
	}
	var parts [3][]byte
	for i := range parts {
		b, err := base64.RawURLEncoding.Strict().DecodeString(m[i+1])
		if err != nil {
			return Applicant{}, ErrAuthorization
		}
		parts[i] = b
	}
	a := Applicant{Key: parts[0]}
	if m[2] != "" {
		a.Token, a.Nonce = parts[1], parts[2]
	}
	return a, nil
}
