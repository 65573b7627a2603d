//go:build cgo

package encode

// #include "follow.h"
import "C"

import (
	"image"
	"runtime"
)

// canvas holds what the library is shown while part of the picture is soft
// (Params.Soft), or coarser than what is to come (Params.Coarse): soft where it was
// sent soft and not sharp since, as it was decoded where it only moved, else the
// newest picture. So a letter typed in the meantime, or a line that is scrolled into
// view, does not make the library encode all that has still to become sharp. Its zero
// value is right.
type canvas struct {
	shown   *Image            // nil: the picture itself is shown
	newest  *Image            // the picture itself, of the frame before; nil: not kept
	blurred *Image            // the picture itself, soft; where it is needed
	soft    []image.Rectangle // what is soft, if not a little less
	small   []byte            // one plane, shrunk
}

// keeps is whether what was there, or moved, is to stay as it was decoded.
func (v *canvas) keeps(p Params) bool {
	return !p.Key && !p.Again && (p.Coarse > p.Quantizer || p.moves() && (p.soft() || len(v.soft) > 0))
}

// follows is whether it can.
func (v *canvas) follows(p Params) bool { return v.keeps(p) && v.newest != nil }

// show returns what to encode for img, of which p.Dirty is new; decoded is what the
// library made of the frame before.
func (v *canvas) show(img *Image, p Params, decoded *Image) *Image {
	keeps := v.keeps(p) || p.soft()
	switch {
	case v.follows(p) && decoded != nil:
		v.follow(img, p, decoded)
		v.newest.Copy(img, p.Dirty)
		return v.shown
	case p.soft():
		if v.shown == nil {
			v.shown = NewImage(img.Format, img.Size)
			v.shown.Copy(img, []image.Rectangle{img.Bounds()})
		}
		v.blur(v.shown, img, p)
	default:
		for _, r := range p.Dirty {
			v.soft = Outside(v.soft, img.Align(r))
		}
		if len(v.soft) == 0 {
			v.shown, v.blurred = nil, nil
			keeps = keeps || v.newest != nil && !p.moves() && !p.Key
		} else {
			v.shown.Copy(img, p.Dirty)
			keeps = true
		}
	}
	switch {
	case !keeps:
		v.newest = nil
	case v.newest == nil && p.Only: // img may show more than was ever sent
	case v.newest == nil:
		v.newest = NewImage(img.Format, img.Size)
		v.newest.Copy(img, []image.Rectangle{img.Bounds()})
	default:
		v.newest.Copy(img, p.Dirty)
	}
	if v.shown == nil {
		return img
	}
	return v.shown
}

// follow brings what is shown up to date: what stands where it stood, or moved up by
// so many rows, as it was decoded, so that there is nothing to encode; what is new as
// it is, or soft.
func (v *canvas) follow(img *Image, p Params, decoded *Image) {
	if v.shown == nil {
		v.shown = NewImage(img.Format, img.Size)
		v.shown.Copy(img, []image.Rectangle{img.Bounds()})
	}
	appears := img
	if p.soft() {
		if v.blurred == nil {
			v.blurred = NewImage(img.Format, img.Size)
		}
		appears = v.blurred
		v.blur(appears, img, p)
	}
	follow(v.shown, img, v.newest, decoded, appears, p.Dirty, p.Moved)
}

// follow makes shown in the rectangles, in blocks of 16×16: what is in img as it was in
// newest, or by so many rows below, as it is there in decoded, the rest as it is in appears.
// All have one size and format.
func follow(shown, img, newest, decoded, appears *Image, rects []image.Rectangle, moved int) {
	var pin runtime.Pinner
	defer pin.Unpin()
	of := func(m *Image) (p C.oriel_picture) {
		for i, plane := range [...][]byte{m.Y, m.U, m.V} {
			pin.Pin(&plane[0])
			p.plane[i], p.stride[i] = (*C.uint8_t)(&plane[0]), C.int(m.StrideC)
		}
		p.stride[0] = C.int(m.StrideY)
		return p
	}
	v := C.oriel_canvas{
		img: of(img), newest: of(newest), decoded: of(decoded), appears: of(appears), shown: of(shown),
		height: C.int(img.Size.Y), half: truth(img.Format == I420), moved: C.int(moved),
	}
	for _, r := range rects {
		r = img.Align(r)
		C.oriel_follow(&v, C.int(r.Min.X), C.int(r.Min.Y), C.int(r.Max.X), C.int(r.Max.Y))
	}
}
