package listen

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// brokenReads is a socket whose next reads fail.
type brokenReads struct {
	net.PacketConn
	mu     sync.Mutex
	errors []error // protected by mu; the last one stays, if forever
	always bool    // protected by mu
	reads  atomic.Int32
}

func (f *brokenReads) ReadFrom(b []byte) (int, net.Addr, error) {
	f.reads.Add(1)
	f.mu.Lock()
	if len(f.errors) > 0 {
		err := f.errors[0]
		if !f.always {
			f.errors = f.errors[1:]
		}
		f.mu.Unlock()
		return 0, nil, &net.OpError{Op: "read", Net: "udp", Err: os.NewSyscallError("recvfrom", err)}
	}
	f.mu.Unlock()
	return f.PacketConn.ReadFrom(b)
}

func udp(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Rule: reading packets goes on after every error that ends by itself, and ends
// only with the socket.
func TestPacketsAreReadAfterAShortage(t *testing.T) {
	inner := udp(t)
	passing := []error{syscall.ENOBUFS, syscall.ENOMEM, syscall.EINTR, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH,
		syscall.ENETUNREACH, syscall.EMSGSIZE, syscall.EMFILE, syscall.EIO}
	c := PatientPacket(&brokenReads{PacketConn: inner, errors: passing}, "test", nil)
	if _, err := inner.WriteTo([]byte("x"), inner.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	if n, from, err := c.ReadFrom(b); err != nil || n != 1 || from == nil {
		t.Fatalf("%d bytes from %v, %v", n, from, err)
	}
	if err := inner.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadFrom(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadFrom(b); !errors.Is(err, net.ErrClosed) {
		t.Errorf("of a closed socket: %v", err)
	}
}

// Rule: a shortage that lasts is waited for without spinning, and closing the
// socket ends the wait.
func TestPacketsWaitForRoom(t *testing.T) {
	f := &brokenReads{PacketConn: udp(t), errors: []error{syscall.ENOBUFS}, always: true}
	c := PatientPacket(f, "test", nil)
	ended := make(chan error, 1)
	go func() { _, _, err := c.ReadFrom(make([]byte, 8)); ended <- err }()
	for f.reads.Load() < 3 {
		time.Sleep(time.Millisecond)
	}
	_ = c.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
		t.Errorf("closed while it waits: %v", err)
	}
}
