package broker_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// statements collects what nodes have said to their database.
type statements struct {
	mu  sync.Mutex
	all []string // protected by mu
}

func (s *statements) add(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, text)
}

func (s *statements) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all = nil
	return all
}

// Rule: from the click to the offer at the agent it takes two statements, a third when what the person may
// has to be read, a further one when they may it in some groups only and it is not known in which the computer is,
// and one request on the bus; with one node and with two, on both databases.
func TestStatementsAndRequestsFromClickToOffer(t *testing.T) {
	var said statements
	o := relaytest.NodeOptions{Lifetime: time.Hour, Ask: time.Hour, Recheck: time.Hour, Statement: said.add} // nothing but the click asks
	count := func(t *testing.T, w *world, tap *relaytest.Tap, more int) {
		relaytest.Until(t, "online", func() bool {
			c, err := w.tabs.Fleet.Get(t.Context(), relaytest.Own(w.computer))
			return err == nil && c.GetStatus() == orielv1.Computer_STATUS_ONLINE
		})
		for _, tc := range []struct {
			name   string
			scopes []orielv1.Scope
			most   int
		}{
			{"known", relaytest.Watching, 2 + more},
			{"forgotten", relaytest.Controlling, 3 + more},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			if tc.name == "forgotten" {
				cancel() // as if the database had been away as the hub asked for its tabs
			}
			err := w.tabs.Access.Recheck(ctx, w.who)
			cancel()
			if (err != nil) != (tc.name == "forgotten") {
				t.Fatal(err)
			}
			said.take()
			tap.Requests()
			attempt := w.tab.Open(w.computer, tc.scopes, "")
			w.agent.Offer()
			all, requests := said.take(), 0
			relaytest.Until(t, "a request", func() bool { // the agent may have it before the tap
				requests += tap.Requests()
				return requests > 0
			})
			if len(all) > tc.most || requests != 1 {
				t.Errorf("%s: %d statements, want %d, and %d requests, want 1:\n%s", tc.name, len(all), tc.most, requests, strings.Join(all, "\n"))
			}
			t.Logf("%s: %d statements, %d requests", tc.name, len(all), requests)
			w.tab.Opened(attempt)
		}
	}
	both := func(t *testing.T, w *world, tap *relaytest.Tap) {
		count(t, w, tap, 0)
		by, s := audit.Command.Did("group.made", "group", "g"), w.tabs.Store
		err := s.Groups(store.FirstOrganization).Add(t.Context(), by, store.Group{ID: "g", Name: "Group"})
		if err == nil {
			err = s.Computers(store.FirstOrganization).SetGroup(t.Context(), by, w.computer, "g")
		}
		if err != nil {
			t.Fatal(err)
		}
		w.as(t, store.Grant{Role: store.RoleOperator, ObjectKind: store.ObjectGroup, ObjectID: "g"})
		count(t, w, tap, 1)
	}
	storetest.EachAddress(t, func(t *testing.T, address string) {
		nats := relaytest.NewNATS(t)
		o.Database, o.NATS = address, nats.URL
		n := relaytest.StartNode(t, o)
		both(t, start(t, n, n), nats.Tap(t))
	})
	t.Run("two nodes", func(t *testing.T) {
		nats := relaytest.NewNATS(t)
		o.Database, o.NATS, o.Name = storetest.PostgreSQL(t), nats.URL, "n1"
		n1 := relaytest.StartNode(t, o)
		o.Name = "n2"
		both(t, start(t, n1, relaytest.StartNode(t, o)), nats.Tap(t))
	})
}
