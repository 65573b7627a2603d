package listen

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync"

	"oriel/relay/internal/share"
)

// Bounds of the connections of one or more listeners. A connection is silent
// until it has said what it wants, and open until it is closed.
type Bounds struct {
	Silent *share.Places
	Open   *share.Places
	// Trusted are addresses without a share: proxies, behind which are many
	// people. nil: none.
	Trusted func(netip.Addr) bool
}

// Listener is l within the bounds. Its connections are *Conn.
func (b *Bounds) Listener(l net.Listener) net.Listener { return &bounded{l, b} }

type bounded struct {
	net.Listener
	bounds *Bounds
}

func (l *bounded) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.bounds.admit(raw); c != nil {
			return c, nil
		}
		_ = raw.Close()
	}
}

// admit takes a connection in; nil: all places are held by those who decided.
func (b *Bounds) admit(raw net.Conn) *Conn {
	var from netip.Addr
	if a, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		from = a.AddrPort().Addr().Unmap().WithZone("")
	}
	if b.Trusted != nil && b.Trusted(from) {
		from = netip.Addr{}
	}
	evict := func() { _ = raw.Close() } // whoever reads it closes the rest
	c := &Conn{Conn: raw}
	if c.open = b.Open.Take(from, evict); c.open == nil {
		return nil
	}
	if c.silent = b.Silent.Take(from, evict); c.silent == nil {
		c.open.Leave()
		return nil
	}
	return c
}

// Conn is a connection that has a place among the silent and the open.
type Conn struct {
	net.Conn
	silent, open *share.Place
	once         sync.Once
}

// Spoke says that it is silent no more.
func (c *Conn) Spoke() { c.silent.Leave() }

// Used makes it the last that makes place for newcomers.
func (c *Conn) Used() { c.open.Renew() }

// Keep lets no newcomer have its place.
func (c *Conn) Keep() { c.open.Decide() }

// Close gives its places up.
func (c *Conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.silent.Leave()
		c.open.Leave()
	})
	return err
}

// Below is the Conn under c, itself or below TLS; nil: there is none.
func Below(c net.Conn) *Conn {
	for c != nil {
		switch one := c.(type) {
		case *Conn:
			return one
		case interface{ NetConn() net.Conn }: // *tls.Conn, or what has one inside
			c = one.NetConn()
		default:
			return nil
		}
	}
	return nil
}

var _ interface{ NetConn() net.Conn } = (*tls.Conn)(nil)
