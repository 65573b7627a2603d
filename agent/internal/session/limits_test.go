package session

import (
	"slices"
	"testing"
	"time"

	"oriel/agent/internal/policy"
	"oriel/protocol/hours"
	orielv1 "oriel/protocol/oriel/v1"
)

func acme(p policy.Policy) policy.Set {
	p.Organization = "Acme"
	return policy.Set{{}, p}
}

// Rule: a policy that changes counts at once for a session that runs: what it may not do
// any more it loses, with what it holds down, and its viewer is told whose word that is;
// when the policy allows it again it has it again.
func TestKeepTakesControlAwayAndGivesItBack(t *testing.T) {
	desk := newFakeDesktop(t)
	r := start(t, Options{}, on(desk))
	v := r.ready(look{})
	v.key(4, true)
	v.sync()
	eventually(t, "a key is down", func() bool { return desk.held() == 1 })
	r.host.Keep(acme(policy.Policy{Scopes: []policy.Scope{policy.Scope(viewing)}}))
	v.inForceNow(viewing)
	eventually(t, "it is released", func() bool { return desk.held() == 0 })
	denied := v.wait("denied", func(m *orielv1.FromDesktop) bool { return m.GetDenied() != nil }).GetDenied()
	if denied.GetDetail() != "the policy of Acme lets this computer be watched only" || denied.GetScope() != typing {
		t.Errorf("told: %v", denied)
	}
	v.key(5, true)
	v.sync()
	if desk.held() != 0 {
		t.Error("a key in spite of the policy")
	}
	if err := r.now("s1", viewing, typing); err != nil { // the relay's word loosens nothing
		t.Fatal(err)
	}
	v.sync()
	if got := r.host.session("s1").current().scopes(); !slices.Equal(got, []orielv1.Scope{viewing}) {
		t.Errorf("in force: %v", got)
	}
	r.host.Keep(policy.Set{{}})
	v.inForceNow(viewing, typing)
	v.key(6, true)
	v.sync()
	eventually(t, "a key is down again", func() bool { return desk.held() == 1 })
}

// Rule: a session that the policy would not let begin any more ends, with a sentence.
func TestKeepEndsWhatIsForbidden(t *testing.T) {
	never, err := hours.Parse("00:00-00:01")
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for name, p := range map[string]policy.Policy{
		"no screen":  {Scopes: []policy.Scope{policy.Scope(terminal)}},
		"no session": {Scopes: []policy.Scope{}},
		"no hour":    {Hours: []hours.Hours{never}},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, Options{timing: timing{clock: func() time.Time { return noon }, closing: time.Millisecond}}, on(newFakeDesktop(t)))
			r.ready(look{id: "s1"})
			r.host.Keep(acme(p))
			e := r.expectEnd("s1", orielv1.EndReason_END_REASON_REFUSED, orielv1.Code_CODE_FORBIDDEN)
			if e.GetDetail() == "" {
				t.Error("without a word")
			}
			r.join(look{id: "s2"})
			r.expectEnd("s2", orielv1.EndReason_END_REASON_REFUSED, orielv1.Code_CODE_FORBIDDEN)
		})
	}
}

// Rule: previews go by the policy that holds now: off, and not more often than it says.
func TestKeepChangesPreviews(t *testing.T) {
	r := start(t, Options{}, on(newFakeDesktop(t)))
	r.host.Apply(&orielv1.Settings{PreviewSeconds: 60})
	seconds := 300
	for _, c := range []struct {
		limits policy.Set
		want   time.Duration
	}{{acme(policy.Policy{PreviewSeconds: &seconds}), 300 * time.Second}, {acme(policy.Policy{Previews: new(bool)}), 0}, {policy.Set{{}}, 60 * time.Second}} {
		r.host.Keep(c.limits)
		if every, _, _ := r.host.previewing(); every != c.want {
			t.Errorf("%s: every %v", c.limits, every)
		}
	}
}
