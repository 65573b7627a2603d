package turn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func start(t testing.TB, change func(*Options)) *Server {
	t.Helper()
	o := Options{UDP: "127.0.0.1:0", TCP: "127.0.0.1:0", Secret: []byte("0123456789abcdef"), AllowPeers: loopback}
	if change != nil {
		change(&o)
	}
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// dial opens the client's side of one way into the server.
func dial(t *testing.T, s *Server, way string) (net.PacketConn, string) {
	t.Helper()
	switch way {
	case "udp":
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return c, s.UDPAddr().String()
	case "tcp":
		c, err := net.Dial("tcp", s.TCPAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		return turn.NewSTUNConn(c), s.TCPAddr().String()
	}
	// As the relay's HTTPS listener does: TLS ends there, Accept gets the rest.
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer l.Close()
		if c, err := l.Accept(); err == nil && c.(*tls.Conn).Handshake() == nil {
			s.Accept(c)
		}
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true}) // the certificate is not this test's subject
	if err != nil {
		t.Fatal(err)
	}
	return turn.NewSTUNConn(c), l.Addr().String()
}

func client(t *testing.T, s *Server, way, user, password string) *turn.Client {
	t.Helper()
	conn, address := dial(t, s, way)
	c, err := turn.NewClient(&turn.ClientConfig{Conn: conn, STUNServerAddr: address, TURNServerAddr: address,
		Username: user, Password: password, Realm: "oriel", RTO: 200 * time.Millisecond,
		LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); _ = conn.Close() })
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	return c
}

func good(s *Server) (user, password string) {
	return s.Credentials(Holder{ID: "ada"}, time.Now().Add(time.Minute))
}

func TestRelaysBothWays(t *testing.T) {
	for _, way := range []string{"udp", "tcp", "tls"} {
		t.Run(way, func(t *testing.T) {
			s := start(t, nil)
			user, password := good(s)
			relay, err := client(t, s, way, user, password).Allocate()
			if err != nil {
				t.Fatal(err)
			}
			defer relay.Close()
			peer, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			exchange(t, relay, peer)
			exchange(t, peer, relay)
			// Counted when the packet has left, which its receiver may know first.
			until(t, s, func(st Stats) bool { return st.BytesSent > 0 && st.BytesReceived > 0 })
			if st := s.Stats(); st.Allocations != 1 || st.Dropped != 0 {
				t.Fatalf("stats %+v", st)
			}
		})
	}
}

// until waits for the counters to be as ok says.
func until(t *testing.T, s *Server, ok func(Stats) bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(s.Stats()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("stats %+v", s.Stats())
		}
	}
}

// exchange sends from a to b until it arrives, as UDP may lose it.
func exchange(t *testing.T, a, b net.PacketConn) {
	t.Helper()
	buf := make([]byte, 64)
	for range 20 {
		if _, err := a.WriteTo([]byte("ping"), b.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		_ = b.SetReadDeadline(time.Now().Add(250 * time.Millisecond))
		n, from, err := b.ReadFrom(buf)
		if err == nil && string(buf[:n]) == "ping" && from.String() == a.LocalAddr().String() {
			return
		}
	}
	t.Fatalf("nothing from %s arrived at %s", a.LocalAddr(), b.LocalAddr())
}

func TestTwoAllocationsMeet(t *testing.T) {
	// Both ends relayed: the only peers are the server's own address.
	s := start(t, func(o *Options) { o.AllowPeers = nil })
	user, password := good(s)
	var ends [2]net.PacketConn
	for i, way := range []string{"udp", "tcp"} {
		c, err := client(t, s, way, user, password).Allocate()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ends[i] = c
	}
	// Each must have let the other in before anything passes.
	_, _ = ends[0].WriteTo([]byte("x"), ends[1].LocalAddr())
	_, _ = ends[1].WriteTo([]byte("x"), ends[0].LocalAddr())
	buf := make([]byte, 8)
	for _, e := range ends {
		for range 3 { // drain
			_ = e.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			_, _, _ = e.ReadFrom(buf)
		}
	}
	exchange(t, ends[0], ends[1])
	exchange(t, ends[1], ends[0])

	// But nothing else at that address: not a service beside the server.
	service, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	before := s.Stats().Dropped
	for range 3 {
		_, _ = ends[0].WriteTo([]byte("hello"), service.LocalAddr())
	}
	_ = service.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if n, _, err := service.ReadFrom(buf); err == nil {
		t.Fatalf("a service on the relay's own machine was reached with %d bytes", n)
	}
	until(t, s, func(st Stats) bool { return st.Dropped > before })
}

func TestCredentials(t *testing.T) {
	now := time.Now()
	for _, tc := range []struct {
		name string
		ok   bool
		make func(*Server) (string, string)
	}{
		{"good", true, good},
		{"wrong password", false, func(s *Server) (string, string) { u, _ := good(s); return u, "wrong" }},
		{"expired", false, func(s *Server) (string, string) { return s.Credentials(Holder{ID: "ada"}, now.Add(-time.Second)) }},
		{"expiry moved", false, func(s *Server) (string, string) {
			u, p := s.Credentials(Holder{ID: "ada"}, now.Add(-time.Second))
			_, id, _ := strings.Cut(u, ":")
			good, _ := s.Credentials(Holder{ID: id}, now.Add(time.Hour))
			return good, p
		}},
		{"no expiry", false, func(s *Server) (string, string) { return "ada", s.password("ada") }},
		{"another secret", false, func(*Server) (string, string) {
			return good(&Server{o: Options{Secret: []byte("fedcba9876543210")}})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := start(t, nil)
			user, password := tc.make(s)
			c, err := client(t, s, "udp", user, password).Allocate()
			if (err == nil) != tc.ok {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				_ = c.Close()
			}
		})
	}
}

func TestExpiredCredentialsKeepWhatStands(t *testing.T) {
	s := start(t, nil)
	s.from["127.0.0.1:5"] = "ada"
	user, _ := s.Credentials(Holder{ID: "ada"}, time.Now().Add(-time.Hour))
	ask := func(client string, m turnMethod) bool {
		a, err := net.ResolveUDPAddr("udp", client)
		if err != nil {
			t.Fatal(err)
		}
		_, _, ok := s.authenticate(request(user, a, m))
		return ok
	}
	if !ask("127.0.0.1:5", refresh) {
		t.Error("a standing allocation was not refreshed")
	}
	if ask("127.0.0.1:6", refresh) {
		t.Error("another client was taken for it")
	}
	if ask("127.0.0.1:5", allocate) {
		t.Error("a new allocation was begun")
	}
	user, _ = s.Credentials(Holder{ID: "ada"}, time.Now().Add(-MaxAllocation-time.Second))
	if ask("127.0.0.1:5", refresh) {
		t.Error("kept for ever")
	}
}

func TestForbiddenPeerIsRefused(t *testing.T) {
	s := start(t, func(o *Options) { o.AllowPeers = nil; o.PublicAddress = netip.MustParseAddr("203.0.113.9") })
	user, password := good(s)
	relay, err := client(t, s, "udp", user, password).Allocate()
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	if _, err := relay.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}); err == nil {
		t.Fatal("loopback was permitted")
	}
	if s.Stats().Refused == 0 {
		t.Fatal("not counted")
	}
}

func TestQuota(t *testing.T) {
	s := start(t, func(o *Options) { o.Allocations = 2; o.TotalAllocations = 3 })
	allocate := func(id string) (net.PacketConn, error) {
		user, password := s.Credentials(Holder{ID: id}, time.Now().Add(time.Minute))
		return client(t, s, "udp", user, password).Allocate()
	}
	var first net.PacketConn
	for range 2 {
		c, err := allocate("ada")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		first = c
	}
	if _, err := allocate("ada"); err == nil {
		t.Fatal("a third was allowed")
	}
	c, err := allocate("bob")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := allocate("eve"); err == nil {
		t.Fatal("over the total")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, s, func(st Stats) bool { return st.Allocations == 2 })
	c, err = allocate("ada")
	if err != nil {
		t.Fatalf("after one was given back: %v", err)
	}
	_ = c.Close()
}

func TestRateIsBounded(t *testing.T) {
	s := start(t, func(o *Options) { o.BytesPerSecond = 1000 })
	user, password := good(s)
	relay, err := client(t, s, "udp", user, password).Allocate()
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	peer, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	exchange(t, relay, peer)
	for range 200 { // 200 kB against a burst of 64 kB
		if _, err := relay.WriteTo(make([]byte, 1000), peer.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	until(t, s, func(st Stats) bool { return st.Dropped > 0 })
	if st := s.Stats(); st.BytesSent > 80_000 {
		t.Fatalf("stats %+v", st)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"short secret":     {UDP: "127.0.0.1:0", Secret: []byte("short")},
		"no public":        {UDP: "0.0.0.0:0", Secret: []byte("0123456789abcdef")},
		"nothing to serve": {Secret: []byte("0123456789abcdef")},
		"bad address":      {UDP: "nowhere", Secret: []byte("0123456789abcdef")},
	} {
		if s, err := Start(o); err == nil {
			_ = s.Close()
			t.Errorf("%s was taken", name)
		}
	}
}

func TestURLs(t *testing.T) {
	s := start(t, func(o *Options) { o.TCP = "" })
	got := s.URLs("relay.example", 443)
	if len(got) != 3 || !strings.HasPrefix(got[0], "stun:relay.example:") || !strings.HasSuffix(got[1], "?transport=udp") ||
		got[2] != "turns:relay.example:443?transport=tcp" {
		t.Fatalf("got %q", got)
	}
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// short has no file left for its first connections.
type short struct {
	net.Listener
	failures int
}

func (s *short) Accept() (net.Conn, error) {
	if s.failures > 0 {
		s.failures--
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return s.Listener.Accept()
}

// patient asks again, as the relay's own does with more care.
type patient struct {
	short
	failed int
}

func (p *patient) Accept() (net.Conn, error) {
	for {
		c, err := p.short.Accept()
		if !errors.Is(err, syscall.EMFILE) {
			return c, err
		}
		p.failed++
	}
}

// Rule: at too many open files TURN's own accept loop waits and goes on.
func TestListenerOutlivesAShortage(t *testing.T) {
	var p *patient
	s := start(t, func(o *Options) {
		o.Patient = func(l net.Listener) net.Listener {
			p = &patient{short: short{Listener: l, failures: 3}}
			return p
		}
	})
	user, password := good(s)
	relay, err := client(t, s, "tcp", user, password).Allocate()
	if err != nil {
		t.Fatal("nobody is let in after a shortage:", err)
	}
	defer relay.Close()
	if p.failed != 3 {
		t.Errorf("%d failures waited out, want 3", p.failed)
	}
}
