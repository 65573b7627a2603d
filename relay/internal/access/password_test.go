package access

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"oriel/relay/internal/share"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: who floods the places where passwords are compared makes place for
// itself and for newcomers, who are not refused.
func TestPlacesForPasswordsHaveShares(t *testing.T) {
	h, err := newHasher(HashCost{MemoryKiB: 64, Passes: 1, AtOnce: 1, Waiting: 63, Address: 32}, nil)
	if err != nil {
		t.Fatal(err)
	}
	leave, err := h.enter(t.Context(), netip.MustParseAddr("192.0.2.1"), share.Rest) // one that does not end
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	flood := make(chan error)
	const sent = 200
	for i := range sent {
		from := netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i%2)})
		go func() {
			leave, err := h.enter(ctx, from, share.Rest)
			if err == nil {
				leave()
			}
			flood <- err
		}()
	}
	for range sent - 63 { // whoever has no place is told
		if err := <-flood; !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
	}
	done := make(chan error)
	go func() {
		same, err := h.check(t.Context(), "wrong", "", netip.MustParseAddr("198.51.100.1"), share.Known)
		if same {
			err = errors.New("a wrong password is right")
		}
		done <- err
	}()
	if err := <-flood; !errors.Is(err, ErrBusy) { // the newcomer has its place
		t.Fatal(err)
	}
	leave()
	if err := <-done; err != nil {
		t.Errorf("the newcomer: %v", err)
	}
	stop()
	for range 62 {
		<-flood
	}
}

// Rule: who guesses at full speed waits behind people whose network has hardly tried yet, and somebody who
// mistypes a password does not.
func TestWhoGuessesWaitsBehindOthers(t *testing.T) {
	a, err := New(t.Context(), storetest.Open(t, storetest.SQLite(t)), Options{Hash: HashCost{MemoryKiB: 64, Passes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	for i, login := range []string{"a", "b", "c", "d", "e"} {
		want := share.Fresh
		if i >= freshTries {
			want = share.Rest
		}
		try, err := a.begin(t.Context(), login, []store.Login{}, Client{Address: "192.0.2.1"})
		if err != nil || try.rank != want {
			t.Errorf("try %d: rank %d, %v", i, try.rank, err)
		}
	}
	if try, err := a.begin(t.Context(), "a", nil, Client{Address: "192.0.2.2"}); err != nil || try.rank != share.Fresh {
		t.Errorf("another network: rank %d, %v", try.rank, err)
	}
}
