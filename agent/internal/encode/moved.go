package encode

import (
	"bytes"
	"hash/maphash"
	"image"
)

const (
	// movedLeast is how wide and high a rectangle must be to be searched: less
	// costs few bits anyway.
	movedLeast = 96
	// strip is how wide the parts of a row are that are compared as one: a scroll
	// bar, or a margin that stands still, must not hide that the rest moved.
	strip = 80
)

// Fresh is Detail without what a codec finds in old, the picture before, of the
// same size and format: what stands where it stood or moved up or down as a whole,
// as a page does that is scrolled. Scrolling a page by 40 rows takes a twentieth
// of the bits of a new page with as much detail on it. Moved says by how many rows
// most of that moved up, below 0 down; 0: nothing did.
func (img *Image) Fresh(old *Image, rects []image.Rectangle) (detail float64, moved int) {
	if len(rects) == 0 {
		rects = []image.Rectangle{img.Bounds()}
	}
	most := 0.0
	for _, r := range together(rects) {
		r = r.Intersect(img.Bounds())
		if r.Dx() < movedLeast || r.Dy() < movedLeast {
			if !r.Empty() {
				detail += img.Detail([]image.Rectangle{r})
			}
			continue
		}
		// What moved still takes a motion vector here and there.
		detail += float64(r.Dx()*r.Dy()) / 512
		f := img.follow(old, r)
		if len(f.fresh) > 0 {
			detail += img.Detail(f.fresh) / f.share
		}
		if area := float64(f.moved) / f.share; area > most {
			most, moved = area, f.rows
		}
	}
	return detail, moved
}

// together is one rectangle around all where they fill half of it: what moves as one
// may come in pieces, with blank lines between them, each of which moved out of
// another. What stands still between them is known.
func together(rects []image.Rectangle) []image.Rectangle {
	around, sum := image.Rectangle{}, 0
	for _, r := range rects {
		around = around.Union(r)
		sum += r.Dx() * r.Dy()
	}
	if 2*sum < around.Dx()*around.Dy() {
		return rects
	}
	return []image.Rectangle{around}
}

// followed is what became of a rectangle, told from a share of it.
type followed struct {
	share float64
	rows  int               // by which some of it moved up
	moved int               // pixels that did
	fresh []image.Rectangle // what was not there before
}

func (img *Image) follow(old *Image, r image.Rectangle) (f followed) {
	seed := maphash.MakeSeed()
	n := max(1, r.Dx()/strip)
	step := 1 + n/6
	var where []image.Rectangle
	var was, is [][]uint64
	for i := step / 2; i < n; i += step {
		s := r
		s.Min.X, s.Max.X = r.Min.X+i*r.Dx()/n, r.Min.X+(i+1)*r.Dx()/n
		where = append(where, s)
		was, is = append(was, old.rows(seed, s)), append(is, img.rows(seed, s))
		f.share += float64(s.Dx()) / float64(r.Dx())
	}
	f.rows = shift(was, is)
	for i, s := range where {
		begin := -1
		for y := 0; y <= r.Dy(); y++ {
			known := y == r.Dy() || is[i][y] == plain || is[i][y] == was[i][y]
			if from := y + f.rows; !known && from >= 0 && from < r.Dy() && is[i][y] == was[i][from] {
				known = true
				f.moved += s.Dx()
			}
			switch {
			case !known && begin < 0:
				begin = y
			case known && begin >= 0:
				f.fresh = append(f.fresh, image.Rect(s.Min.X, r.Min.Y+begin, s.Max.X, r.Min.Y+y))
				begin = -1
			}
		}
	}
	return f
}

// plain stands for a row of one colour, which says nothing about motion and costs
// next to nothing.
const plain = 0

// rows are hashes of the luma of r's rows.
func (img *Image) rows(seed maphash.Seed, r image.Rectangle) []uint64 {
	out := make([]uint64, r.Dy())
	for y := range out {
		row := img.Y[(r.Min.Y+y)*img.StrideY+r.Min.X : (r.Min.Y+y)*img.StrideY+r.Max.X]
		if !bytes.Equal(row[1:], row[:len(row)-1]) {
			out[y] = max(1, maphash.Bytes(seed, row))
		}
	}
	return out
}

// shift is by how many rows most of is lies further up than it was; 0 when that
// cannot be said.
func shift(was, is [][]uint64) int {
	best, votes := 0, map[int]int{}
	at := make(map[uint64]int)
	for i := range was {
		clear(at)
		for y, h := range was[i] {
			if _, twice := at[h]; twice {
				at[h] = -1 // like a line of a table: it could have come from anywhere
			} else if h != plain {
				at[h] = y
			}
		}
		for y, h := range is[i] {
			if from, ok := at[h]; ok && from >= 0 && from != y {
				votes[from-y]++
			}
		}
	}
	for dy, n := range votes {
		if n > votes[best] || n == votes[best] && dy < best {
			best = dy
		}
	}
	return best
}
