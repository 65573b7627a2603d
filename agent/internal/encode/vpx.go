//go:build cgo

package encode

/*
#include "vpx.h"
*/
import "C"

import (
	"errors"
	"image"
)

// vpx is VP9 or VP8. VP9 is told by an active map which blocks changed, which
// halves the time of a small change; it ruins VP8 (290 kbit a frame).
type vpx struct {
	c      *C.oriel_vpx
	vp9    bool
	active []byte
}

func openVPX(codec Codec) func(*Image, Config) (library, error) {
	return func(img *Image, cfg Config) (library, error) {
		var why *C.char
		threads := cfg.Threads
		if codec == VP8 {
			// Its threads wait for each other by spinning: on a machine with
			// something else to do a frame takes ten times as long.
			threads = 1
		}
		c := C.oriel_vpx_open(truth(codec == VP9), C.int(img.Size.X), C.int(img.Size.Y), C.int(threads), truth(img.Format == I444), &why)
		if c == nil {
			return nil, errors.New("libvpx: " + C.GoString(why))
		}
		v := &vpx{c: c, vp9: codec == VP9}
		v.active = make([]byte, ((img.Size.X+15)/16)*((img.Size.Y+15)/16))
		return v, nil
	}
}

func (v *vpx) encode(img *Image, pts int64, q int, key, _ bool, dirty []image.Rectangle, p *C.oriel_packet) error {
	var active *C.uint8_t
	if v.vp9 && !key && v.mark(img, dirty) {
		active = (*C.uint8_t)(&v.active[0])
	}
	why := C.oriel_vpx_encode(v.c, (*C.uint8_t)(&img.Y[0]), (*C.uint8_t)(&img.U[0]), (*C.uint8_t)(&img.V[0]),
		C.int(img.StrideY), C.int(img.StrideC), C.int64_t(pts), C.int(q), truth(key), active, p)
	if why != nil {
		return errors.New("libvpx: " + C.GoString(why))
	}
	return nil
}

// mark fills the active map and reports whether it is worth using: less than
// half of the picture changed.
func (v *vpx) mark(img *Image, dirty []image.Rectangle) bool {
	clear(v.active)
	columns := (img.Size.X + 15) / 16
	marked := 0
	for _, r := range dirty {
		for y := r.Min.Y / 16; y <= (r.Max.Y-1)/16; y++ {
			for x := r.Min.X / 16; x <= (r.Max.X-1)/16; x++ {
				if v.active[y*columns+x] == 0 {
					v.active[y*columns+x] = 1
					marked++
				}
			}
		}
	}
	return marked < len(v.active)/2
}

func (v *vpx) close() { C.oriel_vpx_close(v.c) }
