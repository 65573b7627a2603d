// Package listen lets a listener outlive a shortage. When the process or the
// machine has no file, buffer or memory left for one more connection, Accept
// waits and asks again instead of failing, so that connections are taken the
// moment there is room; whoever serves sees an error only when the listener
// was closed. Every TCP listener of the relay is one of these, and every UDP
// socket of TURN a PatientPacket.
//
// Bounds gives the connections of a listener places by address (package share).
package listen

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/time/rate"
)

// Back-off between two asks during a shortage, and how often the log says so.
const (
	firstWait = 5 * time.Millisecond
	longWait  = time.Second
	sayEvery  = 10 * time.Second
)

// Shortage counts what could not be accepted, over all listeners that share
// it. The zero value is ready; its methods may be called from any goroutine.
type Shortage struct {
	failed  atomic.Uint64
	waiting atomic.Int64
}

// Failed is how often a connection could not be accepted, since the start.
func (s *Shortage) Failed() uint64 { return s.failed.Load() }

// Waiting is how many listeners wait for room now.
func (s *Shortage) Waiting() int64 { return s.waiting.Load() }

// Patient is l without the errors that end by themselves. The log calls it
// name. s and log may be nil.
func Patient(l net.Listener, name string, s *Shortage, log *slog.Logger) net.Listener {
	if s == nil {
		s = &Shortage{}
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &patient{Listener: l, name: name, shortage: s, log: log, done: make(chan struct{}),
		say: rate.Sometimes{First: 1, Interval: sayEvery}}
}

type patient struct {
	net.Listener
	name     string
	shortage *Shortage
	log      *slog.Logger
	say      rate.Sometimes
	done     chan struct{}
	once     sync.Once
}

// Accept waits for a connection. Errors: those of a listener that is closed.
func (p *patient) Accept() (net.Conn, error) {
	var wait time.Duration
	said := false
	for {
		c, err := p.Listener.Accept()
		if err == nil {
			if said {
				p.log.Info("connections are accepted again", "listener", p.name, "address", p.Addr())
			}
			return c, nil
		}
		if over(err) {
			return nil, err
		}
		p.shortage.failed.Add(1)
		p.say.Do(func() {
			said = true
			p.log.Warn("connections cannot be accepted; waiting for room (raise the limit of open files if it is that)",
				"listener", p.name, "address", p.Addr(), "error", err, "failed", p.shortage.Failed())
		})
		if !p.pause(&wait) {
			return nil, net.ErrClosed
		}
	}
}

// pause waits a little longer than the time before; false: closed meanwhile.
func (p *patient) pause(wait *time.Duration) bool {
	*wait = min(max(2**wait, firstWait), longWait)
	p.shortage.waiting.Add(1)
	defer p.shortage.waiting.Add(-1)
	timer := time.NewTimer(*wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.done:
		return false
	}
}

// Close ends Accept, also one that waits for room.
func (p *patient) Close() error {
	p.once.Do(func() { close(p.done) })
	return p.Listener.Close()
}

// over tells the errors of a socket that is gone from those that pass.
func over(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EBADF) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSOCK)
}
