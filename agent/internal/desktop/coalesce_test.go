package desktop

import (
	"image"
	"math/rand/v2"
	"testing"
)

// margins is what differs in a page of text that scrolls: every tile of it, but
// for a margin.
func margins(r *rand.Rand, page image.Rectangle) []image.Rectangle {
	var boxes []image.Rectangle
	for y := page.Min.Y; y < page.Max.Y; y += tileH {
		for x := page.Min.X; x < page.Max.X; x += tileW {
			boxes = append(boxes, image.Rect(x+r.IntN(4), y+r.IntN(4), x+tileW-r.IntN(4), y+tileH-r.IntN(4)))
		}
	}
	return boxes
}

func TestCoalesceOfATextThatScrolls(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	page := image.Rect(64, 64, 1344, 64+23*tileH)
	if got := coalesce(margins(r, page), maxDirty); len(got) != 1 || !got[0].In(page) {
		t.Errorf("%d rectangles for one page: %v", len(got), got)
	}
	// What lies far apart stays apart.
	var boxes []image.Rectangle
	for range 400 {
		at := image.Pt(r.IntN(1900), r.IntN(1060))
		boxes = append(boxes, image.Rectangle{at, at.Add(image.Pt(8, 8))})
	}
	got := coalesce(append([]image.Rectangle(nil), boxes...), maxDirty)
	if len(got) > maxDirty {
		t.Errorf("%d rectangles", len(got))
	}
	for _, b := range boxes {
		if !inAny(b.Min, got) || !inAny(b.Max.Sub(image.Pt(1, 1)), got) {
			t.Errorf("%v is lost", b)
		}
	}
}

func BenchmarkCoalesceScroll(b *testing.B) {
	boxes := margins(rand.New(rand.NewPCG(1, 2)), image.Rect(64, 64, 1344, 784))
	for b.Loop() {
		coalesce(append([]image.Rectangle(nil), boxes...), maxDirty)
	}
}

func BenchmarkCoalesceScattered(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var boxes []image.Rectangle
	for range 400 {
		at := image.Pt(r.IntN(1900), r.IntN(1060))
		boxes = append(boxes, image.Rectangle{at, at.Add(image.Pt(8, 8))})
	}
	for b.Loop() {
		coalesce(append([]image.Rectangle(nil), boxes...), maxDirty)
	}
}

// Text with a ragged margin is looked at once, and not where rectangles overlap twice.
func TestCoalesceCoversLittleTwice(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 200 {
		var boxes []image.Rectangle
		for y := 64; y < 784; y += tileH {
			for x, end := 64, 640+r.IntN(704); x < end; x += tileW {
				box := image.Rect(x, y, x+tileW, y+tileH)
				switch r.IntN(4) {
				case 0:
					box.Min.Y += r.IntN(20)
				case 1:
					box.Max.Y -= r.IntN(20)
				case 2:
					box.Max.X -= r.IntN(12)
				}
				boxes = append(boxes, box)
			}
		}
		var all image.Rectangle
		sum := 0
		for _, r := range coalesce(boxes, maxDirty) {
			all, sum = all.Union(r), sum+area(r)
		}
		if sum > area(all) {
			t.Errorf("text %d: %d pixels of rectangles in %v, which has %d", i, sum, all, area(all))
		}
	}
}
