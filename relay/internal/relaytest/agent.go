package relaytest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/protocol/wire"
)

// Machine is what makes a computer itself: it outlives its connections.
type Machine struct {
	Key        ed25519.PrivateKey
	Hello      *orielv1.Hello     // what Connect says, but key, nonce and signature
	Relay      ed25519.PublicKey  // pinned at the first greeting
	Next       ed25519.PublicKey  // the succession key, pinned with the first Welcome that names one; nil: none
	Verifier   *trust.Verifier    // of grants; there once it is connected
	Deaf       bool               // does not prove that it is alive
	Last       *orielv1.Hello     // that it sent
	Asked      *orielv1.Challenge // that it answered last
	Member     trust.Membership   // what it shows
	Welcomed   trust.Membership   // what a relay gave it, that names no organization
	WelcomedIn trust.Membership   // and that names one
}

// NewMachine makes a computer with that host name.
func NewMachine(name string) *Machine {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	return &Machine{Key: key, Hello: &orielv1.Hello{Version: orielv1.Version, AgentVersion: "0.0.0-test", MachineId: "machine-" + name,
		Summary: &orielv1.Summary{HostName: name, Os: "linux", OsName: "Debian GNU/Linux 12 (bookworm)", Arch: "amd64", Addresses: []string{"192.0.2.1"}},
		Status:  &orielv1.Status{Display: orielv1.Status_DISPLAY_READY}}}
}

// Twin is another machine with the same key and, where apart, another fingerprint.
func (m *Machine) Twin(apart bool) *Machine {
	twin := &Machine{Key: m.Key, Hello: proto.CloneOf(m.Hello)}
	twin.Hello.Instance = random(16)
	if apart {
		twin.Hello.Fingerprint = random(32)
	}
	return twin
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// Public machine key.
func (m *Machine) Public() ed25519.PublicKey { return m.Key.Public().(ed25519.PublicKey) }

// Applicant for the upgrade; it enrolls where there is a token.
func (m *Machine) Applicant(token string) trust.Applicant {
	a := trust.Applicant{Key: m.Public()}
	if token != "" {
		read, err := trust.ParseToken(token)
		if err != nil {
			panic(err)
		}
		a.Token, a.Nonce = read.Public(), make([]byte, 32)
		_, _ = rand.Read(a.Nonce)
	}
	return a
}

// Header of the upgrade.
func Header(a trust.Applicant) http.Header {
	return http.Header{"Authorization": {a.Authorization()}}
}

// Agent is a machine's connection.
type Agent struct {
	*Machine
	Conn    *wire.Conn
	Welcome *orielv1.Welcome
	inbox[*orielv1.ToAgent]
}

// Refusal is what a relay said instead of Welcome.
type Refusal struct {
	Status  int // of HTTP, when it did not come to a connection
	Refused *orielv1.Refused
}

func (r *Refusal) Error() string { return fmt.Sprintf("HTTP %d, %v", r.Status, r.Refused) }

// Dial connects and greets; nothing is read after Welcome. Errors: *Refusal.
func (m *Machine) Dial(ctx context.Context, n *Node, token string) (*wire.Conn, *orielv1.Welcome, error) {
	who := m.Applicant(token)
	header := Header(who)
	m.Member.Show(header.Set)
	conn, resp, err := wire.Dial(ctx, socket(n.URL, "/agent/v1"), header, n.TLS, wire.Options{})
	if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, nil, &Refusal{Status: resp.StatusCode}
	}
	if err != nil {
		return nil, nil, err
	}
	w, err := m.greet(conn, who, token)
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return conn, w, nil
}

func (m *Machine) greet(conn *wire.Conn, who trust.Applicant, token string) (*orielv1.Welcome, error) {
	in := &orielv1.ToAgent{}
	if err := conn.Receive(in); err != nil {
		return nil, err
	}
	c := in.GetChallenge()
	m.Asked = proto.CloneOf(c)
	if m.Relay != nil && !m.Relay.Equal(ed25519.PublicKey(c.GetRelayKey())) {
		if err := trust.Follow(m.Next, m.Relay, c.GetRelayKey(), c.GetRotations()); err != nil {
			return nil, err
		}
	}
	var exporter []byte
	var err error
	if c.GetBindTls() {
		if exporter, err = conn.TLS().ExportKeyingMaterial(trust.ExporterLabel, nil, 32); err != nil {
			return nil, err
		}
	}
	hello := m.Sign(c, exporter, who.Nonce)
	if token != "" {
		signed := trust.Hello{RelayNonce: c.GetNonce(), RelayKey: c.GetRelayKey(), AgentNonce: who.Nonce, Exporter: exporter}
		if err := trust.VerifyChallenge(signed, c.GetSignature()); err != nil {
			return nil, err
		}
		read, err := trust.ParseToken(token)
		if err != nil {
			return nil, err
		}
		hello.Enrollment = read.Prove(signed, m.Public())
	}
	m.Last = hello
	if err := conn.Send(&orielv1.FromAgent{Body: &orielv1.FromAgent_Hello{Hello: hello}}); err != nil {
		return nil, err
	}
	if err := conn.Receive(in); err != nil {
		return nil, err
	}
	if in.GetRefused() != nil {
		return nil, &Refusal{Refused: in.GetRefused()}
	}
	w := in.GetWelcome()
	if err := trust.VerifyWelcome(c.GetRelayKey(), hello.GetNonce(), w.GetComputerId(), time.UnixMilli(w.GetNow()), w.GetSignature()); err != nil {
		return nil, err
	}
	if key := ed25519.PublicKey(w.GetSuccessionKey()); m.Next == nil && trust.VerifySuccession(c.GetRelayKey(), hello.GetNonce(), key, w.GetSuccessionSignature()) == nil {
		m.Next = key
	}
	m.Relay = c.GetRelayKey()
	m.Welcomed = trust.Membership{Computer: w.GetComputerId(), Signature: w.GetMembership()}
	m.WelcomedIn = trust.Membership{Computer: w.GetComputerId(), Organization: w.GetOrganization(), Signature: w.GetOrganizationMembership()}
	if m.Verifier == nil || !m.Verifier.RelayKey.Equal(m.Relay) {
		m.Verifier = &trust.Verifier{RelayKey: m.Relay, ComputerID: w.GetComputerId(), ComputerKey: m.Public(), Now: time.Now}
	}
	return w, nil
}

// Sign is this machine's Hello for a challenge; nonce nil: a new one.
func (m *Machine) Sign(c *orielv1.Challenge, exporter, nonce []byte) *orielv1.Hello {
	hello := proto.CloneOf(m.Hello)
	hello.MachineKey, hello.Nonce = m.Public(), nonce
	if nonce == nil {
		hello.Nonce = make([]byte, 32)
		_, _ = rand.Read(hello.Nonce)
	}
	var err error
	hello.Signature, err = trust.SignHello(trust.Key(m.Key), trust.Hello{RelayNonce: c.GetNonce(), RelayKey: c.GetRelayKey(),
		AgentNonce: hello.Nonce, Exporter: exporter})
	if err != nil {
		panic(err)
	}
	return hello
}

// Connect connects, waits until the computer is known to be online, and reads
// until the test ends or the connection does.
func (m *Machine) Connect(t testing.TB, n *Node, token string) *Agent {
	t.Helper()
	conn, w, err := m.Dial(t.Context(), n, token)
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{Machine: m, Conn: conn, Welcome: w, inbox: inbox[*orielv1.ToAgent]{t: t, more: make(chan struct{}),
		show: func(m *orielv1.ToAgent) string { return m.String() }}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			in := &orielv1.ToAgent{}
			err := conn.Receive(in)
			if in.GetProve() != nil && !m.Deaf {
				_ = conn.Send(&orielv1.FromAgent{ReplyTo: in.GetId()})
				continue
			}
			a.put(in, err)
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	Until(t, "the computer is online", func() bool {
		c, err := n.Store.Agents().ByKey(t.Context(), m.Public())
		return err == nil && c.Online
	})
	return a
}

// Say sends m.
func (a *Agent) Say(m *orielv1.FromAgent) {
	a.t.Helper()
	if err := a.Conn.Send(m); err != nil {
		a.t.Fatal(err)
	}
}

// Offer waits for the next offer and verifies its grant as an agent does.
func (a *Agent) Offer() (*orielv1.Offer, *orielv1.Grant) {
	a.t.Helper()
	o := a.take("offer", func(m *orielv1.ToAgent) bool { return m.GetOffer() != nil }).GetOffer()
	g, err := a.Verifier.Verify(o)
	if err != nil {
		a.t.Fatalf("the relay's grant: %v", err)
	}
	return o, g
}

// Answer answers an offer as an agent does.
func (a *Agent) Answer(o *orielv1.Offer, g *orielv1.Grant) {
	a.t.Helper()
	fp := sha256.Sum256([]byte("agent's certificate"))
	sig, err := trust.SignAnswer(trust.Key(a.Key), o.GetSessionId(), g.GetNonce(), fp[:])
	if err != nil {
		a.t.Fatal(err)
	}
	a.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Answer{Answer: &orielv1.Answer{SessionId: o.GetSessionId(), Sdp: SDP(fp[:]),
		Nonce: g.GetNonce(), MachineKey: a.Public(), Signature: sig, Attempt: o.GetAttempt()}}})
}

// Report says that a session is connected.
func (a *Agent) Report(session string, bytes uint64) {
	a.t.Helper()
	a.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionReport{SessionReport: &orielv1.SessionReport{SessionId: session,
		Path: orielv1.Path_PATH_DIRECT, BytesSent: bytes, Codec: "AV1", ConnectedAt: time.Now().UnixMilli()}}})
}

// Candidate waits for a candidate from the tab.
func (a *Agent) Candidate() *orielv1.Candidate {
	a.t.Helper()
	return a.take("candidate", func(m *orielv1.ToAgent) bool { return m.GetCandidate() != nil }).GetCandidate()
}

// EndSession waits until this session is to be ended.
func (a *Agent) EndSession(session string) *orielv1.EndSession {
	a.t.Helper()
	return a.take("end of session", func(m *orielv1.ToAgent) bool { return m.GetEndSession().GetSessionId() == session }).GetEndSession()
}

// Take waits for a message.
func (a *Agent) Take(what string, is func(*orielv1.ToAgent) bool) *orielv1.ToAgent {
	a.t.Helper()
	return a.take(what, is)
}

// Has reports whether such a message came and was not taken.
func (a *Agent) Has(is func(*orielv1.ToAgent) bool) bool { return a.has(is) }

// Closed waits until the relay closed the connection, and says how.
func (a *Agent) Closed() error {
	a.t.Helper()
	Until(a.t, "connection closed", func() bool { return a.Conn.Err() != nil })
	return a.Conn.Err()
}

// SDP is a session description with that certificate fingerprint.
func SDP(fingerprint []byte) string {
	var hex []string
	for _, b := range fingerprint {
		hex = append(hex, fmt.Sprintf("%02X", b))
	}
	return "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=fingerprint:sha-256 " + strings.Join(hex, ":") + "\r\n"
}
