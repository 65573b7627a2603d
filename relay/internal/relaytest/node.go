// Package relaytest is the relay for tests: its rooms wired in this process
// behind a real listener on 127.0.0.1:0 (Node), alone or as one of several on
// one database and one bus, and the other sides of its wire (Agent, Tab), which
// speak the real protocol over real sockets. It is only imported by tests.
package relaytest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/wire"
	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/blob"
	"oriel/relay/internal/broker"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/hub"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/policy"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// NodeOptions of StartNode; the zero value is a node alone on SQLite.
type NodeOptions struct {
	Name     string        // empty: "node"
	Database string        // address; empty: a new SQLite file
	NATS     string        // URL; empty: embedded
	Blobs    string        // folder; empty: a new one
	TLS      bool          // Agents and Tabs then trust the node's own certificate
	Lifetime time.Duration // of the node without a heartbeat; 0: fleet.NodeLifetime
	Grace    time.Duration // of a session without its tab; 0: broker.TabGrace
	Ask      time.Duration // whether sessions may go on; 0: broker.AskEvery
	Lease    time.Duration // of sessions; 0: broker.Lease
	Recheck  time.Duration // of sign-ins; 0: hub.RecheckEvery
	Bounds   hub.Bounds
	Wire     wire.Options
	Now      func() time.Time
	// Statement is told of each statement to the database that a tab has made.
	Statement func(text string)
	ICE       func(id, scope string, expires time.Time) []*orielv1.IceServer
}

// Node is the rooms of one relay process.
type Node struct {
	Store    *store.Store
	Access   *access.Access
	Audit    *audit.Log
	Policies *policy.Policies
	Bus      *bus.Bus
	Fleet    *fleet.Fleet
	Journal  *journal.Journal
	Broker   *broker.Broker
	Hub      *hub.Hub

	URL string // http(s)://127.0.0.1:port
	TLS *tls.Config

	server *httptest.Server
	cancel context.CancelFunc
	wait   sync.WaitGroup
	once   sync.Once
}

// ofTab marks the contexts of what tabs ask.
type ofTab struct{}

// StartNode starts a node and stops it when the test ends.
func StartNode(t testing.TB, o NodeOptions) *Node {
	t.Helper()
	if o.Database == "" {
		o.Database = storetest.SQLite(t)
	}
	if o.Blobs == "" {
		o.Blobs = filepath.Join(t.TempDir(), "blobs")
	}
	if o.Name == "" {
		o.Name = "node"
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := &Node{cancel: cancel}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	n.Store, err = store.Open(ctx, o.Database, store.Options{Connections: 8, Statement: func(ctx context.Context, text string) {
		if ctx.Value(ofTab{}) != nil && o.Statement != nil {
			o.Statement(text)
		}
	}})
	must(err)
	blobs, err := blob.Open(ctx, "", o.Blobs)
	must(err)
	n.Bus, err = bus.Open(ctx, bus.Options{URL: o.NATS, Name: o.Name})
	must(err)
	n.Audit = audit.New(audit.Options{Store: n.Store, Bus: n.Bus, Now: o.Now})
	n.Access, err = access.New(ctx, n.Store, access.Options{Auditor: access.Refusals(n.Audit), Hash: access.HashCost{MemoryKiB: 64, Passes: 1}, Now: o.Now, Bus: n.Bus})
	must(err)
	n.Fleet = fleet.New(fleet.Options{Store: n.Store, Bus: n.Bus, Blobs: blobs, RelayKey: n.Access.PublicKey(),
		Node: o.Name, Lifetime: o.Lifetime, Now: o.Now})
	n.Journal = journal.New(journal.Options{Store: n.Store, Bus: n.Bus, Lease: o.Lease, Now: o.Now})
	n.Policies = policy.New(policy.Options{Store: n.Store, Announce: func(o store.OrganizationID) { n.Access.Announce(access.Change{Organization: o}) }, Now: o.Now})
	n.Broker = broker.New(broker.Options{Bus: n.Bus, Fleet: n.Fleet, Journal: n.Journal, Access: n.Access, Policies: n.Policies,
		Signer: n.Access.Signer(), ICE: o.ICE, Grace: o.Grace, Ask: o.Ask, Lease: o.Lease, Now: o.Now})
	n.Hub = hub.New(hub.Options{Bus: n.Bus, Fleet: n.Fleet, Journal: n.Journal, Broker: n.Broker, Access: n.Access, Policies: n.Policies,
		RelayKey: n.Access.PublicKey(), Signer: n.Access.Signer(), Succession: n.Access.Succession(), Rotations: n.Access.Rotations(), Version: "test", Wire: o.Wire, Recheck: o.Recheck, Bounds: o.Bounds,
		PreviewSeconds: 60, Now: o.Now, Relays: func() []string { return []string{n.URL} }})

	mux := http.NewServeMux()
	mux.Handle("GET /agent/v1", n.Hub.Agent())
	mux.HandleFunc("GET /live/v1", func(w http.ResponseWriter, r *http.Request) {
		who, err := n.Access.Identify(r)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		n.Hub.Live(w, r.WithContext(context.WithValue(r.Context(), ofTab{}, true)), who)
	})
	n.server = httptest.NewUnstartedServer(mux)
	if o.TLS {
		n.server.StartTLS()
		n.TLS = n.server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	} else {
		n.server.Start()
	}
	n.URL = n.server.URL
	for _, run := range []func(context.Context) error{n.Access.Run, n.Audit.Run, n.Fleet.Run, n.Broker.Run, n.Hub.Run} {
		n.wait.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { n.Stop(); _ = blobs.Close(); _ = n.Store.Close() })
	return n
}

// Stop drains the node and ends it.
func (n *Node) Stop() {
	n.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = n.Hub.Drain(ctx)
		n.end()
	})
}

// Kill ends the node as a crash would, as far as others can see: connections
// break without a word, its heartbeat stops, presence stays in the database.
func (n *Node) Kill() {
	n.once.Do(func() {
		n.Bus.Close()
		_ = n.Store.Close()
		n.server.CloseClientConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		n.cancel()
		_ = n.Hub.Drain(ctx)
		n.end()
	})
}

func (n *Node) end() {
	n.cancel()
	n.wait.Wait()
	n.Broker.Close()
	n.server.Close()
	n.Bus.Close()
}

// Owner is the relay's owner, made when there is none, at a browser of its own.
func (n *Node) Owner(t testing.TB) (access.Identity, *http.Cookie) {
	t.Helper()
	const email, password = "owner@example.com", "correct horse battery"
	from := access.Client{Address: "192.0.2.7", Browser: "Test/1.0"}
	token, err := n.Access.NewOwnerToken(t.Context())
	if err == nil {
		who, cookie, err := n.Access.CreateOwner(t.Context(), token, access.NewOwner{Name: "Olivia Owner", Email: email, Password: password}, from)
		if err != nil {
			t.Fatal(err)
		}
		return who, cookie
	}
	who, cookie, err := n.Access.SignIn(t.Context(), email, password, from)
	if err != nil {
		t.Fatal(err)
	}
	return who, cookie
}

// Member is somebody with that role in the organization that a relay begins with, and with
// grants, at a browser of their own.
func (n *Node) Member(t testing.TB, role string, grants ...store.Grant) (access.Identity, *http.Cookie) {
	t.Helper()
	return n.MemberOf(t, store.FirstOrganization, role, grants...)
}

// MemberOf is Member in an organization.
func (n *Node) MemberOf(t testing.TB, o store.OrganizationID, role string, grants ...store.Grant) (access.Identity, *http.Cookie) {
	t.Helper()
	by, now := audit.Command.Did("member.made", "person", ""), time.Now().UnixMilli()
	p := store.Person{ID: store.NewID(), Kind: store.PersonKind, Name: "Mona Member", State: store.Active}
	its := store.Identifier{Kind: store.Email, Key: p.ID + "@example.com", Text: p.ID + "@example.com", VerifiedAt: 1}
	err := n.Store.Members(o).AddPerson(t.Context(), by, store.Member{Role: role, State: store.Active}, p, its)
	for _, g := range grants {
		if err == nil {
			g.ID, g.SubjectKind, g.SubjectID = store.NewID(), store.SubjectPerson, p.ID
			err = n.Store.Grants(o).Add(t.Context(), by, g)
		}
	}
	cookie := &http.Cookie{Name: access.SessionCookie, Value: rand.Text()}
	hash := sha256.Sum256([]byte(cookie.Value))
	who := access.Identity{Organization: o, PersonID: p.ID, SignInID: store.NewID(), Name: p.Name, Email: its.Text, Role: role,
		Client: access.Client{Address: "192.0.2.8", Browser: "Test/1.0"}}
	if err == nil {
		err = n.Store.SignIns().Add(t.Context(), by, store.SignIn{TokenHash: hash[:], ID: who.SignInID, PersonID: p.ID, Organization: o,
			Address: who.Address, Browser: who.Browser, CreatedAt: now, SeenAt: now}, p.PasswordHash)
	}
	if err != nil {
		t.Fatal(err)
	}
	return who, cookie
}

// Own names a thing of that id in the organization that a relay begins with.
func Own(id string) store.Ref { return store.FirstOrganization.Ref(id) }

// Token is a new enrollment token of the organization that a relay begins with.
func (n *Node) Token(t testing.TB, uses int) string {
	t.Helper()
	return n.TokenOf(t, store.FirstOrganization, uses)
}

// TokenOf is a new enrollment token of an organization.
func (n *Node) TokenOf(t testing.TB, o store.OrganizationID, uses int) string {
	t.Helper()
	text, _, err := n.Fleet.CreateToken(t.Context(), o, audit.Person("somebody", "", "", ""), "", uses, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// StartNATS starts an external bus and returns its URL.
func StartNATS(t testing.TB) string {
	t.Helper()
	return NewNATS(t).URL
}

// NATS is an external bus that can be away for a while.
type NATS struct {
	URL string

	t      testing.TB
	port   int
	server *server.Server
}

// NewNATS starts one and stops it when the test ends.
func NewNATS(t testing.TB) *NATS {
	t.Helper()
	n := &NATS{t: t, port: server.RANDOM_PORT}
	n.Start()
	t.Cleanup(n.Stop)
	return n
}

// Start starts it, at the same address as before.
func (n *NATS) Start() {
	n.t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: n.port, NoSigs: true, NoLog: true})
	if err != nil {
		n.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		n.t.Fatal("NATS is not ready")
	}
	n.server, n.URL, n.port = s, s.ClientURL(), s.Addr().(*net.TCPAddr).Port
}

// Stop ends it; what is connected looks for it.
func (n *NATS) Stop() {
	n.server.Shutdown()
	n.server.WaitForShutdown()
}

// Tap counts the requests that nodes send over the bus, until the test ends.
type Tap struct {
	t    testing.TB
	conn *nats.Conn
	all  *nats.Subscription
}

// Tap begins to count.
func (n *NATS) Tap(t testing.TB) *Tap {
	t.Helper()
	conn, err := nats.Connect(n.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	tap := &Tap{t: t, conn: conn}
	if tap.all, err = conn.SubscribeSync(">"); err != nil {
		t.Fatal(err)
	}
	tap.Requests()
	return tap
}

// Requests that were sent since it was called last.
func (tap *Tap) Requests() (n int) {
	tap.t.Helper()
	// What the server passed on before it answers this is here by then.
	err := tap.conn.Flush()
	there, _, failed := tap.all.Pending()
	for err = errors.Join(err, failed); there > 0 && err == nil; there-- {
		var m *nats.Msg
		if m, err = tap.all.NextMsg(time.Second); err == nil && m.Reply != "" {
			n++
		}
	}
	if err != nil {
		tap.t.Fatal(err)
	}
	return n
}

// patience is how long a test waits for what should come at once: it is for what never
// comes, as a machine that much else runs on may stand still for seconds.
const patience = time.Minute

// Until polls a condition until it holds.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func socket(url, path string) string { return "ws" + strings.TrimPrefix(url, "http") + path }

// inbox holds what came from the relay until a test looks for it.
type inbox[T any] struct {
	t    testing.TB
	mu   sync.Mutex
	all  []T           // protected by mu; not looked at yet
	more chan struct{} // closed and replaced when all or err changes; protected by mu
	err  error         // protected by mu; why nothing more comes
	show func(T) string
}

func (b *inbox[T]) put(m T, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.err = err
	} else {
		b.all = append(b.all, m)
	}
	close(b.more)
	b.more = make(chan struct{})
}

// take waits for the first message for which is holds, and takes it out.
func (b *inbox[T]) take(what string, is func(T) bool) T {
	b.t.Helper()
	timeout := time.After(patience)
	for {
		b.mu.Lock()
		for i, m := range b.all {
			if is(m) {
				b.all = append(b.all[:i:i], b.all[i+1:]...)
				b.mu.Unlock()
				return m
			}
		}
		more, err := b.more, b.err
		b.mu.Unlock()
		if err != nil {
			b.t.Fatalf("waiting for %s: %v; there is %s", what, err, b)
		}
		select {
		case <-more:
		case <-timeout:
			b.t.Fatalf("no %s within %v; there is %s", what, patience, b)
		}
	}
}

// has reports whether such a message is there now.
func (b *inbox[T]) has(is func(T) bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.all {
		if is(m) {
			return true
		}
	}
	return false
}

func (b *inbox[T]) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var s []string
	for _, m := range b.all {
		s = append(s, fmt.Sprintf("%.200s", b.show(m)))
	}
	return fmt.Sprintf("%d messages %q", len(s), s)
}
