package stream

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"

	"oriel/agent/internal/bwe"
)

// simulatedNetwork is a network and a receiver in virtual time, and a sender that behaves as
// the stream does: a frame is one burst, a leaky bucket says when the next may
// go and how large it may be, packets that are lost are sent again.
type simulatedNetwork struct {
	t         testing.TB
	began     time.Time
	now       time.Duration
	todo      events
	dice      *rand.Rand
	estimator *bwe.Estimator

	// The network. All may be changed by at.
	rate    float64       // bits per second; 0: as fast as a machine reads
	delay   time.Duration // each way
	jitter  time.Duration // at random, order kept, forwards only
	loss    float64       // share, each way
	queue   time.Duration // longest wait
	cross   float64       // bits per second of others' packets
	swap    bool          // feedback may overtake feedback
	sleeps  func(time.Duration) time.Duration
	offset  time.Duration // of the receiver's clock
	overage float64       // of its speed
	busy    time.Duration // until when the link is
	last    time.Duration // arrival

	// The receiver.
	recorder *twcc.Recorder
	fresh    bool
	frames   []*simFrame
	missed   []simLoss // packets of frames that have not come, the oldest first

	// The sender.
	seq     uint16
	number  uint16 // in RTP
	copies  int    // packets that were sent again
	lost    int    // packets
	debt    float64
	debtAt  time.Duration
	sentAt  time.Duration
	content func(now time.Duration) (least, wish float64) // bits of a frame now; 0: nothing
	key     bool
	bare    bool // without parity
	tail    tailLossProbe
	looks   int               // counts frames, so that only the last one's end is looked after
	again   map[uint16]func() // sends a packet again, by its number
	log     []simPoint
}

type simFrame struct {
	at, done time.Duration // sent, arrived as a whole
	groups   []*simGroup
	skipped  bool // a key frame came after it
	bits     float64
}

// simGroup is some packets of a frame and what stands in for one of them.
type simGroup struct {
	missing int
	parity  bool // it is there
}

// simLoss is a packet that the receiver lacks, as soon as it hears of one after it.
type simLoss struct {
	seq uint16
	ask func()
}

type simPoint struct {
	at     time.Duration
	target int
}

type event struct {
	at time.Duration
	n  int
	do func()
}

type events struct {
	list []event
	n    int
}

func (e *events) Len() int { return len(e.list) }
func (e *events) Less(i, j int) bool {
	return e.list[i].at < e.list[j].at || e.list[i].at == e.list[j].at && e.list[i].n < e.list[j].n
}
func (e *events) Swap(i, j int) { e.list[i], e.list[j] = e.list[j], e.list[i] }
func (e *events) Push(x any)    { e.list = append(e.list, x.(event)) }
func (e *events) Pop() any {
	x := e.list[len(e.list)-1]
	e.list = e.list[:len(e.list)-1]
	return x
}

func newSimulatedNetwork(t testing.TB, rate float64, delay time.Duration, seed uint64) *simulatedNetwork {
	began := time.Unix(1_000_000, 0)
	w := &simulatedNetwork{t: t, began: began, dice: rand.New(rand.NewPCG(seed, 2)), estimator: newEstimator(began, DefaultTarget),
		rate: rate, delay: delay, queue: 250 * time.Millisecond, recorder: twcc.NewRecorder(1), offset: 7 * time.Hour, again: map[uint16]func(){}}
	w.at(0, w.tick)
	w.at(0, w.report)
	w.at(0, w.others)
	w.at(0, w.check)
	return w
}

// at does something later.
func (w *simulatedNetwork) at(when time.Duration, do func()) {
	w.todo.n++
	heap.Push(&w.todo, event{max(when, w.now), w.todo.n, do})
}

func (w *simulatedNetwork) run(until time.Duration) {
	for w.todo.Len() > 0 && w.todo.list[0].at <= until {
		e := heap.Pop(&w.todo).(event)
		w.now = e.at
		e.do()
	}
	w.now = until
}

func (w *simulatedNetwork) clock() time.Time { return w.began.Add(w.now) }

// carry puts a packet on the link; arrive is called when it was read.
func (w *simulatedNetwork) carry(size int, arrive func()) {
	if w.queue > 0 && w.busy-w.now > w.queue || w.dice.Float64() < w.loss {
		w.lost++
		return
	}
	w.busy = max(w.busy, w.now)
	if w.rate > 0 {
		w.busy += time.Duration(float64(8*(size+42)) / w.rate * float64(time.Second))
	} else {
		w.busy += 15 * time.Microsecond
	}
	at := w.busy + w.delay
	if w.jitter > 0 {
		at += time.Duration(w.dice.Int64N(int64(w.jitter)))
	}
	at = max(at, w.last)
	if w.sleeps != nil {
		at = w.sleeps(at)
	}
	at = max(at, w.last+10*time.Microsecond)
	w.last = at
	if arrive != nil {
		w.at(at, arrive)
	}
}

// send is one packet of a frame.
func (w *simulatedNetwork) send(size int, f *simFrame, g *simGroup) {
	w.number++
	number, got := w.number, new(bool)
	w.again[number] = func() {
		if w.estimator.AllowRTX(w.clock(), number, size) {
			w.copies++
			w.put(size, f, g, number, true, got)
		}
	}
	w.tail.sent(number)
	w.put(size, f, g, number, false, got)
}

// put is one packet on the wire, for the first time or again; got is whether it came.
func (w *simulatedNetwork) put(size int, f *simFrame, g *simGroup, number uint16, repeat bool, got *bool) {
	seq := w.seq
	w.seq++
	if repeat {
		w.estimator.SentRTX(w.clock(), seq, number, size)
	} else {
		w.estimator.Sent(w.clock(), seq, number, size, size-24)
	}
	w.carry(size, func() {
		already := *got
		*got = true
		local := w.offset + w.now + time.Duration(float64(w.now)*w.overage)
		w.recorder.Record(1, seq, local.Microseconds())
		w.fresh = true
		if !already && g.missing > 0 {
			g.missing--
			w.arrived(f, g)
		}
		if !repeat {
			w.notice(seq)
		}
	})
	if repeat {
		return
	}
	// As Chromium does, whose idea of a round trip is 100 ms here, until it asks for a key
	// frame. What does not come for long the stream notices before (arrived.lacks).
	const thinks, every, most = 15 * time.Millisecond, 100 * time.Millisecond, 30
	w.missed = append(w.missed, simLoss{seq, func() {
		for i := range most {
			w.at(w.now+thinks+time.Duration(i)*every, func() {
				if *got || f.skipped || g.missing == 0 || w.dice.Float64() < w.loss {
					return
				}
				w.at(w.now+w.delay, w.again[number])
			})
		}
		w.at(w.now+thinks+w.delay+hopelessAfter, func() {
			if !*got && !f.skipped && g.missing > 0 {
				w.key = true
			}
		})
	}})
}

// notice is when the receiver hears of a packet: it asks for what it lacks before it.
func (w *simulatedNetwork) notice(seq uint16) {
	for len(w.missed) > 0 && int16(w.missed[0].seq-seq) < 0 {
		w.missed[0].ask()
		w.missed = w.missed[1:]
	}
}

// guard is a packet of parity.
func (w *simulatedNetwork) guard(size int, f *simFrame, g *simGroup) {
	seq := w.seq
	w.seq++
	w.estimator.SentFEC(w.clock(), seq, size)
	w.carry(size, func() {
		w.recorder.Record(1, seq, (w.offset + w.now + time.Duration(float64(w.now)*w.overage)).Microseconds())
		w.fresh, g.parity = true, true
		w.arrived(f, g)
	})
}

// arrived is when a packet of a group has.
func (w *simulatedNetwork) arrived(f *simFrame, g *simGroup) {
	if g.parity && g.missing == 1 {
		g.missing = 0
	}
	for _, g := range f.groups {
		if g.missing > 0 {
			return
		}
	}
	if f.done == 0 {
		f.done = w.now
	}
}

// tick is the loop of the stream, thirty times a second.
func (w *simulatedNetwork) tick() {
	w.at(w.now+time.Second/30, w.tick)
	w.log = append(w.log, simPoint{w.now, w.estimator.Target()})
	target := float64(w.estimator.MediaTarget())
	w.debt = max(0, w.debt-target*(w.now-w.debtAt).Seconds())
	w.debtAt = w.now
	if w.content == nil || w.debt > target*0.015 {
		return
	}
	least, wish := w.content(w.now)
	if w.key {
		for _, f := range w.frames {
			f.skipped = f.skipped || f.done == 0
		}
		w.key, least = false, 80_000
		wish = least
	}
	if wish == 0 {
		return
	}
	bits := min(max(least, target*window(w.now-w.sentAt).Seconds()-w.debt), max(least, wish))
	w.debt += bits
	w.sentAt = w.now
	f := &simFrame{at: w.now, bits: bits}
	const most = 1150
	bytes := int(bits/8) + 1
	packets := (bytes + most - 1) / most
	groups := (packets + fecGroupSize - 1) / fecGroupSize
	w.frames = append(w.frames, f)
	began := w.now
	for i := range groups {
		from, to := i*packets/groups, (i+1)*packets/groups
		g := &simGroup{missing: to - from}
		f.groups = append(f.groups, g)
		for n := from; n < to; n++ {
			w.send(min(bytes-n*most, most)+24, f, g)
			w.now += 25 * time.Microsecond // what sending a packet takes
		}
	}
	if !w.bare && w.estimator.ShouldProtect(w.clock(), packets) {
		for _, g := range f.groups {
			w.guard(min(bytes, most)+52, f, g) // as long as the longest of them
			w.now += 25 * time.Microsecond
		}
	}
	w.now = began
	w.looks++
	w.look(w.looks)
}

// look is the track's at the tail, after frame n.
func (w *simulatedNetwork) look(n int) {
	w.at(w.now+w.tail.timeout(w.estimator.FeedbackDelay()), func() {
		if n != w.looks {
			return
		}
		again, more := w.tail.probe()
		for _, number := range again {
			w.again[number]()
		}
		if more {
			w.look(n)
		}
	})
}

// report is the receiver's feedback.
func (w *simulatedNetwork) report() {
	w.at(w.now+50*time.Millisecond+time.Duration(w.dice.Int64N(int64(50*time.Millisecond))), w.report)
	if !w.fresh {
		return
	}
	w.fresh = false
	for _, p := range w.recorder.BuildFeedbackPacket() {
		raw, err := p.Marshal()
		if err != nil {
			w.t.Fatal(err)
		}
		if w.dice.Float64() < w.loss {
			continue
		}
		back := w.delay
		if w.swap {
			back += time.Duration(w.dice.Int64N(int64(200 * time.Millisecond)))
		}
		w.at(w.now+back, func() {
			var f rtcp.TransportLayerCC
			if err := f.Unmarshal(raw); err != nil {
				w.t.Fatal(err)
			}
			for _, n := range slices.Clone(w.estimator.OnFeedback(w.clock(), &f)) {
				if w.tail.onResult(n); n.RTX && !n.Received {
					w.again[n.Number]()
				}
			}
		})
	}
}

func (w *simulatedNetwork) others() {
	const size = 1200
	gap := 10 * time.Millisecond
	if w.cross > 0 {
		gap = time.Duration(8 * size / w.cross * float64(time.Second))
		w.carry(size-42, nil)
	}
	w.at(w.now+gap, w.others)
}

func (w *simulatedNetwork) check() {
	w.estimator.Check(w.clock())
	w.at(w.now+250*time.Millisecond, w.check)
}

// targets is the least, the median and the greatest target in a time.
func (w *simulatedNetwork) targets(from, to time.Duration) (least, median, most int) {
	var all []int
	for _, p := range w.log {
		if p.at >= from && p.at < to {
			all = append(all, p.target)
		}
	}
	slices.Sort(all)
	return all[0], all[len(all)/2], all[len(all)-1]
}

// ages is the median and the 95th percentile of how old frames are that were
// sent in a time, when they and all before them have arrived, and how many there
// are per second.
func (w *simulatedNetwork) ages(from, to time.Duration) (median, p95 time.Duration, fps float64) {
	var ages []time.Duration
	var shown time.Duration
	for _, f := range w.frames {
		if f.skipped {
			continue
		}
		done := f.done
		if done == 0 {
			done = w.now
		}
		shown = max(shown, done)
		if f.at >= from && f.at < to {
			ages = append(ages, shown-f.at)
		}
	}
	if len(ages) == 0 {
		return 0, 0, 0
	}
	slices.Sort(ages)
	return ages[len(ages)/2], ages[len(ages)*95/100], float64(len(ages)) / (to - from).Seconds()
}

// behind is how old the newest picture was at most when the next came.
func (w *simulatedNetwork) behind() (most time.Duration) {
	var shown time.Duration
	for _, f := range w.frames {
		if !f.skipped && f.done > 0 {
			shown = max(shown, f.done)
			most = max(most, shown-f.at)
		}
	}
	return most
}

// What there is to show.

func video(time.Duration) (least, wish float64) { return 12_000, 1e9 }

func scrolling(time.Duration) (least, wish float64) { return 10_000, 60_000 }

// typing is five keys a second.
func typing(now time.Duration) (least, wish float64) {
	if now%(200*time.Millisecond) < time.Second/30 {
		return 2_500, 3_200
	}
	return 0, 0
}

// pages is a page every second, refined twice, and else nothing.
func pages(now time.Duration) (least, wish float64) {
	switch now % time.Second / (100 * time.Millisecond) {
	case 0:
		if now%time.Second < time.Second/30 {
			return 100_000, 1e6
		}
	case 2, 4:
		return 0, 400_000
	}
	return 0, 0
}
