//go:build cgo

package encode

import (
	"image"
	"math/rand/v2"
	"testing"
)

// plainCompare is what compare measures of luma, as a loop.
func plainCompare(img, other *Image, r image.Rectangle) (e Error) {
	var sse float64
	for y := r.Min.Y; y < r.Max.Y; y += 8 {
		for x := r.Min.X; x < r.Max.X; x += 8 {
			b := image.Rect(x, y, x+8, y+8).Intersect(r)
			sum, most := 0, 0
			for j := b.Min.Y; j < b.Max.Y; j++ {
				for i := b.Min.X; i < b.Max.X; i++ {
					d := int(img.Y[j*img.StrideY+i]) - int(other.Y[j*other.StrideY+i])
					sum, most = sum+d*d, max(most, d, -d)
				}
			}
			mse := float64(sum) / float64(b.Dx()*b.Dy())
			sse, e.Worst, e.Max, e.Pixels = sse+float64(sum), max(e.Worst, mse), max(e.Max, most), e.Pixels+b.Dx()*b.Dy()
			if mse > roughMSE || most > roughMax {
				e.Rough = e.Rough.Union(b)
			}
		}
	}
	e.MSE = sse / float64(e.Pixels)
	return e
}

// likePage is a picture of noise, and one that is the same but in places.
func likePage(r *rand.Rand, size image.Point) (img, other *Image) {
	img, other = NewImage(I420, size), NewImage(I420, size)
	for i := range img.Y {
		img.Y[i] = byte(r.Uint32())
	}
	copy(other.Y, img.Y)
	for range r.IntN(40) {
		other.Y[r.IntN(len(other.Y))] ^= byte(r.Uint32())
	}
	for range r.IntN(2000) {
		other.Y[r.IntN(len(other.Y))] ^= 1
	}
	return img, other
}

func TestCompareIsThePlainLoop(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 300 {
		size := image.Pt(1+r.IntN(500), 1+r.IntN(100))
		img, other := likePage(r, size)
		if got, want := compare(img, other, []image.Rectangle{img.Bounds()}), plainCompare(img, other, img.Bounds()); got != want {
			t.Fatalf("%v: %+v, not %+v", size, got, want)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	img, other := likePage(r, image.Pt(1280, 720))
	same, page := NewImage(I420, img.Size), []image.Rectangle{img.Bounds()}
	copy(same.Y, img.Y)
	for i := range other.Y {
		other.Y[i] ^= byte(r.IntN(8))
	}
	for name, f := range map[string]func(){
		"different": func() { compare(img, other, page) },
		"same":      func() { compare(img, same, page) },
		"go":        func() { plainCompare(img, other, img.Bounds()) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
		})
	}
}
