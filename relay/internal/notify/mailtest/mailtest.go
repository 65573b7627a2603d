// Package mailtest is a real mail server for tests: mailpit, as .ci/mailpit builds it,
// on two ports of 127.0.0.1. It can go away and come back at the same place. It is
// only imported by tests.
package mailtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Options of Start. The zero value takes everything, without TLS.
type Options struct {
	TLS            string // "starttls" or "tls": nothing is taken without
	User, Password string // empty: nobody signs in
	Accept         string // regular expression of recipients; others are refused with 550
}

// Server is one mailpit.
type Server struct {
	Host string
	Port int
	CA   string // file with the certificate of its TLS

	t       testing.TB
	http    string
	args    []string
	running *exec.Cmd
	pipe    io.Closer
	log     *bytes.Buffer
}

// Start starts a server that ends with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{Host: "127.0.0.1", t: t}
	smtp, web := free(t), free(t)
	s.Port, s.http = smtp, fmt.Sprintf("http://127.0.0.1:%d", web)
	dir := t.TempDir()
	s.args = []string{"--smtp", fmt.Sprintf("127.0.0.1:%d", smtp), "--listen", fmt.Sprintf("127.0.0.1:%d", web), "--database", filepath.Join(dir, "mails.db"),
		"--disable-version-check", "--smtp-disable-rdns", "--enable-chaos"}
	if o.TLS != "" {
		var key string
		s.CA, key = certificate(t, dir)
		s.args = append(s.args, "--smtp-tls-cert", s.CA, "--smtp-tls-key", key, map[string]string{"starttls": "--smtp-require-starttls", "tls": "--smtp-require-tls"}[o.TLS])
	}
	if o.User != "" {
		file := filepath.Join(dir, "users")
		if err := os.WriteFile(file, []byte(o.User+":"+o.Password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.args = append(s.args, "--smtp-auth-file", file)
		if o.TLS == "" {
			s.args = append(s.args, "--smtp-auth-allow-insecure")
		}
	}
	if o.Accept != "" {
		s.args = append(s.args, "--smtp-allowed-recipients", o.Accept)
	}
	t.Cleanup(s.Stop)
	s.Start()
	return s
}

// guard ends the server with the process that holds the other end of its input.
const guard = `"$@" & pid=$!; read -r _; kill -9 $pid; wait $pid 2>/dev/null`

// Start starts a server that was stopped, where it was, with the mails it had.
func (s *Server) Start() {
	s.t.Helper()
	program, err := binary()
	if err != nil {
		s.t.Fatalf("build mailpit: %v", err)
	}
	s.log = &bytes.Buffer{}
	s.running = exec.Command("/bin/sh", append([]string{"-c", guard, "sh", program}, s.args...)...)
	s.running.Stdout, s.running.Stderr = s.log, s.log
	if s.pipe, err = s.running.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.running.Start(); err != nil {
		s.t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(s.Host, fmt.Sprint(s.Port)), time.Second)
		if err == nil {
			_ = c.Close()
			if _, err = s.get("/readyz"); err == nil {
				return
			}
		}
		if time.Now().After(deadline) {
			s.Stop()
			s.t.Fatalf("mailpit does not answer: %v\n%s", err, s.log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Stop ends the server at once.
func (s *Server) Stop() {
	if s.running == nil {
		return
	}
	_ = s.pipe.Close()
	_ = s.running.Wait()
	s.running = nil
}

// Refuse has every recipient refused with that code; 0: none is.
func (s *Server) Refuse(code int) {
	s.t.Helper()
	probability := 100
	if code == 0 {
		code, probability = 451, 0
	}
	body := fmt.Sprintf(`{"Recipient":{"ErrorCode":%d,"Probability":%d}}`, code, probability)
	r, err := http.NewRequest(http.MethodPut, s.http+"/api/v1/chaos", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := ask(r); err != nil {
		s.t.Fatal(err)
	}
}

// Message is one that the server took.
type Message struct {
	ID      string
	Subject string
	To      []mail.Address
	From    mail.Address
	Text    string
	HTML    string
	Raw     []byte
}

// Messages are all that the server has, the oldest first.
func (s *Server) Messages() []Message {
	s.t.Helper()
	var list struct {
		Messages []struct{ ID string } `json:"messages"`
	}
	s.read("/api/v1/messages?limit=500", &list)
	all := make([]Message, 0, len(list.Messages))
	for i := len(list.Messages) - 1; i >= 0; i-- {
		var m Message
		s.read("/api/v1/message/"+list.Messages[i].ID, &m)
		raw, err := s.get("/api/v1/message/" + m.ID + "/raw")
		if err != nil {
			s.t.Fatal(err)
		}
		m.Raw = raw
		all = append(all, m)
	}
	return all
}

// Wait is Messages, when there are so many.
func (s *Server) Wait(n int) []Message {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		var list struct {
			Total int `json:"total"`
		}
		s.read("/api/v1/messages?limit=1", &list)
		if list.Total >= n {
			return s.Messages()
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d mails came, want %d\n%s", list.Total, n, s.log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s *Server) read(path string, into any) {
	s.t.Helper()
	b, err := s.get(path)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
}

func (s *Server) get(path string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodGet, s.http+path, nil)
	if err != nil {
		return nil, err
	}
	return ask(r)
}

func ask(r *http.Request) ([]byte, error) {
	// Without connections that stay: the tests look for leaked goroutines.
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, b)
	}
	return b, err
}

// binary is where mailpit is; it is built where it is not there.
func binary() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		script := filepath.Join(dir, ".ci", "mailpit")
		if _, err := os.Stat(script); err == nil {
			cmd := exec.Command(script)
			var said bytes.Buffer
			cmd.Stderr = &said
			out, err := cmd.Output()
			if err != nil {
				return "", fmt.Errorf("%w: %s", err, &said)
			}
			return strings.TrimSpace(string(out)), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no .ci/mailpit above %s", dir)
		}
		dir = filepath.Dir(dir)
	}
}

// free is a port that nobody listens on now.
func free(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func certificate(t testing.TB, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
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
