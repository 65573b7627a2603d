package stream

import "time"

// early is how long before its time a frame may begin when those before were late.
// What a program draws in two requests, and was read between them, comes whole
// a few ms later and not after another sixtieth of a second.
const early = time.Second / 60

// cadence keeps the cap on frames a second: on average, not from each to the next.
type cadence struct {
	due time.Time // of the next, by the cap
}

// next is when the next frame may begin.
func (c *cadence) next() time.Time { return c.due.Add(-early) }

// begin notes a frame, under a cap of so many a second.
func (c *cadence) begin(now time.Time, fps int) {
	if c.due.Before(now) {
		c.due = now
	}
	c.due = c.due.Add(time.Second / time.Duration(fps))
}
