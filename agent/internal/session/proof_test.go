package session

import (
	"testing"

	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

func holding(usages []uint32, buttons ...uint32) *orielv1.ToDesktop {
	return &orielv1.ToDesktop{Body: &orielv1.ToDesktop_Held{Held: &orielv1.Held{Usages: usages, Buttons: buttons}}}
}

// Rule: a held state needs proof of life: a key other than a modifier, and a button,
// that is not said to be held is released, once for all it is pressed.
func TestHeldNeedsProof(t *testing.T) {
	const a, w, shift = 4, 0x1a, 0xe1
	paper := newFakeDesktop(t)
	h, p := quiet(t, paper, orielv1.Scope_SCOPE_VIEW, orielv1.Scope_SCOPE_CONTROL)
	defer h.Close(0)
	defer p.close(nil)
	say := func(m *orielv1.ToDesktop) {
		t.Helper()
		b, err := orielv1.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		p.onControl(webrtc.DataChannelMessage{Data: b})
	}
	down := func(u desktop.Usage) bool {
		paper.mu.Lock()
		defer paper.mu.Unlock()
		return paper.keys[u]
	}
	say(keyed(w, true)) // before the viewer says that it gives proof
	if p.proof.timer != nil {
		t.Error("an old viewer is asked for proof")
	}
	say(holding(nil))
	say(keyed(shift, true))
	say(keyed(a, true))
	say(clicked(true))
	b, err := orielv1.Encode(&orielv1.Again{Held: &orielv1.Held{Usages: []uint32{w}}})
	if err != nil {
		t.Fatal(err)
	}
	wasDown := true
	eventually(t, "the key that is not named goes up", func() bool {
		p.onRedundant(webrtc.DataChannelMessage{Data: b})
		if !down(a) {
			return true
		}
		wasDown = wasDown && down(w)
		return false
	})
	if !wasDown {
		t.Error("a key that is named went up")
	}
	say(holding([]uint32{a})) // too late: it would be typed again
	if down(a) || !down(shift) {
		t.Errorf("a %v, shift %v", down(a), down(shift))
	}
	say(keyed(a, false))
	say(keyed(a, true))
	if !down(a) {
		t.Error("it cannot be pressed again")
	}
	eventually(t, "the button goes up, too", func() bool { return paper.held() == 1 })
	if !down(shift) {
		t.Error("a modifier went up")
	}
	for u := uint32(0x100); u < 0x200; u++ {
		p.proof.key(desktop.Usage(u), true)
	}
	p.proof.mu.Lock()
	defer p.proof.mu.Unlock()
	if n := len(p.proof.until); n > mostProofs {
		t.Errorf("%d are kept", n)
	}
}

// Rule: repeats are the viewer's: each is one, of a key that is down or was let go for
// want of proof. Those that come late are not done in one go.
func TestRepeatsComeInTimeOrNotAtAll(t *testing.T) {
	const a = 4
	paper := newFakeDesktop(t)
	h, p := quiet(t, paper, orielv1.Scope_SCOPE_VIEW, orielv1.Scope_SCOPE_CONTROL)
	defer h.Close(0)
	defer p.close(nil)
	repeat := func(at uint32) {
		m := dated(at, keyed(a, true))
		m.GetKey().Repeat = true
		if !p.input(m) {
			t.Fatal("refused")
		}
	}
	acts := func() (acts int, down bool) {
		paper.mu.Lock()
		defer paper.mu.Unlock()
		return paper.acts, paper.keys[a]
	}
	for _, step := range []struct {
		what string
		do   func()
		acts int
		down bool
	}{
		{"a press", func() { p.input(dated(10_000, keyed(a, true))) }, 1, true},
		{"a repeat in time", func() { repeat(10_000) }, 2, true},
		{"one that is 300 ms late", func() { repeat(9_700) }, 3, true},
		{"one that is 500 ms late", func() { repeat(9_500) }, 3, true},
		{"a release that is 500 ms late", func() { p.input(dated(9_500, keyed(a, false))) }, 4, false},
		{"a late repeat of what is up", func() { repeat(9_500) }, 4, false},
		{"a repeat in time of what was let go", func() { repeat(10_000) }, 5, true},
		{"a press that is 500 ms late", func() { p.input(dated(9_500, keyed(a, true))) }, 6, true},
	} {
		step.do()
		if n, down := acts(); n != step.acts || down != step.down {
			t.Errorf("%s: %d acts, down %v; want %d, %v", step.what, n, down, step.acts, step.down)
		}
	}
}
