package desktop

import (
	"bytes"
	"encoding/binary"
	"image"
	"math/bits"
)

// maxDirty is the most rectangles a Picture names.
const maxDirty = 32

// Differences are looked for in tiles: small enough that two changes far apart
// do not become one big rectangle, large enough that a whole screen is compared
// in about the time it takes to read it. The grid is that of the screen, so
// that the rectangles of two neighbouring reads join.
const (
	tileW = 64
	tileH = 32
)

// view is a rectangle of pixels: at is its place on the screen, pix its first pixel.
type view struct {
	pix    []byte
	stride int
	at     image.Rectangle
}

func (v view) row(x0, x1, y int) []byte {
	o := (y-v.at.Min.Y)*v.stride + (x0-v.at.Min.X)*4
	return v.pix[o : o+(x1-x0)*4]
}

// diff appends to boxes the bounding box of what differs between frame and now
// within each tile of now. If copying is set, frame is made equal to now there.
// It goes through both by whole rows, as memory likes it.
func diff(boxes []image.Rectangle, frame, now view, copying bool) []image.Rectangle {
	r := now.at.Intersect(frame.at)
	if r.Empty() {
		return boxes
	}
	left := r.Min.X - r.Min.X%tileW
	columns := (r.Max.X - left + tileW - 1) / tileW
	for ty := r.Min.Y - r.Min.Y%tileH; ty < r.Max.Y; ty += tileH {
		first := len(boxes)
		for y := max(ty, r.Min.Y); y < min(ty+tileH, r.Max.Y); y++ {
			was, is := frame.row(r.Min.X, r.Max.X, y), now.row(r.Min.X, r.Max.X, y)
			if bytes.Equal(was, is) {
				continue
			}
			if len(boxes) == first {
				for range columns {
					boxes = append(boxes, image.Rectangle{})
				}
			}
			for c := range columns {
				x0, x1 := max(left+c*tileW, r.Min.X), min(left+(c+1)*tileW, r.Max.X)
				i, j := (x0-r.Min.X)*4, (x1-r.Min.X)*4
				if bytes.Equal(was[i:j], is[i:j]) {
					continue
				}
				box := &boxes[first+c]
				if box.Empty() {
					*box = image.Rectangle{Min: image.Pt(x1, y), Max: image.Pt(x0, y)}
				}
				box.Max.Y = y + 1
				box.Min.X = min(box.Min.X, x0+firstDiff(was[i:j], is[i:j], box.Min.X-x0))
				box.Max.X = max(box.Max.X, x0+lastDiff(was[i:j], is[i:j], box.Max.X-x0))
			}
			if copying {
				copy(was, is)
			}
		}
		kept := boxes[:first]
		for _, box := range boxes[first:] {
			if !box.Empty() {
				kept = append(kept, box)
			}
		}
		boxes = kept
	}
	return boxes
}

// firstDiff is the first pixel in which a and b differ, or limit if that is less.
func firstDiff(a, b []byte, limit int) int {
	i := 0
	for ; i+1 < limit; i += 2 {
		if x := binary.LittleEndian.Uint64(a[i*4:]) ^ binary.LittleEndian.Uint64(b[i*4:]); x != 0 {
			return i + bits.TrailingZeros64(x)/32
		}
	}
	if i < limit && binary.LittleEndian.Uint32(a[i*4:]) != binary.LittleEndian.Uint32(b[i*4:]) {
		return i
	}
	return limit
}

// lastDiff is one past the last pixel in which a and b differ, or from if that is more.
func lastDiff(a, b []byte, from int) int {
	for i := len(a)/4 - 1; i >= from; i-- {
		if binary.LittleEndian.Uint32(a[i*4:]) != binary.LittleEndian.Uint32(b[i*4:]) {
			return i + 1
		}
	}
	return from
}

// coalesce joins rectangles until at most n are left: first those that make a
// rectangle together, then those whose joining adds the fewest pixels. Text that
// scrolls differs in nearly every tile, each time with another margin: many that
// fill most of what they enclose are one. The search for the best pair takes the
// third power of their number (256 took up to 30 ms of each picture), so it is left few.
func coalesce(rs []image.Rectangle, n int) []image.Rectangle {
	rs = joinRuns(rs)
	if len(rs) <= n {
		return rs
	}
	if all, fill := around(rs); fill {
		return append(rs[:0], all)
	}
	if len(rs) > 2*n {
		rs = joinTiles(rs, 2*n)
	}
	for len(rs) > n {
		bi, bj, best := 0, 1, int(^uint(0)>>1)
		for i := range rs {
			for j := i + 1; j < len(rs); j++ {
				if w := waste(rs[i], rs[j]); w < best {
					bi, bj, best = i, j, w
				}
			}
		}
		rs[bi] = rs[bi].Union(rs[bj])
		rs[bj] = rs[len(rs)-1]
		rs = rs[:len(rs)-1]
		rs = dropInside(rs, bi)
	}
	// What was joined overlaps, and whoever looks at each would look at much twice: of a
	// page of 1280x720 that was scrolled up to 1.4 times as many pixels as there are.
	if all, fill := around(rs); fill {
		return append(rs[:0], all)
	}
	return rs
}

// around is one rectangle around all, and whether they are most of it.
func around(rs []image.Rectangle) (all image.Rectangle, fill bool) {
	sum := 0
	for _, r := range rs {
		all, sum = all.Union(r), sum+area(r)
	}
	return all, sum > area(all)*3/4
}

// joinRuns joins neighbours in the list that share a whole edge: tiles of one
// row, then bands of equal width. Overlaps of equal width are joined, too.
func joinRuns(rs []image.Rectangle) []image.Rectangle {
	out := rs[:0]
	for _, r := range rs {
		if k := len(out) - 1; k >= 0 && out[k].Min.Y == r.Min.Y && out[k].Max.Y == r.Max.Y && out[k].Max.X == r.Min.X {
			out[k].Max.X = r.Max.X
			continue
		}
		out = append(out, r)
	}
	rs, out = out, out[:0]
next:
	for _, r := range rs {
		// Bands of one row of tiles lie between, so look a little back.
		for k := len(out) - 1; k >= 0 && k >= len(out)-16; k-- {
			if out[k].Min.X == r.Min.X && out[k].Max.X == r.Max.X && out[k].Max.Y == r.Min.Y {
				out[k].Max.Y = r.Max.Y
				continue next
			}
		}
		out = append(out, r)
	}
	return out
}

// joinTiles puts very many rectangles onto ever coarser grids, one bounding box
// a field, until at most n are left.
func joinTiles(rs []image.Rectangle, n int) []image.Rectangle {
	for side := 128; len(rs) > n; side *= 2 {
		fields := make(map[image.Point]int)
		out := rs[:0]
		for _, r := range rs {
			at := image.Pt(r.Min.X/side, r.Min.Y/side)
			if k, ok := fields[at]; ok {
				out[k] = out[k].Union(r)
				continue
			}
			fields[at] = len(out)
			out = append(out, r)
		}
		rs = out
	}
	return rs
}

// dropInside removes rectangles that lie within rs[k].
func dropInside(rs []image.Rectangle, k int) []image.Rectangle {
	big := rs[k]
	out := rs[:0]
	for i, r := range rs {
		if i == k || !r.In(big) {
			out = append(out, r)
		}
	}
	return out
}

func waste(a, b image.Rectangle) int {
	return area(a.Union(b)) - area(a) - area(b) + area(a.Intersect(b))
}

func area(r image.Rectangle) int { return r.Dx() * r.Dy() }

// swapRB copies red, green, blue, alpha to blue, green, red, unused.
func swapRB(dst, src []byte) {
	src = src[:len(dst)]
	for i := 0; i+3 < len(dst); i += 4 {
		dst[i], dst[i+1], dst[i+2], dst[i+3] = src[i+2], src[i+1], src[i], 0
	}
}
