//go:build cgo

package encode

import (
	"bytes"
	"image"
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
	const side = 16
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
	all := img.Bounds()
	for _, r := range p.Dirty {
		r = img.Align(r)
		for y := r.Min.Y; y < r.Max.Y; y += side {
			for x := r.Min.X; x < r.Max.X; x += side {
				b := image.Rect(x, y, min(x+side, r.Max.X), min(y+side, r.Max.Y))
				from := b.Add(image.Pt(0, p.Moved))
				switch {
				case img.same(b, v.newest, b):
					v.shown.move(b, decoded, b)
				case from.In(all) && img.same(b, v.newest, from):
					v.shown.move(b, decoded, from)
					if !img.whole(p.Moved) {
						v.shown.copyChroma(appears, b)
					}
				default:
					v.shown.Copy(appears, []image.Rectangle{b})
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
