package turn

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Rule: TURN listens on several UDP sockets, with 1 MB of buffer each, and
// packets are spread among them; nobody else joins in.
func TestSeveralSockets(t *testing.T) {
	all, err := packets("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer shut(all, nil)
	if !reusePort(all[0]) {
		t.Skip("this system gives all packets to one socket")
	}
	address := all[0].LocalAddr().String()
	if len(all) < 2 || len(all) != socketCount() {
		t.Fatalf("%d sockets", len(all))
	}
	want := socketBuffer
	if text, err := os.ReadFile("/proc/sys/net/core/rmem_max"); err == nil {
		if most, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			want = min(want, most)
		}
	}
	for _, c := range all {
		if c.LocalAddr().String() != address {
			t.Errorf("one listens on %s, another on %s", address, c.LocalAddr())
		}
		if got := given(c); got < want {
			t.Errorf("a buffer of %d bytes, want %d", got, want)
		}
	}
	if more, err := packets(address); err == nil {
		shut(more, nil)
		t.Fatal("another server joined in")
	}
	for range 64 {
		c, err := net.Dial("udp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Write([]byte("x"))
		_ = c.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	reached := 0
	for _, c := range all {
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, _, err := c.ReadFrom(make([]byte, 8)); err == nil {
			reached++
		}
	}
	if reached != len(all) {
		t.Errorf("%d of %d sockets got packets of 64 clients", reached, len(all))
	}
}

// Rule: TURN's quotas agree with the others: 64 sessions a person, of which
// each takes two or three allocations and as many connections.
func TestDefaultsFitTheSessionsOfAPerson(t *testing.T) {
	const sessions, each, office = 64, 3, 10 // as broker.MaxSessions has it
	o, err := Options{Secret: make([]byte, 16)}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if o.Allocations < sessions*each || o.TotalAllocations < office*o.Allocations {
		t.Errorf("allocations: %d, all %d", o.Allocations, o.TotalAllocations)
	}
	if o.Connections < sessions*each*office || o.TotalConnections < 2*o.Connections {
		t.Errorf("connections: %d, all %d", o.Connections, o.TotalConnections)
	}
}

// lines is a log that a test reads.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Rule: a line in the log when a quota is reached; and who holds no allocation
// makes place for who comes, never the newcomer for it.
func TestConnectionsMakePlace(t *testing.T) {
	for _, c := range []struct {
		bound  string
		change func(*Options)
	}{
		{"address", func(o *Options) { o.Connections = 3 }},
		{"all", func(o *Options) { o.TotalConnections = 3 }},
	} {
		t.Run(c.bound, func(t *testing.T) {
			log := &lines{}
			s := start(t, func(o *Options) { c.change(o); o.Logger = slog.New(slog.NewTextHandler(log, nil)) })
			user, password := good(s)
			held, err := client(t, s, "tcp", user, password).Allocate()
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			var silent []net.Conn
			for i := range 4 { // two have no place beside the one and each other
				one, err := net.Dial("tcp", s.TCPAddr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer one.Close()
				silent = append(silent, one)
				until(t, s, func(st Stats) bool { return st.Connections == min(i+2, 3) && s.knows(one.LocalAddr()) })
			}
			for i, one := range silent {
				if want := i >= 2; s.knows(one.LocalAddr()) != want {
					t.Errorf("silent connection %d is kept: %t", i, !want)
				}
			}
			_ = silent[0].SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := silent[0].Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
				t.Errorf("the oldest silent one was not closed: %v", err)
			}
			newcomer, err := client(t, s, "tcp", user, password).Allocate()
			if err != nil {
				t.Fatalf("the newcomer: %v", err)
			}
			defer newcomer.Close()
			peer, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			exchange(t, held, peer)
			exchange(t, newcomer, peer)
			if text := log.String(); strings.Count(text, "bound=turn-connections of="+c.bound+" ") != 1 {
				t.Errorf("the log says %s", text)
			}
		})
	}
}

func (s *Server) knows(client net.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[client.String()] != nil
}

// Rule: a line in the log when a quota is reached.
func TestAllocationQuotaIsLogged(t *testing.T) {
	log := &lines{}
	s := start(t, func(o *Options) { o.Allocations = 1; o.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	user, password := good(s)
	one, err := client(t, s, "udp", user, password).Allocate()
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	for range 2 {
		if _, err := client(t, s, "udp", user, password).Allocate(); err == nil {
			t.Fatal("a second was allowed")
		}
	}
	if text := log.String(); strings.Count(text, "bound=turn-allocations") != 1 || !strings.Contains(text, "id=ada") {
		t.Errorf("the log says %s", text)
	}
}

// Rule: a passing error of a UDP socket, of clients or of an allocation, ends no
// read loop: each socket is one that PatientPacket made patient.
func TestEachSocketIsPatient(t *testing.T) {
	var mu sync.Mutex
	var made []*interrupted
	s := start(t, func(o *Options) {
		o.PatientPacket = func(c net.PacketConn) net.PacketConn {
			i := &interrupted{PacketConn: c}
			mu.Lock()
			made = append(made, i)
			mu.Unlock()
			return i
		}
	})
	user, password := good(s)
	relay, err := client(t, s, "udp", user, password).Allocate()
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	mu.Lock()
	defer mu.Unlock()
	if len(made) < 2 {
		t.Errorf("%d sockets are patient; clients have one or more, and an allocation one", len(made))
	}
}

type interrupted struct{ net.PacketConn }
