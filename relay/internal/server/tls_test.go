package server

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"oriel/protocol/private"
	"oriel/relay/internal/listen"
)

func listenAt(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// certificate writes a new self-signed one for 127.0.0.1.
func certificate(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// serveTLS runs a server on TLS until the test ends.
func serveTLS(t *testing.T, turn func(net.Conn)) (address string, client *tls.Config) {
	t.Helper()
	cert, key := certificate(t, t.TempDir(), "test")
	config, err := Files(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := open(t, func(o *Options) {
		o.TLS, o.TURN = config, turn
		o.Agent = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			material, err := r.TLS.ExportKeyingMaterial("EXPORTER-test", nil, 8)
			plain(w, 200, fmt.Sprintf("%s %x %v", r.Proto, material, err))
		})
	})
	l := listenAt(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error("shut down:", err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	pool := x509.NewCertPool()
	text, err := os.ReadFile(cert)
	if err != nil || !pool.AppendCertsFromPEM(text) {
		t.Fatal("no certificate", err)
	}
	return l.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
}

func TestHTTPOverTLS(t *testing.T) {
	address, config := serveTLS(t, nil)
	for _, proto := range []string{"HTTP/2.0", "HTTP/1.1"} {
		transport := &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: proto == "HTTP/2.0"}
		client := &http.Client{Transport: transport}
		for range 2 { // the second on the same connection
			r, err := client.Get("https://" + address + "/agent/v1")
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r.Body)
			_ = r.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			material, err := r.TLS.ExportKeyingMaterial("EXPORTER-test", nil, 8)
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("%s %x <nil>", proto, material); string(b) != want {
				t.Errorf("the handler saw %q, the client %q", b, want)
			}
		}
		transport.CloseIdleConnections()
	}
}

// TURN's first byte is 0 or 1 (STUN) or 0x40 and more (channel data, which
// never comes first); what is no letter and no STUN is closed by HTTP.
func TestTURNBesideHTTP(t *testing.T) {
	got := make(chan string, 4)
	address, config := serveTLS(t, func(c net.Conn) {
		defer c.Close()
		b := make([]byte, 4)
		_, err := io.ReadFull(c, b)
		got <- fmt.Sprintf("%x %v", b, err)
		_, _ = c.Write([]byte("turn"))
	})
	for _, protos := range [][]string{nil, {"http/1.1"}} {
		config := config.Clone()
		config.NextProtos = protos
		c, err := tls.Dial("tcp", address, config)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []byte{0x00, 0x03, 0x21, 0x12} { // one by one
			if _, err := c.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		if text := <-got; text != "00032112 <nil>" {
			t.Errorf("TURN read %s", text)
		}
		if b, err := io.ReadAll(c); string(b) != "turn" || err != nil {
			t.Errorf("the client read %q, %v", b, err)
		}
		_ = c.Close()
	}
}

func TestTURNIsClosedWhereThereIsNone(t *testing.T) {
	address, config := serveTLS(t, nil)
	c, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte{0, 1, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); len(b) > 0 {
		t.Errorf("read %q, %v", b, err)
	}
}

// Connections that never say what they are hold up neither others nor the end.
func TestSilentConnections(t *testing.T) {
	address, config := serveTLS(t, nil)
	for range 20 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := tls.Dial("tcp", address, config)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
	}
	c, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || r.StatusCode != 200 {
		t.Fatal(r, err)
	}
	_ = r.Body.Close()
}

func TestPlainHTTPOnTLSPort(t *testing.T) {
	address, _ := serveTLS(t, nil)
	r, err := http.Get("http://" + address + "/healthz")
	if err == nil {
		_ = r.Body.Close()
		t.Fatalf("plain HTTP is answered: %s", r.Status)
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir, "old")
	f := &files{cert: cert, key: key}
	name := func() string {
		t.Helper()
		c, err := f.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.Subject.CommonName
	}
	// later is a file that was written later, and a look that is due.
	later := func(by time.Duration) {
		t.Helper()
		at := time.Now().Add(by)
		if err := os.Chtimes(cert, at, at); err != nil {
			t.Fatal(err)
		}
		f.looked = time.Time{}
	}
	if n := name(); n != "old" {
		t.Fatal(n)
	}
	certificate(t, dir, "new")
	if n := name(); n != "old" {
		t.Fatalf("%s: looked at again at once", n)
	}
	later(time.Minute)
	if n := name(); n != "new" {
		t.Fatalf("%s: not read again", n)
	}
	if err := os.WriteFile(cert, []byte("half a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	later(2 * time.Minute)
	if n := name(); n != "new" {
		t.Fatalf("%s while the file is being written", n)
	}
	if _, err := Files(filepath.Join(dir, "none.pem"), key); err == nil {
		t.Fatal("no file, no error")
	}
}

// Rule: files that were there before are trusted only with the right mode: a
// certificate's key that others on the machine may read or change serves nobody.
func TestKeyThatOthersMayUse(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir, "name")
	for mode, fine := range map[os.FileMode]bool{0o600: true, 0o640: true, 0o660: false, 0o644: false, 0o602: false} {
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Files(cert, key)
		if (err == nil) != fine || err != nil && !(errors.Is(err, private.ErrRefused) && strings.Contains(err.Error(), "chmod")) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
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

// Rule: at too many open files the listener waits and goes on, with TLS as
// without, and a number says how often.
func TestListenerOutlivesAShortage(t *testing.T) {
	cert, key := certificate(t, t.TempDir(), "test")
	config, err := Files(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	for scheme, secure := range map[string]*tls.Config{"http": nil, "https": config} {
		t.Run(scheme, func(t *testing.T) {
			var shortage listen.Shortage
			s, _ := open(t, func(o *Options) { o.TLS, o.Shortage = secure, &shortage })
			l := listenAt(t)
			served := make(chan error, 1)
			go func() { served <- s.Serve(&short{Listener: l, failures: 3}) }()
			transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true} // whose certificate it is, is another test's subject
			r, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Get(scheme + "://" + l.Addr().String() + "/healthz")
			if err != nil {
				t.Error("nobody is let in after a shortage:", err)
			} else if _ = r.Body.Close(); r.StatusCode != 200 {
				t.Error(r.Status)
			}
			if shortage.Failed() != 3 {
				t.Errorf("%d failures counted, want 3", shortage.Failed())
			}
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
}
