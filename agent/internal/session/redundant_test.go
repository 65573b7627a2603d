//go:build cgo

package session

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"

	orielv1 "oriel/protocol/oriel/v1"
)

func typed(text string) *orielv1.ToDesktop {
	return &orielv1.ToDesktop{Body: &orielv1.ToDesktop_Text{Text: &orielv1.Text{Text: text}}}
}

// Whatever comes late, twice or never on the way that loses packets, each input
// is done once and in order.
func TestInputIsDoneOnceAndInOrder(t *testing.T) {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var in inputSequencer
		done := ""
		try := func(i int, reliable bool) {
			act := func() bool { done += letters[i : i+1]; return true }
			if reliable {
				in.inOrder(act)
			} else {
				in.redundant(uint32(i+1), act)
			}
		}
		for reliable := 0; reliable < len(letters); {
			if r.IntN(3) == 0 {
				try(reliable, true)
				reliable++
				continue
			}
			for i := r.IntN(len(letters)); i < len(letters); i += 1 + r.IntN(2) {
				try(i, false)
			}
		}
		if done != letters {
			t.Fatalf("done: %s", done)
		}
	}
}

func TestInputThatComesAgain(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{}, on(p))
	v := r.join(look{})
	again := v.open("again", false)
	v.wait("ready", func(m *orielv1.FromDesktop) bool { return m.GetReady() != nil })
	eventually(t, "channel", func() bool { return again.ReadyState() == webrtc.DataChannelStateOpen })
	say := func(first uint32, inputs ...*orielv1.ToDesktop) {
		t.Helper()
		b, err := orielv1.Encode(&orielv1.Again{First: first, Inputs: inputs})
		if err == nil {
			err = again.Send(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	has := func(want string) func() bool {
		return func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.typed == want
		}
	}
	// The first is lost on control, as it seems.
	say(1, typed("a"), typed("b"))
	eventually(t, "what came again only", has("ab"))
	say(4, typed("d")) // 3 is missing: it waits for control
	say(1, typed("a"))
	v.say(typed("a"))
	v.say(typed("b"))
	v.say(typed("c"))
	v.say(typed("d"))
	v.sync()
	if !has("abcd")() {
		t.Errorf("typed %q", p.typed)
	}
	// What is no input, or has no place among it, is not done.
	say(5, &orielv1.ToDesktop{Body: &orielv1.ToDesktop_Leave{Leave: &orielv1.Leave{}}})
	say(0, typed("x"))
	say(1<<32-1, typed("x"), typed("x"), typed("x"))
	if err := again.Send([]byte(strings.Repeat("x", maxRedundant+1))); err != nil {
		t.Fatal(err)
	}
	say(5, typed("e"))
	eventually(t, "the next", has("abcde"))
	v.sync()
}

func TestViewOnlyStaysSo(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{}, on(p))
	v := r.join(look{viewOnly: true})
	again := v.open("again", false)
	v.wait("ready", func(m *orielv1.FromDesktop) bool { return m.GetReady() != nil })
	eventually(t, "channel", func() bool { return again.ReadyState() == webrtc.DataChannelStateOpen })
	b, err := orielv1.Encode(&orielv1.Again{First: 1, Inputs: []*orielv1.ToDesktop{typed("a")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Send(b); err != nil {
		t.Fatal(err)
	}
	v.wait("refusal", func(m *orielv1.FromDesktop) bool { return m.GetDenied().GetScope() == orielv1.Scope_SCOPE_CONTROL })
	if n := p.done(); n != 0 {
		t.Errorf("%d acts by a viewer that may only watch", n)
	}
}

// Rule: what was dropped is said, and on the way that says it again it is dropped too.
func TestStaleInputIsSaid(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{}, on(p))
	v := r.join(look{})
	again := v.open("again", false)
	v.wait("ready", func(m *orielv1.FromDesktop) bool { return m.GetReady() != nil })
	eventually(t, "channel", func() bool { return again.ReadyState() == webrtc.DataChannelStateOpen })
	v.say(dated(90_000, typed("a")))
	v.sync()
	b, err := orielv1.Encode(&orielv1.Again{First: 2, Inputs: []*orielv1.ToDesktop{dated(80_000, typed("b"))}})
	if err == nil {
		err = again.Send(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	number := v.wait("dropped", func(m *orielv1.FromDesktop) bool { return m.GetDropped() != nil }).GetDropped().GetNumber()
	v.say(dated(80_000, typed("b")))
	v.say(dated(90_000, &orielv1.ToDesktop{Body: &orielv1.ToDesktop_Heard{Heard: &orielv1.Heard{Number: number}}}))
	v.say(dated(90_001, typed("c")))
	v.sync()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.typed != "ac" {
		t.Errorf("typed %q", p.typed)
	}
}
