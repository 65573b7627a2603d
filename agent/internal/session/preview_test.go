package session

import (
	"image"
	"image/color"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

// picture is w×h pixels of f, with rows that are longer than the picture.
func picture(w, h int, f func(x, y int) color.RGBA) desktop.Picture {
	stride := w*4 + 12
	p := desktop.Picture{Pix: make([]byte, stride*h), Stride: stride, Size: image.Pt(w, h)}
	for y := range h {
		for x := range w {
			c := f(x, y)
			copy(p.Pix[y*stride+x*4:], []byte{c.B, c.G, c.R, 0})
		}
	}
	return p
}

func TestReduceIsTheMean(t *testing.T) {
	// Black and white columns of one pixel: any sampling would show one of them.
	p := picture(1920, 1080, func(x, _ int) color.RGBA {
		if x%2 == 0 {
			return color.RGBA{R: 255}
		}
		return color.RGBA{G: 100}
	})
	img := fit(reduce(p), orielv1.MaxPreviewSide)
	if img.Rect.Size() != image.Pt(640, 360) {
		t.Fatalf("size %v", img.Rect.Size())
	}
	for _, at := range []image.Point{{0, 0}, {320, 180}, {639, 359}} {
		if c := img.RGBAAt(at.X, at.Y); c.R < 80 || c.R > 175 || c.G < 30 || c.G > 70 || c.A != 255 {
			t.Errorf("%v at %v", c, at)
		}
	}
}

func TestAnyPictureMakesAPreview(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w, h := rapid.IntRange(1, 3000).Draw(rt, "w"), rapid.IntRange(1, 1500).Draw(rt, "h")
		noise := rapid.Bool().Draw(rt, "noise")
		p := picture(w, h, func(x, y int) color.RGBA {
			if noise {
				v := rand.Uint32()
				return color.RGBA{uint8(v), uint8(v >> 8), uint8(v >> 16), 255}
			}
			return color.RGBA{uint8(x), uint8(y), 7, 255}
		})
		out, err := compress(reduce(p))
		if err != nil {
			rt.Fatal(err)
		}
		if out.GetWidth() == 0 || out.GetHeight() == 0 || max(out.GetWidth(), out.GetHeight()) > orielv1.MaxPreviewSide || len(out.GetData()) > orielv1.MaxPreviewBytes {
			rt.Fatalf("%dx%d became %dx%d, %d bytes", w, h, out.GetWidth(), out.GetHeight(), len(out.GetData()))
		}
	})
}

func BenchmarkReduce1080p(b *testing.B) {
	p := picture(1920, 1080, func(x, y int) color.RGBA { return color.RGBA{uint8(x), uint8(y), 7, 255} })
	for b.Loop() {
		reduce(p)
	}
}
