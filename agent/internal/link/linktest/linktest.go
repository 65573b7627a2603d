// Package linktest is a relay for tests of the agent: the real wire, the real
// handshake and real signatures over a real socket, and nothing behind them.
// What an agent sends is kept; what it is to be sent, the test says.
package linktest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/protocol/wire"
)

// Secret is the secret part of the token that every Relay takes.
const Secret = "abcdefghijklmnopqrstuvwxyz"

// Deadline is how long tests wait for anything.
const Deadline = 20 * time.Second

// Relay is one relay. Fields may be set before Start.
type Relay struct {
	Key      ed25519.PrivateKey
	TLS      bool
	BindTLS  bool
	Computer string // the id it gives
	// Whose computer it says that is; empty: a relay from before there were several.
	Organization string
	Relays       []string      // said in Welcome
	Skew         time.Duration // its clock against this machine's
	Forged       bool          // signs Welcome with another key
	Mute         bool          // never sends Challenge
	Silent       bool          // does not prove its key to who enrolls

	Succession ed25519.PublicKey // said in Welcome; nil: none
	Rotations  []*orielv1.Rotation
	Refuse     *orielv1.Refused
	// Received sees every message after Hello; it may be nil.
	Received func(*Agent, *orielv1.FromAgent)

	t      testing.TB
	server *httptest.Server
	addr   string

	mu      sync.Mutex
	known   map[string]bool                       // protected by mu; machine keys
	agents  []*Agent                              // protected by mu; every one that was ever welcomed
	headers []string                              // protected by mu; Authorization of every try
	hellos  int                                   // protected by mu; taken in or not
	lost    int                                   // protected by mu
	former  []trust.Membership                    // protected by mu; good ones that were shown
	refuse  func(*orielv1.Hello) *orielv1.Refused // protected by mu; nil: nobody
	step    time.Duration                         // protected by mu; of its clock, besides Skew
	working sync.WaitGroup
}

// Agent is one welcomed connection.
type Agent struct {
	Hello *orielv1.Hello
	Key   ed25519.PublicKey
	conn  *wire.Conn

	mu  sync.Mutex
	got []*orielv1.FromAgent // protected by mu
}

// Start makes a relay and starts it on a free port. It is stopped with the test.
func Start(t testing.TB, with ...func(*Relay)) *Relay {
	t.Helper()
	r := &Relay{t: t, Computer: "computer-1", known: map[string]bool{}}
	_, r.Key, _ = ed25519.GenerateKey(rand.Reader)
	for _, w := range with {
		w(r)
	}
	r.Restart()
	t.Cleanup(r.Stop)
	return r
}

// Stop drops every connection and stops listening, as a killed relay does.
func (r *Relay) Stop() {
	r.mu.Lock()
	server := r.server
	r.server = nil
	r.mu.Unlock()
	if server == nil {
		return
	}
	server.Listener.Close()
	for _, a := range r.Agents() {
		a.conn.Close()
	}
	server.CloseClientConnections()
	server.Close()
	r.working.Wait()
}

// Restart starts again at the same address, knowing what it knew.
func (r *Relay) Restart() {
	r.t.Helper()
	addr := r.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var listener net.Listener
	r.Until("the address is free again", func() bool {
		var err error
		listener, err = net.Listen("tcp", addr)
		return err == nil
	})
	r.addr = listener.Addr().String()
	server := &httptest.Server{Listener: listener, Config: &http.Server{
		Handler:  http.HandlerFunc(r.serve),
		ErrorLog: log.New(io.Discard, "", 0),
	}}
	if r.TLS {
		server.StartTLS()
	} else {
		server.Start()
	}
	r.mu.Lock()
	r.server = server
	r.mu.Unlock()
}

// URL is the relay's address.
func (r *Relay) URL() string {
	if r.TLS {
		return "https://" + r.addr
	}
	return "http://" + r.addr
}

// CA is the certificate of a TLS relay, as PEM.
func (r *Relay) CA() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.certificate().Raw}))
}

func (r *Relay) certificate() *x509.Certificate {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.server.Certificate()
}

// Public is the relay's public key.
func (r *Relay) Public() ed25519.PublicKey { return r.Key.Public().(ed25519.PublicKey) }

// Token is a token that this relay takes, any number of times.
func (r *Relay) Token() string {
	sum := sha256.Sum256(r.Public())
	return "oriel-" + Secret + "-" + hex.EncodeToString(sum[:16])
}

func (r *Relay) token() trust.Token {
	token, err := trust.ParseToken(r.Token())
	if err != nil {
		panic(err)
	}
	return token
}

// Now is the relay's time.
func (r *Relay) Now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Add(r.Skew + r.step)
}

// Step moves the relay's time on by d against what the agent's clocks count.
func (r *Relay) Step(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.step += d
}

// Forget removes every machine, as an operator does.
func (r *Relay) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.known)
}

// Lost is how many greetings of machines that it knew before it refused so far.
func (r *Relay) Lost() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost
}

// Former are the memberships that were shown and are good, in order.
func (r *Relay) Former() []trust.Membership {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.former)
}

// TakeBack has it know a machine that it forgot.
func (r *Relay) TakeBack(key ed25519.PublicKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[string(key)] = true
}

// RefuseHello has those refused for whom fn says how, from now on.
func (r *Relay) RefuseHello(fn func(*orielv1.Hello) *orielv1.Refused) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = fn
}

// Headers are the Authorization headers seen so far.
func (r *Relay) Headers() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.headers...)
}

// Hellos is how many came so far.
func (r *Relay) Hellos() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hellos
}

// Agents are all connections welcomed so far.
func (r *Relay) Agents() []*Agent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*Agent(nil), r.agents...)
}

// Agent waits for the n-th welcomed connection (from 1).
func (r *Relay) Agent(n int) *Agent {
	r.t.Helper()
	r.Until(fmt.Sprintf("connection %d", n), func() bool { return len(r.Agents()) >= n })
	return r.Agents()[n-1]
}

// Until polls ok until it holds, and fails the test after Deadline.
func (r *Relay) Until(what string, ok func() bool) {
	r.t.Helper()
	Until(r.t, what, ok)
}

// Until polls ok until it holds, and fails the test after Deadline.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Deadline); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// Send sends m to the agent.
func (a *Agent) Send(m *orielv1.ToAgent) error { return a.conn.Send(m) }

// Close ends the connection with a code.
func (a *Agent) Close(code int) { a.conn.CloseWith(code, "") }

// Done is closed when the connection has ended.
func (a *Agent) Done() <-chan struct{} { return a.conn.Done() }

// Got is what came after Hello so far.
func (a *Agent) Got() []*orielv1.FromAgent {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]*orielv1.FromAgent(nil), a.got...)
}

// Wait waits for the first message for which ok holds.
func (a *Agent) Wait(t testing.TB, what string, ok func(*orielv1.FromAgent) bool) *orielv1.FromAgent {
	t.Helper()
	var found *orielv1.FromAgent
	Until(t, what, func() bool {
		for _, m := range a.Got() {
			if ok(m) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

func (r *Relay) serve(w http.ResponseWriter, req *http.Request) {
	r.working.Add(1)
	defer r.working.Done()
	if req.URL.Path != "/agent/v1" {
		http.NotFound(w, req)
		return
	}
	header := req.Header.Get("Authorization")
	who, err := trust.ParseAuthorization(header)
	r.mu.Lock()
	r.headers = append(r.headers, header)
	shown := trust.ReadMembership(req.Header.Get, r.Public(), who.Key)
	former := err == nil && shown.Computer != ""
	if former {
		r.former = append(r.former, shown)
	}
	ok := err == nil && (r.known[string(who.Key)] || who.Token.Equal(r.token().Public()) || former)
	r.mu.Unlock()
	if !ok {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		json.NewEncoder(w).Encode(map[string]string{"code": "unauthorized", "message": "unknown computer"})
		return
	}
	conn, err := wire.Upgrade(w, req, wire.Options{})
	if err != nil {
		return
	}
	defer conn.Close()
	if r.Mute {
		_ = conn.Receive(&orielv1.FromAgent{})
		return
	}
	r.talk(conn, who)
}

func (r *Relay) talk(conn *wire.Conn, who trust.Applicant) {
	key, name := who.Key, string(who.Key)
	nonce := make([]byte, 32)
	rand.Read(nonce)
	signed := trust.Hello{RelayNonce: nonce, RelayKey: r.Public(), AgentNonce: who.Nonce}
	if r.BindTLS {
		signed.Exporter = exporter(conn.TLS())
	}
	challenge := &orielv1.Challenge{Version: orielv1.Version, Nonce: nonce, RelayKey: r.Public(), BindTls: r.BindTLS, Rotations: r.Rotations}
	if who.Token != nil && !r.Silent {
		challenge.Signature, _ = trust.SignChallenge(trust.Key(r.Key), signed)
	}
	conn.Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_Challenge{Challenge: challenge}})
	var first orielv1.FromAgent
	if conn.Receive(&first) != nil {
		return
	}
	hello := first.GetHello()
	r.mu.Lock()
	r.hellos++
	r.mu.Unlock()
	signed.AgentNonce = hello.GetNonce()
	if err := trust.VerifyHello(key, signed, hello.GetSignature()); err != nil {
		r.t.Errorf("the agent's Hello: %v", err)
		return
	}
	if who.Token != nil {
		if err := trust.VerifyEnrollment(who.Token, signed, key, hello.GetEnrollment()); err != nil {
			r.t.Errorf("the agent's token: %v", err)
			return
		}
	}
	refused := r.Refuse
	r.mu.Lock()
	if !r.known[name] && who.Token == nil { // a former one
		refused = &orielv1.Refused{Code: orielv1.Code_CODE_NOT_FOUND, Detail: "lost"}
		r.lost++
	}
	if r.refuse != nil {
		refused = r.refuse(hello)
	}
	r.mu.Unlock()
	if refused != nil {
		conn.Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_Refused{Refused: refused}})
		return
	}
	a := &Agent{Hello: hello, Key: key, conn: conn}
	now := r.Now()
	r.mu.Lock()
	enrolled := !r.known[name]
	r.known[name] = true
	for _, other := range r.agents {
		if other.Key.Equal(key) {
			go other.conn.CloseWith(wire.CloseSuperseded, "")
		}
	}
	// Whoever sees the agent may send to it, and Welcome comes first.
	conn.Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_Welcome{Welcome: r.welcome(hello.GetNonce(), key, enrolled, now)}})
	r.agents = append(r.agents, a)
	r.mu.Unlock()
	for {
		m := &orielv1.FromAgent{}
		if conn.Receive(m) != nil {
			return
		}
		if ask := m.GetAskClock(); ask != nil {
			r.tellTime(conn, ask.GetNonce())
		}
		a.mu.Lock()
		a.got = append(a.got, m)
		a.mu.Unlock()
		if r.Received != nil {
			r.Received(a, m)
		}
	}
}

func (r *Relay) welcome(nonce []byte, machine ed25519.PublicKey, enrolled bool, now time.Time) *orielv1.Welcome {
	key := r.Key
	if r.Forged {
		_, key, _ = ed25519.GenerateKey(rand.Reader)
	}
	sig, err := trust.SignWelcome(trust.Key(key), nonce, r.Computer, now)
	if err != nil {
		r.t.Errorf("sign welcome: %v", err)
	}
	member, err := trust.SignMembership(trust.Key(key), machine, r.Computer, "")
	if err != nil {
		r.t.Errorf("sign membership: %v", err)
	}
	of := trust.Membership{}
	if r.Organization != "" {
		if of, err = trust.SignMembership(trust.Key(key), machine, r.Computer, r.Organization); err != nil {
			r.t.Errorf("sign membership: %v", err)
		}
	}
	w := &orielv1.Welcome{ComputerId: r.Computer, Membership: member.Signature, Organization: of.Organization, OrganizationMembership: of.Signature, Signature: sig, Now: now.UnixMilli(),
		Relays: r.Relays, Address: "127.0.0.1", Enrolled: enrolled, Settings: &orielv1.Settings{}}
	if r.Succession != nil {
		w.SuccessionKey = r.Succession
		w.SuccessionSignature, _ = trust.SignSuccession(trust.Key(key), nonce, r.Succession)
	}
	return w
}

// tellTime answers an agent's ping.
func (r *Relay) tellTime(conn *wire.Conn, nonce []byte) {
	now := r.Now()
	sig, err := trust.SignClock(trust.Key(r.Key), nonce, r.Computer, now)
	if err != nil {
		r.t.Errorf("sign the time: %v", err)
	}
	conn.Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_Clock{Clock: &orielv1.Clock{Nonce: nonce, Now: now.UnixMilli(), Signature: sig}}})
}

func exporter(state *tls.ConnectionState) []byte {
	if state == nil {
		return nil
	}
	b, err := state.ExportKeyingMaterial(trust.ExporterLabel, nil, 32)
	if err != nil {
		return nil
	}
	return b
}
