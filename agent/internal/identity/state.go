package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"oriel/protocol/address"
	"oriel/protocol/trust"
)

// Bounds of the state.
const (
	MaxState  = 1 << 20 // bytes of the file
	MaxRelays = 16      // addresses given, and learned
	maxCA     = 512 << 10
)

// State is what enrollment left behind.
type State struct {
	Relays     []string          `json:"relays,omitempty"`      // as given by a person, in order
	Learned    []string          `json:"learned,omitempty"`     // as the relay said last, in order; see MayLearn
	RelayKey   ed25519.PublicKey `json:"relay_key,omitempty"`   // pinned; nil before enrollment
	Succession ed25519.PublicKey `json:"succession,omitempty"`  // pinned; says which RelayKey follows (trust.Follow); nil: none was told
	ComputerID string            `json:"computer_id,omitempty"` // empty before enrollment
	Membership []byte            `json:"membership,omitempty"`  // the relay's signature over this key and id; may be missing
	// Whose computer it is, and likewise the relay's signature over that, too; may be missing.
	Organization           string `json:"organization,omitempty"`
	OrganizationMembership []byte `json:"organization_membership,omitempty"`

	Token string `json:"token,omitempty"` // until it has been used
	CA    string `json:"ca,omitempty"`    // PEM

	pinned []string // hosts; see Identity.Pin
}

// Enrolled reports whether a relay has taken this computer in.
func (s State) Enrolled() bool { return s.ComputerID != "" }

// Memberships are the relay's words for this machine, of those versions that there are.
func (s State) Memberships() (all []trust.Membership) {
	if len(s.Membership) > 0 {
		all = append(all, trust.Membership{Computer: s.ComputerID, Signature: s.Membership})
	}
	if len(s.OrganizationMembership) > 0 {
		all = append(all, trust.Membership{Computer: s.ComputerID, Organization: s.Organization, Signature: s.OrganizationMembership})
	}
	return all
}

func (s *State) forgetMemberships() {
	s.Membership, s.Organization, s.OrganizationMembership = nil, "", nil
}

// Addresses are those to dial, the preferred first: what a person said, then
// what the relay said, as far as MayLearn lets it; of pinned hosts only, where
// some are.
func (s State) Addresses() []string {
	all := slices.Clone(s.Relays)
	for _, r := range s.Learned {
		if s.MayLearn(r) && !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	if len(s.pinned) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(r string) bool { return !slices.Contains(s.pinned, hostOf(r)) })
}

// Pin is s with Addresses of these hosts only (see Host); none: of all. Errors:
// one that says that no address is left.
func (s State) Pin(hosts []string) (State, error) {
	next := s.clone()
	next.pinned = slices.Clone(hosts)
	if len(next.Addresses()) == 0 && len(s.Addresses()) > 0 {
		return s, fmt.Errorf("no relay address is of the hosts that this computer's policy pins (%s); give one of them with --relay, or change the policy",
			strings.Join(hosts, ", "))
	}
	return next, nil
}

// With is s with what g says taken over. A token for another relay than the
// pinned one undoes the enrollment; nothing else does. What is given is sent over
// http to this machine only, unless g allows more; an enrolled computer keeps the
// address that it has. Errors: trust.ErrToken, address.ErrAddress, ErrExposed.
func (s State) With(g Given) (State, error) {
	next := s.clone()
	if len(g.Relays) > 0 {
		next.Relays = nil
		for _, r := range g.Relays {
			a, err := address.Parse(r)
			if err != nil {
				return s, err
			}
			if !slices.Contains(next.Relays, a.String()) {
				next.Relays = append(next.Relays, a.String())
			}
		}
		if !slices.Equal(next.Relays, s.Relays) { // a person's new word undoes the relay's
			next.Learned = nil
		}
	}
	if (len(g.Relays) > 0 || g.Token != "") && !g.AllowHTTP {
		for _, r := range next.Relays {
			if a, err := address.Parse(r); err == nil && a.Exposed() {
				return s, fmt.Errorf("%s is %w", r, ErrExposed)
			}
		}
	}
	if g.CA != "" {
		if !x509.NewCertPool().AppendCertsFromPEM([]byte(g.CA)) {
			return s, errors.New("the CA file holds no certificate in PEM form")
		}
		next.CA = g.CA
	}
	if g.Token != "" {
		token, err := trust.ParseToken(g.Token)
		if err != nil {
			return s, err
		}
		had, err := trust.ParseToken(next.Token)
		next.Token = token.String()
		if next.Enrolled() && !token.For(next.RelayKey) {
			next.RelayKey, next.Succession, next.ComputerID, next.Learned = nil, nil, "", nil
			next.forgetMemberships()
		}
		if !next.Enrolled() && (err != nil || !token.SameRelay(had)) { // what Renew left
			next.Succession = nil
		}
	}
	return next, next.check()
}

// ParseState reads a state file and checks it whole.
func ParseState(b []byte) (State, error) {
	var s State
	if len(b) > MaxState {
		return State{}, errors.New("too large")
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return State{}, err
	}
	for _, list := range [][]string{s.Relays, s.Learned} {
		for i, r := range list { // as an earlier version wrote them
			if a, err := address.Parse(r); err == nil {
				list[i] = a.String()
			}
		}
	}
	return s, s.check()
}

func (s State) check() error {
	for _, list := range [][]string{s.Relays, s.Learned} {
		if len(list) > MaxRelays {
			return fmt.Errorf("%d relay addresses, at most %d", len(list), MaxRelays)
		}
		for _, r := range list {
			if a, err := address.Parse(r); err != nil {
				return err
			} else if a.String() != r {
				return fmt.Errorf("%w: %q should be %q", address.ErrAddress, r, a)
			}
		}
	}
	if len(s.CA) > maxCA {
		return errors.New("the CA certificates are too large")
	}
	if (len(s.RelayKey) == 0) != (s.ComputerID == "") {
		return errors.New("half enrolled")
	}
	if len(s.RelayKey) != 0 && len(s.RelayKey) != ed25519.PublicKeySize {
		return errors.New("the relay's key has the wrong size")
	}
	if len(s.Succession) != 0 && len(s.Succession) != ed25519.PublicKeySize {
		return errors.New("the succession key has the wrong size")
	}
	if len(s.Membership) != 0 && len(s.Membership) != ed25519.SignatureSize {
		return errors.New("the relay's signature has the wrong size")
	}
	if len(s.OrganizationMembership) != 0 && len(s.OrganizationMembership) != ed25519.SignatureSize ||
		(len(s.OrganizationMembership) == 0) != (s.Organization == "") {
		return errors.New("what the relay signed of the organization is not whole")
	}
	if len(s.Organization) > 64 {
		return errors.New("the organization's id is too long")
	}
	if len(s.ComputerID) > 64 {
		return errors.New("the computer's id is too long")
	}
	if s.Token != "" {
		if _, err := trust.ParseToken(s.Token); err != nil {
			return err
		}
	}
	return nil
}

func (s State) encode() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

func (s State) clone() State {
	s.Relays = slices.Clone(s.Relays)
	s.Learned = slices.Clone(s.Learned)
	s.RelayKey = bytes.Clone(s.RelayKey)
	s.Succession = bytes.Clone(s.Succession)
	s.Membership = bytes.Clone(s.Membership)
	s.OrganizationMembership = bytes.Clone(s.OrganizationMembership)
	return s
}

func (s State) equal(other State) bool { return reflect.DeepEqual(s, other) }

func loadState(path string) (State, error) {
	b, err := ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("load state: %w", err)
	}
	s, err := ParseState(b)
	if err != nil {
		return State{}, fmt.Errorf("%s is damaged (%w); remove it and enroll this computer again", path, err)
	}
	return s, nil
}
