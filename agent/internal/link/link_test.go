package link

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"oriel/agent/internal/identity"
	"oriel/agent/internal/link/linktest"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// agent is a Link under test and what it logged and was told.
type agent struct {
	*Link
	id  *identity.Identity
	end func() error // stops Run and gives its result
	log *lines

	mu  sync.Mutex
	got []*orielv1.ToAgent
	ups []*orielv1.Welcome
}

type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) Contains(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), s)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newIdentity(t *testing.T, given identity.Given) *identity.Identity {
	t.Helper()
	id, err := identity.Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { id.Close() })
	if err := id.Configure(given); err != nil {
		t.Fatal(err)
	}
	return id
}

func run(t *testing.T, id *identity.Identity, with ...func(*Options)) *agent {
	t.Helper()
	a := &agent{id: id, log: &lines{}}
	o := Options{
		Hello: func() *orielv1.Hello { return &orielv1.Hello{AgentVersion: "test", Sessions: []string{"s1"}} },
		Handle: func(m *orielv1.ToAgent) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.got = append(a.got, m)
		},
		Up: func(w *orielv1.Welcome) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.ups = append(a.ups, w)
		},
		Logger: slog.New(slog.NewTextHandler(a.log, nil)),
	}
	for _, w := range with {
		w(&o)
	}
	a.Link = New(id, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	var once sync.Once
	var result error
	a.end = func() error {
		once.Do(func() { cancel(); result = <-done })
		return result
	}
	t.Cleanup(func() { a.end() })
	return a
}

func (a *agent) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.got)
}

func TestEnrollsThenComesBackWithoutTheToken(t *testing.T) {
	relay := linktest.Start(t, func(r *linktest.Relay) { r.Skew = time.Hour })
	id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()})
	a := run(t, id)
	first := relay.Agent(1)
	if !first.Key.Equal(id.Key()) || first.Hello.GetAgentVersion() != "test" || len(first.Hello.GetSessions()) != 1 {
		t.Fatalf("hello: %v", first.Hello)
	}
	relay.Until("enrolled", func() bool { return id.State().Enrolled() })
	if s := id.State(); s.ComputerID != relay.Computer || !s.RelayKey.Equal(relay.Public()) || s.Token != "" {
		t.Fatalf("state after enrollment: %+v", s)
	}
	if off := a.Now().Sub(relay.Now()); off.Abs() > 5*time.Second {
		t.Errorf("the agent's idea of the relay's time is off by %v", off)
	}
	if !a.log.Contains("clock is wrong") {
		t.Error("a clock that is an hour off was not mentioned")
	}
	if err := first.Send(&orielv1.ToAgent{Id: 7}); err != nil {
		t.Fatal(err)
	}
	relay.Until("the message", func() bool { return a.count() == 1 })

	relay.Stop()
	relay.Until("down", func() bool { return errors.Is(a.Send(&orielv1.FromAgent{}), ErrDown) })
	relay.Restart()
	relay.Agent(2)
	headers := relay.Headers()
	if last := headers[len(headers)-1]; strings.Contains(last, "token") {
		t.Errorf("an enrolled agent shows a token: %s", last)
	}
	if err := a.end(); err != nil {
		t.Fatalf("Run after its context: %v", err)
	}
	relay.Until("the relay saw it end", func() bool {
		select {
		case <-relay.Agent(2).Done():
			return true
		default:
			return false
		}
	})
}

// Rule: enrollment tokens are proven, not shown, before the relay's key is
// checked: whoever is in the relay's place, or knows its public key only, gets
// nothing to enroll with, and no Hello.
func TestTokenIsProvedNotShown(t *testing.T) {
	for name, c := range map[string]struct {
		relay func(*linktest.Relay)
		want  string // empty: it enrolls
	}{
		"the relay":                      {func(*linktest.Relay) {}, ""},
		"one that knows its key only":    {func(r *linktest.Relay) { r.Silent = true }, notProved},
		"the same over TLS of another's": {func(r *linktest.Relay) { r.Silent, r.TLS, r.BindTLS = true, true, true }, notProved},
	} {
		t.Run(name, func(t *testing.T) {
			relay := linktest.Start(t, c.relay)
			given := identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()}
			if relay.TLS {
				given.CA = relay.CA()
			}
			id := newIdentity(t, given)
			if c.want == "" {
				run(t, id)
				sent, err := orielv1.Encode(relay.Agent(1).Hello)
				if err != nil || bytes.Contains(sent, []byte(linktest.Secret)) {
					t.Errorf("Hello shows the token: %x, %v", sent, err)
				}
			} else {
				_, err := Check(t.Context(), id.Key(), id.State())
				l := New(id, Options{Hello: func() *orielv1.Hello { return &orielv1.Hello{} }, Handle: func(*orielv1.ToAgent) {}})
				ctx, cancel := context.WithTimeout(t.Context(), linktest.Deadline)
				defer cancel()
				for _, err := range []error{err, l.Run(ctx)} {
					if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.want) {
						t.Errorf("%v, want %q", err, c.want)
					}
				}
				if n := relay.Hellos(); n != 0 {
					t.Errorf("said Hello %d times to who proved nothing", n)
				}
			}
			for _, header := range relay.Headers() {
				if strings.Contains(header, linktest.Secret) || !strings.Contains(header, "token=") {
					t.Errorf("the header is %s", header)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	other, _, _ := ed25519.GenerateKey(rand.Reader)
	relayOf := func(key ed25519.PublicKey) string {
		return (&linktest.Relay{Key: append(make([]byte, 32), key...)}).Token()
	}
	for name, c := range map[string]struct {
		relay func(*linktest.Relay)
		token string // empty: the right one
		want  string
	}{
		"wrong secret":    {nil, "secret", "token is wrong, used up or expired"},
		"another relay's": {nil, relayOf(other), "not the relay that made this enrollment token"},
		"no token":        {nil, "-", "does not take this computer in"},
		"forged welcome":  {func(r *linktest.Relay) { r.Forged = true }, "", "does not prove that it holds its key"},
		"refused for good": {func(r *linktest.Relay) {
			r.Refuse = &orielv1.Refused{Code: orielv1.Code_CODE_FORBIDDEN, Detail: "no\nroom", Final: true}
		}, "", "refused this computer: forbidden: no room"},
	} {
		t.Run(name, func(t *testing.T) {
			relay := linktest.Start(t, func(r *linktest.Relay) {
				if c.relay != nil {
					c.relay(r)
				}
			})
			token := c.token
			switch token {
			case "":
				token = relay.Token()
			case "-":
				token = ""
			case "secret":
				token = strings.Replace(relay.Token(), "abc", "cba", 1)
			}
			id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: token})
			l := New(id, Options{Hello: func() *orielv1.Hello { return &orielv1.Hello{} }, Handle: func(*orielv1.ToAgent) {}})
			ctx, cancel := context.WithTimeout(t.Context(), linktest.Deadline)
			defer cancel()
			err := l.Run(ctx)
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("Run: %v, want ErrRefused and %q", err, c.want)
			}
			if id.State().Enrolled() {
				t.Fatal("enrolled all the same")
			}
		})
	}
}

// A relay that takes any token, but is not the one that made ours.
func TestTokenOfAnotherRelayIsNotShownToThisOne(t *testing.T) {
	meant, actual := linktest.Start(t), linktest.Start(t)
	id := newIdentity(t, identity.Given{Relays: []string{actual.URL()}, Token: actual.Token()})
	a := run(t, id)
	actual.Agent(1)
	a.end()
	// Known to actual now; the token says that meant is wanted.
	if err := id.Configure(identity.Given{Token: meant.Token()}); err != nil {
		t.Fatal(err)
	}
	l := New(id, Options{Hello: func() *orielv1.Hello { return &orielv1.Hello{} }, Handle: func(*orielv1.ToAgent) {}})
	err := l.Run(t.Context())
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "not the relay that made this enrollment token") {
		t.Fatalf("Run: %v", err)
	}
	if n := len(actual.Agents()); n != 1 {
		t.Fatalf("said Hello to the wrong relay: %d connections", n)
	}
}

func TestChangedRelayKeyIsRefusedAndTriedSlowly(t *testing.T) {
	relay := linktest.Start(t)
	id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()})
	a := run(t, id)
	relay.Agent(1)
	relay.Until("enrolled", func() bool { return id.State().Enrolled() })
	relay.Stop()
	_, relay.Key, _ = ed25519.GenerateKey(rand.Reader)
	relay.Restart()
	relay.Until("the change is said", func() bool { return a.log.Contains("has another key than when this computer was enrolled") })
	if n := len(relay.Agents()); n != 1 {
		t.Fatalf("said Hello to a relay with another key: %d connections", n)
	}
	if err := a.end(); err != nil {
		t.Fatalf("an enrolled agent gave up: %v", err)
	}
}

func TestForgottenAgentEnrollsAnewWithAToken(t *testing.T) {
	relay := linktest.Start(t)
	id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()})
	a := run(t, id)
	relay.Agent(1)
	relay.Until("enrolled", func() bool { return id.State().Enrolled() }) // else it ends without, and enrolls again
	a.end()
	relay.Forget()

	b := run(t, id)
	relay.Until("the refusal is said", func() bool { return b.log.Contains("has lost what it knew of this computer") })
	if err := b.end(); err != nil {
		t.Fatalf("an enrolled agent gave up: %v", err)
	}
	if err := id.Configure(identity.Given{Token: relay.Token()}); err != nil {
		t.Fatal(err)
	}
	run(t, id)
	relay.Agent(2)
}

func TestTLS(t *testing.T) {
	relay := linktest.Start(t, func(r *linktest.Relay) { r.TLS, r.BindTLS = true, true })
	t.Run("bound to the connection", func(t *testing.T) {
		id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token(), CA: relay.CA()})
		run(t, id)
		relay.Agent(1) // linktest verifies the exporter
	})
	t.Run("unknown authority", func(t *testing.T) {
		id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()})
		a := run(t, id)
		relay.Until("said", func() bool { return a.log.Contains("--ca FILE") })
	})
	t.Run("another name", func(t *testing.T) {
		url := strings.Replace(relay.URL(), "127.0.0.1", "localhost", 1)
		id := newIdentity(t, identity.Given{Relays: []string{url}, Token: relay.Token(), CA: relay.CA()})
		a := run(t, id)
		relay.Until("said", func() bool { return a.log.Contains("certificate for another name") })
	})
	t.Run("plain address of a TLS port", func(t *testing.T) {
		url := strings.Replace(relay.URL(), "https", "http", 1)
		id := newIdentity(t, identity.Given{Relays: []string{url}, Token: relay.Token()})
		a := run(t, id)
		relay.Until("said", func() bool { return a.log.Contains("does not answer as an Oriel relay does (HTTP 400)") })
	})
	t.Run("binding asked for without TLS", func(t *testing.T) {
		plain := linktest.Start(t, func(r *linktest.Relay) { r.BindTLS = true })
		id := newIdentity(t, identity.Given{Relays: []string{plain.URL()}, Token: plain.Token()})
		a := run(t, id)
		plain.Until("said", func() bool { return a.log.Contains("give its https:// address") })
	})
}

func TestFailuresAreSaidInOneLine(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	status := func(code int, body ...string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(strings.Join(body, "")))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	plain := status(404)
	for name, c := range map[string]struct{ url, want string }{
		"nobody listens": {"http://" + closed.Addr().String(), "is the relay running there"},
		"no such host":   {"https://relay.invalid", "look"},
		"no TLS":         {strings.Replace(plain, "http", "https", 1), "is it meant to be http://"},
		"not a relay":    {plain, "is this an Oriel relay"},
		"not ready":      {status(503), "is not ready (HTTP 503)"},
		"blocked":        {status(403), "has blocked this computer"},
		"why":            {status(503, `{"code":"draining","detail":"try again in a moment"}`), "(HTTP 503) (try again in a moment)"},
		"why, before":    {status(503, `{"code":"unavailable","message":"try again"}`), "(HTTP 503) (try again)"},
	} {
		t.Run(name, func(t *testing.T) {
			id := newIdentity(t, identity.Given{Relays: []string{c.url}})
			_, err := Check(t.Context(), id.Key(), id.State())
			if name == "no such host" && err != nil && strings.Contains(err.Error(), "no such host") {
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestCheckDoesNotTakeTheAgentsPlace(t *testing.T) {
	relay := linktest.Start(t)
	id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()})
	a := run(t, id)
	agent := relay.Agent(1)
	relay.Until("enrolled", func() bool { return id.State().Enrolled() })
	address, err := Check(t.Context(), id.Key(), id.State())
	if err != nil || address != relay.URL() {
		t.Fatalf("Check: %q, %v", address, err)
	}
	relay.Until("the agent is up", func() bool { return a.Send(&orielv1.FromAgent{ReplyTo: 5}) == nil })
	agent.Wait(t, "the agent is still there", func(m *orielv1.FromAgent) bool { return m.GetReplyTo() == 5 })
}

func TestGoesToTheNextAddressAndReturns(t *testing.T) {
	first := linktest.Start(t)
	second := linktest.Start(t, func(r *linktest.Relay) { r.Key = first.Key })
	id := newIdentity(t, identity.Given{Relays: []string{first.URL(), second.URL()}, Token: first.Token()})
	a := run(t, id, func(o *Options) { o.ReturnEvery = 50 * time.Millisecond })
	first.Agent(1)
	first.Until("enrolled", func() bool { return id.State().Enrolled() })
	// The second node shares the first one's database: it knows the machine.
	if err := id.Configure(identity.Given{Token: second.Token()}); err != nil {
		t.Fatal(err)
	}
	first.Stop()
	there := second.Agent(1)
	first.Restart()
	first.Agent(2)
	select {
	case <-there.Done():
	case <-time.After(linktest.Deadline):
		t.Fatal("the connection to the second address stayed")
	}
	if err := a.Send(&orielv1.FromAgent{ReplyTo: 9}); err != nil {
		t.Fatalf("send after returning: %v", err)
	}
	first.Agent(2).Wait(t, "the message", func(m *orielv1.FromAgent) bool { return m.GetReplyTo() == 9 })
}

func TestLearnsTheRelaysAddresses(t *testing.T) {
	second := linktest.Start(t)
	first := linktest.Start(t, func(r *linktest.Relay) { r.Relays = []string{second.URL(), r.URL()} })
	id := newIdentity(t, identity.Given{Relays: []string{first.URL()}, Token: first.Token()})
	run(t, id)
	first.Agent(1)
	first.Until("learned", func() bool { return slices.Equal(id.State().Addresses(), []string{first.URL(), second.URL()}) })
}

func TestAnotherAgentWithThisKeyIsSaid(t *testing.T) {
	relay := linktest.Start(t)
	id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()})
	a := run(t, id)
	relay.Agent(1).Close(wire.CloseSuperseded)
	relay.Until("said", func() bool { return a.log.Contains("another agent with this computer's key") })
}

func TestStopsWhileTheRelayIsMute(t *testing.T) {
	relay := linktest.Start(t, func(r *linktest.Relay) { r.Mute = true })
	id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()})
	a := run(t, id)
	relay.Until("a try", func() bool { return len(relay.Headers()) == 1 })
	if err := a.end(); err != nil {
		t.Fatal(err)
	}
}

func TestRetry(t *testing.T) {
	start := time.Unix(1e9, 0)
	plain, refused := errors.New("down"), &Error{"r", "no", []error{ErrRefused}}
	for name, c := range map[string]struct {
		lost  func(*retry) // what went before; nil: never connected
		err   error
		after time.Duration // since start
		want  []time.Duration
	}{
		"never connected": {nil, plain, 0, []time.Duration{250e6, 500e6, 1e9, 2e9, 4e9, 8e9, 16e9, 30e9, 30e9}},
		"just lost": {func(r *retry) { r.connected(start.Add(-time.Hour)); r.lost(start, plain) }, plain, time.Second,
			[]time.Duration{250e6, 500e6, 1e9, 2e9, 4e9, 4e9, 4e9}},
		"lost long ago": {func(r *retry) { r.connected(start.Add(-time.Hour)); r.lost(start, plain); r.tries = 10 }, plain, time.Hour,
			[]time.Duration{30e9, 30e9}},
		"dropped at once, again and again": {func(r *retry) {
			for range 8 {
				r.next(start, 0)
				r.connected(start)
				r.lost(start, plain)
			}
		}, plain, 0, []time.Duration{4e9, 4e9}},
		"no place is left": {nil, explainRefused("r", &orielv1.Refused{Code: orielv1.Code_CODE_QUOTA}), 0, []time.Duration{30e9, 60e9, 120e9, 240e9, 300e9, 300e9}},
		"refused":          {nil, refused, 0, []time.Duration{30e9, 60e9, 120e9, 240e9, 300e9, 300e9}},
	} {
		t.Run(name, func(t *testing.T) {
			var r retry
			if c.lost != nil {
				c.lost(&r)
			}
			for i, want := range c.want {
				r.failed(c.err)
				again := r
				most, least := r.next(start.Add(c.after), 0.999999999), again.next(start.Add(c.after), 0)
				if most.Round(time.Millisecond) != want || least != time.Duration(float64(want)*0.4) {
					t.Fatalf("try %d: between %v and %v, want at most %v and at least 40 %% of it", i, least, most, want)
				}
			}
		})
	}
}
