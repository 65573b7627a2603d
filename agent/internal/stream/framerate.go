package stream

import "time"

// early is how long before its time a frame may begin when those before were late.
// What a program draws in two requests, and was read between them, comes whole
// a few ms later and not after another sixtieth of a second.
const early = time.Second / 60

// frameRateLimiter keeps the cap on frames a second: on average, not from each to the next.
type frameRateLimiter struct {
	last time.Time // when the last frame counts as begun: when it was, or when the cap had it due
}

// next is when the next frame may begin, under a cap of so many a second.
func (c *frameRateLimiter) next(fps int) time.Time { return c.due(fps).Add(-early) }

// begin notes a frame.
func (c *frameRateLimiter) begin(now time.Time, fps int) {
	if c.last = c.due(fps); c.last.Before(now) {
		c.last = now
	}
}

func (c *frameRateLimiter) due(fps int) time.Time {
	return c.last.Add(time.Second / time.Duration(fps))
}
