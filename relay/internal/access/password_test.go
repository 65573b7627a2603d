package access

import (
	"context"
	"errors"
	"net/netip"
	"testing"
)

// Rule: who floods the places where passwords are compared makes place for
// itself and for newcomers, who are not refused.
func TestPlacesForPasswordsHaveShares(t *testing.T) {
	h, err := newHasher(HashCost{MemoryKiB: 64, Passes: 1, AtOnce: 1, Waiting: 63, Address: 32}, nil)
	if err != nil {
		t.Fatal(err)
	}
	leave, err := h.enter(t.Context(), netip.MustParseAddr("192.0.2.1"), false) // one that does not end
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	flood := make(chan error)
	const sent = 200
	for i := range sent {
		from := netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i%2)})
		go func() {
			leave, err := h.enter(ctx, from, false)
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
		same, err := h.check(t.Context(), "wrong", "", netip.MustParseAddr("198.51.100.1"), true)
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
