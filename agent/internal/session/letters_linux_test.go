//go:build cgo

package session

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/desktop/xvfbtest"
	orielv1 "oriel/protocol/oriel/v1"
)

// Rule: no letter is typed twice, whatever stands still between a press and its
// release: the network for up to 1.5 s, the page for up to 1.5 s, and what says that
// keys are held is lost every third time. X repeats after 250 ms here, 30 times a second.
//
// ORIEL_LETTERS=10000 types so many; it takes about four minutes.
func TestNoLetterTwiceOnABadLink(t *testing.T) {
	letters := 200
	if s := os.Getenv("ORIEL_LETTERS"); s != "" {
		var err error
		if letters, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	const typists = 4
	var twice, missing, typed sync.Map
	t.Run("all", func(t *testing.T) {
		for i := range typists {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				sent, got := typeOnABadLink(t, letters/typists, rand.New(rand.NewPCG(uint64(i), 1)))
				n := 0
				for j := 1; j < len(got); j++ {
					if got[j] == got[j-1] {
						n++
					}
				}
				twice.Store(i, n)
				missing.Store(i, len(sent)-(len(got)-n))
				typed.Store(i, len(sent))
				// What came more than 2 s late is not typed, on a machine that has much else to do.
				if n > 0 || len(got) < len(sent)/2 {
					t.Errorf("%d letters twice\nsent %q\n got %q", n, sent, got)
				}
			})
		}
	})
	sum := func(m *sync.Map) (n int) {
		m.Range(func(_, v any) bool { n += v.(int); return true })
		return n
	}
	t.Logf("%d letters typed, %d twice, %d missing", sum(&typed), sum(&twice), sum(&missing))
}

// typeOnABadLink types letters, none like its neighbour, and returns what was meant
// and what a terminal got.
func typeOnABadLink(t *testing.T, letters int, rnd *rand.Rand) (sent, got []byte) {
	x := xvfbtest.Start(t, xvfbtest.Options{Width: 640, Height: 400})
	x.Run("xset", "r", "rate", "250", "30")
	file := filepath.Join(t.TempDir(), "typed")
	x.Command("xterm", "-title", "letters", "-e", "sh", "-c", "stty -echo -icanon min 1 time 0 -ixon -isig; : > "+file+"; exec cat >> "+file)
	x.Run("xdotool", "windowfocus", "--sync", x.Window("letters"))
	eventually(t, "cat runs", func() bool { _, err := os.Stat(file); return err == nil })

	r := start(t, Options{}, func(context.Context) (desktop.Desktop, error) {
		return desktop.Open(desktop.Options{Display: x.Display})
	})
	eventually(t, "the display", func() bool { return r.host.current() != nil })
	v := r.ready(look{scopes: []orielv1.Scope{orielv1.Scope_SCOPE_CONTROL}})
	again := v.open("again", false)
	eventually(t, "channel again", func() bool { return again.ReadyState() == webrtc.DataChannelStateOpen })

	l := &badLink{wake: make(chan struct{}, 1), end: make(chan struct{})}
	var running sync.WaitGroup
	running.Go(l.run)
	defer running.Wait()
	defer close(l.end)

	began := time.Now()
	page := newPage(l, v, again, began)
	running.Go(func() { page.sayHeld(l.end) })
	page.send(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Held{Held: &orielv1.Held{}}}, began)
	for i := range letters {
		usage := uint32(4 + i%26)
		sent = append(sent, byte('a'+i%26))
		page.key(usage, true)
		pause := 15 + rnd.IntN(40)
		if rnd.IntN(20) == 0 {
			page.still(time.Duration(300+rnd.IntN(1200)) * time.Millisecond) // between press and release
		}
		l.sleep(time.Duration(pause) * time.Millisecond)
		page.key(usage, false)
		l.sleep(time.Duration(rnd.IntN(40)) * time.Millisecond)
	}
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		got, _ = os.ReadFile(file)
		if len(got) >= len(sent) && l.empty() {
			break
		}
		l.sleep(20 * time.Millisecond)
	}
	l.sleep(time.Second) // what would be repeated has come by then
	got, _ = os.ReadFile(file)
	return sent, got
}

// page is the operator's: it may stand still, and then says nothing of what is held.
type page struct {
	link    *badLink
	v       *viewer
	again   *webrtc.DataChannel
	began   time.Time
	mu      sync.Mutex
	held    map[uint32]bool
	blocked time.Time // until then
}

func newPage(l *badLink, v *viewer, again *webrtc.DataChannel, began time.Time) *page {
	return &page{link: l, v: v, again: again, began: began, held: make(map[uint32]bool)}
}

func (p *page) send(m *orielv1.ToDesktop, at time.Time) {
	m.At = uint32(at.Sub(p.began).Milliseconds()) + 1
	p.link.put(func() { p.v.say(m) }, true)
}

func (p *page) key(usage uint32, down bool) {
	p.mu.Lock()
	if down {
		p.held[usage] = true
	} else {
		delete(p.held, usage)
	}
	wait := time.Until(p.blocked)
	p.mu.Unlock()
	p.link.sleep(wait)
	p.send(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Key{Key: &orielv1.Key{Usage: usage, Down: down}}}, time.Now())
}

func (p *page) still(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocked = time.Now().Add(d)
}

func (p *page) sayHeld(end <-chan struct{}) {
	tick := time.NewTicker(190 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-end:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		held := &orielv1.Held{}
		for u := range p.held {
			held.Usages = append(held.Usages, u)
		}
		blocked := time.Now().Before(p.blocked)
		p.mu.Unlock()
		if blocked || len(held.Usages) == 0 {
			continue
		}
		b, err := orielv1.Encode(&orielv1.Again{Held: held})
		if err != nil {
			panic(fmt.Sprint(err))
		}
		p.link.put(func() { _ = p.again.Send(b) }, false)
	}
}

// badLink delivers in order, with stalls; what need not arrive gets lost every third
// time, and always while it stands still.
type badLink struct {
	wake chan struct{}
	end  chan struct{}

	mu      sync.Mutex
	queue   []func()
	stalled bool
	lossy   int
}

func (l *badLink) put(deliver func(), reliable bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !reliable {
		if l.lossy++; l.stalled || l.lossy%3 == 0 {
			return
		}
	}
	l.queue = append(l.queue, deliver)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *badLink) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) == 0
}

// run delivers, and stands still for up to 1.5 s about once in two seconds.
func (l *badLink) run() {
	rnd := rand.New(rand.NewPCG(7, 7))
	next := time.Now().Add(time.Second)
	for {
		if time.Now().After(next) {
			l.set(true)
			l.sleep(time.Duration(100+rnd.IntN(1400)) * time.Millisecond)
			l.set(false)
			next = time.Now().Add(time.Duration(200+rnd.IntN(2500)) * time.Millisecond)
		}
		l.mu.Lock()
		var deliver func()
		if len(l.queue) > 0 {
			deliver, l.queue = l.queue[0], l.queue[1:]
		}
		l.mu.Unlock()
		if deliver != nil {
			deliver()
			continue
		}
		select {
		case <-l.end:
			return
		case <-l.wake:
		case <-time.After(time.Until(next)):
		}
	}
}

func (l *badLink) set(stalled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stalled = stalled
}

// sleep lasts so long, or until the end.
func (l *badLink) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.end:
	}
}
