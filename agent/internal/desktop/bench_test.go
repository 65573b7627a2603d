//go:build linux && x11

package desktop

import (
	"context"
	"image"
	"testing"

	"github.com/kbinani/screenshot"

	"oriel/agent/internal/desktop/xvfbtest"
)

// BenchmarkCapture reads a screen of 1920×1080: whole; whole because somebody
// painted all of it; a window's part of it; and as the portable way does.
func BenchmarkCapture(b *testing.B) {
	s := xvfbtest.Start(b, xvfbtest.Options{Width: 1920, Height: 1080})
	b.Setenv("DISPLAY", s.Display)
	next := func(b *testing.B, d Desktop) {
		if _, err := d.Next(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("whole", func(b *testing.B) {
		d := openX(b, s)
		b.ReportAllocs()
		for b.Loop() {
			d.Refresh()
			next(b, d)
		}
		d.Close()
	})
	for name, r := range map[string]image.Rectangle{
		"painted 1920x1080": image.Rect(0, 0, 1920, 1080), "painted 400x200": image.Rect(300, 300, 700, 500),
	} {
		b.Run(name, func(b *testing.B) {
			p := newPainter(b, s)
			d := openX(b, s)
			next(b, d)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				p.fill(r)
				b.StartTimer()
				next(b, d)
			}
			d.Close()
		})
	}
	b.Run("repainted the same", func(b *testing.B) {
		p := newPainter(b, s)
		d := openX(b, s)
		p.fill(image.Rect(0, 0, 1920, 1080))
		next(b, d)
		for b.Loop() {
			b.StopTimer()
			p.again()
			b.StartTimer()
			d.damaged.Store(true)
			if dirty, err := d.readDamage(); err != nil || len(dirty) != 0 {
				b.Fatal(dirty, err)
			}
		}
		d.Close()
	})
	b.Run("kbinani", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := screenshot.CaptureDisplay(0); err != nil {
				b.Fatal(err)
			}
		}
	})
}
