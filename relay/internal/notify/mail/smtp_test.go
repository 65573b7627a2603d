package mail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"oriel/relay/internal/notify/mailtest"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: mails go over TLS as the settings say, to a server whose certificate is good,
// signed in; where something is wrong nothing goes out and doctor says what.
func TestWaysToTheServer(t *testing.T) {
	for _, tls := range []string{StartTLS, ImplicitTLS, NoTLS} {
		t.Run(tls, func(t *testing.T) {
			o := mailtest.Options{TLS: tls, User: "relay", Password: "s3cret-pass"}
			if tls == NoTLS {
				o.TLS = ""
			}
			pit := mailtest.Start(t, o)
			good := serverOf(pit)
			good.TLS, good.User, good.Password = tls, o.User, o.Password
			s := storetest.Open(t, storetest.SQLite(t))
			m := mailer(t, s, good, newClock())
			stop := run(t, m)
			change(t, m, "ann@example.com", PasswordChanged{At: m.o.Now()})
			pit.Wait(1)
			stop()
			said, err := Check(t.Context(), good, "relay.example")
			if err != nil || !strings.Contains(said, "signed in as relay") || strings.Contains(said, "without TLS") != (tls == NoTLS) {
				t.Errorf("doctor: %q, %v", said, err)
			}

			type wrong struct {
				what   string
				make   func(*Server)
				public error
				says   string
			}
			all := []wrong{
				{"another password", func(s *Server) { s.Password = "another" }, errSignIn, "check smtp-user and the password"},
				{"another port", func(s *Server) { s.Port = closedPort(t) }, errAway, "check smtp-host and smtp-port"},
			}
			if tls != NoTLS {
				all = append(all,
					wrong{"a certificate of nobody", func(s *Server) { s.CA = "" }, errNoTLS, "check its certificate and smtp-ca"},
					wrong{"another name", func(s *Server) { s.Host = "localhost" }, errNoTLS, "check its certificate and smtp-ca"})
			} else {
				all = append(all, wrong{"no STARTTLS", func(s *Server) { s.TLS = StartTLS }, errNoTLS, "does not offer STARTTLS"},
					wrong{"no TLS", func(s *Server) { s.TLS = ImplicitTLS }, errNoTLS, "no TLS"})
			}
			for _, w := range all {
				server := good
				w.make(&server)
				_, err := Check(t.Context(), server, "relay.example")
				if err == nil || !strings.Contains(err.Error(), w.says) || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("%s: doctor: %v", w.what, err)
				}
				m := mailer(t, s, server, newClock())
				stop := run(t, m)
				mail := change(t, m, "bob@example.com", PasswordChanged{At: m.o.Now()})
				until(t, "a try that fails: "+w.what, func() bool { return row(t, s, mail.ID).LastError != "" })
				if r := row(t, s, mail.ID); r.State != store.MailQueued || r.LastError != w.public.Error() {
					t.Errorf("%s: %+v", w.what, r)
				}
				stop()
			}
			if n := len(pit.Messages()); n != 1 {
				t.Errorf("%d mails went out", n)
			}
		})
	}
}

func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// hostile is a mail server of ours that answers with what is said to it, line by line.
func hostile(t *testing.T, answer func(line string) string) Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			in := bufio.NewReader(c)
			_, err = fmt.Fprint(c, answer(""))
			data := false
			for err == nil {
				var line string
				if line, err = in.ReadString('\n'); err != nil {
					break
				}
				line = strings.TrimSpace(line)
				if data = data && line != "."; data {
					continue
				}
				text := answer(line)
				if text == "" {
					break
				}
				data = line == "DATA" && strings.HasPrefix(text, "354")
				_, err = fmt.Fprint(c, text)
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return Server{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, TLS: NoTLS, From: "oriel@relay.example", FromName: "Oriel"}
}

// polite answers as a server does that takes everything.
func polite(line string) string {
	switch {
	case line == "":
		return "220 here\r\n"
	case line == "DATA":
		return "354 go on\r\n"
	case line == "QUIT":
		return "221 bye\r\n"
	}
	return "250 yes\r\n"
}

// Rule: what a mail server says is bounded, and plain before it is kept: it is shown to
// people.
func TestAHostileMailServer(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	one := func(server Server) store.Mail {
		m := mailer(t, s, server, newClock())
		stop := run(t, m)
		defer stop()
		mail := change(t, m, fmt.Sprintf("p%d@example.com", server.Port), PasswordChanged{At: m.o.Now()})
		until(t, "a try", func() bool { r := row(t, s, mail.ID); return r.LastError != "" || r.State != store.MailQueued })
		return row(t, s, mail.ID)
	}
	r := one(hostile(t, func(line string) string {
		if strings.HasPrefix(line, "RCPT") {
			return "550-<script>\x1b[31m\u202e\x07" + strings.Repeat("x", 2000) + "\r\n550 end\r\n"
		}
		return polite(line)
	}))
	if r.State != store.MailBounced || len(r.LastError) > maxSentence || strings.ContainsAny(r.LastError, "\x1b\x07\u202e\r\n") || !strings.HasPrefix(r.LastError, "550 <script>") {
		t.Errorf("%s %q", r.State, r.LastError)
	}
	endless := strings.Repeat("250-"+strings.Repeat("x", 1000)+"\r\n", 3000)
	if r := one(hostile(t, func(line string) string {
		if strings.HasPrefix(line, "EHLO") {
			return endless
		}
		return polite(line)
	})); r.State != store.MailQueued || r.LastError != errNoWords.Error() {
		t.Errorf("%s %q", r.State, r.LastError)
	}
	for what, answer := range map[string]func(string) string{
		"it is no mail server": func(string) string { return "HTTP/1.1 400 Bad Request\r\n\r\n" },
		"it hangs up":          func(string) string { return "" },
		"it refuses the relay": func(string) string { return "554 go away\r\n" },
		"it hangs up in between": func(line string) string {
			if line == "." {
				return ""
			}
			return polite(line)
		},
	} {
		if r := one(hostile(t, answer)); r.State != store.MailQueued || r.LastError != errNoWords.Error() {
			t.Errorf("%s: %s %q", what, r.State, r.LastError)
		}
	}
	if r := one(hostile(t, func(line string) string {
		if line == "." {
			return "554 5.7.1 spam\r\n"
		}
		return polite(line)
	})); r.State != store.MailBounced || r.LastError != "554 5.7.1 spam" {
		t.Errorf("%s %q", r.State, r.LastError)
	}
	if r := one(hostile(t, func(line string) string {
		if strings.HasPrefix(line, "MAIL") {
			return "421 shutting down\r\n"
		}
		return polite(line)
	})); r.State != store.MailQueued || r.LastError != "421 shutting down" {
		t.Errorf("%s %q", r.State, r.LastError)
	}
}

// Rule: who stops the relay does not wait long for a mail server that says nothing, and
// the mail waits for another time.
func TestASilentMailServer(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	asked := make(chan struct{}, 1)
	block := make(chan struct{})
	server := hostile(t, func(line string) string {
		if strings.HasPrefix(line, "RCPT") {
			asked <- struct{}{}
			<-block
			return ""
		}
		return polite(line)
	})
	defer close(block)
	m := mailer(t, s, server, newClock())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	mail := change(t, m, "ann@example.com", PasswordChanged{At: m.o.Now()})
	<-asked
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for the mail server")
	}
	if r := row(t, s, mail.ID); r.State != store.MailQueued || r.LastError == "" || r.HeldUntil != 0 {
		t.Errorf("%+v", r)
	}
}

// Rule: a password is not sent where others can read it.
func TestNoPasswordWithoutTLS(t *testing.T) {
	heard := make(chan string, 99)
	server := hostile(t, func(line string) string {
		heard <- line
		if strings.HasPrefix(line, "EHLO") {
			return "250-here\r\n250 AUTH PLAIN LOGIN\r\n"
		}
		return polite(line)
	})
	server.User, server.Password = "relay", "s3cret"
	// As if it were elsewhere: a name that the library does not take for this machine.
	raw, err := net.Dial("tcp", net.JoinHostPort(server.Host, fmt.Sprint(server.Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	elsewhere := server
	elsewhere.Host = "mail.example.com"
	client, err := newClient(raw, elsewhere.Host, "relay.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := elsewhere.signIn(client); err == nil || errors.Is(err, errSignIn) {
		t.Errorf("it signs in: %v", err)
	}
	// The library says goodbye, which is heard last.
	for line := ""; line != "QUIT"; {
		if line = <-heard; strings.HasPrefix(line, "AUTH") {
			t.Errorf("it heard %q", line)
		}
	}
}
