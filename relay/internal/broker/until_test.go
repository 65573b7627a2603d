package broker_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/page"
	"oriel/relay/internal/policy"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// as has somebody else open sessions, who was given these.
func (w *world) as(t *testing.T, grants ...store.Grant) {
	t.Helper()
	w.who, w.cookie = w.tabs.Member(t, store.RoleMember, grants...)
	w.tab = relaytest.OpenTab(t, w.tabs, w.cookie)
}

// Rule: a session that hours, an end or an approval allow ends on both sides as these do, whoever looks by the clock
// or not, and both are told why; its grant has said so to the agent from the beginning.
func TestSessionEndsAsItsTimeIsUp(t *testing.T) {
	var later atomic.Int64 // the clock is ahead by that much
	o := relaytest.NodeOptions{Ask: time.Hour, Recheck: time.Hour, Lifetime: time.Hour,
		Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }}
	for name, given := range map[string]func(w *world) (g store.Grant, until time.Time){
		"hours": func(w *world) (store.Grant, time.Time) {
			now := o.Now().UTC()
			until := now.Add(time.Hour).Truncate(time.Minute)
			hours := fmt.Sprintf(`{"zone":"UTC","windows":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"%s","to":"%s"}]}`,
				now.Add(-time.Hour).Format("15:04"), until.Format("15:04"))
			return store.Grant{Role: store.RoleOperator, ObjectKind: store.ObjectComputer, ObjectID: w.computer, Hours: hours}, until
		},
		"end": func(w *world) (store.Grant, time.Time) {
			until := o.Now().Add(time.Hour).Truncate(time.Millisecond)
			return store.Grant{Role: store.RoleOperator, ObjectKind: store.ObjectOrganization, UntilAt: until.UnixMilli()}, until
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, o, func(t *testing.T, w *world) {
				t.Cleanup(func() { later.Store(0) })
				g, until := given(w)
				w.as(t, g)
				attempt := w.tab.Open(w.computer, relaytest.Controlling, "")
				id := w.tab.Opened(attempt).GetSessionId()
				offer, grant := w.agent.Offer()
				if ends := time.UnixMilli(grant.GetEndsAt()); !ends.Equal(until) {
					t.Errorf("the grant ends at %v, want %v", ends, until)
				}
				w.agent.Answer(offer, grant)
				w.tab.Answer()
				w.agent.Report(id, 1000)
				w.row(t, id, "connected", func(e *orielv1.JournalEntry) bool { return e.GetConnectedAt() != 0 })
				later.Store(int64(time.Until(until) - 300*time.Millisecond))
				w.tabs.Access.Announce(access.Change{PersonID: "somebody else"}) // and nobody looks again by itself
				if end := w.agent.EndSession(id); end.GetReason() != orielv1.EndReason_END_REASON_TIME_UP {
					t.Errorf("the computer is told %v", end)
				}
				if end := w.tab.Ended(id); end.GetReason() != orielv1.EndReason_END_REASON_TIME_UP {
					t.Errorf("the tab is told %v", end)
				}
				w.row(t, id, "ended", endedBy(orielv1.EndReason_END_REASON_TIME_UP))
				w.tab.Open(w.computer, relaytest.Controlling, "")
				if p := w.tab.Problem(); p.GetCode() != orielv1.Code_CODE_FORBIDDEN {
					t.Errorf("opened again afterwards: %v", p)
				}
			})
		})
	}
}

// regrant gives somebody the same until another time, instead of what they were given
// before; zero: for good.
func (w *world) regrant(t *testing.T, until time.Time) {
	t.Helper()
	by, grants := audit.Command.Did("grant.made", "grant", ""), w.tabs.Store.Grants(store.FirstOrganization)
	before, err := grants.List(t.Context(), store.GrantFilter{}, page.Request{Limit: 100, Sort: "created_at"})
	g := store.Grant{ID: store.NewID(), SubjectKind: store.SubjectPerson, SubjectID: w.who.PersonID, Role: store.RoleOperator,
		ObjectKind: store.ObjectComputer, ObjectID: w.computer}
	if !until.IsZero() {
		g.UntilAt = until.UnixMilli()
	}
	if err == nil {
		err = grants.Add(t.Context(), by, g)
	}
	for _, g := range before.Items {
		if err == nil && g.SubjectID == w.who.PersonID {
			err = grants.Revoke(t.Context(), by, g.ID)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	w.tabs.Access.Announce(access.Change{PersonID: w.who.PersonID})
}

// Rule: an end that is moved while a session runs, later or earlier or away, is said to the agent at once, and again with
// each renewal and supplement, each newer than the word before; and the relay itself ends the session at the new one.
func TestTheEndOfASessionIsWhatRightsSayNow(t *testing.T) {
	var later atomic.Int64
	o := relaytest.NodeOptions{Ask: time.Hour, Recheck: time.Hour, Lifetime: time.Hour,
		Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }}
	each(t, o, func(t *testing.T, w *world) {
		t.Cleanup(func() { later.Store(0) })
		w.able(t, today...)
		hour := o.Now().Add(time.Hour).Truncate(time.Millisecond)
		w.as(t, store.Grant{Role: store.RoleOperator, ObjectKind: store.ObjectComputer, ObjectID: w.computer, UntilAt: hour.UnixMilli()})
		id, _ := w.session(t, relaytest.Watching)
		newest := w.renewed(t, w.agent, id).GetIssuedAt() // answers the report
		renewed := func(until time.Time) {
			t.Helper()
			r := w.renewed(t, w.agent, id)
			if !time.UnixMilli(r.GetEndsAt()).Equal(until) || r.GetIssuedAt() <= newest {
				t.Fatalf("renewed at %d until %v, want after %d until %v", r.GetIssuedAt(), time.UnixMilli(r.GetEndsAt()), newest, until)
			}
			newest = r.GetIssuedAt()
		}
		for _, until := range []time.Time{hour.Add(time.Hour), hour.Add(-30 * time.Minute), hour.Add(2 * time.Hour)} {
			w.regrant(t, until)
			renewed(until)
			w.agent.Report(id, 2000)
			renewed(until)
		}
		w.regrant(t, time.Time{})
		if r := w.renewed(t, w.agent, id); time.UnixMilli(r.GetEndsAt()).Before(o.Now().Add(rights.Horizon - time.Minute)) {
			t.Errorf("for good is until %v", time.UnixMilli(r.GetEndsAt()))
		}
		w.regrant(t, hour)
		renewed(hour)
		w.tab.Say(change(id, 1, relaytest.Controlling...))
		s := w.supplemented(t, nil)
		if !time.UnixMilli(s.GetEndsAt()).Equal(hour) || s.GetIssuedAt() <= newest {
			t.Errorf("supplemented at %d until %v", s.GetIssuedAt(), time.UnixMilli(s.GetEndsAt()))
		}
		sooner := o.Now().Add(300 * time.Millisecond)
		w.regrant(t, sooner)
		w.agent.EndSession(id) // nobody looks again by itself
		w.row(t, id, "ended", endedBy(orielv1.EndReason_END_REASON_TIME_UP))
	})
}

// Rule: the longest session of a policy counts likewise: as it is now, on both sides.
func TestThePolicysLongestSessionIsAsItIsNow(t *testing.T) {
	var later atomic.Int64
	o := relaytest.NodeOptions{Ask: time.Hour, Recheck: time.Hour, Lifetime: time.Hour,
		Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }}
	each(t, o, func(t *testing.T, w *world) {
		t.Cleanup(func() { later.Store(0) })
		version := int64(0)
		longest := func(minutes int) {
			t.Helper()
			p, err := w.tabs.Policies.Save(t.Context(), audit.Command, store.FirstOrganization,
				policy.Origin{Kind: store.ObjectComputer, ID: w.computer}, version, policy.Settings{SessionMinutes: &minutes})
			if err != nil {
				t.Fatal(err)
			}
			version = p.Version
		}
		longest(60)
		id, _ := w.session(t, relaytest.Controlling)
		began := time.UnixMilli(w.row(t, id, "there", func(*orielv1.JournalEntry) bool { return true }).GetStartedAt())
		ends := func(minutes int) {
			t.Helper()
			if r := w.renewed(t, w.agent, id); !time.UnixMilli(r.GetEndsAt()).Equal(began.Add(time.Duration(minutes) * time.Minute)) {
				t.Errorf("until %v, want %d minutes after %v", time.UnixMilli(r.GetEndsAt()), minutes, began)
			}
		}
		ends(60)
		for _, minutes := range []int{120, 30} {
			longest(minutes)
			ends(minutes)
		}
		later.Store(int64(time.Until(began.Add(30*time.Minute)) - 300*time.Millisecond))
		w.tabs.Access.Announce(access.Change{PersonID: "somebody else"})
		w.agent.EndSession(id)
		w.row(t, id, "ended", endedBy(orielv1.EndReason_END_REASON_TIME_UP))
	})
}

// Rule: who opens a session needs, for each of its scopes, the permission that the scope is about, and none else.
func TestEachScopeNeedsItsPermission(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	w := start(t, n, n)
	capabilities := []orielv1.Capability{orielv1.Capability_CAPABILITY_SUPPLEMENTS}
	for s := range orielv1.Scope_name {
		if s != 0 {
			capabilities = append(capabilities, orielv1.Capability(s))
		}
	}
	w.able(t, capabilities...)
	for s, name := range orielv1.Scope_name {
		if s == 0 {
			continue
		}
		word := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "SCOPE_")), "_", ".")
		if word == "view" {
			word = "connect"
		}
		needed, err := rights.Parse(word)
		if err != nil {
			t.Fatal(err)
		}
		for _, may := range []rights.Permission{needed | rights.Connect, rights.Everything &^ needed} {
			role := store.Role{ID: store.NewID(), Name: store.NewID(), Permissions: may.String()}
			if err := n.Store.Roles(store.FirstOrganization).Add(t.Context(), audit.Command.Did("role.made", "role", role.ID), role); err != nil {
				t.Fatal(err)
			}
			w.as(t, store.Grant{Role: role.ID, ObjectKind: store.ObjectOrganization})
			attempt := w.tab.Open(w.computer, []orielv1.Scope{orielv1.Scope(s)}, "")
			if may&needed != 0 {
				w.tab.Close(w.tab.Opened(attempt).GetSessionId())
				w.agent.Offer()
			} else if p := w.tab.Problem(); p.GetCode() != orielv1.Code_CODE_FORBIDDEN {
				t.Errorf("%s without %s: %v", name, needed, p)
			}
		}
	}
}
