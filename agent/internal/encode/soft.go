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
// (Params.Soft): soft where it was sent soft and not sharp since, else the newest
// picture. So a letter typed in the meantime does not make the library encode all
// that has still to become sharp. Its zero value is right.
type softener struct {
	shown   *Image            // nil: nothing is soft, the picture itself is shown
	newest  *Image            // the picture itself, of the frame before; nil as shown
	before  *Image            // shown, of the frame before; where it is needed
	blurred *Image            // the picture itself, soft; where it is needed
	soft    []image.Rectangle // what is soft, if not a little less
	small   []byte            // one plane, shrunk
}

// mostSoft is how many rectangles what is soft may be; more are one.
const mostSoft = 256

// show returns what to encode for img, of which p.Dirty is new.
func (s *softener) show(img *Image, p Params) *Image {
	if s.shown != nil && p.moves() {
		appears := img
		if p.soft() {
			if s.blurred == nil {
				s.blurred = NewImage(img.Format, img.Size)
			}
			appears = s.blurred
			s.blur(appears, img, p)
		}
		for _, r := range p.Dirty {
			s.follow(img, appears, r, p.Moved)
		}
		s.newest.Copy(img, p.Dirty)
		return s.shown
	}
	if !p.soft() {
		for _, r := range p.Dirty {
			s.soft = Outside(s.soft, img.Align(r))
		}
		if len(s.soft) == 0 {
			s.shown, s.newest, s.before, s.blurred = nil, nil, nil, nil
			return img
		}
		s.shown.Copy(img, p.Dirty)
		s.newest.Copy(img, p.Dirty)
		return s.shown
	}
	if s.shown == nil {
		s.shown, s.newest = NewImage(img.Format, img.Size), NewImage(img.Format, img.Size)
		s.shown.Copy(img, []image.Rectangle{img.Bounds()})
	}
	s.newest.Copy(img, []image.Rectangle{img.Bounds()})
	s.blur(s.shown, img, p)
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

// follow brings r of what is shown up to date: what stands where it stood, or moved
// up by so many rows, stays as soft or sharp as it was; what is new is as appears
// has it.
func (s *softener) follow(img, appears *Image, r image.Rectangle, rows int) {
	const side = 16
	r = img.Align(r)
	if s.before == nil {
		s.before = NewImage(img.Format, img.Size)
	}
	s.before.Copy(s.shown, []image.Rectangle{r})
	for y := r.Min.Y; y < r.Max.Y; y += side {
		for x := r.Min.X; x < r.Max.X; x += side {
			b := image.Rect(x, y, min(x+side, r.Max.X), min(y+side, r.Max.Y))
			from := b.Add(image.Pt(0, rows))
			switch {
			case img.same(b, s.newest, b):
			// Half a sample of chroma cannot be moved.
			case from.In(r) && (rows&1 == 0 || img.Format == I444) && img.same(b, s.newest, from):
				s.shown.move(b, s.before, from)
			default:
				s.shown.Copy(appears, []image.Rectangle{b})
			}
		}
	}
}

// same reports whether img shows in r what src, of the same size, shows in at.
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
	c, d := img.chroma(r), img.chroma(at)
	return equal(img.Y, src.Y, img.StrideY, r, at) && equal(img.U, src.U, img.StrideC, c, d) && equal(img.V, src.V, img.StrideC, c, d)
}

// move copies at of src into r of img.
func (img *Image) move(r image.Rectangle, src *Image, at image.Rectangle) {
	put := func(a []byte, b []byte, stride int, r, at image.Rectangle) {
		for y := range r.Dy() {
			copy(a[(r.Min.Y+y)*stride+r.Min.X:(r.Min.Y+y)*stride+r.Max.X], b[(at.Min.Y+y)*stride+at.Min.X:])
		}
	}
	c, d := img.chroma(r), img.chroma(at)
	put(img.Y, src.Y, img.StrideY, r, at)
	put(img.U, src.U, img.StrideC, c, d)
	put(img.V, src.V, img.StrideC, c, d)
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
