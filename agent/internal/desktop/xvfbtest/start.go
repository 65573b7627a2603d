//go:build linux

package xvfbtest

import (
	"os/exec"
	"runtime"
	"sync"
)

// Pdeathsig fires when the *thread* that started the child ends, not the
// process. So children are started on one thread that lives as long as the
// test binary.
var starter struct {
	once sync.Once
	jobs chan func()
}

func startLocked(cmd *exec.Cmd) error {
	starter.once.Do(func() {
		starter.jobs = make(chan func())
		go starterLoop(starter.jobs)
	})
	done := make(chan error)
	starter.jobs <- func() { done <- cmd.Start() }
	return <-done
}

// starterLoop never ends; goleak users name it (StarterLoop).
func starterLoop(jobs chan func()) {
	runtime.LockOSThread()
	for job := range jobs {
		job()
	}
}

// StarterLoop is the function that goleak.IgnoreAnyFunction must be told of:
// the one goroutine this package keeps for the life of the test binary.
const StarterLoop = "oriel/agent/internal/desktop/xvfbtest.starterLoop"
