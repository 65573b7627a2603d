package stream

import (
	"image"
	"slices"

	"oriel/agent/internal/encode"
)

// patch is a part of the viewers' picture that could be finer, and how it was
// coded.
type patch struct {
	where     image.Rectangle
	quantizer int // or prefiltered
}

// prefiltered is what a patch has instead of a quantizer that was low-passed: coarser than any.
const prefiltered = encode.MaxQuantizer + 1

// refinementMap maps where the viewers' picture could be finer.
type refinementMap struct{ patches []patch }

const (
	// maxPatches bounds the list: then all is one.
	maxPatches = 48
	// reach is how far a frame, and its comparison, go beyond what changed: a
	// block or two.
	reach = 24
)

func (r *refinementMap) any() bool { return len(r.patches) > 0 }

// beyond reports whether some of them is outside of the rectangles, and of what a
// frame reaches beyond those.
func (r *refinementMap) beyond(rects []image.Rectangle) bool {
	grown := make([]image.Rectangle, 0, len(rects))
	for _, g := range rects {
		grown = append(grown, g.Inset(-reach))
	}
	for _, p := range r.patches {
		if len(encode.Outside([]image.Rectangle{p.where}, grown...)) > 0 {
			return true
		}
	}
	return false
}

// within is the largest quantizer of those that touch the rectangles.
func (r *refinementMap) within(rects []image.Rectangle) int {
	worst := encode.MinQuantizer
	for _, p := range r.patches {
		if p.quantizer > worst && slices.ContainsFunc(rects, p.where.Overlaps) {
			worst = p.quantizer
		}
	}
	return worst
}

// coarsest is the largest quantizer of them.
func (r *refinementMap) coarsest() int {
	worst := encode.MinQuantizer
	for _, p := range r.patches {
		worst = max(worst, p.quantizer)
	}
	return worst
}

// after learns what a frame left: where it was looked at, what is not exact.
func (r *refinementMap) after(all image.Rectangle, p encode.Params, pkt encode.Packet, refined bool) {
	seen := p.Dirty
	if pkt.Key || len(seen) == 0 {
		seen = []image.Rectangle{all}
	}
	var left []patch
	for _, old := range r.patches {
		for _, where := range encode.Outside([]image.Rectangle{old.where}, seen...) {
			left = append(left, patch{where, old.quantizer})
		}
	}
	was := max(p.Quantizer, p.Coarse)
	if p.Soft > 0 {
		was = prefiltered
	}
	rest := pkt.Error.Rough
	if !rest.Empty() && !pkt.Error.Lossless() {
		rest = rest.Inset(-8)
	}
	// What the finest quantizer leaves does not get better.
	if !refined || p.Quantizer > encode.MinQuantizer {
		for _, where := range seen {
			if where = where.Inset(-reach).Intersect(rest).Intersect(all); !where.Empty() {
				left = append(left, patch{where, was})
			}
		}
	}
	if len(left) > maxPatches {
		one := left[0]
		for _, p := range left[1:] {
			one = patch{one.where.Union(p.where), max(one.quantizer, p.quantizer)}
		}
		left = []patch{one}
	}
	r.patches = left
}

// staleness is where the viewers' picture may show what was there before: the encoder left a
// block as it was (encode.Packet.Stale), and no frame since that looked at all of it found none.
type staleness struct{ where image.Rectangle }

func (s *staleness) any() bool { return !s.where.Empty() }

// after learns what a frame left, or found right.
func (s *staleness) after(all image.Rectangle, p encode.Params, pkt encode.Packet) {
	seen := p.Dirty
	if pkt.Key || len(seen) == 0 {
		seen = []image.Rectangle{all}
	}
	switch {
	case pkt.Stale:
		s.where = s.where.Union(union(seen))
	case s.any() && len(encode.Outside([]image.Rectangle{s.where}, seen...)) == 0:
		s.where = image.Rectangle{}
	}
}

func union(rects []image.Rectangle) image.Rectangle {
	var all image.Rectangle
	for _, r := range rects {
		all = all.Union(r)
	}
	return all
}
