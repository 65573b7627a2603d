package stream

import (
	"image"
	"time"

	"oriel/agent/internal/encode"
)

// downscaler adapts the resolution where encoding what moves takes too long, such as a video
// over a screen of 4K on a slow core: half of the width and height takes about a quarter of
// the time. What stands still is shown whole again. Going there and back takes a key frame
// each, as an encoder's references are of one size.
//
// A softer picture of the same size instead takes as long: of 3200×1800 on one thread 200 to
// 230 ms where a plain one took 221 to 320 (libaom 3.12.1, video).
//
// Time is an argument: it knows no clock. The zero value shows the whole.
type downscaler struct {
	active bool
	hurry  bool
	slow   int       // large changes in a row that took too long in a hurry, or would have as a whole
	quick  time.Time // since when none would, but for one now and then; zero: they would
	near   int       // in a row that nearly would
	large  time.Time // when there was last a large change
	next   *encode.Image
}

const (
	// largeChange is the share of a picture from which on a change counts.
	largeChange = 0.2
	// slowest is what encoding a large change may take: below 15 pictures a second
	// nobody takes them for motion.
	slowest  = 2 * motion
	slowOnes = 3 // in a row are enough
	// goesOn is how soon after the one before a large change is of the same motion, though
	// each takes long.
	goesOn = 500 * time.Millisecond
	// standsAfter is when motion is over.
	standsAfter = 250 * time.Millisecond
)

// decide says whether half of the next picture is shown, of which a share has changed. It
// is never where nothing is in a hurry: the preset is another than Speed, or the link so slow
// that a key frame is felt.
func (h *downscaler) decide(now time.Time, hurry bool, share float64) bool {
	moves := share >= largeChange && now.Sub(h.large) < goesOn
	if share >= largeChange {
		h.large = now
	}
	h.hurry = hurry
	switch {
	case !hurry:
		h.active, h.slow = false, 0
	case h.active:
		h.active = share >= largeChange || now.Before(h.stands())
	default:
		h.active = moves && h.slow >= slowOnes
	}
	if !h.active {
		h.quick, h.near = time.Time{}, 0
	}
	return h.active
}

// stands is when the whole is to be shown again, if nothing large changes.
func (h *downscaler) stands() time.Time { return h.large.Add(standsAfter) }

// took takes how long a change of such a share took to be encoded, and the link to carry it,
// and returns how long encoding the whole would have taken. Where pictures wait for the link,
// nothing is gained.
func (h *downscaler) took(now time.Time, d, link time.Duration, share float64) time.Duration {
	waits := link >= d
	if h.active {
		d *= 4
	}
	if share < largeChange || !h.hurry || waits && d > slowest {
		return d
	}
	h.near++
	if d <= slowest*7/10 {
		h.near = 0
	}
	if d > slowest {
		h.slow = min(h.slow+1, slowOnes)
	} else if !h.active {
		h.slow = 0
	}
	switch {
	case !h.active:
	case h.near >= slowOnes:
		h.quick = time.Time{}
	case h.quick.IsZero():
		h.quick = now
	case now.Sub(h.quick) >= calmAfter:
		h.active, h.slow = false, 0
	}
	return d
}

// fit makes the newest picture, of which got has changed, what is encoded: itself, or
// half of it. shown is what was; got is then of what is.
func (h *downscaler) fit(newest, shown *encode.Image, got *snapshot) (*encode.Image, error) {
	if !h.active {
		h.next = nil
		return newest, nil
	}
	if size := encode.Half(newest.Size); h.next == nil || h.next.Size != size {
		h.next, shown = encode.NewImage(newest.Format, size), encode.NewImage(newest.Format, size)
		got.dirty = []image.Rectangle{newest.Bounds()}
	}
	for i, r := range got.dirty {
		got.dirty[i] = h.next.Align(image.Rect(r.Min.X/2, r.Min.Y/2, (r.Max.X+1)/2, (r.Max.Y+1)/2))
	}
	if len(got.dirty) == 0 {
		return shown, nil
	}
	if err := encode.Halve(h.next, newest, got.dirty); err != nil {
		return nil, err
	}
	got.fresh, got.moved = h.next.Fresh(shown, got.dirty)
	shown.Copy(h.next, got.dirty)
	return shown, nil
}
