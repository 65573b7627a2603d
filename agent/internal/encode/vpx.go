//go:build cgo

package encode

/*
#include "vpx.h"
*/
import "C"

import "errors"

// vpx is VP9 or VP8. VP9 is told by an active map which blocks changed, which
// halves the time of a small change; it ruins VP8 (290 kbit a frame).
type vpx struct {
	c      *C.oriel_vpx
	vp9    bool
	active active
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
		return &vpx{c, codec == VP9, newActive(img.Size)}, nil
	}
}

func (v *vpx) encode(img *Image, pts int64, p Params, _ kept, out *C.oriel_packet) error {
	var active *C.uint8_t
	if v.vp9 {
		active = v.active.mark(p, 2)
	}
	why := C.oriel_vpx_encode(v.c, (*C.uint8_t)(&img.Y[0]), (*C.uint8_t)(&img.U[0]), (*C.uint8_t)(&img.V[0]),
		C.int(img.StrideY), C.int(img.StrideC), C.int64_t(pts), C.int(p.Quantizer), truth(p.Key), active, out)
	if why != nil {
		return errors.New("libvpx: " + C.GoString(why))
	}
	return nil
}

func (v *vpx) close() { C.oriel_vpx_close(v.c) }
