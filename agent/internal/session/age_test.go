package session

import (
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

func dated(at uint32, m *orielv1.ToDesktop) *orielv1.ToDesktop {
	m.At = at
	return m
}

func keyed(u uint32, down bool) *orielv1.ToDesktop {
	return &orielv1.ToDesktop{Body: &orielv1.ToDesktop_Key{Key: &orielv1.Key{Usage: u, Down: down}}}
}

func clicked(down bool) *orielv1.ToDesktop {
	return &orielv1.ToDesktop{Body: &orielv1.ToDesktop_Button{Button: &orielv1.PointerButton{Down: down}}}
}

// Rule: input older than 2 s on arrival is dropped; what releases is still carried
// out, so that nothing stays pressed.
func TestInputGetsStale(t *testing.T) {
	const enter, c, control = 0x28, 0x06, 0xe0
	wheel := &orielv1.ToDesktop{Body: &orielv1.ToDesktop_Wheel{Wheel: &orielv1.Wheel{Dy: 120}}}
	heard := &orielv1.ToDesktop{Body: &orielv1.ToDesktop_Heard{Heard: &orielv1.Heard{Number: 1}}}
	all := &orielv1.ToDesktop{Body: &orielv1.ToDesktop_ReleaseAll{ReleaseAll: &orielv1.ReleaseAll{}}}
	// Each time is that of the viewer's clock, and all come at about one moment: the
	// first, of 90 s, is the fastest.
	now := dated(90_000, typed("."))
	for name, test := range map[string]struct {
		said  []*orielv1.ToDesktop
		typed string
		held  []desktop.Usage
	}{
		"a second is not too old":            {[]*orielv1.ToDesktop{dated(89_000, typed("a"))}, ".a", nil},
		"three are":                          {[]*orielv1.ToDesktop{dated(87_000, typed("a"))}, ".", nil},
		"Enter":                              {[]*orielv1.ToDesktop{dated(87_000, keyed(enter, true)), dated(87_100, keyed(enter, false))}, ".", nil},
		"a click":                            {[]*orielv1.ToDesktop{dated(87_000, clicked(true))}, ".", nil},
		"the wheel":                          {[]*orielv1.ToDesktop{dated(87_000, wheel)}, ".", nil},
		"no command without its beginning":   {[]*orielv1.ToDesktop{dated(87_000, typed("rm a")), dated(89_900, typed("b")), dated(89_990, keyed(enter, true))}, ".", nil},
		"until the viewer knows":             {[]*orielv1.ToDesktop{dated(87_000, typed("a")), dated(90_000, heard), dated(90_000, typed("b"))}, ".b", nil},
		"a key that is held goes up":         {[]*orielv1.ToDesktop{dated(90_000, keyed(c, true)), dated(87_000, keyed(c, false))}, ".", nil},
		"all goes up":                        {[]*orielv1.ToDesktop{dated(90_000, keyed(c, true)), dated(87_000, all)}, ".", nil},
		"a modifier waits for what it is of": {[]*orielv1.ToDesktop{dated(87_000, keyed(control, true)), dated(90_000, heard), dated(90_000, keyed(c, true))}, ".", []desktop.Usage{control, c}},
		"and is forgotten when it goes up":   {[]*orielv1.ToDesktop{dated(87_000, keyed(control, true)), dated(87_100, keyed(control, false)), dated(90_000, heard), dated(90_000, keyed(c, true))}, ".", []desktop.Usage{c}},
		"an old viewer says no time":         {[]*orielv1.ToDesktop{typed("a")}, ".a", nil},
	} {
		t.Run(name, func(t *testing.T) {
			paper := newFakeDesktop(t)
			h, p := quiet(t, paper, orielv1.Scope_SCOPE_VIEW, orielv1.Scope_SCOPE_CONTROL)
			defer h.Close(0)
			defer p.close(nil)
			for _, m := range append([]*orielv1.ToDesktop{now}, test.said...) {
				b, err := orielv1.Encode(m)
				if err != nil {
					t.Fatal(err)
				}
				p.onControl(webrtc.DataChannelMessage{Data: b})
			}
			paper.mu.Lock()
			defer paper.mu.Unlock()
			if paper.typed != test.typed || len(paper.keys)+len(paper.buttons) != len(test.held) {
				t.Errorf("typed %q, held %v %v", paper.typed, paper.keys, paper.buttons)
			}
			for _, u := range test.held {
				if !paper.keys[u] {
					t.Errorf("%#x is not held", u)
				}
			}
		})
	}
}

// Rule: clocks of browser and agent differ, so age is what a message took longer than
// the fastest of late, put right by the channel's own round trip.
func TestAgesOfTwoClocks(t *testing.T) {
	var a ages
	start := time.Now()
	at := func(ms int64) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	if age := a.take(at(5_000), 77_000); age != 0 {
		t.Errorf("the first is %v old", age)
	}
	if age := a.take(at(8_000), 77_000); age != 3*time.Second {
		t.Errorf("said together, come 3 s apart: %v", age)
	}
	if age := a.take(at(8_000), 80_100); age != 0 {
		t.Errorf("faster than any before: %v", age)
	}
	// A minute's drift of 100 in a million, for a day: never more than what one window makes.
	for minute := range int64(24 * 60) {
		viewer := uint32(80_100 + minute*60_000 - minute*6)
		if age := a.take(at(8_000+minute*60_000), viewer); age > 100*time.Millisecond {
			t.Fatalf("%v old after %d minutes", age, minute)
		}
	}
	// The viewer's clock stood still for ten seconds: one key is lost, no more.
	now, viewer := int64(8_000+1440*60_000+10_000), uint32(80_100+1440*60_000-1440*6)
	stale, number := a.stale(at(now), viewer)
	if !stale || number != 1 {
		t.Errorf("%v %d", stale, number)
	}
	if stale, number := a.stale(at(now+10), viewer+10); !stale || number != 0 {
		t.Errorf("before the viewer knows: %v %d", stale, number)
	}
	a.heard(at(now+80), 7, viewer+40)
	if stale, _ := a.stale(at(now+80), viewer+40); !stale {
		t.Error("another's answer counts")
	}
	a.heard(at(now+80), 1, viewer+40)
	if stale, _ := a.stale(at(now+90), viewer+50); stale {
		t.Error("the clock is not put right")
	}
	if stale, _ := a.stale(at(now+4_090), viewer+50); !stale {
		t.Error("and then nothing is too old")
	}
}
