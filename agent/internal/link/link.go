// Package link is the agent's one connection to its relay.
//
// Run dials the relay addresses in their order, proves who this machine is,
// checks who the relay is, and then hands every message to Options.Handle. A
// connection that ends is made anew for ever: the first try comes within
// 250 ms, then ever slower with jitter, at most every 4 s for five minutes
// after a working connection was lost and every 30 s later. A relay that
// refuses this machine is asked every half minute to five minutes.
//
// The addresses are an ordered list. The first that answers is taken; an agent
// that had to take a later one looks every five minutes whether an earlier one
// is back, and moves there without a gap.
//
// # Handshake
//
//	agent  GET /agent/v1, Authorization: Oriel key="<base64url of the machine key>"[, token="…", nonce="…"]
//	relay  Challenge: its nonce and key         the key must be the pinned one, or follow it, or be the token's
//	agent  Hello: signed with the machine key over both nonces, the relay's key and, when
//	       asked, the exporter of the TLS connection, so that nobody can pass it on
//	relay  Welcome: signed with the relay's key over the agent's nonce, the computer's id and the time
//
// The token is named by its public half, and only while the machine is not enrolled,
// or when the relay has said that it does not know it (any more). It is proved in
// Hello, to a relay that has proved its key in Challenge, and shown to nobody.
//
// # The relay's time
//
// It is kept beside the machine's own, which may be wrong: see Now. Welcome
// brings it, and each ping of the agent after that is AskClock, answered with
// Clock, so that neither a suspend nor a pause of a virtual machine makes it old.
package link

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"oriel/agent/internal/identity"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/wire"
)

// ErrDown: there is no connection to the relay now.
var ErrDown = errors.New("not connected to the relay")

var errNoAddress = errors.New("no relay address is known; give one with --relay")

// Options of a Link. Hello and Handle are required, the rest may be zero.
type Options struct {
	// Hello fills in agent_version, machine_id, summary, status and sessions.
	Hello func() *orielv1.Hello
	// Handle gets every message after Welcome, one at a time.
	Handle func(*orielv1.ToAgent)
	// Up is called after each Welcome, before the first Handle. It may Send.
	Up func(*orielv1.Welcome)
	// Down is called when a connection has ended and no other has replaced it.
	Down func(error)

	Logger *slog.Logger
	Wire   wire.Options
	// ReturnEvery is how often an agent on a later address looks for an
	// earlier one; 0: five minutes.
	ReturnEvery time.Duration
	// KeepTrying: Run goes on, slowly, when the relay refuses for good a
	// machine that was never enrolled.
	KeepTrying bool
	Clock      Clock
}

// Link is the connection. Send and Now may be called from any goroutine.
type Link struct {
	id  *identity.Identity
	o   Options
	log *slog.Logger

	// Only Run's goroutine:
	withToken bool   // the relay does not know this machine: say that it did, and name the token
	said      string // the last failure logged, so that it is not repeated
	everUp    bool

	mu    sync.Mutex
	conn  *wire.Conn    // protected by mu; nil while down
	clock *question     // protected by mu; of conn
	relay time.Time     // protected by mu; the relay's time …
	at    time.Duration // protected by mu; … at this moment of Clock.Elapsed
}

// New makes a Link for an identity that knows at least one address.
func New(id *identity.Identity, o Options) *Link {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ReturnEvery == 0 {
		o.ReturnEvery = 5 * time.Minute
	}
	o.Clock = o.Clock.WithDefaults()
	return &Link{id: id, o: o, log: o.Logger}
}

// Send queues m. Errors: ErrDown, wire's.
func (l *Link) Send(m *orielv1.FromAgent) error {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn == nil {
		return ErrDown
	}
	return conn.Send(m)
}

// Run keeps the connection until ctx is done, then closes it in good order
// and returns nil. Errors: one that wraps ErrRefused, when the relay refuses
// for good a machine that was never enrolled.
func (l *Link) Run(ctx context.Context) error {
	var r retry
	for {
		c, err := l.dial(ctx, l.id.State().Addresses())
		for err == nil {
			r.connected(time.Now())
			c, err = l.serve(ctx, c)
			r.lost(time.Now(), err)
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, ErrRefused) && !l.o.KeepTrying && !l.id.State().Enrolled() {
			return err
		}
		r.failed(err)
		wait := r.next(time.Now(), rand.Float64())
		l.say(err, wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// Try makes one connection to the first address that answers, says Hello,
// waits for Welcome and closes. It is how an installation enrolls and how the
// doctor looks.
func (l *Link) Try(ctx context.Context) error {
	c, err := l.dial(ctx, l.id.State().Addresses())
	if err != nil {
		return err
	}
	return c.conn.Close()
}

// say logs a failure, once for as long as it stays the same.
func (l *Link) say(err error, wait time.Duration) {
	if text := err.Error(); text != l.said {
		l.said = text
		l.log.Warn("not connected to the relay", "error", text, "again_in", wait.Round(time.Millisecond))
	}
}

// connection is one that has been welcomed.
type connection struct {
	conn    *wire.Conn
	clock   *question
	address string
	index   int // of address in the list it was dialled from
	welcome *orielv1.Welcome
}

// dial tries the addresses in order. The error is that of the first, which
// is the one a person cares about, unless a later one refused.
func (l *Link) dial(ctx context.Context, addresses []string) (*connection, error) {
	if len(addresses) == 0 {
		return nil, errNoAddress
	}
	var first error
	for i, address := range addresses {
		c, err := l.connect(ctx, address)
		if err == nil {
			c.index = i
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if first == nil || (errors.Is(err, ErrRefused) && !errors.Is(first, ErrRefused)) {
			first = err
		}
	}
	return nil, first
}

// serve is one connection's life. It returns the connection that replaces it
// when a preferred address came back, else why it ended.
func (l *Link) serve(ctx context.Context, c *connection) (*connection, error) {
	l.up(c)
	var reading sync.WaitGroup
	reading.Go(func() { l.read(c) })
	next, err := l.watch(ctx, c)
	l.mu.Lock()
	if l.conn, l.clock = nil, nil; next != nil {
		l.conn, l.clock = next.conn, next.clock
	}
	l.mu.Unlock()
	c.conn.Close()
	reading.Wait()
	if next == nil && l.o.Down != nil {
		l.o.Down(err)
	}
	return next, err
}

func (l *Link) up(c *connection) {
	l.said, l.everUp = "", true
	l.mu.Lock()
	l.conn, l.clock = c.conn, c.clock
	l.mu.Unlock()
	l.log.Info("connected to the relay", "relay", c.address, "computer", c.welcome.GetComputerId(),
		"address", c.welcome.GetAddress(), "enrolled", c.welcome.GetEnrolled())
	if l.o.Up != nil {
		l.o.Up(c.welcome)
	}
}

func (l *Link) read(c *connection) {
	for {
		m := &orielv1.ToAgent{}
		if c.conn.Receive(m) != nil {
			return
		}
		if answer := m.GetClock(); answer != nil {
			l.told(c.clock, answer)
			continue
		}
		l.o.Handle(m)
	}
}

// watch waits for the end of c, or for a better address than c's.
func (l *Link) watch(ctx context.Context, c *connection) (*connection, error) {
	back := time.NewTicker(l.o.ReturnEvery)
	defer back.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.conn.Done():
			return nil, explainEnd(c.address, c.conn.Err())
		case <-back.C:
			better := l.id.State().Addresses()
			if i := slices.Index(better, c.address); i >= 0 {
				better = better[:i]
			}
			if len(better) == 0 {
				continue
			}
			if next, err := l.dial(ctx, better); err == nil {
				l.log.Info("back on a preferred relay address", "relay", next.address)
				return next, nil
			}
		}
	}
}

// roots are the certificates to trust: the system's and, given, a private CA's.
func roots(ca string) *x509.CertPool {
	if ca == "" {
		return nil // the system's
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pool.AppendCertsFromPEM([]byte(ca))
	return pool
}
