package session

import (
	"errors"
	"image"
	"slices"
	"testing"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/policy"
	orielv1 "oriel/protocol/oriel/v1"
)

// now puts scopes in force for a session, as a supplement that is newer than all before.
func (r *rig) now(id string, scopes ...orielv1.Scope) error {
	return r.host.supplement(&orielv1.Supplement{SessionId: id, Scopes: scopes, IssuedAt: r.host.session(id).newest() + 1})
}

func (s *session) newest() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issued
}

func (v *viewer) inForceNow(scopes ...orielv1.Scope) {
	v.t.Helper()
	v.wait("scopes in force", func(m *orielv1.FromDesktop) bool {
		return m.GetScopesInForce() != nil && slices.Equal(m.GetScopesInForce().GetScopes(), scopes)
	})
}

// Rule: control that is taken away stops at once: what is held is released, nothing more
// is done, and the viewer is told; given back, it goes on.
func TestControlIsTakenAwayAndGivenBack(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{}, on(p))
	v := r.ready(look{})
	v.hold(p)
	if err := r.now("s1", viewing); err != nil {
		t.Fatal(err)
	}
	if p.held() != 0 { // when it returns, not some time later
		t.Fatalf("%d things are held", p.held())
	}
	v.inForceNow(viewing)
	v.key(5, true)
	v.button(0, true, 1, 1)
	v.text("x")
	v.wait("denied", func(m *orielv1.FromDesktop) bool { return m.GetDenied().GetScope() == typing })
	v.sync()
	if p.held() != 0 {
		t.Errorf("%d things are held by who may only look on", p.held())
	}
	eventually(t, "it still sees a picture", func() bool { return v.luma(image.Rect(0, 0, 9, 9)) >= 0 })
	if err := r.now("s1", viewing, typing); err != nil {
		t.Fatal(err)
	}
	v.inForceNow(viewing, typing)
	v.key(6, true)
	v.sync()
	eventually(t, "a key is down again", func() bool { return p.held() == 1 })
	v.key(6, false)
	v.sync()
}

// Rule: what was let through just before control is taken away does not reach the
// desktop after it: the last door is the hands.
func TestBarredHandsDoNothing(t *testing.T) {
	p := newFakeDesktop(t)
	var h inputArbiter
	h.attach(p)
	var a, b holder
	for _, by := range []*holder{&a, &b} {
		if err := h.key(by, 4, true, shownLocks{}); err != nil {
			t.Fatal(err)
		}
	}
	a.barred.Store(true)
	h.releaseBarred(&a)
	_ = h.key(&a, 5, true, shownLocks{})
	_ = h.button(&a, desktop.Button(0), true, 1, 1)
	if p.held() != 1 {
		t.Errorf("%d held; only the other's key should be", p.held())
	}
	a.barred.Store(false)
	if err := h.key(&a, 5, true, shownLocks{}); err != nil || p.held() != 2 {
		t.Errorf("%d held, %v", p.held(), err)
	}
	h.releaseAll(&a, true)
	h.releaseAll(&b, true)
}

// Rule: a session takes no supplement that is not newer than what it has, none that
// would give it a picture or take it away, and none of another session.
func TestSupplementsThatAreNotTaken(t *testing.T) {
	r := start(t, Options{}, on(newFakeDesktop(t)))
	v := r.ready(look{})
	if err := r.now("s1", viewing); err != nil {
		t.Fatal(err)
	}
	v.inForceNow(viewing)
	issued := r.host.session("s1").newest()
	for name, c := range map[string]struct {
		s    *orielv1.Supplement
		want error
	}{
		"said again":    {&orielv1.Supplement{SessionId: "s1", Scopes: []orielv1.Scope{viewing, typing}, IssuedAt: issued}, errStale},
		"older":         {&orielv1.Supplement{SessionId: "s1", Scopes: []orielv1.Scope{viewing, typing}, IssuedAt: issued - 1}, errStale},
		"no picture":    {&orielv1.Supplement{SessionId: "s1", Scopes: []orielv1.Scope{typing}, IssuedAt: issued + 1}, errPicture},
		"nothing":       {&orielv1.Supplement{SessionId: "s1", IssuedAt: issued + 1}, errPicture},
		"not a session": {&orielv1.Supplement{SessionId: "s2", Scopes: []orielv1.Scope{viewing}, IssuedAt: issued + 1}, errNoSession},
	} {
		if err := r.host.supplement(c.s); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if s := r.host.session("s1"); s.newest() != issued || s.current().may(typing) {
		t.Error("one of them changed the session")
	}
}

// Rule: a grant that is older than a supplement that was taken, or than a newer grant, is
// not taken: control that was taken away does not come back with it. Only its attempt is
// over, and for its time, so that the relay signs another.
func TestAGrantOlderThanWhatIsInForceIsNotTaken(t *testing.T) {
	r := start(t, Options{}, on(newFakeDesktop(t)))
	v := r.ready(look{issued: 10})
	if err := r.now("s1", viewing); err != nil {
		t.Fatal(err)
	}
	v.inForceNow(viewing)
	old := func(attempt uint32, issued int64) {
		t.Helper()
		before := r.host.session("s1").current()
		r.join(look{attempt: attempt, issued: issued})
		eventually(t, "the attempt is over", func() bool { return r.attemptEnded("s1", attempt) == orielv1.Code_CODE_GRANT_EXPIRED })
		if s := r.host.session("s1"); s.current() != before || s.current().may(typing) {
			t.Errorf("a grant of %d is taken after %d", issued, s.newest())
		}
	}
	old(2, 10)
	r.ready(look{attempt: 3, issued: 20, viewOnly: true})
	old(4, 19)
	if s := r.host.session("s1"); s.newest() != 20 {
		t.Errorf("the newest is of %d", s.newest())
	}
}

// Rule: the local policy counts whatever a supplement says, and a scope that this agent
// does not know is not in force.
func TestSupplementsDoNotLoosenThePolicy(t *testing.T) {
	r := start(t, Options{Policy: policy.Set{{ViewOnly: true}}}, on(newFakeDesktop(t)))
	v := r.ready(look{})
	if err := r.now("s1", viewing, typing, terminal); err != nil {
		t.Fatal(err)
	}
	v.sync()
	if got := r.host.session("s1").current().scopes(); !slices.Equal(got, []orielv1.Scope{viewing}) {
		t.Errorf("in force: %v", got)
	}
}

// Rule: an agent says which scopes its sessions can have: its own two, and those of the
// kinds of channel that it has.
func TestCapabilities(t *testing.T) {
	got := Capabilities(nil)
	if !slices.Equal(got, []orielv1.Capability{orielv1.Capability_CAPABILITY_VIEW, orielv1.Capability_CAPABILITY_CONTROL}) {
		t.Errorf("%v", got)
	}
}
