package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"oriel/agent/internal/identity"
	"oriel/protocol/hours"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
)

// # The organization's policies
//
// The policies of organization, groups and computer come from the relay as one, signed
// with the key that this agent trusts (trust.VerifyPolicy). It is kept in relay-policy.json
// in the data directory, so that it holds without the relay and from the first moment after
// a restart. A policy for another computer does not hold.

// RelayFile is its name in the data directory.
const RelayFile = identity.RelayPolicyFile

// Relay is the policy that the relay sent last. The zero Relay forbids nothing.
type Relay struct {
	ComputerID string `json:"computer_id"`
	Version    int64  `json:"version"`
	IssuedAt   int64  `json:"issued_at"` // Unix milliseconds
	Policy     Policy `json:"policy"`
}

// FromRelay reads a verified policy. Scopes that this agent does not know are left out.
// Its error names the setting that cannot be kept.
func FromRelay(p *orielv1.ComputerPolicy) (Relay, error) {
	r := Relay{ComputerID: p.GetComputerId(), Version: p.GetVersion(), IssuedAt: p.GetIssuedAt()}
	r.Policy = Policy{Organization: sanitize.Line(p.GetOrganization().GetName(), 200), Consent: p.GetConsent()}
	if r.Policy.Organization == "" {
		r.Policy.Organization = "its organization"
	}
	if p.GetNoPreviews() {
		r.Policy.Previews = new(bool)
	}
	for _, n := range []struct {
		said uint32
		into **int
	}{
		{p.GetLeaseMinutes(), &r.Policy.LeaseMinutes},
		{p.GetSessionMinutes(), &r.Policy.SessionMinutes},
		{p.GetPreviewSeconds(), &r.Policy.PreviewSeconds},
	} {
		if n.said != 0 {
			said := int(n.said)
			*n.into = &said
		}
	}
	if p.GetLimitsScopes() {
		r.Policy.Scopes = []Scope{}
		for _, s := range p.GetScopes() {
			if orielv1.Word(s) != "" {
				r.Policy.Scopes = append(r.Policy.Scopes, Scope(s))
			}
		}
	}
	for _, text := range p.GetHours() {
		h, err := hours.Parse(text)
		if err != nil {
			return Relay{}, err
		}
		r.Policy.Hours = append(r.Policy.Hours, h)
	}
	return r, r.Policy.check()
}

// LoadRelay reads the one that the data directory has for this computer; there may be
// none. Errors say what is wrong with the file, and where it is.
func LoadRelay(dir, computer string) (Relay, error) {
	path := filepath.Join(dir, RelayFile)
	b, err := identity.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Relay{}, nil
	}
	if err != nil {
		return Relay{}, fmt.Errorf("read the organization's policy: %w", err)
	}
	var r Relay
	if err = parse(b, &r); err == nil {
		err = r.Policy.check()
	}
	if err == nil && (r.Version <= 0 || r.ComputerID == "" || r.Policy.Organization == "") {
		err = errors.New("it does not say whose it is")
	}
	if err != nil {
		return Relay{}, fmt.Errorf("%s is damaged (%w); remove it, and the relay sends it again", path, err)
	}
	if r.ComputerID != computer {
		return Relay{}, nil
	}
	return r, nil
}

// Save writes r into the data directory.
func (r Relay) Save(dir string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = identity.WriteFile(filepath.Join(dir, RelayFile), append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("save the organization's policy: %w", err)
	}
	return nil
}

// With is s and what the relay said.
func (s Set) With(r Relay) Set {
	if r.Version == 0 {
		return s
	}
	return append(s[:len(s):len(s)], r.Policy)
}
