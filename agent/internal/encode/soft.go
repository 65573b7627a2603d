//go:build cgo

package encode

/*
#include <libyuv.h>
*/
import "C"

import "image"

// softener holds what the library is shown while part of the picture is soft
// (Params.Soft): soft where it was sent soft and not sharp since, else the newest
// picture. So a letter typed in the meantime does not make the library encode all
// that has still to become sharp. Its zero value is right.
type softener struct {
	shown *Image          // nil: nothing is soft, the picture itself is shown
	soft  image.Rectangle // encloses what is soft
	small []byte          // one plane, shrunk
}

// show returns what to encode for img, of which p.Dirty is new.
func (s *softener) show(img *Image, p Params) *Image {
	if !p.soft() {
		for _, r := range p.Dirty {
			s.soft = without(s.soft, img.Align(r))
		}
		if s.soft.Empty() {
			s.shown = nil
			return img
		}
		s.shown.Copy(img, p.Dirty)
		return s.shown
	}
	if s.shown == nil {
		s.shown = NewImage(img.Format, img.Size)
		s.shown.Copy(img, []image.Rectangle{img.Bounds()})
	}
	for _, r := range p.Dirty {
		r = img.Align(r)
		c := img.chroma(r)
		s.soften(s.shown.Y, img.Y, img.StrideY, r, p.Soft)
		s.soften(s.shown.U, img.U, img.StrideC, c, p.Soft)
		s.soften(s.shown.V, img.V, img.StrideC, c, p.Soft)
		s.soft = s.soft.Union(r)
	}
	return s.shown
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

// without is what encloses a less b: smaller where b covers a whole side of a.
func without(a, b image.Rectangle) image.Rectangle {
	b = b.Intersect(a)
	switch {
	case b.Empty():
	case b == a:
		return image.Rectangle{}
	case b.Dx() == a.Dx() && b.Min.Y == a.Min.Y:
		a.Min.Y = b.Max.Y
	case b.Dx() == a.Dx() && b.Max.Y == a.Max.Y:
		a.Max.Y = b.Min.Y
	case b.Dy() == a.Dy() && b.Min.X == a.Min.X:
		a.Min.X = b.Max.X
	case b.Dy() == a.Dy() && b.Max.X == a.Max.X:
		a.Max.X = b.Min.X
	}
	return a
}
