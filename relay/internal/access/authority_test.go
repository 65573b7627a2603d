package access

import (
	"fmt"
	"testing"
	"time"

	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

func signIn(id string, read time.Time) authority {
	return authority{claim: claim{signIn: id, organization: "o"}, token: "t" + id, rights: &rights.Authority{}, read: read}
}

// Rule: what was being read as a change was announced is not remembered, of people nor of computers.
func TestWhatAChangeOvertookIsNotRemembered(t *testing.T) {
	c, now := newAuthorities(), time.Now()
	g, computer := signIn("s", now), store.Ref{Organization: "o", ID: "c"}
	_, version, _ := c.find(g.claim, "", now)
	c.forget(func(authority) bool { return true })
	c.put(g, version)
	if _, _, ok := c.find(g.claim, "", now); ok {
		t.Fatal("a read that is older than the change was remembered")
	}
	_, version, _ = c.place(computer, now)
	c.forgetPlaces("o")
	c.putPlace(computer, []string{"g"}, now, version)
	if _, _, ok := c.place(computer, now); ok {
		t.Fatal("a computer was remembered to be where it was before the change")
	}
	_, version, _ = c.find(g.claim, "", now)
	c.put(g, version)
	c.putPlace(computer, []string{"g"}, now, version)
	for _, name := range []string{"s", "ts"} {
		if _, _, ok := c.find(claim{}, name, now); !ok {
			t.Errorf("not found by %q", name)
		}
	}
	for _, at := range []time.Duration{0, Believed, -time.Millisecond} { // of a clock that was set back it is not known how old it is
		_, _, person := c.find(g.claim, "", now.Add(at))
		_, _, place := c.place(computer, now.Add(at))
		if person != (at == 0) || place != (at == 0) {
			t.Errorf("%v after it was read: the sign-in believed %v, the place %v", at, person, place)
		}
	}
	c.forgetPlaces("another")
	if _, _, ok := c.place(computer, now); !ok {
		t.Error("the computer was forgotten for another organization's change")
	}
}

// Rule: what is remembered is bounded; what is not believed any more goes first.
func TestAuthoritiesAreBounded(t *testing.T) {
	c, now := newAuthorities(), time.Now()
	for i := range 10 {
		c.put(signIn(fmt.Sprint(i), now), 0)
	}
	for i := 10; i < maxAuthorities; i++ {
		c.put(signIn(fmt.Sprint(i), now.Add(-2*Believed)), 0)
	}
	c.put(signIn("one more", now), 0)
	for i := range 10 {
		if _, _, ok := c.find(claim{}, fmt.Sprint(i), now); !ok {
			t.Error("one that is believed went before one that is not")
		}
	}
	for i := range maxAuthorities + 100 {
		c.put(signIn(fmt.Sprint(maxAuthorities+1+i), now), 0)
	}
	if len(c.all) > maxAuthorities || len(c.named) != 2*len(c.all) {
		t.Fatalf("%d are remembered, and %d names", len(c.all), len(c.named))
	}
	for i := range maxPlaces + 100 {
		c.putPlace(store.Ref{Organization: "o", ID: fmt.Sprint(i)}, nil, now, 0)
	}
	if len(c.places) > maxPlaces {
		t.Fatalf("%d places are remembered", len(c.places))
	}
}
