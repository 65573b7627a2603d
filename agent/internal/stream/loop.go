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
	// maxFailures in a row end a stream.
	maxFailures = 3
)

// loop is one run of a stream: one goroutine.
type loop struct {
	s     *Stream
	enc   encode.Encoder
	take  *taker
	img   *encode.Image // nil before the first picture
	rate  *rate
	rough roughness

	sent     time.Time // when the last frame was
	changed  time.Time // when the last frame with a change was
	stamp    time.Time // Frame.At of the last
	key      keyState
	encoded  bool // the encoder has a picture
	failures int
}

// keyState remembers the last key frame, to answer a loss with less.
type keyState struct {
	at   time.Time
	bits int
}

func newLoop(s *Stream, enc encode.Encoder) *loop {
	return &loop{s: s, enc: enc, rate: newRate(s.codec)}
}

func (l *loop) run(ctx context.Context) error {
	defer func() { l.enc.Close() }()
	take, err := l.s.source.attach()
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
		rest, late := l.s.rests()
		target, key := l.s.wishes()
		l.rate.setTarget(now, target)
		if late > 0 {
			l.rate.sent(now, late)
			l.sent = now
		}
		due := l.free(now)
		if rest && l.encoded {
			due = time.Time{}
		} else if !now.Before(due) {
			asked := l.take.want(now)
			if l.take.pending() {
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
	next := l.sent.Add(time.Second / time.Duration(l.s.options.FPS))
	if t := l.rate.free(now); t.After(next) {
		next = t
	}
	return next
}

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
	p := encode.Params{}
	size := image.Point{}
	if l.img != nil {
		size = l.img.Size
	}
	got := l.take.take(&l.img)
	if l.img == nil {
		return nil
	}
	_, why := l.s.wishes()
	if why != keyNone && l.encoded && start.Before(l.keyDue(why)) {
		why = keyNone // not yet; the change goes first
	}
	p.Key = why != keyNone || !l.encoded || size != l.img.Size
	p.Dirty = got.dirty
	refined := len(got.dirty) == 0 && !p.Key
	if refined {
		if !l.rough.any() {
			return nil // what was asked for has been answered
		}
		p.Dirty = []image.Rectangle{l.rough.where}
	} else if p.Key {
		p.Dirty = nil
	}
	detail := l.img.Detail(p.Dirty)
	f := Frame{Codec: l.s.codec, Size: l.img.Size, At: got.at, Captured: got.captured, Converted: got.converted, Refined: refined}
	var budget int
	switch {
	case p.Key:
		budget = l.keyBudget(why)
		p.Quantizer = l.rate.key(detail, budget)
	case refined:
		p.Again = true
		p.Quantizer = l.rate.refine(detail, l.rough.quantizer)
	default:
		p.Quantizer = l.rate.change(start, detail, share(p.Dirty, l.img.Size), start.Sub(l.changed))
	}
	if got.at.IsZero() { // nothing new: the picture is that of now
		f.At = start
	}
	pkt, err := l.enc.Encode(l.img, p)
	if err != nil {
		return err
	}
	if p.Key && len(pkt.Data)*8 > 2*budget && pkt.Quantizer < encode.MaxQuantizer-4 && l.rate.airtime(len(pkt.Data)*8) > 400*time.Millisecond {
		// Nothing depends on it yet: a coarser one replaces it.
		l.rate.learn(classKey, detail, p.Quantizer, len(pkt.Data)*8)
		p.Quantizer = max(p.Quantizer+4, l.rate.key(detail, budget))
		if pkt, err = l.enc.Encode(l.img, p); err != nil {
			return err
		}
	}
	l.encoded = true
	l.finish(f, p, pkt, detail, start)
	// Where much changed the next frame, or the refinement, is soon there.
	for i := 0; pkt.Stale && i < 2 && (refined || share(p.Dirty, l.img.Size) < 0.25); i++ {
		again := time.Now()
		p.Key, p.Again = false, true
		if pkt, err = l.enc.Encode(l.img, p); err != nil {
			return err
		}
		f.At, f.Captured, f.Converted = again, 0, 0
		l.finish(f, p, pkt, detail, again)
	}
	if !refined {
		l.changed = l.sent
	}
	return nil
}

// finish sends a packet and remembers what it did.
func (l *loop) finish(f Frame, p encode.Params, pkt encode.Packet, detail float64, start time.Time) {
	now := time.Now()
	if least := l.stamp.Add(time.Second / 1000); !l.stamp.IsZero() && f.At.Before(least) {
		f.At = least // two frames must not share a time
	}
	l.stamp = f.At
	f.Data, f.Key, f.Quantizer, f.PSNR, f.Encoded = pkt.Data, pkt.Key, pkt.Quantizer, pkt.Error.PSNR(), now.Sub(start)
	bits := 8 * len(pkt.Data)
	class := classChange
	if pkt.Key {
		class = classKey
		l.key.at, l.key.bits = now, bits
	} else if f.Refined {
		class = classRefine
	}
	l.rate.sent(now, bits)
	l.rate.learn(class, detail, p.Quantizer, bits)
	l.rough.after(l.img.Bounds(), p, pkt, f.Refined)
	l.sent = now
	l.s.stats.add(now, f)
	l.s.send(f)
}

// keyBudget is how many bits the next key frame may take.
func (l *loop) keyBudget(why keyReason) int {
	budget := l.rate.firstBudget()
	if why == keyLost && time.Since(l.key.at) < 3*time.Second {
		return min(budget, l.key.bits/2)
	}
	return budget
}

// refineDue is when the picture is to be refined; zero: it need not be. It stands
// still when nothing has changed for a while in which a change would have been
// heard of: on a slow link the question is asked late.
func (l *loop) refineDue(now, asked time.Time) time.Time {
	if !l.rough.any() {
		return time.Time{}
	}
	due := l.changed
	if asked.After(due) {
		due = asked
	}
	due = due.Add(refineAfter)
	if t := l.rate.idle(now); t.After(due) {
		due = t
	}
	return due
}

// share is how much of the picture the rectangles cover, 0 to 1.
func share(rects []image.Rectangle, size image.Point) float64 {
	var covered int
	for _, r := range rects {
		covered += r.Dx() * r.Dy()
	}
	return min(1, float64(covered)/float64(size.X*size.Y))
}

// roughness is where the viewers' picture could be finer, and how it was coded.
type roughness struct {
	where     image.Rectangle
	quantizer int // the coarsest used there
}

func (r *roughness) any() bool { return !r.where.Empty() }

func (r *roughness) after(all image.Rectangle, p encode.Params, pkt encode.Packet, refined bool) {
	rest := pkt.Error.Rough
	if !rest.Empty() && !pkt.Error.Lossless() {
		rest = rest.Inset(-8).Intersect(all)
	}
	switch {
	case refined || pkt.Key:
		r.where, r.quantizer = rest, p.Quantizer
		if refined && p.Quantizer <= encode.MinQuantizer {
			r.where = image.Rectangle{} // it does not get better
		}
	case rest.Empty():
		if bounds := union(p.Dirty); r.where.In(bounds) && len(p.Dirty) == 1 {
			r.where = image.Rectangle{}
		}
	default:
		if r.where.Empty() {
			r.quantizer = p.Quantizer
		}
		r.where = r.where.Union(rest)
		r.quantizer = max(r.quantizer, p.Quantizer)
	}
}

func union(rects []image.Rectangle) image.Rectangle {
	var all image.Rectangle
	for _, r := range rects {
		all = all.Union(r)
	}
	return all
}
