package hub

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/protocol/wire"
	"oriel/relay/internal/access"
	"oriel/relay/internal/store"
)

// # Policies
//
// An agent that knows policies is told what holds for its computer: after Welcome, before
// its computer counts as connected, and again when something of its organization changed
// and it is another (package policy says how versions rise). It answers when it holds.

// instruction is what an agent was told.
type instruction struct {
	policy  *orielv1.ComputerPolicy // without version and time; nil: none was said by this connection
	version int64                   // that the agent has
}

// instruct tells the agent what its computer is to keep to, where that is not what it was
// told last.
func (a *agent) instruct(ctx context.Context) error {
	if !a.keeps {
		return nil
	}
	a.instructing.Lock()
	defer a.instructing.Unlock()
	p, err := a.h.o.Policies.ForAgent(ctx, a.Ref)
	if err != nil {
		return err
	}
	if p == nil {
		if a.told.version == 0 {
			return nil // it never had one
		}
		p = &orielv1.ComputerPolicy{ComputerId: a.ID}
	}
	if proto.Equal(p, a.told.policy) {
		return nil
	}
	m, now := proto.CloneOf(p), a.h.o.Now().UnixMilli()
	m.Version, m.IssuedAt = max(now, a.told.version+1), now
	signed, err := trust.SignPolicy(a.h.o.Signer, m)
	if err != nil {
		return err
	}
	a.told = instruction{p, m.GetVersion()}
	a.ask(&orielv1.BusAsk{Wait: true, Message: &orielv1.ToAgent{Body: &orielv1.ToAgent_Policy{Policy: signed}}}, func(code orielv1.Code, detail string) {
		if code != 0 && a.conn.Err() == nil {
			a.h.o.Log.Warn("an agent does not keep to its policy", "computer", a.ID, "version", m.GetVersion(), "code", code, "detail", detail)
		}
	})
	return nil
}

// instructed reports whether the agent has a policy.
func (a *agent) instructed() bool {
	a.instructing.Lock()
	defer a.instructing.Unlock()
	return a.told.version != 0
}

// anyPolicies reports whether an organization may have some.
func (h *Hub) anyPolicies(ctx context.Context, o store.OrganizationID) bool {
	ctx, cancel := context.WithTimeout(ctx, dbWithin)
	defer cancel()
	some, err := h.o.Policies.Any(ctx, o)
	return some || err != nil
}

// knowsPolicies notes what the agent says of policies.
func (a *agent) knowsPolicies(hello *orielv1.Hello) {
	a.keeps = slices.Contains(hello.GetCapabilities(), orielv1.Capability_CAPABILITY_POLICIES)
	a.told.version = min(max(0, hello.GetPolicyVersion()), math.MaxInt64/2)
}

// instructs are the organizations whose agents may have to be told something else.
type instructs struct {
	wake chan struct{}                 // capacity 1
	of   map[store.OrganizationID]bool // protected by Hub.mu
}

// policiesChanged notes that agents of an organization, of "" all, may have to keep to
// something else.
func (h *Hub) policiesChanged(c access.Change) {
	if c.SignInID != "" || c.PersonID != "" {
		return
	}
	h.mu.Lock()
	h.instructs.of[c.Organization] = true
	h.mu.Unlock()
	select {
	case h.instructs.wake <- struct{}{}:
	default:
	}
}

// instructAll tells agents what changed, until ctx ends.
func (h *Hub) instructAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.instructs.wake:
		}
		h.mu.Lock()
		of := h.instructs.of
		h.instructs.of = make(map[store.OrganizationID]bool)
		var all []*agent
		for a := range h.agents {
			if a.keeps && (of[""] || of[a.Organization]) {
				all = append(all, a)
			}
		}
		h.mu.Unlock()
		any := make(map[store.OrganizationID]bool)
		for _, a := range all {
			some, asked := any[a.Organization]
			if !asked {
				some = h.anyPolicies(ctx, a.Organization)
				any[a.Organization] = some
			}
			if !some && !a.instructed() {
				continue
			}
			within, cancel := context.WithTimeout(ctx, dbWithin)
			err := a.instruct(within)
			cancel()
			if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrNotFound) {
				// It learns it when it connects anew, which begins with that.
				h.o.Log.Warn("policy not told", "computer", a.ID, "err", fmt.Errorf("instruct: %w", err))
				_ = a.conn.CloseWith(wire.CloseTryAgain, "the relay could not say what this computer keeps to; connect again")
			}
		}
	}
}
