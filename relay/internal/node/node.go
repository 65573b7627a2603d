// Package node is one running relay: it builds the rooms, connects them, and
// owns their lifetime. It has the name and the task of the agent's node, and is
// a room of its own, not part of main, so that the tests of the whole relay run
// exactly what main runs.
//
// New opens everything in the order of need: data folder, listener, database,
// people, bus, blobs, certificates, TURN, the rooms, the door. Run serves until
// its context ends and then drains: readiness says no, the listener closes,
// agents and tabs are sent elsewhere (close 1001), requests under way finish.
// That takes DrainWithin at most. No session is ended: what runs directly
// between browser and agent does not notice. Close gives back what New took.
package node

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"oriel/protocol/private"
	"oriel/relay/internal/access"
	"oriel/relay/internal/api"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/blob"
	"oriel/relay/internal/broker"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/config"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/hub"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/listen"
	"oriel/relay/internal/notify/mail"
	"oriel/relay/internal/people"
	"oriel/relay/internal/policy"
	"oriel/relay/internal/replay"
	"oriel/relay/internal/server"
	"oriel/relay/internal/share"
	"oriel/relay/internal/store"
	"oriel/relay/internal/turn"
)

// DrainWithin bounds a graceful end.
const DrainWithin = 10 * time.Second

// PreviewSeconds is how often an agent looks whether its picture changed.
const PreviewSeconds = 60

// Options of New that are no settings of a relay's operator.
type Options struct {
	Version string
	Console fs.FS           // nil: this binary has none
	Log     *slog.Logger    // nil: none
	Hash    access.HashCost // cheap in tests
	// BodyWithin bounds how long a body may take; 0: the server's default.
	BodyWithin time.Duration
}

// Node is one relay process.
type Node struct {
	Access *access.Access

	c         *config.Config
	o         Options
	nodeName  string // the same after a restart
	publicURL *url.URL
	listener  net.Listener
	metrics   net.Listener // nil: none of its own
	shortage  listen.Shortage

	store    *store.Store
	audit    *audit.Log
	policies *policy.Policies
	mail     *mail.Mailer
	keeper   *audit.Keeper
	bus      *bus.Bus
	turn     *turn.Server
	others   *otherTURN
	fleet    *fleet.Fleet
	broker   *broker.Broker
	answers  *replay.Answers
	hub      *hub.Hub
	server   *server.Server

	closers []func() error // in the order of opening
}

// New opens everything and listens; nothing is answered before Run.
func New(ctx context.Context, c *config.Config, o Options) (*Node, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	n := &Node{c: c, o: o, others: newOtherTURN(time.Now)}
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Close gives back what New took, after Run has returned.
func (n *Node) Close() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	n.closers = nil
	return errors.Join(errs...)
}

// closing has fn called by Close.
func (n *Node) closing(fn func() error) { n.closers = append(n.closers, fn) }

// URL is the address that browsers and agents use.
func (n *Node) URL() string { return n.publicURL.String() }

// OwnerLink makes a new one-time link for the first owner. Errors:
// access.ErrOwnerExists.
func (n *Node) OwnerLink(ctx context.Context) (string, error) {
	return OwnerLink(ctx, n.Access, n.publicURL)
}

// OwnerLink is the link with a new token in the fragment, which no browser
// sends and no log keeps.
func OwnerLink(ctx context.Context, a *access.Access, public *url.URL) (string, error) {
	token, err := a.NewOwnerToken(ctx)
	if err != nil {
		return "", err
	}
	return public.JoinPath("owner").String() + "#" + token, nil
}

// RecoveryLink is the link with which the owner sets a new password. Errors:
// access.ErrNoOwner.
func RecoveryLink(ctx context.Context, a *access.Access, public *url.URL) (string, error) {
	token, err := a.NewRecoveryToken(ctx)
	if err != nil {
		return "", err
	}
	return public.JoinPath("recover").String() + "#" + token, nil
}

// PublicURL is the setting, or what follows from the address listened on.
func PublicURL(c *config.Config, listening string) *url.URL {
	if c.PublicURL != nil {
		return c.PublicURL
	}
	host, port, _ := net.SplitHostPort(listening) // checked by config, or a listener's own
	if asked, _, _ := net.SplitHostPort(c.Listen); asked == "localhost" {
		host = asked // as a certificate would call it
	}
	u := &url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)}
	if c.TLS.On() {
		u.Scheme = "https"
	}
	return u
}

func (n *Node) open(ctx context.Context) error {
	c, log := n.c, n.o.Log
	if err := n.openData(); err != nil {
		return err
	}
	var err error
	if n.listener, err = net.Listen("tcp", c.Listen); err != nil {
		return fmt.Errorf("%w; choose another address with --listen", err)
	}
	n.closing(func() error { return closed(n.listener.Close()) })
	n.publicURL = PublicURL(c, n.listener.Addr().String())
	if c.MetricsListen != "" {
		if n.metrics, err = net.Listen("tcp", c.MetricsListen); err != nil {
			return fmt.Errorf("%w; choose another address with --metrics-listen", err)
		}
		n.metrics = listen.Patient(n.metrics, "metrics", &n.shortage, log)
		n.closing(func() error { return closed(n.metrics.Close()) })
	}

	if err := n.lockDatabase(); err != nil {
		return err
	}
	if n.store, err = store.Open(ctx, c.Database, store.Options{}); err != nil {
		return err
	}
	n.closing(n.store.Close)
	if unbound, err := n.store.Unbound(ctx); err != nil {
		return err
	} else if unbound != "" {
		log.Warn(unbound)
	}
	if _, err := Unseal(ctx, n.store, c); err != nil {
		return err
	}
	name, err := n.name()
	if err != nil {
		return err
	}
	n.nodeName = name
	if n.bus, err = bus.Open(ctx, bus.Options{URL: c.NATS, Name: name, Logger: log}); err != nil {
		return err
	}
	n.closing(func() error { n.bus.Close(); return nil })
	n.audit = audit.New(audit.Options{Store: n.store, Bus: n.bus, Log: log})
	n.mail = mail.New(mail.Options{Store: n.store, Server: mail.Server(c.SMTP), PublicURL: n.publicURL, Name: c.Name, Log: log})
	n.Access, err = access.New(ctx, n.store, access.Options{Auditor: access.Refusals(n.audit), Secure: n.publicURL.Scheme == "https",
		Proxies: c.TrustedProxies, Limits: access.Limits{Address: c.Bounds.WrongPasswords}, Bus: n.bus, Mailer: n.mail, Hash: n.o.Hash, Log: log})
	if err != nil {
		return err
	}
	n.keeper = audit.NewKeeper(audit.KeeperOptions{Store: n.store, Signer: n.Access.Signer(), Key: n.Access.PublicKey(), Trusted: n.Access.Signed,
		Keep: c.AuditKeep, Log: log})
	blobs, err := blob.Open(ctx, c.Blobs, filepath.Join(c.Data, "blobs"))
	if err != nil {
		return fmt.Errorf("open blobs: %w", err)
	}
	n.closing(blobs.Close)
	secure, err := n.openTLS(ctx)
	if err != nil {
		return err
	}

	n.fleet = fleet.New(fleet.Options{Store: n.store, Bus: n.bus, Blobs: blobs, RelayKey: n.Access.PublicKey(), Node: name, Log: log})
	record := journal.New(journal.Options{Store: n.store, Bus: n.bus, Lease: c.Lease, Log: log})
	n.policies = policy.New(policy.Options{Store: n.store, Announce: func(o store.OrganizationID) { n.Access.Announce(access.Change{Organization: o}) }, Log: log})
	n.broker = broker.New(broker.Options{Bus: n.bus, Fleet: n.fleet, Journal: record, Access: n.Access, Policies: n.policies,
		Signer: n.Access.Signer(), ICE: n.ice, Lease: c.Lease, Log: log})
	if err := n.openTURN(ctx); err != nil {
		return err
	}
	n.hub = hub.New(hub.Options{Bus: n.bus, Fleet: n.fleet, Journal: record, Broker: n.broker, Access: n.Access, Policies: n.policies,
		RelayKey: n.Access.PublicKey(), Signer: n.Access.Signer(), Succession: n.Access.Succession(), Rotations: n.Access.Rotations(), Version: n.o.Version, Relays: n.relays,
		PreviewSeconds: PreviewSeconds, Log: log,
		Bounds: hub.Bounds{Greetings: share.Bound{Address: c.Bounds.Undecided}, Sockets: share.Bound{Address: c.Bounds.Sockets}}})

	key, err := n.Access.Secret(ctx, "idempotency", 32)
	if err != nil {
		return fmt.Errorf("read the key of kept answers: %w", err)
	}
	n.answers = replay.New(replay.Options{Store: n.store, Secret: key, Log: log})
	rest := api.New(api.Options{Version: n.o.Version, Name: c.Name, Access: n.Access, Fleet: n.fleet, Journal: record,
		People:   people.New(people.Options{Store: n.store, Access: n.Access, Mailer: n.mail, PublicURL: n.URL(), Log: log}),
		Policies: n.policies, Broker: n.broker, Relay: n, Answers: n.answers, Mails: n.mail, Audit: auditing{n.audit, n.keeper}, Log: log,
		Limits: api.Limits{Address: c.Bounds.Requests, SignIn: c.Bounds.SignInRequests}})
	n.server, err = server.New(server.Options{
		PublicURL: n.publicURL, API: rest, Access: n.Access, Console: n.o.Console, Live: n.hub.Live, Agent: n.hub.Agent(),
		Downloads: c.Downloads, MetricsToken: c.MetricsToken, TLS: secure, TURN: n.acceptTURN(),
		Shortage: &n.shortage, Log: log,
		Bounds: server.Bounds{BodyWithin: n.o.BodyWithin, Silent: share.Bound{Address: c.Bounds.Undecided}, Requests: share.Bound{Address: c.Bounds.Undecided},
			Connections: share.Bound{All: maxConnections(), Address: c.Bounds.Connections}},
		Ready: map[string]func(context.Context) error{
			"database": func(ctx context.Context) error { return n.store.CheckWrites(ctx, name) },
			"bus":      n.bus.CheckEcho,
			"blobs":    func(ctx context.Context) error { return blobs.CheckWrites(ctx, healthBlob(name)) },
		},
	})
	if err != nil {
		return err
	}
	n.measure()
	return nil
}

// auditing is the audit for the API.
type auditing struct {
	*audit.Log
	keeper *audit.Keeper
}

func (a auditing) State(o store.OrganizationID) audit.State { return a.keeper.State(o) }

// maxConnections leaves a quarter of the files that this process may open for
// the database, the bus and TURN; 0: the server's default.
func maxConnections() int {
	if files := listen.Files(); files > 0 && files < 4*65536/3 {
		return files / 4 * 3
	}
	return 0
}

// healthBlob is the key of the blob that a node of that name writes to know
// that blobs can be written.
func healthBlob(node string) string {
	sum := sha256.Sum256([]byte(node))
	return "health/" + hex.EncodeToString(sum[:8])
}

// closed is err, unless it says that somebody closed it before.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// openData makes the data folder and takes it for this process alone.
func (n *Node) openData() error {
	if err := MakeData(n.c); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(n.c.Data, "lock"))
	if errors.Is(err, errLocked) {
		err = fmt.Errorf("%w on this data folder; stop it, or give this one a folder of its own with --data", err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", n.c.Data, err)
	}
	n.closing(unlock)
	return nil
}

// Hold takes the data folder and the database as a relay does, so that none
// runs there until release.
func Hold(c *config.Config) (release func() error, err error) {
	n := &Node{c: c}
	if err = n.openData(); err == nil {
		err = n.lockDatabase()
	}
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n.Close, nil
}

// lockDatabase takes a file of SQLite for this process alone, by a lock beside
// it: relays of several data folders may name one file, and each would take
// itself for the only node. Commands beside a relay (owner link) need no lock.
func (n *Node) lockDatabase() error {
	kind, path, err := store.ParseAddress(n.c.Database)
	if err != nil || kind != store.SQLite {
		return err
	}
	// CheckState refused a link in the last place.
	folder, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	path = filepath.Join(folder, filepath.Base(path))
	unlock, err := lock(path + ".lock")
	if errors.Is(err, errLocked) {
		err = fmt.Errorf("%w on this database file; stop it, give this one a file of its own with --database, or use PostgreSQL for several nodes", err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	n.closing(unlock)
	return nil
}

// name of this node, the same after a restart, so that it clears what an
// earlier run of it left.
func (n *Node) name() (string, error) {
	if n.c.Node != "" {
		return n.c.Node, nil
	}
	path := filepath.Join(n.c.Data, "node")
	b, err := private.ReadFile(path, 256)
	if name := strings.TrimSpace(string(b)); err == nil && name != "" && len(name) <= 64 {
		return name, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the node's name: %w", err)
	}
	raw := make([]byte, 8)
	_, _ = rand.Read(raw) // never fails
	name := "node-" + hex.EncodeToString(raw)
	if err := os.WriteFile(path, []byte(name+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the node's name: %w", err)
	}
	return name, nil
}

func (n *Node) openTLS(ctx context.Context) (*tls.Config, error) {
	t := n.c.TLS
	switch {
	case t.Cert != "":
		c, err := server.Files(t.Cert, t.Key)
		if err != nil {
			return nil, err
		}
		return c, nil
	case len(t.ACME.Hosts) > 0:
		c, stop, err := server.FromACME(context.WithoutCancel(ctx), server.ACME{Hosts: t.ACME.Hosts, Email: t.ACME.Email,
			Directory: t.ACME.Directory, CA: t.ACME.CA, Folder: filepath.Join(n.c.Data, "certificates")}, n.o.Log)
		if err != nil {
			return nil, err
		}
		n.closing(func() error { stop(); return nil })
		return c, nil
	}
	return nil, nil
}

func (n *Node) openTURN(ctx context.Context) error {
	t := n.c.TURN
	if t.UDP == "" && t.TCP == "" {
		return nil
	}
	secret, err := n.Access.Secret(ctx, "turn", 32)
	if err != nil {
		return fmt.Errorf("read the secret of TURN: %w", err)
	}
	n.turn, err = turn.Start(turn.Options{UDP: t.UDP, TCP: t.TCP, PublicAddress: t.PublicAddress, MinPort: t.MinPort, MaxPort: t.MaxPort,
		AllowPeers: t.AllowPeers, Realm: t.Realm, Secret: secret, Allocations: t.Allocations, Connections: t.Connections, BytesPerSecond: t.BytesPerSecond,
		Ended:         n.ended,
		Loose:         func(h turn.Holder) bool { return n.broker.Loose(broker.Credit(h)) },
		Patient:       func(l net.Listener) net.Listener { return listen.Patient(l, "turn", &n.shortage, n.o.Log) },
		PatientPacket: func(c net.PacketConn) net.PacketConn { return listen.PatientPacket(c, "turn", n.o.Log) }, Logger: n.o.Log})
	if err != nil {
		return fmt.Errorf("%w; choose other addresses with --turn-udp and --turn-tcp, or off", err)
	}
	n.closing(n.turn.Close)
	return nil
}

// acceptTURN takes TURN over TLS, where there is TURN at all.
func (n *Node) acceptTURN() func(net.Conn) {
	if n.turn == nil {
		return nil
	}
	return n.turn.Accept
}

// relays are the addresses that agents are told, in order.
func (n *Node) relays() []string {
	if len(n.c.AgentRelays) > 0 {
		return n.c.AgentRelays
	}
	return []string{n.URL()}
}

// PublicURL is for the API.
func (n *Node) PublicURL() string { return n.URL() }

// AgentScript is for the API.
func (n *Node) AgentScript() []byte { return n.server.AgentScript() }

// AgentFiles are for the API.
func (n *Node) AgentFiles() []api.AgentFile { return n.server.AgentFiles() }

// Handler is what the listener answers with, for tests of every route.
func (n *Node) Handler() http.Handler { return n.server.Handler() }

// Routes are all addresses of the listener, for the same tests.
func (n *Node) Routes() []server.Route { return n.server.Routes() }

// port that the public address names.
func port(u *url.URL) int {
	if p, err := strconv.Atoi(u.Port()); err == nil {
		return p
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}

// turnHost is where clients find the UDP and TCP listeners of TURN, which no
// proxy in front of the HTTP port passes on.
func (n *Node) turnHost() string {
	if a := n.c.TURN.PublicAddress; a.IsValid() {
		return a.String()
	}
	for _, listening := range []netip.AddrPort{n.turn.UDPAddr(), n.turn.TCPAddr()} {
		if a := listening.Addr(); a.IsValid() && !a.IsUnspecified() {
			return a.String()
		}
	}
	return n.publicURL.Hostname()
}
