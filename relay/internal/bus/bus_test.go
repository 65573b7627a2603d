package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	orielv1 "oriel/protocol/oriel/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen starts an external server; port 0 is any.
func listen(t *testing.T, port int) *server.Server {
	t.Helper()
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("not ready")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

func open(t *testing.T, url string) *Bus {
	t.Helper()
	b, err := Open(t.Context(), Options{URL: url, Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// each runs fn with two ends: of one embedded bus, and of two nodes.
func each(t *testing.T, fn func(t *testing.T, a, b *Bus)) {
	t.Run("embedded", func(t *testing.T) { b := open(t, ""); fn(t, b, b) })
	t.Run("external", func(t *testing.T) {
		s := listen(t, 0)
		fn(t, open(t, s.ClientURL()), open(t, s.ClientURL()))
	})
}

func session(id string) *orielv1.BusMessage {
	return &orielv1.BusMessage{Body: &orielv1.BusMessage_AccessChanged{AccessChanged: &orielv1.BusAccessChanged{SignInId: id}}}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 20 s:", what)
		}
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came within 20 s")
		panic("unreachable")
	}
}

func TestPublishArrivesInOrder(t *testing.T) {
	each(t, func(t *testing.T, a, b *Bus) {
		got := make(chan string, 200)
		s, err := b.Subscribe(AccessChanged, func(m *orielv1.BusMessage, _ Reply) { got <- m.GetAccessChanged().GetSignInId() })
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			if err := a.Publish(AccessChanged, session(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 100 {
			if id := receive(t, got); id != fmt.Sprint(i) {
				t.Fatalf("message %d is %s", i, id)
			}
		}
		s.Close()
		if err := a.Publish(AccessChanged, session("late")); err != nil {
			t.Fatal(err)
		}
		if err := a.conn.Flush(); err != nil {
			t.Fatal(err)
		}
		select {
		case id := <-got:
			t.Fatal("after Close:", id)
		default:
		}
	})
}

func TestRequest(t *testing.T) {
	each(t, func(t *testing.T, a, b *Bus) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		subject, err := Agent("0190-abc")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Request(ctx, subject, session("x")); !errors.Is(err, ErrNobody) {
			t.Fatalf("nobody there: %v", err)
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		s, err := b.Subscribe(subject, func(m *orielv1.BusMessage, reply Reply) {
			if m.GetAccessChanged().GetSignInId() == "quiet" {
				return
			}
			wg.Go(func() { reply(m) }) // later, from another goroutine
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		m, err := a.Request(ctx, subject, session("x"))
		if err != nil || m.GetAccessChanged().GetSignInId() != "x" {
			t.Fatal(m, err)
		}
		short, cancel2 := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel2()
		if _, err := a.Request(short, subject, session("quiet")); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("no answer: %v", err)
		}
	})
}

func TestSubjectsTakeOnlyIds(t *testing.T) {
	for _, id := range []string{"", "*", ">", "a.b", "a b", "A", "ä", strings.Repeat("a", 65), "a\r\nPUB x"} {
		if s, err := Session(id); !errors.Is(err, ErrSubject) {
			t.Errorf("%q: %q, %v", id, s, err)
		}
	}
	if s, err := Session("0190a-1"); err != nil || s != "session.0190a-1" {
		t.Fatal(s, err)
	}
}

func TestExternalServerComesAndGoes(t *testing.T) {
	s := listen(t, 0)
	port := s.Addr().String()
	var n int
	if _, err := fmt.Sscanf(port[strings.LastIndex(port, ":")+1:], "%d", &n); err != nil {
		t.Fatal(err)
	}
	a, b := open(t, s.ClientURL()), open(t, s.ClientURL())
	back := make(chan struct{}, 1)
	b.OnReconnect(func() { back <- struct{}{} })
	got := make(chan string, 10)
	sub, err := b.Subscribe(AccessChanged, func(m *orielv1.BusMessage, _ Reply) { got <- m.GetAccessChanged().GetSignInId() })
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()

	s.Shutdown()
	s.WaitForShutdown()
	until(t, "both know", func() bool { return a.Healthy() != nil && b.Healthy() != nil })
	if err := a.Publish(AccessChanged, session("lost")); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("published to nobody: %v", err)
	}
	listen(t, n)
	receive(t, back)
	until(t, "healthy", func() bool { return a.Healthy() == nil })
	if err := a.Publish(AccessChanged, session("kept")); err != nil {
		t.Fatal(err)
	}
	if id := receive(t, got); id != "kept" {
		t.Fatal(id)
	}
}

func TestServerThatIsNotThereYet(t *testing.T) {
	s := listen(t, 0)
	url := s.ClientURL()
	port := s.Addr().String()
	var n int
	_, _ = fmt.Sscanf(port[strings.LastIndex(port, ":")+1:], "%d", &n)
	s.Shutdown()
	s.WaitForShutdown()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // do not wait for it
	b, err := Open(ctx, Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Healthy() == nil {
		t.Fatal("healthy without a server")
	}
	listen(t, n)
	until(t, "healthy", func() bool { return b.Healthy() == nil })
}

func TestPasswordsStayOutOfErrors(t *testing.T) {
	_, err := Open(t.Context(), Options{URL: "nats://someone:geheim@127.0.0.1:notaport"})
	if err == nil || strings.Contains(err.Error(), "geheim") {
		t.Fatal(err)
	}
}

func TestTooLarge(t *testing.T) {
	b := open(t, "")
	ids := make([]string, 1001)
	err := b.Publish(FleetChanged, &orielv1.BusMessage{Body: &orielv1.BusMessage_FleetChanged{
		FleetChanged: &orielv1.BusFleetChanged{ComputerIds: ids}}})
	if !errors.Is(err, orielv1.ErrBounds) {
		t.Fatal(err)
	}
}

// A request that comes as the one who would answer leaves is not left waiting.
func TestRequestToWhoLeaves(t *testing.T) {
	each(t, func(t *testing.T, a, b *Bus) {
		subject, err := Agent("0190-leaves")
		if err != nil {
			t.Fatal(err)
		}
		begun, leave := make(chan struct{}), make(chan struct{})
		var sub *Subscription
		sub, err = b.Subscribe(subject, func(*orielv1.BusMessage, Reply) {
			close(begun)
			<-leave
			sub.CloseFromHandler()
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Publish(subject, &orielv1.BusMessage{}); err != nil {
			t.Fatal(err)
		}
		<-begun
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		asked := make(chan error, 1)
		go func() {
			_, err := a.Request(ctx, subject, &orielv1.BusMessage{})
			asked <- err
		}()
		until(t, "the request to wait its turn", func() bool { n, _, err := sub.s.Pending(); return err == nil && n == 2 }) // with the first
		close(leave)
		if err := <-asked; !errors.Is(err, ErrNobody) {
			t.Fatal(err)
		}
	})
}
