package bwe

import (
	"math"
	"slices"
	"time"

	"github.com/pion/rtcp"
)

// Estimator estimates the bandwidth of the way to one peer, in bits per second. Time is
// an argument: it knows no clock.
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
// Packets sent before a fall was known stand in the link's queue, and the
// stream's own account (rate.go) does not know of them: while more is on its way than
// the link holds, the target is lower than the rate, down to a tenth.
type Estimator struct {
	began    time.Time
	o        Options
	parser   twccParser
	history  sendHistory
	trains   []train     // newest last
	minDelay windowedMin // of arrival less departure, by two clocks
	rtt      windowedMin // from departure to feedback

	// In bits per second, and shares of it.
	rate       float64 // the sending rate
	capacity   float64 // of the narrowest link, at least; 0: not known
	throughput float64 // received by the peer of late
	share      float64 // of the capacity, at most
	drain      float64 // factor of the rate while a queue is drained; 1: there is none

	// In bits, each growing with what is sent and shrinking with time (settle).
	unacked   float64 // sent, and not carried yet by the stream's account (rate.go)
	queueBits float64 // in the link's queue if nobody else uses the link
	rtxBudget float64 // retransmitted
	settledAt time.Duration

	losses    lossEstimator
	fecShare  float64          // share of the rate that FEC took in the last second
	rtxCopies map[uint16]int64 // full number of the newest retransmission, by the original's RTP number

	lastFeedback time.Duration // time of the last feedback
	backoff

	queueDelay time.Duration // that the newest train's first packet found
	lossRate   float64       // share of the packets lost of late
	scratch    []*sentPacket
	results    []PacketResult
}

// backoff is when and why the rate changed, and whether lowering it helped. Times are
// since the estimator began.
type backoff struct {
	lastIncrease     time.Duration // of the rate, because of trains
	lastDecrease     time.Duration // of the rate: what left before says nothing about it
	lastCapacityDrop time.Duration
	lastBackoff      time.Duration // when share last fell

	queue           time.Duration                 // standing when share last fell for it
	queueFutile     int                           // back-offs in a row after which the queue stayed
	before          struct{ rate, share float64 } // the first of them
	queueThroughput float64                       // throughput when there was a queue

	loss       float64 // rate of loss when share last fell for it
	lossFutile int     // back-offs in a row after which the loss stayed
	lossFloor  float64 // rate of loss whatever is sent
}

const (
	maxShare = 0.9
	minShare = 0.05
	// queueLimit is the queueing delay that counts as overuse: three frames at 60 per
	// second.
	queueLimit = 50 * time.Millisecond
	// heavyLoss is the loss that counts as overuse; GCC
	// (draft-ietf-rmcat-gcc-02, §6) has the same figure.
	heavyLoss = 0.1
	// feedbackTimeout is how long feedback may be missing: Chromium sends it every 50 to
	// 100 ms, and at the latest after 250.
	feedbackTimeout = 500 * time.Millisecond
	// feedbackEvery is how often it comes, mostly, and feedbackRare how rarely.
	feedbackEvery = 100 * time.Millisecond
	feedbackRare  = 250 * time.Millisecond
	// overuseSlack is the overuse that is ignored: feedback and frames come in lumps.
	overuseSlack = 80 * time.Millisecond
	// throughputWindow is over two feedbacks.
	throughputWindow = 250 * time.Millisecond
	// forgotten is when a train says nothing any more.
	forgotten = 10 * time.Second
	// minFecRTT is the round trip from which on FEC pays: a retransmission comes after the
	// next frame of 60 per second, and two pictures are shown as one.
	minFecRTT = 25 * time.Millisecond
	// maxFecShare is the share of the rate from which on small frames are not protected
	// any more: what moves in frames as small would need as much again.
	maxFecShare = 0.2
	// trainsKept is over a second of frames and packets sent again.
	trainsKept = 128
	// maxCopies bounds the retransmissions that are remembered.
	maxCopies = 2048
	// maxPacket is the size of a full packet, in bytes.
	maxPacket = 1170
)

// NewEstimator begins with a guess of the bandwidth.
func NewEstimator(now time.Time, o Options) *Estimator {
	return &Estimator{began: now, o: o, rate: float64(o.Start), share: maxShare, drain: 1,
		backoff: backoff{lastDecrease: -time.Hour, lastCapacityDrop: -time.Hour, lastIncrease: -time.Hour, lastBackoff: -time.Hour}}
}

// Target is the send rate in force, in bits per second.
func (e *Estimator) Target() int {
	return int(min(max(e.rate*e.drain, float64(e.o.Min)), float64(e.o.Max)))
}

// Heard reports whether any feedback has arrived.
func (e *Estimator) Heard() bool { return e.lastFeedback > 0 }

// MediaTarget is Target less FEC, of which the stream knows nothing.
func (e *Estimator) MediaTarget() int {
	return int(max(float64(e.Target())*(1-e.fecShare), float64(e.o.Min)))
}

// ShouldProtect reports whether FEC pays for a frame of so many packets: loss is random,
// not of a full queue, and a retransmission takes long, or so does the viewer to ask.
func (e *Estimator) ShouldProtect(at time.Time, packets int) bool {
	e.losses.judge(at.Sub(e.began))
	switch {
	case e.drain < 0.9:
		return false
	case packets < MinFECPackets:
		return e.losses.some && e.fecShare < maxFecShare
	}
	return e.losses.many && e.rtt.has && e.rtt.value() >= minFecRTT
}

// Sent records a packet of media: its transport-wide number, its number in RTP, its size
// in bytes, and how many of them the stream counts itself.
func (e *Estimator) Sent(at time.Time, seq, number uint16, size, counted int) {
	now := at.Sub(e.began)
	e.settle(now)
	n := e.history.sent(now, seq, number, size)
	bits := 8 * float64(size)
	if i := len(e.trains) - 1; i >= 0 && n > e.trains[i].last && n-e.trains[i].first < maxTrain && now-e.trains[i].endedAt < trainGap {
		t := &e.trains[i]
		t.last, t.endedAt = n, now
	} else if i < 0 || n > e.trains[i].last {
		if len(e.trains) == trainsKept {
			e.trains = slices.Delete(e.trains, 0, trainsKept/4)
		}
		own := time.Duration(e.queueBits / max(e.rate, e.capacity) * float64(time.Second))
		e.trains = append(e.trains, train{first: n, last: n, startedAt: now, endedAt: now, busy: own})
	}
	e.queueBits += bits
	e.unacked += 8 * float64(counted)
}

// SentFEC records a packet of FEC. All of it counts: MediaTarget leaves room for it.
func (e *Estimator) SentFEC(at time.Time, seq uint16, size int) {
	e.Sent(at, seq, 0, size, size)
	e.fecShare = min(1, e.fecShare+8*float64(size)/e.rate)
	if p := e.history.get(e.history.unwrap(seq)); p != nil {
		p.fec = true
	}
}

// AllowRTX reports whether the packet with that RTP number, of so many bytes, may be
// retransmitted, and takes it out of the budget.
//
// Not while the last copy of it is on its way: Chromium asks each 100 ms, however long the
// way is, and on a slow one each loss would take as many copies as fit into a round trip.
//
// And with half of the rate, after a quarter of a second of it. The peer asks for the others
// once more. When a link suddenly carries a twentieth, hundreds of packets are lost;
// sent again all at once they would be lost again, and fill it for seconds.
func (e *Estimator) AllowRTX(at time.Time, number uint16, size int) bool {
	now := at.Sub(e.began)
	e.settle(now)
	if p := e.history.get(e.rtxCopies[number]); p != nil && p.number == number && p.status != statusLost && now-p.sentAt < e.feedbackTime()+feedbackEvery {
		return false
	}
	if e.rtxBudget > max(float64(e.Target())/4, 8*maxPacket*8) {
		return false
	}
	e.rtxBudget += 8 * float64(size)
	return true
}

// SentRTX records a retransmission of the packet with that RTP number.
func (e *Estimator) SentRTX(at time.Time, seq, number uint16, size int) {
	e.Sent(at, seq, number, size, 0)
	if e.rtxCopies == nil || len(e.rtxCopies) >= maxCopies {
		e.rtxCopies = map[uint16]int64{}
	}
	n := e.history.unwrap(seq)
	e.rtxCopies[number] = n
	if p := e.history.get(n); p != nil {
		p.rtx = true
	}
}

// feedbackTime is the time from a packet's departure until feedback may report it.
func (e *Estimator) feedbackTime() time.Duration {
	return e.rtt.value() + max(e.queueDelay, time.Duration(e.queueBits/max(e.rate, e.capacity)*float64(time.Second)))
}

// FeedbackDelay is the time from a packet's departure until feedback has reported it:
// feedback on little, such as letters, comes four times a second.
func (e *Estimator) FeedbackDelay() time.Duration { return e.feedbackTime() + feedbackRare }

// maxQueueDelay bounds the queue that we build up at the link: packets beyond it are
// paced. It is as much as a frame may take (rate.most); a larger one would lose its own
// end where queues are short.
const maxQueueDelay = 160 * time.Millisecond

// PacerDelay is how long the pacer holds the next packet.
func (e *Estimator) PacerDelay(at time.Time) time.Duration {
	e.settle(at.Sub(e.began))
	return time.Duration(e.queueBits/max(e.rate, e.capacity)*float64(time.Second)) - maxQueueDelay
}

// settle drains the accounts by the time that has passed. unacked shrinks as it does in
// the stream's account, and a little faster, so that differences do not add up.
func (e *Estimator) settle(now time.Duration) {
	if d := now - e.settledAt; d > 0 {
		e.queueBits = max(0, e.queueBits-max(e.rate, e.capacity)*d.Seconds())
		e.unacked = max(0, e.unacked-1.02*float64(e.Target())*d.Seconds())
		e.rtxBudget = max(0, e.rtxBudget-float64(e.Target())/2*d.Seconds())
		e.fecShare *= math.Exp(-d.Seconds())
		e.settledAt = now
	}
}

// OnFeedback takes transport-wide feedback. It returns the results of packets of media,
// good until the next call; nil where none was received, whatever is lost.
func (e *Estimator) OnFeedback(at time.Time, f *rtcp.TransportLayerCC) []PacketResult {
	now := at.Sub(e.began)
	e.settle(now)
	var low, high int64 = 1 << 62, -1
	var newest time.Duration = -1
	e.results = e.results[:0]
	for _, r := range e.parser.parse(f) {
		p, n := e.history.report(r)
		if p == nil {
			continue
		}
		low, high = min(low, n), max(high, n)
		if p.sentAt > e.lastDecrease && e.drain >= 0.9 {
			e.losses.packet(n, p.status == statusLost)
		}
		if !p.fec {
			e.results = append(e.results, PacketResult{p.number, p.rtx, p.status == statusReceived})
		}
		if p.status == statusLost {
			continue
		}
		newest = max(newest, p.sentAt)
		e.minDelay.add(now, p.receivedAt-p.sentAt)
	}
	if newest < 0 {
		return nil // no news
	}
	gap := now - e.lastFeedback
	e.lastFeedback = now
	e.rtt.add(now, now-newest)
	for i := range e.trains {
		if t := &e.trains[i]; t.last >= low && t.first <= high {
			e.scratch = t.measure(&e.history, e.minDelay.value(), e.scratch)
		}
	}
	if e.drain < 0.9 && (now-e.lastCapacityDrop < 2*time.Second || gap > feedbackTimeout) {
		e.lastDecrease = now // what stands in the queue, and is lost there, was sent before
	}
	e.observe(now)
	e.follow(now, min(gap, 250*time.Millisecond))
	e.drainQueue(now)
	return e.results
}

// observe updates queueDelay, lossRate and throughput.
func (e *Estimator) observe(now time.Duration) {
	for i := len(e.trains) - 1; i >= 0; i-- {
		if t := &e.trains[i]; t.known {
			e.queueDelay = max(0, t.queueDelay)
			break
		}
	}
	// A frame that the link needs long for overflows short queues at any rate:
	// its losses, and those behind it, say nothing.
	lost, all := 0, 0
	for i := len(e.trains) - 1; i >= 0 && all < 200 && e.trains[i].startedAt > e.lastDecrease && now-e.trains[i].startedAt < 3*time.Second; i-- {
		if t := &e.trains[i]; t.busy+time.Duration(t.bits/max(e.rate, e.capacity)*float64(time.Second)) < 150*time.Millisecond {
			lost, all = lost+t.lost, all+t.packets
		}
	}
	e.lossRate = 0
	if all >= 20 {
		e.lossRate = float64(lost) / float64(all)
	}
	var bits float64
	var last time.Duration
	some := false
	for n := e.history.settled - 1; n >= e.history.settled-2000; n-- {
		p := e.history.get(n)
		if p == nil || now-p.sentAt > 3*time.Second {
			break
		}
		if p.status != statusReceived {
			continue
		}
		if !some {
			some, last = true, p.receivedAt
		}
		if last-p.receivedAt <= throughputWindow {
			bits += p.bits()
		}
	}
	e.throughput = bits / throughputWindow.Seconds()
}

// follow updates the rate.
func (e *Estimator) follow(now, since time.Duration) {
	low, high := e.bounds(now)
	e.capacity = low
	trip := max(e.rtt.value(), 20*time.Millisecond)
	queue, stands := e.standingQueue(now)
	if now-e.lastBackoff > forgotten {
		e.lossFloor = 0
	}
	if now-e.lastBackoff > 3*time.Second {
		e.share = min(maxShare, e.share+0.1*since.Seconds())
	} else {
		e.share = min(maxShare, e.share+0.02*since.Seconds())
	}
	switch {
	case high > 0 && e.share*high < e.rate:
		if e.share*high < 0.9*e.rate {
			e.lastDecrease, e.lastCapacityDrop = now, now
		}
		e.rate = e.share * high
	case stands && now-e.lastBackoff > trip+200*time.Millisecond:
		e.backOffQueue(now, low, queue)
	case e.lossRate > heavyLoss && e.lossRate > 1.5*e.lossFloor:
		e.backOffLoss(now)
	case stands || e.drain < 0.9 || now-e.lastDecrease < trip:
	case e.share*low > e.rate:
		if now-e.lastIncrease >= trip {
			e.lastIncrease = now
			e.rate = min(e.share*low, 2*e.rate)
		}
	case queue < queueLimit/3 && e.throughput > 0.5*e.rate && (high == 0 || e.rate < e.share*math.Sqrt(low*high)):
		pace := 0.15
		if e.rate > 0.9*e.queueThroughput && now-e.lastBackoff < 3*forgotten {
			pace = 0.02
		}
		e.rate *= 1 + pace*since.Seconds()
	}
	e.rate = min(max(e.rate, float64(e.o.Min)), float64(e.o.Max))
}

// backOffQueue lowers the rate for a standing queue.
func (e *Estimator) backOffQueue(now time.Duration, low float64, queue time.Duration) {
	if now-e.lastBackoff < 3*time.Second && queue > e.backoff.queue*9/10 {
		if e.queueFutile++; e.queueFutile >= 3 {
			// It does not become shorter when we send less: it is not ours, or the
			// way is another now.
			e.rate, e.share = e.backoff.before.rate, e.backoff.before.share
			e.minDelay, e.rtt, e.queueFutile, e.lastDecrease = windowedMin{}, windowedMin{}, 0, now
			return
		}
	} else {
		e.backoff.before.rate, e.backoff.before.share, e.queueFutile = e.rate, e.share, 0
	}
	e.backoff.queue = queue
	before := e.rate
	e.queueThroughput = min(before, e.throughput)
	e.rate *= 0.85
	if e.throughput > before/2 {
		e.rate = min(e.rate, 0.85*e.throughput)
	}
	if low > 0 {
		e.share = min(max(e.rate/low, minShare), e.share*0.95)
	}
	e.lastDecrease, e.lastBackoff = now, now
}

// backOffLoss lowers the rate for loss, unless that did not help before.
func (e *Estimator) backOffLoss(now time.Duration) {
	if now-e.lastBackoff < 3*time.Second && e.lossRate > 0.8*e.backoff.loss {
		if e.lossFutile++; e.lossFutile >= 3 {
			e.lossFloor, e.lossFutile = e.lossRate, 0
			return
		}
	} else {
		e.lossFutile = 0
	}
	e.backoff.loss = e.lossRate
	e.share = max(minShare, e.share*(1-e.lossRate/2))
	e.rate *= 1 - e.lossRate/2
	e.lastDecrease, e.lastBackoff = now, now
}

// bounds are the capacity's by the last trains; high 0: not known.
func (e *Estimator) bounds(now time.Duration) (low, high float64) {
	var lows, highs [8]float64
	n := 0
	for i := len(e.trains) - 1; i >= 0 && n < 5; i-- {
		t := &e.trains[i]
		if now-t.startedAt > forgotten {
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

// standingQueue is the least delay that the last three trains found, and whether it is
// over queueLimit and does not shrink.
func (e *Estimator) standingQueue(now time.Duration) (time.Duration, bool) {
	least, n := time.Hour, 0
	var newest *train
	for i := len(e.trains) - 1; i >= 0; i-- {
		t := &e.trains[i]
		if !t.known {
			continue
		}
		if t.startedAt <= e.lastDecrease {
			return 0, false
		}
		if n == 0 {
			newest = t
		}
		least = min(least, t.queueDelay)
		if n++; n >= 3 && newest.at-t.at >= 100*time.Millisecond {
			return least, least > queueLimit && newest.queueDelay > t.queueDelay*8/10
		}
	}
	return 0, false
}

// overuse is the time that the link needs for what is in flight beyond what it should.
func (e *Estimator) overuse(now time.Duration) time.Duration {
	var excess time.Duration
	if e.rtt.has {
		// What was sent since the last feedback the next one will speak of.
		holds := e.rate * (e.rtt.value() + min(now-e.lastFeedback, 100*time.Millisecond)).Seconds()
		excess = time.Duration((e.history.inFlight - holds - e.unacked) / e.rate * float64(time.Second))
	}
	if p := e.history.oldest(); p != nil {
		if missing := now - max(p.sentAt, e.lastFeedback) - e.rtt.value() - feedbackTimeout; missing > 0 && e.history.newest().sentAt-p.sentAt >= 100*time.Millisecond {
			excess = max(excess, missing+overuseSlack)
		}
	}
	return excess
}

// drainQueue lowers the target while there is overuse.
func (e *Estimator) drainQueue(now time.Duration) {
	const tenth = 400 * time.Millisecond
	e.drain = min(max(1-float64(e.overuse(now)-overuseSlack)/float64(tenth), 0.1), 1)
}

// Check is called while no feedback comes. It reports whether to call it again:
// packets are in flight.
func (e *Estimator) Check(at time.Time) bool {
	now := at.Sub(e.began)
	e.settle(now)
	if p := e.history.newest(); p != nil && now-p.sentAt > 3*time.Second {
		e.history.settle(e.history.next - 1) // nothing will be said about it any more
	}
	e.drainQueue(now)
	return e.history.oldest() != nil
}

// windowedMin is the minimum over the last 15 to 30 seconds.
type windowedMin struct {
	since     time.Duration // of now
	now, past time.Duration
	has, had  bool
}

const minWindow = 15 * time.Second

func (l *windowedMin) add(now, v time.Duration) {
	if age := now - l.since; !l.has || age > minWindow {
		if l.past, l.had = l.now, l.has; age > 2*minWindow {
			l.had = false
		}
		l.since, l.now, l.has = now, v, true
	}
	l.now = min(l.now, v)
}

func (l *windowedMin) value() time.Duration {
	if l.had {
		return min(l.now, l.past)
	}
	return l.now
}

// State is the estimate for the statistics.
func (e *Estimator) State() State {
	return State{Target: e.Target(), Capacity: int(min(e.capacity, float64(e.o.Max))), RTT: e.rtt.value(), Queue: e.queueDelay, Loss: e.lossRate, FEC: e.fecShare}
}
