package stream

import "time"

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

// thrift is how little of the link a preset takes, against the others.
func (p Preset) thrift() int {
	return [...]int{Auto: 2, Speed: 3, Balanced: 1, Sharp: 0}[min(p, Sharp)]
}

// What Auto takes for a reason to save. The link's bounds lie apart, and so do
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

// auto says when to save: where the link is slow, and where encoding does not
// keep up with what moves. Time is an argument: it knows no clock. The zero value
// begins with not saving.
type auto struct {
	slow   bool
	since  time.Time // slow since
	late   int       // frames in a row
	nearly int       // likewise
	reason time.Time // when there was last one to save
	saving bool
}

// decide is asked often, with the link's bits per second.
func (a *auto) decide(now time.Time, target int) (saving bool) {
	if slow := target < slowBelow || a.slow && target < slowUntil; slow != a.slow {
		a.slow, a.since = slow, now
	}
	if a.late >= lateAfter || a.slow && now.Sub(a.since) >= slowAfter {
		a.saving = true
	}
	if a.slow {
		a.reason = now
	}
	if a.saving && now.Sub(a.reason) >= calmAfter {
		a.saving, a.late, a.nearly = false, 0, 0
	}
	return a.saving
}

// frame takes how long a frame in motion was made for, and the time it had. One that
// took long now and then is no reason.
func (a *auto) frame(now time.Time, took, had time.Duration) {
	a.late, a.nearly = a.late+1, a.nearly+1
	if took <= had {
		a.late = 0
	}
	if took <= had*7/10 {
		a.nearly = 0
	}
	if a.late >= lateAfter || a.saving && a.nearly >= lateAfter {
		a.reason = now
	}
}
