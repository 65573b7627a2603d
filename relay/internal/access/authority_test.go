package access

import (
	"fmt"
	"testing"
	"time"
)

func emptyAuthorities() *authorities {
	return &authorities{signIns: map[string]authority{}, tokens: map[string]string{}}
}

// Rule: what was being read as a change was announced is not remembered.
func TestWhatAChangeOvertookIsNotRemembered(t *testing.T) {
	c, now := emptyAuthorities(), time.Now()
	g := authority{signIn: "s", token: "t", read: now}
	_, version, _ := c.find("s", "", now)
	c.forget(func(authority) bool { return true })
	c.put(g, version)
	if _, _, ok := c.find("s", "", now); ok {
		t.Fatal("a read that is older than the change was remembered")
	}
	_, version, _ = c.find("s", "", now)
	c.put(g, version)
	for _, by := range [][2]string{{"s", ""}, {"", "t"}} {
		if _, _, ok := c.find(by[0], by[1], now); !ok {
			t.Errorf("not found by %q", by)
		}
	}
	for _, at := range []time.Duration{Believed, -time.Millisecond} { // of a clock that was set back it is not known how old it is
		if _, _, ok := c.find("s", "", now.Add(at)); ok {
			t.Errorf("believed %v after it was read", at)
		}
	}
}

// Rule: what is remembered is bounded; what is not believed any more goes first.
func TestAuthoritiesAreBounded(t *testing.T) {
	c, now := emptyAuthorities(), time.Now()
	put := func(i int, read time.Time) {
		c.put(authority{signIn: fmt.Sprint(i), token: fmt.Sprint("t", i), read: read}, 0)
	}
	for i := range 10 {
		put(i, now)
	}
	for i := 10; i < maxAuthorities; i++ {
		put(i, now.Add(-2*Believed))
	}
	put(maxAuthorities, now)
	for i := range 10 {
		if _, _, ok := c.find(fmt.Sprint(i), "", now); !ok {
			t.Error("one that is believed went before one that is not")
		}
	}
	for i := range maxAuthorities + 100 {
		put(maxAuthorities+1+i, now)
	}
	if len(c.signIns) > maxAuthorities || len(c.tokens) != len(c.signIns) {
		t.Fatalf("%d are remembered, and %d tokens", len(c.signIns), len(c.tokens))
	}
}
