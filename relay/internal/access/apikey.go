package access

import (
	"net/http"
	"strings"
)

// # API keys
//
// A program comes with a key, a line that begins with KeyPrefix, in an Authorization
// header (RFC 6750). It is for one organization and one person or service account, and
// may what it holds of what they may. The database holds its SHA-256. A key that is
// revoked, has expired, or whose person may nothing any more is as one that never was,
// on every node at once.

// KeyPrefix begins every key, so that one that lies about is known for what it is.
const KeyPrefix = "oriel_"

// NewKey is a key's text, to be told once, and its hash, to be kept.
func NewKey() (text string, hash []byte) {
	secret, _ := token()
	text = KeyPrefix + secret
	return text, hashOf(text)
}

// Kinds of tokens, before their hashes.
const (
	signInHash = 's'
	keyHash    = 'k'
)

// bearer is the key that r comes with. What another program authorizes itself by, such
// as a proxy, is none.
func bearer(r *http.Request) (key string, ok bool) {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	key = strings.TrimSpace(key)
	return key, strings.EqualFold(scheme, "Bearer") && strings.HasPrefix(key, KeyPrefix)
}
