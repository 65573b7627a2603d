//go:build cgo

package encode

/*
#include "av1.h"
*/
import "C"

import "errors"

// av1Floor is libaom's quantizer for ours of 0 and 1: its own 0 is the lossless
// mode, a different and far more expensive codec, and 1 costs almost twice the
// bits of 2 for 3 dB beyond what can be seen (60 against 57).
const av1Floor = 2

// Speeds of libaom's (--cpu-used). In the fast one it takes a block whose luma fits for
// unchanged and leaves its chroma as it was, also when the same is encoded again, for good;
// at 7 and below it does not (3.6.0 and 3.12.1). What is small takes hardly longer there, and
// fewer bytes: forty letters on the demo's page 11.0 kB instead of 13.3, two lines of small
// text, 14 000 pixels, a seventh fewer for 2 ms. At 6 and 5 letters take as little as 9.1,
// but there libaom decides in another way, which our patch does not keep from what has
// not changed: after a coarse key frame the first letter brought all of the page with it.
const (
	av1Fast    = 10
	av1Careful = 7
	// smallArea in pixels is what goes slowly.
	smallArea = 1 << 14
)

func (p Params) speed() C.int {
	area := 0
	for _, r := range p.Dirty {
		area += r.Dx() * r.Dy()
	}
	if p.Key || !p.Again && area > smallArea {
		return av1Fast
	}
	return av1Careful
}

// Patched reports whether the library of c is one that .ci/aom has built: such an
// encoder minds Params.Moved and Params.Stays, and looks at nothing outside of Params.Dirty.
func Patched(c Codec) bool { return c == AV1 && ours() }

func ours() bool { return C.oriel_av1_ours() != 0 }

type av1 struct {
	c       *C.oriel_av1
	changed changed
	active  active // where libaom is not ours
}

func openAV1(img *Image, cfg Config) (library, error) {
	var why *C.char
	c := C.oriel_av1_open(C.int(img.Size.X), C.int(img.Size.Y), C.int(cfg.Threads), truth(img.Format == I444), av1Fast, &why)
	if c == nil {
		return nil, errors.New("libaom: " + C.GoString(why))
	}
	return av1{c, newChanged(img.Size), newActive(img.Size)}, nil
}

func (a av1) encode(img *Image, pts int64, p Params, k kept, out *C.oriel_packet) error {
	cells, bands := a.changed.mark(p, k)
	var active *C.uint8_t
	if !ours() {
		active = a.active.mark(p, 4)
	}
	why := C.oriel_av1_encode(a.c, (*C.uint8_t)(&img.Y[0]), (*C.uint8_t)(&img.U[0]), (*C.uint8_t)(&img.V[0]),
		C.int(img.StrideY), C.int(img.StrideC), C.int64_t(pts), C.int(max(p.Quantizer, av1Floor)),
		truth(p.Key), p.speed(), truth(p.soft()), C.int(p.Moved), truth(p.Stays && p.moves() && !p.soft()), cells, bands, active, out)
	if why != nil {
		return errors.New("libaom: " + C.GoString(why))
	}
	return nil
}

func (a av1) close() { C.oriel_av1_close(a.c) }
