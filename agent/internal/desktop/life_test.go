//go:build linux

package desktop

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jezek/xgb/xproto"
	"go.uber.org/goleak"

	"oriel/agent/internal/desktop/xvfbtest"
)

func TestServerThatDies(t *testing.T) {
	for name, busy := range map[string]bool{"while waiting": false, "while reading": true} {
		t.Run(name, func(t *testing.T) {
			// Not parallel: it counts goroutines.
			s := xvfbtest.Start(t, xvfbtest.Options{})
			before := goleak.IgnoreCurrent()
			d := openX(t, s)
			changed := d.CursorChanged()
			if _, err := d.Next(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := d.Key(0x04, true); err != nil {
				t.Fatal(err)
			}
			got := make(chan error, 1)
			go func() {
				for {
					if busy {
						d.Refresh()
					}
					if _, err := d.Next(context.Background()); err != nil {
						got <- err
						return
					}
				}
			}()
			typing := make(chan error, 1)
			go func() {
				for {
					if err := d.Text("漢字" + strings.Repeat("x", 500)); err != nil {
						typing <- err
						return
					}
				}
			}()
			s.Kill()
			if err := <-got; !errors.Is(err, ErrClosed) {
				t.Fatalf("next: %v", err)
			}
			if err := <-typing; !errors.Is(err, ErrClosed) {
				t.Fatalf("text: %v", err)
			}
			d.ReleaseAll()
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			closedForGood(t, d)
			select {
			case <-changed:
			default:
			}
			if err := goleak.Find(before); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestServerThatDoesNotAnswer(t *testing.T) {
	s := xvfbtest.Start(t, xvfbtest.Options{})
	before := goleak.IgnoreCurrent()
	d := openX(t, s)
	d.CursorChanged()
	if _, err := d.Next(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.Freeze()
	defer s.Thaw()
	d.Refresh()
	got := make(chan error, 1)
	go func() { _, err := d.Next(context.Background()); got <- err }()
	d.Key(0x04, true)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, ErrClosed) {
		t.Fatalf("next: %v", err)
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

func TestDisplayThatAppearsLater(t *testing.T) {
	first := xvfbtest.Start(t, xvfbtest.Options{})
	first.Kill()
	before := goleak.IgnoreCurrent()
	_, err := Open(Options{Display: first.Display})
	if !errors.Is(err, ErrNoDisplay) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("open: %v", err)
	}
	s := xvfbtest.Start(t, xvfbtest.Options{Display: first.Display})
	if s.Display != first.Display {
		t.Fatalf("server on %s, want %s", s.Display, first.Display)
	}
	d := openX(t, s)
	if p, err := d.Next(context.Background()); err != nil || p.Size != image.Pt(1280, 720) {
		t.Fatalf("next: %v %v", p.Size, err)
	}
	if want := "x11 " + s.Display; d.Name() != want {
		t.Errorf("name %q", d.Name())
	}
	d.Close()
	s.Kill()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

func TestOpenWithoutADisplay(t *testing.T) {
	t.Setenv("DISPLAY", "")
	for _, o := range []Options{{}, {Portable: true}, {Display: "nonsense"}, {Display: ":77777777"}, {Display: ":0.999"},
		{Display: "weird/host:1"}, {Display: ":-1"}, {Display: "a\nb:"}} {
		d, err := Open(o)
		if !errors.Is(err, ErrNoDisplay) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v, %v", o, d, err)
		}
	}
}

func TestOpenTakesTheDisplayOfTheEnvironment(t *testing.T) {
	s := xvfbtest.Start(t, xvfbtest.Options{})
	t.Setenv("DISPLAY", s.Display)
	d, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
}

func TestOpenUsesTheCookie(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good"), filepath.Join(dir, "bad")
	cookie := bytes.Repeat([]byte{0x5a}, 16)
	host, _ := os.Hostname()
	os.WriteFile(good, authority(
		entry{0, []byte{10, 0, 0, 1}, "0", "MIT-MAGIC-COOKIE-1", bytes.Repeat([]byte{1}, 16)},
		entry{256, []byte(host), "", "XDM-AUTHORIZATION-1", bytes.Repeat([]byte{2}, 16)},
		entry{256, []byte("elsewhere"), "", "MIT-MAGIC-COOKIE-1", bytes.Repeat([]byte{3}, 16)},
		entry{256, []byte(host), "9999", "MIT-MAGIC-COOKIE-1", bytes.Repeat([]byte{4}, 16)},
		entry{256, []byte(host), "", "MIT-MAGIC-COOKIE-1", cookie},
	), 0o600)
	os.WriteFile(bad, authority(entry{65535, nil, "", "MIT-MAGIC-COOKIE-1", bytes.Repeat([]byte{9}, 16)}), 0o600)
	s := xvfbtest.Start(t, xvfbtest.Options{Authority: good})
	if _, err := Open(Options{Display: s.Display, XAuthority: bad}); !errors.Is(err, ErrNoDisplay) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("with a wrong cookie: %v", err)
	}
	d, err := Open(Options{Display: s.Display, XAuthority: good})
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
}

type entry struct {
	family  uint16
	address []byte
	display string
	name    string
	data    []byte
}

func authority(entries ...entry) []byte {
	var b []byte
	for _, e := range entries {
		b = binary.BigEndian.AppendUint16(b, e.family)
		for _, field := range [][]byte{e.address, []byte(e.display), []byte(e.name), e.data} {
			b = binary.BigEndian.AppendUint16(b, uint16(len(field)))
			b = append(b, field...)
		}
	}
	return b
}

// A grab by somebody else (a menu, a window being dragged) must not keep out
// the button-up that ends it.
func TestInputPassesAGrab(t *testing.T) {
	t.Parallel()
	s := xvfbtest.Start(t, xvfbtest.Options{})
	d := openX(t, s)
	p := newPainter(t, s)
	p.focus()
	p.grabServer()
	for _, down := range []bool{true, false} {
		if err := d.Button(ButtonLeft, down); err != nil {
			t.Fatal(err)
		}
	}
	p.wait(5) // the release
}

// Motion of a device is news without anybody asking for it.
func TestMotionNeedsNoPolling(t *testing.T) {
	t.Parallel()
	s := xvfbtest.Start(t, xvfbtest.Options{})
	d := openX(t, s)
	changed := d.CursorChanged()
	eventually(t, "the pointer's watcher sleeps", func() bool { return d.pointer.idle.Load() })
	for len(changed) > 0 {
		<-changed
	}
	s.Run("xdotool", "mousemove_relative", "--", "7", "7")
	eventually(t, "word of the motion", func() bool { return len(changed) > 0 })
}

// What nobody looks at costs nothing: one event, whatever happens.
func TestUnwatchedDesktopIsQuiet(t *testing.T) {
	t.Parallel()
	r := startX(t, xvfbtest.Options{})
	d := r.Desktop.(*x11)
	w := &watcher{d: d}
	w.next(t)
	w.settled(t, r)
	r.change()
	eventually(t, "the first event", d.damaged.Load)
	d.damaged.Store(false)
	for range 50 {
		r.change()
	}
	if err := d.sync(); err != nil {
		t.Fatal(err)
	}
	if d.damaged.Load() {
		t.Error("damage was reported again before anybody took it")
	}
	d.damaged.Store(true)
	w.settled(t, r)
}

// Close does not wait for the end of a long text, and leaves all as it was.
func TestCloseStopsText(t *testing.T) {
	t.Parallel()
	s := xvfbtest.Start(t, xvfbtest.Options{})
	p := newPainter(t, s)
	p.focus()
	before := p.keymap()
	d := openX(t, s)
	d.Key(0xe1, true)
	var sb strings.Builder
	for r := range rune(maxText) {
		sb.WriteRune(0x4e00 + r)
	}
	typed := make(chan error, 1)
	go func() { typed <- d.Text(sb.String()) }()
	p.wait(xproto.KeyPress)
	done := make(chan struct{})
	defer close(done)
	go func() { // more than the painter would hold
		for {
			select {
			case <-p.events:
			case <-done:
				return
			}
		}
	}()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-typed; !errors.Is(err, ErrClosed) {
		t.Errorf("text: %v", err)
	}
	if down := p.keysDown(); down != nil {
		t.Errorf("still down: %v", down)
	}
	if !slices.Equal(p.keymap(), before) {
		t.Error("the keyboard map is not restored")
	}
}
