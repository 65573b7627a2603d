package session

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"

	"golang.org/x/image/draw"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

// # Previews
//
// A preview (feature F4) is a JPEG within orielv1.MaxPreviewSide and MaxPreviewBytes,
// taken at most every Settings.preview_seconds and only when the picture is not the
// last one sent. While a session goes over a way of less than 2 Mbit/s it waits, ten
// times at most.

// reduce is the part of scaling that must be done while the desktop's memory
// stands still: the mean of k×k pixels, k being the largest whole number that
// leaves the picture no smaller than a preview. The result is this package's
// own, opaque.
func reduce(p desktop.Picture) *image.RGBA {
	// Two sums share 32 bits, which is why k is at most 16.
	k := min(max(1, max(p.Size.X, p.Size.Y)/orielv1.MaxPreviewSide), 16, p.Size.X, p.Size.Y)
	w, h := p.Size.X/k, p.Size.Y/k
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	type sum struct{ redBlue, green uint32 }
	sums := make([]sum, w)
	half, area := uint32(k*k/2), uint32(k*k)
	for y := range h {
		clear(sums)
		for dy := range k {
			row := p.Pix[(y*k+dy)*p.Stride:][:w*k*4]
			for x := range sums {
				var s sum
				for range k {
					v := binary.LittleEndian.Uint32(row)
					row = row[4:]
					s.redBlue += v & 0xff00ff
					s.green += v >> 8 & 0xff
				}
				sums[x].redBlue += s.redBlue
				sums[x].green += s.green
			}
		}
		to := out.Pix[y*out.Stride:][:4*w]
		for x, s := range sums {
			to[4*x] = uint8((s.redBlue>>16 + half) / area)
			to[4*x+1] = uint8((s.green + half) / area)
			to[4*x+2] = uint8((s.redBlue&0xffff + half) / area)
			to[4*x+3] = 255
		}
	}
	return out
}

// compress scales a reduced picture to its final size and finds the best JPEG
// quality that keeps within the limit; a picture that no quality makes small
// enough (noise) is made smaller.
func compress(src *image.RGBA) (*orielv1.Preview, error) {
	for side := orielv1.MaxPreviewSide; side >= 40; side /= 2 {
		img := fit(src, side)
		data, err := bestJPEG(img)
		if err != nil {
			return nil, err
		}
		if data != nil {
			return &orielv1.Preview{
				Type: "image/jpeg", Data: data,
				Width: uint32(img.Rect.Dx()), Height: uint32(img.Rect.Dy()),
			}, nil
		}
	}
	return nil, fmt.Errorf("preview: no JPEG of %v is under %d bytes", src.Rect.Size(), orielv1.MaxPreviewBytes)
}

// fit scales src down so that no side is longer than side; it never enlarges.
func fit(src *image.RGBA, side int) *image.RGBA {
	size := src.Rect.Size()
	longest := max(size.X, size.Y)
	if longest <= side {
		return src
	}
	out := image.NewRGBA(image.Rect(0, 0, max(1, size.X*side/longest), max(1, size.Y*side/longest)))
	draw.CatmullRom.Scale(out, out.Rect, src, src.Rect, draw.Src, nil)
	return out
}

// bestJPEG is nil when even the worst acceptable quality is over the limit.
func bestJPEG(img image.Image) ([]byte, error) {
	var best []byte
	for low, high := 30, 90; low <= high; {
		quality := (low + high + 1) / 2
		var b bytes.Buffer
		if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality}); err != nil {
			return nil, fmt.Errorf("preview: %w", err)
		}
		if b.Len() <= orielv1.MaxPreviewBytes {
			best, low = b.Bytes(), quality+1
		} else {
			high = quality - 1
		}
	}
	return best, nil
}
