package bus

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// Rule: NATS without TLS and credentials beyond loopback is refused.
func TestCheckURL(t *testing.T) {
	for setting, want := range map[string]error{
		"nats://127.0.0.1:4222": nil, "nats://localhost": nil, "nats://LOCALHOST:4222": nil, "ws://[::1]:80": nil, "nats://127.8.9.1": nil,
		"nats://[::ffff:127.0.0.1]:4222": nil, "nats://127.0.0.1:4222,nats://127.0.0.1:4223": nil,
		"tls://u:p@nats.example.com:4222": nil, "wss://u:p@nats.example.com": nil, "tls://token@10.0.0.7:4222": nil,
		"tls://u:p@a:4222,tls://u:p@b:4222": nil, "nats://127.0.0.1:4222,tls://u:p@b:4222": nil,

		"nats://10.0.0.7:4222": ErrInOpen, "nats://u:p@10.0.0.7:4222": ErrInOpen, "ws://u:p@nats.example.com": ErrInOpen,
		"tls://10.0.0.7:4222": ErrInOpen, "wss://nats.example.com": ErrInOpen, "tls://u:@10.0.0.7": ErrInOpen, "tls://:p@10.0.0.7": ErrInOpen,
		"tls://@10.0.0.7": ErrInOpen, "tls://:@10.0.0.7": ErrInOpen, "nats://0.0.0.0:4222": ErrInOpen, "nats://[::]:4222": ErrInOpen,
		"nats://127.0.0.1.example.com": ErrInOpen, "nats://localhost.example.com": ErrInOpen, "nats://127.1:4222": ErrInOpen,
		"nats://2130706433:4222": ErrInOpen, "nats://127.0.0.1@10.0.0.7": ErrInOpen, "nats://[fe80::1%25lo]:4222": ErrInOpen,
		"nats://127.0.0.1:4222,nats://10.0.0.7:4222": ErrInOpen, "tls://u:p@a:4222,tls://b:4222": ErrInOpen, "tls://u:p@a:4222,nats://u:p@b:4222": ErrInOpen,

		"127.0.0.1:4222": ErrURL, "10.0.0.7": ErrURL, "http://127.0.0.1": ErrURL, "nats://": ErrURL, "nats://:4222": ErrURL, "": ErrURL,
		"nats://127.0.0.1:4222,": ErrURL, "nats://127.0.0.1:4222, nats://127.0.0.1:4223": ErrURL, "nats://127.0.0.1:4222,10.0.0.7:4222": ErrURL,
	} {
		if err := CheckURL(setting); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", setting, err, want)
		}
		// What is checked is what is used: no door past the check.
		if want == nil || setting == "" { // which is the embedded one there
			continue
		}
		if b, err := Open(t.Context(), Options{URL: setting}); err == nil {
			b.Close()
			t.Errorf("%s was opened", setting)
		}
	}
}

// Rule: NATS without TLS and credentials beyond loopback is refused, also
// where a server on loopback names others of its cluster.
func TestServersThatOthersName(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: server.RANDOM_PORT}, ClientAdvertise: "203.0.113.7:4222"})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	until(t, "started", func() bool { return s.Addr() != nil && s.ClusterAddr() != nil })
	b, err := Open(t.Context(), Options{URL: "nats://" + s.Addr().(*net.TCPAddr).String()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	until(t, "healthy", func() bool { return b.Healthy() == nil })
	if all := b.conn.Servers(); len(all) != 1 {
		t.Fatalf("it would connect to %q", all)
	}
}

// Rule: a check must read the same thing that is used: no password of several
// addresses comes into a log.
func TestPasswordsOfSeveralStayOutOfLogs(t *testing.T) {
	for _, setting := range []string{"tls://u:geheim@a,tls://u:geheim@b", "tls://u:geheim@a:1,tls://u:geheim@b:1", "tls://geheim@a", "tls://u:geheim@a:x"} {
		if got := redacted(setting); strings.Contains(got, "geheim") {
			t.Errorf("%s: %s", setting, got)
		}
		if err := CheckURL(setting + ",nats://u:geheim@c"); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", setting, err)
		}
	}
}
