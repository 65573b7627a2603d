package broker_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/broker"
	"oriel/relay/internal/relaytest"
)

// namedICE are servers whose user name says for whom, and for what, they are.
func namedICE(id, scope string, _ time.Time) []*orielv1.IceServer {
	return []*orielv1.IceServer{{Urls: []string{"turn:127.0.0.1:3478"}, Username: "turn:" + id + ":" + scope}}
}

// iceUser waits for the next servers that the tab is told.
func (w *world) iceUser() string {
	return w.tab.Take("ICE servers", func(m *orielv1.ToConsole) bool { return m.GetIceServers() != nil }).GetIceServers().GetIceServers()[0].GetUsername()
}

// credit is whose credentials of that user name are, as TURN reads it.
func credit(user string) broker.Credit {
	part := strings.SplitN(user, ":", 3)
	return broker.Credit{ID: part[1], Scope: part[2]}
}

// over waits until every node says that those of all are over, and no others.
func (w *world) over(t *testing.T, what string, all []broker.Credit, want ...broker.Credit) {
	t.Helper()
	for _, n := range []*relaytest.Node{w.tabs, w.agents} {
		var got []broker.Credit
		var err error
		relaytest.Until(t, what, func() bool {
			got, err = n.Broker.Over(t.Context(), all)
			return err == nil && slices.Equal(got, want)
		})
	}
}

// openAs opens a session by a connection with those ICE credentials, up to the offer.
func (w *world) openAs(t *testing.T, tab *relaytest.Tab, user string) (session string) {
	t.Helper()
	id := tab.Opened(tab.OpenAs(w.computer, relaytest.Watching, "", user)).GetSessionId()
	w.agent.Offer()
	return id
}

// Rule: a tab's TURN credentials are of the session that it opens with them, on every
// node, and die with it while its sign-in lives; those of another session do not.
func TestTicketsDieWithTheirSession(t *testing.T) {
	var later atomic.Int64
	o := relaytest.NodeOptions{ICE: namedICE, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }}
	each(t, o, func(t *testing.T, w *world) {
		defer later.Store(0) // the next world begins by the right time
		one := w.tab.Welcome.GetIceServers()[0].GetUsername()
		first := w.openAs(t, w.tab, one)
		two := w.iceUser() // said without being asked for
		w.openAs(t, w.tab, two)
		three := w.iceUser()
		all := []broker.Credit{credit(one), credit(two), credit(three)}
		for _, n := range []*relaytest.Node{w.tabs, w.agents} {
			relaytest.Until(t, "all nodes to know whose they are", func() bool {
				return !n.Broker.Loose(credit(one)) && !n.Broker.Loose(credit(two))
			})
			if !n.Broker.Loose(credit(three)) {
				t.Error("one that nobody uses is taken for somebody's")
			}
		}
		w.over(t, "none over", all)

		w.tab.Close(first)
		w.over(t, "the first over", all, credit(one))

		// Nobody used the third in time.
		later.Store(int64(broker.TicketLife + time.Minute))
		w.over(t, "the unused over", all, credit(one), credit(three))
		for _, n := range []*relaytest.Node{w.tabs, w.agents} {
			broker.SweepTickets(n.Broker, t.Context())
		}
		w.over(t, "the same after a sweep", all, credit(one), credit(three))

		w.forget(t, w.cookie)
		w.over(t, "all over without the sign-in", all, all...)
	})
}

// Rule: a ticket is of one session, and of its own sign-in.
func TestTicketsAreUsedOnce(t *testing.T) {
	each(t, relaytest.NodeOptions{ICE: namedICE}, func(t *testing.T, w *world) {
		user := w.tab.Welcome.GetIceServers()[0].GetUsername()
		id := w.openAs(t, w.tab, user)
		w.iceUser()
		for _, again := range []string{user, "99:somebody:" + strings.TrimPrefix(user, "turn:"+w.who.PersonID+":")} {
			w.tab.OpenAs(w.computer, relaytest.Watching, "", again)
			if p := w.tab.Problem(); p.GetCode() != orielv1.Code_CODE_BUSY || !strings.Contains(p.GetDetail(), "another session") {
				t.Error(p)
			}
			w.iceUser() // with which it will do
		}
		// The same session goes on with it.
		if got := w.tab.Opened(w.tab.OpenAs(w.computer, relaytest.Watching, id, user)).GetSessionId(); got != id {
			t.Error(got)
		}
		w.agent.Offer()
		w.iceUser()

		// Another sign-in of the same person names it: it has its own session, and nothing of that ticket.
		_, cookie := w.tabs.Owner(t)
		other := relaytest.OpenTab(t, w.tabs, cookie)
		theirs := w.openAs(t, other, user)
		other.Close(theirs)
		w.row(t, theirs, "ended", endedBy(orielv1.EndReason_END_REASON_OPERATOR))
		w.over(t, "none over", []broker.Credit{credit(user)})
		w.tab.Close(id)
		w.over(t, "over with its own session", []broker.Credit{credit(user)}, credit(user))

		// What is no ticket is none.
		for _, user := range []string{"turn:" + w.who.PersonID, "1:a:" + broker.TicketScope, "1:a:" + broker.TicketScope + "s/9-x/y",
			"1:a:" + broker.TicketScope + "s/x-y", "1:a:" + broker.SessionScope + id} {
			w.openAs(t, w.tab, user)
			if w.tab.Has(func(m *orielv1.ToConsole) bool { return m.GetIceServers() != nil }) {
				t.Errorf("%q was taken for a ticket", user)
			}
		}
	})
}

// Rule: a page from before tickets, which names none, opens its session with the one
// that it was told last, so that the session is not cut off when that expires.
func TestTicketsOfOlderPages(t *testing.T) {
	var later atomic.Int64
	o := relaytest.NodeOptions{ICE: namedICE, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }}
	each(t, o, func(t *testing.T, w *world) {
		defer later.Store(0) // the next world begins by the right time
		one := w.tab.Welcome.GetIceServers()[0].GetUsername()
		first := w.openAs(t, w.tab, "")
		two := w.iceUser()
		w.openAs(t, w.tab, "")
		w.iceUser()
		all := []broker.Credit{credit(one), credit(two)}
		for _, n := range []*relaytest.Node{w.tabs, w.agents} {
			relaytest.Until(t, "all nodes to know whose they are", func() bool {
				return !n.Broker.Loose(credit(one)) && !n.Broker.Loose(credit(two))
			})
		}
		later.Store(int64(broker.TicketLife + time.Minute))
		w.over(t, "none over", all)
		w.tab.Close(first)
		w.over(t, "the first over", all, credit(one))
	})
}

// Rule: the ticket of a request that waits for its computer is held for as long as it waits.
func TestTicketsAreHeldByWhoWaits(t *testing.T) {
	var later atomic.Int64
	o := relaytest.NodeOptions{ICE: namedICE, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }}
	each(t, o, func(t *testing.T, w *world) {
		defer later.Store(0) // the next world begins by the right time
		_ = w.agent.Conn.Close()
		relaytest.Until(t, "the computer is offline", func() bool {
			c, err := w.tabs.Fleet.Get(t.Context(), relaytest.Own(w.computer))
			return err == nil && c.GetStatus() == orielv1.Computer_STATUS_OFFLINE
		})
		user := w.tab.Welcome.GetIceServers()[0].GetUsername()
		w.tab.Waiting(w.tab.OpenAs(w.computer, relaytest.Watching, "", user))
		w.iceUser()
		held := []broker.Credit{credit(user)}
		later.Store(int64(broker.TicketLife + time.Minute))
		broker.SweepTickets(w.tabs.Broker, t.Context())
		w.over(t, "held", held)
		// A newer request takes its place, without a ticket: it is held no more.
		w.tab.Waiting(w.tab.Open(w.computer, relaytest.Watching, ""))
		later.Store(int64(broker.TicketLife + 5*time.Minute))
		w.over(t, "over", held, held...)
	})
}

// Rule: a ticket says itself until when it is good, and no tab has one say more than a
// relay does.
func TestTicketsSayNoMoreThanTheirLife(t *testing.T) {
	who, now := access.Identity{PersonID: "p", SignInID: "s"}, time.Now()
	for after, want := range map[time.Duration]bool{0: true, broker.TicketLife: true, broker.TicketLife + time.Hour: false, 1e6 * time.Hour: false} {
		user := fmt.Sprintf("1:p:%ss/%d-x", broker.TicketScope, now.Add(after).Unix())
		if broker.IsTicket(who, user, now) != want {
			t.Errorf("good for %s more: taken %v", after, !want)
		}
	}
}
