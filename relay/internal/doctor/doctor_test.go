package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/config"
	"oriel/relay/internal/node"
	"oriel/relay/internal/notify/mailtest"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/seal"
	"oriel/relay/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// settings that are well, but for what args change.
func settings(t *testing.T, args ...string) *config.Config {
	t.Helper()
	all := append([]string{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data")}, args...)
	_, c, err := config.Parse(all, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var lineForm = regexp.MustCompile(`^(ok  |warn|FAIL)  ([a-z ]{11})  (.+)$`)

// examine returns what is said of each need.
func examine(t *testing.T, c *config.Config) (well bool, said map[string]string) {
	t.Helper()
	var out strings.Builder
	well = Examine(t.Context(), c, &out)
	said = map[string]string{}
	for line := range strings.Lines(out.String()) {
		m := lineForm.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			t.Fatalf("line %q", line)
		}
		said[strings.TrimSpace(m[2])] = strings.TrimSpace(m[1]) + " " + m[3]
	}
	return well, said
}

func expect(t *testing.T, c *config.Config, well bool, want map[string]string) {
	t.Helper()
	got, said := examine(t, c)
	if got != well {
		t.Errorf("well is %v, want %v: %v", got, well, said)
	}
	for need, text := range want {
		mark, words, _ := strings.Cut(text, " ")
		if !strings.HasPrefix(said[need], mark+" ") || !strings.Contains(said[need], words) {
			t.Errorf("%s: %q, want %q", need, said[need], text)
		}
	}
}

func TestNothingThereYet(t *testing.T) {
	c := settings(t)
	expect(t, c, true, map[string]string{"data": "ok will be made", "database": "ok will be made", "clock": "ok 20",
		"bus": "ok embedded", "blobs": "ok folder", "listen": "ok free", "address": "ok http://127.0.0.1", "turn udp": "ok free",
		"turn tcp": "ok free", "downloads": "warn none"})
	if _, said := examine(t, c); said["certificate"] != "" || said["metrics"] != "" {
		t.Errorf("it speaks of what is not asked for: %v", said)
	}
}

// Rule: doctor asks the mail server whether it takes mails, and says what to do.
func TestMail(t *testing.T) {
	pit := mailtest.Start(t, mailtest.Options{TLS: "starttls", User: "relay", Password: "s3cret"})
	file := func(password string) string {
		path := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(path, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	args := []string{"--smtp-host", pit.Host, "--smtp-port", fmt.Sprint(pit.Port), "--smtp-from", "oriel@example.com", "--smtp-user", "relay", "--smtp-ca", pit.CA}
	expect(t, settings(t), true, map[string]string{"mail": "ok none is sent"})
	expect(t, settings(t, append(args, "--smtp-password-file", file("s3cret"))...), true, map[string]string{"mail": "ok takes mail over TLS, signed in as relay"})
	expect(t, settings(t, append(args, "--smtp-password-file", file("another"))...), false, map[string]string{"mail": "FAIL check smtp-user and the password"})
	pit.Stop()
	expect(t, settings(t, append(args, "--smtp-password-file", file("s3cret"))...), false, map[string]string{"mail": "FAIL does not answer"})
}

// Rule: doctor says where the sealing key is.
func TestSealingKey(t *testing.T) {
	c := settings(t)
	path := filepath.Join(c.Data, seal.File)
	expect(t, c, true, map[string]string{"sealing": "ok " + path + " will be made"})
	n, err := node.New(t.Context(), c, node.Options{Hash: access.HashCost{MemoryKiB: 64, Passes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, c, true, map[string]string{"sealing": "ok is in " + path})
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect(t, c, false, map[string]string{"sealing": "FAIL no sealing key, but the relay's keys"})
	if _, _, err := seal.Make(c.Data); err != nil {
		t.Fatal(err)
	}
	expect(t, c, false, map[string]string{"sealing": "FAIL sealed with another key"})
}

// free is a port that nobody listens on now.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Beside the relay that runs with the same settings all is well, too.
func TestBesideARelay(t *testing.T) {
	cert, key := certificate(t, 90*24*time.Hour, "127.0.0.1")
	c := settings(t, "--listen", free(t), "--turn-udp", free(t), "--turn-tcp", free(t), "--metrics-listen", free(t),
		"--database", storetest.PostgreSQL(t), "--nats", relaytest.StartNATS(t), "--tls-cert", cert, "--tls-key", key)
	n, err := node.New(t.Context(), c, node.Options{Hash: access.HashCost{MemoryKiB: 64, Passes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	expect(t, c, true, map[string]string{"data": "ok data", "database": "ok postgres, up to date", "bus": "ok answers",
		"listen": "ok a relay runs here", "turn udp": "ok STUN answers", "turn tcp": "ok STUN answers",
		"metrics": "ok metrics are served", "certificate": "ok for 127.0.0.1"})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // somebody else's program: it hangs up on whoever comes
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	taken := l.Addr().String()
	expect(t, settings(t, "--listen", taken, "--turn-udp", "off"), false, map[string]string{"listen": "FAIL choose another with --listen", "turn udp": "warn off"})
	expect(t, settings(t, "--turn-tcp", taken), false, map[string]string{"turn tcp": "FAIL choose another with --turn-tcp", "listen": "ok free"})
	expect(t, settings(t, "--turn-udp", u.LocalAddr().String()), false, map[string]string{"turn udp": "FAIL choose another with --turn-udp"})
	expect(t, settings(t, "--metrics-listen", taken), false, map[string]string{"metrics": "FAIL choose another with --metrics-listen"})
}

func TestWhatDoesNotAnswer(t *testing.T) {
	nobody := free(t)
	expect(t, settings(t, "--database", "postgres://u@"+nobody+"/d"), false, map[string]string{"database": "FAIL check that it runs"})
	expect(t, settings(t, "--nats", "nats://"+nobody), false, map[string]string{"bus": "FAIL check that it runs"})
	expect(t, settings(t, "--data", "/proc/none"), false, map[string]string{"data": "FAIL make it yourself"})
	expect(t, settings(t, "--blobs", "file:///proc/none"), false, map[string]string{"blobs": "FAIL check the setting blobs"})
	expect(t, settings(t, "--public-url", "http://no-such-host.invalid"), false, map[string]string{"address": "FAIL make a record"})

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, settings(t, "--data", file), false, map[string]string{"data": "FAIL choose another with --data"})
	expect(t, settings(t, "--database", file), false, map[string]string{"database": "FAIL database"})
	data := t.TempDir()
	if err := os.Chmod(data, 0o755); err != nil {
		t.Fatal(err)
	}
	expect(t, settings(t, "--data", data), true, map[string]string{"data": "warn chmod 700"})
	if err := os.Chmod(data, 0o777); err != nil {
		t.Fatal(err)
	}
	expect(t, settings(t, "--data", data), false, map[string]string{"data": "FAIL can be written to by others (mode 0777); if nobody else has, run: chmod 700"})
}

func TestDatabases(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		c := settings(t, "--database", address)
		expect(t, c, true, map[string]string{"database": "ok up to date", "clock": "ok 20"})
		if err := s.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(t, c, true, map[string]string{"database": "ok make a backup first"})
	})
	expect(t, settings(t, "--database", storetest.EmptyPostgreSQL(t)), true, map[string]string{"database": "ok empty"})
	expect(t, settings(t, "--database", storetest.AsSuperuser(storetest.PostgreSQL(t))), true, map[string]string{"database": "warn make a role of the relay's own"})
}

func TestDownloads(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := settings(t, "--downloads", dir)
	write("manifest.json", "{")
	expect(t, c, false, map[string]string{"downloads": "FAIL manifest"})
	write("manifest.json", `{"version":"1.0.0","files":[{"name":"agent.deb","program":"oriel-agent","os":"linux","arch":"amd64","kind":"deb","size":5,"sha256":"`+strings.Repeat("0", 64)+`"}]}`)
	expect(t, c, false, map[string]string{"downloads": "FAIL agent.deb is not the file"})
	write("agent.deb", "12345")
	expect(t, c, true, map[string]string{"downloads": "ok release 1.0.0, 1 files"})
}

func TestCertificates(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		left time.Duration
		host string
		well bool
		want string
	}{
		{90 * day, "127.0.0.1", true, "ok for 127.0.0.1, until"},
		{5*day + time.Hour, "127.0.0.1", true, "warn runs out in 5 days"},
		{-day, "127.0.0.1", false, "FAIL ran out on"},
		{90 * day, "192.0.2.1", false, "FAIL is not for 127.0.0.1"},
	} {
		cert, key := certificate(t, c.left, c.host)
		expect(t, settings(t, "--tls-cert", cert, "--tls-key", key), c.well, map[string]string{"certificate": c.want})
	}
	cert, _ := certificate(t, day, "127.0.0.1")
	_, key := certificate(t, day, "127.0.0.1")
	expect(t, settings(t, "--tls-cert", cert, "--tls-key", key), false, map[string]string{"certificate": "FAIL private key does not match"})
	expect(t, settings(t, "--public-url", "https://localhost", "--trusted-proxies", "127.0.0.1"), true, map[string]string{"certificate": "ok is the proxy's"})
	expect(t, settings(t, "--public-url", "http://192.0.2.1"), true, map[string]string{"certificate": "warn none"})
	expect(t, settings(t, "--acme-hosts", "localhost"), true, map[string]string{"certificate": "warn port 443"})
}

func certificate(t *testing.T, left time.Duration, host string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(left),
		IPAddresses: []net.IP{net.ParseIP(host)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
