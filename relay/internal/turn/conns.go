package turn

import (
	"net"
	"net/netip"
	"sync"
	"time"
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
		_ = c.Close()
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
	s     *Server
	host  netip.Addr
	since time.Time
	once  sync.Once

	holds bool // protected by Server.mu; has an allocation
}

// keep takes a connection in; nil: it is refused. Where there is no place, the
// oldest connection without an allocation goes: of the same address, if that has
// its share, else of all.
func (s *Server) keep(c net.Conn) net.Conn {
	host, key := share64(addrPort(c.RemoteAddr()).Addr()), c.RemoteAddr().String()
	s.mu.Lock()
	var oldest *conn
	bound := ""
	switch {
	case s.hosts[host] >= s.o.Connections:
		bound, oldest = "turn-connections", s.undecided(host)
	case len(s.conns) >= s.o.TotalConnections:
		bound, oldest = "all connections", s.undecided(netip.Addr{})
	}
	if oldest != nil {
		s.forget(oldest)
	}
	taken := !s.done && s.conns[key] == nil && (bound == "" || oldest != nil)
	k := &conn{Conn: c, s: s, host: host, since: time.Now()}
	if taken {
		s.conns[key] = k
		s.hosts[host]++
		s.wait.Add(1)
	}
	s.mu.Unlock()
	if bound != "" {
		s.reached.Do(func() {
			s.log.Warn("turn connections have reached a bound; raise it if they are honest", "bound", bound, "client", c.RemoteAddr().String(), "refused", !taken)
		})
	}
	if oldest != nil {
		_ = oldest.Close()
	}
	if !taken {
		s.refused.Add(1)
		return nil
	}
	k.patience(connPatience)
	return k
}

// undecided is the oldest connection without an allocation, of host or
// (invalid) of all; nil: none. Server.mu is held.
func (s *Server) undecided(host netip.Addr) *conn {
	var oldest *conn
	for _, c := range s.conns {
		if !c.holds && (!host.IsValid() || c.host == host) && (oldest == nil || c.since.Before(oldest.since)) {
			oldest = c
		}
	}
	return oldest
}

// forget gives up the place of c, once. Server.mu is held.
func (s *Server) forget(c *conn) {
	key := c.RemoteAddr().String()
	if s.conns[key] != c {
		return
	}
	delete(s.conns, key)
	if s.hosts[c.host]--; s.hosts[c.host] <= 0 {
		delete(s.hosts, c.host)
	}
}

// share64 is whose share an address counts against: an IPv6 network of 64 bits
// is one host's.
func share64(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
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
		c.s.forget(c)
		c.s.mu.Unlock()
		c.s.wait.Done()
	})
	return err
}
