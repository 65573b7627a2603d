package listen

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted fails with each error in turn, and then accepts.
type scripted struct {
	errs   []error
	closed chan struct{}
}

func (s *scripted) Accept() (net.Conn, error) {
	if len(s.errs) == 0 {
		a, b := net.Pipe()
		_ = b.Close()
		return a, nil
	}
	err := s.errs[0]
	if len(s.errs) > 1 || !errors.Is(err, errForEver) {
		s.errs = s.errs[1:]
	}
	return nil, err
}
func (s *scripted) Close() error   { close(s.closed); return nil }
func (s *scripted) Addr() net.Addr { return &net.TCPAddr{} }

var errForEver = errors.New("something unknown")

func failing(errs ...error) *scripted { return &scripted{errs: errs, closed: make(chan struct{})} }

// Rule: at too many open files an accept loop waits and goes on, and says so
// in the log, once for a shortage, and in a number.
func TestAShortageEndsWhenItEnds(t *testing.T) {
	for _, err := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPROTO} {
		t.Run(err.Error(), func(t *testing.T) {
			var text bytes.Buffer
			var s Shortage
			wrapped := &net.OpError{Op: "accept", Net: "tcp", Err: err}
			l := Patient(failing(wrapped, wrapped, wrapped), "the door", &s, slog.New(slog.NewTextHandler(&text, nil)))
			c, err := l.Accept()
			if err != nil {
				t.Fatal("the listener gave up:", err)
			}
			_ = c.Close()
			if s.Failed() != 3 || s.Waiting() != 0 {
				t.Errorf("failed %d, waiting %d; want 3 and 0", s.Failed(), s.Waiting())
			}
			log := text.String()
			if strings.Count(log, "cannot be accepted") != 1 || strings.Count(log, "accepted again") != 1 || !strings.Contains(log, "the door") {
				t.Errorf("the log says %q", log)
			}
		})
	}
}

// Rule: a listener that was closed ends its accept loop at once, also while it
// waits for room.
func TestClosedIsNoShortage(t *testing.T) {
	for _, err := range []error{net.ErrClosed, &net.OpError{Op: "accept", Err: syscall.EINVAL}} {
		var s Shortage
		if _, got := Patient(failing(err), "", &s, nil).Accept(); !errors.Is(got, err) || s.Failed() != 0 {
			t.Errorf("%v became %v after %d asks", err, got, s.Failed())
		}
	}
	var s Shortage
	l := Patient(failing(errForEver), "", &s, nil)
	got := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		got <- err
	}()
	for s.Failed() == 0 || s.Waiting() == 0 {
		select {
		case err := <-got:
			t.Fatal("gave up:", err)
		default:
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
