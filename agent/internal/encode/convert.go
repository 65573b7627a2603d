//go:build cgo

package encode

/*
#include <libyuv.h>
*/
import "C"

import (
	"fmt"
	"image"
)

// Convert brings the rectangles of img up to date with p, which must be of the
// same size. Rectangles are grown to whole chroma samples.
func Convert(img *Image, p Picture, rects []image.Rectangle) error {
	if err := p.check(); err != nil {
		return err
	}
	if p.Size != img.Size {
		return fmt.Errorf("picture of %v into an image of %v", p.Size, img.Size)
	}
	for _, r := range rects {
		r = img.Align(r)
		if r.Empty() {
			continue
		}
		c := img.chroma(r)
		src := (*C.uint8_t)(&p.Pix[r.Min.Y*p.Stride+4*r.Min.X])
		y := (*C.uint8_t)(&img.Y[r.Min.Y*img.StrideY+r.Min.X])
		u := (*C.uint8_t)(&img.U[c.Min.Y*img.StrideC+c.Min.X])
		v := (*C.uint8_t)(&img.V[c.Min.Y*img.StrideC+c.Min.X])
		sy, sc := C.int(img.StrideY), C.int(img.StrideC)
		if img.Format == I444 {
			C.ARGBToI444(src, C.int(p.Stride), y, sy, u, sc, v, sc, C.int(r.Dx()), C.int(r.Dy()))
		} else {
			C.ARGBToI420(src, C.int(p.Stride), y, sy, u, sc, v, sc, C.int(r.Dx()), C.int(r.Dy()))
		}
	}
	return nil
}
