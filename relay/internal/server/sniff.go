package server

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"oriel/relay/internal/listen"
)

// Bounds of connections that have not said yet what they are.
const (
	handshakeTimeout = 10 * time.Second
	firstByteTimeout = 30 * time.Second
)

// tlsListener accepts connections that have made their TLS handshake and turn
// out to speak HTTP; the others go to turn. A slow handshake holds up nobody:
// how many are under way is bounded by the listener below (listen.Bounds).
type tlsListener struct {
	net.Listener
	config *tls.Config
	turn   func(net.Conn)

	ready chan net.Conn
	done  chan struct{}
	wg    sync.WaitGroup

	mu        sync.Mutex
	undecided map[net.Conn]struct{} // protected by mu; nil: closed
	failed    error                 // protected by mu; of the listener below
}

func listenTLS(l net.Listener, config *tls.Config, turn func(net.Conn)) *tlsListener {
	t := &tlsListener{Listener: l, config: config, turn: turn, ready: make(chan net.Conn),
		done: make(chan struct{}), undecided: map[net.Conn]struct{}{}}
	t.wg.Go(t.accept)
	return t
}

func (t *tlsListener) accept() {
	for {
		c, err := t.Listener.Accept()
		if err != nil {
			t.mu.Lock()
			t.failed = err
			t.mu.Unlock()
			t.stop()
			return
		}
		t.mu.Lock()
		if t.undecided == nil {
			t.mu.Unlock()
			_ = c.Close()
			return
		}
		t.undecided[c] = struct{}{}
		t.mu.Unlock()
		t.wg.Go(func() { t.decide(c) })
	}
}

// decide makes the handshake of c and hands it on.
func (t *tlsListener) decide(raw net.Conn) {
	c, kind := t.sniff(raw)
	t.mu.Lock()
	_, mine := t.undecided[raw]
	delete(t.undecided, raw)
	t.mu.Unlock()
	switch {
	case !mine || kind == neither || kind == speaksTURN && t.turn == nil:
		_ = raw.Close()
	case kind == speaksTURN:
		if bounded := listen.Below(raw); bounded != nil {
			bounded.Spoke()
			bounded.Keep() // within the bounds of TURN from here
		}
		t.turn(c)
	default:
		select {
		case t.ready <- c:
		case <-t.done:
			_ = raw.Close()
		}
	}
}

type kind int

const (
	neither kind = iota
	speaksHTTP
	speaksTURN
)

func (t *tlsListener) sniff(raw net.Conn) (net.Conn, kind) {
	c := tls.Server(raw, t.config)
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, neither
	}
	switch c.ConnectionState().NegotiatedProtocol {
	case "h2":
		return c, speaksHTTP // net/http wants the *tls.Conn itself
	case "", "http/1.1":
	default:
		return nil, neither // acme-tls/1: the handshake was all
	}
	p := &peeked{Conn: c}
	_ = c.SetReadDeadline(time.Now().Add(firstByteTimeout))
	if _, err := c.Read(p.first[:]); err != nil {
		return nil, neither
	}
	_ = c.SetReadDeadline(time.Time{})
	if p.first[0] <= 0x3f {
		return p, speaksTURN
	}
	return p, speaksHTTP
}

// Accept is for net/http.
func (t *tlsListener) Accept() (net.Conn, error) {
	select {
	case c := <-t.ready:
		return c, nil
	case <-t.done:
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.failed != nil {
			return nil, t.failed
		}
		return nil, net.ErrClosed
	}
}

// Close ends the listener and what it has not handed on.
func (t *tlsListener) Close() error {
	err := t.Listener.Close()
	t.stop()
	t.wg.Wait()
	return err
}

func (t *tlsListener) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.undecided == nil {
		return
	}
	for c := range t.undecided {
		_ = c.Close()
	}
	t.undecided = nil
	close(t.done)
}

// peeked is a TLS connection whose first byte was read already.
type peeked struct {
	*tls.Conn
	first [1]byte
	given bool
}

func (p *peeked) Read(b []byte) (int, error) {
	if !p.given && len(b) > 0 {
		p.given = true
		b[0] = p.first[0]
		return 1, nil
	}
	return p.Conn.Read(b)
}
