//go:build cgo

package encode_test

import (
	"image"
	"strings"
	"testing"

	"oriel/agent/internal/encode"
	"oriel/agent/internal/encode/decodetest"
)

// soft is a first picture as a slow link gets it.
var soft = encode.Params{Quantizer: 56, Soft: 4}

func TestSoftIsSmallThenSharp(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		direct := newRig(t, c, image.Pt(1280, 720), encode.Config{})
		direct.s.realpage()
		whole := direct.send(encode.Params{Quantizer: soft.Quantizer})[0]

		r := newRig(t, c, image.Pt(1280, 720), encode.Config{})
		r.s.realpage()
		first := r.send(soft)
		if len(first) != 1 || !first[0].Key || first[0].Stale {
			t.Fatalf("%d packets, key %v, stale %v", len(first), first[0].Key, first[0].Stale)
		}
		t.Logf("soft %d bytes, %.1f dB; as it is %d bytes, %.1f dB", len(first[0].Data), first[0].Error.PSNR(), len(whole.Data), whole.Error.PSNR())
		if len(first[0].Data) > len(whole.Data)*2/5 {
			t.Errorf("a soft picture of %d bytes; as it is it takes %d", len(first[0].Data), len(whole.Data))
		}
		// Error tells of the true picture, and the shapes of the text are there.
		if p := r.psnr(); p < 15 || p-first[0].Error.PSNR() > 0.01 || first[0].Error.PSNR()-p > 0.01 {
			t.Errorf("Error.PSNR %.2f, the decoder shows %.2f", first[0].Error.PSNR(), p)
		}
		r.send(encode.Params{Quantizer: 12, Again: true})
		if p := r.psnr(); p < 40 {
			t.Errorf("sharpened: %.1f dB", p)
		}
	})
}

// What happens while the picture is soft costs what it costs, not the rest of
// the sharp picture; that may come in strips.
func TestSoftStaysWhereNothingIsDirty(t *testing.T) {
	for _, c := range []encode.Codec{encode.AV1, encode.VP9} {
		t.Run(string(c), func(t *testing.T) {
			r := newRig(t, c, image.Pt(801, 603), encode.Config{})
			r.s.page()
			r.send(soft)
			for i := range 10 {
				dirty := r.s.change()
				sent := 0
				for _, pkt := range r.send(encode.Params{Quantizer: 12, Dirty: []image.Rectangle{dirty}}) {
					sent += len(pkt.Data)
				}
				// libaom 3.6 brings all of the soft picture to the finer quantizer once.
				if sent > 6000 && !(i == 0 && strings.HasPrefix(encode.Libraries(), "libaom 3.6")) {
					t.Errorf("a change in %v took %d bytes", dirty, sent)
				}
				if p := decodetest.PSNR(r.img, r.out, dirty); p < 25 {
					t.Errorf("a change in %v arrived with %.1f dB", dirty, p)
				}
			}
			if p := r.psnr(); p > 25 {
				t.Errorf("%.1f dB: that is no longer soft", p)
			}
			for y := 0; y < 603; y += 201 {
				strip := image.Rect(0, y, 801, y+201)
				r.send(encode.Params{Quantizer: 12, Again: true, Dirty: []image.Rectangle{strip}})
				if p := decodetest.PSNR(r.img, r.out, strip.Inset(8)); p < 35 {
					t.Errorf("strip %v: %.1f dB", strip, p)
				}
			}
			// All is sharp: what is not said to be dirty is looked at again.
			r.s.page()
			r.send(encode.Params{Quantizer: 12})
			if p := r.psnr(); p < 35 {
				t.Errorf("a new page after all was sharp: %.1f dB", p)
			}
		})
	}
}

// Soft parts of any place and size, in pictures of any size and format, then a
// sharp key frame or another size: nothing soft stays behind.
func TestSoftAnywhere(t *testing.T) {
	each(t, func(t *testing.T, c encode.Codec) {
		formats := []encode.Format{encode.I420, encode.I444}
		if c == encode.VP8 {
			formats = formats[:1]
		}
		for _, format := range formats {
			r := newRig(t, c, image.Pt(333, 77), encode.Config{Format: format})
			for _, size := range []image.Point{{333, 77}, {64, 200}, {17, 16}, {1, 1}, {161, 99}} {
				r.resize(size)
				if size.X > 20 {
					r.s.page()
				}
				for by := range 9 {
					at := image.Pt(r.s.rand.IntN(size.X), r.s.rand.IntN(size.Y))
					part := image.Rectangle{at, at.Add(image.Pt(1+r.s.rand.IntN(90), 1+r.s.rand.IntN(90)))}
					r.send(encode.Params{Quantizer: 40, Soft: by, Dirty: []image.Rectangle{part}})
				}
				r.send(encode.Params{Quantizer: 12, Key: true})
				if p := r.psnr(); p < 33 {
					t.Errorf("%v: a sharp key frame of %.1f dB", size, p)
				}
				r.send(encode.Params{Quantizer: 50, Soft: 5}) // and on to another size
			}
		}
	})
}
