package session

import (
	"context"
	"image"
	"testing"

	"github.com/pion/webrtc/v4"
	"pgregory.net/rapid"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

// Whatever three viewers do, what is down on the desktop is what one of them
// still holds, and nothing after their final release.
func TestHandsHoldTheUnion(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newFakeDesktop(t)
		var h inputArbiter
		h.attach(p)
		var who [3]holder
		var keys [3]map[desktop.Usage]bool
		for i := range keys {
			keys[i] = map[desktop.Usage]bool{}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"key": func(rt *rapid.T) {
				i, u, down := rapid.IntRange(0, 2).Draw(rt, "who"), desktop.Usage(rapid.IntRange(4, 8).Draw(rt, "key")), rapid.Bool().Draw(rt, "down")
				if err := h.key(&who[i], u, down, shownLocks{}); err != nil {
					rt.Fatal(err)
				}
				if down && !who[i].gone {
					keys[i][u] = true
				} else {
					delete(keys[i], u)
				}
			},
			"release": func(rt *rapid.T) {
				i := rapid.IntRange(0, 2).Draw(rt, "who")
				if n := h.releaseAll(&who[i], rapid.IntRange(0, 9).Draw(rt, "for good") == 0); n != len(keys[i]) {
					rt.Fatalf("released %d, held %d", n, len(keys[i]))
				}
				clear(keys[i])
			},
			"": func(rt *rapid.T) {
				union := map[desktop.Usage]bool{}
				for _, k := range keys {
					for u := range k {
						union[u] = true
					}
				}
				if p.held() != len(union) {
					rt.Fatalf("%d down, held are %v", p.held(), keys)
				}
			},
		})
		for i := range who {
			h.releaseAll(&who[i], true)
		}
		if p.held() != 0 {
			rt.Fatalf("%d still down", p.held())
		}
	})
}

func TestPlaces(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		side := rapid.IntRange(0, 16384)
		size := image.Pt(side.Draw(rt, "w"), side.Draw(rt, "h"))
		p := pixel(size, rapid.Uint32().Draw(rt, "x"), rapid.Uint32().Draw(rt, "y"))
		if size.X > 0 && size.Y > 0 && !p.In(image.Rectangle{Max: size}) {
			rt.Fatalf("%v is outside %v", p, size)
		}
		x, y := fraction(size, p)
		if size.X > 0 && size.Y > 0 && pixel(size, x, y) != p {
			rt.Fatalf("%v of %v becomes %v", p, size, pixel(size, x, y))
		}
	})
}

func TestNewestMoveWins(t *testing.T) {
	p := pointer{wake: make(chan struct{}, 1)}
	move := func(seq uint32) *orielv1.PointerMove { return &orielv1.PointerMove{Seq: seq, X: seq} }
	expect := func(what string, seq uint32) {
		t.Helper()
		if m := p.take(); m.GetSeq() != seq {
			t.Errorf("%s: %v", what, m)
		}
	}
	p.put(move(5))
	p.put(move(7))
	p.put(move(6))
	expect("newest of three", 7)
	p.put(move(7))
	expect("seen before", 0)
	p.put(move(8))
	p.overtake(9)
	expect("overtaken by a click", 0)
	p.put(move(9))
	expect("as old as the click", 0)
	p.put(move(1<<31 + 5))
	expect("far ahead", 1<<31+5)
	p.put(move(1<<32 - 1))
	p.put(move(2))
	expect("wrapped around", 2)
}

// quiet is a peer of a session on a Host that serves p, without a network.
func quiet(t testing.TB, p *fakeDesktop, scopes ...orielv1.Scope) (*Host, *peer) {
	h := NewHost(Options{
		Open: func(context.Context) (desktop.Desktop, error) { return p, nil },
		Send: func(*orielv1.FromAgent) {},
	})
	eventually(t, "the display is open", func() bool { return h.current() != nil })
	g := &orielv1.Grant{Scopes: scopes}
	return h, newPeer(newSession(h, "fuzz", g), 1, g)
}

// What comes before the offer is set is kept, within bounds.
func TestEarlyCandidatesAreBounded(t *testing.T) {
	h, p := quiet(t, newFakeDesktop(t))
	defer h.Close(0)
	for range 5 * maxCandidates {
		p.candidate(&orielv1.Candidate{Candidate: "candidate:1 1 udp 1 192.0.2.7 5 typ host"})
	}
	if len(p.remote) != maxCandidates {
		t.Errorf("%d candidates are kept", len(p.remote))
	}
}

// messages cuts data into messages: a length byte before each.
func messages(data []byte) (all [][]byte) {
	for len(data) > 0 {
		n := min(int(data[0]), len(data)-1)
		all = append(all, data[1:1+n])
		data = data[1+n:]
	}
	return all
}

func fuzz(f *testing.F, take func(*peer, webrtc.DataChannelMessage)) {
	f.Fuzz(func(t *testing.T, data []byte, control bool) {
		p := newFakeDesktop(t)
		scopes := []orielv1.Scope{orielv1.Scope_SCOPE_VIEW}
		if control {
			scopes = append(scopes, orielv1.Scope_SCOPE_CONTROL)
		}
		h, peer := quiet(t, p, scopes...)
		for _, m := range messages(data) {
			take(peer, webrtc.DataChannelMessage{Data: m})
			if m := peer.pointer.take(); m != nil {
				if err := h.input.move(&peer.holder, m.GetX(), m.GetY()); err != nil {
					t.Error(err)
				}
			}
		}
		if !control && p.done() > 0 {
			t.Error("a viewer who may only watch did something")
		}
		peer.close(nil)
		if p.held() != 0 {
			t.Errorf("%d still down", p.held())
		}
		h.Close(0)
	})
}

func seed(f *testing.F, all ...*orielv1.ToDesktop) {
	var data []byte
	for _, m := range all {
		b, err := orielv1.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		data = append(append(data, byte(len(b))), b...)
	}
	f.Add(data, true)
	f.Add(data, false)
}

func FuzzControl(f *testing.F) {
	seed(f,
		&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Key{Key: &orielv1.Key{Usage: 4, Down: true}}},
		&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Button{Button: &orielv1.PointerButton{Button: 2, Down: true, X: 1 << 31, Y: 5, Seq: 9}}},
		&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Wheel{Wheel: &orielv1.Wheel{Dx: -1 << 31, Dy: 1<<31 - 1, X: 65536, Y: 65535}}},
		&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Text{Text: &orielv1.Text{Text: "é\r\n\x00\x1b👋"}}},
		&orielv1.ToDesktop{Body: &orielv1.ToDesktop_ReleaseAll{ReleaseAll: &orielv1.ReleaseAll{}}},
		&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Stream{Stream: &orielv1.StreamSettings{Preset: 9, MaxFps: 1<<32 - 1, MaxKbps: 1<<32 - 1}}},
		&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Ping{Ping: &orielv1.Ping{Id: 1}}},
	)
	seed(f,
		&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Key{Key: &orielv1.Key{Usage: 0xe8, Down: true}}},
		&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Key{Key: &orielv1.Key{Usage: 5, Down: true}}},
		&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Button{Button: &orielv1.PointerButton{Button: 9, Down: true}}},
		&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Leave{Leave: &orielv1.Leave{}}},
		&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Key{Key: &orielv1.Key{Usage: 6, Down: true}}},
		&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Key{Key: &orielv1.Key{Usage: 1 << 20, Down: true}}},
	)
	f.Add([]byte{3, 0xff, 0xff, 0xff, 0, 1, 8}, true)
	fuzz(f, func(p *peer, m webrtc.DataChannelMessage) { p.guard(func() { p.onControl(m) }) })
}

func FuzzPointer(f *testing.F) {
	var data []byte
	for _, m := range []*orielv1.PointerMove{{Seq: 1, X: 5, Y: 6}, {Seq: 1<<32 - 1, X: 1<<32 - 1, Y: 65536}, {}} {
		b, err := orielv1.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		data = append(append(data, byte(len(b))), b...)
	}
	f.Add(data, true)
	f.Add(data, false)
	fuzz(f, func(p *peer, m webrtc.DataChannelMessage) { p.guard(func() { p.onPointer(m) }) })
}
