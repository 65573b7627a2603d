package trust

import (
	"crypto/ed25519"
	"encoding/base64"
	"regexp"
)

// Headers in which an agent that a relay does not know shows its Memberships, in the
// upgrade at /agent/v1: the one that names no organization, and the one that does.
const (
	MembershipHeader             = "Oriel-Membership"
	OrganizationMembershipHeader = "Oriel-Organization-Membership"
)

var (
	membershipForm             = regexp.MustCompile(`^([A-Za-z0-9-]{1,64})() ([A-Za-z0-9_-]{86})$`)
	organizationMembershipForm = regexp.MustCompile(`^([A-Za-z0-9-]{1,64}) ([A-Za-z0-9_-]{1,64}) ([A-Za-z0-9_-]{86})$`)
)

// Membership is the relay's word that it enrolled a machine key as a computer, of an
// organization where it names one (version 2). A relay whose database was lost knows its
// former computers by it, and whose they were; to anybody else, and without the machine
// key, it is worth nothing. Agents keep both versions, as a relay may be older than they
// are; those from before 2026-11-30 have the first only.
type Membership struct {
	Computer     string
	Organization string // empty: version 1
	Signature    []byte // by the relay's key
}

func (m Membership) message(machine ed25519.PublicKey) []byte {
	if m.Organization == "" {
		return message("oriel membership v1", machine, []byte(m.Computer))
	}
	return message("oriel membership v2", machine, []byte(m.Computer), []byte(m.Organization))
}

// SignMembership signs one with the relay's key; of organization "", version 1.
func SignMembership(s Signer, machine ed25519.PublicKey, computer, organization string) (Membership, error) {
	m := Membership{Computer: computer, Organization: organization}
	var err error
	m.Signature, err = s(m.message(machine))
	return m, err
}

// Verify checks m. Errors: ErrSignature.
func (m Membership) Verify(relay, machine ed25519.PublicKey) error {
	return verify(relay, m.message(machine), m.Signature)
}

// Show sets the header of m; of one that is not whole, none.
func (m Membership) Show(set func(name, value string)) {
	if m.Computer == "" || len(m.Signature) != ed25519.SignatureSize {
		return
	}
	signature := base64.RawURLEncoding.EncodeToString(m.Signature)
	if m.Organization == "" {
		set(MembershipHeader, m.Computer+" "+signature)
		return
	}
	set(OrganizationMembershipHeader, m.Computer+" "+m.Organization+" "+signature)
}

// ReadMembership is what Show wrote that is good, the one that names an organization
// first; the zero Membership: nothing is.
func ReadMembership(get func(name string) string, relay, machine ed25519.PublicKey) Membership {
	for _, one := range []struct {
		header string
		form   *regexp.Regexp
	}{{OrganizationMembershipHeader, organizationMembershipForm}, {MembershipHeader, membershipForm}} {
		parts := one.form.FindStringSubmatch(get(one.header))
		if parts == nil {
			continue
		}
		m := Membership{Computer: parts[1], Organization: parts[2]}
		var err error
		if m.Signature, err = base64.RawURLEncoding.Strict().DecodeString(parts[3]); err == nil && m.Verify(relay, machine) == nil {
			return m
		}
	}
	return Membership{}
}
