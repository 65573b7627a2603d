package stream

import (
	"testing"
	"time"
)

func TestCadence(t *testing.T) {
	begun := time.Unix(1_000, 0)
	for _, c := range []struct {
		fps   int
		until time.Duration // frames are wanted all the time, until then
		want  int
	}{
		{60, 0, 2}, // two at once after a while without any
		{60, time.Second - time.Millisecond, 61},
		{60, time.Minute, 60*60 + 2},
		{30, time.Minute, 60*30 + 1},
		{5, time.Minute, 60*5 + 1},
	} {
		var k frameRateLimiter
		n := 0
		for now := begun; !now.After(begun.Add(c.until)); {
			if wait := k.next(c.fps).Sub(now); wait > 0 {
				now = now.Add(wait)
				continue
			}
			k.begin(now, c.fps)
			n++
		}
		if n != c.want {
			t.Errorf("%d frames in %v at most %d a second, want %d", n, c.until, c.fps, c.want)
		}
	}
	// What was not used does not add up.
	var k frameRateLimiter
	for i := range 10 {
		now := begun.Add(time.Duration(i) * time.Second)
		k.begin(now, 60)
		k.begin(now, 60)
		if got := k.next(60).Sub(now); got != time.Second/60 {
			t.Errorf("the third frame may follow after %v, want a sixtieth of a second", got)
		}
	}
	// A cap that is raised is in force at once.
	now := begun.Add(time.Minute)
	k.begin(now, 1)
	if got := k.next(60).Sub(now); got > 0 {
		t.Errorf("after a cap of one a second the next frame waits %v", got)
	}
}
