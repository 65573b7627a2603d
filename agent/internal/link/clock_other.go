//go:build !linux

package link

import "time"

// elapsed is Go's own clock: on Windows it counts suspends, on macOS it does not.
func elapsed() time.Duration { return time.Since(started) }

var started = time.Now()
