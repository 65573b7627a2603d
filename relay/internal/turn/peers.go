package turn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/pion/turn/v5"
	"golang.org/x/time/rate"
)

// permitted decides whether a client may exchange packets with a peer.
func (s *Server) permitted(client net.Addr, peer net.IP) bool {
	a, ok := netip.AddrFromSlice(peer)
	a = a.Unmap()
	if ok && (a == s.o.PublicAddress || s.allowed(a)) {
		return true
	}
	s.refused.Add(1)
	s.log.Info("turn peer refused", "client", client.String(), "peer", peer.String())
	return false
}

// allowed reports whether any port of a may be relayed to.
func (s *Server) allowed(a netip.Addr) bool {
	for _, p := range s.o.AllowPeers {
		if p.Contains(a) {
			return true
		}
	}
	return reachable(a) && a != s.o.PublicAddress && !s.own.has(a, s.o.Now())
}

// sendable is permitted for each packet: at this server's own address only
// live allocations are there to be reached.
func (s *Server) sendable(to net.Addr) bool {
	p := addrPort(to)
	if p.Addr() != s.o.PublicAddress {
		return s.allowed(p.Addr())
	}
	if s.allowed(p.Addr()) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ports[p.Port()]
}

// relays opens the sockets that relayed packets leave from.
func (s *Server) relays() turn.RelayAddressGenerator { return (*relayed)(s) }

type relayed Server

func (r *relayed) Validate() error { return nil }

func (r *relayed) AllocatePacketConn(c turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	socket, err := r.open(c.Network, c.RequestedPort)
	if err != nil {
		r.log.Warn("turn allocation failed", "error", err)
		return nil, nil, err
	}
	socket = r.o.PatientPacket(socket)
	port := addrPort(socket.LocalAddr()).Port()
	s := (*Server)(r)
	h := holder(c.UserID)
	s.mu.Lock()
	one := s.shareOf(h.ID)
	m := &metered{PacketConn: socket, s: s, port: port, holder: h, in: one.in, out: one.out}
	s.ports[port] = true
	s.stands[m] = true
	s.mu.Unlock()
	return m, &net.UDPAddr{IP: s.o.PublicAddress.AsSlice(), Port: int(port)}, nil
}

func (r *relayed) open(network string, port int) (net.PacketConn, error) {
	listen := func(port int) (net.PacketConn, error) {
		return net.ListenPacket(network, net.JoinHostPort(r.bind.String(), strconv.Itoa(port)))
	}
	if r.o.MinPort == 0 || port != 0 {
		if port != 0 && r.o.MinPort != 0 && (port < int(r.o.MinPort) || port > int(r.o.MaxPort)) {
			return nil, fmt.Errorf("port %d is outside %d-%d", port, r.o.MinPort, r.o.MaxPort)
		}
		return listen(port)
	}
	n := int(r.o.MaxPort) - int(r.o.MinPort) + 1
	first := rand.IntN(n)
	for i := range n {
		if c, err := listen(int(r.o.MinPort) + (first+i)%n); err == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("all ports from %d to %d are taken", r.o.MinPort, r.o.MaxPort)
}

func (r *relayed) AllocateListener(turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return nil, nil, fmt.Errorf("relayed TCP: %w", errors.ErrUnsupported)
}

func (r *relayed) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) {
	return nil, fmt.Errorf("relayed TCP: %w", errors.ErrUnsupported)
}

// metered counts, bounds and checks the packets of one allocation.
type metered struct {
	net.PacketConn
	s       *Server
	port    uint16
	holder  Holder
	in, out *rate.Limiter // of all allocations of the holder's ID
}

func (m *metered) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := m.PacketConn.ReadFrom(b)
		if err == nil && !m.in.AllowN(time.Now(), n) {
			m.s.dropped.Add(1)
			continue
		}
		m.s.received.Add(uint64(max(n, 0)))
		return n, from, err
	}
}

func (m *metered) WriteTo(b []byte, to net.Addr) (int, error) {
	if !m.s.sendable(to) || !m.out.AllowN(time.Now(), len(b)) {
		m.s.dropped.Add(1)
		return len(b), nil // as if the network had lost it
	}
	n, err := m.PacketConn.WriteTo(b, to)
	m.s.sent.Add(uint64(max(n, 0)))
	return n, err
}

func (m *metered) Close() error {
	m.s.mu.Lock()
	if m.s.stands[m] { // else the port may be another's by now
		delete(m.s.stands, m)
		delete(m.s.ports, m.port)
	}
	m.s.mu.Unlock()
	return m.PacketConn.Close()
}
