// Package wire is one framed WebSocket: each binary message is one protobuf
// message of package orielv1. It is gorilla/websocket's only door.
//
// A Conn has one writer goroutine and one reader (the caller of Receive).
// Send never blocks: messages wait in a bounded queue, and a peer that does
// not take them in time is dropped rather than waited for. Both sides ping;
// a peer that is silent for longer than PongTimeout is dropped as well, so a
// dead connection is known within that time. Whoever made a Conn closes it.
//
// Bounds: a message is at most Options.MaxMessage bytes, checked before it is
// held in memory as a whole, and every field keeps the bounds of its .proto.
package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
)

// Close codes (RFC 6455) that a Conn sends and reports.
const (
	CloseNormal     = websocket.CloseNormalClosure
	CloseGoingAway  = websocket.CloseGoingAway // the server drains: connect elsewhere
	CloseInvalid    = websocket.CloseInvalidFramePayloadData
	ClosePolicy     = websocket.ClosePolicyViolation
	CloseTooBig     = websocket.CloseMessageTooBig
	CloseTryAgain   = websocket.CloseTryAgainLater
	CloseSuperseded = 4001 // the same peer connected anew
	CloseSignedOut  = 4002
)

var (
	// ErrSlow: the peer did not take its messages in time.
	ErrSlow = errors.New("the peer is too slow")
	// ErrSilent: nothing was heard from the peer for PongTimeout.
	ErrSilent = errors.New("the peer fell silent")
	// ErrClosed: this side closed the connection.
	ErrClosed = errors.New("connection closed")
	// ErrMalformed: the peer sent something that is no message of ours.
	ErrMalformed = errors.New("malformed message")
)

// Options of a Conn; the zero value works.
type Options struct {
	MaxMessage   int           // bytes; 0: 4 MiB (orielv1.MaxMessage)
	Queue        int           // messages that may wait to be sent; 0: 256
	QueueBytes   int           // bytes that may wait to be sent; 0: 8 MiB
	WriteTimeout time.Duration // for one message; 0: 10 s
	PingEvery    time.Duration // 0: 5 s
	PongTimeout  time.Duration // silence after which the peer is dead; 0: 3 × PingEvery
	// Ping is called for a message to send in place of a WebSocket ping, which the
	// peer answers with one of its own; nil, or a nil message: a WebSocket ping.
	Ping func() proto.Message
	// Refuse answers a request that asks for no WebSocket, or not in the right way;
	// nil: a line of text does.
	Refuse func(w http.ResponseWriter, why error)
}

func (o Options) withDefaults() Options {
	if o.MaxMessage == 0 {
		o.MaxMessage = orielv1.MaxMessage
	}
	if o.Queue == 0 {
		o.Queue = 256
	}
	if o.QueueBytes == 0 {
		o.QueueBytes = 8 << 20
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 10 * time.Second
	}
	if o.PingEvery == 0 {
		o.PingEvery = 5 * time.Second
	}
	if o.PongTimeout == 0 {
		o.PongTimeout = 3 * o.PingEvery
	}
	return o
}

// Conn is one connection. Send, Close and CloseWith may be called from any
// goroutine, Receive from one at a time.
type Conn struct {
	ws      *websocket.Conn
	o       Options
	tls     *tls.ConnectionState
	queue   chan []byte
	done    chan struct{}
	written chan struct{} // closed when the writer has ended

	mu      sync.Mutex
	waiting int      // protected by mu; bytes in queue
	err     error    // protected by mu; why it ended
	ended   bool     // protected by mu
	how     *closing // protected by mu; the word to close with, nil when dropped
}

type closing struct {
	code   int
	reason string
}

// Upgrade answers a WebSocket handshake. Origin and identity are the caller's
// to check before. On an error the response has been written.
func Upgrade(w http.ResponseWriter, r *http.Request, o Options) (*Conn, error) {
	u := websocket.Upgrader{
		HandshakeTimeout: 10 * time.Second,
		ReadBufferSize:   4096,
		WriteBufferSize:  4096,
		CheckOrigin:      func(*http.Request) bool { return true },
	}
	if o.Refuse != nil {
		u.Error = func(w http.ResponseWriter, _ *http.Request, _ int, why error) { o.Refuse(w, why) }
	}
	ws, err := u.Upgrade(w, r, nil)
	if err != nil {
		return nil, fmt.Errorf("upgrade to websocket: %w", err)
	}
	return start(ws, r.TLS, o), nil
}

// Dial connects to a ws:// or wss:// address through the proxy that the
// environment names. The response is returned when the server answered with
// anything but an upgrade; its body holds at most 1 kB and needs no closing.
func Dial(ctx context.Context, url string, header http.Header, config *tls.Config, o Options) (*Conn, *http.Response, error) {
	d := websocket.Dialer{
		Proxy:            http.ProxyFromEnvironment,
		HandshakeTimeout: 10 * time.Second,
		TLSClientConfig:  config,
		ReadBufferSize:   4096,
		WriteBufferSize:  4096,
	}
	ws, resp, err := d.DialContext(ctx, url, header)
	if err != nil {
		return nil, resp, fmt.Errorf("connect to %s: %w", url, err)
	}
	var state *tls.ConnectionState
	if c, ok := ws.NetConn().(*tls.Conn); ok {
		s := c.ConnectionState()
		state = &s
	}
	return start(ws, state, o), resp, nil
}

func start(ws *websocket.Conn, state *tls.ConnectionState, o Options) *Conn {
	o = o.withDefaults()
	c := &Conn{
		ws:      ws,
		o:       o,
		tls:     state,
		queue:   make(chan []byte, o.Queue),
		done:    make(chan struct{}),
		written: make(chan struct{}),
	}
	ws.SetReadLimit(int64(o.MaxMessage))
	c.heard()
	ws.SetPongHandler(func(string) error { c.heard(); return nil })
	ws.SetPingHandler(func(data string) error {
		c.heard()
		err := ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(o.WriteTimeout))
		var timeout net.Error
		if errors.Is(err, websocket.ErrCloseSent) || errors.As(err, &timeout) {
			return nil
		}
		return err
	})
	go c.write()
	return c
}

func (c *Conn) heard() { _ = c.ws.SetReadDeadline(time.Now().Add(c.o.PongTimeout)) }

// Send queues m. Errors: ErrSlow (the connection is dropped), the reason for
// which it ended before, or m's own when it breaks its bounds.
func (c *Conn) Send(m proto.Message) error {
	b, err := orielv1.Encode(m)
	if err != nil {
		return err
	}
	if len(b) > c.o.MaxMessage {
		return fmt.Errorf("message of %d bytes: %w", len(b), orielv1.ErrBounds)
	}
	c.mu.Lock()
	if c.ended {
		defer c.mu.Unlock()
		return c.err
	}
	if c.waiting+len(b) > c.o.QueueBytes {
		c.mu.Unlock()
		c.end(ErrSlow)
		return ErrSlow
	}
	select {
	case c.queue <- b:
		c.waiting += len(b)
		c.mu.Unlock()
		return nil
	default:
		c.mu.Unlock()
		c.end(ErrSlow)
		return ErrSlow
	}
}

// Receive waits for the next message and decodes it into m. Any error is
// final. Errors: ErrMalformed (the peer is told), ErrSilent, ErrClosed, io.EOF
// when the peer closed in good order, and *CloseError.
func (c *Conn) Receive(m proto.Message) error {
	kind, b, err := c.ws.ReadMessage()
	if err != nil {
		c.end(readError(err))
		return c.Err()
	}
	c.heard()
	if kind != websocket.BinaryMessage {
		err = errors.New("a text message")
	} else {
		proto.Reset(m)
		err = orielv1.Decode(b, m)
	}
	if err != nil {
		c.endWith(fmt.Errorf("%w: %w", ErrMalformed, err), closing{CloseInvalid, "malformed message"})
		return c.Err()
	}
	return nil
}

// CloseError is the peer's word on why it closed.
type CloseError struct {
	Code   int
	Reason string // the peer's: hostile
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("closed by the peer (%d): %.123q", e.Code, e.Reason)
}

func readError(err error) error {
	var ce *websocket.CloseError
	var ne net.Error
	switch {
	case errors.As(err, &ce) && ce.Code == CloseNormal:
		return io.EOF
	case errors.As(err, &ce) && ce.Code == websocket.CloseAbnormalClosure:
		return io.ErrUnexpectedEOF
	case errors.As(err, &ce):
		return &CloseError{ce.Code, ce.Text}
	case errors.Is(err, websocket.ErrReadLimit):
		return fmt.Errorf("%w: too large", ErrMalformed)
	case errors.As(err, &ne) && ne.Timeout():
		return ErrSilent
	}
	return err
}

// Close ends the connection in good order and waits for the writer: what was
// queued before is sent if the peer takes it in time.
func (c *Conn) Close() error { return c.CloseWith(CloseNormal, "") }

// CloseWith closes with a code and a reason of at most 123 bytes.
func (c *Conn) CloseWith(code int, reason string) error {
	c.endWith(ErrClosed, closing{code, sanitize.Line(reason, 123)})
	<-c.written
	return nil
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err says why the connection ended; nil while it stands.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// TLS is the state of the TLS connection below; nil without TLS.
func (c *Conn) TLS() *tls.ConnectionState { return c.tls }

// RemoteAddr is the other end of the TCP connection.
func (c *Conn) RemoteAddr() net.Addr { return c.ws.RemoteAddr() }

// end drops the connection without waiting for anything.
func (c *Conn) end(err error) {
	if c.finish(err, nil) {
		_ = c.ws.NetConn().SetDeadline(time.Now())
	}
}

// endWith lets the writer say goodbye first.
func (c *Conn) endWith(err error, how closing) {
	c.finish(err, &how)
}

func (c *Conn) finish(err error, how *closing) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.ended, c.err, c.how = true, err, how
	close(c.done)
	return true
}

// write is the one writer. It closes the socket when it ends.
func (c *Conn) write() {
	defer close(c.written)
	defer c.ws.Close()
	ping := time.NewTicker(c.o.PingEvery)
	defer ping.Stop()
	for {
		select {
		case b := <-c.queue:
			if err := c.writeOne(b); err != nil {
				c.unheard(err)
				return
			}
		case <-ping.C:
			if err := c.ping(); err != nil {
				c.unheard(err)
				return
			}
		case <-c.done:
			c.goodbye()
			return
		}
	}
}

// lastWords is how long a peer's last words are waited for where it takes no more.
const lastWords = time.Second

// unheard ends a connection that cannot be written to. A peer that closed in good order
// has said so before, and its word counts: Receive, which may not have come to it, has a
// moment to. One that is slow has said nothing.
func (c *Conn) unheard(err error) {
	if !errors.Is(err, ErrSlow) {
		wait := time.NewTimer(lastWords)
		defer wait.Stop()
		select {
		case <-c.done:
		case <-wait.C:
		}
	}
	c.end(err)
}

// ping is called by the writer.
func (c *Conn) ping() error {
	var m proto.Message
	if c.o.Ping != nil {
		m = c.o.Ping()
	}
	if m == nil {
		return writeError(c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.o.WriteTimeout)))
	}
	b, err := orielv1.Encode(m)
	if err != nil {
		return err
	}
	return c.writeFrame(b)
}

func (c *Conn) writeOne(b []byte) error {
	c.mu.Lock()
	c.waiting -= len(b)
	c.mu.Unlock()
	return c.writeFrame(b)
}

func (c *Conn) writeFrame(b []byte) error {
	_ = c.ws.SetWriteDeadline(time.Now().Add(c.o.WriteTimeout))
	if err := c.ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return writeError(err)
	}
	return nil
}

func writeError(err error) error {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return ErrSlow
	}
	return err
}

// goodbye sends what is queued and the close frame, within one second.
func (c *Conn) goodbye() {
	c.mu.Lock()
	how := c.how
	c.mu.Unlock()
	if how == nil {
		return // dropped
	}
	deadline := time.Now().Add(time.Second)
	_ = c.ws.SetWriteDeadline(deadline)
	for {
		select {
		case b := <-c.queue:
			if c.ws.WriteMessage(websocket.BinaryMessage, b) != nil {
				return
			}
			continue
		default:
		}
		break
	}
	_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(how.code, how.reason), deadline)
}
