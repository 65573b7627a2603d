package session

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

// Rule: the viewer is told what the computer's display lacks, at the beginning and
// when that changes; input that it does not take is refused in a sentence.
func TestTellsWhatTheDisplayLacks(t *testing.T) {
	desk := newFakeDesktop(t)
	desk.lacks = desktop.LacksInput | desktop.LacksSharedMemory
	r := start(t, Options{}, on(desk))
	eventually(t, "the display", func() bool { return r.host.current() != nil })
	v := r.ready(look{})
	ready := v.wait("ready", func(m *orielv1.FromDesktop) bool { return m.GetReady() != nil }).GetReady()
	if want := []orielv1.Lack{orielv1.Lack_LACK_INPUT, orielv1.Lack_LACK_SHARED_MEMORY}; !slices.Equal(ready.GetLacks(), want) {
		t.Errorf("it lacks %v, want %v", ready.GetLacks(), want)
	}
	v.key(4, true)
	denied := v.wait("denied", func(m *orielv1.FromDesktop) bool { return m.GetDenied() != nil }).GetDenied()
	if !strings.Contains(denied.GetDetail(), "takes no keys") {
		t.Errorf("denied in these words: %q", denied.GetDetail())
	}
	desk.mu.Lock()
	if desk.acts != 0 {
		t.Errorf("%d acts", desk.acts)
	}
	desk.lacks = desktop.LacksDamage | desktop.LacksPointerShape
	desk.mu.Unlock()
	desk.setCursor(func(*desktop.Cursor) {})
	v.wait("what it lacks now", func(m *orielv1.FromDesktop) bool {
		return m.GetDisplay().GetAvailable() &&
			slices.Equal(m.GetDisplay().GetLacks(), []orielv1.Lack{orielv1.Lack_LACK_DAMAGE, orielv1.Lack_LACK_POINTER_SHAPE})
	})
	v.key(4, true)
	v.key(4, false)
	v.sync()
	desk.mu.Lock()
	defer desk.mu.Unlock()
	if desk.acts == 0 {
		t.Error("no key arrives")
	}
}

// Rule: a desktop on Wayland is not shown black: the viewer hears why there is none.
func TestTellsThatTheDesktopIsWayland(t *testing.T) {
	r := start(t, Options{}, func(context.Context) (desktop.Desktop, error) {
		return nil, fmt.Errorf("open display :0: %w", desktop.ErrWayland)
	})
	v := r.ready(look{})
	v.wait("that there is no display, and why", func(m *orielv1.FromDesktop) bool {
		return m.GetDisplay() != nil && !m.GetDisplay().GetAvailable() && strings.Contains(m.GetDisplay().GetDetail(), "Wayland")
	})
	eventually(t, "the status", func() bool { return strings.Contains(r.status().GetDetail(), "Wayland") })
}
