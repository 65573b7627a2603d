package turn

import (
	"net"
	"sync"
	"time"

	"oriel/relay/internal/share"
)

// listener gives pion/turn the TCP connections of a socket, or those that
// Accept was given, within the bounds of the server.
type listener struct {
	s      *Server
	socket net.Listener // nil: only given ones
	given  chan net.Conn
	done   chan struct{}
	once   sync.Once
}

func newListener(s *Server, socket net.Listener) *listener {
	if socket != nil && s.o.Patient != nil {
		socket = s.o.Patient(socket)
	}
	return &listener{s: s, socket: socket, given: make(chan net.Conn), done: make(chan struct{})}
}

func (l *listener) give(c net.Conn) {
	select {
	case l.given <- c:
	case <-l.done:
		_ = c.Close()
	}
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.next()
		if err != nil {
			return nil, err
		}
		if kept := l.s.keep(c); kept != nil {
			return kept, nil
		}
	}
}

func (l *listener) next() (net.Conn, error) {
	if l.socket != nil {
		return l.socket.Accept()
	}
	select {
	case c := <-l.given:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Addr() net.Addr {
	if l.socket != nil {
		return l.socket.Addr()
	}
	return &net.TCPAddr{IP: l.s.o.PublicAddress.AsSlice()}
}

func (l *listener) Close() error {
	var err error
	l.once.Do(func() {
		close(l.done)
		if l.socket != nil {
			err = l.socket.Close()
		}
	})
	return err
}

// conn is a client's TCP or TLS connection.
type conn struct {
	net.Conn
	s    *Server
	once sync.Once

	place *share.Place // protected by Server.mu; undecided without an allocation
	gone  bool         // protected by Server.mu
}

// keep takes a connection in; nil: it is refused and closed. Where there is no
// place, the oldest connection without an allocation goes.
func (s *Server) keep(c net.Conn) net.Conn {
	key := c.RemoteAddr().String()
	k := &conn{Conn: c, s: s}
	s.mu.Lock()
	if s.done {
		s.mu.Unlock()
		_ = c.Close()
		return nil
	}
	s.wait.Add(1)
	s.mu.Unlock()
	place := s.places.Take(addrPort(c.RemoteAddr()).Addr(), func() { _ = k.Close() })
	s.mu.Lock()
	k.place = place
	taken := place != nil && !s.done && !k.gone && s.conns[key] == nil
	if taken {
		s.conns[key] = k
	}
	s.mu.Unlock()
	if !taken {
		s.refused.Add(1)
		_ = k.Close()
		return nil
	}
	k.patience(connPatience)
	return k
}

// patience is how long the client may be silent; 0: for ever, the lifetime of
// its allocation bounds it.
func (c *conn) patience(d time.Duration) {
	var t time.Time
	if d > 0 {
		t = time.Now().Add(d)
	}
	_ = c.SetReadDeadline(t)
}

// Write drops a client that does not take its packets: a TCP peer that stands
// still must not hold up the allocation's reader for ever.
func (c *conn) Write(b []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	n, err := c.Conn.Write(b)
	if err != nil {
		_ = c.Close()
	}
	return n, err
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.s.mu.Lock()
		c.gone = true
		if key := c.RemoteAddr().String(); c.s.conns[key] == c {
			delete(c.s.conns, key)
		}
		c.place.Leave()
		c.s.mu.Unlock()
		c.s.wait.Done()
	})
	return err
}
