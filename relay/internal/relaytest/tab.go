package relaytest

import (
	"context"
	"crypto/sha256"
	"net/http"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/wire"
)

// Tab is a console's tab.
type Tab struct {
	Conn    *wire.Conn
	Welcome *orielv1.LiveWelcome
	attempt uint32
	inbox[*orielv1.ToConsole]
}

// DialTab opens the live connection; nothing is read yet.
func DialTab(ctx context.Context, n *Node, cookie *http.Cookie) (*wire.Conn, *http.Response, error) {
	header := http.Header{}
	if cookie != nil {
		header.Set("Cookie", cookie.Name+"="+cookie.Value)
	}
	return wire.Dial(ctx, socket(n.URL, "/live/v1"), header, n.TLS, wire.Options{})
}

// OpenTab opens a tab and reads until the test ends or the connection does.
func OpenTab(t testing.TB, n *Node, cookie *http.Cookie) *Tab {
	t.Helper()
	conn, _, err := DialTab(t.Context(), n, cookie)
	if err != nil {
		t.Fatal(err)
	}
	tab := &Tab{Conn: conn, inbox: inbox[*orielv1.ToConsole]{t: t, more: make(chan struct{}),
		show: func(m *orielv1.ToConsole) string { return m.String() }}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			m := &orielv1.ToConsole{}
			err := conn.Receive(m)
			tab.put(m, err)
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	tab.Welcome = tab.Take("welcome", func(m *orielv1.ToConsole) bool { return m.GetWelcome() != nil }).GetWelcome()
	return tab
}

// Say sends m.
func (tab *Tab) Say(m *orielv1.FromConsole) {
	tab.t.Helper()
	if err := tab.Conn.Send(m); err != nil {
		tab.t.Fatal(err)
	}
}

// Watch says what is watched.
func (tab *Tab) Watch(computers, journal bool) {
	tab.t.Helper()
	watch := &orielv1.Watch{}
	if computers {
		watch.Topics = append(watch.Topics, orielv1.Topic_TOPIC_COMPUTERS)
	}
	if journal {
		watch.Topics = append(watch.Topics, orielv1.Topic_TOPIC_JOURNAL)
	}
	tab.Say(&orielv1.FromConsole{Body: &orielv1.FromConsole_Watch{Watch: watch}})
}

// Take waits for a message.
func (tab *Tab) Take(what string, is func(*orielv1.ToConsole) bool) *orielv1.ToConsole {
	tab.t.Helper()
	return tab.take(what, is)
}

// Has reports whether such a message came and was not taken.
func (tab *Tab) Has(is func(*orielv1.ToConsole) bool) bool { return tab.has(is) }

// Computer waits until a computer is shown with that status.
func (tab *Tab) Computer(id string, status orielv1.Computer_Status) *orielv1.Computer {
	tab.t.Helper()
	return tab.Take("computer "+status.String(), func(m *orielv1.ToConsole) bool {
		return m.GetComputer().GetId() == id && m.GetComputer().GetStatus() == status
	}).GetComputer()
}

// Certificate is the fingerprint of this tab's browser.
func (tab *Tab) Certificate() []byte {
	h := sha256.Sum256([]byte("browser's certificate"))
	return h[:]
}

// Watching and Controlling are what most sessions are for.
var (
	Watching    = []orielv1.Scope{orielv1.Scope_SCOPE_VIEW}
	Controlling = []orielv1.Scope{orielv1.Scope_SCOPE_VIEW, orielv1.Scope_SCOPE_CONTROL}
)

// Open asks for a session, or with an id to go on with one, and returns the attempt.
func (tab *Tab) Open(computer string, wanted []orielv1.Scope, session string) uint32 {
	tab.t.Helper()
	return tab.OpenAs(computer, wanted, session, "")
}

// OpenAs is Open by a browser whose connection has ICE credentials of that user name.
func (tab *Tab) OpenAs(computer string, wanted []orielv1.Scope, session, user string) uint32 {
	tab.t.Helper()
	tab.attempt++
	tab.Say(&orielv1.FromConsole{Body: &orielv1.FromConsole_OpenSession{OpenSession: &orielv1.OpenSession{Attempt: tab.attempt,
		ComputerId: computer, Wanted: wanted, Sdp: SDP(tab.Certificate()), SessionId: session, IceUserName: user}}})
	return tab.attempt
}

// Opened waits for the word that an attempt is forwarded.
func (tab *Tab) Opened(attempt uint32) *orielv1.SessionOpened {
	tab.t.Helper()
	return tab.Take("session opened", func(m *orielv1.ToConsole) bool {
		return m.GetSessionOpened() != nil && m.GetSessionOpened().GetAttempt() == attempt
	}).GetSessionOpened()
}

// Waiting waits for the word that an attempt waits for its computer.
func (tab *Tab) Waiting(attempt uint32) {
	tab.t.Helper()
	tab.Take("session waiting", func(m *orielv1.ToConsole) bool {
		return m.GetSessionWaiting() != nil && m.GetSessionWaiting().GetAttempt() == attempt
	})
}

// Answer waits for the agent's.
func (tab *Tab) Answer() *orielv1.Answer {
	tab.t.Helper()
	return tab.Take("answer", func(m *orielv1.ToConsole) bool { return m.GetAnswer() != nil }).GetAnswer()
}

// Ended waits for the end of a session.
func (tab *Tab) Ended(session string) *orielv1.SessionEnded {
	tab.t.Helper()
	return tab.Take("session ended", func(m *orielv1.ToConsole) bool { return m.GetSessionEnded().GetSessionId() == session }).GetSessionEnded()
}

// Problem waits for the next.
func (tab *Tab) Problem() *orielv1.Problem {
	tab.t.Helper()
	return tab.Take("problem", func(m *orielv1.ToConsole) bool { return m.GetProblem() != nil }).GetProblem()
}

// Candidate sends one that belongs to an attempt, or to a session.
func (tab *Tab) Candidate(attempt uint32, session, text string) {
	tab.t.Helper()
	tab.Say(&orielv1.FromConsole{Body: &orielv1.FromConsole_Candidate{Candidate: &orielv1.Candidate{
		Attempt: attempt, SessionId: session, Candidate: text}}})
}

// Attach lets a running session find this tab.
func (tab *Tab) Attach(session string) {
	tab.t.Helper()
	tab.Say(&orielv1.FromConsole{Body: &orielv1.FromConsole_AttachSession{AttachSession: &orielv1.AttachSession{SessionId: session}}})
}

// Close is the operator's disconnect.
func (tab *Tab) Close(session string) {
	tab.t.Helper()
	tab.Say(&orielv1.FromConsole{Body: &orielv1.FromConsole_CloseSession{CloseSession: &orielv1.CloseSession{SessionId: session}}})
}
