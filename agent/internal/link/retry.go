package link

import (
	"errors"
	"time"
)

const (
	firstWait   = 250 * time.Millisecond
	quickWait   = 4 * time.Second // longest for quickFor after a loss
	longWait    = 30 * time.Second
	refusedWait = 5 * time.Minute
	quickFor    = 5 * time.Minute
	// worked is how long a connection must have stood for the waits to begin
	// anew: one that is dropped at once, again and again, must not be retried
	// at full speed.
	worked = 5 * time.Second
)

// retry decides how long to wait before the next round of dialling. It has no
// clock and no dice of its own.
type retry struct {
	tries   int       // since the last connection that stood for a while
	upAt    time.Time // zero while down
	lostAt  time.Time // when the last connection was lost; zero: there was none
	refused bool      // by the last round, so that a person has to do something first
}

func (r *retry) connected(now time.Time) {
	if r.upAt.IsZero() {
		r.upAt = now
	}
}

// lost notes the end of a connection; err is nil when another replaced it.
func (r *retry) lost(now time.Time, err error) {
	if err == nil {
		return
	}
	if now.Sub(r.upAt) >= worked {
		r.tries = 0
	}
	r.upAt, r.lostAt = time.Time{}, now
}

// failed notes why the round failed, or the connection ended.
func (r *retry) failed(err error) {
	was := r.refused
	r.refused = errors.Is(err, ErrRefused) || errors.Is(err, ErrClone) || errors.Is(err, errFull)
	if r.refused != was {
		r.tries = 0
	}
}

// next is the wait before the next round. dice is in [0, 1); the wait is
// between 40 % and 100 % of a step that doubles up to its limit.
func (r *retry) next(now time.Time, dice float64) time.Duration {
	first, limit := firstWait, longWait
	switch {
	case r.refused:
		first, limit = longWait, refusedWait
	case !r.lostAt.IsZero() && now.Sub(r.lostAt) < quickFor:
		limit = quickWait
	}
	step := limit
	if r.tries < 16 {
		step = min(first<<r.tries, limit)
	}
	r.tries++
	return time.Duration(float64(step) * (0.4 + 0.6*dice))
}
