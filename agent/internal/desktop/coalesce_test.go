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
