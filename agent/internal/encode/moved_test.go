package encode

import (
	"image"
	"math/rand/v2"
	"testing"
)

// noisy fills a part with lines of text-like noise.
func noisy(img *Image, r image.Rectangle, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			img.Y[y*img.StrideY+x] = byte(rnd.IntN(2) * 200)
		}
	}
}

func moved(img *Image, r image.Rectangle, up int) *Image {
	out := NewImage(img.Format, img.Size)
	out.Copy(img, []image.Rectangle{img.Bounds()})
	for y := r.Min.Y; y < r.Max.Y; y++ {
		if from := y + up; from >= r.Min.Y && from < r.Max.Y {
			copy(out.Y[y*out.StrideY+r.Min.X:y*out.StrideY+r.Max.X], img.Y[from*img.StrideY+r.Min.X:])
		}
	}
	return out
}

func TestFreshIsWhatDidNotMove(t *testing.T) {
	size := image.Pt(800, 600)
	page := image.Rect(40, 40, 40+640, 40+480)
	old := NewImage(I420, size)
	noisy(old, page, 1)
	all := old.Detail([]image.Rectangle{page})
	for name, c := range map[string]struct {
		dirty    image.Rectangle
		draw     func() *Image
		from, to float64 // share of all
		rows     int
	}{
		"the same": {page, func() *Image { return old }, 0, 0.02, 0},
		"scrolled": {page, func() *Image {
			img := moved(old, page, 48)
			noisy(img, image.Rect(page.Min.X, page.Max.Y-48, page.Max.X, page.Max.Y), 2)
			return img
		}, 0.08, 0.14, 48},
		"scrolled down": {page, func() *Image {
			img := moved(old, page, -120)
			noisy(img, image.Rect(page.Min.X, page.Min.Y, page.Max.X, page.Min.Y+120), 2)
			return img
		}, 0.22, 0.3, -120},
		// The margins and a column that does something else are in the rectangle, too.
		"scrolled beside something": {image.Rectangle{Max: size}, func() *Image {
			img := moved(old, image.Rect(40, 40, 520, 520), 48)
			noisy(img, image.Rect(40, 472, 520, 520), 2)
			noisy(img, image.Rect(520, 40, 680, 520), 3)
			return img
		}, 0.25, 0.6, 48},
		"new": {page, func() *Image {
			img := NewImage(I420, size)
			noisy(img, page, 9)
			return img
		}, 0.98, 1.2, 0},
		"blank": {page, func() *Image { return NewImage(I420, size) }, 0, 0.02, 0},
	} {
		t.Run(name, func(t *testing.T) {
			img := c.draw()
			got, rows := img.Fresh(old, []image.Rectangle{c.dirty})
			if got /= all; got < c.from || got > c.to || rows != c.rows {
				t.Errorf("%.3f of the page is fresh, not %.2f to %.2f; moved by %d, not %d", got, c.from, c.to, rows, c.rows)
			}
		})
	}
}

// What is small is what it is.
func TestFreshOfLittleIsItsDetail(t *testing.T) {
	old := NewImage(I420, image.Pt(320, 240))
	img := NewImage(I420, old.Size)
	letter := []image.Rectangle{image.Rect(20, 20, 32, 40)}
	noisy(img, letter[0], 1)
	if got, moved := img.Fresh(old, letter); got != img.Detail(letter) || moved != 0 {
		t.Errorf("%v, moved by %d", got, moved)
	}
}

func BenchmarkFresh(b *testing.B) {
	page := image.Rect(64, 64, 64+1280, 64+720)
	old := NewImage(I420, image.Pt(1920, 1080))
	noisy(old, page, 1)
	img := moved(old, page, 40)
	rects := []image.Rectangle{page}
	b.Run("Fresh", func(b *testing.B) {
		for b.Loop() {
			img.Fresh(old, rects)
		}
	})
	b.Run("Detail", func(b *testing.B) {
		for b.Loop() {
			img.Detail(rects)
		}
	})
}
