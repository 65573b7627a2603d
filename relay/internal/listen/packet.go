package listen

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"
)

// inARow is how many errors of single packets may follow each other before a
// reader takes a breath: they may be anybody's doing, and cost nobody else time.
const inARow = 64

// PatientPacket is c without the errors of reading that end by themselves: a
// want of buffers or memory, and what a network says of single packets sent
// before (ICMP, which some systems report to whoever reads next). Whoever reads
// sees an error only when c was closed or its deadline has passed. The log
// calls it name. log may be nil.
func PatientPacket(c net.PacketConn, name string, log *slog.Logger) net.PacketConn {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &patientPacket{PacketConn: c, name: name, log: log, done: make(chan struct{}), say: rate.Sometimes{First: 1, Interval: sayEvery}}
}

type patientPacket struct {
	net.PacketConn
	name string
	log  *slog.Logger
	say  rate.Sometimes
	done chan struct{}
	once sync.Once
}

// ReadFrom waits for a packet. Errors: those of a socket that is closed, and
// of a deadline.
func (p *patientPacket) ReadFrom(b []byte) (int, net.Addr, error) {
	var wait time.Duration
	for row := 1; ; row++ {
		n, from, err := p.PacketConn.ReadFrom(b)
		if err == nil || over(err) || errors.Is(err, os.ErrDeadlineExceeded) {
			return n, from, err
		}
		p.say.Do(func() {
			p.log.Warn("packets cannot be read; going on", "socket", p.name, "address", p.LocalAddr(), "error", err)
		})
		switch {
		case scarce(err):
			wait = min(max(2*wait, firstWait), longWait)
		case row%inARow == 0:
			wait = firstWait
		default:
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-p.done:
			timer.Stop()
			return 0, nil, net.ErrClosed
		}
	}
}

// Close ends ReadFrom, also one that waits for room.
func (p *patientPacket) Close() error {
	p.once.Do(func() { close(p.done) })
	return p.PacketConn.Close()
}

// scarce tells a want of the machine or the process from what is wrong with
// one packet.
func scarce(err error) bool {
	for _, e := range []error{syscall.ENOBUFS, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.EAGAIN} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
