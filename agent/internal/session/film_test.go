package session

import (
	"context"
	"errors"
	"image/color"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

// Rule: preview interval ≥ 60 s at the agent, whatever the relay's settings say.
func TestPreviewIntervalHasAFloor(t *testing.T) {
	r := start(t, Options{}, func(context.Context) (desktop.Desktop, error) { return nil, errors.New("no display") })
	for seconds, want := range map[uint32]time.Duration{
		0: 0, 1: time.Minute, 59: time.Minute, 60: time.Minute, 61: 61 * time.Second, math.MaxUint32: math.MaxUint32 * time.Second,
	} {
		r.host.Apply(&orielv1.Settings{PreviewSeconds: seconds})
		if got, _, _ := r.host.previewing(); got != want {
			t.Errorf("preview_seconds %d: every %v, want %v", seconds, got, want)
		}
	}
}

// Rule: previews are no film without a journal row: neither settings said again
// and again, nor off and on, nor a display that comes back yields a new picture.
func TestSettingsSaidAgainAreNoFilm(t *testing.T) {
	p, second := newFakeDesktop(t), newFakeDesktop(t)
	second.shade = color.RGBA{250, 250, 20, 255}
	var opened atomic.Int32
	r := start(t, Options{timing: timing{previewIn: time.Microsecond, previewMin: time.Hour, retryMin: time.Millisecond}},
		func(ctx context.Context) (desktop.Desktop, error) {
			if opened.Add(1) == 1 {
				return on(p)(ctx)
			}
			return on(second)(ctx)
		})
	r.host.Apply(&orielv1.Settings{PreviewSeconds: 1})
	eventually(t, "the first preview", func() bool { return r.shots() == 1 })
	_, first := r.shot()
	for i := range 20 {
		if i == 15 {
			p.Close()
			eventually(t, "the display came back", func() bool { s := r.host.current(); return s != nil && s.Desktop == desktop.Desktop(second) })
		}
		p.paint(color.RGBA{uint8(10 * i), 200, uint8(255 - 10*i), 255})
		before := r.shots()
		if i%5 == 0 {
			r.host.Apply(&orielv1.Settings{})
		}
		r.host.Apply(&orielv1.Settings{PreviewSeconds: uint32(1 + i)})
		eventually(t, "the preview again", func() bool { return r.shots() > before })
		if _, c := r.shot(); !near(c, first) {
			t.Fatalf("settings said %d times yield a new picture: %v after %v", i+2, c, first)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, shot := range r.previews {
		if shot.GetTakenAt() != r.previews[0].GetTakenAt() {
			t.Fatal("one picture, yet taken at two times")
		}
	}
}
