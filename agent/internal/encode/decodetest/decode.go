//go:build cgo

// Package decodetest is the other side of encode in tests: the real decoders
// of libaom and libvpx, and figures that compare what they show with what was
// meant. Only tests import it.
package decodetest

// #cgo LDFLAGS: -l:libaom.a -l:libvpx.a -lm -lpthread
// #include "decode.h"
import "C"

import (
	"fmt"
	"image"
	"math"
	"unsafe"

	"oriel/agent/internal/encode"
)

// Decoder decodes one stream. One goroutine at a time.
type Decoder struct{ c *C.oriel_decoder }

// New opens a decoder.
func New(codec encode.Codec) (*Decoder, error) {
	c := C.oriel_decoder_open(C.int(map[encode.Codec]int{encode.AV1: 0, encode.VP9: 1, encode.VP8: 2}[codec]))
	if c == nil {
		return nil, fmt.Errorf("no decoder for %s", codec)
	}
	return &Decoder{c}, nil
}

// Decode decodes one packet, which must give one picture, as a player of RTP
// frames expects.
func (d *Decoder) Decode(data []byte) (*encode.Image, error) {
	if len(data) == 0 {
		return nil, fmt.Errorf("empty packet")
	}
	var out C.oriel_decoded
	switch n := C.oriel_decoder_decode(d.c, (*C.uint8_t)(&data[0]), C.size_t(len(data)), &out); {
	case n < 0:
		return nil, fmt.Errorf("packet of %d bytes cannot be decoded", len(data))
	case n != 1:
		return nil, fmt.Errorf("packet of %d bytes shows %d pictures", len(data), int(n))
	}
	format := encode.I444
	if out.shift == 1 {
		format = encode.I420
	}
	img := encode.NewImage(format, image.Pt(int(out.w), int(out.h)))
	cw, ch := img.Size.X, img.Size.Y
	if format == encode.I420 {
		cw, ch = (cw+1)/2, (ch+1)/2
	}
	take(img.Y, img.StrideY, out.plane[0], int(out.stride[0]), img.Size.X, img.Size.Y)
	take(img.U, img.StrideC, out.plane[1], int(out.stride[1]), cw, ch)
	take(img.V, img.StrideC, out.plane[2], int(out.stride[2]), cw, ch)
	return img, nil
}

func take(dst []byte, dstStride int, src *C.uint8_t, srcStride, w, h int) {
	all := unsafe.Slice((*byte)(unsafe.Pointer(src)), (h-1)*srcStride+w)
	for y := range h {
		copy(dst[y*dstStride:y*dstStride+w], all[y*srcStride:])
	}
}

// Close frees the decoder.
func (d *Decoder) Close() {
	C.oriel_decoder_close(d.c)
	d.c = nil
}

// PSNR compares the luma of two images of one size inside r, in decibel, at
// most 99.
func PSNR(a, b *encode.Image, r image.Rectangle) float64 {
	if r.Empty() {
		return 99
	}
	sum := C.oriel_squares(at(a.Y, a.StrideY, r), C.int(a.StrideY), at(b.Y, b.StrideY, r), C.int(b.StrideY), C.int(r.Dx()), C.int(r.Dy()))
	if sum == 0 {
		return 99
	}
	return min(99, 10*math.Log10(255*255*float64(r.Dx()*r.Dy())/float64(sum)))
}

// Furthest is the largest difference of luma inside r and where it is.
func Furthest(a, b *encode.Image, r image.Rectangle) (most int, where image.Point) {
	return furthest(a.Y, b.Y, a.StrideY, b.StrideY, r)
}

// FurthestChroma is the largest difference of the whole chroma planes.
func FurthestChroma(a, b *encode.Image) int {
	size := a.Size
	if a.Format == encode.I420 {
		size = size.Add(image.Pt(1, 1)).Div(2)
	}
	u, _ := furthest(a.U, b.U, a.StrideC, b.StrideC, image.Rectangle{Max: size})
	v, _ := furthest(a.V, b.V, a.StrideC, b.StrideC, image.Rectangle{Max: size})
	return max(u, v)
}

func furthest(a, b []byte, strideA, strideB int, r image.Rectangle) (most int, where image.Point) {
	if r.Empty() {
		return 0, image.Point{}
	}
	var x, y C.int
	m := C.oriel_furthest(at(a, strideA, r), C.int(strideA), at(b, strideB, r), C.int(strideB), C.int(r.Dx()), C.int(r.Dy()), &x, &y)
	return int(m), r.Min.Add(image.Pt(int(x), int(y)))
}

// at is where r begins in a plane that holds it.
func at(plane []byte, stride int, r image.Rectangle) *C.uint8_t {
	_ = plane[(r.Max.Y-1)*stride+r.Max.X-1]
	return (*C.uint8_t)(&plane[r.Min.Y*stride+r.Min.X])
}
