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

// Halve brings the rectangles of img up to date with src, which is of twice the width and
// height (Half) and of the same format: each pixel is the mean of four, at an odd edge of
// two or one. Rectangles are of img, and grown to whole chroma samples.
func Halve(img, src *Image, rects []image.Rectangle) error {
	if img.Size != Half(src.Size) || img.Format != src.Format {
		return fmt.Errorf("picture of %v halved into an image of %v", src.Size, img.Size)
	}
	c := src.chroma(src.Bounds()).Max
	for _, r := range rects {
		if r = img.Align(r); r.Empty() {
			continue
		}
		halvePlane(img.Y, img.StrideY, r, src.Y, src.StrideY, src.Size)
		r = img.chroma(r)
		halvePlane(img.U, img.StrideC, r, src.U, src.StrideC, c)
		halvePlane(img.V, img.StrideC, r, src.V, src.StrideC, c)
	}
	return nil
}

// halvePlane fills r of dst from src, of which so much is picture.
func halvePlane(dst []byte, dstStride int, r image.Rectangle, src []byte, srcStride int, size image.Point) {
	whole := r.Intersect(image.Rectangle{Max: size.Div(2)})
	if !whole.Empty() {
		from, to := 2*whole.Min.Y*srcStride+2*whole.Min.X, whole.Min.Y*dstStride+whole.Min.X
		C.ScalePlane((*C.uint8_t)(&src[from]), C.int(srcStride), C.int(2*whole.Dx()), C.int(2*whole.Dy()),
			(*C.uint8_t)(&dst[to]), C.int(dstStride), C.int(whole.Dx()), C.int(whole.Dy()), C.kFilterBox)
	}
	for _, edge := range Outside([]image.Rectangle{r}, whole) {
		for y := edge.Min.Y; y < edge.Max.Y; y++ {
			for x := edge.Min.X; x < edge.Max.X; x++ {
				right, below := min(2*x+1, size.X-1), min(2*y+1, size.Y-1)
				sum := int(src[2*y*srcStride+2*x]) + int(src[2*y*srcStride+right]) + int(src[below*srcStride+2*x]) + int(src[below*srcStride+right])
				dst[y*dstStride+x] = byte((sum + 2) / 4)
			}
		}
	}
}
