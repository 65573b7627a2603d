//go:build cgo

package encode_test

import (
	"image"
	"testing"

	"oriel/agent/internal/encode"
	"oriel/agent/internal/encode/decodetest"
)

// The converter is held to a loop that says what BT.601 is, also at odd sizes.
func TestConvertIsBT601(t *testing.T) {
	for _, size := range []image.Point{{64, 48}, {63, 47}, {1, 1}, {130, 3}} {
		s := newScreen(size)
		s.video(s.pix.Rect, 3)
		got, want := encode.NewImage(encode.I420, size), encode.NewImage(encode.I420, size)
		convert(t, got, s, s.pix.Rect)
		plainConvert(want, s.picture(), s.pix.Rect)
		if most, at := decodetest.Furthest(want, got, want.Bounds()); most > 1 {
			t.Errorf("%v: luma off by %d at %v", size, most, at)
		}
		if most := decodetest.FurthestChroma(want, got); most > 2 {
			t.Errorf("%v: chroma off by %d", size, most)
		}
	}
}

// Only the rectangles are touched, and they are what a whole conversion gives.
func TestConvertOnlyWhatChanged(t *testing.T) {
	for _, format := range []encode.Format{encode.I420, encode.I444} {
		size := image.Pt(161, 99)
		s := newScreen(size)
		s.page()
		part := encode.NewImage(format, size)
		convert(t, part, s, s.pix.Rect)
		for range 200 {
			convert(t, part, s, s.change())
		}
		whole := encode.NewImage(format, size)
		convert(t, whole, s, s.pix.Rect)
		if most, at := decodetest.Furthest(whole, part, whole.Bounds()); most > 0 {
			t.Errorf("luma differs by %d at %v", most, at)
		}
		if most := decodetest.FurthestChroma(whole, part); most > 0 {
			t.Errorf("chroma differs by %d", most)
		}
		copied := encode.NewImage(format, size)
		copied.Copy(whole, []image.Rectangle{image.Rect(-5, 0, 81, 200), image.Rect(81, 0, 161, 99)})
		if most, at := decodetest.Furthest(whole, copied, whole.Bounds()); most > 0 || decodetest.FurthestChroma(whole, copied) > 0 {
			t.Errorf("copy differs by %d at %v", most, at)
		}

		before := encode.NewImage(format, size)
		convert(t, before, s, image.Rect(40, 40, 60, 60))
		black := encode.NewImage(format, size)
		for _, outside := range []image.Rectangle{image.Rect(0, 0, 161, 40), image.Rect(0, 60, 161, 99), image.Rect(0, 0, 40, 99), image.Rect(60, 0, 161, 99)} {
			if most, at := decodetest.Furthest(black, before, outside); most > 0 {
				t.Errorf("a pixel outside was touched: %v", at)
			}
		}
	}
}

func TestConvertRefuses(t *testing.T) {
	img := encode.NewImage(encode.I420, image.Pt(16, 16))
	all := []image.Rectangle{img.Bounds()}
	for name, p := range map[string]encode.Picture{
		"too few bytes":  {Pix: make([]byte, 4*16*16-1), Stride: 64, Size: image.Pt(16, 16)},
		"a short stride": {Pix: make([]byte, 4*16*16), Stride: 63, Size: image.Pt(16, 16)},
		"another size":   {Pix: make([]byte, 4*16*32), Stride: 64, Size: image.Pt(16, 32)},
		"no size":        {},
		"too large":      {Pix: make([]byte, 16), Stride: 1 << 20, Size: image.Pt(1<<18, 1)},
	} {
		if encode.Convert(img, p, all) == nil {
			t.Errorf("%s: no error", name)
		}
	}
	p := encode.Picture{Pix: make([]byte, 4*16*16), Stride: 64, Size: image.Pt(16, 16)}
	if err := encode.Convert(img, p, []image.Rectangle{image.Rect(-9, -9, 99, 99), {}, image.Rect(20, 20, 30, 30)}); err != nil {
		t.Errorf("rectangles beyond the picture are clipped: %v", err)
	}
}

// A half is the mean of four pixels, at odd edges of what is there, wherever it is made anew.
func TestHalveIsTheMean(t *testing.T) {
	for _, format := range []encode.Format{encode.I420, encode.I444} {
		for _, size := range []image.Point{{64, 48}, {63, 47}, {65, 50}, {1, 1}, {130, 3}, {2, 7}} {
			s := newScreen(size)
			s.video(s.pix.Rect, 3)
			src := encode.NewImage(format, size)
			convert(t, src, s, s.pix.Rect)
			got, want := encode.NewImage(format, encode.Half(size)), encode.NewImage(format, encode.Half(size))
			plainHalve(want, src)
			half := func(rects ...image.Rectangle) {
				t.Helper()
				if err := encode.Halve(got, src, rects); err != nil {
					t.Fatal(err)
				}
			}
			half(got.Bounds())
			if most, at := decodetest.Furthest(want, got, want.Bounds()); most > 1 {
				t.Errorf("%v: luma off by %d at %v", size, most, at)
			}
			if most := decodetest.FurthestChroma(want, got); most > 1 {
				t.Errorf("%v: chroma off by %d", size, most)
			}
			parts := encode.NewImage(format, encode.Half(size))
			got, parts = parts, got
			for y := 0; y < size.Y; y += 11 {
				half(image.Rect(-3, y, 9, y+11), image.Rect(9, y, 99, y+11))
			}
			if most, at := decodetest.Furthest(parts, got, got.Bounds()); most > 0 || decodetest.FurthestChroma(parts, got) > 0 {
				t.Errorf("%v: in parts luma differs by %d at %v", size, most, at)
			}
		}
	}
	img := encode.NewImage(encode.I420, image.Pt(16, 16))
	for _, src := range []*encode.Image{encode.NewImage(encode.I420, image.Pt(33, 32)), encode.NewImage(encode.I444, image.Pt(32, 32))} {
		if encode.Halve(img, src, []image.Rectangle{img.Bounds()}) == nil {
			t.Errorf("%v of format %d into %v: no error", src.Size, src.Format, img.Size)
		}
	}
}

func plainHalve(dst, src *encode.Image) {
	plane := func(dst []byte, dstStride int, half image.Point, src []byte, srcStride int, size image.Point) {
		for y := range half.Y {
			for x := range half.X {
				sum := 0
				for i := range 4 {
					sum += int(src[min(2*y+i/2, size.Y-1)*srcStride+min(2*x+i%2, size.X-1)])
				}
				dst[y*dstStride+x] = byte((sum + 2) / 4)
			}
		}
	}
	chroma := func(img *encode.Image) image.Point {
		if img.Format == encode.I444 {
			return img.Size
		}
		return encode.Half(img.Size)
	}
	plane(dst.Y, dst.StrideY, dst.Size, src.Y, src.StrideY, src.Size)
	plane(dst.U, dst.StrideC, chroma(dst), src.U, src.StrideC, chroma(src))
	plane(dst.V, dst.StrideC, chroma(dst), src.V, src.StrideC, chroma(src))
}
