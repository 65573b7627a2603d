package channel

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"sync"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
)

// Pipe is a data channel as pion has it, detached: whoever serves it reads it.
type Pipe interface {
	// ReadDataChannel reads one message into b. io.ErrShortBuffer: it has n bytes, more
	// than b, and is still there. Any other error: the peer closed the channel, or the
	// connection is gone.
	ReadDataChannel(b []byte) (n int, text bool, err error)
	Send(b []byte) error     // does not block
	SendText(s string) error // does not block
	BufferedAmount() uint64  // sent and not acknowledged
	SetBufferedAmountLowThreshold(bytes uint64)
	OnBufferedAmountLow(f func())
	Close() error // of our side, after what was sent
}

// Conn is one open channel, as its kind sees it. Read has one caller at a time; all
// else may be called from any goroutine.
type Conn struct {
	pipe Pipe
	o    Options
	ctx  context.Context // ends with the channel; the cause is a *Fault, io.EOF or the session's
	gone chan struct{}   // closed when the peer has closed its side

	writing chan struct{} // capacity 1: held by who writes
	low     chan struct{} // capacity 1: less is under way
	came    chan struct{} // capacity 1: something is to be read

	mu     sync.Mutex
	unread [][]byte
	bytes  int // of unread
	closed bool
}

func newConn(ctx context.Context, pipe Pipe, o Options) *Conn {
	c := &Conn{
		pipe: pipe, o: o, ctx: ctx, gone: make(chan struct{}),
		writing: make(chan struct{}, 1), low: make(chan struct{}, 1), came: make(chan struct{}, 1),
	}
	pipe.OnBufferedAmountLow(func() { signal(c.low) })
	return c
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// May reports whether the session has a scope, now. It is for what a message asks
// beyond the scopes that the channel needs anyway; ask for each message anew.
func (c *Conn) May(s orielv1.Scope) bool { return c.o.May(s) }

// Read is the next message. io.EOF: the peer has closed the channel and everything was
// read. Any other error is why the channel has ended.
func (c *Conn) Read() ([]byte, error) {
	for {
		if err := c.ended(); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if b := c.take(); b != nil {
			return b, nil
		}
		select {
		case <-c.came:
			continue
		case <-c.gone:
		case <-c.ctx.Done():
		}
		// What came in between is read before the end is told.
		if err := c.ended(); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if b := c.take(); b != nil {
			return b, nil
		}
		return nil, io.EOF
	}
}

// ended is why the channel has ended, nil while it has not.
func (c *Conn) ended() error {
	if c.ctx.Err() == nil {
		return nil
	}
	return context.Cause(c.ctx)
}

// take is the first unread message, nil where there is none.
func (c *Conn) take() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.unread) == 0 {
		return nil
	}
	b := c.unread[0]
	c.unread[0] = nil
	c.unread = c.unread[1:]
	c.bytes -= len(b)
	return b
}

// put keeps a message until it is read; false: there is no room for it.
func (c *Conn) put(b []byte) bool {
	c.mu.Lock()
	if c.bytes+len(b) > MaxUnread || len(c.unread) >= maxUnreadMessages {
		c.mu.Unlock()
		return false
	}
	c.unread = append(c.unread, append(make([]byte, 0, len(b)), b...)) // never nil
	c.bytes += len(b)
	c.mu.Unlock()
	signal(c.came)
	return true
}

// Write sends one message and waits for room before. An error other than ErrTooLong is
// why the channel has ended; io.EOF: the peer has closed it.
func (c *Conn) Write(b []byte) error {
	if len(b) > MaxMessage {
		return ErrTooLong
	}
	select {
	case c.writing <- struct{}{}:
		defer func() { <-c.writing }()
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
	if err := c.room(uint64(len(b))); err != nil {
		return err
	}
	c.mu.Lock() // so that nothing follows the reason of the end
	defer c.mu.Unlock()
	if err := c.ended(); err != nil {
		return err
	}
	if c.closed {
		return io.EOF
	}
	return c.pipe.Send(b)
}

// room waits until n more bytes may be under way. A message may always go alone.
func (c *Conn) room(n uint64) error {
	for {
		if err := c.ended(); err != nil {
			return err
		}
		limit := c.o.Room()
		if under := c.pipe.BufferedAmount(); under == 0 || under+n <= limit {
			return nil
		}
		low := limit / 2
		if low+n > limit {
			low = limit - min(n, limit)
		}
		c.pipe.SetBufferedAmountLowThreshold(low)
		if c.pipe.BufferedAmount() <= low {
			continue // it fell before the threshold was set
		}
		select {
		case <-c.low:
		case <-c.ctx.Done():
		}
	}
}

// receive reads until the peer has closed its side. What comes when the channel has
// ended is thrown away: nobody else may wait for it. end is called with what the peer
// did.
func (c *Conn) receive(end func(error)) {
	buf := make([]byte, MaxMessage)
	for {
		n, text, err := c.pipe.ReadDataChannel(buf)
		switch {
		case errors.Is(err, io.ErrShortBuffer):
			end(errLong)
			buf = make([]byte, n) // to throw it away; SCTP holds no more than its window
		case err != nil:
			close(c.gone)
			end(io.EOF)
			return
		case c.ctx.Err() != nil:
		case text:
			end(errText)
		case !c.put(buf[:n]):
			end(errFlood)
		}
	}
}

// shut closes our side, after the reason where there is one for the viewer.
func (c *Conn) shut(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	if !errors.Is(cause, io.EOF) { // else what came before the close is still read
		c.unread, c.bytes = nil, 0
	}
	var f *Fault
	if errors.As(cause, &f) {
		refuse(c.pipe, f)
	}
	_ = c.pipe.Close()
}

// refuse says why a channel ends. Nothing can be done where that does not leave.
func refuse(pipe Pipe, f *Fault) {
	b, err := orielv1.Encode(&orielv1.ChannelEnd{Code: f.Code, Detail: sanitize.Line(f.Detail, maxDetail), Scope: f.Scope})
	if err == nil {
		_ = pipe.SendText(base64.StdEncoding.EncodeToString(b))
	}
}
