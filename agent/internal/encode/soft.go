//go:build cgo

package encode

/*
#include <libyuv.h>
*/
import "C"

import (
	"bytes"
	"image"
)

// softener holds what the library is shown while part of the picture is soft
// (Params.Soft), or coarser than what is to come (Params.Coarse): soft where it was
// sent soft and not sharp since, as it was decoded where it only moved, else the
// newest picture. So a letter typed in the meantime, or a line that is scrolled into
// view, does not make the library encode all that has still to become sharp. Its zero
// value is right.
type softener struct {
	shown   *Image            // nil: the picture itself is shown
	newest  *Image            // the picture itself, of the frame before; nil: not kept
	blurred *Image            // the picture itself, soft; where it is needed
	soft    []image.Rectangle // what is soft, if not a little less
	small   []byte            // one plane, shrunk
}

// mostSoft is how many rectangles what is soft may be; more are one.
const mostSoft = 256

// keeps is whether what was there, or moved, is to stay as it was decoded.
func (s *softener) keeps(p Params) bool {
	return !p.Key && !p.Again && (p.Coarse > p.Quantizer || p.moves() && (p.soft() || len(s.soft) > 0))
}

// follows is whether it can.
func (s *softener) follows(p Params) bool { return s.keeps(p) && s.newest != nil }

// show returns what to encode for img, of which p.Dirty is new; decoded is what the
// library made of the frame before.
func (s *softener) show(img *Image, p Params, decoded *Image) *Image {
	keeps := s.keeps(p) || p.soft()
	switch {
	case s.follows(p) && decoded != nil:
		s.follow(img, p, decoded)
		s.newest.Copy(img, p.Dirty)
		return s.shown
	case p.soft():
		if s.shown == nil {
			s.shown = NewImage(img.Format, img.Size)
			s.shown.Copy(img, []image.Rectangle{img.Bounds()})
		}
		s.blur(s.shown, img, p)
	default:
		for _, r := range p.Dirty {
			s.soft = Outside(s.soft, img.Align(r))
		}
		if len(s.soft) == 0 {
			s.shown, s.blurred = nil, nil
			keeps = keeps || s.newest != nil && !p.moves() && !p.Key
		} else {
			s.shown.Copy(img, p.Dirty)
			keeps = true
		}
	}
	switch {
	case !keeps:
		s.newest = nil
	case s.newest == nil && p.Only: // img may show more than was ever sent
	case s.newest == nil:
		s.newest = NewImage(img.Format, img.Size)
		s.newest.Copy(img, []image.Rectangle{img.Bounds()})
	default:
		s.newest.Copy(img, p.Dirty)
	}
	if s.shown == nil {
		return img
	}
	return s.shown
}

// blur writes what is dirty of img into dst, soft.
func (s *softener) blur(dst, img *Image, p Params) {
	for _, r := range p.Dirty {
		r = img.Align(r)
		c := img.chroma(r)
		s.soften(dst.Y, img.Y, img.StrideY, r, p.Soft)
		s.soften(dst.U, img.U, img.StrideC, c, p.Soft)
		s.soften(dst.V, img.V, img.StrideC, c, p.Soft)
		s.soft = append(Outside(s.soft, r), r)
		if len(s.soft) > mostSoft {
			all := image.Rectangle{}
			for _, r := range s.soft {
				all = all.Union(r)
			}
			s.soft = []image.Rectangle{all}
		}
	}
}

// follow brings what is shown up to date: what stands where it stood, or moved up by
// so many rows, as it was decoded, so that there is nothing to encode; what is new as
// it is, or soft.
func (s *softener) follow(img *Image, p Params, decoded *Image) {
	const side = 16
	if s.shown == nil {
		s.shown = NewImage(img.Format, img.Size)
		s.shown.Copy(img, []image.Rectangle{img.Bounds()})
	}
	appears := img
	if p.soft() {
		if s.blurred == nil {
			s.blurred = NewImage(img.Format, img.Size)
		}
		appears = s.blurred
		s.blur(appears, img, p)
	}
	all := img.Bounds()
	for _, r := range p.Dirty {
		r = img.Align(r)
		for y := r.Min.Y; y < r.Max.Y; y += side {
			for x := r.Min.X; x < r.Max.X; x += side {
				b := image.Rect(x, y, min(x+side, r.Max.X), min(y+side, r.Max.Y))
				from := b.Add(image.Pt(0, p.Moved))
				switch {
				case img.same(b, s.newest, b):
					s.shown.move(b, decoded, b)
				case from.In(all) && img.same(b, s.newest, from):
					s.shown.move(b, decoded, from)
					if !img.whole(p.Moved) {
						s.shown.copyChroma(appears, b)
					}
				default:
					s.shown.Copy(appears, []image.Rectangle{b})
				}
			}
		}
	}
}

// whole reports whether so many rows are whole samples of chroma.
func (img *Image) whole(rows int) bool { return rows&1 == 0 || img.Format == I444 }

// same reports whether img shows in r what src, of the same size, shows in at; of
// chroma only where its samples lie alike.
func (img *Image) same(r image.Rectangle, src *Image, at image.Rectangle) bool {
	equal := func(a []byte, b []byte, stride int, r, at image.Rectangle) bool {
		for y := range r.Dy() {
			i, j := (r.Min.Y+y)*stride, (at.Min.Y+y)*stride
			if !bytes.Equal(a[i+r.Min.X:i+r.Max.X], b[j+at.Min.X:j+at.Max.X]) {
				return false
			}
		}
		return true
	}
	if !equal(img.Y, src.Y, img.StrideY, r, at) {
		return false
	}
	if !img.whole(at.Min.Y - r.Min.Y) {
		return true
	}
	c, d := img.chroma(r), img.chroma(at)
	return equal(img.U, src.U, img.StrideC, c, d) && equal(img.V, src.V, img.StrideC, c, d)
}

// move copies at of src, whose strides may be others, into r of img; chroma where
// its samples lie alike.
func (img *Image) move(r image.Rectangle, src *Image, at image.Rectangle) {
	put := func(a []byte, stride int, b []byte, other int, r, at image.Rectangle) {
		for y := range r.Dy() {
			copy(a[(r.Min.Y+y)*stride+r.Min.X:(r.Min.Y+y)*stride+r.Max.X], b[(at.Min.Y+y)*other+at.Min.X:])
		}
	}
	put(img.Y, img.StrideY, src.Y, src.StrideY, r, at)
	if img.whole(at.Min.Y - r.Min.Y) {
		c, d := img.chroma(r), img.chroma(at)
		put(img.U, img.StrideC, src.U, src.StrideC, c, d)
		put(img.V, img.StrideC, src.V, src.StrideC, c, d)
	}
}

// copyChroma copies that of r, from src of the same size.
func (img *Image) copyChroma(src *Image, r image.Rectangle) {
	c := img.chroma(r)
	copyPlane(img.U, img.StrideC, src.U, src.StrideC, c)
	copyPlane(img.V, img.StrideC, src.V, src.StrideC, c)
}

// soften writes the rectangle of src, without what is finer than by samples,
// into dst: means of squares of that side, and straight lines between them.
func (s *softener) soften(dst, src []byte, stride int, r image.Rectangle, by int) {
	w, h := (r.Dx()+by-1)/by, (r.Dy()+by-1)/by
	if len(s.small) < w*h {
		s.small = make([]byte, w*h)
	}
	at := r.Min.Y*stride + r.Min.X
	small := (*C.uint8_t)(&s.small[0])
	C.ScalePlane((*C.uint8_t)(&src[at]), C.int(stride), C.int(r.Dx()), C.int(r.Dy()), small, C.int(w), C.int(w), C.int(h), C.kFilterBox)
	C.ScalePlane(small, C.int(w), C.int(w), C.int(h), (*C.uint8_t)(&dst[at]), C.int(stride), C.int(r.Dx()), C.int(r.Dy()), C.kFilterBilinear)
}
