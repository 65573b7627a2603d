//go:build cgo

package encode_test

import (
	"image"
	"testing"

	"oriel/agent/internal/encode"
	"oriel/agent/internal/encode/decodetest"
)

// The library is told where nothing changed, and looks at nothing there, in this
// frame and in those after it. Whatever comes in which order, the decoded picture is
// the whole of the newest in the end.
func TestNothingIsForgottenWhereItDidNotLook(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		size := image.Pt(650, 394) // no multiple of anything
		r := newRig(t, c, size, encode.Config{})
		r.s.page()
		r.send(encode.Params{Quantizer: 8})
		part := func(side int) image.Rectangle {
			at := image.Pt(r.s.rand.IntN(size.X), r.s.rand.IntN(size.Y))
			return image.Rectangle{at, at.Add(image.Pt(1+r.s.rand.IntN(side), 1+r.s.rand.IntN(side)))}.Intersect(image.Rectangle{Max: size})
		}
		for i := range 120 {
			p := encode.Params{Quantizer: 4}
			for range 1 + r.s.rand.IntN(3) {
				where := part([]int{12, 12, 12, 70, 400}[r.s.rand.IntN(5)])
				r.s.pix.fill(where, ink[r.s.rand.IntN(len(ink))])
				p.Dirty = append(p.Dirty, where)
			}
			switch i % 10 {
			case 3:
				p.Dirty = nil // anywhere
			case 5:
				p.Only = true
			case 7: // in two parts
				first := p
				first.Dirty, first.Only = p.Dirty[:1], true
				if err := encode.Convert(r.img, r.s.picture(), p.Dirty); err != nil {
					t.Fatal(err)
				}
				r.send(first)
			case 9:
				p.Key = i == 59
			}
			r.send(p)
			if most, at := decodetest.Furthest(r.img, r.out, r.img.Bounds()); most > 40 && c != encode.VP8 {
				t.Fatalf("after change %d luma is off by %d at %v", i, most, at)
			}
		}
		r.send(encode.Params{Quantizer: 2, Again: true})
		if most, at := decodetest.Furthest(r.img, r.out, r.img.Bounds()); most > 16 {
			t.Errorf("luma is off by %d at %v", most, at)
		}
	})
}
