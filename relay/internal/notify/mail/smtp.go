package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	netmail "net/mail"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
	"golang.org/x/net/idna"

	"oriel/protocol/sanitize"
)

// Values of Server.TLS.
const (
	StartTLS    = "starttls"
	ImplicitTLS = "tls"
	NoTLS       = "none"
)

// Bounds of what is heard from a mail server.
const (
	connectWithin = 15 * time.Second
	sendWithin    = 60 * time.Second
	maxAnswers    = 1 << 20 // bytes of a whole connection
	maxSentence   = 300     // that is kept
)

// Server takes this relay's mail.
type Server struct {
	Host     string
	Port     int
	TLS      string // StartTLS, ImplicitTLS, NoTLS
	CA       string // file with the root of its certificate; empty: the system's
	User     string // empty: without authentication
	Password string
	From     string // address
	FromName string
}

// Errors of connect, behind a sentence that is fit for an organization's admin.
var (
	errAway    = errors.New("the mail server cannot be reached")
	errNoTLS   = errors.New("the mail server cannot be spoken to safely")
	errSignIn  = errors.New("the mail server refuses the relay's sign-in")
	errNoWords = errors.New("the mail server does not answer as one")
)

// session is a connection on which mails are sent one after the other.
type session struct {
	client *smtp.Client
	conn   net.Conn
}

// connect greets the server as helo, by TLS and signed in where that is set. It ends
// with ctx. Errors: errAway, errNoTLS, errNoWords, errSignIn, each with what happened.
func (s Server) connect(ctx context.Context, helo string) (_ *session, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAway, err)
	}
	// The deadline of ctx, and its end.
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	defer func() {
		if err != nil {
			_ = raw.Close()
		}
	}()
	config, err := s.tlsConfig()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoTLS, err)
	}
	var conn net.Conn = &boundedConn{Conn: raw, left: maxAnswers}
	if s.TLS == ImplicitTLS {
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoTLS, err)
		}
		conn = secure
	}
	client, err := newClient(conn, s.Host, helo)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoWords, err)
	}
	if s.TLS == StartTLS {
		if offered, _ := client.Extension("STARTTLS"); !offered {
			return nil, fmt.Errorf("%w: it does not offer STARTTLS", errNoTLS)
		}
		if err := client.StartTLS(config); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoTLS, err)
		}
	}
	if s.User != "" {
		if err := s.signIn(client); err != nil {
			return nil, fmt.Errorf("%w: %w", errSignIn, err)
		}
	}
	return &session{client, raw}, nil
}

func newClient(conn net.Conn, host, helo string) (*smtp.Client, error) {
	client, err := smtp.NewClient(conn, host)
	if err == nil {
		err = client.Hello(helo)
	}
	return client, err
}

// signIn takes the best of what the server offers. The library refuses to send a
// password where there is no TLS, but to loopback.
func (s Server) signIn(client *smtp.Client) error {
	_, offered := client.Extension("AUTH")
	for _, one := range []struct {
		name string
		auth smtp.Auth
	}{
		{"SCRAM-SHA-256", smtp.ScramSHA256Auth(s.User, s.Password)},
		{"SCRAM-SHA-1", smtp.ScramSHA1Auth(s.User, s.Password)},
		{"PLAIN", smtp.PlainAuth("", s.User, s.Password, s.Host, false)},
		{"LOGIN", smtp.LoginAuth(s.User, s.Password, s.Host, false)},
	} {
		if slices.Contains(strings.Fields(offered), one.name) {
			return client.Auth(one.auth)
		}
	}
	return fmt.Errorf("it offers no way that the relay knows: %q", sanitize.Line(offered, maxSentence))
}

func (s Server) tlsConfig() (*tls.Config, error) {
	c := &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12}
	if s.CA == "" {
		return c, nil
	}
	f, err := os.Open(s.CA)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	pem, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil, err
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in it", s.CA)
	}
	return c, nil
}

// send hands one message over. Errors: *textproto.Error is the server's answer, and
// the session is good for the next mail; after any other it is not.
func (s *session) send(ctx context.Context, from, to string, message []byte) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	if err := s.client.UpdateDeadline(sendWithin); err != nil {
		return err
	}
	s.client.SkipSMTPUTF8(ascii(to)) // servers further on may not know it
	err := s.client.Mail("<" + from + ">")
	if err == nil {
		err = s.client.Rcpt("<" + to + ">")
	}
	if err == nil {
		err = s.data(message)
	}
	var said *textproto.Error
	if errors.As(err, &said) && said.Code != 421 {
		if reset := s.client.Reset(); reset != nil {
			_ = s.conn.Close() // the next mail finds it closed
		}
	}
	return err
}

func (s *session) data(message []byte) error {
	w, err := s.client.Data()
	if err != nil {
		return err
	}
	// A writer that is closed has the server take what is there: not after an error.
	if _, err := w.Write(message); err != nil {
		return err
	}
	return w.Close()
}

func (s *session) close() {
	if s == nil {
		return
	}
	_ = s.client.UpdateDeadline(time.Second)
	_ = s.client.Quit()
	_ = s.conn.Close()
}

// headers of a message besides its address and its words.
type headers struct {
	id, language string
	date         time.Time
}

// compose is the whole message as it goes over the wire.
func (s Server) compose(h headers, to string, what rendered) ([]byte, error) {
	_, domain, _ := cutLast(s.From, "@")
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithCharset(gomail.CharsetUTF8), gomail.WithEncoding(gomail.EncodingQP))
	m.FromMailAddress(&netmail.Address{Name: s.FromName, Address: s.From})
	m.ToMailAddress(&netmail.Address{Address: to})
	m.Subject(what.subject)
	m.SetDateWithValue(h.date)
	m.SetMessageIDWithValue(h.id + "@" + domain)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no absence notes, please
	m.SetGenHeader("Content-Language", h.language)
	m.SetBodyString(gomail.TypeTextPlain, what.text)
	m.AddAlternativeString(gomail.TypeTextHTML, what.html)
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("write a mail: %w", err)
	}
	return b.Bytes(), nil
}

// sentence is what the server said, fit to be kept and shown.
func sentence(e *textproto.Error) string {
	return sanitize.Line(fmt.Sprintf("%03d %s", e.Code, e.Msg), maxSentence)
}

// Check connects as the relay does and says how, or what to do. It sends nothing.
func Check(ctx context.Context, s Server, host string) (string, error) {
	c, err := s.connect(ctx, greeting(host))
	said := sanitize.Line(fmt.Sprint(err), 2*maxSentence) // the server's words may be in it
	place := net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	switch {
	case errors.Is(err, errAway):
		return "", fmt.Errorf("%s does not answer (%s); check smtp-host and smtp-port, and that no firewall is between", place, said)
	case errors.Is(err, errNoTLS) && s.TLS == StartTLS:
		return "", fmt.Errorf("%s: no TLS by STARTTLS (%s); check its certificate and smtp-ca, or try smtp-tls=tls", place, said)
	case errors.Is(err, errNoTLS):
		return "", fmt.Errorf("%s: no TLS (%s); check its certificate and smtp-ca, or try smtp-tls=starttls", place, said)
	case errors.Is(err, errSignIn):
		return "", fmt.Errorf("%s: no sign-in (%s); check smtp-user and the password", place, said)
	case err != nil:
		return "", fmt.Errorf("%s: %s; check that a mail server listens there, and smtp-tls", place, said)
	}
	c.close()
	text := place + " takes mail"
	if s.TLS == NoTLS {
		text += ", without TLS"
	} else {
		text += " over TLS"
	}
	if s.User != "" {
		text += ", signed in as " + s.User
	}
	return text, nil
}

// greeting is what the relay calls itself: the name or address of its public URL.
func greeting(host string) string {
	a := net.ParseIP(host)
	switch {
	case a == nil:
		if name, err := idna.Lookup.ToASCII(host); err == nil && name != "" {
			return name
		}
		return "localhost"
	case a.To4() != nil:
		return "[" + a.String() + "]"
	}
	return "[IPv6:" + a.String() + "]"
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f })
}

// boundedConn breaks when the other side says too much.
type boundedConn struct {
	net.Conn
	left int
}

func (c *boundedConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("the mail server says too much")
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}
