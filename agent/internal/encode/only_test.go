//go:build cgo

package encode_test

import (
	"image"
	"testing"

	"oriel/agent/internal/encode"
	"oriel/agent/internal/encode/decodetest"
)

// A picture that changed everywhere follows band by band: where it has not
// arrived yet the old one stands, and it costs what it costs at once.
func TestOnlyTheBandIsSent(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		size := image.Pt(640, 384)
		r := newRig(t, c, size, encode.Config{})
		r.s.page()
		r.send(encode.Params{Quantizer: 20})
		before := r.out
		whole := newRig(t, c, size, encode.Config{})
		whole.s.page()
		whole.send(encode.Params{Quantizer: 20})

		for _, s := range []*screen{r.s, whole.s} {
			s.page()
		}
		atOnce := 0
		for _, p := range whole.send(encode.Params{Quantizer: 20}) {
			atOnce += len(p.Data)
		}
		all := 0
		for y := 0; y < size.Y; y += 128 {
			band := image.Rect(0, y, size.X, y+128)
			if err := encode.Convert(r.img, r.s.picture(), []image.Rectangle{{Max: size}}); err != nil {
				t.Fatal(err)
			}
			packets, err := encode.EncodeAll(r.enc, r.img, encode.Params{Quantizer: 20, Dirty: []image.Rectangle{band}, Only: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range packets {
				all += len(p.Data)
				if r.out, err = r.dec.Decode(p.Data); err != nil {
					t.Fatal(err)
				}
			}
			if p := decodetest.PSNR(r.img, r.out, image.Rect(0, 0, size.X, y+112)); p < 35 {
				t.Errorf("after the band at %d, down to it: %.1f dB", y, p)
			}
			// The loop filter reaches a little over the edge.
			if rest := (image.Rectangle{image.Pt(0, y+144), size}); !rest.Empty() {
				if p := decodetest.PSNR(before, r.out, rest); p < 45 {
					t.Errorf("after the band at %d, below it: %.1f dB of what was there", y, p)
				}
			}
		}
		if all > atOnce*3/2 {
			t.Errorf("%d bytes in bands, %d at once", all, atOnce)
		}
		t.Logf("%d bytes in bands, %d at once", all, atOnce)
	})
}

// What stands still is refined beside what moves, which stays as it is.
func TestOnlyRefinesThere(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		r := newRig(t, c, image.Pt(640, 384), encode.Config{})
		r.s.page()
		r.send(encode.Params{Quantizer: 50})
		half := image.Rect(0, 0, 640, 192)
		coarse := decodetest.PSNR(r.img, r.out, half)
		other := r.out
		for _, q := range []int{30, 12, 4} {
			r.send(encode.Params{Quantizer: q, Again: true, Dirty: []image.Rectangle{half}, Only: true})
		}
		if p := decodetest.PSNR(r.img, r.out, half); p < coarse+8 {
			t.Errorf("refined from %.1f to %.1f dB", coarse, p)
		}
		if p := decodetest.PSNR(other, r.out, image.Rect(0, 208, 640, 384)); p < 45 {
			t.Errorf("the other half changed: %.1f dB of what it was", p)
		}
	})
}
