package stream

import (
	"fmt"
	"testing"
	"time"
)

const ms = time.Millisecond

// TestWays holds the estimate to what a person sees: how much of the link is
// used, and how old the pictures are.
func TestWays(t *testing.T) {
	type bounds struct {
		from, to     time.Duration
		least, most  int           // of the median target
		age, oldest  time.Duration // median and 95th percentile of the age of frames
		never, floor int           // target at no time above, below; 0: not looked at
	}
	for name, c := range map[string]struct {
		rate  float64
		delay time.Duration
		setup func(*simulatedNetwork)
		want  []bounds
	}{
		"5 Mbit/s, 40 ms, 1 % loss": {5e6, 20 * ms, func(w *simulatedNetwork) { w.loss, w.content = 0.01, video }, []bounds{
			{from: 500 * ms, to: 10 * time.Second, least: 4_100_000, most: 4_600_000, age: 70 * ms, oldest: 150 * ms, never: 4_800_000, floor: 3_000_000},
		}},
		"1 Mbit/s, 100 ms": {1e6, 50 * ms, func(w *simulatedNetwork) { w.content = video }, []bounds{
			{from: 300 * ms, to: time.Second, most: 950_000, never: 950_000},
			{from: 2 * time.Second, to: 10 * time.Second, least: 750_000, most: 950_000, age: 200 * ms, oldest: 250 * ms},
		}},
		"300 kbit/s, 200 ms, 2 % loss": {300e3, 100 * ms, func(w *simulatedNetwork) { w.loss, w.content = 0.02, video }, []bounds{
			{from: 600 * ms, to: 20 * time.Second, most: 290_000, never: 300_000, oldest: 600 * ms},
			{from: 5 * time.Second, to: 20 * time.Second, least: 200_000, most: 290_000, age: 300 * ms, oldest: 500 * ms},
		}},
		"20, 1 and 20 Mbit/s of video": {20e6, 20 * ms, func(w *simulatedNetwork) {
			w.content = video
			w.at(5*time.Second, func() { w.rate = 1e6 })
			w.at(15*time.Second, func() { w.rate = 20e6 })
		}, []bounds{
			{from: time.Second, to: 5 * time.Second, least: 16_000_000, most: 19_000_000, age: 60 * ms, oldest: 80 * ms},
			{from: 5300 * ms, to: 15 * time.Second, most: 950_000, never: 1_000_000},
			{from: 8 * time.Second, to: 15 * time.Second, least: 750_000, most: 950_000, age: 150 * ms, oldest: 250 * ms},
			{from: 16 * time.Second, to: 20 * time.Second, least: 16_000_000, most: 19_000_000, age: 60 * ms, oldest: 80 * ms},
		}},
		"20, 1 and 20 Mbit/s of scrolling, deep queue": {20e6, 20 * ms, func(w *simulatedNetwork) {
			w.content, w.queue = scrolling, 2*time.Second
			w.at(5*time.Second, func() { w.rate = 1e6 })
			w.at(15*time.Second, func() { w.rate = 20e6 })
		}, []bounds{
			{from: time.Second, to: 5 * time.Second, least: 10_000_000, most: 19_000_000, age: 30 * ms, oldest: 40 * ms},
			{from: 8 * time.Second, to: 15 * time.Second, least: 700_000, most: 950_000, age: 150 * ms, oldest: 250 * ms},
			{from: 16 * time.Second, to: 20 * time.Second, least: 10_000_000, most: 19_000_000, age: 30 * ms, oldest: 40 * ms},
		}},
		"loopback, pages": {0, 50 * time.Microsecond, func(w *simulatedNetwork) { w.content = pages }, []bounds{
			{from: 700 * ms, to: 10 * time.Second, least: MaxTarget, most: MaxTarget, age: 10 * ms, oldest: 10 * ms, floor: 20_000_000},
		}},
		"a busy machine: the receiver sleeps": {0, 50 * time.Microsecond, func(w *simulatedNetwork) {
			w.content = scrolling
			w.sleeps = func(at time.Duration) time.Duration { // 20 to 60 ms, five times a second
				const round = 200 * ms
				if n, in := at/round, at%round; in < (20+n*13%41)*ms {
					return n*round + (20+n*13%41)*ms
				}
				return at
			}
		}, []bounds{
			{from: 2 * time.Second, to: 20 * time.Second, least: 10_000_000, most: MaxTarget, floor: 8_000_000},
		}},
		"3 Mbit/s to a busy machine": {3e6, 20 * ms, func(w *simulatedNetwork) {
			w.content = video
			w.sleeps = func(at time.Duration) time.Duration {
				if in := at % (300 * ms); in < 40*ms {
					return at - in + 40*ms
				}
				return at
			}
		}, []bounds{
			{from: time.Second, to: 20 * time.Second, least: 2_000_000, most: 2_900_000, oldest: 250 * ms},
		}},
		"half of 10 Mbit/s is others'": {10e6, 20 * ms, func(w *simulatedNetwork) {
			w.content = video
			w.at(5*time.Second, func() { w.cross = 5e6 })
			w.at(25*time.Second, func() { w.cross = 0 })
		}, []bounds{
			{from: time.Second, to: 5 * time.Second, least: 8_000_000, most: 9_500_000, age: 60 * ms, oldest: 150 * ms},
			{from: 8 * time.Second, to: 25 * time.Second, least: 3_000_000, most: 5_500_000, age: 150 * ms, oldest: 260 * ms},
			{from: 32 * time.Second, to: 35 * time.Second, least: 8_000_000, most: 9_500_000, age: 150 * ms, oldest: 200 * ms},
		}},
		"5 Mbit/s, 30 ms of jitter": {5e6, 20 * ms, func(w *simulatedNetwork) { w.content, w.jitter = video, 30*ms }, []bounds{
			{from: 3 * time.Second, to: 30 * time.Second, least: 3_500_000, most: 4_900_000, age: 120 * ms, oldest: 200 * ms},
		}},
		"a queue of a second": {2e6, 20 * ms, func(w *simulatedNetwork) {
			w.content, w.queue = video, time.Second
			w.at(5*time.Second, func() { w.rate = 500e3 })
		}, []bounds{
			{from: time.Second, to: 5 * time.Second, least: 1_500_000, most: 1_950_000, age: 120 * ms, oldest: 150 * ms},
			{from: 8 * time.Second, to: 20 * time.Second, least: 380_000, most: 490_000, age: 200 * ms, oldest: 300 * ms},
		}},
		"minutes of typing": {20e6, 20 * ms, func(w *simulatedNetwork) {
			w.content = func(now time.Duration) (float64, float64) {
				if now < time.Second || now > 5*time.Minute {
					return scrolling(now)
				}
				return typing(now)
			}
			w.overage = 50e-6 // of the receiver's clock
		}, []bounds{
			{from: time.Second, to: 302 * time.Second, least: 10_000_000, most: 19_000_000, age: 30 * ms, oldest: 40 * ms, floor: 10_000_000},
		}},
		"minutes of nothing, then less": {20e6, 20 * ms, func(w *simulatedNetwork) {
			w.content = func(now time.Duration) (float64, float64) {
				if now < time.Second || now > 2*time.Minute {
					return scrolling(now)
				}
				return 0, 0
			}
			w.at(time.Minute, func() { w.rate = 1e6 })
			w.overage = -50e-6
		}, []bounds{
			{from: 123 * time.Second, to: 130 * time.Second, least: 700_000, most: 950_000, age: 150 * ms, oldest: 300 * ms},
		}},
		"feedback late and out of order": {5e6, 20 * ms, func(w *simulatedNetwork) { w.content, w.swap, w.loss = video, true, 0.02 }, []bounds{
			{from: time.Second, to: 20 * time.Second, least: 3_800_000, most: 4_700_000, oldest: 200 * ms},
		}},
		"another way, 100 ms longer": {5e6, 20 * ms, func(w *simulatedNetwork) {
			w.content = video
			w.at(5*time.Second, func() { w.delay = 120 * ms })
		}, []bounds{
			{from: 15 * time.Second, to: 20 * time.Second, least: 3_800_000, most: 4_700_000, oldest: 250 * ms},
		}},
		"frames longer than the queue": {300e3, 100 * ms, func(w *simulatedNetwork) {
			w.content = func(now time.Duration) (float64, float64) {
				if now%(2*time.Second) < time.Second/30 {
					return 150_000, 150_000
				}
				return typing(now)
			}
		}, []bounds{
			{from: 5 * time.Second, to: 30 * time.Second, least: 180_000, most: 290_000},
		}},
		"a fifth is lost by chance": {5e6, 20 * ms, func(w *simulatedNetwork) { w.content, w.loss = video, 0.2 }, []bounds{
			{from: 10 * time.Second, to: 20 * time.Second, least: 300_000, most: 4_400_000},
		}},
		"nothing comes back for three seconds": {5e6, 20 * ms, func(w *simulatedNetwork) {
			w.content = video
			w.at(5*time.Second, func() { w.loss = 1 })
			w.at(8*time.Second, func() { w.loss = 0 })
		}, []bounds{
			{from: 6500 * ms, to: 8 * time.Second, most: 600_000},
			{from: 10 * time.Second, to: 15 * time.Second, least: 3_500_000, most: 4_700_000, oldest: 150 * ms},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				w := newSimulatedNetwork(t, c.rate, c.delay, seed)
				c.setup(w)
				for _, b := range c.want {
					w.run(b.to + 500*ms)
				}
				for _, b := range c.want {
					when := fmt.Sprintf("seed %d, %v to %v", seed, b.from, b.to)
					least, median, most := w.targets(b.from, b.to)
					age, oldest, fps := w.ages(b.from, b.to)
					t.Logf("%s: target %d, %d to %d; age %v, p95 %v, %.0f frames/s", when, median, least, most, age, oldest, fps)
					if median < b.least || median > b.most {
						t.Errorf("%s: the target was %d, not from %d to %d", when, median, b.least, b.most)
					}
					if b.age > 0 && age > b.age || b.oldest > 0 && oldest > b.oldest {
						t.Errorf("%s: frames were %v and %v old, more than %v and %v", when, age, oldest, b.age, b.oldest)
					}
					if b.never > 0 && most > b.never || least < b.floor {
						t.Errorf("%s: the target went from %d to %d", when, least, most)
					}
				}
			}
		})
	}
}

// What is told apart must not depend on where numbers begin.
func TestNumbersWrap(t *testing.T) {
	var seen []int
	for _, first := range []uint16{0, 1, 1 << 15, 60_000, 65_000, 65_500, 65_535} {
		w := newSimulatedNetwork(t, 5e6, 20*ms, 1)
		w.seq, w.content = first, video
		w.offset = 1<<24*64*ms - 5*time.Second // the reference time wraps too
		w.run(15 * time.Second)                // numbers after 10 s, 1 s and at once
		_, median, _ := w.targets(time.Second, 15*time.Second)
		seen = append(seen, median)
		if median < 4_100_000 {
			t.Errorf("from %d: the target was %d", first, median)
		}
	}
	t.Log(seen)
}

// Without feedback nothing is known, and nothing changes.
func TestNothingHeard(t *testing.T) {
	w := newSimulatedNetwork(t, 5e6, 20*ms, 1)
	w.loss = 1
	w.run(time.Minute)
	if got := w.estimator.Target(); got != DefaultTarget {
		t.Errorf("the target is %d", got)
	}
	if w.estimator.Check(w.clock()) {
		t.Error("something is on its way")
	}
}
