// Package policy is what agents and people of an organization have to keep to.
//
// # Inheritance
//
// A policy is on an organization, a group or a computer, and says some settings. For a
// computer the nearest policy that says a setting counts: its own, then those of its
// groups from the inside out, then the organization's (Merge). So a group may also allow
// what the organization forbids; the computer's own local policy nothing here loosens.
// Settings for people are the organization's alone.
//
// # Hours
//
// Hours of a policy are by the computer's own clock and time zone, and only the agent
// knows these: office hours of a fleet are those of each office, and a relay whose clock
// is wrong opens nothing. Hours of a grant are the operator's, and of a zone of their own
// (package rights).
//
// # For agents
//
// What holds for a computer is sent to its agent, signed (trust.SignPolicy). Its version
// is the relay's time in Unix milliseconds, or one more than that of the policy that the
// agent has, as it said in Hello, if that is later: so it rises for the computer whichever
// policy on its way changed, was removed, or is another because a group moved, whichever
// node sends it, and after a database was restored. One node at a time holds a computer's
// connection, and there one goroutine reads, signs and sends.
//
// # Changes
//
// A change is told by access.Announce for the organization; nodes then look again.
package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
)

// Origin is whose policy says something.
type Origin struct {
	Kind string `json:"kind" doc:"organization, group or computer"`
	ID   string `json:"id" doc:"Empty: the organization."`
}

// Effective is what holds for a computer, and whose each setting is.
type Effective struct {
	Settings
	Origins map[string]Origin // by the setting's name
}

// Merge is what holds of policies that are in order, the nearest last.
func Merge(all []store.Policy) (Effective, error) {
	e := Effective{Origins: map[string]Origin{}}
	for _, p := range all {
		s, err := Parse(p.Settings)
		if err != nil {
			return Effective{}, fmt.Errorf("policy of %s %q: %w", p.ObjectKind, p.ObjectID, err)
		}
		for _, one := range settings {
			if one.said(&s) {
				one.take(&e.Settings, &s)
				e.Origins[one.name] = Origin{p.ObjectKind, p.ObjectID}
			}
		}
	}
	return e, nil
}

// Policy is one, as it is shown.
type Policy struct {
	Origin
	Version   int64
	Settings  Settings
	ChangedAt int64 // Unix milliseconds
}

// Options of New; all are needed but Log and Now.
type Options struct {
	Store    *store.Store
	Announce func(store.OrganizationID) // access.Announce: computers of the organization keep to others now
	Log      *slog.Logger
	Now      func() time.Time
}

// Policies are those of all organizations. Its methods may be called from any goroutine.
type Policies struct{ o Options }

// New makes the room.
func New(o Options) *Policies {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Policies{o}
}

func shown(row store.Policy) (Policy, error) {
	s, err := Parse(row.Settings)
	return Policy{Origin{row.ObjectKind, row.ObjectID}, row.Version, s, row.ChangedAt}, err
}

// List is a page of the organization's.
func (p *Policies) List(ctx context.Context, o store.OrganizationID, r page.Request) (page.Page[Policy], error) {
	rows, err := p.o.Store.Policies(o).List(ctx, r)
	if err != nil {
		return page.Page[Policy]{}, fmt.Errorf("list policies: %w", err)
	}
	out := page.Page[Policy]{Next: rows.Next}
	for _, row := range rows.Items {
		one, err := shown(row)
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, one)
	}
	return out, nil
}

// Get is the one on an object; the zero version says nothing yet. Errors: those of the store.
func (p *Policies) Get(ctx context.Context, o store.OrganizationID, on Origin) (Policy, error) {
	row, err := p.o.Store.Policies(o).Get(ctx, on.Kind, on.ID)
	if errors.Is(err, store.ErrNotFound) {
		return Policy{Origin: on}, nil
	}
	if err != nil {
		return Policy{}, fmt.Errorf("look up a policy: %w", err)
	}
	return shown(row)
}

// ErrMoved: somebody else changed the policy first.
var ErrMoved = store.ErrConflict.Saying("somebody else changed this policy meanwhile; look at what it says now, and change that")

// Save replaces the one on an object whose version was version; 0: there was none. Errors:
// ErrMoved, store.ErrNotFound, fault.Field.
func (p *Policies) Save(ctx context.Context, by audit.Actor, o store.OrganizationID, on Origin, version int64, s Settings) (Policy, error) {
	if err := s.Check(on.Kind); err != nil {
		return Policy{}, err
	}
	text, err := s.Encode()
	if err != nil {
		return Policy{}, err
	}
	before, err := p.Get(ctx, o, on)
	if err != nil {
		return Policy{}, err
	}
	if before.Version != version {
		if _, err := p.Above(ctx, o, on); err != nil { // there is no such object any more
			return Policy{}, err
		}
		return Policy{}, ErrMoved
	}
	// The audit says what changes: of that version, or nothing is saved.
	was, is := changed(before.Settings, s)
	wasText, err := was.Encode()
	if err != nil {
		return Policy{}, err
	}
	isText, err := is.Encode()
	if err != nil {
		return Policy{}, err
	}
	entry := by.Did(audit.PolicyChanged, on.Kind, on.ID, "settings", isText, "settings_before", wasText)
	row, err := p.o.Store.Policies(o).Put(ctx, entry, store.Policy{ObjectKind: on.Kind, ObjectID: on.ID,
		Version: version, Settings: text, ChangedAt: p.o.Now().UnixMilli()})
	if errors.Is(err, store.ErrConflict) {
		err = ErrMoved
	}
	if err != nil {
		return Policy{}, fmt.Errorf("save a policy: %w", err)
	}
	p.o.Log.Info("policy changed", "organization", o, "on", on.Kind, "id", on.ID, "version", row.Version)
	p.o.Announce(o)
	return shown(row)
}

// Allow adds a network to those from which an organization lets its members in, and
// returns them all. added is false where it is within one of them, and where there are
// none: everybody is let in then, and a first one would shut the others out. Errors: as Save.
func (p *Policies) Allow(ctx context.Context, by audit.Actor, o store.OrganizationID, network string) (all []string, added bool, err error) {
	n, err := parseNetwork(network)
	if err != nil {
		return nil, false, fault.Field("network", err.Error())
	}
	now, err := p.Get(ctx, o, Origin{Kind: store.ObjectOrganization})
	if err != nil {
		return nil, false, err
	}
	s := now.Settings
	if len(s.AllowedAddresses) == 0 || s.allowsAll(n) {
		return s.AllowedAddresses, false, nil
	}
	s.AllowedAddresses = append(slices.Clone(s.AllowedAddresses), n.String())
	now, err = p.Save(ctx, by, o, now.Origin, now.Version, s)
	return now.Settings.AllowedAddresses, err == nil, err
}

// Remove takes away the one on an object whose version was version; 0: whichever. Errors: ErrMoved,
// store.ErrNotFound.
func (p *Policies) Remove(ctx context.Context, by audit.Actor, o store.OrganizationID, on Origin, version int64) error {
	err := p.o.Store.Policies(o).Remove(ctx, by.Did(audit.PolicyRemoved, on.Kind, on.ID), on.Kind, on.ID, version)
	if errors.Is(err, store.ErrConflict) {
		err = ErrMoved
	}
	if err != nil {
		return fmt.Errorf("remove a policy: %w", err)
	}
	p.o.Log.Info("policy removed", "organization", o, "on", on.Kind, "id", on.ID)
	p.o.Announce(o)
	return nil
}

// Above is what an object inherits: what holds of the policies around it, without its own.
// Errors: store.ErrNotFound.
func (p *Policies) Above(ctx context.Context, o store.OrganizationID, on Origin) (Effective, error) {
	var groups []string
	var err error
	switch on.Kind {
	case store.ObjectOrganization:
		return Merge(nil)
	case store.ObjectGroup:
		var g store.Group
		g, err = p.o.Store.Groups(o).Get(ctx, on.ID)
		groups = g.Upwards()[min(1, len(g.Upwards())):]
	default:
		groups, err = p.o.Store.Computers(o).Place(ctx, on.ID)
	}
	if err != nil {
		return Effective{}, fmt.Errorf("look up where something is: %w", err)
	}
	slices.Reverse(groups)
	way := []Origin{{Kind: store.ObjectOrganization}}
	for _, id := range groups {
		way = append(way, Origin{store.ObjectGroup, id})
	}
	var all []store.Policy
	for _, at := range way {
		row, err := p.o.Store.Policies(o).Get(ctx, at.Kind, at.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return Effective{}, fmt.Errorf("look up a policy: %w", err)
		}
		all = append(all, row)
	}
	return Merge(all)
}

// For is what holds for a computer. Errors: store.ErrNotFound.
func (p *Policies) For(ctx context.Context, c store.Ref) (Effective, error) {
	all, err := p.o.Store.Policies(c.Organization).OnTheWay(ctx, c.ID)
	if err != nil {
		return Effective{}, fmt.Errorf("policy of computer %.64q: %w", c.ID, err)
	}
	return Merge(all)
}

// Any reports whether the organization has policies at all.
func (p *Policies) Any(ctx context.Context, o store.OrganizationID) (bool, error) {
	rows, err := p.o.Store.Policies(o).List(ctx, page.Request{Sort: "changed_at", Limit: 1})
	return len(rows.Items) > 0, err
}

// ForAgent is what a computer's agent is to keep to, without version and time; nil: none
// of what holds is for agents. Errors: store.ErrNotFound.
func (p *Policies) ForAgent(ctx context.Context, c store.Ref) (*orielv1.ComputerPolicy, error) {
	e, err := p.For(ctx, c)
	if err != nil {
		return nil, err
	}
	m := wire(&e.Settings)
	if proto.Equal(m, &orielv1.ComputerPolicy{}) {
		return nil, nil
	}
	o, err := p.o.Store.Organizations().Get(ctx, c.Organization)
	if err != nil {
		return nil, fmt.Errorf("look up an organization: %w", err)
	}
	m.ComputerId, m.Organization = c.ID, &orielv1.Organization{Id: string(o.ID), Name: sanitize.Line(o.Name, 256)}
	return m, nil
}

// wire is what s says to agents.
func wire(s *Settings) *orielv1.ComputerPolicy {
	yes := func(b *bool) bool { return b != nil && *b }
	n := func(v *int) uint32 {
		if v == nil {
			return 0
		}
		return uint32(*v)
	}
	m := &orielv1.ComputerPolicy{Consent: yes(s.Consent), NoPreviews: s.Previews != nil && !*s.Previews, PreviewSeconds: n(s.PreviewSeconds),
		SessionMinutes: n(s.SessionMinutes), LeaseMinutes: n(s.LeaseMinutes), Hours: slices.Clone(s.Hours), LimitsScopes: s.Scopes != nil}
	for _, word := range s.Scopes {
		m.Scopes = append(m.Scopes, orielv1.FromWord[orielv1.Scope](word))
	}
	m.Scopes = orielv1.SortScopes(m.Scopes)
	return m
}
