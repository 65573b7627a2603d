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
