//go:build cgo

package encode

/*
#include "compare.h"
#include <aom/aom_codec.h>
#include <vpx/vpx_codec.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"image"
	"runtime"
	"strings"
	"unsafe"
)

// Supported is the codecs New can make, best first.
func Supported() []Codec { return []Codec{AV1, VP9, VP8} }

// Libraries names the linked codec libraries with their versions, as
// "libaom 3.12.1, libvpx 1.12.0"; "" without cgo.
func Libraries() string {
	version := func(s *C.char) string { return strings.TrimPrefix(C.GoString(s), "v") }
	return "libaom " + version(C.aom_codec_version_str()) + ", libvpx " + version(C.vpx_codec_version_str())
}

func newEncoder(c Codec, cfg Config) (Encoder, error) {
	if cfg.Threads < 1 {
		// One core is left to what is shown: on one with two threads two of ours took a
		// tenth more of it, for no more pictures of a page that scrolls and fewer of a video.
		cfg.Threads = min(4, max(1, runtime.NumCPU()-1))
	}
	open := map[Codec]func(*Image, Config) (library, error){AV1: openAV1, VP9: openVPX(VP9), VP8: openVPX(VP8)}[c]
	return &encoder{codec: c, cfg: cfg, open: open}, nil
}

// library is one open codec for one size of picture.
type library interface {
	// encode fills out; what it points to stays until the next call. Of p,
	// Quantizer and Dirty are within bounds.
	encode(img *Image, pts int64, p Params, k kept, out *C.oriel_packet) error
	close()
}

// kept is what stays as it is outside of Params.Dirty.
type kept struct {
	decoded bool // the decoded picture
	shown   bool // what the library is shown
}

// encoder is what is common to all codecs.
type encoder struct {
	codec  Codec
	cfg    Config
	open   func(*Image, Config) (library, error)
	lib    library // nil before the first frame
	size   image.Point
	frames int64          // since lib was opened
	last   C.oriel_packet // of the frame before; points into lib
	only   *Image         // what lib is shown for Params.Only; nil until then
	canvas canvas
	shown  *Image // to lib, in the frame before
	closed bool
}

func (e *encoder) Codec() Codec { return e.codec }

func (e *encoder) Close() error {
	if e.lib != nil {
		e.lib.close()
		e.lib = nil
	}
	e.closed = true
	return nil
}

func (e *encoder) Encode(img *Image, p Params) (Packet, error) {
	if e.closed {
		return Packet{}, ErrClosed
	}
	if img.Format != e.cfg.Format {
		return Packet{}, errors.New("encode: image of another format than the encoder's")
	}
	if e.lib != nil && img.Size != e.size {
		e.lib.close()
		e.lib = nil
	}
	if e.lib == nil {
		lib, err := e.open(img, e.cfg)
		if err != nil {
			return Packet{}, fmt.Errorf("open %s encoder for %v: %w", e.codec, img.Size, err)
		}
		e.lib, e.size, e.frames, e.canvas, e.shown, p.Key = lib, img.Size, 0, canvas{}, nil, true
	}
	dirty := make([]image.Rectangle, 0, max(1, len(p.Dirty)))
	for _, r := range p.Dirty {
		if r = r.Intersect(img.Bounds()); !r.Empty() {
			dirty = append(dirty, r)
		}
	}
	if p.Key || len(p.Dirty) == 0 {
		dirty = append(dirty[:0], img.Bounds())
	}
	p.Dirty = dirty
	p.Quantizer = min(max(p.Quantizer, MinQuantizer), MaxQuantizer)
	keeps, follows := e.canvas.keeps(p), e.canvas.follows(p)
	followed := follows && !p.soft() // soft or coarse in places, on purpose
	show, against := e.canvas.show(img, p, e.decoded(img)), img
	if keeps && !follows {
		p.Quantizer = max(p.Quantizer, p.Coarse)
	}
	if p.Only && !p.Key {
		show = e.within(show, dirty)
		if !p.soft() && !followed {
			against = show // the comparison reaches beyond the rectangles
		}
	}

	k := kept{decoded: !p.Key, shown: !p.Key && show == img && e.shown == img}
	e.shown = show
	var raw C.oriel_packet
	if err := e.lib.encode(show, e.frames, p, k, &raw); err != nil {
		return Packet{}, fmt.Errorf("encode %s: %w", e.codec, err)
	}
	e.frames++
	e.last = raw
	out := Packet{
		Data:      C.GoBytes(unsafe.Pointer(raw.data), C.int(raw.size)),
		Key:       raw.key != 0,
		Quantizer: int(raw.quantizer),
		Soft:      len(e.canvas.soft) > 0,
	}
	made := e.decoded(img)
	out.Error = compare(against, made, dirty)
	worst := out.Error.Worst
	if followed {
		worst = compare(show, made, dirty).Worst
	}
	// A key frame has nothing old, and a soft one is far from the source anyway.
	out.Stale = !out.Key && !p.soft() && worst > staleMSE(e.codec, p.Quantizer)
	return out, nil
}

// within is img inside the rectangles, and what was reconstructed last elsewhere.
func (e *encoder) within(img *Image, rects []image.Rectangle) *Image {
	if e.only == nil || e.only.Size != img.Size {
		e.only = NewImage(img.Format, img.Size)
	}
	out, last := e.only, e.decoded(img)
	c := image.Rectangle{Max: img.chroma(img.Bounds()).Max}
	copyPlane(out.Y, out.StrideY, last.Y, last.StrideY, img.Bounds())
	copyPlane(out.U, out.StrideC, last.U, last.StrideC, c)
	copyPlane(out.V, out.StrideC, last.V, last.StrideC, c)
	out.Copy(img, rects)
	return out
}

// decoded is the picture of the frame before as it was reconstructed, in the library's
// memory until the next; nil before the first. img has its format and size.
func (e *encoder) decoded(img *Image) *Image {
	if e.frames == 0 {
		return nil
	}
	plane := func(i int, size image.Point) ([]byte, int) {
		stride := int(e.last.stride[i])
		return unsafe.Slice((*byte)(e.last.plane[i]), stride*(size.Y-1)+size.X), stride
	}
	out := &Image{Format: img.Format, Size: img.Size}
	c := img.chroma(img.Bounds()).Max
	out.Y, out.StrideY = plane(0, img.Size)
	out.U, out.StrideC = plane(1, c)
	out.V, _ = plane(2, c)
	return out
}

func truth(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

// compare measures the reconstructed picture, of img's size and format, against img inside
// the rectangles.
func compare(img, made *Image, rects []image.Rectangle) Error {
	var e Error
	var sse float64
	for _, r := range rects {
		// The loop filter reaches a little beyond what was coded.
		r = image.Rect((r.Min.X-8)&^15, (r.Min.Y-8)&^15, (r.Max.X+8+15)&^15, (r.Max.Y+8+15)&^15).Intersect(img.Bounds())
		for i := range 3 {
			a, b, in, mse, most := img.Y, made.Y, r, roughMSE, roughMax
			strideA, strideB := img.StrideY, made.StrideY
			if i > 0 {
				a, b, in, mse, most = img.U, made.U, img.chroma(r), roughMSEChroma, roughMaxChroma
				strideA, strideB = img.StrideC, made.StrideC
			}
			if i == 2 {
				a, b = img.V, made.V
			}
			var d C.oriel_error
			C.oriel_compare((*C.uint8_t)(&a[0]), C.int(strideA), (*C.uint8_t)(&b[0]), C.int(strideB),
				C.int(in.Min.X), C.int(in.Min.Y), C.int(in.Max.X), C.int(in.Max.Y),
				C.double(mse), C.int(most), &d)
			e.Worst = max(e.Worst, float64(d.worst))
			if i == 0 {
				sse += float64(d.sse)
				e.Pixels += r.Dx() * r.Dy()
				e.Max = max(e.Max, int(d.max))
			}
			rough := image.Rectangle{image.Pt(int(d.x0), int(d.y0)), image.Pt(int(d.x1), int(d.y1))}
			if rough.Empty() {
				continue
			}
			if i > 0 && img.Format == I420 {
				rough = image.Rectangle{rough.Min.Mul(2), rough.Max.Mul(2)}.Intersect(img.Bounds())
			}
			e.Rough = e.Rough.Union(rough)
		}
	}
	if e.Pixels > 0 {
		e.MSE = sse / float64(e.Pixels)
	}
	return e
}
