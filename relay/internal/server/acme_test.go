package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// free is a port of 127.0.0.1 that nobody listens on now.
func free(t *testing.T) int {
	t.Helper()
	l := listenAt(t)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// program runs until the test ends.
func program(t *testing.T, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: install the package pebble", name)
	}
	c := exec.Command(path, args...)
	c.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
}

// A real CA (Pebble, Let's Encrypt's for tests) asks back by TLS-ALPN on the
// very listener that wants the certificate, and TURN and HTTP go on beside it.
func TestACME(t *testing.T) {
	dir := t.TempDir()
	caCert, caKey := certificate(t, dir, "the CA's own server")
	port, dns, ours := free(t), free(t), listenAt(t)
	write := func(name string, v any) string {
		t.Helper()
		b, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	config := write("pebble.json", map[string]any{"pebble": map[string]any{
		"listenAddress": fmt.Sprintf("127.0.0.1:%d", port), "managementListenAddress": fmt.Sprintf("127.0.0.1:%d", free(t)),
		"certificate": caCert, "privateKey": caKey, "httpPort": 1, "tlsPort": ours.Addr().(*net.TCPAddr).Port,
	}})
	// Every name is this machine's.
	program(t, "pebble-challtestsrv", "-dns01", fmt.Sprintf("127.0.0.1:%d", dns), "-http01", "", "-https01", "", "-tlsalpn01", "",
		"-management", fmt.Sprintf("127.0.0.1:%d", free(t)), "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "")
	program(t, "pebble", "-config", config, "-dnsserver", fmt.Sprintf("127.0.0.1:%d", dns))
	deadline := time.Now().Add(60 * time.Second)
	for { // who finds no CA asks again a minute later
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}

	secure, stop, err := FromACME(t.Context(), ACME{Hosts: []string{"oriel.example.com"}, Email: "ada@example.com", CA: caCert,
		Directory: fmt.Sprintf("https://127.0.0.1:%d/dir", port), Folder: filepath.Join(dir, "certificates"),
		TLSPort: ours.Addr().(*net.TCPAddr).Port}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	s, _ := open(t, func(o *Options) { o.TLS = secure })
	served := make(chan error, 1)
	go func() { served <- s.Serve(ours) }()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()

	// The root is Pebble's secret of this run, so the name is what is checked.
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{ServerName: "oriel.example.com", InsecureSkipVerify: true}}}
	for ; ; time.Sleep(50 * time.Millisecond) {
		res, err := client.Get("https://" + ours.Addr().String() + "/healthz")
		if err == nil {
			b, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			leaf := res.TLS.PeerCertificates[0]
			if err := leaf.VerifyHostname("oriel.example.com"); err != nil {
				t.Error(err)
			}
			if string(b) != "ok\n" || len(leaf.Issuer.CommonName) < 6 || leaf.Issuer.CommonName[:6] != "Pebble" || res.Proto != "HTTP/2.0" {
				t.Errorf("%s %q from %s", res.Proto, b, leaf.Issuer)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no certificate: %v", err)
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "certificates", "certificates", "*", "oriel.example.com", "*.key"))
	if err != nil || len(found) != 1 {
		t.Fatalf("kept: %q, %v", found, err)
	}
	if info, err := os.Stat(found[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key is kept with %v, %v", info.Mode(), err)
	}
}

func TestACMESettings(t *testing.T) {
	for _, ca := range []string{filepath.Join(t.TempDir(), "none.pem"), func() string {
		path := filepath.Join(t.TempDir(), "bad.pem")
		if err := os.WriteFile(path, []byte("no certificate"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}()} {
		if _, _, err := FromACME(t.Context(), ACME{Hosts: []string{"a.example"}, CA: ca, Folder: t.TempDir()}, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s is taken", ca)
		}
	}
}
