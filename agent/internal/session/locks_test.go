package session

import (
	"slices"
	"testing"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

// Rule: the locks that an operator's key shows come before it, and the computer has
// its own back when the last who typed has left, however they left.
func TestLocksComeWithTheKeyAndGoWithTheOperator(t *testing.T) {
	desk := newFakeDesktop(t)
	r := start(t, Options{}, on(desk))
	one, two, watcher := r.ready(look{id: "one"}), r.ready(look{id: "two"}), r.ready(look{id: "three"})
	restored := func() int {
		desk.mu.Lock()
		defer desk.mu.Unlock()
		return desk.restored
	}
	for _, v := range []*viewer{one, two} {
		v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Key{Key: &orielv1.Key{Usage: 0x5f, Down: true, Locks: 0xfff3, Locked: 0xff02}}})
		v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Key{Key: &orielv1.Key{Usage: 0x5f, Locks: 1}}}) // a release shows none
		v.key(4, true)
		v.key(4, false)
		v.sync()
	}
	want := shownLocks{known: desktop.LockCaps | desktop.LockNum, on: desktop.LockNum}
	desk.mu.Lock()
	if !slices.Equal(desk.locks, []shownLocks{want, want}) {
		t.Errorf("locks %v, want %v twice", desk.locks, want)
	}
	desk.mu.Unlock()
	watcher.leave()
	r.expectEnd("three", orielv1.EndReason_END_REASON_OPERATOR, 0)
	one.leave()
	r.expectEnd("one", orielv1.EndReason_END_REASON_OPERATOR, 0)
	if n := restored(); n != 0 {
		t.Errorf("restored %d times while one still types", n)
	}
	two.close() // its page is gone without a word
	eventually(t, "the locks are restored", func() bool { return restored() == 1 })
}
