package trust

import (
	"crypto/ed25519"
	"encoding/base64"
	"regexp"
)

var authorization = regexp.MustCompile(`^Oriel key="([A-Za-z0-9_-]{43})"(?:, *token="([a-z0-9-]{1,128})")?$`)

// Authorization is the header of that name with which an agent asks for the
// upgrade at /agent/v1: whose key it is going to prove, and the enrollment
// token where there is one. It proves nothing yet; it lets the relay turn
// strangers away before anything is opened for them.
func Authorization(key ed25519.PublicKey, token string) string {
	header := `Oriel key="` + base64.RawURLEncoding.EncodeToString(key) + `"`
	if token != "" {
		header += `, token="` + token + `"`
	}
	return header
}

// ParseAuthorization reads what Authorization wrote; the key is nil for
// anything else.
func ParseAuthorization(header string) (key ed25519.PublicKey, token string) {
	m := authorization.FindStringSubmatch(header)
	if m == nil {
		return nil, ""
	}
	k, err := base64.RawURLEncoding.DecodeString(m[1])
	if err != nil || len(k) != ed25519.PublicKeySize {
		return nil, ""
	}
	return k, m[2]
}
