package desktop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/jezek/xgb/xproto"
)

// format is how a screen lays out its pixels. Nearly every one is native: 32
// bits, blue first. Others (16-bit Xvfb, 30-bit displays) are converted.
type format struct {
	native           bool
	bpp, pad         int
	red, green, blue channel
	order            binary.ByteOrder
}

type channel struct {
	mask  uint32
	shift int
	max   uint32
}

func screenFormat(c *xconn) (format, error) {
	f := format{order: binary.LittleEndian}
	if c.setup.ImageByteOrder == xproto.ImageOrderMSBFirst {
		f.order = binary.BigEndian
	}
	for _, p := range c.setup.PixmapFormats {
		if p.Depth == c.screen.RootDepth {
			f.bpp, f.pad = int(p.BitsPerPixel), int(p.ScanlinePad)
		}
	}
	for _, depth := range c.screen.AllowedDepths {
		for _, v := range depth.Visuals {
			if v.VisualId == c.screen.RootVisual {
				f.red, f.green, f.blue = newChannel(v.RedMask), newChannel(v.GreenMask), newChannel(v.BlueMask)
			}
		}
	}
	if f.bpp != 16 && f.bpp != 32 || f.pad < 8 || f.red.max == 0 || f.green.max == 0 || f.blue.max == 0 {
		return f, fmt.Errorf("a screen of %d bits a pixel without true colour cannot be shown; set its depth to 24", f.bpp)
	}
	f.native = f.bpp == 32 && f.order == binary.LittleEndian &&
		f.red.mask == 0xff0000 && f.green.mask == 0xff00 && f.blue.mask == 0xff
	return f, nil
}

func newChannel(mask uint32) channel {
	shift := bits.TrailingZeros32(mask)
	if mask == 0 {
		return channel{}
	}
	return channel{mask: mask, shift: shift, max: mask >> shift}
}

func (c channel) of(pixel uint32) byte {
	return byte((pixel & c.mask >> c.shift) * 255 / c.max)
}

// convert returns data, an image of w×h in this format, as blue, green, red, unused.
func (f format) convert(buf *[]byte, data []byte, w, h int) ([]byte, error) {
	stride := (w*f.bpp + f.pad - 1) / f.pad * f.pad / 8
	if w <= 0 || h <= 0 || len(data) < stride*h {
		return nil, errors.New("the X server sent too small a picture")
	}
	if f.native {
		return data, nil
	}
	if cap(*buf) < w*h*4 {
		*buf = make([]byte, w*h*4)
	}
	out := (*buf)[:w*h*4]
	i := 0
	for y := range h {
		row := data[y*stride:]
		for x := range w {
			var p uint32
			if f.bpp == 16 {
				p = uint32(f.order.Uint16(row[x*2:]))
			} else {
				p = f.order.Uint32(row[x*4:])
			}
			out[i], out[i+1], out[i+2], out[i+3] = f.blue.of(p), f.green.of(p), f.red.of(p), 0
			i += 4
		}
	}
	return out, nil
}
