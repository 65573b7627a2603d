package stream

import (
	"math"
	"time"

	"oriel/agent/internal/encode"
)

// # Rate
//
// The quantizer of each frame is ours (rate.go): a leaky bucket drains at the
// rate of the congestion estimate; the frame after a pause may fill a tenth of a
// second of it, a frame in motion a frame's share, and the model of the codec
// says which quantizer that takes, by the detail that was not in the picture
// before (encode.Image.Fresh): what only moved costs next to nothing, and the
// encoder is told how far it moved. What does not fit into a sixth of a second
// even at the coarsest, at which text reads well, goes out in bands, from the top,
// the newest change first: a frame longer than the queue of a slow link would lose
// its own end. What changes again before all of that was shown goes out soft, whole.
// What is scrolled stays as soft or coarse as it is until it is scrolled away or
// stands still (encode.Params.Coarse), unless there is room to send it again; what
// comes into view is as fine as the link allows. What only moved and is fine enough
// is copied (encode.Params.Stays). A frame that turned out too large
// delays the next, and its end leaves as the link takes it (Track); it never queues
// behind itself. Where the link is the slower of the
// two, the next frame is encoded while it carries the last. With several viewers the
// slowest viewer's rate is the stream's.
//
// The estimate is ours too (package bwe): every frame of some packets is a train
// whose dispersion at the viewer shows what the link carries, so that the first
// one is enough, and nothing is sent only to find out.

// class is what a frame is, for the model of its size.
type class uint8

const (
	classKey class = iota
	classChange
	classLetter // a change of little detail; no more than bits and learn know of it
	classRefine
	classSoft // the first refinement of what was soft
	classes
)

// textDetail is the detail below which a change says nothing of larger ones, and they
// nothing of it. Blocks of one colour, of which a key press may make one,
// take a tenth of the bits that a page of text takes for each of its detail, and a page
// believed to be as cheap would be three times as long as the queue of a slow link.
const textDetail = 4000

// of is the class whose model holds.
func (c class) of(detail float64) class {
	if c == classChange && detail < textDetail {
		return classLetter
	}
	return c
}

// rate decides when the next frame may go and how coarse it is. Time is an
// argument: it knows no clock.
type rate struct {
	codec  encode.Codec
	preset Preset    // in force: Auto is as Balanced
	target float64   // bits per second
	debt   float64   // bits sent that the link has not carried yet
	at     time.Time // of debt
	// level is, per class, the learned natural logarithm of bits per unit of
	// detail at quantizer 30.
	level [classes]float64
	known [classes]bool
}

const (
	// slack is how much of the link may still be busy when a frame is sent: a
	// small frame must not wait for the last bit of the one before.
	slack = 15 * time.Millisecond
	// pauseAfter is when what comes next is no motion any more.
	pauseAfter = 120 * time.Millisecond
	// firstWindow is how much of the link the first picture may take.
	firstWindow = 160 * time.Millisecond
)

func newRate(codec encode.Codec) *rate {
	r := &rate{codec: codec, target: DefaultTarget}
	// Priors, from pages of text of 1920×1080 (bits per detailed pixel).
	prior := map[encode.Codec]float64{encode.AV1: 3.2, encode.VP9: 8, encode.VP8: 8}[codec]
	r.level = [classes]float64{classKey: math.Log(prior), classChange: math.Log(prior), classLetter: math.Log(prior), classRefine: math.Log(prior / 2), classSoft: math.Log(prior)}
	return r
}

// gain is by how much the logarithm of a frame's bits is larger than at quantizer
// 30. AV1's palettes make text nearly independent of it in the middle: these are
// pages of text of 1920×1080, key frames and others alike.
func (r *rate) gain(q int) float64 {
	if r.codec != encode.AV1 {
		return 0.04 * float64(30-q)
	}
	for i := 1; ; i++ {
		if a, b := curve[i-1], curve[i]; q <= int(b[0]) || i == len(curve)-1 {
			return a[1] + (b[1]-a[1])*(float64(q)-a[0])/(b[0]-a[0])
		}
	}
}

var curve = [...][2]float64{{0, 1.2}, {8, 0.7}, {16, 0.35}, {30, 0}, {52, -0.4}, {58, -0.6}, {63, -1}}

func (r *rate) setTarget(now time.Time, bitsPerSecond int) {
	r.drain(now)
	r.target = float64(bitsPerSecond)
}

func (r *rate) drain(now time.Time) { r.debt, r.at = r.owed(now), now }

// owed is the debt at a time, which may be to come.
func (r *rate) owed(at time.Time) float64 {
	if d := at.Sub(r.at); !r.at.IsZero() && d > 0 {
		return max(0, r.debt-r.target*d.Seconds())
	}
	return r.debt
}

func (r *rate) sent(now time.Time, bits int) {
	r.drain(now)
	r.debt += float64(bits)
}

// airtime is how long the link needs for so many bits.
func (r *rate) airtime(bits int) time.Duration {
	return time.Duration(float64(bits) / r.target * float64(time.Second))
}

// free is when the link takes another frame.
func (r *rate) free(now time.Time) time.Time {
	r.drain(now)
	return now.Add(max(0, r.airtime(int(r.debt))-slack))
}

// idle is when the link has carried everything.
func (r *rate) idle(now time.Time) time.Time {
	r.drain(now)
	return now.Add(r.airtime(int(r.debt)))
}

// small is how many bits a link takes without anybody noticing.
func (r *rate) small() int { return int(r.target * 0.05) }

func (r *rate) firstBudget() int { return int(r.target * firstWindow.Seconds()) }

func (r *rate) bits(c class, detail float64, q int) float64 {
	return detail * math.Exp(r.level[c.of(detail)]+r.gain(q))
}

// learn corrects the model by what a frame took.
func (r *rate) learn(c class, detail float64, q, bits int) {
	if detail < 1 || detail < 1000 && float64(bits) < r.target*slack.Seconds() {
		return // says nothing about what is large, and there is room for it at any rate
	}
	c = c.of(detail)
	seen := math.Log(float64(bits)/detail) - r.gain(q)
	weight := 0.5
	switch {
	case !r.known[c]:
		weight, r.known[c] = 1, true
	case c != classRefine && c != classSoft:
	case seen > r.level[c]:
		weight = 1
	default: // parts differ much, and one that is too large holds up a key
		weight = 0.1
	}
	r.level[c] += weight * (seen - r.level[c])
	r.level[c] = min(max(r.level[c], -5), 5)
}

// fit is the finest quantizer from best to worst whose frame fits.
func (r *rate) fit(c class, detail float64, budget float64, best, worst int) int {
	for q := best; q < worst; q++ {
		if r.bits(c, detail, q) <= budget {
			return q
		}
	}
	return worst
}

// key is the quantizer for a key frame of so many bits.
func (r *rate) key(detail float64, budget int) int {
	return r.fit(classKey, detail, float64(budget), r.fine(1, false), encode.MaxQuantizer)
}

// change is the quantizer for a change that covers a share of the picture, is
// ready at a time, and comes since after the last one: after a pause it may take
// more of the link.
func (r *rate) change(ready time.Time, detail, share float64, moved bool, since time.Duration) int {
	budget := max(r.target*r.window(since).Seconds()-r.owed(ready), r.target*0.008)
	best := r.fine(share, moved)
	// What costs next to nothing is as good as exact at once, and mostly needs no second frame.
	if r.codec != encode.VP8 && share < 0.1 && r.bits(classChange, detail, exact) < r.target*0.004 {
		best = exact
	}
	return r.fit(classChange, detail, budget, best, r.worst())
}

// window is how much of the link a change may take that comes since after the last
// one: a frame's share in motion, more after a pause. In motion less than the time
// that has passed, or one frame that came late would be large, make the next late,
// and halve the rate for good.
func window(since time.Duration) time.Duration {
	const frame = 33 * time.Millisecond
	if since > pauseAfter {
		return pauseAfter
	}
	return frame + max(0, since-frame)*2/5
}

// window is that of the preset: who wants speed takes less, and is free sooner.
func (r *rate) window(since time.Duration) time.Duration {
	if r.preset == Speed {
		return window(since) / 2
	}
	return window(since)
}

// worst is the coarsest quantizer of a change.
func (r *rate) worst() int {
	switch {
	case r.preset == Sharp:
		return 36 // 48 dB of a page of text that scrolls (AV1)
	case r.codec == encode.AV1:
		return encode.MaxQuantizer // 27 dB of a page of text, which reads well, for two thirds of the bits at 58
	case r.preset == Speed:
		return 58
	default:
		return 56
	}
}

// still is how long a picture must stand still before it is refined.
func (r *rate) still() time.Duration {
	if r.preset == Speed {
		return refineAfterSpeed
	}
	return refineAfter
}

// coarsest is how many bits a change takes at least.
func (r *rate) coarsest(detail float64) float64 { return r.bits(classChange, detail, r.worst()) }

// most is how many bits a frame may have: less than the queue of a slow link, a
// quarter of a second, holds, and no more than a person who presses a key waits for.
func (r *rate) most() float64 { return r.target * 0.16 }

// refine is the next finer quantizer of a picture that stands still. What is soft
// becomes readable first. Then few large steps, of which each costs: a page of text,
// soft, takes 3.4 Mbit by 60 to 4, 3.8 by 60, 30 and 10 to 3.
func (r *rate) refine(detail float64, from int) int {
	switch {
	case from > encode.MaxQuantizer:
		return r.fit(classSoft, detail, r.target*0.7, 3, r.worst())
	case r.codec == encode.VP8: // all of it again in each
		best := max(encode.MinQuantizer, from/2-3)
		least := max(encode.MinQuantizer, from-6) // fewer would not be seen
		return r.fit(classRefine, detail, r.target*0.2, best, max(best, least))
	case from >= 40:
		return 3
	default:
		return from / 4
	}
}

// refining is the class of a refinement.
func refining(from int) class {
	if from > encode.MaxQuantizer {
		return classSoft
	}
	return classRefine
}

// exact is the quantizer at which few letters need a refinement: of forty on the demo's page
// seven do, at 4, for a tenth more of the bits, one; at 8 nearly all, which is a frame
// more each (AV1).
const exact = 6

// fine is the quantizer where bits do not matter: what is small is lossless at
// once and saves the refinement. VP8 codes the whole picture again for another
// quantizer, so there it stays.
func (r *rate) fine(share float64, moved bool) int {
	switch {
	case r.preset == Speed && share >= 0.02:
		return 44 // two thirds of the bits of what moves at 24, and less
	case r.codec == encode.VP8:
		return 24
	case share < 0.02:
		return exact
	case share < 0.2, moved: // a page that is scrolled: over 4 dB more than at 24 for about a fifth of its bits; a video would take half as long again
		return 13
	default:
		return 24
	}
}
