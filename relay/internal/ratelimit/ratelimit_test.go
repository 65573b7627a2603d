package ratelimit

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"oriel/relay/internal/fault"
	"oriel/relay/internal/share"
)

// clock is set by hand.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func one(subject string, limit int) map[string]int { return map[string]int{subject: limit} }

// Rule: a subject makes as many requests at once as its policy says, hears before what
// is left, and beyond that how long to wait; after that wait it may go on.
func TestTake(t *testing.T) {
	c := &clock{time.UnixMilli(0)}
	p := New("sign-in", 6, time.Minute, c.now)
	for left := 5; left >= 0; left-- {
		h := http.Header{}
		if err := p.Take(h, one("a", 6)); err != nil {
			t.Fatal(left, err)
		}
		want := fmt.Sprintf(`"sign-in";r=%d;t=%d`, left, (6-left)*10)
		if h.Get("RateLimit") != want || h.Get("RateLimit-Policy") != `"sign-in";q=6;w=60` {
			t.Fatalf("%v, want %s", h, want)
		}
	}
	for range 3 { // who is refused waits no longer for that
		h := http.Header{}
		err := p.Take(h, one("a", 6))
		if !errors.Is(err, ErrTooMany) || fault.Of(err).RetryAfter() != 10*time.Second || h.Get("RateLimit") != `"sign-in";r=0;t=60` {
			t.Fatal(h, err)
		}
	}
	if err := p.Take(http.Header{}, one("b", 6)); err != nil {
		t.Fatal("another subject:", err)
	}
	c.at = c.at.Add(10 * time.Second)
	if err := p.Take(http.Header{}, one("a", 6)); err != nil {
		t.Fatal("after the wait:", err)
	}
	if err := p.Take(http.Header{}, one("a", 6)); !errors.Is(err, ErrTooMany) {
		t.Fatal("one request came back, and two were made:", err)
	}
}

// Rule: who has a whole network of IPv6 is bounded by it: four times an address's limit
// for a /48; a request that one of its networks refuses counts in none.
func TestNetworks(t *testing.T) {
	c := &clock{time.UnixMilli(0)}
	p := New("address", 10, time.Minute, c.now)
	let := 0
	for i := range 100 {
		from := netip.MustParseAddr(fmt.Sprintf("2001:db8:1:%x::1", i*256)) // each in a /56 of its own
		if p.Take(http.Header{}, share.Subjects(from, p.Requests())) == nil {
			let++
		}
	}
	if let != 40 {
		t.Errorf("a /48 made %d requests, want 40", let)
	}
	for range 10 {
		if err := p.Take(http.Header{}, share.Subjects(netip.MustParseAddr("2001:db8:2::1"), p.Requests())); err != nil {
			t.Fatal("its neighbour:", err)
		}
	}
	h := http.Header{}
	if err := p.Take(h, share.Subjects(netip.MustParseAddr("192.0.2.7"), p.Requests())); err != nil || h.Get("RateLimit") != `"address";r=9;t=6` {
		t.Fatal(h, err)
	}
}

// Rule: whoever comes, no more than the bound of subjects are remembered, and who goes
// on asking is not forgotten for newcomers.
func TestMemoryIsBounded(t *testing.T) {
	c := &clock{time.UnixMilli(0)}
	p := New("address", 2, time.Minute, c.now)
	p.most = 100
	for range 2 {
		if err := p.Take(http.Header{}, one("busy", 2)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10_000 {
		if err := p.Take(http.Header{}, one(fmt.Sprint(i), 2)); err != nil {
			t.Fatal(err)
		}
		if err := p.Take(http.Header{}, one("busy", 2)); err == nil {
			t.Fatal("the busy one was forgotten after", i)
		}
	}
	if len(p.known) != p.most || p.order.Len() != p.most {
		t.Fatalf("%d and %d are remembered", len(p.known), p.order.Len())
	}
}

// Rule: two policies in one answer are two members of one list.
func TestTwoPolicies(t *testing.T) {
	h := http.Header{}
	for _, name := range []string{"address", "sign-in"} {
		if err := New(name, 60, time.Minute, nil).Take(h, one("x", 60)); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.Values("RateLimit"); len(got) != 1 || got[0] != `"address";r=59;t=1, "sign-in";r=59;t=1` {
		t.Fatal(h)
	}
}
