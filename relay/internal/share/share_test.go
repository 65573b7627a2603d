package share

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// holder takes places and knows which it still has.
type holder struct {
	t       *testing.T
	p       *Places
	evicted []string
}

func (h *holder) take(name, address string) *Place {
	return h.p.Take(addr(address), func() { h.evicted = append(h.evicted, name) })
}

func addr(text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(text)
}

func (h *holder) gone(want ...string) {
	h.t.Helper()
	if !slices.Equal(h.evicted, want) {
		h.t.Errorf("evicted are %q, want %q", h.evicted, want)
	}
	h.evicted = nil
}

// Rule: where a share or the whole is full, the oldest undecided of it goes and
// the newcomer stays; who has decided stays in any case.
func TestTheOldestUndecidedGoes(t *testing.T) {
	h := &holder{t: t, p: New("test", Bound{All: 4, Address: 2}, nil)}
	first := h.take("a1", "192.0.2.1")
	h.take("a2", "192.0.2.1")
	h.take("a3", "192.0.2.1")
	h.gone("a1") // of its own address
	if first.Decide() {
		t.Error("a place that was taken can still be decided")
	}
	first.Leave()
	b := h.take("b1", "192.0.2.2")
	h.take("c1", "192.0.2.3")
	h.take("d1", "192.0.2.4")
	h.gone("a2") // of all
	if !b.Decide() {
		t.Error("a place that is held cannot be decided")
	}
	h.take("e1", "192.0.2.5")
	h.take("f1", "192.0.2.6")
	h.gone("a3", "c1") // and not b1
	b.Leave()
	h.take("g1", "192.0.2.7")
	h.gone()
	if s := h.p.Stats(); s.Held != 4 || s.Evicted != 4 || s.Refused != 0 {
		t.Errorf("%+v", s)
	}
}

// Rule: who has a full share makes place from it, also where the whole is full:
// nobody else goes for it.
func TestAFullShareCostsNobodyElse(t *testing.T) {
	h := &holder{t: t, p: New("test", Bound{All: 3, Address: 2}, nil)}
	h.take("honest", "192.0.2.1")
	h.take("a1", "192.0.2.2")
	h.take("a2", "192.0.2.2")
	h.take("a3", "192.0.2.2")
	h.take("a4", "192.0.2.2")
	h.gone("a1", "a2")
	h = &holder{t: t, p: New("test", Bound{All: 5, Address: 2}, nil)}
	h.take("honest", "2001:db8:1::1")
	for i := range 6 { // a /56 with a full share, of /64s that have none
		h.take(fmt.Sprint("b", i), fmt.Sprintf("2001:db8:2:%x::1", i))
	}
	h.gone("b0", "b1")
}

// Rule: a newcomer is refused only where all have decided.
func TestDecidedStay(t *testing.T) {
	h := &holder{t: t, p: New("test", Bound{All: 3, Address: 2}, nil)}
	a, b := h.take("a1", "192.0.2.1"), h.take("a2", "192.0.2.1")
	a.Decide()
	b.Decide()
	if h.take("a3", "192.0.2.1") != nil {
		t.Error("the third of two was let in")
	}
	c := h.take("b1", "192.0.2.2") // others are not kept out by it
	if c == nil {
		t.Fatal("another address was kept out")
	}
	b.Renew() // undecided again, and younger than b1
	h.take("c1", "192.0.2.3")
	h.gone("b1")
	h.take("d1", "192.0.2.4")
	h.gone("a2")
	if s := h.p.Stats(); s.Refused != 1 {
		t.Errorf("%+v", s)
	}
}

// Rule: of IPv6 the /64 has a share, the /56 two and the /48 four; an IPv4
// address written as IPv6 is itself, and no address has no share.
func TestSharesAreGraded(t *testing.T) {
	for _, c := range []struct {
		what    string
		address func(i int) string
		held    int
	}{
		{"one IPv4 address", func(int) string { return "192.0.2.1" }, 2},
		{"the same in IPv6", func(i int) string { return []string{"::ffff:192.0.2.1", "192.0.2.1"}[i%2] }, 2},
		{"a /24 of IPv4", func(i int) string { return fmt.Sprintf("192.0.2.%d", i) }, 100},
		{"a /64", func(i int) string { return fmt.Sprintf("2001:db8::%x", i+1) }, 2},
		{"with zones", func(i int) string { return fmt.Sprintf("fe80::1%%eth%d", i) }, 2},
		{"a /56", func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i%256) }, 4},
		{"a /48", func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i*256) }, 8},
		{"a /32", func(i int) string { return fmt.Sprintf("2001:db8:%x::1", i) }, 100},
		{"a trusted proxy", func(int) string { return "" }, 100},
	} {
		h := &holder{t: t, p: New("test", Bound{All: 1000, Address: 2}, nil)}
		for i := range 100 {
			if h.take("", c.address(i)) == nil {
				t.Fatalf("%s: refused", c.what)
			}
		}
		if s := h.p.Stats(); s.Held != c.held {
			t.Errorf("%s holds %d places, want %d", c.what, s.Held, c.held)
		}
	}
}

// Whatever is done in whatever order, no bound is passed, and nothing is left
// when all have gone.
func TestPlacesAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	p := New("test", Bound{All: 20, Address: 3}, nil)
	held := map[*Place]string{}
	for range 20000 {
		a := fmt.Sprintf("2001:db8:%x:%x::1", r.IntN(3), r.IntN(600))
		var one *Place
		switch r.IntN(4) {
		case 0, 1:
			if one = p.Take(addr(a), func() { delete(held, one) }); one != nil {
				held[one] = a
			}
		case 2:
			for one := range held {
				if !one.Decide() {
					t.Fatal("a held place cannot be decided")
				}
				break
			}
		case 3:
			for one := range held {
				one.Leave()
				one.Leave()
				delete(held, one)
				break
			}
		}
		counts := map[string]int{}
		for _, a := range held {
			for n, most := range Subjects(addr(a), 3) {
				if counts[n]++; counts[n] > most {
					t.Fatalf("%s holds %d places", n, counts[n])
				}
			}
		}
		if s := p.Stats(); s.Held != len(held) || s.Held > 20 {
			t.Fatalf("%d places are held, %d counted", len(held), s.Held)
		}
	}
	for one := range held {
		one.Leave()
	}
	if p.all.held != 0 || p.all.undecided.Len() != 0 || len(p.nets) != 0 {
		t.Errorf("left: %d, %d, %v", p.all.held, p.all.undecided.Len(), p.nets)
	}
}

// Rule: what the relay is slow at is done for one network after the other, and
// for those of a better rank first, however many one of them sends.
func TestNetworksTakeTurns(t *testing.T) {
	q := NewQueue("test", 1, Bound{All: 100, Address: 50}, nil)
	leave, err := q.Enter(t.Context(), addr("192.0.2.1"), Rest)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []string
	var wg sync.WaitGroup
	enter := func(name, address string, rank Rank) {
		before := q.Places().Stats().Held
		wg.Go(func() {
			leave, err := q.Enter(context.Background(), addr(address), rank)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, name)
			mu.Unlock()
			leave()
		})
		for q.waiting() < before { // one works, the others wait
			runtime.Gosched()
		}
	}
	for range 20 {
		enter("flood", "192.0.2.1", Rest)
	}
	enter("honest", "192.0.2.2", Rest)
	enter("v6", "2001:db8::1", Rest)
	enter("v6", "2001:db8:0:ffff::1", Rest)
	enter("fresh", "192.0.2.3", Fresh)
	enter("known", "192.0.2.1", Known)
	leave()
	wg.Wait()
	if !slices.Equal(order[:6], []string{"known", "fresh", "flood", "honest", "v6", "flood"}) {
		t.Errorf("served in the order %q", order)
	}
	if s := q.Places().Stats(); s.Held != 0 || q.free != 1 || q.waiting() != 0 {
		t.Errorf("left: %+v", s)
	}
}

func (q *Queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for i := range q.lines {
		for e := q.lines[i].order.Front(); e != nil; e = e.Next() {
			n += e.Value.(*line).waiting.Len()
		}
	}
	return n
}

// Rule: who waits gives way to newcomers or gives up, and its turn is not lost.
func TestWhoWaitsGivesWay(t *testing.T) {
	q := NewQueue("test", 1, Bound{All: 3, Address: 2}, nil)
	leave, err := q.Enter(t.Context(), addr("192.0.2.1"), Rest)
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		leave func()
		err   error
	}
	enter := func(ctx context.Context, address string) chan result {
		c, before := make(chan result, 1), q.waiting()
		go func() {
			leave, err := q.Enter(ctx, addr(address), Rest)
			c <- result{leave, err}
		}()
		for q.waiting() == before {
			runtime.Gosched()
		}
		return c
	}
	first := enter(t.Context(), "192.0.2.1")
	second := make(chan result, 1)
	go func() {
		leave, err := q.Enter(t.Context(), addr("192.0.2.1"), Rest)
		second <- result{leave, err}
	}()
	if r := <-first; !errors.Is(r.err, ErrBusy) {
		t.Errorf("the first that waits: %v", r.err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	third := enter(ctx, "192.0.2.3")
	cancel()
	if r := <-third; !errors.Is(r.err, context.Canceled) {
		t.Errorf("one that gave up: %v", r.err)
	}
	leave()
	r := <-second
	if r.err != nil {
		t.Fatal(r.err)
	}
	r.leave()
	if s := q.Places().Stats(); s.Held != 0 || q.free != 1 {
		t.Errorf("left: %+v, %d free", s, q.free)
	}
}
