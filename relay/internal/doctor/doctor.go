// Package doctor examines everything that a relay needs to run with given
// settings, and says for each what is well, and what to do where it is not. It
// changes nothing, and can be asked beside a relay that runs: an address that
// is taken is well if a relay answers there.
//
//	ok    database     SQLite at /var/lib/oriel/relay.db, up to date
//	warn  certificate  runs out in 9 days; renew it
//	FAIL  bus          no answer from nats://10.0.0.7:4222; start NATS, or …
package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"oriel/installer"
	"oriel/protocol/private"
	"oriel/relay/internal/access"
	"oriel/relay/internal/blob"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/config"
	"oriel/relay/internal/node"
	"oriel/relay/internal/notify/mail"
	"oriel/relay/internal/seal"
	"oriel/relay/internal/store"
	"oriel/relay/internal/turn"
)

// Times that an examination takes at most.
const (
	answerWithin = 5 * time.Second
	renewWithin  = 14 * 24 * time.Hour
	skewAtMost   = 5 * time.Second
)

// warning is well enough to run.
type warning struct{ error }

func warn(format string, args ...any) error { return warning{fmt.Errorf(format, args...)} }

// Examine prints one line for each need to w, and reports whether a relay can
// run.
func Examine(ctx context.Context, c *config.Config, w io.Writer) bool {
	d := &doctor{c: c, public: node.PublicURL(c, c.Listen)}
	well := true
	for _, need := range []struct {
		name    string
		examine func(context.Context) (string, error)
	}{
		{"data", d.data},
		{"database", d.database},
		{"sealing", d.sealing},
		{"succession", d.succession},
		{"clock", d.clock},
		{"processor", d.processor},
		{"bus", d.bus},
		{"blobs", d.blobs},
		{"listen", d.listen},
		{"address", d.address},
		{"proxy", d.proxy},
		{"certificate", d.certificate},
		{"turn udp", d.turnUDP},
		{"turn tcp", d.turnTCP},
		{"metrics", d.metrics},
		{"mail", d.mail},
		{"downloads", d.downloads},
	} {
		ctx, cancel := context.WithTimeout(ctx, 2*answerWithin)
		text, err := need.examine(ctx)
		cancel()
		mark := "ok  "
		switch {
		case errors.As(err, &warning{}):
			mark, text = "warn", err.Error()
		case err != nil:
			mark, text, well = "FAIL", err.Error(), false
		case text == "":
			continue // not needed with these settings
		}
		fmt.Fprintf(w, "%s  %-11s  %s\n", mark, need.name, strings.ReplaceAll(text, "\n", "; "))
	}
	return well
}

type doctor struct {
	c      *config.Config
	public *url.URL
}

func (d *doctor) data(context.Context) (string, error) {
	dir := d.c.Data
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		parent := dir
		for errors.Is(err, os.ErrNotExist) && parent != filepath.Dir(parent) {
			parent = filepath.Dir(parent)
			_, err = os.Stat(parent)
		}
		if err := writable(parent); err != nil {
			return "", fmt.Errorf("%s cannot be made (%w); make it yourself and give it to the relay's user", dir, err)
		}
		return dir + " will be made", nil
	}
	if err == nil && !info.IsDir() {
		err = errors.New("it is not a folder")
	}
	if err == nil {
		err = writable(dir)
	}
	if err != nil {
		return "", fmt.Errorf("%s cannot be written to (%w); give it to the relay's user, or choose another with --data", dir, err)
	}
	if err := node.CheckState(d.c); err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", warn("%s can be entered by others on this machine; chmod 700 it", dir)
	}
	return dir, nil
}

func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// open looks at the database without changing its schema; nil: there is none yet.
func (d *doctor) open(ctx context.Context) (*store.Store, error) {
	kind, path, err := store.ParseAddress(d.c.Database)
	if err != nil {
		return nil, err
	}
	if kind == store.SQLite {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
	}
	return store.Open(ctx, d.c.Database, store.Options{NoMigrate: true, Timeout: answerWithin})
}

func (d *doctor) database(ctx context.Context) (string, error) {
	s, err := d.open(ctx)
	if err != nil {
		return "", fmt.Errorf("%w; check that it runs and that address, user and password are right", err)
	}
	if s == nil {
		return "will be made", nil
	}
	defer s.Close()
	n, err := s.Pending(ctx)
	switch {
	case err != nil:
		return "", err
	case n < 0:
		return string(s.Kind()) + ", empty; the relay will fill it", nil
	case n > 0:
		return fmt.Sprintf("%s; the relay will bring it up to date (%d steps); make a backup first", s.Kind(), n), nil
	}
	unbound, err := s.Unbound(ctx)
	switch {
	case err != nil:
		return "", err
	case unbound != "":
		return "", warn("%s, up to date, but %s", s.Kind(), unbound)
	}
	return string(s.Kind()) + ", up to date", nil
}

// sealing says where the key is that opens the relay's own keys, and whether
// it is the right one.
func (d *doctor) sealing(ctx context.Context) (string, error) {
	by := ""
	if s, err := d.open(ctx); err == nil && s != nil {
		defer s.Close()
		if n, err := s.Pending(ctx); err == nil && n == 0 { // an older database has nothing sealed
			if by, err = s.Secrets().SealedBy(ctx); err != nil {
				return "", err
			}
		}
	}
	key, place, err := seal.Find(d.c.SealingKey, d.c.Data)
	switch {
	case errors.Is(err, seal.ErrNoKey) && by == "":
		return place + " will be made", nil
	case err == nil && by != "" && by != key.ID():
		err = fmt.Errorf("%w (%s)", store.ErrOtherKey, by)
	}
	if err != nil {
		return "", node.SealingProblem(err, place, by, key)
	}
	return fmt.Sprintf("key %s is in %s; keep a copy of it, apart from the database's", key.ID(), place), nil
}

// succession asks whether the relay's signing key can be changed one day.
func (d *doctor) succession(ctx context.Context) (string, error) {
	s, err := d.open(ctx)
	if err != nil || s == nil {
		return "", nil // what is wrong was said, or there is no relay yet
	}
	defer s.Close()
	if n, err := s.Pending(ctx); err != nil || n != 0 {
		return "", nil
	}
	since, found, err := access.SigningKeyOf(ctx, s)
	switch {
	case err != nil:
		return "", err
	case !found:
		return "", warn("there is no succession key, without which the relay's signing key cannot be changed unless every computer enrolls again; make it with `oriel-relay key succession`")
	}
	return fmt.Sprintf("the relay's signing key, of %s, can be changed with the succession key; computers that follow then refuse a relay that is restored from an older back-up",
		since.UTC().Format(time.DateOnly)), nil
}

// clock is compared with the database's, where that is another machine.
func (d *doctor) clock(ctx context.Context) (string, error) {
	now := time.Now()
	if now.Year() < 2026 {
		return "", fmt.Errorf("it shows %s; set it, grants and certificates depend on it", now.Format(time.DateOnly))
	}
	s, err := d.open(ctx)
	if err != nil || s == nil {
		return now.UTC().Format(time.RFC3339), nil // what is wrong with the database was said
	}
	defer s.Close()
	theirs, err := s.Now(ctx)
	if err != nil {
		return "", fmt.Errorf("ask the database for the time: %w", err)
	}
	if skew := time.Since(theirs).Abs(); skew > skewAtMost {
		return "", warn("it differs from the database's by %s; let both be set by NTP", skew.Round(time.Second))
	}
	return now.UTC().Format(time.RFC3339), nil
}

func (d *doctor) bus(ctx context.Context) (string, error) {
	if d.c.NATS == "" {
		return "embedded", nil
	}
	until := time.After(answerWithin)
	b, err := bus.Open(ctx, bus.Options{URL: d.c.NATS, Name: "doctor"})
	if err != nil {
		return "", fmt.Errorf("%w; check the setting nats", err)
	}
	defer b.Close()
	for b.Healthy() != nil {
		select {
		case <-until:
			return "", errors.New("no answer from the NATS server; check that it runs, and the address, user and password in the setting nats")
		case <-time.After(50 * time.Millisecond):
		}
	}
	return "the NATS server answers", nil
}

func (d *doctor) blobs(ctx context.Context) (string, error) {
	if d.c.Blobs == "" {
		return "a folder in the data folder", nil
	}
	b, err := blob.Open(ctx, d.c.Blobs, "")
	if err == nil {
		defer b.Close()
		err = b.Check(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("%w; check the setting blobs and the rights of the relay's user", err)
	}
	return "the store answers", nil
}

// ours reports whether a relay answers at the address listened on.
func (d *doctor) ours(ctx context.Context, address string, secure bool) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	if secure {
		scheme = "https"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		return false
	}
	// Whose certificate it is, is another question.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: d.public.Hostname()}, DisableKeepAlives: true}
	res, err := (&http.Client{Transport: transport, Timeout: answerWithin}).Do(r)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 16))
	return err == nil && string(b) == "ok\n" && res.Header.Get("X-Request-Id") != ""
}

func (d *doctor) listen(ctx context.Context) (string, error) {
	l, err := net.Listen("tcp", d.c.Listen)
	if err == nil {
		return d.c.Listen + " is free", l.Close()
	}
	if d.ours(ctx, d.c.Listen, d.c.TLS.On()) {
		return d.c.Listen + ": a relay runs here", nil
	}
	return "", fmt.Errorf("%w; stop what listens there, or choose another with --listen (ports below 1024 need the right to bind them)", err)
}

func (d *doctor) metrics(context.Context) (string, error) {
	if d.c.MetricsListen == "" {
		return "", nil
	}
	l, err := net.Listen("tcp", d.c.MetricsListen)
	if err != nil {
		res, err2 := (&http.Client{Timeout: answerWithin}).Get("http://" + d.c.MetricsListen + "/metrics")
		if err2 != nil {
			return "", fmt.Errorf("%w; choose another with --metrics-listen", err)
		}
		return d.c.MetricsListen + ": metrics are served", res.Body.Close()
	}
	return d.c.MetricsListen + " is free", l.Close()
}

// mail asks the mail server whether it would take mails.
func (d *doctor) mail(ctx context.Context) (string, error) {
	if !d.c.SMTP.On() {
		return "none is sent: admins hand links over themselves; set smtp-host and smtp-from to change that", nil
	}
	return mail.Check(ctx, mail.Server(d.c.SMTP), d.public.Hostname())
}

func (d *doctor) address(ctx context.Context) (string, error) {
	host := d.public.Hostname()
	if net.ParseIP(host) != nil {
		return d.public.String(), nil
	}
	found, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return "", fmt.Errorf("%s is not found in DNS (%w); make a record for it, or correct the setting public-url", host, err)
	}
	return fmt.Sprintf("%s is %s", d.public, strings.Join(found, ", ")), nil
}

// proxy asks the relay at its public address whether the question came through
// a proxy that it does not trust.
func (d *doctor) proxy(ctx context.Context) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.public.JoinPath("healthz").String(), nil)
	if err != nil {
		return "", err
	}
	// Whose certificate it is, is another question.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	res, err := (&http.Client{Transport: transport, Timeout: answerWithin}).Do(r)
	if err != nil {
		return "", nil // no relay runs there yet
	}
	_ = res.Body.Close()
	switch {
	case res.Header.Get("X-Oriel-Proxy") != "":
		return "", warn("one in front of %s is not trusted, so that everybody behind it counts as one address; name it in the setting trusted-proxies (the relay's log has its address)", d.public)
	case len(d.c.TrustedProxies) > 0:
		return "trusted, or none on the way from here", nil
	}
	return "", nil
}

func (d *doctor) certificate(context.Context) (string, error) {
	t := d.c.TLS
	switch {
	case len(t.ACME.Hosts) > 0:
		if _, port, _ := net.SplitHostPort(d.c.Listen); port != "443" {
			return "", warn("comes by ACME, whose question arrives on port 443; forward that to %s", d.c.Listen)
		}
		return "comes by ACME for " + strings.Join(t.ACME.Hosts, ", "), nil
	case t.Cert == "" && d.public.Scheme == "https":
		return "is the proxy's", nil
	case t.Cert == "":
		if ip := net.ParseIP(d.public.Hostname()); d.public.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
			return "", nil
		}
		return "", warn("none: passwords and pictures' keys travel in the clear; set tls-cert and tls-key, or acme-hosts")
	}
	if err := private.CheckGiven(t.Key); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return "", fmt.Errorf("%w; tls-cert wants the chain and tls-key its key, both PEM", err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return "", fmt.Errorf("%s: %w", t.Cert, err)
	}
	left := time.Until(leaf.NotAfter)
	switch {
	case left < 0:
		return "", fmt.Errorf("ran out on %s; renew it", leaf.NotAfter.Format(time.DateOnly))
	case time.Now().Before(leaf.NotBefore):
		return "", fmt.Errorf("is good from %s on only; check the clock", leaf.NotBefore.Format(time.DateOnly))
	}
	if err := leaf.VerifyHostname(d.public.Hostname()); err != nil {
		return "", fmt.Errorf("is not for %s (%w); get one that is, or correct the setting public-url", d.public.Hostname(), err)
	}
	if left < renewWithin {
		return "", warn("runs out in %d days; renew it (it is read again without a restart)", int(left.Hours()/24))
	}
	return fmt.Sprintf("for %s, until %s", d.public.Hostname(), leaf.NotAfter.Format(time.DateOnly)), nil
}

func (d *doctor) turnUDP(context.Context) (string, error) {
	return d.turn("udp", d.c.TURN.UDP, turn.Options{UDP: d.c.TURN.UDP})
}

func (d *doctor) turnTCP(context.Context) (string, error) {
	return d.turn("tcp", d.c.TURN.TCP, turn.Options{TCP: d.c.TURN.TCP})
}

// turn starts a server for a moment, or hears whether one answers.
func (d *doctor) turn(network, address string, o turn.Options) (string, error) {
	if address == "" {
		return "", warn("off: who finds no direct way over %s has one way less", network)
	}
	o.Secret = make([]byte, 32)
	o.PublicAddress, o.MinPort, o.MaxPort, o.AllowPeers = d.c.TURN.PublicAddress, d.c.TURN.MinPort, d.c.TURN.MaxPort, d.c.TURN.AllowPeers
	s, err := turn.Start(o)
	if err == nil {
		text := address + " is free"
		if given, asked := s.Buffer(); given != 0 && given < asked {
			text += fmt.Sprintf("; its buffers are %d kB, for many sessions at once allow more: sysctl net.core.rmem_max=%d", given>>10, asked)
		}
		return text, s.Close()
	}
	if answersSTUN(network, address) {
		return address + ": STUN answers here", nil
	}
	return "", fmt.Errorf("%w; choose another with --turn-%s", err, network)
}

// answersSTUN sends a binding request (RFC 8489) and waits for its answer.
func answersSTUN(network, address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	c, err := net.DialTimeout(network, net.JoinHostPort(host, port), answerWithin)
	if err != nil {
		return false
	}
	defer c.Close()
	request := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, "oriel-doctor"...)
	answer := make([]byte, 20)
	_ = c.SetDeadline(time.Now().Add(answerWithin / 2))
	if _, err := c.Write(request); err != nil {
		return false
	}
	n, err := io.ReadAtLeast(c, answer, len(answer))
	return err == nil && n == len(answer) && answer[0] == 1 && answer[1] == 1 && string(answer[8:20]) == "oriel-doctor"
}

func (d *doctor) downloads(context.Context) (string, error) {
	m, err := installer.Load(d.c.Downloads)
	switch {
	case errors.Is(err, installer.ErrNoRelease):
		return "", warn("none: the console has no packages of the agent to offer; put a release into %s", d.c.Downloads)
	case err != nil:
		return "", err
	}
	for _, f := range m.Files {
		info, err := os.Stat(filepath.Join(d.c.Downloads, f.Name))
		if err != nil || info.Size() != f.Size {
			return "", fmt.Errorf("%s is not the file that the manifest lists; copy the release again", f.Name)
		}
	}
	return fmt.Sprintf("release %s, %d files", m.Version, len(m.Files)), nil
}
