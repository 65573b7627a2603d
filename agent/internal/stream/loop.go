package stream

import (
	"context"
	"image"
	"time"

	"oriel/agent/internal/encode"
)

const (
	// refineAfter is how long a picture must stand still before it is refined:
	// more than two frames of a video at 30, so that motion is not interrupted.
	refineAfter = 70 * time.Millisecond
	// refineAfterSpeed leaves more of the link to what moves by fits and starts.
	refineAfterSpeed = 250 * time.Millisecond
	// maxFailures in a row end a stream.
	maxFailures = 3
)

// loop is one run of a stream: one goroutine.
type loop struct {
	s          *Stream
	enc        encode.Encoder
	take       *subscriber
	guess      bool          // what the link takes is not known yet
	all        *encode.Image // the newest picture; nil before the first
	img        *encode.Image // and what of it is encoded: all, or half
	downscaler downscaler
	rate       *rate
	quality    qualityAdapter
	fps        int // the cap
	pace       frameRateLimiter
	refinement refinementMap
	rest       []image.Rectangle // what changed and did not fit into a frame yet

	took struct{ change, refine time.Duration } // encoding the last of each

	sent    time.Time // when the last frame was
	changed time.Time // when the last frame with a change was
	stamp   time.Time // Frame.At of the last
	key     keyState
	encoded bool // the encoder has a picture
	// Some of it was low-passed before it was encoded (encode.Params.Soft).
	prefiltered bool
	stale       staleness // or was left as it was
	lostDetail  float64   // of the last prefiltered frame
	torn        time.Time // when a picture was last sent in parts
	failures    int
}

// keyState remembers the last key frame, to answer a loss with less.
type keyState struct {
	at   time.Time
	bits int
}

func newLoop(s *Stream, enc encode.Encoder) *loop {
	return &loop{s: s, enc: enc, rate: newRate(s.codec), fps: s.options.FPS}
}

func (l *loop) run(ctx context.Context) error {
	defer func() { l.enc.Close() }()
	take, err := l.s.source.attach(l.s.options.Format)
	if err != nil {
		return err
	}
	l.take = take
	defer l.s.source.detach(take)
	for {
		if err := l.wait(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if err := l.step(); err != nil {
			if l.failures++; l.failures >= maxFailures {
				return err
			}
			l.s.options.Logger.Warn("encoder replaced", "codec", l.s.codec, "error", err)
			l.enc.Close()
			if l.enc, err = l.s.newEncoder(); err != nil {
				return err
			}
			l.encoded = false
			continue
		}
		l.failures = 0
	}
}

// wait returns when there is something to encode and the link takes it.
func (l *loop) wait(ctx context.Context) error {
	var timer *time.Timer
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	for {
		now := time.Now()
		rest, late := l.s.allPrepared()
		target, guess, key := l.s.demand()
		l.guess = guess
		l.rate.setTarget(now, target)
		l.applySettings(now, target)
		if late > 0 {
			l.rate.sent(now, late)
			l.sent, l.key.at = now, now
		}
		due := l.free(now)
		if rest && l.encoded {
			due = time.Time{}
		} else if !now.Before(due) {
			asked := l.take.want(now)
			if l.take.pending() || len(l.rest) > 0 {
				return nil
			}
			if due = l.pause(now, asked, key); !due.IsZero() && !now.Before(due) {
				return nil
			}
		}
		var fire <-chan time.Time
		if !due.IsZero() {
			if timer == nil {
				timer = time.NewTimer(due.Sub(now))
			} else {
				timer.Reset(due.Sub(now))
			}
			fire = timer.C
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.s.wake:
		case <-l.take.ready:
		case <-l.take.failed():
			return l.take.err()
		case <-fire:
		}
	}
}

// applySettings takes over what the viewers want: the preset, and the cap.
func (l *loop) applySettings(now time.Time, target int) {
	var preset Preset
	preset, l.fps = l.s.effectiveSettings()
	if saving := l.quality.decide(now, target); preset == Auto {
		preset = Balanced
		if saving {
			preset = Speed
		}
	}
	l.rate.preset = preset
	l.s.inForce.Store(uint32(preset))
}

// pause is when there is something to encode though nothing changed; zero:
// never. The next change has been asked for since asked.
func (l *loop) pause(now, asked time.Time, key keyReason) time.Time {
	if l.img == nil {
		return time.Time{}
	}
	if !l.encoded {
		return now
	}
	due := l.refineDue(now, asked)
	if key != keyNone {
		if k := l.keyDue(key); due.IsZero() || k.Before(due) {
			due = k
		}
	}
	return due
}

// free is when the cap and the link allow the next frame.
func (l *loop) free(now time.Time) time.Time {
	if l.sent.IsZero() {
		return now
	}
	next := l.pace.next(l.fps)
	// The link carries what was sent while the next is encoded.
	if t := l.rate.free(now).Add(-l.took.change); t.After(next) {
		next = t
	}
	return next
}

// ahead bounds how long before the link is free a frame is begun: it may be encoded
// in less than the one before, and then waits in the link's queue.
const ahead = 60 * time.Millisecond

// keyDue is when a key frame may answer a request: at once when the last one
// is past, else when that one has had the time to arrive and be seen.
func (l *loop) keyDue(why keyReason) time.Time {
	gap := 200 * time.Millisecond
	if why == keyLost {
		gap = min(max(gap, l.rate.airtime(l.key.bits)*3/2+100*time.Millisecond), 3*time.Second)
	}
	return l.key.at.Add(gap)
}

// step encodes one frame: a change, a key frame or a refinement.
func (l *loop) step() error {
	start := time.Now()
	l.pace.begin(start, l.fps)
	p := encode.Params{}
	size := image.Point{}
	if l.img != nil {
		size = l.img.Size
	}
	got := l.take.snapshot(&l.all)
	if l.all == nil {
		return nil
	}
	hurry := l.rate.preset == Speed && l.rate.target >= slowUntil
	if was := l.downscaler.active; l.downscaler.decide(start, hurry, share(got.dirty, l.all.Size)) != was {
		l.s.options.Logger.Debug("picture resized", "halved", l.downscaler.active, "codec", l.s.codec)
	}
	var err error
	if l.img, err = l.downscaler.fit(l.all, l.img, &got); err != nil {
		return err
	}
	_, _, why := l.s.demand()
	if why != keyNone && l.encoded && start.Before(l.keyDue(why)) {
		why = keyNone // not yet; the change goes first
	}
	p.Key = why != keyNone || !l.encoded || size != l.img.Size
	refined := len(got.dirty) == 0 && len(l.rest) == 0 && !p.Key
	detail, known, kind := 0.0, true, classChange
	switch {
	case p.Key:
		l.rest, kind = nil, classKey
	case refined:
		if !l.refinement.any() {
			return nil // what was asked for has been answered
		}
		p.Again = true
		p.Dirty, p.Quantizer, p.Only, kind = l.nextRefinement()
	default:
		if l.overtaken(start, got) {
			p.Dirty, p.Soft, known, l.rest = append(got.dirty, l.rest...), softness, false, nil
			if l.prefiltered { // else what moved was shown in parts, if at all
				p.Moved = got.moved
			}
			break
		}
		p.Dirty, detail, known, p.Only = l.bands(start, got)
		p.Moved = got.moved
	}
	if p.Key || refined {
		detail = l.img.Detail(p.Dirty)
	}
	f := Frame{Codec: l.s.codec, Format: l.s.options.Format, Size: l.img.Size, At: got.at, Captured: got.captured, Converted: got.converted, Refined: refined}
	var budget int
	switch {
	case p.Key:
		budget = l.keyBudget(why)
		p.Quantizer = l.rate.key(detail, budget)
		if l.tooLarge(int(l.rate.bits(classKey, detail, p.Quantizer)), budget) || l.guess && p.Quantizer > sureQuantizer {
			p.Soft = softness
		}
	case p.Soft > 0:
		if p.Quantizer = softQuantizer; l.rate.airtime(int(softBits*l.img.Detail(p.Dirty))) > 250*time.Millisecond {
			p.Quantizer = encode.MaxQuantizer
		}
	case !refined:
		area := share(p.Dirty, l.img.Size)
		p.Quantizer = l.rate.change(start.Add(l.took.change), detail, area, p.Moved != 0, start.Sub(l.changed))
		was := min(l.refinement.within(p.Dirty), l.rate.worst())
		p.Stays = p.Moved != 0 && was <= p.Quantizer && !l.stale.any()
		// What was there, or only moved, is sent again, less coarse, where there is room for it.
		if was > p.Quantizer && (p.Moved != 0 || area > 0.1) &&
			l.rate.bits(classRefine, l.img.Detail(p.Dirty), p.Quantizer) > l.rate.target*motion.Seconds() {
			p.Coarse = was
		}
	}
	if got.at.IsZero() { // nothing new: the picture is that of now
		f.At = start
	}
	pkt, err := l.enc.Encode(l.img, p)
	if err != nil {
		return err
	}
	if p.Key && p.Soft == 0 && l.tooLarge(len(pkt.Data)*8, budget) {
		// Nothing depends on it yet: a coarser and softer one replaces it.
		l.rate.learn(classKey, detail, p.Quantizer, len(pkt.Data)*8)
		p.Soft = softness
		p.Quantizer = max(p.Quantizer+4, l.rate.key(detail, budget))
		if pkt, err = l.enc.Encode(l.img, p); err != nil {
			return err
		}
	}
	l.encoded = true
	if !known {
		detail = 0
	}
	l.finish(f, p, pkt, kind, detail, start)
	// Where much changed the next frame, or the refinement, is soon there.
	for i := 0; pkt.Stale && i < 2 && (refined || share(p.Dirty, l.img.Size) < 0.25); i++ {
		again := time.Now()
		p.Key, p.Again = false, true
		if pkt, err = l.enc.Encode(l.img, p); err != nil {
			return err
		}
		f.At, f.Captured, f.Converted = again, 0, 0
		l.finish(f, p, pkt, kind, 0, again)
	}
	if !refined {
		if since := start.Sub(l.changed); !p.Key && since < pauseAfter {
			link := l.rate.airtime(8 * len(pkt.Data))
			took := l.downscaler.took(l.sent, l.sent.Sub(start), link, share(p.Dirty, l.img.Size))
			l.quality.frame(l.sent, took, max(motion, time.Second/time.Duration(l.fps)))
		}
		l.changed = l.sent
	}
	return nil
}

const (
	// softness is encode.Params.Soft of what would be too large: what is 16 pixels
	// high can still be read.
	softness = 3
	// sureQuantizer is the coarsest quantizer by the model at which the first picture fits a link that
	// is not known: pages differ by half from it, and one that turned out too large was
	// encoded for nothing, 60 to 100 ms of somebody's wait for it. Soft it takes a third of that.
	sureQuantizer = 30
	// tornFor is how soon another change must come that does not fit to count as
	// motion: the parts of the one before took that long.
	tornFor = 600 * time.Millisecond
	// softQuantizer of what is soft: finer would not be seen. A page of text then takes
	// softBits for each of its detail, and at the coarsest less than half, for 0.8 dB.
	softQuantizer = 56
	softBits      = 0.4
)

// tooLarge is whether a key frame of so many bits is far beyond its budget and
// takes longer than a person waits, or may do so where the link is not known.
func (l *loop) tooLarge(bits, budget int) bool {
	return l.guess && bits > budget || bits > 2*budget && l.rate.airtime(bits) > 300*time.Millisecond
}

// nextRefinement returns what to refine next, and how finely: as much as the link carries in an
// instant, so that a change does not wait behind it, and only that. Every frame of
// VP8 blurs a little what it does not code, so there it is always the whole.
func (l *loop) nextRefinement() (part []image.Rectangle, quantizer int, only bool, kind class) {
	var coarse []image.Rectangle
	worst := l.refinement.coarsest()
	for _, p := range l.refinement.patches {
		if p.quantizer == worst {
			coarse = append(coarse, p.where)
		}
	}
	q := l.rate.refine(l.lostDetail, worst)
	if l.s.codec == encode.VP8 {
		return []image.Rectangle{l.img.Bounds()}, q, false, refining(worst)
	}
	kind = refining(worst)
	coarse = coarse[:0]
	for _, p := range l.refinement.patches {
		if p.quantizer == worst || worst <= encode.MaxQuantizer && p.quantizer > 2*q { // and not what is hardly coarser
			coarse = append(coarse, p.where)
		}
	}
	part, _ = l.part(coarse, func(d float64) bool { return l.rate.bits(kind, d, q) <= l.rate.most()/2 })
	return part, q, true, kind
}

// overtaken reports whether a picture changed again before it was shown whole, or
// sharp, and would not be now: then it is shown soft, and what moves from then on is
// cheap. Parts of a picture that moves do not fit each other, and each is as large as
// the one before. Whoever wants Sharp waits instead.
func (l *loop) overtaken(now time.Time, got snapshot) bool {
	if l.rate.preset == Sharp || len(got.dirty) == 0 || !covers(got.dirty, l.rest) || !l.prefiltered && now.Sub(l.torn) > tornFor {
		return false
	}
	detail := got.fresh
	if len(l.rest) > 0 {
		detail += l.img.Detail(l.rest)
	}
	return !l.enough(detail)
}

// covers reports whether a change is where most of the rest of the one before is. Not all:
// the box around lines of text that scroll is another with each picture.
func covers(dirty, rest []image.Rectangle) bool {
	return 4*area(encode.Outside(rest, union(dirty))) <= area(rest)
}

func area(rects []image.Rectangle) (pixels int) {
	for _, r := range rects {
		pixels += r.Dx() * r.Dy()
	}
	return pixels
}

// enough is whether a change of so much detail fits into a frame.
func (l *loop) enough(detail float64) bool { return l.rate.coarsest(detail) <= l.rate.most() }

// bands returns which of what changed goes into the next frame, how much detail that is
// and whether that is known well enough to learn from, and whether it is only a
// part: what just changed first, then what is still to come, from the top. A frame
// longer than the queue of a slow link would lose its own end, and hold up a key
// that is pressed meanwhile. What only moved is small, however much of it there is,
// and would be torn by parts.
func (l *loop) bands(now time.Time, got snapshot) (part []image.Rectangle, detail float64, known, only bool) {
	todo := append(append([]image.Rectangle(nil), got.dirty...), encode.Outside(l.rest, got.dirty...)...)
	detail = got.fresh
	if len(l.rest) > 0 {
		detail += l.img.Detail(l.rest)
	}
	known = len(l.rest) == 0 || len(got.dirty) == 0
	if l.enough(detail) {
		part, l.rest = todo, nil
	} else {
		part, l.rest = l.part(todo, l.enough)
		l.torn = now
		if len(l.rest) > maxRest {
			l.rest = []image.Rectangle{union(l.rest)}
		}
		detail = l.img.Detail(part)
		known = len(got.dirty) == 0
	}
	return part, detail, known, len(l.rest) > 0 || l.spares(part)
}

// spares is whether what is coarse elsewhere must be kept from the encoder: a fine
// quantizer for a letter must not be spent on it. In a large change that is nearly as
// coarse, little is, and an encoder that looks at nothing elsewhere (encode.Patched) finds
// none; to keep it from the others takes a copy of the picture.
func (l *loop) spares(part []image.Rectangle) bool {
	if l.s.codec == encode.VP8 || encode.Patched(l.s.codec) && share(part, l.img.Size) > 0.1 {
		return false
	}
	return l.refinement.beyond(part)
}

// part divides what is to be done into what is small enough by its detail, at
// least a block of it, and the rest.
func (l *loop) part(todo []image.Rectangle, enough func(detail float64) bool) (part, rest []image.Rectangle) {
	if enough(l.img.Detail(todo)) {
		return todo, nil
	}
	sum := 0.0
	more := func(r image.Rectangle) bool { return enough(sum + l.img.Detail([]image.Rectangle{r})) }
	for i, r := range todo {
		if d := l.img.Detail([]image.Rectangle{r}); enough(sum + d) {
			part, sum = append(part, r), sum+d
			continue
		}
		band, left := cut(r, more)
		if len(part) == 0 || more(band) {
			return append(part, band), append(left, todo[i+1:]...)
		}
		return part, append(rest, todo[i:]...)
	}
	return part, rest
}

const (
	block   = 64 // pixels: a superblock of AV1
	maxRest = 64
)

// cut is the upper part of r that is small enough, in rows of blocks, or of its
// first row as many blocks as are; and what is left. It is a block at least.
func cut(r image.Rectangle, enough func(image.Rectangle) bool) (band image.Rectangle, left []image.Rectangle) {
	step := func(from, to int) int { return min(to, (from+block)&^(block-1)) }
	band = r
	band.Max.Y = step(r.Min.Y, r.Max.Y)
	for band.Max.Y < r.Max.Y {
		next := band
		if next.Max.Y = step(band.Max.Y, r.Max.Y); !enough(next) {
			break
		}
		band = next
	}
	below := r
	below.Min.Y = band.Max.Y
	if band.Dy() <= block && !enough(band) {
		for {
			middle := (band.Min.X + band.Dx()/2 + block - 1) &^ (block - 1)
			if middle >= band.Max.X {
				break
			}
			if band.Max.X = middle; enough(band) {
				break
			}
		}
		beside := r
		beside.Min.X, beside.Max.Y = band.Max.X, band.Max.Y
		if !beside.Empty() {
			left = append(left, beside)
		}
	}
	if !below.Empty() {
		left = append(left, below)
	}
	return band, left
}

// finish sends a packet and remembers what it did; detail is what it says about
// the codec in frames of its class, 0 for nothing.
func (l *loop) finish(f Frame, p encode.Params, pkt encode.Packet, kind class, detail float64, start time.Time) {
	now := time.Now()
	if least := l.stamp.Add(time.Second / 1000); !l.stamp.IsZero() && f.At.Before(least) {
		f.At = least // two frames must not share a time
	}
	l.stamp = f.At
	f.Data, f.Key, f.Quantizer, f.PSNR, f.Encoded = pkt.Data, pkt.Key, pkt.Quantizer, pkt.Error.PSNR(), now.Sub(start)
	bits := 8 * len(pkt.Data)
	switch {
	case pkt.Key:
		l.key.at, l.key.bits = now, bits
	case f.Refined:
		l.took.refine = min(f.Encoded, ahead)
	default:
		l.took.change = min(f.Encoded, ahead)
	}
	l.rate.sent(now, bits)
	if p.Soft == 0 {
		l.rate.learn(kind, detail, max(p.Quantizer, pkt.Quantizer), bits)
	} else {
		l.lostDetail = l.img.Detail(p.Dirty)
	}
	l.refinement.after(l.img.Bounds(), p, pkt, f.Refined)
	l.stale.after(l.img.Bounds(), p, pkt)
	l.prefiltered = pkt.Soft
	l.sent = now
	l.s.stats.add(now, f)
	l.s.send(f)
}

// keyBudget is how many bits the next key frame may take.
func (l *loop) keyBudget(why keyReason) int {
	budget := l.rate.firstBudget()
	if why == keyLost && time.Since(l.key.at) < 3*time.Second {
		return min(budget, max(l.key.bits/2, l.rate.small()))
	}
	return budget
}

// guessing is how long after the first picture nothing large follows while nobody has
// said what the link takes: more than there and back of most, and a feedback's 100 ms.
const guessing = 350 * time.Millisecond

// refineDue is when the picture is to be refined; zero: it need not be. It stands
// still when nothing has changed for a while in which a change would have been
// heard of: on a slow link the question is asked late.
func (l *loop) refineDue(now, asked time.Time) time.Time {
	if !l.refinement.any() && !l.downscaler.active {
		return time.Time{}
	}
	due := l.changed
	if asked.After(due) {
		due = asked
	}
	due = due.Add(l.rate.still())
	if t := l.downscaler.stands(); l.downscaler.active && t.After(due) {
		due = t
	}
	if t := l.rate.idle(now).Add(-l.took.refine); t.After(due) {
		due = t
	}
	if t := l.key.at.Add(guessing); l.guess && t.After(due) {
		due = t
	}
	return due
}

// share is how much of the picture the rectangles cover, 0 to 1.
func share(rects []image.Rectangle, size image.Point) float64 {
	return min(1, float64(area(rects))/float64(size.X*size.Y))
}
