package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oriel/relay/internal/notify/mailtest"
	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const first = store.FirstOrganization

// clock is a time that tests move on.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClock() *clock { return &clock{now: time.Date(2026, 12, 7, 15, 4, 5, 0, time.UTC)} }

// serverOf is mailpit as settings name it.
func serverOf(s *mailtest.Server) Server {
	return Server{Host: s.Host, Port: s.Port, TLS: NoTLS, CA: s.CA, From: "oriel@relay.example", FromName: "Oriel of Köln"}
}

var relayURL, _ = url.Parse("https://relay.example")

func mailer(t *testing.T, s *store.Store, server Server, c *clock) *Mailer {
	t.Helper()
	return New(Options{Store: s, Server: server, PublicURL: relayURL, Name: "Oriel", Now: c.read, Poll: 10 * time.Millisecond, Pace: time.Nanosecond,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
}

// run runs m until stop is called, or the test ends.
func run(t *testing.T, m *Mailer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := m.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

func until(t *testing.T, what string, fn func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !fn() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func invitation(until time.Time) MemberInvited {
	return MemberInvited{Link: "https://relay.example/invitation#s3cret", By: "Olivia Öwner", Organization: "Müller & Söhne <GmbH>", Until: until}
}

// change records something that carries the mail.
func change(t *testing.T, m *Mailer, to string, what Message) store.Mail {
	t.Helper()
	mail, err := m.Compose(To{Address: to}, what)
	if err != nil {
		t.Fatal(err)
	}
	e := store.Entry{ActorKind: "person", Action: "test.done", Outcome: store.Done}
	if err := m.o.Store.Audit(first).Record(t.Context(), e.Sending(mail)); err != nil {
		t.Fatal(err)
	}
	return mail
}

func row(t *testing.T, s *store.Store, id string) store.Mail {
	t.Helper()
	all, err := s.Mails(first).Page(t.Context(), store.MailFilter{}, 99)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(m store.Mail) bool { return m.ID == id })
	if i < 0 {
		t.Fatal("no such mail")
	}
	return all[i]
}

// parsed is a message as a mail program reads it, by the standard library alone.
type parsed struct {
	header     netmail.Header
	text, html string
}

func parse(t *testing.T, raw []byte) parsed {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("%s, %v in\n%s", kind, err, raw)
	}
	p := parsed{header: m.Header}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for _, want := range []struct {
		kind string
		to   *string
	}{{"text/plain", &p.text}, {"text/html", &p.html}} { // the best last (RFC 2046)
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		kind, params, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil || kind != want.kind || !strings.EqualFold(params["charset"], "UTF-8") || part.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			t.Fatalf("part %v, %v", part.Header, err)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		*want.to = strings.ReplaceAll(string(b), "\r\n", "\n")
	}
	if _, err := parts.NextRawPart(); !errors.Is(err, io.EOF) {
		t.Errorf("more than two parts: %v", err)
	}
	for line := range bytes.Lines(raw) {
		if len(line) > 78 || !bytes.HasSuffix(line, []byte("\r\n")) || slices.ContainsFunc(line, func(b byte) bool { return b > 126 }) {
			t.Errorf("line %q", line)
		}
	}
	return p
}

var (
	noShow = regexp.MustCompile(`(?s)<head>.*</head>|<!doctype html>`)
	tags   = regexp.MustCompile(`(?s)<[^>]*>`)
)

// wordsOfHTML is what a person reads.
func wordsOfHTML(s string) []string {
	return strings.Fields(html.UnescapeString(tags.ReplaceAllString(noShow.ReplaceAllString(s, " "), " ")))
}

// Rule: each kind of mail has a plain and an HTML part that say the same, in
// quoted-printable, and whatever it needs is in it: nothing is loaded from elsewhere.
func TestBothPartsSayTheSame(t *testing.T) {
	pit := mailtest.Start(t, mailtest.Options{})
	s := storetest.Open(t, storetest.SQLite(t))
	c := newClock()
	m := mailer(t, s, serverOf(pit), c)
	run(t, m)
	week := c.read().Add(7 * 24 * time.Hour)
	kinds := map[Kind]Message{
		MemberInvitedKind: invitation(week), SignUpConfirmKind: SignUpConfirm{Link: "https://relay.example/sign-up#s3cret", Until: week},
		EmailConfirmKind: EmailConfirm{Link: "https://relay.example/email#s3cret", Until: week}, PasswordChangedKind: PasswordChanged{At: c.read(), From: "192.0.2.7"},
		SignUpKnownKind: SignUpKnown{Link: "https://relay.example/sign-in"}, EmailKnownKind: EmailKnown{},
		EmailRemovedKind: EmailRemoved{At: c.read(), From: "192.0.2.7"},
	}
	if len(kinds) != len(kindsOf(t, Fallback)) {
		t.Errorf("words for %v", kindsOf(t, Fallback))
	}
	queued := map[string]Kind{}
	for kind, what := range kinds {
		queued[change(t, m, "ann@example.com", what).ID] = kind
	}
	for _, got := range pit.Wait(len(kinds)) {
		p := parse(t, got.Raw)
		id := strings.TrimPrefix(strings.TrimSuffix(p.header.Get("Message-Id"), "@relay.example>"), "<")
		what := kinds[queued[id]]
		if what == nil {
			t.Fatalf("Message-Id %q", p.header.Get("Message-Id"))
		}
		plain := strings.Fields(strings.Replace(p.text, "\n-- \n", "\n", 1))
		if rich := wordsOfHTML(p.html); !slices.Equal(plain, rich) {
			t.Errorf("%s:\n%q\n%q", what.kind(), plain, rich)
		}
		if link := what.link(); link != "" && (!strings.Contains(p.text, "\n"+link+"\n") || strings.Count(p.html, `href="`+link+`"`) != 2) {
			t.Errorf("%s: no link in\n%s\n%s", what.kind(), p.text, p.html)
		} else if link == "" && strings.Contains(p.html+p.text, "http") {
			t.Errorf("%s has a link: %s", what.kind(), p.html)
		}
		if loaded := regexp.MustCompile(`(?i)<img|<link|<script|@import|url\(|src=`).FindString(p.html); loaded != "" {
			t.Errorf("%s loads %s", what.kind(), loaded)
		}
		if strings.Contains(p.text+p.html, "<no value>") || strings.Contains(p.text, "{{") {
			t.Errorf("%s says %s", what.kind(), p.text)
		}
		from, err := netmail.ParseAddress(p.header.Get("From"))
		if err != nil || from.Name != "Oriel of Köln" || from.Address != "oriel@relay.example" || p.header.Get("To") != "<ann@example.com>" ||
			p.header.Get("Auto-Submitted") != "auto-generated" || p.header.Get("Content-Language") != "en" || p.header.Get("Mime-Version") != "1.0" {
			t.Errorf("%v, %v", p.header, err)
		}
		if date, err := p.header.Date(); err != nil || !date.Equal(c.read()) {
			t.Errorf("of %s, %v", date, err)
		}
		if what.kind() == MemberInvitedKind {
			subject, err := new(mime.WordDecoder).DecodeHeader(p.header.Get("Subject"))
			if err != nil || subject != "Olivia Öwner invites you to Müller & Söhne <GmbH>" || got.Subject != subject {
				t.Errorf("subject %q, %v", subject, err)
			}
			if !strings.Contains(p.text, "until Monday, 14 December 2026, 15:04 UTC") || strings.Contains(p.html, "<GmbH>") {
				t.Errorf("%s\n%s", p.text, p.html)
			}
		}
	}
}

// Rule: no text of others gets into a header or makes one, whatever it is.
func TestHeadersCannotBeMadeOfText(t *testing.T) {
	pit := mailtest.Start(t, mailtest.Options{})
	s := storetest.Open(t, storetest.SQLite(t))
	c := newClock()
	server := serverOf(pit)
	m := mailer(t, s, server, c)
	for _, address := range []string{
		"", "ann", "@example.com", "ann@", "ann@example", "ann@[192.0.2.1]", "ann@192.0.2.1", "a b@example.com", `"a b"@example.com`, "ann@example.com\r\nBcc: eve@example.com",
		"ann@example.com\nRCPT TO:<eve@example.com>", "ann@exam\rple.com", "ann@example.com,eve@example.com", "ann@example.com eve@example.com", "<ann@example.com>",
		"Ann <ann@example.com>", "ann@example.com>", "ann@eve@example.com", "ann(comment)@example.com", "ann@exa\x00mple.com", "ann.@example.com", ".ann@example.com", "a..b@example.com",
		"ann@-example.com", "ann@example.com.", "ann@exam_ple.com", strings.Repeat("a", 65) + "@example.com", "ann@" + strings.Repeat("a.", 130) + "com", "ann\u202e@example.com",
		"ann@\u2024example.com", "ann@example.com\u2028x", "ann:x@example.com", "ann;@example.com",
	} {
		if got, err := m.Compose(To{Address: address}, invitation(c.read())); err == nil {
			t.Errorf("%q is taken as %q", address, got.Recipient)
		}
	}
	for text, want := range map[string]string{
		"Ann.O'Hara+x@Example.COM": "Ann.O'Hara+x@example.com", "ann@Bücher.example": "ann@xn--bcher-kva.example", "a@b.co": "a@b.co",
		"jörg@example.com": "jörg@example.com",
	} {
		if got, err := checkAddress(text); err != nil || got != want {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
	run(t, m)
	evil := "x\r\nBcc: eve@example.com\r\n\r\n<script>alert(1)</script>\x1b[31m\u202eEvil\x00 =?utf-8?q?=0d=0aBcc:_eve=40example.com?= " + strings.Repeat("ä", 3000)
	what := MemberInvited{Link: "https://relay.example/i#s", By: evil, Organization: evil, Until: c.read().Add(time.Hour)}
	change(t, m, "ann@example.com", what)
	change(t, m, "ann@example.com", PasswordChanged{At: c.read(), From: evil})
	for _, got := range pit.Wait(2) {
		p := parse(t, got.Raw)
		for name := range p.header {
			if !slices.Contains([]string{"From", "To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type", "Content-Language", "Auto-Submitted",
				"Received", "Return-Path"}, name) { // the last two are mailpit's
				t.Errorf("header %s: %q", name, p.header[name])
			}
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(p.header.Get("Subject"))
		if err != nil || len(subject) > maxSubject || strings.ContainsAny(subject, "\r\n\x1b\x00\u202e") {
			t.Errorf("subject %q, %v", subject, err)
		}
		if len(got.To) != 1 || got.To[0].Address != "ann@example.com" || strings.Contains(p.html, "<script") || len(got.Raw) > 32<<10 {
			t.Errorf("to %v, %d bytes", got.To, len(got.Raw))
		}
	}
	// Nor does a setting.
	server.FromName = "Oriel\r\nBcc: eve@example.com"
	raw, err := server.compose(headers{"id", "en", c.read()}, "ann@example.com", rendered{"x\r\nBcc: eve@example.com", "text\r\n.\r\nRCPT TO:<eve@example.com>", "html"})
	if err != nil || parse(t, raw).header.Get("Bcc") != "" {
		t.Errorf("%v\n%s", err, raw)
	}
}

// Rule: a link in a mail is of this relay, and nobody can read it on the way.
func TestLinksAreOfThisRelay(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	for _, c := range []struct {
		public, link string
		good         bool
	}{
		{"https://relay.example", "https://relay.example/i#s", true},
		{"https://relay.example:8443", "https://relay.example:8443/i#s", true},
		{"https://relay.example", "http://relay.example/i#s", false},
		{"https://relay.example", "https://eve.example/i#s", false},
		{"https://relay.example", "https://relay.example@eve.example/i#s", false},
		{"https://relay.example", "https://eve@relay.example/i#s", false},
		{"https://relay.example", "https://relay.example.eve.example/i", false},
		{"https://relay.example", "https://relay.example:444/i", false},
		{"https://relay.example", "//relay.example/i", false},
		{"https://relay.example", "javascript:alert(1)", false},
		{"https://relay.example", "https://relay.example/" + strings.Repeat("x", maxLink), false},
		{"http://relay.example", "http://relay.example/i", false},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080/i#s", true},
		{"http://[::1]:8080", "http://[::1]:8080/i#s", true},
		{"http://localhost:8080", "http://localhost:8080/i#s", true},
	} {
		u, err := url.Parse(c.public)
		if err != nil {
			t.Fatal(err)
		}
		m := New(Options{Store: s, Server: Server{Host: "x"}, PublicURL: u})
		if _, err := m.Compose(To{Address: "a@example.com"}, EmailConfirm{Link: c.link}); (err == nil) != c.good {
			t.Errorf("%s of %s: %v", c.link, c.public, err)
		}
	}
}

// Rule: a relay without a mail server queues nothing, and says so to who would send.
func TestWithoutAMailServer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newClock()
		on, off := mailer(t, s, Server{Host: "127.0.0.1", Port: 1}, c), mailer(t, s, Server{}, c)
		if !on.Enabled() || off.Enabled() {
			t.Error("who sends mails?")
		}
		if _, err := off.Compose(To{Address: "ann@example.com"}, invitation(c.read())); !errors.Is(err, ErrOff) {
			t.Error(err)
		}
		// What waits when the server is taken out of the settings ends by itself.
		mail := change(t, on, "ann@example.com", PasswordChanged{At: c.read()})
		c.move(TryFor + time.Minute)
		run(t, off)
		until(t, "the mail is given up", func() bool { return row(t, s, mail.ID).State == store.MailFailed })
		c.move(Keep)
		if err := off.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all, err := s.Mails(first).Page(t.Context(), store.MailFilter{}, 9); err != nil || len(all) != 0 {
			t.Errorf("after a month there are %v, %v", all, err)
		}
	})
}

// Rule: a mail survives a mail server that is away and a relay that is started again,
// and goes out once when both are back.
func TestAMailWaitsForItsServer(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		pit := mailtest.Start(t, mailtest.Options{})
		pit.Stop()
		c := newClock()
		s := storetest.Open(t, address)
		m := mailer(t, s, serverOf(pit), c)
		stop := run(t, m)
		mail := change(t, m, "ann@example.com", invitation(c.read().Add(100*time.Hour)))
		until(t, "a try that fails", func() bool { r := row(t, s, mail.ID); return r.Attempts == 1 && r.HeldUntil == 0 })
		if r := row(t, s, mail.ID); r.State != store.MailQueued || r.LastError != errAway.Error() {
			t.Errorf("%+v", r)
		}
		stop()
		_ = s.Close()

		s = storetest.Open(t, address)
		m = mailer(t, s, serverOf(pit), c)
		run(t, m)
		c.move(time.Minute)
		until(t, "another try", func() bool { r := row(t, s, mail.ID); return r.Attempts == 2 && r.HeldUntil == 0 })
		pit.Start()
		c.move(2 * time.Minute)
		pit.Wait(1)
		until(t, "it is noted", func() bool {
			r := row(t, s, mail.ID)
			return r.State == store.MailSent && r.SentAt != 0 && r.LastError == ""
		})
		if all := pit.Messages(); len(all) != 1 {
			t.Errorf("%d came", len(all))
		}
	})
}

// Rule: of two nodes on one database each mail is sent once.
func TestTwoNodesSendEachMailOnce(t *testing.T) {
	pit := mailtest.Start(t, mailtest.Options{})
	address := storetest.PostgreSQL(t)
	c := newClock()
	var nodes []*Mailer
	for range 2 {
		m := mailer(t, storetest.Open(t, address), serverOf(pit), c)
		run(t, m)
		nodes = append(nodes, m)
	}
	const n = 40
	for i := range n {
		change(t, nodes[i%2], fmt.Sprintf("p%d@example.com", i), invitation(c.read().Add(time.Hour)))
	}
	pit.Wait(n)
	until(t, "nothing waits", func() bool {
		all, err := nodes[0].o.Store.Mails(first).Page(t.Context(), store.MailFilter{State: store.MailQueued}, 99)
		return err == nil && len(all) == 0
	})
	got := map[string]int{}
	for _, m := range pit.Messages() {
		got[m.To[0].Address]++
	}
	for to, times := range got {
		if times != 1 {
			t.Errorf("%s got %d", to, times)
		}
	}
	if len(got) != n {
		t.Errorf("%d of %d got theirs", len(got), n)
	}
}

// Rule: what the server refuses for good ends at once, with its sentence; what it
// refuses for now is tried again; the mails behind go out.
func TestRefusals(t *testing.T) {
	pit := mailtest.Start(t, mailtest.Options{Accept: `@example\.com$`})
	s := storetest.Open(t, storetest.SQLite(t))
	c := newClock()
	m := mailer(t, s, serverOf(pit), c)
	soon := c.read().Add(100 * time.Hour)
	bounced, behind := change(t, m, "nobody@elsewhere.example", invitation(soon)), change(t, m, "ann@example.com", invitation(soon))
	run(t, m)
	pit.Wait(1)
	until(t, "both are noted", func() bool { return row(t, s, behind.ID).State == store.MailSent })
	if r := row(t, s, bounced.ID); r.State != store.MailBounced || r.Attempts != 1 || !strings.HasPrefix(r.LastError, "5") || len(r.LastError) < 8 || r.SentAt != 0 {
		t.Errorf("%+v", r)
	}
	pit.Refuse(451)
	later := change(t, m, "bob@example.com", invitation(soon))
	until(t, "a try that fails", func() bool { return row(t, s, later.ID).LastError != "" })
	if r := row(t, s, later.ID); r.State != store.MailQueued || !strings.HasPrefix(r.LastError, "451 ") || r.NextAt <= c.read().UnixMilli() {
		t.Errorf("%+v", r)
	}
	pit.Refuse(0)
	c.move(time.Minute)
	pit.Wait(2)
}

// Rule: a mail is not tried for ever, nor sent when its link is no good any more.
func TestAMailIsGivenUp(t *testing.T) {
	pit := mailtest.Start(t, mailtest.Options{})
	s := storetest.Open(t, storetest.SQLite(t))
	c := newClock()
	m := mailer(t, s, serverOf(pit), c)
	pit.Refuse(451)
	run(t, m)
	old := change(t, m, "ann@example.com", PasswordChanged{At: c.read()})
	short := change(t, m, "bob@example.com", EmailConfirm{Link: "https://relay.example/x", Until: c.read().Add(time.Minute)})
	tries := int64(0)
	tried := func(id string) bool { // and noted, so that the next time is known
		r := row(t, s, id)
		return r.Attempts > tries && r.HeldUntil == 0 || r.State != store.MailQueued
	}
	until(t, "a try", func() bool { return tried(old.ID) && tried(short.ID) })
	for range 60 {
		tries = row(t, s, old.ID).Attempts
		c.move(mostIn * 5 / 4) // the longest pause
		until(t, "another try", func() bool { return tried(old.ID) })
		if row(t, s, old.ID).State != store.MailQueued {
			break
		}
	}
	if r := row(t, s, old.ID); r.State != store.MailFailed || !strings.Contains(r.LastError, tooLate) || r.Attempts < 15 || r.Attempts > 40 {
		t.Errorf("%+v", r)
	}
	if r := row(t, s, short.ID); r.State != store.MailFailed || r.LastError != ranOut {
		t.Errorf("%+v", r)
	}
	if got := pit.Messages(); len(got) != 0 {
		t.Errorf("sent: %v", got)
	}
}

// Rule: pauses between tries double up to an hour, and are spread.
func TestPauses(t *testing.T) {
	for attempts, want := range map[int64]time.Duration{0: firstIn, 1: firstIn, 2: 2 * firstIn, 3: 4 * firstIn, 7: 64 * firstIn, 8: mostIn, 1000: mostIn} {
		low, middle, high := pause(attempts, 0), pause(attempts, 0.5), pause(attempts, 1)
		if middle != want || low != want*3/4 || high != want*5/4 {
			t.Errorf("%d: %s %s %s, want %s", attempts, low, middle, high, want)
		}
	}
}

// Rule: pages of the list are asked as all lists are.
func TestPage(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	c := newClock()
	m := mailer(t, s, Server{Host: "127.0.0.1", Port: 1}, c)
	for i := range 5 {
		change(t, m, fmt.Sprintf("p%d@example.com", i), PasswordChanged{At: c.read()})
		c.move(time.Second)
	}
	got, cursor := []string{}, ""
	for {
		rows, next, err := m.Page(t.Context(), first, Filter{}, cursor, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			got = append(got, r.To[:2])
		}
		if cursor = next; next == "" {
			break
		}
	}
	if strings.Join(got, " ") != "p4 p3 p2 p1 p0" {
		t.Error(got)
	}
	if _, _, err := m.Page(t.Context(), first, Filter{}, "x", 2); !errors.Is(err, page.ErrCursor) {
		t.Error(err)
	}
}
