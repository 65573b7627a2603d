package session

import (
	"errors"
	"slices"

	"oriel/agent/internal/channel"
	orielv1 "oriel/protocol/oriel/v1"
)

// grant puts scopes in force instead of those before: what this agent knows how to do
// and its computer's own policy allows of them. Channels that need one which is gone
// end. It does not wait for the desktop: what is held is released by releaseBarred.
func (p *peer) grant(scopes []orielv1.Scope) {
	p.grants.Store(&scopes)
	limits := p.s.h.policy()
	var inForce []orielv1.Scope
	for _, s := range scopes {
		if limits.Forbids(s) != "" || !p.s.h.kinds.knows(s) {
			continue
		}
		inForce = append(inForce, s)
	}
	p.granted.Store(&inForce)
	p.holder.barred.Store(!slices.Contains(inForce, orielv1.Scope_SCOPE_CONTROL))
	p.endLacking()
	p.stateChanged()
}

// Capabilities are the scopes that sessions of a Host with those kinds of channel can
// have, as the wire says them.
func Capabilities(kinds []channel.Channel) (all []orielv1.Capability) {
	known := newRegistry(kinds)
	for n := range orielv1.Scope_name {
		if s := orielv1.Scope(n); s != 0 && known.knows(s) {
			all = append(all, orielv1.Capability(s))
		}
	}
	slices.Sort(all)
	return all
}

// What is wrong with a supplement.
var (
	errNoSession = errors.New("this session does not run here")
	errStale     = errors.New("something newer is in force; try again")
	errPicture   = errors.New("the picture cannot be given or taken away while a session runs")
)

// Supplement puts other scopes in force for a running session: all at once, whichever of
// its peer connections is meant. Keys and buttons that may not be held any more are
// released, and 300 ms are waited for that at most. Whoever calls has verified it; what
// comes of it is sent in reply to ask.
func (h *Host) Supplement(ask uint64, m *orielv1.Supplement) {
	out := &orielv1.FromAgent{ReplyTo: ask}
	if err := h.supplement(m); err != nil {
		out.Body = &orielv1.FromAgent_Fault{Fault: &orielv1.Fault{Code: orielv1.Code_CODE_INVALID, Detail: err.Error()}}
	}
	h.o.Send(out)
}

func (h *Host) supplement(m *orielv1.Supplement) error {
	s := h.session(m.GetSessionId())
	if s == nil {
		return errNoSession
	}
	released, err := s.supplement(m)
	for _, done := range released {
		waitBriefly(done)
	}
	return err
}

// supplement puts m's scopes in force, and begins to release what may not be held any more.
func (s *session) supplement(m *orielv1.Supplement) (released []<-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ending != nil:
		return nil, errNoSession
	case m.GetIssuedAt() <= s.issued:
		return nil, errStale
	}
	peers := slices.DeleteFunc([]*peer{s.peer, s.next}, func(p *peer) bool { return p == nil })
	if s.h.policy().Refuses(m.GetScopes()) != "" {
		return nil, errors.New(s.h.policy().Refuses(m.GetScopes()))
	}
	for _, p := range peers {
		if p.may(orielv1.Scope_SCOPE_VIEW) != slices.Contains(m.GetScopes(), orielv1.Scope_SCOPE_VIEW) {
			return nil, errPicture
		}
	}
	s.issued = m.GetIssuedAt()
	for _, p := range peers {
		p.grant(m.GetScopes())
		if !p.may(orielv1.Scope_SCOPE_CONTROL) {
			released = append(released, p.begin(p.releaseBarred))
		}
	}
	return released, nil
}

// scopes are those in force; not to be changed.
func (p *peer) scopes() []orielv1.Scope {
	if g := p.granted.Load(); g != nil {
		return *g
	}
	return nil
}

// given are the scopes that were granted, whatever the policy leaves of them; not to be
// changed.
func (p *peer) given() []orielv1.Scope {
	if g := p.grants.Load(); g != nil {
		return *g
	}
	return nil
}

// missing are those of had that now lacks.
func missing(had, now []orielv1.Scope) (lost []orielv1.Scope) {
	for _, s := range had {
		if !slices.Contains(now, s) {
			lost = append(lost, s)
		}
	}
	return lost
}

// may reports whether a scope is in force, now.
func (p *peer) may(s orielv1.Scope) bool { return slices.Contains(p.scopes(), s) }
