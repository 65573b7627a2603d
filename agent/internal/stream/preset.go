package stream

import "time"

// # Presets and formats
//
// A preset (preset.go) moves the bounds of the quantizers of what changes, and
// when refinement begins; what stands still becomes exact with each. Balanced is
// the above. Speed moves at 44 and coarser, takes half of a frame's share, and
// refines a quarter of a second after the last change: three fifths of the bits of a
// page that scrolls, a seventh of those of a video (BenchmarkStream). Sharp moves at 36 at the coarsest,
// and lets the rate of pictures fall instead. Auto is Balanced until the link has
// been slow for a second, or five frames in motion in a row took longer than they
// had, and then Speed until neither has been so for five. With several viewers the
// most economical preset is the stream's. A cap is a stream of its own (Hub): one viewer's is
// not the others', nor are their pictures his.
//
// 4:4:4 is a format, a stream of its own beside that in 4:2:0, with a payload type
// of its own on the same Track (AV1 high profile, VP9 profile 1). A browser changes
// decoders with the payload type, without negotiation; the viewer's old picture
// stands until the new stream's first key frame, because who switches goes on with
// the old stream until then. It costs two fifths more encoding time (1080p, AV1,
// typing 7 against 11 ms, scrolling 20 against 29), nothing more in bits for black
// text, and for coloured text what its colours are (17 against 46 kbit a frame).

// Preset is what a viewer would rather have: a picture sooner, or a finer one.
// Whatever it is, a picture that stands still becomes exact. 4:4:4 is no part of
// it: that is the stream's (Options.Format).
type Preset uint8

// The presets.
const (
	Auto     Preset = iota // Balanced, and Speed where that is needed
	Speed                  // what moves is coarse: fewer bytes, and the next picture sooner
	Balanced               // as fine as the link takes
	Sharp                  // what moves is never so coarse that it does not read well
)

// economyRank orders presets: the higher, the less of the link they take.
func (p Preset) economyRank() int {
	return [...]int{Auto: 2, Speed: 3, Balanced: 1, Sharp: 0}[min(p, Sharp)]
}

// The overuse by which Auto saves. The link's bounds lie apart, and so do
// times to begin and to end, so that it does not change its mind each second.
const (
	slowBelow = 1_400_000 // bits per second; less than DefaultTarget, which is a guess
	slowUntil = 2_100_000
	slowAfter = time.Second     // of a slow link
	lateAfter = 5               // frames, each late
	calmAfter = 5 * time.Second // without either
	// motion is the time that a frame has: pictures that move come at 30 a second.
	motion = time.Second / 30
)

// qualityAdapter decides for Auto when to save: where the link is slow, and where encoding
// does not keep up with what moves. Time is an argument: it knows no clock. The zero value
// begins with not saving.
type qualityAdapter struct {
	slow        bool
	since       time.Time // slow since
	late        int       // frames in a row
	nearly      int       // likewise
	lastOveruse time.Time // the last overuse of the link or of the encoder
	saving      bool
}

// decide is asked often, with the link's bits per second.
func (a *qualityAdapter) decide(now time.Time, target int) (saving bool) {
	if slow := target < slowBelow || a.slow && target < slowUntil; slow != a.slow {
		a.slow, a.since = slow, now
	}
	if a.late >= lateAfter || a.slow && now.Sub(a.since) >= slowAfter {
		a.saving = true
	}
	if a.slow {
		a.lastOveruse = now
	}
	if a.saving && now.Sub(a.lastOveruse) >= calmAfter {
		a.saving, a.late, a.nearly = false, 0, 0
	}
	return a.saving
}

// frame takes how long a frame in motion was made for, and the time it had. One that
// took long now and then is no reason.
func (a *qualityAdapter) frame(now time.Time, took, had time.Duration) {
	a.late, a.nearly = a.late+1, a.nearly+1
	if took <= had {
		a.late = 0
	}
	if took <= had*7/10 {
		a.nearly = 0
	}
	if a.late >= lateAfter || a.saving && a.nearly >= lateAfter {
		a.lastOveruse = now
	}
}
