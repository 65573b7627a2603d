//go:build cgo

package session

import (
	"context"
	"testing"
	"time"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/desktop/xvfbtest"
	orielv1 "oriel/protocol/oriel/v1"
)

func TestXDisplayDiesAndComesBack(t *testing.T) {
	x := xvfbtest.Start(t, xvfbtest.Options{Width: 800, Height: 600, Openbox: true})
	display := x.Display
	r := start(t, Options{timing: timing{retryMin: 20 * time.Millisecond}}, func(context.Context) (desktop.Desktop, error) {
		return desktop.Open(desktop.Options{Display: display})
	})
	eventually(t, "the display", func() bool { return r.host.current() != nil }) // Ready names it only then
	v := r.ready(look{})
	if d := v.wait("ready", func(m *orielv1.FromDesktop) bool { return m.GetReady() != nil }).GetReady(); d.GetDesktop() != "x11 "+display || d.GetScreen().GetHeight() != 600 {
		t.Errorf("ready: %v", d)
	}
	v.still()
	// The window manager's menu opens on the bare screen.
	v.changes("the menu", func() {
		v.button(2, true, 0x4000, 0x4000)
		v.button(2, false, 0x4000, 0x4000)
	})
	v.still()
	v.changes("the menu's end", func() {
		v.key(0x29, true)
		v.key(0x29, false)
	})
	v.wait("cursor shape", func(m *orielv1.FromDesktop) bool { return m.GetCursorShape().GetWidth() > 0 })
	v.key(0xe1, true)
	v.sync()

	x.Kill()
	v.wait("that the display is gone", func(m *orielv1.FromDesktop) bool {
		return m.GetDisplay() != nil && !m.GetDisplay().GetAvailable()
	})
	eventually(t, "the status", func() bool { return r.status().GetDisplay() == orielv1.Status_DISPLAY_NONE })

	again := xvfbtest.Start(t, xvfbtest.Options{Width: 640, Height: 480, Display: display, Openbox: true, XTerm: true})
	if again.Display != display {
		t.Fatalf("the second server is at %s", again.Display)
	}
	v.wait("that it is back", func(m *orielv1.FromDesktop) bool { return m.GetDisplay().GetAvailable() })
	v.wait("the new size", func(m *orielv1.FromDesktop) bool { return m.GetScreen().GetWidth() == 640 })
	eventually(t, "a picture of the new size", func() bool {
		img, _ := v.seen()
		return img != nil && img.Size.X == 640
	})
	again.Run("xdotool", "windowfocus", "--sync", again.Window("xvfbtest"))
	v.still()
	v.changes("what was typed", func() { v.text("echo WWWWWW WWWWWW") })
	v.leave()
	r.expectEnd("s1", orielv1.EndReason_END_REASON_OPERATOR, 0)
}
