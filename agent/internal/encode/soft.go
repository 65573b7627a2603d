//go:build cgo

package encode

/*
#include <libyuv.h>
*/
import "C"

import "image"

// mostSoft is how many rectangles what is soft may be; more are one.
const mostSoft = 256

// blur writes what is dirty of img into dst, soft.
func (v *canvas) blur(dst, img *Image, p Params) {
	for _, r := range p.Dirty {
		r = img.Align(r)
		c := img.chroma(r)
		v.soften(dst.Y, img.Y, img.StrideY, r, p.Soft)
		v.soften(dst.U, img.U, img.StrideC, c, p.Soft)
		v.soften(dst.V, img.V, img.StrideC, c, p.Soft)
		v.soft = append(Outside(v.soft, r), r)
		if len(v.soft) > mostSoft {
			all := image.Rectangle{}
			for _, r := range v.soft {
				all = all.Union(r)
			}
			v.soft = []image.Rectangle{all}
		}
	}
}

// soften writes the rectangle of src, without what is finer than by samples,
// into dst: means of squares of that side, and straight lines between them.
func (v *canvas) soften(dst, src []byte, stride int, r image.Rectangle, by int) {
	w, h := (r.Dx()+by-1)/by, (r.Dy()+by-1)/by
	if len(v.small) < w*h {
		v.small = make([]byte, w*h)
	}
	at := r.Min.Y*stride + r.Min.X
	small := (*C.uint8_t)(&v.small[0])
	C.ScalePlane((*C.uint8_t)(&src[at]), C.int(stride), C.int(r.Dx()), C.int(r.Dy()), small, C.int(w), C.int(w), C.int(h), C.kFilterBox)
	C.ScalePlane(small, C.int(w), C.int(w), C.int(h), (*C.uint8_t)(&dst[at]), C.int(stride), C.int(r.Dx()), C.int(r.Dy()), C.kFilterBilinear)
}
