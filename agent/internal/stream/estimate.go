package stream

import (
	"math"
	"slices"
	"time"

	"github.com/pion/rtcp"
)

// estimate finds how many bits per second the way to one peer takes. Time is an
// argument: it knows no clock.
//
// Two things are told apart. capacity is what the narrowest link carries; trains
// show it (train.go) whenever a frame of some packets is sent. share is how much
// of that is ours: nine tenths, or less where others use the link too, or a
// shaper lets bursts through; a queue that stands though we sent no more than we
// thought right, or heavy loss, lowers it, and it comes back with time. So a link
// that becomes slower or faster is followed at once, and a shared one slowly.
//
// Where trains say little, because packets are late at random by more than a
// train is long, the rate rises slowly while it is in use and nothing queues.
// It never falls because little was sent.
//
// What was sent before a fall was known stands in the link's queue, and the
// stream's own account (rate.go) does not know: while more is on its way than
// the link holds, the target is lower than the rate, down to a tenth.
type estimate struct {
	began  time.Time
	reader reader
	flight flight
	trains []train // newest last
	base   lowest  // of arrival less departure, two clocks
	trip   lowest  // of departure to feedback

	// In bits per second, and parts of it.
	rate  float64 // that is ours
	low   float64 // that the link carries, at least; 0: not known
	got   float64 // that arrived, of late
	share float64 // of the capacity that may be ours
	drain float64 // of the rate while a queue is emptied; 1: there is none

	// In bits, each growing with what is sent and paid off with time.
	debt  float64 // that the stream believes the link has not carried yet
	own   float64 // that stand in the link's queue if nobody else uses it
	again float64 // that were sent again
	paid  time.Duration

	losses losses
	extra  float64          // share of the rate that parity took in the last second
	copies map[uint16]int64 // by RTP number, the newest packet in which it was sent again

	heard time.Duration // the last feedback
	rose  time.Duration // when the rate last rose because of trains
	fell  time.Duration // when it last fell: what left before says nothing about it
	sank  time.Duration // when the capacity last fell
	gave  time.Duration // when share last fell

	// To notice when giving way does not help.
	queued time.Duration                 // the standing queue when share last fell for it
	stuck  int                           // how often it did in a row, and the queue stayed
	before struct{ rate, share float64 } // the first of those falls
	knee   float64                       // what got through when there was a queue
	missed float64                       // share of packets lost when it last fell for that
	vain   int                           // how often it did in a row, and as many were lost
	chance float64                       // share of packets that are lost whatever we do

	wait    time.Duration // in queues, of the newest train's first packet
	lost    float64       // share of packets, of late
	scratch []*passage
	news    []news
}

const (
	ourShare  = 0.9
	leastOurs = 0.05
	// standing is the wait in a queue that is too much: three frames at 60 per
	// second.
	standing = 50 * time.Millisecond
	// heavy is the share of lost packets that is not chance any more; GCC
	// (draft-ietf-rmcat-gcc-02, §6) has the same figure.
	heavy = 0.1
	// silent is how long feedback may be missing: Chromium sends it every 50 to
	// 100 ms, and at the latest after 250.
	silent = 500 * time.Millisecond
	// feedbackEvery is how often it comes, mostly, and feedbackRare how rarely.
	feedbackEvery = 100 * time.Millisecond
	feedbackRare  = 250 * time.Millisecond
	// allowed is how much excess is nothing: feedback and frames come in lumps.
	allowed = 80 * time.Millisecond
	// throughputWindow is over two feedbacks.
	throughputWindow = 250 * time.Millisecond
	// forgotten is when a train says nothing any more.
	forgotten = 10 * time.Second
	// guardTrip is from when on parity pays: what is sent again comes after the next frame
	// of 60 per second, and two pictures are shown as one.
	guardTrip = 25 * time.Millisecond
	// mostForLetters is the share of the rate that parity may take before letters are not
	// guarded any more: of what moves in frames as small it would be as much again.
	mostForLetters = 0.2
	// trainsKept is over a second of frames and packets sent again.
	trainsKept = 128
)

func newEstimate(now time.Time, start int) *estimate {
	return &estimate{began: now, rate: float64(start), share: ourShare, drain: 1,
		fell: -time.Hour, sank: -time.Hour, rose: -time.Hour, gave: -time.Hour}
}

// target is what may be sent, in bits per second.
func (e *estimate) target() int {
	return int(min(max(e.rate*e.drain, MinTarget), MaxTarget))
}

// forPictures is what of that the stream may send, which knows nothing of parity.
func (e *estimate) forPictures() int {
	return int(max(float64(e.target())*(1-e.extra), MinTarget))
}

// guards reports whether parity pays for a frame of so many packets: some get lost by chance,
// not in a queue, and it takes long until they came again, or until the viewer notices.
func (e *estimate) guards(at time.Time, packets int) bool {
	e.losses.judge(at.Sub(e.began))
	switch {
	case e.drain < 0.9:
		return false
	case packets < leastLarge:
		return e.losses.some && e.extra < mostForLetters
	}
	return e.losses.many && e.trip.has && e.trip.value() >= guardTrip
}

// sent notes a packet of so many bytes, of which the stream counts some: none of
// what is sent again. number is the packet's in RTP.
func (e *estimate) sent(at time.Time, seq, number uint16, size, counted int) {
	now := at.Sub(e.began)
	e.pay(now)
	n := e.flight.sent(now, seq, number, size)
	bits := 8 * float64(size)
	if i := len(e.trains) - 1; i >= 0 && n > e.trains[i].last && n-e.trains[i].first < longest && now-e.trains[i].ended < trainGap {
		t := &e.trains[i]
		t.last, t.ended = n, now
	} else if i < 0 || n > e.trains[i].last {
		if len(e.trains) == trainsKept {
			e.trains = slices.Delete(e.trains, 0, trainsKept/4)
		}
		own := time.Duration(e.own / max(e.rate, e.low) * float64(time.Second))
		e.trains = append(e.trains, train{first: n, last: n, began: now, ended: now, own: own})
	}
	e.own += bits
	e.debt += 8 * float64(counted)
}

// parity notes a packet of parity: all of it counts, as it is kept free for (forPictures).
func (e *estimate) parity(at time.Time, seq uint16, size int) {
	e.sent(at, seq, 0, size, size)
	e.extra = min(1, e.extra+8*float64(size)/e.rate)
	if p := e.flight.get(e.flight.widen(seq)); p != nil {
		p.parity = true
	}
}

// repeats is whether the packet with that RTP number, of so many bytes, may be sent again.
//
// Not while the last copy of it is on its way: Chromium asks each 100 ms, however long the
// way is, and on a slow one each loss would take as many copies as fit into a round trip.
//
// And with half of the rate, after a quarter of a second of it. The peer asks for the others
// once more. When a link suddenly carries a twentieth, hundreds of packets are lost;
// sent again all at once they would be lost again, and fill it for seconds.
func (e *estimate) repeats(at time.Time, number uint16, size int) bool {
	now := at.Sub(e.began)
	e.pay(now)
	if p := e.flight.get(e.copies[number]); p != nil && p.number == number && p.fate != fateLost && now-p.left < e.arrival()+feedbackEvery {
		return false
	}
	if e.again > max(float64(e.target())/4, 8*8*mtu) {
		return false
	}
	e.again += 8 * float64(size)
	return true
}

// repeated notes that the packet with that RTP number was sent again, as one of so many bytes.
func (e *estimate) repeated(at time.Time, seq, number uint16, size int) {
	e.sent(at, seq, number, size, 0)
	if e.copies == nil || len(e.copies) >= resendable {
		e.copies = map[uint16]int64{}
	}
	n := e.flight.widen(seq)
	e.copies[number] = n
	if p := e.flight.get(n); p != nil {
		p.again = true
	}
}

// arrival is how long after a packet left feedback may speak of it, there and back.
func (e *estimate) arrival() time.Duration {
	return e.trip.value() + max(e.wait, time.Duration(e.own/max(e.rate, e.low)*float64(time.Second)))
}

// reported is how long after a packet left the peer has said whether it came: feedback on
// little, such as letters, comes four times a second.
func (e *estimate) reported() time.Duration { return e.arrival() + feedbackRare }

// queueing is how much may stand in the link's queue because of us before what follows
// waits here instead: as much as a frame may take (rate.most). One that turned out
// larger would lose its own end where queues are short.
const queueing = 160 * time.Millisecond

// hold is how long the next packet is to wait for that.
func (e *estimate) hold(at time.Time) time.Duration {
	e.pay(at.Sub(e.began))
	return time.Duration(e.own/max(e.rate, e.low)*float64(time.Second)) - queueing
}

// pay lets time reduce the debt as the stream does, and a little faster, so that
// what the two count differently does not add up.
func (e *estimate) pay(now time.Duration) {
	if d := now - e.paid; d > 0 {
		e.own = max(0, e.own-max(e.rate, e.low)*d.Seconds())
		e.debt = max(0, e.debt-1.02*float64(e.target())*d.Seconds())
		e.again = max(0, e.again-float64(e.target())/2*d.Seconds())
		e.extra *= math.Exp(-d.Seconds())
		e.paid = now
	}
}

// feedback takes what the peer says about packets. It returns what is news of those of
// pictures, good until the next call; nil where nothing came, of whatever is lost.
func (e *estimate) feedback(at time.Time, f *rtcp.TransportLayerCC) []news {
	now := at.Sub(e.began)
	e.pay(now)
	var low, high int64 = 1 << 62, -1
	var newest time.Duration = -1
	e.news = e.news[:0]
	for _, r := range e.reader.read(f) {
		p, n := e.flight.report(r)
		if p == nil {
			continue
		}
		low, high = min(low, n), max(high, n)
		if p.left > e.fell && e.drain >= 0.9 {
			e.losses.packet(n, p.fate == fateLost)
		}
		if !p.parity {
			e.news = append(e.news, news{p.number, p.again, p.fate == fateArrived})
		}
		if p.fate == fateLost {
			continue
		}
		newest = max(newest, p.left)
		e.base.add(now, p.came-p.left)
	}
	if newest < 0 {
		return nil // no news
	}
	gap := now - e.heard
	e.heard = now
	e.trip.add(now, now-newest)
	for i := range e.trains {
		if t := &e.trains[i]; t.last >= low && t.first <= high {
			e.scratch = t.measure(&e.flight, e.base.value(), e.scratch)
		}
	}
	if e.drain < 0.9 && (now-e.sank < 2*time.Second || gap > silent) {
		e.fell = now // what stands in the queue, and is lost there, was sent before
	}
	e.observe(now)
	e.follow(now, min(gap, 250*time.Millisecond))
	e.empty(now)
	return e.news
}

// observe brings wait, loss and throughput up to date.
func (e *estimate) observe(now time.Duration) {
	for i := len(e.trains) - 1; i >= 0; i-- {
		if t := &e.trains[i]; t.known {
			e.wait = max(0, t.wait)
			break
		}
	}
	// A frame that the link needs long for overflows short queues at any rate:
	// what is lost of it, and behind it, says nothing.
	lost, all := 0, 0
	for i := len(e.trains) - 1; i >= 0 && all < 200 && e.trains[i].began > e.fell && now-e.trains[i].began < 3*time.Second; i-- {
		if t := &e.trains[i]; t.own+time.Duration(t.bits/max(e.rate, e.low)*float64(time.Second)) < 150*time.Millisecond {
			lost, all = lost+t.missing, all+t.packets
		}
	}
	e.lost = 0
	if all >= 20 {
		e.lost = float64(lost) / float64(all)
	}
	var bits float64
	var last time.Duration
	some := false
	for n := e.flight.heard - 1; n >= e.flight.heard-2000; n-- {
		p := e.flight.get(n)
		if p == nil || now-p.left > 3*time.Second {
			break
		}
		if p.fate != fateArrived {
			continue
		}
		if !some {
			some, last = true, p.came
		}
		if last-p.came <= throughputWindow {
			bits += p.bits()
		}
	}
	e.got = bits / throughputWindow.Seconds()
}

// follow sets the rate.
func (e *estimate) follow(now, since time.Duration) {
	low, high := e.bounds(now)
	e.low = low
	trip := max(e.trip.value(), 20*time.Millisecond)
	queue, stands := e.standing(now)
	if now-e.gave > forgotten {
		e.chance = 0
	}
	if now-e.gave > 3*time.Second {
		e.share = min(ourShare, e.share+0.1*since.Seconds())
	} else {
		e.share = min(ourShare, e.share+0.02*since.Seconds())
	}
	switch {
	case high > 0 && e.share*high < e.rate:
		if e.share*high < 0.9*e.rate {
			e.fell, e.sank = now, now
		}
		e.rate = e.share * high
	case stands && now-e.gave > trip+200*time.Millisecond:
		e.yield(now, low, queue)
	case e.lost > heavy && e.lost > 1.5*e.chance:
		e.lose(now)
	case stands || e.drain < 0.9 || now-e.fell < trip:
	case e.share*low > e.rate:
		if now-e.rose >= trip {
			e.rose = now
			e.rate = min(e.share*low, 2*e.rate)
		}
	case queue < standing/3 && e.got > 0.5*e.rate && (high == 0 || e.rate < e.share*math.Sqrt(low*high)):
		pace := 0.15
		if e.rate > 0.9*e.knee && now-e.gave < 3*forgotten {
			pace = 0.02
		}
		e.rate *= 1 + pace*since.Seconds()
	}
	e.rate = min(max(e.rate, MinTarget), MaxTarget)
}

// yield gives way to a queue that stands.
func (e *estimate) yield(now time.Duration, low float64, queue time.Duration) {
	if now-e.gave < 3*time.Second && queue > e.queued*9/10 {
		if e.stuck++; e.stuck >= 3 {
			// It does not become shorter when we send less: it is not ours, or the
			// way is another now.
			e.rate, e.share = e.before.rate, e.before.share
			e.base, e.trip, e.stuck, e.fell = lowest{}, lowest{}, 0, now
			return
		}
	} else {
		e.before.rate, e.before.share, e.stuck = e.rate, e.share, 0
	}
	e.queued = queue
	before := e.rate
	e.knee = min(before, e.got)
	e.rate *= 0.85
	if e.got > before/2 {
		e.rate = min(e.rate, 0.85*e.got)
	}
	if low > 0 {
		e.share = min(max(e.rate/low, leastOurs), e.share*0.95)
	}
	e.fell, e.gave = now, now
}

// lose gives way to loss, unless that has not helped before.
func (e *estimate) lose(now time.Duration) {
	if now-e.gave < 3*time.Second && e.lost > 0.8*e.missed {
		if e.vain++; e.vain >= 3 {
			e.chance, e.vain = e.lost, 0
			return
		}
	} else {
		e.vain = 0
	}
	e.missed = e.lost
	e.share = max(leastOurs, e.share*(1-e.lost/2))
	e.rate *= 1 - e.lost/2
	e.fell, e.gave = now, now
}

// bounds is what the last trains say about the capacity; high 0: nothing.
func (e *estimate) bounds(now time.Duration) (low, high float64) {
	var lows, highs [8]float64
	n := 0
	for i := len(e.trains) - 1; i >= 0 && n < 5; i-- {
		t := &e.trains[i]
		if now-t.began > forgotten {
			break
		}
		for range t.weight {
			if n < 5 {
				lows[n], highs[n] = t.low, t.high
				n++
			}
		}
	}
	if n == 0 {
		return 0, 0
	}
	slices.Sort(lows[:n])
	slices.Sort(highs[:n])
	return lows[(n-1)/2], highs[n/2]
}

// standing is the least wait that the last three trains found, and whether it is
// too much and does not become less.
func (e *estimate) standing(now time.Duration) (time.Duration, bool) {
	least, n := time.Hour, 0
	var newest *train
	for i := len(e.trains) - 1; i >= 0; i-- {
		t := &e.trains[i]
		if !t.known {
			continue
		}
		if t.began <= e.fell {
			return 0, false
		}
		if n == 0 {
			newest = t
		}
		least = min(least, t.wait)
		if n++; n >= 3 && newest.at-t.at >= 100*time.Millisecond {
			return least, least > standing && newest.wait > t.wait*8/10
		}
	}
	return 0, false
}

// excess is by how much longer the link needs for what is on its way than it
// should.
func (e *estimate) excess(now time.Duration) time.Duration {
	var excess time.Duration
	if e.trip.has {
		// What was sent since the last feedback the next one will speak of.
		holds := e.rate * (e.trip.value() + min(now-e.heard, 100*time.Millisecond)).Seconds()
		excess = time.Duration((e.flight.out - holds - e.debt) / e.rate * float64(time.Second))
	}
	if p := e.flight.oldest(); p != nil {
		if missing := now - max(p.left, e.heard) - e.trip.value() - silent; missing > 0 && e.flight.newest().left-p.left >= 100*time.Millisecond {
			excess = max(excess, missing+allowed)
		}
	}
	return excess
}

// empty lowers the target while there is excess.
func (e *estimate) empty(now time.Duration) {
	const tenth = 400 * time.Millisecond
	e.drain = min(max(1-float64(e.excess(now)-allowed)/float64(tenth), 0.1), 1)
}

// check is for when no feedback comes. It reports whether it is to be asked
// again: something is on its way.
func (e *estimate) check(at time.Time) bool {
	now := at.Sub(e.began)
	e.pay(now)
	if p := e.flight.newest(); p != nil && now-p.left > 3*time.Second {
		e.flight.hear(e.flight.next - 1) // nothing will be said about it any more
	}
	e.empty(now)
	return e.flight.oldest() != nil
}

// lowest is the least of the last 15 to 30 seconds.
type lowest struct {
	since     time.Duration // of now
	now, past time.Duration
	has, had  bool
}

const lowestWindow = 15 * time.Second

func (l *lowest) add(now, v time.Duration) {
	if age := now - l.since; !l.has || age > lowestWindow {
		if l.past, l.had = l.now, l.has; age > 2*lowestWindow {
			l.had = false
		}
		l.since, l.now, l.has = now, v, true
	}
	l.now = min(l.now, v)
}

func (l *lowest) value() time.Duration {
	if l.had {
		return min(l.now, l.past)
	}
	return l.now
}

// state is for people.
func (e *estimate) state() State {
	return State{Target: e.target(), Capacity: int(min(e.low, MaxTarget)), RTT: e.trip.value(), Queue: e.wait, Loss: e.lost}
}
