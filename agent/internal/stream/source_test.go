//go:build cgo

package stream

import (
	"image"
	"testing"
	"time"

	"oriel/agent/internal/encode"
)

// Whoever has all of the picture read again, as each minute's thumbnail does, has nothing
// encoded that did not change.
func TestRefreshedIsNotChanged(t *testing.T) {
	d := newScript(image.Pt(320, 200))
	src := newSource(d)
	take, err := src.attach(encode.I420)
	if err != nil {
		t.Fatal(err)
	}
	defer src.detach(take)
	var img *encode.Image
	next := func() snapshot {
		take.want(time.Now())
		<-take.ready
		return take.snapshot(&img)
	}
	if got := next(); len(got.dirty) != 1 || got.dirty[0] != img.Bounds() {
		t.Fatalf("the first picture: %v", got.dirty)
	}
	d.Refresh()
	if got := next(); len(got.dirty) > 0 || take.pending() {
		t.Errorf("nothing changed: %v", got.dirty)
	}
	where := image.Rect(100, 60, 140, 80)
	d.mu.Lock()
	for y := where.Min.Y; y < where.Max.Y; y++ {
		for x := where.Min.X; x < where.Max.X; x++ {
			o := d.pic.PixOffset(x, y)
			for i := range 3 {
				d.pic.Pix[o+i] ^= 0xff
			}
		}
	}
	d.mu.Unlock()
	d.Refresh()
	if got := next(); len(got.dirty) != 1 || got.dirty[0] != where {
		t.Errorf("%v changed: %v", where, got.dirty)
	}
}
