package broker_test

import (
	"slices"
	"strings"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/relaytest"
)

func change(session string, ask uint32, wanted ...orielv1.Scope) *orielv1.FromConsole {
	return &orielv1.FromConsole{Id: ask, Body: &orielv1.FromConsole_ChangeScopes{ChangeScopes: &orielv1.ChangeScopes{SessionId: session, Wanted: wanted}}}
}

// able makes w's computer one whose agent can do this.
func (w *world) able(t *testing.T, capabilities ...orielv1.Capability) {
	t.Helper()
	w.machine.Hello.Capabilities = capabilities
	_ = w.agent.Conn.Close()
	relaytest.Until(t, "offline", func() bool { // else an offer may go to the connection that is gone
		c, err := w.tabs.Fleet.Get(t.Context(), relaytest.Own(w.computer))
		return err == nil && c.GetStatus() == orielv1.Computer_STATUS_OFFLINE
	})
	w.agent = w.machine.Connect(t, w.agents, "")
}

var today = []orielv1.Capability{orielv1.Capability_CAPABILITY_VIEW, orielv1.Capability_CAPABILITY_CONTROL, orielv1.Capability_CAPABILITY_SUPPLEMENTS}

// supplemented answers the next supplement as an agent does.
func (w *world) supplemented(t *testing.T, fault *orielv1.Fault) *orielv1.Supplement {
	t.Helper()
	m := w.agent.Take("supplement", func(m *orielv1.ToAgent) bool { return m.GetSupplement() != nil })
	s, err := w.agent.Verifier.VerifySupplement(m.GetSupplement())
	if err != nil {
		t.Fatal(err)
	}
	out := &orielv1.FromAgent{ReplyTo: m.GetId()}
	if fault != nil {
		out.Body = &orielv1.FromAgent_Fault{Fault: fault}
	}
	w.agent.Say(out)
	return s
}

// Rule: scopes are taken away from a running session and added to it by a supplement
// that the relay signs, each newer than the one before; the journal keeps all that the
// session had, the audit who added and took what.
func TestScopesChangeInMidSession(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		w.able(t, today...)
		id, _ := w.session(t, relaytest.Controlling)
		both, view := relaytest.Controlling, relaytest.Watching
		var issued int64
		for i, wanted := range [][]orielv1.Scope{view, both, view} {
			w.tab.Say(change(id, uint32(i+1), wanted...))
			s := w.supplemented(t, nil)
			if s.GetSessionId() != id || !slices.Equal(s.GetScopes(), wanted) || s.GetIssuedAt() <= issued {
				t.Fatalf("the agent is told %v after %d", s, issued)
			}
			issued = s.GetIssuedAt()
			relaytest.Until(t, "the journal knows", func() bool {
				e, err := w.tabs.Journal.Find(t.Context(), relaytest.Own(id))
				return err == nil && slices.Equal(e.Now, wanted)
			})
		}
		e := w.row(t, id, "still there", func(*orielv1.JournalEntry) bool { return true })
		if !slices.Equal(e.GetScopes(), both) || e.GetMode() != orielv1.Mode_MODE_CONTROL {
			t.Errorf("the journal says %v", e)
		}
		all, said := w.audited(t, audit.SessionScopes, id), ""
		for _, e := range all {
			said += "+" + e.Details["added"] + " -" + e.Details["taken"] + " "
			if e.ActorID != w.who.PersonID || e.Details["computer"] != w.computer {
				t.Errorf("by %+v", e)
			}
		}
		if said != "+ -control +control - + -control " {
			t.Errorf("the audit says %q", said)
		}
		// What it has it goes on with over a new connection, and not with more.
		more := w.tab.Open(w.computer, both, id)
		if p := w.tab.Problem(); p.GetAttempt() != more || p.GetCode() != orielv1.Code_CODE_FORBIDDEN {
			t.Errorf("more than it has: %v", p)
		}
		if o := w.tab.Opened(w.tab.Open(w.computer, view, id)); !slices.Equal(o.GetScopes(), view) {
			t.Errorf("it goes on with %v", o.GetScopes())
		}
	})
}

// Rule: a change of scopes that does not come about is a Problem that names the ask, and
// says what to update.
func TestScopesThatCannotChange(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	w := start(t, n, n)
	view, control := relaytest.Watching[0], relaytest.Controlling[1]
	id, _ := w.session(t, relaytest.Watching)
	refused := func(what string, code orielv1.Code, words string, m *orielv1.FromConsole) {
		t.Helper()
		w.tab.Say(m)
		if p := w.tab.Problem(); p.GetReplyTo() != m.GetId() || p.GetCode() != code || !strings.Contains(p.GetDetail(), words) {
			t.Errorf("%s: %v", what, p)
		}
	}
	refused("an agent from before supplements", orielv1.Code_CODE_UNIMPLEMENTED, "update the agent", change(id, 1, view, control))
	w.able(t, today...)
	id, _ = w.session(t, relaytest.Watching)
	refused("the picture", orielv1.Code_CODE_INVALID, "open another", change(id, 2, control))
	refused("nothing", orielv1.Code_CODE_INVALID, "say what the session is for", change(id, 3))
	refused("a scope that the relay does not know", orielv1.Code_CODE_UNIMPLEMENTED, "this relay cannot", change(id, 4, view, 31))
	refused("no session", orielv1.Code_CODE_NOT_FOUND, "", change("01a22c5b-e16f-7d8b-81bc-e7c961985ba3", 5, view))
	w.tab.Say(change(id, 6, view, control))
	w.supplemented(t, &orielv1.Fault{Code: orielv1.Code_CODE_INVALID, Detail: "something newer is in force"})
	if p := w.tab.Problem(); p.GetReplyTo() != 6 || !strings.Contains(p.GetDetail(), "something newer is in force") {
		t.Errorf("the agent's refusal: %v", p)
	}
}

// Rule: what a computer's agent cannot do is refused as the session is asked for, with
// what to update; an agent from before capabilities can do what it could.
func TestScopesThatAnAgentDoesNotServe(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	w := start(t, n, n)
	w.session(t, relaytest.Controlling) // no capabilities at all
	w.able(t, orielv1.Capability_CAPABILITY_VIEW)
	attempt := w.tab.Open(w.computer, relaytest.Controlling, "")
	if p := w.tab.Problem(); p.GetAttempt() != attempt || p.GetCode() != orielv1.Code_CODE_UNIMPLEMENTED || !strings.Contains(p.GetDetail(), "update the agent") {
		t.Errorf("%v", p)
	}
	c, err := n.Fleet.Get(t.Context(), relaytest.Own(w.computer))
	if err != nil || !slices.Equal(c.GetCapabilities(), w.machine.Hello.GetCapabilities()) {
		t.Errorf("the computer is kept with %v (%v)", c.GetCapabilities(), err)
	}
}

// Rule: what an agent could not do is asked of it again, though the journal says
// already that the session may.
func TestAFailedChangeIsTriedAgain(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		w.able(t, today...)
		id, _ := w.session(t, relaytest.Watching)
		w.tab.Say(change(id, 1, relaytest.Controlling...))
		w.supplemented(t, &orielv1.Fault{Code: orielv1.Code_CODE_INVALID, Detail: "something newer is in force; try again"})
		w.tab.Take("problem", func(m *orielv1.ToConsole) bool { return m.GetProblem().GetReplyTo() == 1 })
		w.tab.Say(change(id, 2, relaytest.Controlling...))
		if s := w.supplemented(t, nil); !slices.Equal(s.GetScopes(), relaytest.Controlling) {
			t.Errorf("the agent is told %v", s)
		}
	})
}

// Rule: a session that goes on with fewer scopes has those before, and needs their
// rights, until its agent has answered: the old connection may still be there.
func TestFewerScopesCountOnceAnswered(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		id, _ := w.session(t, relaytest.Controlling)
		now := func() []orielv1.Scope {
			e, err := w.tabs.Journal.Find(t.Context(), relaytest.Own(id))
			if err != nil {
				t.Fatal(err)
			}
			return e.Now
		}
		w.tab.Open(w.computer, relaytest.Watching, id)
		o, g := w.agent.Offer()
		if !slices.Equal(g.GetScopes(), relaytest.Watching) || !slices.Equal(now(), relaytest.Controlling) {
			t.Fatalf("granted %v, the journal says %v", g.GetScopes(), now())
		}
		w.agent.Answer(o, g)
		w.tab.Answer()
		if !slices.Equal(now(), relaytest.Watching) {
			t.Errorf("after the answer the journal says %v", now())
		}
	})
}

// Rule: a computer that takes long to answer a change of scopes holds up nothing else of
// its tab. One change of a session is under way; of those asked for meanwhile the newest
// follows, and the others are refused.
func TestAChangeHoldsUpNothingElse(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	w := start(t, n, n)
	w.able(t, today...)
	id, attempt := w.session(t, relaytest.Watching)
	other, _ := w.session(t, relaytest.Watching)
	asked := func(m *orielv1.ToAgent) bool { return m.GetSupplement() != nil }
	w.tab.Say(change(id, 1, relaytest.Controlling...))
	hangs := w.agent.Take("supplement", asked)
	w.tab.Say(change(id, 2, relaytest.Controlling...))
	w.tab.Say(change(id, 3, relaytest.Watching...))
	if p := w.tab.Problem(); p.GetReplyTo() != 2 || p.GetCode() != orielv1.Code_CODE_BUSY {
		t.Errorf("the second one: %v", p)
	}
	w.tab.Candidate(attempt, id, "meanwhile")
	if c := w.agent.Candidate(); c.GetCandidate() != "meanwhile" {
		t.Error(c)
	}
	w.tab.Say(change(other, 4, relaytest.Controlling...)) // of another session
	if s := w.supplemented(t, nil); s.GetSessionId() != other || w.agent.Has(asked) {
		t.Errorf("asked for %v, or for two at once", s)
	}
	w.agent.Say(&orielv1.FromAgent{ReplyTo: hangs.GetId()})
	if s := w.supplemented(t, nil); s.GetSessionId() != id || !slices.Equal(s.GetScopes(), relaytest.Watching) {
		t.Errorf("then came %v", s)
	}
}

// Rule: only the tab that has a session changes its scopes.
func TestScopesAreChangedByTheTabThatHasTheSession(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	w := start(t, n, n)
	w.able(t, today...)
	id, _ := w.session(t, relaytest.Watching)
	second := relaytest.OpenTab(t, n, w.cookie)
	second.Say(change(id, 1, relaytest.Controlling...))
	if p := second.Problem(); p.GetReplyTo() != 1 || p.GetCode() != orielv1.Code_CODE_BUSY || p.GetSessionId() != id {
		t.Errorf("another tab: %v", p)
	}
	second.Say(&orielv1.FromConsole{Body: &orielv1.FromConsole_AttachSession{AttachSession: &orielv1.AttachSession{SessionId: id}}})
	second.Say(change(id, 2, relaytest.Controlling...))
	w.supplemented(t, nil)
}
