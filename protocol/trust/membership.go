package trust

import (
	"crypto/ed25519"
	"encoding/base64"
	"regexp"
)

// MembershipHeader is where an agent that a relay does not know shows its
// Membership, in the upgrade at /agent/v1.
const MembershipHeader = "Oriel-Membership"

var membershipForm = regexp.MustCompile(`^([A-Za-z0-9-]{1,64}) ([A-Za-z0-9_-]{86})$`)

// Membership is the relay's word that it enrolled a machine key as a computer. A
// relay whose database was lost knows its former computers by it; to anybody
// else, and without the machine key, it is worth nothing.
type Membership struct {
	Computer  string
	Signature []byte // by the relay's key
}

func membership(machine ed25519.PublicKey, computer string) []byte {
	return message("oriel membership v1", machine, []byte(computer))
}

// SignMembership signs one with the relay's key.
func SignMembership(s Signer, machine ed25519.PublicKey, computer string) (Membership, error) {
	sig, err := s(membership(machine, computer))
	return Membership{computer, sig}, err
}

// Verify checks m. Errors: ErrSignature.
func (m Membership) Verify(relay, machine ed25519.PublicKey) error {
	return verify(relay, membership(machine, m.Computer), m.Signature)
}

// Header is the value of MembershipHeader; empty for none.
func (m Membership) Header() string {
	if m.Computer == "" || len(m.Signature) != ed25519.SignatureSize {
		return ""
	}
	return m.Computer + " " + base64.RawURLEncoding.EncodeToString(m.Signature)
}

// ParseMembership reads what Header wrote; the zero Membership for anything else.
func ParseMembership(header string) Membership {
	m := membershipForm.FindStringSubmatch(header)
	if m == nil {
		return Membership{}
	}
	sig, err := base64.RawURLEncoding.Strict().DecodeString(m[2])
	if err != nil {
		return Membership{}
	}
	return Membership{m[1], sig}
}
