package encode

import (
	"bytes"
	"fmt"
	"image"
)

// Format is the layout of an Image's planes.
type Format uint8

// The formats.
const (
	I420 Format = iota // chroma halved both ways
	I444               // chroma in full ("Sharp")
)

// Picture is a screen in the layout of capture: 4 bytes a pixel, blue, green,
// red, unused.
type Picture struct {
	Pix    []byte
	Stride int
	Size   image.Point
}

func (p Picture) check() error {
	if p.Size.X < 1 || p.Size.Y < 1 || p.Size.X > MaxSide || p.Size.Y > MaxSide {
		return fmt.Errorf("picture of %v: sides must be 1 to %d", p.Size, MaxSide)
	}
	if p.Stride < 4*p.Size.X || len(p.Pix) < p.Stride*(p.Size.Y-1)+4*p.Size.X {
		return fmt.Errorf("picture of %v: %d bytes with stride %d are too few", p.Size, len(p.Pix), p.Stride)
	}
	return nil
}

// Image is a picture in planes, BT.601, studio range: what encoders take.
type Image struct {
	Format           Format
	Size             image.Point
	Y, U, V          []byte
	StrideY, StrideC int
}

// NewImage makes a black Image.
func NewImage(f Format, size image.Point) *Image {
	img := &Image{Format: f, Size: size, StrideY: (size.X + 31) &^ 31}
	chroma := img.chroma(image.Rectangle{Max: size}).Max
	img.StrideC = (chroma.X + 31) &^ 31
	img.Y = make([]byte, img.StrideY*size.Y)
	img.U = make([]byte, img.StrideC*chroma.Y)
	img.V = make([]byte, img.StrideC*chroma.Y)
	fill(img.Y, 16)
	fill(img.U, 128)
	fill(img.V, 128)
	return img
}

// Half is the size of a picture in half of the width and height, a pixel where half of one is left.
func Half(size image.Point) image.Point { return image.Pt((size.X+1)/2, (size.Y+1)/2) }

// fill doubles what it has, because copying is much quicker than a loop over bytes.
func fill(b []byte, v byte) {
	if len(b) == 0 {
		return
	}
	b[0] = v
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// Bounds is the whole of img.
func (img *Image) Bounds() image.Rectangle { return image.Rectangle{Max: img.Size} }

// Align grows r to whole chroma samples of img and clips it.
func (img *Image) Align(r image.Rectangle) image.Rectangle {
	if img.Format == I420 {
		r.Min.X &^= 1
		r.Min.Y &^= 1
		r.Max.X = (r.Max.X + 1) &^ 1
		r.Max.Y = (r.Max.Y + 1) &^ 1
	}
	return r.Intersect(img.Bounds())
}

// chroma is where r, aligned, lies in the chroma planes.
func (img *Image) chroma(r image.Rectangle) image.Rectangle {
	if img.Format == I444 {
		return r
	}
	return image.Rect(r.Min.X/2, r.Min.Y/2, (r.Max.X+1)/2, (r.Max.Y+1)/2)
}

// Copy copies the rectangles of src, which must have the size and format of
// img, into img.
func (img *Image) Copy(src *Image, rects []image.Rectangle) {
	for _, r := range rects {
		r = img.Align(r)
		copyPlane(img.Y, img.StrideY, src.Y, src.StrideY, r)
		c := img.chroma(r)
		copyPlane(img.U, img.StrideC, src.U, src.StrideC, c)
		copyPlane(img.V, img.StrideC, src.V, src.StrideC, c)
	}
}

// Changed encloses what differs between img and old, which has its size and format.
func (img *Image) Changed(old *Image) (all image.Rectangle) {
	plane := func(a, b []byte, stride int, size image.Point, scale int) {
		for y := range size.Y {
			is, was := a[y*stride:y*stride+size.X], b[y*stride:y*stride+size.X]
			if bytes.Equal(is, was) {
				continue
			}
			left, right := 0, size.X
			for is[left] == was[left] {
				left++
			}
			for is[right-1] == was[right-1] {
				right--
			}
			all = all.Union(image.Rect(left*scale, y*scale, right*scale, (y+1)*scale))
		}
	}
	scale := 1
	if img.Format == I420 {
		scale = 2
	}
	c := img.chroma(img.Bounds()).Max
	plane(img.Y, old.Y, img.StrideY, img.Size, 1)
	plane(img.U, old.U, img.StrideC, c, scale)
	plane(img.V, old.V, img.StrideC, c, scale)
	return all.Intersect(img.Bounds())
}

func copyPlane(dst []byte, dstStride int, src []byte, srcStride int, r image.Rectangle) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		copy(dst[y*dstStride+r.Min.X:y*dstStride+r.Max.X], src[y*srcStride+r.Min.X:])
	}
}

// Detail counts the pixels inside the rectangles (nil: everywhere) whose luma
// differs from that of their right neighbour, from a sample of the rows: the
// text and the edges that cost bits. One is added for each 64 pixels, as even
// the plainest area costs something.
func (img *Image) Detail(rects []image.Rectangle) float64 {
	if len(rects) == 0 {
		rects = []image.Rectangle{img.Bounds()}
	}
	var total float64
	for _, r := range rects {
		if r = r.Intersect(img.Bounds()); r.Empty() {
			continue
		}
		step := 1 + r.Dx()*r.Dy()/(1<<18)
		count, rows := 0, 0
		for y := r.Min.Y; y < r.Max.Y; y += step {
			rows++
			row := img.Y[y*img.StrideY+r.Min.X : y*img.StrideY+r.Max.X]
			last := row[0]
			for _, v := range row {
				if d := int(v) - int(last); d > 12 || d < -12 {
					count++
				}
				last = v
			}
		}
		total += float64(count)*float64(r.Dy())/float64(rows) + float64(r.Dx()*r.Dy())/64
	}
	return total
}

// Outside is what of the rectangles lies outside of all of the others.
func Outside(rects []image.Rectangle, others ...image.Rectangle) []image.Rectangle {
	for _, w := range others {
		var out []image.Rectangle
		for _, r := range rects {
			in := r.Intersect(w)
			if in.Empty() {
				out = append(out, r)
				continue
			}
			for _, part := range [...]image.Rectangle{
				{r.Min, image.Pt(r.Max.X, in.Min.Y)},
				{image.Pt(r.Min.X, in.Min.Y), image.Pt(in.Min.X, in.Max.Y)},
				{image.Pt(in.Max.X, in.Min.Y), image.Pt(r.Max.X, in.Max.Y)},
				{image.Pt(r.Min.X, in.Max.Y), r.Max},
			} {
				if !part.Empty() {
					out = append(out, part)
				}
			}
		}
		rects = out
	}
	return rects
}
