package channel

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
)

// message is one on a fakePipe.
type message struct {
	b    []byte
	text bool
}

// fakePipe is a data channel whose peer is the test.
type fakePipe struct {
	in   chan message // closed by the peer's close
	next *message     // read too short

	mu     sync.Mutex
	out    []message
	under  uint64 // not acknowledged
	low    uint64
	onLow  func()
	closed bool
}

func newFakePipe() *fakePipe { return &fakePipe{in: make(chan message, 4096)} }

func (p *fakePipe) ReadDataChannel(b []byte) (int, bool, error) {
	if p.next == nil {
		m, ok := <-p.in
		if !ok {
			_ = p.Close() // as pion does
			return 0, false, io.EOF
		}
		p.next = &m
	}
	m := *p.next
	if len(m.b) > len(b) {
		return len(m.b), false, io.ErrShortBuffer
	}
	p.next = nil
	return copy(b, m.b), m.text, nil
}

func (p *fakePipe) send(m message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return io.ErrClosedPipe
	}
	p.out = append(p.out, message{bytes.Clone(m.b), m.text})
	p.under += uint64(len(m.b))
	return nil
}

func (p *fakePipe) Send(b []byte) error     { return p.send(message{b, false}) }
func (p *fakePipe) SendText(s string) error { return p.send(message{[]byte(s), true}) }

func (p *fakePipe) BufferedAmount() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.under
}

func (p *fakePipe) SetBufferedAmountLowThreshold(n uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.low = n
}

func (p *fakePipe) OnBufferedAmountLow(f func()) { p.onLow = f }

// acknowledge is the peer's, for so many bytes.
func (p *fakePipe) acknowledge(n uint64) {
	p.mu.Lock()
	before := p.under
	p.under -= min(n, p.under)
	fell := before > p.low && p.under <= p.low
	p.mu.Unlock()
	if fell {
		p.onLow()
	}
}

func (p *fakePipe) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}

func (p *fakePipe) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// sent is the data that went out, and the end that followed it.
func (p *fakePipe) sent(t *testing.T) (data [][]byte, end *orielv1.ChannelEnd) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.out {
		if end != nil {
			t.Error("something follows the end")
		}
		if !m.text {
			data = append(data, m.b)
			continue
		}
		b, err := base64.StdEncoding.DecodeString(string(m.b))
		end = &orielv1.ChannelEnd{}
		if err == nil {
			err = orielv1.Decode(b, end)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return data, end
}

// kind is a Channel made of a function.
type kind func(context.Context, *Conn) error

func (kind) Label() string                                 { return "kind" }
func (kind) Scopes() []orielv1.Scope                       { return nil }
func (k kind) Serve(ctx context.Context, conn *Conn) error { return k(ctx, conn) }

// serve runs k on p; ended is closed when Serve has returned.
func serve(ctx context.Context, k kind, p *fakePipe, room uint64) (ended chan struct{}) {
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		Serve(ctx, k, p, Options{
			Room: func() uint64 { return room }, May: func(orielv1.Scope) bool { return false },
			Logger: slog.New(slog.DiscardHandler),
		})
	}()
	return ended
}

// Rule: whoever writes waits while so much is under way, and goes on when it is less.
func TestWriteWaitsForRoom(t *testing.T) {
	p := newFakePipe()
	ended := serve(t.Context(), func(_ context.Context, c *Conn) error {
		for range 20 {
			if err := c.Write(make([]byte, 1000)); err != nil {
				return err
			}
		}
		return c.Write(make([]byte, 60_000)) // longer than the room: alone
	}, p, 4000)
	for left := 80_000; left > 0; {
		eventually(t, "something is sent", func() bool { return p.BufferedAmount() > 0 })
		n := p.BufferedAmount()
		if data, _ := p.sent(t); n > 4000 && len(data) < 21 || n > 60_000 {
			t.Fatalf("%d bytes under way", n)
		}
		p.acknowledge(min(n, 1500))
		left -= int(min(n, 1500))
	}
	close(p.in)
	<-ended
	data, end := p.sent(t)
	if len(data) != 21 || end != nil {
		t.Errorf("%d messages, end %v", len(data), end)
	}
}

// Rule: a message over the bound is not sent, and ends a channel that receives it.
func TestMessagesAreBounded(t *testing.T) {
	p, read := newFakePipe(), make(chan struct{})
	ended := serve(t.Context(), func(_ context.Context, c *Conn) error {
		if err := c.Write(make([]byte, MaxMessage+1)); !errors.Is(err, ErrTooLong) {
			t.Errorf("write: %v", err)
		}
		b, err := c.Read()
		if len(b) != MaxMessage || err != nil {
			t.Errorf("read %d bytes, %v", len(b), err)
		}
		close(read)
		_, err = c.Read()
		return err
	}, p, MaxMessage)
	p.in <- message{b: make([]byte, MaxMessage)}
	<-read
	p.in <- message{b: make([]byte, MaxMessage+1)}
	eventually(t, "our side is closed", p.isClosed)
	close(p.in)
	<-ended
	if _, end := p.sent(t); end.GetCode() != orielv1.Code_CODE_INVALID {
		t.Errorf("end: %v", end)
	}
}

// Rule: what waits to be read is bounded in bytes and in number; more ends the channel,
// and is thrown away until the peer has closed it.
func TestFloodEndsChannel(t *testing.T) {
	for name, c := range map[string]struct{ size, many int }{
		"bytes": {16 << 10, MaxUnread>>14 + 1}, "number": {0, maxUnreadMessages + 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := newFakePipe()
			ended := serve(t.Context(), func(ctx context.Context, c *Conn) error {
				<-ctx.Done()
				_, err := c.Read()
				return err
			}, p, MaxMessage)
			for range c.many {
				p.in <- message{b: make([]byte, c.size)}
			}
			eventually(t, "our side is closed", p.isClosed)
			for range cap(p.in) + 1000 { // blocks where nobody reads
				p.in <- message{b: make([]byte, c.size)}
			}
			select {
			case <-ended:
				t.Error("it counts as closed before the peer has closed it")
			default:
			}
			close(p.in)
			<-ended
			if _, end := p.sent(t); end.GetCode() != orielv1.Code_CODE_BUSY {
				t.Errorf("end: %v", end)
			}
		})
	}
}

// Rule: what came before the peer's close is read, then the end of the channel.
func TestPeersCloseComesLast(t *testing.T) {
	p := newFakePipe()
	for _, b := range []string{"a", "", "b"} {
		p.in <- message{b: []byte(b)}
	}
	close(p.in)
	<-serve(t.Context(), func(ctx context.Context, c *Conn) error {
		<-ctx.Done() // the peer has closed before anything is read
		eventually(t, "our side is shut", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.closed })
		for _, want := range []string{"a", "", "b"} {
			if b, err := c.Read(); string(b) != want || err != nil {
				t.Errorf("read %q, %v", b, err)
			}
		}
		if err := c.Write([]byte("x")); !errors.Is(err, io.EOF) {
			t.Errorf("write: %v", err)
		}
		_, err := c.Read()
		if !errors.Is(err, io.EOF) {
			t.Errorf("read: %v", err)
		}
		return err
	}, p, MaxMessage)
	if data, end := p.sent(t); len(data) > 0 || end != nil {
		t.Errorf("sent %q and %v", data, end)
	}
}

// Rule: a channel whose right is gone hands on nothing that came, and sends nothing but
// the reason, also where the kind does not notice.
func TestEndStopsEverything(t *testing.T) {
	ctx, end := context.WithCancelCause(t.Context())
	gone := &Fault{Code: orielv1.Code_CODE_SCOPE, Detail: "gone", Scope: orielv1.Scope_SCOPE_FILES_READ}
	p := newFakePipe()
	p.in <- message{b: []byte("secret")}
	goOn := make(chan struct{})
	ended := serve(ctx, func(_ context.Context, c *Conn) error {
		<-goOn
		if b, err := c.Read(); b != nil || !errors.Is(err, gone) {
			t.Errorf("read %q, %v", b, err)
		}
		if err := c.Write([]byte("x")); !errors.Is(err, gone) {
			t.Errorf("write: %v", err)
		}
		return nil
	}, p, MaxMessage)
	eventually(t, "it is read from the pipe", func() bool { return len(p.in) == 0 })
	end(gone)
	eventually(t, "our side is closed", p.isClosed)
	close(goOn)
	close(p.in)
	<-ended
	data, said := p.sent(t)
	if len(data) > 0 || said.GetCode() != gone.Code || said.GetDetail() != gone.Detail || said.GetScope() != gone.Scope {
		t.Errorf("sent %q and %v", data, said)
	}
}

// Rule: a text message is no viewer's of ours.
func TestTextEndsChannel(t *testing.T) {
	p := newFakePipe()
	p.in <- message{[]byte("hello"), true}
	ended := serve(t.Context(), func(_ context.Context, c *Conn) error {
		_, err := c.Read()
		return err
	}, p, MaxMessage)
	eventually(t, "our side is closed", p.isClosed)
	close(p.in)
	<-ended
	if _, end := p.sent(t); end.GetCode() != orielv1.Code_CODE_INVALID {
		t.Errorf("end: %v", end)
	}
}

// Rule: a peer that closes while it is written to, or waited for, frees whoever writes.
func TestPeersCloseFreesWriter(t *testing.T) {
	p := newFakePipe()
	ended := serve(t.Context(), func(_ context.Context, c *Conn) error {
		for {
			if err := c.Write(make([]byte, 1000)); err != nil {
				return err
			}
		}
	}, p, 4000)
	eventually(t, "the room is full", func() bool { return p.BufferedAmount() == 4000 })
	close(p.in)
	<-ended
}
