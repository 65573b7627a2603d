//go:build cgo

package encode

// #include <stdint.h>
import "C"

import "image"

// active is a library's active map: a byte for each block of 16×16, not 0 where
// something changed. It keeps a small change small: without it the library
// brings the rest of the picture to the quantizer of the change.
type active struct {
	blocks  []byte
	columns int
}

func newActive(size image.Point) active {
	columns, rows := (size.X+15)/16, (size.Y+15)/16
	return active{make([]byte, columns*rows), columns}
}

// mark fills the map and returns it, or nil where it is not worth using: for a
// key frame, and when more than one part in so many of the picture changed.
func (a active) mark(p Params, part int) *C.uint8_t {
	if p.Key {
		return nil
	}
	clear(a.blocks)
	marked := 0
	for _, r := range p.Dirty {
		for y := r.Min.Y / 16; y <= (r.Max.Y-1)/16; y++ {
			for x := r.Min.X / 16; x <= (r.Max.X-1)/16; x++ {
				if a.blocks[y*a.columns+x] == 0 {
					a.blocks[y*a.columns+x] = 1
					marked++
				}
			}
		}
	}
	if marked > len(a.blocks)/part {
		return nil
	}
	return (*C.uint8_t)(&a.blocks[0])
}
