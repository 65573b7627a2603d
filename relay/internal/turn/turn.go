// Package turn is STUN (RFC 8489) and TURN (RFC 8656) over UDP, TCP and,
// through Accept, TLS on the relay's HTTPS port: the way for pixels of those
// who find no direct one. It is the only door to pion/turn on the relay.
//
// Credentials are short-lived: the user name is "EXPIRY:ID:SCOPE" (Unix
// seconds, whose quota it counts against, and with whose end the allocation is
// closed; older nodes leave SCOPE out), the password its HMAC-SHA1 under a secret
// that all nodes share (draft-uberti-behave-turn-rest-00). They are needed to
// begin an allocation; one that stands may be kept for MaxAllocation, so that
// a long session does not break when its credentials grow old.
//
// Whom it relays to: what IANA's registries call globally reachable, and what
// AllowPeers names. All other ranges, IPv6 addresses with an IPv4 address
// inside, and the addresses that this machine has at the time are refused, so
// that nobody reaches the relay's own network through it (see reachable and
// ownAddresses). The one exception is another allocation of
// this very server, without which two ends that both need it could not meet:
// for the server's own address each packet's port must be a live allocation's.
// Relayed TCP (RFC 6062) is refused.
//
// Bounds: allocations per ID and in total, bytes per second and ID in
// each direction (more is dropped, as a full link does), TCP connections in
// all and by address (package share), and 30 s for one to begin an allocation.
// The defaults fit the broker's 64 sessions a person, of which each takes two or
// three allocations and, where UDP is shut, as many connections. When one is
// reached, the log says so; a connection without an allocation is undecided.
package turn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"
	"golang.org/x/time/rate"

	"oriel/relay/internal/share"
)

// Bounds that no option changes.
const (
	MaxAllocation = 24 * time.Hour
	connPatience  = 30 * time.Second // for a TCP connection without allocation
	boundsSaid    = 10 * time.Second // at most once in the log that one is reached
)

// Options of a Server; Secret is required, the rest of the zero value works.
type Options struct {
	UDP, TCP         string     // host:port to listen on; empty: not
	PublicAddress    netip.Addr // what peers see; invalid: the address listened on
	MinPort, MaxPort uint16     // of relayed packets; 0: any
	AllowPeers       []netip.Prefix
	Realm            string // empty: "oriel"
	Secret           []byte // at least 16 bytes, the same on all nodes
	Allocations      int    // at once per ID; 0: 256, four for each of 64 sessions
	TotalAllocations int    // 0: 8192
	Connections      int    // TCP and TLS, at once per address (package share); 0: 2048, an office behind one
	TotalConnections int    // 0: 8192, and not less than Connections
	BytesPerSecond   int64  // per ID and direction; 0: 25 MB
	// Ended says which of the holders of live allocations are over: these are
	// closed, and get no others. An error leaves the rest as it is. nil: none.
	Ended func(context.Context, []Holder) ([]Holder, error)
	// Loose says of a holder that nothing is known yet to which its allocations belong.
	// Of them an ID has half of Allocations at most; nil: there are none.
	Loose func(Holder) bool
	// Patient makes the TCP listener outlive a shortage of files: pion/turn
	// ends its accept loop at the first error. nil: the listener as it is.
	Patient func(net.Listener) net.Listener
	// PatientPacket does the same for its UDP sockets, of clients and of
	// allocations, whose read loops end like that, too. nil: as they are.
	PatientPacket func(net.PacketConn) net.PacketConn
	Logger        *slog.Logger
	Now           func() time.Time // nil: time.Now
}

// Server runs from Start to Close.
type Server struct {
	o      Options
	inner  *turn.Server
	log    *slog.Logger
	udp    netip.AddrPort // invalid: off
	tcp    netip.AddrPort
	bind   netip.Addr // where relayed packets leave from
	buffer int        // of each UDP socket, as the kernel gave it; 0: not known
	own    *ownAddresses
	lines  []*listener // TCP, and the one that Accept feeds

	sent, received, dropped, refused atomic.Uint64
	full                             *rate.Sometimes // the log's line about allocations
	places                           *share.Places   // of conns

	mu     sync.Mutex
	byID   map[string]*portion  // protected by mu
	from   map[string]string    // protected by mu; client address of a live allocation to user
	ports  map[uint16]bool      // protected by mu; relayed ports in use
	conns  map[string]*conn     // protected by mu; TCP and TLS clients by address
	done   bool                 // protected by mu
	stands map[*metered]bool    // protected by mu; live allocations
	ended  map[Holder]time.Time // protected by mu; and when that was seen
	over   chan struct{}        // closed by Close
	wait   sync.WaitGroup       // of conns
}

// Start listens. Errors say which address could not be had.
func Start(o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, log: o.Logger, byID: map[string]*portion{}, stands: map[*metered]bool{}, ended: map[Holder]time.Time{}, over: make(chan struct{}), from: map[string]string{}, ports: map[uint16]bool{},
		conns: map[string]*conn{}, full: &rate.Sometimes{Interval: boundsSaid}, own: &ownAddresses{look: net.InterfaceAddrs, log: o.Logger}}
	s.places = share.New("turn-connections", share.Bound{All: o.TotalConnections, Address: o.Connections}, o.Logger)
	if err := s.own.refresh(o.Now()); err != nil {
		return nil, fmt.Errorf("start turn: %w; without them the relay's own network would lie open", err)
	}
	sockets, listeners, err := s.listen()
	if err != nil {
		return nil, err
	}
	config := turn.ServerConfig{
		Realm: o.Realm, AuthHandler: s.authenticate, QuotaHandler: s.withinQuota,
		LoggerFactory: quiet{}, // what matters is logged by the handlers here
		EventHandler:  turn.EventHandler{OnAllocationCreated: s.created, OnAllocationDeleted: s.deleted},
	}
	for i, c := range sockets {
		c = s.o.PatientPacket(c)
		sockets[i] = c
		config.PacketConnConfigs = append(config.PacketConnConfigs, turn.PacketConnConfig{PacketConn: c, RelayAddressGenerator: s.relays(), PermissionHandler: s.permitted})
	}
	for _, l := range listeners {
		config.ListenerConfigs = append(config.ListenerConfigs, turn.ListenerConfig{Listener: l, RelayAddressGenerator: s.relays(), PermissionHandler: s.permitted})
	}
	if s.inner, err = turn.NewServer(config); err != nil {
		shut(sockets, listeners)
		return nil, fmt.Errorf("start turn: %w", err)
	}
	s.wait.Add(1)
	go s.watch()
	return s, nil
}

func (o Options) withDefaults() (Options, error) {
	if len(o.Secret) < 16 {
		return o, errors.New("turn: the secret is shorter than 16 bytes")
	}
	if o.Realm == "" {
		o.Realm = "oriel"
	}
	if o.Allocations == 0 {
		o.Allocations = 256
	}
	if o.TotalAllocations == 0 {
		o.TotalAllocations = 8192
	}
	if o.Connections == 0 {
		o.Connections = 2048
	}
	if o.TotalConnections == 0 {
		o.TotalConnections = max(8192, o.Connections)
	}
	if o.BytesPerSecond == 0 {
		o.BytesPerSecond = 25_000_000
	}
	if o.PatientPacket == nil {
		o.PatientPacket = func(c net.PacketConn) net.PacketConn { return c }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.PublicAddress = o.PublicAddress.Unmap() // as peers are compared
	return o, nil
}

// listen opens the sockets and decides where relayed packets leave from.
func (s *Server) listen() (sockets []net.PacketConn, listeners []*listener, err error) {
	s.bind = s.o.PublicAddress
	if s.o.UDP != "" {
		if sockets, err = packets(s.o.UDP); err != nil {
			return nil, nil, err
		}
		s.udp = addrPort(sockets[0].LocalAddr())
		s.bind = s.udp.Addr()
		if s.buffer = given(sockets[0]); s.buffer != 0 && s.buffer < socketBuffer {
			s.log.Info("turn has smaller buffers than it asked for; raise net.core.rmem_max for many sessions at once", "bytes", s.buffer, "asked", socketBuffer)
		}
	}
	if s.o.TCP != "" {
		l, err := net.Listen("tcp", s.o.TCP)
		if err != nil {
			shut(sockets, nil)
			return nil, nil, fmt.Errorf("listen for TURN on TCP %s: %w", s.o.TCP, err)
		}
		s.tcp = addrPort(l.Addr())
		if s.o.UDP == "" {
			s.bind = s.tcp.Addr()
		}
		listeners = append(listeners, newListener(s, l))
	}
	listeners = append(listeners, newListener(s, nil))
	s.lines = listeners
	if !s.o.PublicAddress.IsValid() {
		s.o.PublicAddress = s.bind
	}
	if !s.bind.IsValid() || s.bind.IsUnspecified() {
		s.bind = netip.IPv4Unspecified()
		if s.o.PublicAddress.Is6() {
			s.bind = netip.IPv6Unspecified()
		}
	}
	if !s.o.PublicAddress.IsValid() || s.o.PublicAddress.IsUnspecified() {
		shut(sockets, listeners)
		return nil, nil, errors.New("turn: listening on all addresses needs the public address that peers can reach")
	}
	return sockets, listeners, nil
}

func shut(sockets []net.PacketConn, listeners []*listener) {
	for _, c := range sockets {
		_ = c.Close()
	}
	for _, l := range listeners {
		_ = l.Close()
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.UDPAddr:
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	case *net.TCPAddr:
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	p, _ := netip.ParseAddrPort(a.String())
	return p
}

// UDPAddr and TCPAddr are where the server listens; invalid: not.
func (s *Server) UDPAddr() netip.AddrPort { return s.udp }

// TCPAddr is like UDPAddr.
func (s *Server) TCPAddr() netip.AddrPort { return s.tcp }

// Buffer is the receive buffer of each UDP socket in bytes, as the kernel gave
// it, and what was asked for; 0: not known.
func (s *Server) Buffer() (given, asked int) { return s.buffer, socketBuffer }

// URLs are the ICE server addresses (RFC 7064, RFC 7065) for clients that
// reach this server as host. tlsPort is the port whose connections are given
// to Accept; 0: there is none.
func (s *Server) URLs(host string, tlsPort int) []string {
	var urls []string
	at := func(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
	if s.udp.IsValid() {
		urls = append(urls, "stun:"+at(int(s.udp.Port())), "turn:"+at(int(s.udp.Port()))+"?transport=udp")
	}
	if s.tcp.IsValid() {
		urls = append(urls, "turn:"+at(int(s.tcp.Port()))+"?transport=tcp")
	}
	if tlsPort != 0 {
		urls = append(urls, "turns:"+at(tlsPort)+"?transport=tcp")
	}
	return urls
}

// Accept takes over a connection that was seen to speak STUN, with TLS removed.
func (s *Server) Accept(c net.Conn) { s.lines[len(s.lines)-1].give(c) }

// Places of TCP and TLS connections, for metrics.
func (s *Server) Places() *share.Places { return s.places }

// Stats are counters since the start, and gauges.
type Stats struct {
	Allocations, Connections int    // now
	BytesSent, BytesReceived uint64 // to and from peers
	Dropped                  uint64 // packets over the rate or to where nobody may send
	Refused                  uint64 // permissions and allocations
}

// Stats of now.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	conns := len(s.conns)
	s.mu.Unlock()
	return Stats{Allocations: s.inner.AllocationCount(), Connections: conns, BytesSent: s.sent.Load(),
		BytesReceived: s.received.Load(), Dropped: s.dropped.Load(), Refused: s.refused.Load()}
}

// Close ends all allocations and connections and waits for the latter.
func (s *Server) Close() error {
	s.mu.Lock()
	if !s.done {
		s.done = true
		close(s.over)
	}
	conns := make([]io.Closer, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	err := s.inner.Close()
	for _, c := range conns {
		_ = c.Close()
	}
	s.wait.Wait()
	return err
}

type quiet struct{}

func (quiet) NewLogger(string) logging.LeveledLogger {
	return logging.NewDefaultLeveledLoggerForScope("turn", logging.LogLevelDisabled, io.Discard)
}
