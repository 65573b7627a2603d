//go:build cgo

package encode

import (
	"bytes"
	"image"
	"math/rand/v2"
	"testing"
)

// plainFollow is the same as a loop: the benchmark's reference, and what follow is tested
// against.
func plainFollow(shown, img, newest, decoded, appears *Image, rects []image.Rectangle, moved int) {
	whole := moved&1 == 0 || img.Format == I444
	same := func(b, from image.Rectangle, chroma bool) bool {
		equal := func(x, y []byte, stride int, r, at image.Rectangle) bool {
			for i := range r.Dy() {
				a, b := (r.Min.Y+i)*stride, (at.Min.Y+i)*stride
				if !bytes.Equal(x[a+r.Min.X:a+r.Max.X], y[b+at.Min.X:b+at.Max.X]) {
					return false
				}
			}
			return true
		}
		c, d := img.chroma(b), img.chroma(from)
		return equal(img.Y, newest.Y, img.StrideY, b, from) &&
			(!chroma || equal(img.U, newest.U, img.StrideC, c, d) && equal(img.V, newest.V, img.StrideC, c, d))
	}
	move := func(b, from image.Rectangle, chroma bool) {
		put := func(x []byte, stride int, y []byte, other int, r, at image.Rectangle) {
			for i := range r.Dy() {
				copy(x[(r.Min.Y+i)*stride+r.Min.X:(r.Min.Y+i)*stride+r.Max.X], y[(at.Min.Y+i)*other+at.Min.X:])
			}
		}
		put(shown.Y, shown.StrideY, decoded.Y, decoded.StrideY, b, from)
		c, d, source, stride := img.chroma(b), img.chroma(from), decoded, decoded.StrideC
		if !chroma {
			d, source, stride = c, appears, appears.StrideC
		}
		put(shown.U, shown.StrideC, source.U, stride, c, d)
		put(shown.V, shown.StrideC, source.V, stride, c, d)
	}
	for _, r := range rects {
		r = img.Align(r)
		for y := r.Min.Y; y < r.Max.Y; y += 16 {
			for x := r.Min.X; x < r.Max.X; x += 16 {
				b := image.Rect(x, y, min(x+16, r.Max.X), min(y+16, r.Max.Y))
				from := b.Add(image.Pt(0, moved))
				switch {
				case same(b, b, true):
					move(b, b, true)
				case from.In(img.Bounds()) && same(b, from, whole):
					move(b, from, whole)
				default:
					shown.Copy(appears, []image.Rectangle{b})
				}
			}
		}
	}
}

// scrolledPage is a page, what it was so many rows ago, and pictures like it. Some of its
// blocks changed, in luma or only in chroma.
func scrolledPage(r *rand.Rand, format Format, size image.Point, moved int) (img, newest, decoded, appears *Image) {
	random := func() *Image {
		m := NewImage(format, size)
		for _, plane := range [][]byte{m.Y, m.U, m.V} {
			for i := range plane {
				plane[i] = byte(r.IntN(4) * 60)
			}
		}
		return m
	}
	newest, decoded, appears = random(), random(), random()
	img = NewImage(format, size)
	img.Copy(newest, []image.Rectangle{img.Bounds()})
	shift := func(to, from []byte, stride, rows, by int) {
		for y := range rows {
			if y+by >= 0 && y+by < rows {
				copy(to[y*stride:][:stride], from[(y+by)*stride:])
			}
		}
	}
	c := img.chroma(img.Bounds()).Max
	by := moved
	if format == I420 {
		by = moved / 2
	}
	shift(img.Y, newest.Y, img.StrideY, size.Y, moved)
	shift(img.U, newest.U, img.StrideC, c.Y, by)
	shift(img.V, newest.V, img.StrideC, c.Y, by)
	stands := image.Rect(size.X/3, 0, size.X/2, size.Y/2)
	img.Copy(newest, []image.Rectangle{stands})
	for range 12 {
		img.Y[r.IntN(len(img.Y))] ^= 3
		img.U[r.IntN(len(img.U))] ^= 3
		img.V[r.IntN(len(img.V))] ^= 3
	}
	return img, newest, decoded, appears
}

func TestFollowIsThePlainLoop(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for i := range 400 {
		format := []Format{I420, I444}[i%2]
		size := image.Pt(40+r.IntN(120), 40+r.IntN(120))
		moved := []int{0, 1, 2, 5, 16, 40, -7, -20, 300}[r.IntN(9)]
		img, newest, decoded, appears := scrolledPage(r, format, size, moved)
		rects := []image.Rectangle{img.Bounds()}
		if i%3 > 0 {
			at := image.Pt(r.IntN(size.X), r.IntN(size.Y))
			rects = []image.Rectangle{{at, at.Add(image.Pt(1+r.IntN(80), 1+r.IntN(80)))}, image.Rect(0, 0, 16, 3)}
		}
		got, want := NewImage(format, size), NewImage(format, size)
		follow(got, img, newest, decoded, appears, rects, moved)
		plainFollow(want, img, newest, decoded, appears, rects, moved)
		if diff := got.Changed(want); !diff.Empty() {
			t.Fatalf("%v %v moved by %d, %v: they differ in %v", format, size, moved, rects, diff)
		}
	}
}

func BenchmarkFollow(b *testing.B) {
	size := image.Pt(1920, 1080)
	img, newest, decoded, appears := scrolledPage(rand.New(rand.NewPCG(1, 2)), I420, size, 40)
	shown := NewImage(I420, size)
	page := []image.Rectangle{image.Rect(64, 64, 1344, 784)}
	for name, f := range map[string]func(shown, img, newest, decoded, appears *Image, rects []image.Rectangle, moved int){"c": follow, "go": plainFollow} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f(shown, img, newest, decoded, appears, page, 40)
			}
		})
	}
}
