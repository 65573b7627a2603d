//go:build cgo

package stream

import (
	"context"
	"image"
	"testing"
	"time"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/desktop/xvfbtest"
	"oriel/agent/internal/encode"
	"oriel/agent/internal/encode/decodetest"
)

// A real X display, a real peer: what the peer shows is what a second
// connection to the display reads.
func TestRealDisplayReachesThePeer(t *testing.T) {
	x := xvfbtest.Start(t, xvfbtest.Options{Width: 1024, Height: 700, XTerm: true})
	open := func() desktop.Desktop {
		d, err := desktop.Open(desktop.Options{Display: x.Display})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		return d
	}
	watched, truth := open(), open()
	eachCodec(t, func(t *testing.T, c encode.Codec) {
		s := New(watched, c, Options{})
		defer s.Close()
		v, _ := session(t, s)
		look := func() *encode.Image {
			truth.Refresh()
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			p, err := truth.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return planes(t, p.Pix, p.Stride, p.Size)
		}
		eventually(t, "the display is shown", func() bool { return v.likeness(look()) > 46 })
		for _, text := range []string{"seq 1 3000\n", "ls -la /usr/bin | head -400\n", "clear\n"} {
			before := look()
			if err := watched.Text(text); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the display is shown after "+text, func() bool {
				now := look()
				return decodetest.PSNR(before, now, now.Bounds()) < 40 && v.likeness(now) > 46
			})
		}
	})
}

// The demo desktop has a clock: one small frame a second and no more.
func TestDemoReachesThePeer(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	d := &recorded{Desktop: desktop.Demo(image.Pt(1280, 720), desktop.StopClock(now)), pic: make(chan *encode.Image, 1)}
	defer d.Close()
	s := New(d, encode.AV1, Options{})
	defer s.Close()
	v, _ := session(t, s)
	eventually(t, "the demo is shown", func() bool { p := d.last(); return p != nil && v.likeness(p) > 46 })
	for range 5 {
		if err := d.Text("what is typed"); err != nil {
			t.Fatal(err)
		}
		if err := d.Wheel(0, 240); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the demo's answer is shown", func() bool { return v.likeness(d.last()) > 46 })
	}
}

// recorded remembers the last picture of a desktop that cannot be opened twice.
type recorded struct {
	desktop.Desktop
	pic chan *encode.Image // capacity 1
}

func (r *recorded) Next(ctx context.Context) (desktop.Picture, error) {
	p, err := r.Desktop.Next(ctx)
	if err == nil {
		img := encode.NewImage(encode.I420, p.Size)
		if err := encode.Convert(img, encode.Picture{Pix: p.Pix, Stride: p.Stride, Size: p.Size}, []image.Rectangle{img.Bounds()}); err != nil {
			return p, err
		}
		select {
		case <-r.pic:
		default:
		}
		r.pic <- img
	}
	return p, err
}

func (r *recorded) last() *encode.Image {
	select {
	case img := <-r.pic:
		select {
		case r.pic <- img:
		default: // a newer one came
		}
		return img
	default:
		return nil
	}
}
