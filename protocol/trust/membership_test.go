package trust

import (
	"crypto/ed25519"
	"net/http"
	"testing"
)

// Rule: of what an agent shows of its former relay, the version that names its organization
// counts before the other; each only for that machine, computer and organization, by that
// relay, and neither for the other.
func TestMemberships(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	machine, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(computer, organization string) Membership {
		m, err := SignMembership(Key(private), machine, computer, organization)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first, second := sign("c-1", ""), sign("c-1", "acme")
	with := func(m Membership, change func(*Membership)) Membership {
		change(&m)
		return m
	}
	for name, c := range map[string]struct {
		shown []Membership
		want  Membership
	}{
		"nothing":              {nil, Membership{}},
		"of an old agent":      {[]Membership{first}, first},
		"both":                 {[]Membership{first, second}, second},
		"the second alone":     {[]Membership{second}, second},
		"another organization": {[]Membership{first, with(second, func(m *Membership) { m.Organization = "other" })}, first},
		"another computer":     {[]Membership{with(second, func(m *Membership) { m.Computer = "c-2" })}, Membership{}},
		"the first as second":  {[]Membership{with(first, func(m *Membership) { m.Organization = "acme" })}, Membership{}},
		"the second as first":  {[]Membership{with(second, func(m *Membership) { m.Organization = "" })}, Membership{}},
		"half":                 {[]Membership{with(second, func(m *Membership) { m.Signature = m.Signature[:40] })}, Membership{}},
	} {
		header := http.Header{}
		for _, m := range c.shown {
			m.Show(header.Set)
		}
		got := ReadMembership(header.Get, public, machine)
		if got.Computer != c.want.Computer || got.Organization != c.want.Organization || string(got.Signature) != string(c.want.Signature) {
			t.Errorf("%s: %+v", name, got)
		}
		if got := ReadMembership(header.Get, public, public); got.Computer != "" {
			t.Errorf("%s, of another machine: %+v", name, got)
		}
		if got := ReadMembership(header.Get, machine, machine); got.Computer != "" {
			t.Errorf("%s, by another relay: %+v", name, got)
		}
	}
}
