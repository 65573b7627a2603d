package access_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const (
	password = "correct horse Ω"
	email    = "Ada@Example.com"
)

var home = access.Client{Address: "192.0.2.1", Browser: "test"}

// clock is the time of a test, moved by hand.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC).UnixMilli())
	return c
}
func (c *clock) now() time.Time       { return time.UnixMilli(c.ms.Load()) }
func (c *clock) pass(d time.Duration) { c.ms.Add(d.Milliseconds()) }
func cheap(o access.Options) access.Options {
	o.Hash.MemoryKiB, o.Hash.Passes = 64, 1
	return o
}

func open(t *testing.T, s *store.Store, o access.Options) *access.Access {
	t.Helper()
	a, err := access.New(t.Context(), s, cheap(o))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// own makes the owner and returns their identity and cookie.
func own(t *testing.T, a *access.Access) (access.Identity, *http.Cookie) {
	t.Helper()
	token, err := a.NewOwnerToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	who, c, err := a.CreateOwner(t.Context(), token, access.NewOwner{Name: "Ada", Email: email, Password: password}, home)
	if err != nil {
		t.Fatal(err)
	}
	return who, c
}

func request(c *http.Cookie) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	if c != nil {
		r.AddCookie(c)
	}
	return r
}

func TestSignInAndOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, a := t.Context(), open(t, s, access.Options{})
		owner, first := own(t, a)
		if who, err := a.Identify(request(first)); err != nil || who.PersonID != owner.PersonID || who.Role != store.RoleOwner {
			t.Fatalf("after making the owner: %+v, %v", who, err)
		}
		// Another case, spaces, and the decomposed form of the same address and password.
		who, second, err := a.SignIn(ctx, "  ada@EXAMPLE.com ", "correct horse Ω", home)
		if err != nil || who.PersonID != owner.PersonID || who.SignInID == owner.SignInID {
			t.Fatalf("sign-in: %+v, %v", who, err)
		}
		if second.Value == first.Value || len(second.Value) < 43 {
			t.Fatalf("the cookies are not two different 32-byte tokens: %q, %q", first.Value, second.Value)
		}
		gone, err := a.SignOut(request(second))
		if err != nil || gone.MaxAge >= 0 || gone.Value != "" || gone.Name != access.SessionCookie || gone.Path != "/" {
			t.Fatalf("sign-out: %+v, %v", gone, err)
		}
		if _, err := a.Identify(request(second)); !errors.Is(err, access.ErrSignedOut) {
			t.Fatalf("a cookie that was signed out: %v", err)
		}
		if err := a.Require(ctx, who, rights.Connect, access.Computer("x")); !errors.Is(err, access.ErrSignedOut) {
			t.Fatalf("Require after signing out: %v", err)
		}
		if _, err := a.Identify(request(first)); err != nil {
			t.Fatalf("the other browser: %v", err)
		}
		for name, c := range map[string]*http.Cookie{
			"none":     nil,
			"invented": {Name: access.SessionCookie, Value: strings.Repeat("A", 43)},
			"long":     {Name: access.SessionCookie, Value: strings.Repeat("A", 5000)},
			"empty":    {Name: access.SessionCookie, Value: ""},
		} {
			if _, err := a.Identify(request(c)); !errors.Is(err, access.ErrSignedOut) {
				t.Errorf("cookie %s: %v", name, err)
			}
		}
	})
}

func TestPasswordsAreCompared(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	a := open(t, s, access.Options{Limits: access.Limits{Account: 1000, Address: 1000}})
	own(t, a)
	for _, c := range []struct{ login, password string }{
		{email, "wrong horse Ω"},
		{email, ""},
		{email, password + " "},
		{email, strings.Repeat("x", 5000)},
		{"nobody@example.com", password},
		{"nobody@example.com", ""},
		{"", ""},
		{strings.Repeat("x", 5000), password},
		{"ada@example.com\x00", password},
		{"' OR 1=1 --", password},
	} {
		if _, _, err := a.SignIn(t.Context(), c.login, c.password, home); !errors.Is(err, access.ErrCredentials) {
			t.Errorf("sign-in as %.30q: %v", c.login, err)
		}
	}
}

func TestCookie(t *testing.T) {
	for _, secure := range []bool{false, true} {
		a := open(t, storetest.Open(t, storetest.SQLite(t)), access.Options{Secure: secure})
		_, c := own(t, a)
		name := map[bool]string{false: "oriel_session", true: "__Host-oriel_session"}[secure]
		if c.Name != name || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" ||
			c.Domain != "" || c.Secure != secure || c.MaxAge != 30*24*3600 {
			t.Errorf("secure %v: cookie %s", secure, c)
		}
	}
}

func TestSignInEnds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		day, c := 24*time.Hour, newClock()
		a := open(t, s, access.Options{Now: c.now})
		_, cookie := own(t, a)
		for range 5 { // used every six days
			c.pass(6*day - time.Hour)
			if _, err := a.Identify(request(cookie)); err != nil {
				t.Fatalf("used often enough: %v", err)
			}
		}
		c.pass(day)
		if _, err := a.Identify(request(cookie)); !errors.Is(err, access.ErrSignedOut) {
			t.Fatalf("30 days after it was made: %v", err)
		}
		_, cookie, err := a.SignIn(t.Context(), email, password, home)
		if err != nil {
			t.Fatal(err)
		}
		c.pass(7*day + time.Minute)
		if _, err := a.Identify(request(cookie)); !errors.Is(err, access.ErrSignedOut) {
			t.Fatalf("7 days unused: %v", err)
		}
		who, cookie, err := a.SignIn(t.Context(), email, password, home)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Identify(request(cookie)); err != nil {
			t.Fatalf("the sweep took a live one: %v", err)
		}
		c.pass(8 * day)
		if err := a.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.SignIns().ByID(t.Context(), who.SignInID); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("the sweep left a dead one: %v", err)
		}
	})
}

func TestOwnerLink(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, c := t.Context(), newClock()
		a := open(t, s, access.Options{Now: c.now})
		token := func() string {
			t.Helper()
			text, err := a.NewOwnerToken(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		make := func(token string) error {
			_, _, err := a.CreateOwner(ctx, token, access.NewOwner{Name: "Ada", Email: email, Password: password}, home)
			return err
		}
		old := token()
		current := token()
		for name, bad := range map[string]string{"replaced": old, "empty": "", "wrong": "x", "long": strings.Repeat("x", 10000)} {
			if err := make(bad); !errors.Is(err, access.ErrOwnerToken) {
				t.Errorf("a token that is %s: %v", name, err)
			}
		}
		c.pass(24 * time.Hour)
		if err := make(current); !errors.Is(err, access.ErrOwnerToken) {
			t.Errorf("a token of yesterday: %v", err)
		}
		current = token()
		_, _, err := a.CreateOwner(ctx, current, access.NewOwner{Name: " ", Email: "ada", Password: "short"}, home)
		var field *fault.Fault
		if !errors.As(err, &field) || strings.Count(err.Error(), "\n") != 2 {
			t.Errorf("three bad fields give %q", err)
		}
		if err := make(current); err != nil {
			t.Fatalf("after a typing error: %v", err)
		}
		if err := make(current); !errors.Is(err, access.ErrOwnerExists) {
			t.Errorf("used twice: %v", err)
		}
		if _, err := a.NewOwnerToken(ctx); !errors.Is(err, access.ErrOwnerExists) {
			t.Errorf("a link beside an owner: %v", err)
		}
	})
}

// Rule: whoever makes the owner's account says what the organization is called, as those
// read who are invited to it; without a word it keeps the name that it has.
func TestTheOwnerNamesTheOrganization(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a := open(t, s, access.Options{})
		token, err := a.NewOwnerToken(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		who := access.NewOwner{Name: "Ada", Email: email, Password: password, Organization: "Acme\x1b"}
		var field *fault.Fault
		if _, _, err := a.CreateOwner(t.Context(), token, who, home); !errors.As(err, &field) || field.Field() != "organization" {
			t.Errorf("a name of controls: %v", err)
		}
		who.Organization = " Acme Works "
		if _, _, err := a.CreateOwner(t.Context(), token, who, home); err != nil {
			t.Fatal(err)
		}
		if o, err := s.Organizations().Get(t.Context(), store.FirstOrganization); err != nil || o.Name != "Acme Works" {
			t.Errorf("it is called %q, %v", o.Name, err)
		}
	})
}

func TestOwnerRace(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		nodes := []*access.Access{
			open(t, storetest.Open(t, address), access.Options{}),
			open(t, storetest.Open(t, address), access.Options{}),
		}
		token, err := nodes[0].NewOwnerToken(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var made atomic.Int64
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				_, _, err := nodes[i%2].CreateOwner(context.Background(), token, access.NewOwner{Name: "Ada", Email: fmt.Sprintf("p%d@example.com", i), Password: password}, access.Client{Address: fmt.Sprintf("10.0.0.%d", i)})
				switch {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, access.ErrOwnerExists) && !errors.Is(err, access.ErrOwnerToken):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 {
			t.Fatalf("%d owners of one link", made.Load())
		}
	})
}

func TestWhatIsTyped(t *testing.T) {
	c := newClock()
	for _, c2 := range []struct{ what, name, email, password, field string }{
		{"fine", "Ada", email, password, ""},
		{"ten characters of four bytes", "Ada", email, strings.Repeat("😀", 10), ""},
		{"nine characters", "Ada", email, "123456789", "password"},
		{"nine characters, decomposed", "Ada", email, strings.Repeat("e\u0301", 9), "password"},
		{"1024 bytes", "Ada", email, strings.Repeat("x", 1024), ""},
		{"1025 bytes", "Ada", email, strings.Repeat("x", 1025), "password"},
		{"not UTF-8", "Ada", email, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "password"},
		{"no name", "", email, password, "name"},
		{"name of controls", "A\x1b[31m", email, password, "name"},
		{"name that turns text round", "A\u202eda", email, password, "name"},
		{"long name", strings.Repeat("x", 129), email, password, "name"},
		{"no at", "Ada", "ada", password, "email"},
		{"with a name", "Ada", "Ada <ada@example.com>", password, "email"},
		{"two", "Ada", "a@example.com, b@example.com", password, "email"},
		{"long", "Ada", strings.Repeat("a", 250) + "@example.com", password, "email"},
		{"line break", "Ada", "a@example.com\nBcc: b", password, "email"},
	} {
		t.Run(c2.what, func(t *testing.T) {
			a := open(t, storetest.Open(t, storetest.SQLite(t)), access.Options{Now: c.now})
			token, err := a.NewOwnerToken(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = a.CreateOwner(t.Context(), token, access.NewOwner{Name: c2.name, Email: c2.email, Password: c2.password}, home)
			var field *fault.Fault
			switch {
			case c2.field == "" && err != nil:
				t.Fatal(err)
			case c2.field != "" && (!errors.As(err, &field) || field.Field() != c2.field):
				t.Fatalf("err = %v, want one about the %s", err, c2.field)
			case c2.field == "":
				if _, _, err := a.SignIn(t.Context(), c2.email, c2.password, home); err != nil {
					t.Fatalf("sign-in with it: %v", err)
				}
			}
		})
	}
}

func TestComposedAndDecomposedAreOne(t *testing.T) {
	a := open(t, storetest.Open(t, storetest.SQLite(t)), access.Options{})
	token, err := a.NewOwnerToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.CreateOwner(t.Context(), token, access.NewOwner{Name: "Zoe\u0308", Email: email, Password: "passe\u0301 compose\u0301"}, home); err != nil {
		t.Fatal(err)
	}
	who, _, err := a.SignIn(t.Context(), email, "pass\u00e9 compos\u00e9", home)
	if err != nil || who.Name != "Zo\u00eb" {
		t.Fatalf("%q, %v", who.Name, err)
	}
}

// attempts is an auditor that keeps what it is told.
type attempts struct{ all []string }

func (l *attempts) Attempted(_ context.Context, who access.Identity, what rights.Permission, on access.Object, err error) {
	l.all = append(l.all, fmt.Sprint(who.PersonID, " ", what, " ", on.Kind, " ", on.ID, " ", err == nil))
}

func (l *attempts) WrongPassword(_ context.Context, person string, from access.Client, err error) {
	l.all = append(l.all, fmt.Sprint("password ", person, " ", from.Address, " ", err))
}

// Rule: Require and May answer alike; of what was required the auditor is told, of what was only asked nobody.
func TestRequireAndMay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, c, log := t.Context(), newClock(), &attempts{}
		a := open(t, s, access.Options{Now: c.now, Auditor: log})
		owner, _ := own(t, a)
		other := owner
		other.PersonID = "somebody"
		ask := func(name string, who access.Identity, what rights.Permission, on access.Object, want error) {
			t.Helper()
			log.all = nil
			if err := a.May(ctx, who, what, on); !errors.Is(err, want) {
				t.Errorf("%s: May %v, want %v", name, err, want)
			}
			if log.all != nil {
				t.Errorf("%s: of a question the auditor was told: %q", name, log.all)
			}
			if err := a.Require(ctx, who, what, on); !errors.Is(err, want) {
				t.Errorf("%s: Require %v, want %v", name, err, want)
			}
			told := fmt.Sprint(who.PersonID, " ", what, " ", on.Kind, " ", on.ID, " ", want == nil)
			if len(log.all) != 1 || log.all[0] != told {
				t.Errorf("%s: the auditor was told %q, want %q", name, log.all, told)
			}
		}
		for _, p := range []rights.Permission{rights.See, rights.Connect, rights.Control, rights.ComputersManage, rights.Enroll,
			rights.Journal, rights.SessionsEnd, rights.RelayOperate, rights.About, rights.Connect | rights.Control} {
			ask("the owner", owner, p, access.Computer("x"), nil)
		}
		ask("one's own account", owner, rights.Account, access.Person(owner.PersonID), nil)
		ask("another's account", owner, rights.Account, access.Person("somebody"), access.ErrForbidden)
		ask("a permission that nobody defined", owner, 1<<31, access.Organization, access.ErrForbidden)
		ask("one that nobody defined beside another", owner, rights.See|1<<31, access.Organization, access.ErrForbidden)
		ask("nothing", owner, 0, access.Organization, access.ErrForbidden)
		ask("with another's sign-in", other, rights.See, access.Organization, access.ErrForbidden)
		ask("with no sign-in", access.Identity{Role: store.RoleOwner}, rights.See, access.Organization, access.ErrSignedOut)
		c.pass(31 * 24 * time.Hour)
		ask("with an old one", owner, rights.See, access.Organization, access.ErrSignedOut)
	})
}

func TestRelayKeyIsOne(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		a, b := open(t, storetest.Open(t, address), access.Options{}), open(t, storetest.Open(t, address), access.Options{})
		if !a.PublicKey().Equal(b.PublicKey()) {
			t.Fatal("two nodes have two keys")
		}
		x, err1 := a.Secret(t.Context(), "turn", 32)
		y, err2 := b.Secret(t.Context(), "turn", 32)
		if err1 != nil || err2 != nil || !bytes.Equal(x, y) || len(x) != 32 || bytes.Equal(x, make([]byte, 32)) {
			t.Fatalf("the nodes' secrets: %d and %d bytes, %v, %v", len(x), len(y), err1, err2)
		}
	})
}

// Neither passwords nor tokens get into the log.
func TestLogHasNoSecrets(t *testing.T) {
	var log bytes.Buffer
	a := open(t, storetest.Open(t, storetest.SQLite(t)), access.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	token, err := a.NewOwnerToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, cookie, err := a.CreateOwner(t.Context(), token, access.NewOwner{Name: "Ada", Email: email, Password: password}, home)
	if err != nil {
		t.Fatal(err)
	}
	_, _, _ = a.SignIn(t.Context(), email, "a wrong secret", home)
	_, _, _ = a.SignIn(t.Context(), email, password, home)
	if log.Len() == 0 {
		t.Fatal("nothing was logged")
	}
	for _, secret := range []string{token, cookie.Value, password, "a wrong secret", email} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, &log)
		}
	}
}
