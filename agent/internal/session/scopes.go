package session

import (
	"slices"

	orielv1 "oriel/protocol/oriel/v1"
)

// grant puts scopes in force instead of those before: what this agent knows how to do
// and its computer's own policy allows of them. Channels that need one which is gone
// end.
func (p *peer) grant(scopes []orielv1.Scope) {
	var inForce []orielv1.Scope
	for _, s := range scopes {
		if s == orielv1.Scope_SCOPE_CONTROL && p.s.h.o.Policy.NoControl() != "" || !p.s.h.kinds.knows(s) {
			continue
		}
		inForce = append(inForce, s)
	}
	p.granted.Store(&inForce)
	p.endLacking()
}

// scopes are those in force; not to be changed.
func (p *peer) scopes() []orielv1.Scope {
	if g := p.granted.Load(); g != nil {
		return *g
	}
	return nil
}

// may reports whether a scope is in force, now.
func (p *peer) may(s orielv1.Scope) bool { return slices.Contains(p.scopes(), s) }
