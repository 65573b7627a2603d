package broker_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/broker"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// world is a tab on one node and a computer on another, or on the same.
type world struct {
	tabs, agents *relaytest.Node
	who          access.Identity
	cookie       *http.Cookie
	machine      *relaytest.Machine
	agent        *relaytest.Agent
	computer     string
	tab          *relaytest.Tab
}

func start(t *testing.T, tabs, agents *relaytest.Node) *world {
	w := &world{tabs: tabs, agents: agents, machine: relaytest.NewMachine("pc")}
	w.who, w.cookie = tabs.Owner(t)
	w.agent = w.machine.Connect(t, agents, agents.Token(t, 1))
	w.computer = w.agent.Welcome.GetComputerId()
	w.tab = relaytest.OpenTab(t, tabs, w.cookie)
	return w
}

// each runs fn on one node per database, and across two nodes.
func each(t *testing.T, o relaytest.NodeOptions, fn func(t *testing.T, w *world)) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		o.Database = address
		n := relaytest.StartNode(t, o)
		fn(t, start(t, n, n))
	})
	t.Run("two nodes", func(t *testing.T) {
		o.Database, o.NATS = storetest.PostgreSQL(t), relaytest.StartNATS(t)
		o.Name = "n1"
		n1 := relaytest.StartNode(t, o)
		o.Name = "n2"
		fn(t, start(t, n1, relaytest.StartNode(t, o)))
	})
}

// session opens one up to the agent's report.
func (w *world) session(t *testing.T, scopes []orielv1.Scope) (id string, attempt uint32) {
	t.Helper()
	attempt = w.tab.Open(w.computer, scopes, "")
	id = w.tab.Opened(attempt).GetSessionId()
	o, g := w.agent.Offer()
	w.agent.Answer(o, g)
	w.tab.Answer()
	w.agent.Report(id, 1000)
	w.row(t, id, "connected", func(e *orielv1.JournalEntry) bool { return e.GetConnectedAt() != 0 })
	return id, attempt
}

func (w *world) row(t *testing.T, id, what string, ok func(*orielv1.JournalEntry) bool) *orielv1.JournalEntry {
	t.Helper()
	var e *orielv1.JournalEntry
	relaytest.Until(t, what, func() bool {
		var err error
		e, err = w.tabs.Journal.Get(t.Context(), relaytest.Own(id))
		return err == nil && ok(e)
	})
	return e
}

func endedBy(reason orielv1.EndReason) func(*orielv1.JournalEntry) bool {
	return func(e *orielv1.JournalEntry) bool { return e.GetEndedAt() != 0 && e.GetEndReason() == reason }
}

func TestSession(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		attempt := w.tab.Open(w.computer, relaytest.Controlling, "")
		w.tab.Candidate(attempt, "", "early") // before the session's id is known
		opened := w.tab.Opened(attempt)
		if !bytes.Equal(opened.GetComputerKey(), w.machine.Public()) || len(opened.GetScopes()) != 2 {
			t.Fatal(opened)
		}
		o, g := w.agent.Offer()
		if o.GetSessionId() != opened.GetSessionId() || !bytes.Equal(g.GetNonce(), opened.GetNonce()) || o.GetAttempt() != attempt ||
			g.GetOperator().GetName() != "Olivia Owner" || g.GetOperator().GetAddress() != "127.0.0.1" || g.GetMode() != orielv1.Mode_MODE_CONTROL {
			t.Fatal(o, g)
		}
		// The row was there before the offer.
		e, err := w.agents.Journal.Get(t.Context(), relaytest.Own(o.GetSessionId()))
		if err != nil || e.GetOperatorId() != w.who.PersonID || e.GetComputerName() != "pc" || e.GetEndedAt() != 0 {
			t.Fatal(e, err)
		}
		if c := w.agent.Candidate(); c.GetCandidate() != "early" || c.GetSessionId() != o.GetSessionId() {
			t.Fatal(c)
		}
		w.agent.Answer(o, g)
		a := w.tab.Answer()
		fp, err := trust.Fingerprint(a.GetSdp())
		if err != nil || trust.VerifyAnswer(opened.GetComputerKey(), o.GetSessionId(), opened.GetNonce(), fp, a.GetSignature()) != nil {
			t.Fatal("the viewer could not verify the answer", err)
		}
		w.tab.Candidate(attempt, "", "by attempt")
		w.tab.Candidate(attempt, o.GetSessionId(), "by session")
		if a, b := w.agent.Candidate(), w.agent.Candidate(); a.GetCandidate() != "by attempt" || b.GetCandidate() != "by session" {
			t.Fatal(a, b)
		}
		w.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Candidate{Candidate: &orielv1.Candidate{
			SessionId: o.GetSessionId(), Attempt: attempt, Candidate: "agent's"}}})
		w.tab.Take("candidate", func(m *orielv1.ToConsole) bool { return m.GetCandidate().GetCandidate() == "agent's" })

		w.agent.Report(o.GetSessionId(), 5000)
		w.row(t, o.GetSessionId(), "report", func(e *orielv1.JournalEntry) bool {
			return e.GetBytes() == 5000 && e.GetPath() == orielv1.Path_PATH_DIRECT && e.GetCodec() == "AV1" && e.GetConnectedAt() != 0
		})
		if c, err := w.tabs.Fleet.Get(t.Context(), relaytest.Own(w.computer)); err != nil || c.GetStatus() != orielv1.Computer_STATUS_IN_SESSION || c.GetOperators()[0] != "Olivia Owner" {
			t.Fatal(c, err)
		}
		w.tab.Close(o.GetSessionId())
		if end := w.agent.EndSession(o.GetSessionId()); end.GetReason() != orielv1.EndReason_END_REASON_OPERATOR {
			t.Fatal(end)
		}
		w.tab.Ended(o.GetSessionId())
		w.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionEnded{SessionEnded: &orielv1.SessionEnded{SessionId: o.GetSessionId(),
			Reason: orielv1.EndReason_END_REASON_NETWORK, BytesSent: 9000}}})
		w.agent.Take("ack", func(m *orielv1.ToAgent) bool { return m.GetSessionEndedAck().GetSessionId() == o.GetSessionId() })
		e = w.row(t, o.GetSessionId(), "last count", func(e *orielv1.JournalEntry) bool { return e.GetBytes() == 9000 })
		if e.GetEndReason() != orielv1.EndReason_END_REASON_OPERATOR {
			t.Fatal("the first word does not count:", e)
		}
	})
}

func TestEndFromTheJournal(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		id, _ := w.session(t, relaytest.Watching)
		for _, n := range []*relaytest.Node{w.agents, w.tabs} { // from any node; twice is no error
			if err := n.Broker.End(t.Context(), w.who, id); err != nil {
				t.Fatal(err)
			}
		}
		if end := w.agent.EndSession(id); end.GetReason() != orielv1.EndReason_END_REASON_ENDED {
			t.Fatal(end)
		}
		if e := w.tab.Ended(id); e.GetReason() != orielv1.EndReason_END_REASON_ENDED || e.GetDetail() != "ended by Olivia Owner" {
			t.Fatal(e)
		}
		if err := w.tabs.Broker.End(t.Context(), w.who, store.NewID()); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		if err := w.tabs.Broker.End(t.Context(), access.Identity{}, id); !errors.Is(err, access.ErrSignedOut) {
			t.Fatal(err)
		}
	})
}

func TestWaitsForAnOfflineComputer(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		_ = w.agent.Conn.Close()
		relaytest.Until(t, "offline", func() bool {
			c, err := w.tabs.Fleet.Get(t.Context(), relaytest.Own(w.computer))
			return err == nil && c.GetStatus() == orielv1.Computer_STATUS_OFFLINE
		})
		attempt := w.tab.Open(w.computer, relaytest.Watching, "")
		w.tab.Candidate(attempt, "", "kept")
		w.tab.Waiting(attempt)
		if page, _, err := w.tabs.Journal.Page(t.Context(), store.FirstOrganization, store.Everything, journal.Filter{}, "", 0); err != nil || len(page) != 0 {
			t.Fatal("a row for what was not forwarded:", page, err)
		}
		w.agent = w.machine.Connect(t, w.agents, "")
		w.tab.Opened(attempt)
		o, g := w.agent.Offer() // verifies that the grant is fresh
		if g.GetMode() != orielv1.Mode_MODE_VIEW || len(g.GetScopes()) != 1 {
			t.Fatal(g)
		}
		if c := w.agent.Candidate(); c.GetCandidate() != "kept" || c.GetSessionId() != o.GetSessionId() {
			t.Fatal(c)
		}
	})
}

func TestRequestGoesWithItsTab(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	w := start(t, n, n)
	_ = w.agent.Conn.Close()
	relaytest.Until(t, "offline", func() bool { return n.Hub.Stats().Agents == 0 })
	w.tab.Waiting(w.tab.Open(w.computer, relaytest.Watching, ""))
	stays := relaytest.OpenTab(t, n, w.cookie)
	attempt := stays.Open(w.computer, relaytest.Watching, "")
	stays.Waiting(attempt)
	_ = w.tab.Conn.Close()
	relaytest.Until(t, "tab gone", func() bool { return n.Hub.Stats().Tabs == 1 })
	agent := w.machine.Connect(t, n, "")
	stays.Opened(attempt)
	agent.Offer()
	page, _, err := n.Journal.Page(t.Context(), store.FirstOrganization, store.Everything, journal.Filter{}, "", 0)
	if err != nil || len(page) != 1 || agent.Has(func(m *orielv1.ToAgent) bool { return m.GetOffer() != nil }) {
		t.Fatal("the request of a tab that left was forwarded:", page, err)
	}
}

func TestRequestIsTakenBack(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	w := start(t, n, n)
	takeBack := func(attempt uint32) {
		w.tab.Say(&orielv1.FromConsole{Body: &orielv1.FromConsole_CloseSession{CloseSession: &orielv1.CloseSession{Attempt: attempt}}})
	}
	// Opened, but the tab does not know its session yet.
	attempt := w.tab.Open(w.computer, relaytest.Watching, "")
	takeBack(attempt)
	o, _ := w.agent.Offer()
	w.agent.EndSession(o.GetSessionId())
	w.row(t, o.GetSessionId(), "ended", endedBy(orielv1.EndReason_END_REASON_OPERATOR))
	// Waiting.
	_ = w.agent.Conn.Close()
	relaytest.Until(t, "offline", func() bool { return n.Hub.Stats().Agents == 0 })
	attempt = w.tab.Open(w.computer, relaytest.Watching, "")
	w.tab.Waiting(attempt)
	takeBack(attempt)
	takeBack(99) // nothing of this tab's
	w.tab.Watch(true, false)
	w.tab.Take("computers", func(m *orielv1.ToConsole) bool { return m.GetComputers() != nil }) // all before was handled
	agent := w.machine.Connect(t, n, "")
	next := w.tab.Open(w.computer, relaytest.Watching, "")
	w.tab.Opened(next)
	if o, _ := agent.Offer(); o.GetAttempt() != next || agent.Has(func(m *orielv1.ToAgent) bool { return m.GetOffer() != nil }) {
		t.Fatal("what was taken back was forwarded:", o.GetAttempt())
	}
}

func TestResume(t *testing.T) {
	each(t, relaytest.NodeOptions{Grace: time.Minute}, func(t *testing.T, w *world) {
		id, first := w.session(t, relaytest.Controlling)
		second := w.tab.Open(w.computer, relaytest.Controlling, id)
		if o := w.tab.Opened(second); o.GetSessionId() != id {
			t.Fatal(o)
		}
		o, g := w.agent.Offer()
		if o.GetSessionId() != id || o.GetAttempt() != second {
			t.Fatal(o)
		}
		// What belongs to the replaced connection is dropped, both ways.
		w.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Candidate{Candidate: &orielv1.Candidate{SessionId: id, Attempt: first, Candidate: "old"}}})
		w.tab.Candidate(first, id, "old")
		w.tab.Candidate(second, id, "new")
		if c := w.agent.Candidate(); c.GetCandidate() != "new" {
			t.Fatal(c)
		}
		w.agent.Answer(o, g)
		w.tab.Answer()
		if w.tab.Has(func(m *orielv1.ToConsole) bool { return m.GetCandidate() != nil }) {
			t.Fatal("a candidate of the replaced connection was passed on")
		}
		// The end of one attempt is not the session's.
		w.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionEnded{SessionEnded: &orielv1.SessionEnded{SessionId: id, Attempt: second,
			Reason: orielv1.EndReason_END_REASON_NETWORK}}})
		w.tab.Ended(id)
		page, _, err := w.tabs.Journal.Page(t.Context(), store.FirstOrganization, store.Everything, journal.Filter{}, "", 0)
		if err != nil || len(page) != 1 || page[0].GetEndedAt() != 0 {
			t.Fatal(page, err)
		}
		// Another tab of the same person takes it over.
		_, other := w.tabs.Owner(t)
		tab2 := relaytest.OpenTab(t, w.agents, other)
		third := tab2.Open(w.computer, relaytest.Controlling, id)
		tab2.Opened(third)
		if p := w.tab.Problem(); p.GetSessionId() != id || p.GetCode() != orielv1.Code_CODE_BUSY {
			t.Fatal(p)
		}
		o, g = w.agent.Offer()
		w.agent.Answer(o, g)
		tab2.Answer()
		// It has ended: it cannot be gone on with.
		if err := w.tabs.Broker.End(t.Context(), w.who, id); err != nil {
			t.Fatal(err)
		}
		tab2.Ended(id)
		tab2.Open(w.computer, relaytest.Controlling, id)
		if p := tab2.Problem(); p.GetCode() != orielv1.Code_CODE_NOT_FOUND {
			t.Fatal(p)
		}
	})
}

func TestTabComesBack(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		id, attempt := w.session(t, relaytest.Controlling)
		_ = w.tab.Conn.Close()
		relaytest.Until(t, "tab gone", func() bool { return w.tabs.Hub.Stats().Tabs == 0 })
		tab := relaytest.OpenTab(t, w.agents, w.cookie) // maybe on another node
		tab.Attach(id)
		tab.Candidate(attempt, id, "again")
		if c := w.agent.Candidate(); c.GetCandidate() != "again" || c.GetSessionId() != id {
			t.Fatal(c)
		}
		if w.agent.Has(func(m *orielv1.ToAgent) bool { return m.GetEndSession() != nil }) {
			t.Fatal("the session did not go on")
		}
		w.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionEnded{SessionEnded: &orielv1.SessionEnded{SessionId: id,
			Reason: orielv1.EndReason_END_REASON_CUSTOMER, Detail: "stopped\u202e here"}}})
		if e := tab.Ended(id); e.GetReason() != orielv1.EndReason_END_REASON_CUSTOMER || e.GetDetail() != "stopped here" {
			t.Fatal(e)
		}
		late := relaytest.OpenTab(t, w.tabs, w.cookie)
		late.Attach(id)
		if e := late.Ended(id); e.GetReason() != orielv1.EndReason_END_REASON_CUSTOMER {
			t.Fatal(e)
		}
		late.Attach(store.NewID())
		if p := late.Problem(); p.GetCode() != orielv1.Code_CODE_NOT_FOUND {
			t.Fatal(p)
		}
	})
}

// A tab moves its session from one socket to another, which know nothing of each other.
func TestSessionMovesToAnotherSocket(t *testing.T) {
	each(t, relaytest.NodeOptions{Grace: 300 * time.Millisecond}, func(t *testing.T, w *world) {
		heard := func(tab *relaytest.Tab, id, text string) {
			t.Helper()
			w.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Candidate{Candidate: &orielv1.Candidate{SessionId: id, Attempt: 1, Candidate: text}}})
			tab.Take("candidate", func(m *orielv1.ToConsole) bool { return m.GetCandidate().GetCandidate() == text })
		}
		alone := func() bool { // one socket is left
			n := w.tabs.Hub.Stats().Tabs
			if w.agents != w.tabs {
				n += w.agents.Hub.Stats().Tabs
			}
			return n == 1
		}
		id, attempt := w.session(t, relaytest.Controlling)

		// The session first, then the end of the socket that it was on.
		second := relaytest.OpenTab(t, w.agents, w.cookie)
		second.Attach(id)
		if p := w.tab.Problem(); p.GetSessionId() != id || p.GetCode() != orielv1.Code_CODE_BUSY {
			t.Fatal(p)
		}
		heard(second, id, "while both are there")
		_ = w.tab.Conn.Close()
		relaytest.Until(t, "the first socket gone", alone)
		heard(second, id, "after the first went")
		second.Candidate(attempt, id, "from the second")
		if c := w.agent.Candidate(); c.GetCandidate() != "from the second" {
			t.Fatal(c)
		}

		// The other way around: the relay hears of the end first. What the second leaves
		// behind tells when its grace is over.
		left := second.Opened(second.Open(w.computer, relaytest.Watching, "")).GetSessionId()
		third := relaytest.OpenTab(t, w.tabs, w.cookie)
		_ = second.Conn.Close()
		relaytest.Until(t, "the second socket gone", alone)
		third.Attach(id)
		third.Candidate(attempt, id, "from the third")
		if c := w.agent.Candidate(); c.GetCandidate() != "from the third" {
			t.Fatal(c)
		}
		w.row(t, left, "the end of what was left", endedBy(orielv1.EndReason_END_REASON_TIMEOUT))
		heard(third, id, "later")
		if e, err := w.tabs.Journal.Get(t.Context(), relaytest.Own(id)); err != nil || e.GetEndedAt() != 0 {
			t.Fatal(e, err)
		}
		if w.agent.Has(func(m *orielv1.ToAgent) bool { return m.GetEndSession().GetSessionId() == id }) {
			t.Fatal("the agent was told to end it")
		}
		third.Close(id)
		w.agent.EndSession(id)
		if e := third.Ended(id); e.GetReason() != orielv1.EndReason_END_REASON_OPERATOR {
			t.Fatal(e)
		}
		w.row(t, id, "the end", endedBy(orielv1.EndReason_END_REASON_OPERATOR))
	})
}

func TestTabThatStaysAway(t *testing.T) {
	each(t, relaytest.NodeOptions{Grace: 50 * time.Millisecond}, func(t *testing.T, w *world) {
		connected, _ := w.session(t, relaytest.Watching)
		opening := w.tab.Opened(w.tab.Open(w.computer, relaytest.Watching, "")).GetSessionId()
		_ = w.tab.Conn.Close()
		w.row(t, opening, "ended", endedBy(orielv1.EndReason_END_REASON_TIMEOUT))
		w.agent.EndSession(opening)
		if e, err := w.tabs.Journal.Get(t.Context(), relaytest.Own(connected)); err != nil || e.GetEndedAt() != 0 {
			t.Fatal("a direct session needs no tab:", e, err)
		}
	})
}

func TestAgentComesBack(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		goes, _ := w.session(t, relaytest.Watching)
		ended, _ := w.session(t, relaytest.Watching)
		_ = w.agent.Conn.Close()
		relaytest.Until(t, "offline", func() bool { return w.agents.Hub.Stats().Agents == 0 })
		if err := w.tabs.Broker.End(t.Context(), w.who, ended); err != nil {
			t.Fatal(err)
		}
		// Long ago, as far as the relay can tell: not on its way any more.
		forgotten := store.Session{ID: store.NewID(), ComputerID: w.computer, OperatorID: w.who.PersonID, SignInID: w.who.SignInID, Scopes: "view", ScopesNow: "view", StartedAt: 1,
			ConnectedAt: 1, SeenAt: time.Now().UnixMilli()}
		if err := w.tabs.Store.Sessions(store.FirstOrganization).Add(t.Context(), audit.Relay.Did(audit.SessionOpened, "session", forgotten.ID), forgotten); err != nil {
			t.Fatal(err)
		}
		foreign := store.NewID()
		w.machine.Hello.Sessions = []string{goes, ended, foreign}
		w.agent = w.machine.Connect(t, w.agents, "")
		w.agent.EndSession(ended)
		w.agent.EndSession(foreign)
		w.row(t, forgotten.ID, "lost", endedBy(orielv1.EndReason_END_REASON_LOST))
		if e, err := w.tabs.Journal.Get(t.Context(), relaytest.Own(goes)); err != nil || e.GetEndedAt() != 0 {
			t.Fatal(e, err)
		}
		// Lost was a guess: the agent's report opens it again, and its end counts.
		w.agent.Report(forgotten.ID, 7)
		w.row(t, forgotten.ID, "reopened", func(e *orielv1.JournalEntry) bool { return e.GetEndedAt() == 0 })
		w.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionEnded{SessionEnded: &orielv1.SessionEnded{SessionId: forgotten.ID,
			Reason: orielv1.EndReason_END_REASON_OPERATOR}}})
		w.row(t, forgotten.ID, "ended", endedBy(orielv1.EndReason_END_REASON_OPERATOR))
		// A report of what is over is answered with its end.
		w.agent.Report(ended, 7)
		w.agent.EndSession(ended)
		page, _, err := w.tabs.Journal.Page(t.Context(), store.FirstOrganization, store.Everything, journal.Filter{}, "", 0)
		if err != nil || len(page) != 3 {
			t.Fatal(page, err)
		}
	})
}

func TestOnlyTheSessionsOwnComputerIsHeard(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		id, attempt := w.session(t, relaytest.Controlling)
		evil := relaytest.NewMachine("evil").Connect(t, w.agents, w.agents.Token(t, 1))
		evil.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Candidate{Candidate: &orielv1.Candidate{SessionId: id, Attempt: attempt, Candidate: "evil"}}})
		evil.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Answer{Answer: &orielv1.Answer{SessionId: id, Attempt: attempt, Sdp: "evil"}}})
		evil.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionEnded{SessionEnded: &orielv1.SessionEnded{SessionId: id, Reason: orielv1.EndReason_END_REASON_CUSTOMER}}})
		evil.Report(id, 1<<40)
		for _, bad := range []string{"*", ">", "", "a.b"} {
			evil.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Candidate{Candidate: &orielv1.Candidate{SessionId: bad}}})
		}
		evil.EndSession(id) // the answer to its report: everything before was handled
		w.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Candidate{Candidate: &orielv1.Candidate{SessionId: id, Attempt: attempt, Candidate: "good"}}})
		m := w.tab.Take("candidate", func(m *orielv1.ToConsole) bool { return m.GetCandidate() != nil })
		if m.GetCandidate().GetCandidate() != "good" || w.tab.Has(func(m *orielv1.ToConsole) bool { return m.GetAnswer() != nil || m.GetSessionEnded() != nil }) {
			t.Fatal(m)
		}
		if e, err := w.tabs.Journal.Get(t.Context(), relaytest.Own(id)); err != nil || e.GetEndedAt() != 0 || e.GetBytes() != 1000 {
			t.Fatal(e, err)
		}
		// Nor may another tab speak to this session.
		other := relaytest.OpenTab(t, w.tabs, w.cookie)
		other.Candidate(attempt, id, "evil")
		other.Candidate(attempt, "", "evil")
		other.Close(store.NewID())
		other.Problem()
		w.tab.Candidate(attempt, id, "good")
		if c := w.agent.Candidate(); c.GetCandidate() != "good" {
			t.Fatal(c)
		}
	})
}

func TestRefusals(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{Ask: time.Hour})
	w := start(t, n, n)
	open := func(o *orielv1.OpenSession) *orielv1.Problem {
		w.tab.Say(&orielv1.FromConsole{Body: &orielv1.FromConsole_OpenSession{OpenSession: o}})
		return w.tab.Problem()
	}
	sdp := relaytest.SDP(w.tab.Certificate())
	for _, tc := range []struct {
		name string
		open *orielv1.OpenSession
		code orielv1.Code
	}{
		{"no mode", &orielv1.OpenSession{Attempt: 5, ComputerId: w.computer, Sdp: sdp}, orielv1.Code_CODE_INVALID},
		{"no fingerprint", &orielv1.OpenSession{Attempt: 5, ComputerId: w.computer, Wanted: relaytest.Watching, Sdp: "v=0\r\n"}, orielv1.Code_CODE_INVALID},
		{"two fingerprints", &orielv1.OpenSession{Attempt: 5, ComputerId: w.computer, Wanted: relaytest.Watching, Sdp: sdp + relaytest.SDP(make([]byte, 32))}, orielv1.Code_CODE_INVALID},
		{"no such computer", &orielv1.OpenSession{Attempt: 5, ComputerId: store.NewID(), Wanted: relaytest.Watching, Sdp: sdp}, orielv1.Code_CODE_NOT_FOUND},
		{"no id", &orielv1.OpenSession{Attempt: 5, ComputerId: "agent.*", Wanted: relaytest.Watching, Sdp: sdp}, orielv1.Code_CODE_NOT_FOUND},
		{"no such session", &orielv1.OpenSession{Attempt: 5, ComputerId: w.computer, Wanted: relaytest.Watching, Sdp: sdp, SessionId: store.NewID()}, orielv1.Code_CODE_NOT_FOUND},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if p := open(tc.open); p.GetCode() != tc.code || p.GetAttempt() != 5 || p.GetDetail() == "" {
				t.Fatal(p)
			}
		})
	}
	// Another person's session is as good as none.
	theirs := store.Session{ID: store.NewID(), ComputerID: w.computer, OperatorID: "another", Scopes: "view", ScopesNow: "view", StartedAt: 1, SeenAt: time.Now().UnixMilli()}
	if err := n.Store.Sessions(store.FirstOrganization).Add(t.Context(), audit.Relay.Did(audit.SessionOpened, "session", theirs.ID), theirs); err != nil {
		t.Fatal(err)
	}
	if p := open(&orielv1.OpenSession{Attempt: 6, ComputerId: w.computer, Wanted: relaytest.Watching, Sdp: sdp, SessionId: theirs.ID}); p.GetCode() != orielv1.Code_CODE_NOT_FOUND {
		t.Fatal(p)
	}
	w.tab.Attach(theirs.ID)
	if p := w.tab.Problem(); p.GetCode() != orielv1.Code_CODE_NOT_FOUND {
		t.Fatal(p)
	}
	w.tab.Close(theirs.ID)
	if p := w.tab.Problem(); p.GetCode() != orielv1.Code_CODE_NOT_FOUND {
		t.Fatal(p)
	}
	// A session for viewing does not become one for control.
	id, _ := w.session(t, relaytest.Watching)
	if p := open(&orielv1.OpenSession{Attempt: 7, ComputerId: w.computer, Wanted: relaytest.Controlling, Sdp: sdp, SessionId: id}); p.GetCode() != orielv1.Code_CODE_FORBIDDEN {
		t.Fatal(p)
	}
	// Too many at once.
	_ = w.agent.Conn.Close()
	relaytest.Until(t, "offline", func() bool { return n.Hub.Stats().Agents == 0 })
	for i := range 64 {
		row := store.Session{ID: store.NewID(), ComputerID: "c", OperatorID: w.who.PersonID, Scopes: "view", ScopesNow: "view", StartedAt: int64(i), SeenAt: time.Now().UnixMilli()}
		if err := n.Store.Sessions(store.FirstOrganization).Add(t.Context(), audit.Relay.Did(audit.SessionOpened, "session", row.ID), row); err != nil {
			t.Fatal(err)
		}
	}
	if p := open(&orielv1.OpenSession{Attempt: 8, ComputerId: w.computer, Wanted: relaytest.Watching, Sdp: sdp}); p.GetCode() != orielv1.Code_CODE_BUSY {
		t.Fatal(p)
	}
}

func TestWaitingRequestsATabMayHave(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	w := start(t, n, n)
	token := n.Token(t, 20)
	var ids []string
	for range 9 {
		a := relaytest.NewMachine("away").Connect(t, n, token)
		ids = append(ids, a.Welcome.GetComputerId())
		_ = a.Conn.Close()
	}
	relaytest.Until(t, "all away", func() bool { return n.Hub.Stats().Agents == 1 })
	for _, id := range ids[:8] {
		w.tab.Waiting(w.tab.Open(id, relaytest.Watching, ""))
	}
	w.tab.Waiting(w.tab.Open(ids[0], relaytest.Watching, "")) // replaces the one before
	w.tab.Open(ids[8], relaytest.Watching, "")
	if p := w.tab.Problem(); p.GetCode() != orielv1.Code_CODE_BUSY {
		t.Fatal(p)
	}
}

func TestSignOutEndsSessions(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		id, _ := w.session(t, relaytest.Controlling)
		if err := w.agents.Access.EndSignIn(t.Context(), w.who, w.who.SignInID); err != nil {
			t.Fatal(err)
		}
		w.agent.EndSession(id)
		w.row(t, id, "ended", endedBy(orielv1.EndReason_END_REASON_OPERATOR))
		w.tab.Take("signed out", func(m *orielv1.ToConsole) bool { return m.GetSignedOut() != nil })
	})
}

func TestRemovedComputersSessionsEnd(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		id, _ := w.session(t, relaytest.Controlling)
		if err := w.tabs.Fleet.Remove(t.Context(), audit.Command, relaytest.Own(w.computer)); err != nil {
			t.Fatal(err)
		}
		w.agent.EndSession(id)
		w.tab.Ended(id)
		w.row(t, id, "ended", endedBy(orielv1.EndReason_END_REASON_ENDED))
		w.tab.Open(w.computer, relaytest.Watching, "")
		if p := w.tab.Problem(); p.GetCode() != orielv1.Code_CODE_NOT_FOUND {
			t.Fatal(p)
		}
	})
}

func TestTurnCredentialsForBothSides(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{ICE: namedICE})
	w := start(t, n, n)
	mine := "turn:" + w.who.PersonID + ":" + broker.TicketScope + w.who.SignInID + "/"
	welcomed := w.tab.Welcome.GetIceServers()
	if len(welcomed) != 1 || !strings.HasPrefix(welcomed[0].GetUsername(), mine) || w.tab.Welcome.GetIceExpiresAt() > time.Now().Add(broker.TicketLife).UnixMilli() {
		t.Fatal(w.tab.Welcome)
	}
	w.tab.Say(&orielv1.FromConsole{Body: &orielv1.FromConsole_RenewIce{RenewIce: &orielv1.RenewIce{}}})
	if renewed := w.iceUser(); renewed == welcomed[0].GetUsername() || !strings.HasPrefix(renewed, mine) {
		t.Fatal(renewed)
	}
	w.tab.Open(w.computer, relaytest.Watching, "")
	if o, _ := w.agent.Offer(); o.GetIceServers()[0].GetUsername() != "turn:"+w.computer+":"+broker.SessionScope+o.GetSessionId() {
		t.Fatal(o.GetIceServers())
	}
}
