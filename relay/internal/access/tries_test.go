package access_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/identifier"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func limited(err error) bool {
	after := fault.Of(err).RetryAfter()
	return errors.Is(err, access.ErrTries) && after > 0 && after <= 15*time.Minute
}

// quick slows nobody down: other tests count, this one would only wait.
var quick = access.Limits{Slow: time.Nanosecond}

// Rule: wrong passwords lock the network that they came from for that account,
// known or not; on all nodes; and no other network.
func TestWrongPasswordsLockTheirNetwork(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		c := newClock()
		nodes := []*access.Access{ // two nodes on one database share the limit
			open(t, storetest.Open(t, address), access.Options{Now: c.now, Limits: quick}),
			open(t, storetest.Open(t, address), access.Options{Now: c.now, Limits: quick}),
		}
		own(t, nodes[0])
		try := func(i int, login, pass, from string) error {
			_, _, err := nodes[i%2].SignIn(t.Context(), login, pass, access.Client{Address: from})
			return err
		}
		for _, login := range []string{email, "nobody@example.com"} { // unknown accounts behave alike
			for i := range 10 {
				if err := try(i, login, "wrong password", "192.0.2.1"); !errors.Is(err, access.ErrCredentials) {
					t.Fatalf("%s, try %d: %v", login, i, err)
				}
			}
			if err := try(0, strings.ToUpper(login), password, "192.0.2.1"); !limited(err) {
				t.Fatalf("%s, the right password after ten wrong ones: %v", login, err)
			}
		}
		if err := try(0, email, password, "192.0.2.2"); err != nil {
			t.Fatalf("the right password from the network beside: %v", err)
		}
		c.pass(15 * time.Minute)
		if err := try(1, email, password, "192.0.2.1"); err != nil {
			t.Fatalf("after a quarter of an hour: %v", err)
		}
		// A success takes the network's tries back: nine more are fine.
		for round := range 3 {
			for i := range 9 {
				if err := try(i, email, "wrong", "198.51.100.1"); !errors.Is(err, access.ErrCredentials) {
					t.Fatalf("round %d, try %d: %v", round, i, err)
				}
			}
			if err := try(round, email, password, "198.51.100.1"); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
	})
}

// Rule: shares of networks are graded: a /64 of IPv6 has one, its /56 two and
// its /48 four, for one account and for all of them.
func TestNetworksAreGraded(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	a := open(t, s, access.Options{Limits: access.Limits{Account: 3, Address: 5, Slow: time.Nanosecond}})
	own(t, a)
	count := func(login, from func(i int) string) int {
		for i := range 100 {
			switch _, _, err := a.SignIn(t.Context(), login(i), "wrong password", access.Client{Address: from(i)}); {
			case limited(err):
				return i
			case !errors.Is(err, access.ErrCredentials):
				t.Fatal(err)
			}
		}
		return 100
	}
	same := func(login string) func(int) string { return func(int) string { return login } }
	each := func(what string) func(int) string {
		return func(i int) string { return fmt.Sprintf("%s%d@example.com", what, i) }
	}
	for _, c := range []struct {
		what        string
		login, from func(int) string
		want        int
	}{
		{"one IPv4 address, one account", same("a@example.com"), same("192.0.2.1"), 3},
		{"the same in IPv6", same("a@example.com"), same("::ffff:192.0.2.1"), 0},
		{"one IPv4 address, all accounts", each("b"), same("192.0.2.2"), 5},
		{"a /64, one account", same("c@example.com"), func(i int) string { return fmt.Sprintf("2001:db8:1::%x", i) }, 3},
		{"a /56, one account", same("d@example.com"), func(i int) string { return fmt.Sprintf("2001:db8:2:%x::1", i) }, 6},
		{"a /48, one account", same("e@example.com"), func(i int) string { return fmt.Sprintf("2001:db8:3:%x::1", i*256) }, 12},
		{"a /48, all accounts", each("f"), func(i int) string { return fmt.Sprintf("2001:db8:4:%x::1", i*256) }, 20},
		{"no address, one account", same("g@example.com"), same(""), 3},
	} {
		if got := count(c.login, c.from); got != c.want {
			t.Errorf("%s: locked after %d, want %d", c.what, got, c.want)
		}
	}
}

// Rule: a browser that signed in before is not locked by what its network did;
// its cookie is good for that person, that password and a while, and only ten
// wrong passwords.
func TestAKnownBrowserIsNotLocked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newClock()
		a := open(t, s, access.Options{Now: c.now, Secure: true, Limits: quick})
		who, _ := own(t, a)
		cookie, err := a.DeviceCookie(t.Context(), who)
		if err != nil || cookie.Name != "__Host-oriel_device" || !cookie.HttpOnly || !cookie.Secure || cookie.Path != "/" || cookie.Domain != "" {
			t.Fatalf("%v, %v", cookie, err)
		}
		lock := func() {
			for range 10 {
				if _, _, err := a.SignIn(t.Context(), email, "wrong password", home); err != nil && !errors.Is(err, access.ErrCredentials) {
					t.Fatal(err)
				}
			}
		}
		try := func(device, pass string) error {
			from := home
			from.Device = device
			_, _, err := a.SignIn(t.Context(), email, pass, from)
			return err
		}
		lock()
		for name, device := range map[string]string{"none": "", "invented": strings.Repeat("A", len(cookie.Value)), "changed": "AAAA" + cookie.Value[4:],
			"cut": cookie.Value[:len(cookie.Value)-4], "no base64": "!", "long": strings.Repeat("A", 5000)} {
			if err := try(device, password); !limited(err) {
				t.Errorf("a device cookie that is %s: %v", name, err)
			}
		}
		if err := try(cookie.Value, password); err != nil {
			t.Fatalf("the known browser: %v", err)
		}
		r := request(cookie)
		if from := a.Client(r); from.Device != cookie.Value {
			t.Errorf("the request's device is %q", from.Device)
		}
		for i := range 10 {
			if err := try(cookie.Value, "wrong password"); !errors.Is(err, access.ErrCredentials) {
				t.Fatalf("try %d of the known browser: %v", i, err)
			}
		}
		if err := try(cookie.Value, password); !limited(err) {
			t.Errorf("a stolen cookie after ten wrong passwords: %v", err)
		}
		c.pass(366 * 24 * time.Hour)
		lock()
		if err := try(cookie.Value, password); !limited(err) {
			t.Errorf("a cookie of last year: %v", err)
		}
	})
}

// Rule: with all networks together an account is slowed down, never locked.
func TestTheTotalSlowsDown(t *testing.T) {
	a := open(t, storetest.Open(t, storetest.SQLite(t)), access.Options{Limits: access.Limits{Slow: time.Hour, Slowest: time.Hour}})
	own(t, a)
	for i := range 10 {
		if _, _, err := a.SignIn(t.Context(), email, "wrong", access.Client{Address: fmt.Sprintf("192.0.2.%d", i)}); !errors.Is(err, access.ErrCredentials) {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan error)
	go func() {
		_, _, err := a.SignIn(ctx, email, password, access.Client{Address: "192.0.2.200"})
		waits <- err
	}()
	for a.Places()["slowed"].Stats().Held == 0 {
		select {
		case err := <-waits:
			t.Fatalf("the eleventh try does not wait: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-waits; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// Another account does not wait, and neither does this one with less to wait for.
	if _, _, err := a.SignIn(t.Context(), "nobody@example.com", "wrong", access.Client{Address: "192.0.2.200"}); !errors.Is(err, access.ErrCredentials) {
		t.Error(err)
	}
}

// All tries are counted before the first password is compared.
func TestTriesAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a := open(t, s, access.Options{Limits: quick})
		own(t, a)
		var looked atomic.Int64
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				_, _, err := a.SignIn(context.Background(), email, "wrong", access.Client{Address: "10.0.0.1"})
				switch {
				case errors.Is(err, access.ErrCredentials):
					looked.Add(1)
				case !errors.Is(err, access.ErrTries):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if looked.Load() != 10 {
			t.Fatalf("%d of 40 tries at once were looked at, want 10", looked.Load())
		}
	})
}

// Rule: a network that is locked for all accounts does not fill the database with
// accounts that it makes up.
func TestLockedNetworkWritesNothingOfAccounts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a := open(t, s, access.Options{Limits: access.Limits{Address: 2, Slow: time.Nanosecond}})
		tries := func(login string) int64 {
			t.Helper()
			subject := fmt.Sprintf("account:%x", sha256.Sum256([]byte(identifier.ParseLogin(login).Subject())))
			counts, err := s.Tries().Count(t.Context(), []string{subject}, 0, 1)
			if err != nil {
				t.Fatal(err)
			}
			return counts[subject].Count - 1 // this look was one
		}
		for i := range 4 {
			login := fmt.Sprintf("nobody%d@example.com", i)
			_, _, err := a.SignIn(t.Context(), login, password, home)
			if open := i < 2; limited(err) == open || tries(login) != map[bool]int64{true: 1}[open] {
				t.Errorf("try %d: %v", i, err)
			}
		}
	})
}
