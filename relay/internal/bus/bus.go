// Package bus carries messages between the nodes of one relay, and within a
// relay of one node. It is NATS and the only door to it: a server embedded in
// this process that listens nowhere (the default), or an external one by URL.
//
// A message is one orielv1.BusMessage of at most MaxMessage bytes. It reaches
// whoever is subscribed at that moment, or nobody: what must not be lost is in
// the database, the bus only says that it changed. Messages of one publisher
// arrive in order at each subscriber.
//
// A lost external server is looked for for ever, with jitter. What was
// published meanwhile is lost; OnReconnect is the place to look again.
//
// Subjects, and what travels there:
//
//	agent.<computer id>   BusAsk, BusAgentReplaced, BusAgentDrop: to the node that holds the agent
//	session.<session id>  BusSession: to the node that holds the session's tab
//	fleet.changed         BusFleetChanged
//	journal.changed       BusJournalChanged
//	access.changed        BusAccessChanged
//	fleet.agent_lost      BusAgentLost
//	audit.changed         BusAuditChanged
//	turn.tickets          BusTickets
//	turn.servers          BusTURN
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/fault"
)

// Fixed subjects.
const (
	FleetChanged   = "fleet.changed"
	JournalChanged = "journal.changed"
	AccessChanged  = "access.changed"
	AgentLost      = "fleet.agent_lost"
	AuditChanged   = "audit.changed"
	Tickets        = "turn.tickets"
	TURN           = "turn.servers"
)

// MaxMessage is the largest message in bytes; an external server must allow
// it (its max_payload, 1 MiB unless configured otherwise).
const MaxMessage = 1 << 20

// Errors that a caller can act on.
var (
	ErrNobody      = errors.New("nobody listens there")
	ErrUnavailable = fault.New(fault.NodesApart, "the relay's nodes cannot reach each other; try again in a moment")
	ErrSubject     = errors.New("no such subject")
)

// Options of a Bus; the zero value is a bus of its own within this process.
type Options struct {
	URL    string // as CheckURL wants it; empty: embedded
	Name   string // of this node, as the server's monitoring shows it
	Logger *slog.Logger
}

// Bus is a connection to the bus. Its methods may be called from any goroutine.
type Bus struct {
	log    *slog.Logger
	conn   *nats.Conn
	server *server.Server // nil when it is external
	closed chan struct{}

	mu          sync.Mutex
	reconnected []func() // protected by mu
}

// Agent is the subject of one computer's agent. Errors: ErrSubject for an id
// that is none of ours.
func Agent(computer string) (string, error) { return subject("agent.", computer) }

// Session is the subject of one session. Errors: as Agent.
func Session(id string) (string, error) { return subject("session.", id) }

// subject keeps ids that come from outside from naming other subjects.
func subject(prefix, id string) (string, error) {
	if id == "" || len(id) > 64 {
		return "", ErrSubject
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-' {
			return "", ErrSubject
		}
	}
	return prefix + id, nil
}

// Open starts the embedded server or begins to connect to the external one.
// An external server that cannot be reached yet is no error: it is looked for
// until Close, and Healthy says that it is missing.
func Open(ctx context.Context, o Options) (*Bus, error) {
	b := &Bus{log: o.Logger, closed: make(chan struct{})}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	options := []nats.Option{
		nats.Name("oriel-relay " + o.Name),
		nats.Timeout(5 * time.Second),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.MaxReconnects(-1),
		nats.ReconnectBufSize(-1), // nothing is kept while there is no connection
		nats.CustomReconnectDelay(func(attempts int) time.Duration {
			d := min(100*time.Millisecond<<min(attempts, 6), 5*time.Second)
			return d/2 + rand.N(d/2+1)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.log.Warn("bus lost", "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { b.again() }),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			if s != nil {
				b.log.Error("bus", "subject", s.Subject, "err", err)
			}
		}),
	}
	address := o.URL
	if address == "" {
		if err := b.embed(); err != nil {
			return nil, err
		}
		options = append(options, nats.InProcessServer(b.server))
	} else {
		sealed, err := servers(address)
		if err != nil {
			return nil, fmt.Errorf("connect to the bus: %w", err)
		}
		if !sealed { // the others of a cluster would be reached without TLS or credentials, too
			options = append(options, nats.IgnoreDiscoveredServers())
		}
		options = append(options, nats.RetryOnFailedConnect(true))
	}
	conn, err := nats.Connect(address, options...)
	if err != nil {
		b.stopServer()
		return nil, fmt.Errorf("connect to the bus at %s: %w", redacted(address), withoutURL(err))
	}
	b.conn = conn
	if !conn.IsConnected() {
		// Give it a moment, so that a healthy start is not reported as a loss.
		wait, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if err := conn.FlushWithContext(wait); err != nil {
			b.log.Warn("bus not reached yet", "url", redacted(address))
		}
	}
	return b, nil
}

func (b *Bus) embed() error {
	s, err := server.NewServer(&server.Options{
		ServerName: "oriel", DontListen: true, NoSigs: true, NoLog: true, MaxPayload: MaxMessage,
	})
	if err != nil {
		return fmt.Errorf("embedded bus: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return errors.New("embedded bus: not ready within 10 s")
	}
	b.server = s
	return nil
}

// Healthy is nil while the bus is connected. Errors: ErrUnavailable.
func (b *Bus) Healthy() error {
	if !b.conn.IsConnected() {
		return ErrUnavailable
	}
	return nil
}

// CheckEcho sends a message to itself and waits for it, or for the end of ctx.
// Errors: ErrUnavailable, those of ctx.
func (b *Bus) CheckEcho(ctx context.Context) error {
	if err := b.Healthy(); err != nil {
		return err
	}
	inbox := b.conn.NewInbox()
	sub, err := b.conn.SubscribeSync(inbox)
	if err != nil {
		return mapped(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := b.conn.Publish(inbox, nil); err != nil {
		return mapped(err)
	}
	_, err = sub.NextMsgWithContext(ctx)
	return mapped(err)
}

// OnReconnect has fn called each time the bus was lost and is back. fn must
// not block.
func (b *Bus) OnReconnect(fn func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reconnected = append(b.reconnected, fn)
}

func (b *Bus) again() {
	b.log.Info("bus connected")
	_ = b.conn.FlushTimeout(2 * time.Second) // the server knows our subscriptions again
	b.mu.Lock()
	all := b.reconnected
	b.mu.Unlock()
	for _, fn := range all {
		fn()
	}
}

// Close ends the connection and the embedded server. No handler runs after it.
func (b *Bus) Close() {
	b.conn.Close()
	<-b.closed
	b.stopServer()
}

func (b *Bus) stopServer() {
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
}

// Publish sends m to whoever is subscribed. Errors: ErrUnavailable.
func (b *Bus) Publish(subject string, m *orielv1.BusMessage) error {
	data, err := encode(m)
	if err != nil {
		return err
	}
	return mapped(b.conn.Publish(subject, data))
}

// Request sends m and waits for the first answer, or for the end of ctx, which
// must have a deadline. Errors: ErrNobody, ErrUnavailable, those of ctx.
func (b *Bus) Request(ctx context.Context, subject string, m *orielv1.BusMessage) (*orielv1.BusMessage, error) {
	data, err := encode(m)
	if err != nil {
		return nil, err
	}
	msg, err := b.conn.RequestWithContext(ctx, subject, data)
	if err != nil {
		return nil, mapped(err)
	}
	answer := &orielv1.BusMessage{}
	return answer, orielv1.Decode(msg.Data, answer)
}

// Reply answers a Request; it may be called once, from any goroutine, also
// later. For what was only published it does nothing.
type Reply func(*orielv1.BusMessage)

// Subscription ends with Close.
type Subscription struct {
	s    *nats.Subscription
	mu   sync.Mutex // held while the handler runs
	done bool       // protected by mu
}

// Subscribe has fn called for each message, one after the other. fn should not
// block: the subject's next message waits. When Subscribe returns, the server
// knows of it, unless the bus is not connected, in which case it will.
func (b *Bus) Subscribe(subject string, fn func(m *orielv1.BusMessage, reply Reply)) (*Subscription, error) {
	sub := &Subscription{}
	s, err := b.conn.Subscribe(subject, func(msg *nats.Msg) {
		m := &orielv1.BusMessage{}
		if err := orielv1.Decode(msg.Data, m); err != nil {
			b.log.Warn("bus message dropped", "subject", msg.Subject, "err", err)
			return
		}
		sub.mu.Lock()
		defer sub.mu.Unlock()
		if sub.done {
			b.nobody(msg)
			return
		}
		fn(m, func(answer *orielv1.BusMessage) { b.reply(msg, answer) })
	})
	if err != nil {
		return nil, mapped(err)
	}
	sub.s = s
	_ = b.conn.FlushTimeout(2 * time.Second)
	return sub, nil
}

func (b *Bus) reply(msg *nats.Msg, answer *orielv1.BusMessage) {
	if msg.Reply == "" {
		return
	}
	data, err := encode(answer)
	if err == nil {
		err = msg.Respond(data)
	}
	if err != nil {
		b.log.Warn("bus answer not sent", "subject", msg.Subject, "err", err)
	}
}

// nobody answers a request as the server does where nobody is subscribed.
func (b *Bus) nobody(msg *nats.Msg) {
	if msg.Reply == "" {
		return
	}
	if err := msg.RespondMsg(&nats.Msg{Header: nats.Header{"Status": {"503"}}}); err != nil {
		b.log.Warn("bus answer not sent", "subject", msg.Subject, "err", err)
	}
}

// Close ends the subscription: fn is not called again, and no call is under
// way. A Request that was on its way has ErrNobody, and does not wait. It must not
// be called from within fn; CloseFromHandler is for that.
func (s *Subscription) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.CloseFromHandler()
}

// CloseFromHandler is Close for fn itself.
func (s *Subscription) CloseFromHandler() {
	s.done = true
	_ = s.s.Drain() // Unsubscribe would drop what is here already without a word
}

func encode(m *orielv1.BusMessage) ([]byte, error) {
	data, err := orielv1.Encode(m)
	if err == nil && len(data) > MaxMessage {
		err = fmt.Errorf("bus message of %d bytes: %w", len(data), orielv1.ErrBounds)
	}
	return data, err
}

func mapped(err error) error {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return ErrNobody
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrDisconnected),
		errors.Is(err, nats.ErrConnectionReconnecting), errors.Is(err, nats.ErrReconnectBufExceeded),
		errors.Is(err, nats.ErrInvalidConnection):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
