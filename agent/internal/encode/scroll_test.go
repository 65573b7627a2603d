//go:build cgo

package encode_test

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"testing"

	"oriel/agent/internal/encode"
	"oriel/agent/internal/encode/decodetest"
)

// scrolled encodes pages that move up by n rows, and gives the bits and the
// picture's likeness of the frames after the first two.
func scrolled(t *testing.T, n int, told bool) (kbit int, worst float64) {
	t.Helper()
	size := image.Pt(1280, 720)
	enc, err := encode.New(encode.AV1, encode.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	s := newScreen(size)
	lines := func(from int) { // 17 pixels apart, of differing length and colour
		for y := from; y < size.Y; y += 17 {
			s.text(image.Pt(8, y), s.word(1+s.rand.IntN(size.X/7-4)), ink[max(0, s.rand.IntN(9)-5)])
		}
	}
	lines(14)
	img, before := encode.NewImage(encode.I420, size), encode.NewImage(encode.I420, size)
	all := []image.Rectangle{img.Bounds()}
	convert(t, img, s, all[0])
	for _, q := range []int{24, 8, 2} {
		if _, err := encode.EncodeAll(enc, img, encode.Params{Quantizer: q, Again: true}); err != nil {
			t.Fatal(err)
		}
	}
	worst = 99
	for range 8 {
		copy(s.pix.Pix, s.pix.Pix[n*s.pix.Stride:])
		s.pix.fill(image.Rect(0, size.Y-n, size.X, size.Y), color.RGBA{250, 250, 248, 255})
		lines(size.Y - n + 13)
		before.Copy(img, all)
		convert(t, img, s, all[0])
		p := encode.Params{Quantizer: 40, Dirty: all}
		_, moved := img.Fresh(before, all)
		if moved != n {
			t.Fatalf("it moved by %d, not %d", n, moved)
		}
		if told {
			p.Moved = moved
		}
		pkt, err := enc.Encode(img, p)
		if err != nil {
			t.Fatal(err)
		}
		kbit += len(pkt.Data) * 8 / 1000
		worst = min(worst, pkt.Error.PSNR())
	}
	return kbit, worst
}

// A page is scrolled further than libaom looks: it codes it anew, unless it is
// told. (Nearer it takes one line of text for another now and then.)
func TestToldScrollIsCheap(t *testing.T) {
	if !encode.Patched(encode.AV1) {
		t.Skip("the system's libaom cannot be told; .ci/aom builds one that can")
	}
	for n, share := range map[int]float64{40: 1.1, 120: 1.1, 240: 0.5, 320: 0.5} {
		with, sharp := scrolled(t, n, true)
		without, blurred := scrolled(t, n, false)
		if t.Logf("by %d: told %d kbit, %.0f dB; not told %d kbit, %.0f dB", n, with, sharp, without, blurred); float64(with) > share*float64(without) || sharp < blurred-1 {
			t.Errorf("by %d: told %d kbit, %.0f dB; not told %d kbit, %.0f dB", n, with, sharp, without, blurred)
		}
	}
}

// A page that is scrolled while it is soft stays soft, and cheap; what comes into
// view is sharp, and so is all of it in the end.
func TestSoftPageIsScrolled(t *testing.T) {
	for _, n := range []int{40, -40, 33} {
		r := newRig(t, encode.AV1, image.Pt(1280, 720), encode.Config{})
		part := image.Rect(64, 64, 1216, 656) // the rest stands still
		r.s.realpage()
		r.send(encode.Params{Quantizer: 56, Soft: 3})
		whole := len(r.send(encode.Params{Quantizer: 24, Again: true})[0].Data)

		r = newRig(t, encode.AV1, image.Pt(1280, 720), encode.Config{})
		r.s.realpage()
		r.send(encode.Params{Quantizer: 56, Soft: 3})
		softly := r.psnr()
		for range 5 {
			move(r.s, part, n)
			pkt := r.send(encode.Params{Quantizer: 52, Moved: n, Dirty: []image.Rectangle{part}})
			if len(pkt) != 1 || n%2 == 0 && len(pkt[0].Data) > whole/4 {
				t.Errorf("by %d: %d packets, the first of %d bytes; the page takes %d", n, len(pkt), len(pkt[0].Data), whole)
			}
			if p := r.psnr(); p < softly-1 {
				t.Errorf("by %d: %.1f dB, before it was scrolled %.1f", n, p, softly)
			}
			if n%2 == 0 && pkt[0].Error.Rough.Empty() {
				t.Errorf("by %d: what is soft is not said to be rough", n)
			}
		}
		r.send(encode.Params{Quantizer: 12, Again: true})
		if p := r.psnr(); p < 40 {
			t.Errorf("by %d: sharpened to %.1f dB", n, p)
		}
	}
}

// A page that is scrolled while it is coarse stays so, and what comes into view is
// fine and costs little more than it does on a fine page.
func TestCoarsePageIsScrolled(t *testing.T) {
	if !encode.Patched(encode.AV1) {
		t.Skip("the system's libaom takes one line of text for another now and then; .ci/aom builds one that does not")
	}
	for _, n := range []int{40, -40, 80} {
		part := image.Rect(64, 64, 1216, 656) // the rest stands still
		comes := image.Rect(part.Min.X, part.Max.Y-n, part.Max.X, part.Max.Y)
		if n < 0 {
			comes = image.Rect(part.Min.X, part.Min.Y, part.Max.X, part.Min.Y-n)
		}
		// It is not known what moved in the first frame: that one is coarse.
		scroll := func(fine bool) (r *rig, size int, worst float64) {
			r = newRig(t, encode.AV1, image.Pt(1280, 720), encode.Config{})
			r.s.realpage()
			p := encode.Params{Quantizer: 20, Coarse: 63, Moved: n, Dirty: []image.Rectangle{part}}
			r.send(encode.Params{Quantizer: 63})
			if fine {
				r.send(encode.Params{Quantizer: 20, Again: true})
				p.Coarse = 20
			}
			worst = 99
			for i := range 7 {
				move(r.s, part, n)
				pkt := r.send(p)
				size += len(pkt[0].Data)
				if i == 0 {
					continue
				}
				if len(pkt) != 1 {
					t.Errorf("by %d: %d packets", n, len(pkt))
				}
				if !fine && pkt[0].Error.Rough.Empty() {
					t.Errorf("by %d: what is coarse is not said to be rough", n)
				}
				worst = min(worst, decodetest.PSNR(r.img, r.out, comes))
			}
			return r, size, worst
		}
		_, most, least := scroll(true)
		r, size, worst := scroll(false)
		t.Logf("by %d: %d bytes, what comes into view at least %.1f dB; on a fine page %d and %.1f", n, size, worst, most, least)
		if size > most+3000 { // not the whole page, which takes 9000 more
			t.Errorf("by %d: %d bytes, on a fine page %d", n, size, most)
		}
		if worst < 35 { // what was blank before stays coarse too
			t.Errorf("by %d: %.1f dB where it comes into view, on a fine page %.1f", n, worst, least)
		}
		r.send(encode.Params{Quantizer: 4, Again: true})
		if p := r.psnr(); p < 48 {
			t.Errorf("by %d: refined to %.1f dB", n, p)
		}
	}
}

// What a page that is scrolled shows already stays as it was decoded, to the pixel,
// where an encoder is told that it may; what comes into view is as fine as without,
// for no more bits.
func TestWhatMovedStays(t *testing.T) {
	if !encode.Patched(encode.AV1) {
		t.Skip("the system's libaom cannot be told; .ci/aom builds one that can")
	}
	part := image.Rect(40, 56, 1216, 656) // neither at blocks' edges nor all of it
	for _, format := range []encode.Format{encode.I420, encode.I444} {
		for _, n := range []int{40, -40, 33, 150} {
			scroll := func(stays bool) (size int, worst float64, copied int) {
				r := newRig(t, encode.AV1, image.Pt(1280, 720), encode.Config{Threads: 2, Format: format})
				r.s.realpage()
				r.send(encode.Params{Quantizer: 16})
				worst = 99
				for range 7 {
					was := encode.NewImage(format, r.img.Size)
					was.Copy(r.out, []image.Rectangle{was.Bounds()})
					move(r.s, part, n)
					pkt := r.send(encode.Params{Quantizer: 16, Moved: n, Stays: stays, Dirty: []image.Rectangle{part}})
					size += len(pkt[0].Data)
					if len(pkt) != 1 {
						t.Errorf("by %d: %d packets", n, len(pkt))
					}
					worst = min(worst, decodetest.PSNR(r.img, r.out, part))
					kept := part.Intersect(part.Sub(image.Pt(0, n))).Inset(64)
					for y := kept.Min.Y; y < kept.Max.Y; y++ {
						is, before := r.out.Y[y*r.out.StrideY:], was.Y[(y+n)*was.StrideY:]
						if bytes.Equal(is[kept.Min.X:kept.Max.X], before[kept.Min.X:kept.Max.X]) {
							copied++
						} else if stays && (n%2 == 0 || format == encode.I444) {
							t.Fatalf("%v by %d: row %d is not what was decoded before", format, n, y)
						}
					}
				}
				return size, worst, copied
			}
			size, worst, copied := scroll(true)
			most, least, anyway := scroll(false)
			t.Logf("%v by %d: %d bytes, %.1f dB, %d rows copied; otherwise %d, %.1f, %d", format, n, size, worst, copied, most, least, anyway)
			if float64(size) > 1.03*float64(most) || worst < least-1 {
				t.Errorf("%v by %d: %d bytes, %.1f dB; otherwise %d, %.1f", format, n, size, worst, most, least)
			}
		}
	}
}

// What changed and was not sent yet is not taken for what was there.
func TestCoarsePageInParts(t *testing.T) {
	r := newRig(t, encode.AV1, image.Pt(1280, 720), encode.Config{})
	r.s.realpage()
	r.send(encode.Params{Quantizer: 63})
	above, below := image.Rect(64, 64, 1216, 256), image.Rect(64, 320, 1216, 640)
	r.s.pix.fill(above, ink[1])
	r.s.pix.fill(below, ink[2])
	convert(t, r.img, r.s, r.img.Bounds())
	for _, part := range []image.Rectangle{above, below} {
		n := len(r.send(encode.Params{Quantizer: 20, Coarse: 63, Only: part == above, Dirty: []image.Rectangle{part}}))
		if p := decodetest.PSNR(r.img, r.out, part); n != 1 || p < 35 {
			t.Errorf("%v: %d packets, %.1f dB", part, n, p)
		}
	}
}

// move moves what is in r up by n rows, or down, with lines of text in what appears.
func move(s *screen, r image.Rectangle, n int) {
	if n < 0 {
		for y := r.Max.Y - 1; y >= r.Min.Y-n; y-- {
			row := image.Rect(r.Min.X, y, r.Max.X, y+1)
			draw.Draw(&s.pix.RGBA, row, &s.pix.RGBA, image.Pt(r.Min.X, y+n), draw.Src)
		}
		s.pix.fill(image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y-n), color.RGBA{250, 250, 248, 255})
		s.text(r.Min.Add(image.Pt(8, 20)), s.word(60), ink[0])
		return
	}
	s.scrollPart(r, n)
}
