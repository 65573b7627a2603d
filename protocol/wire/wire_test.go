package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a server's Conn and a client's, over a real socket.
func pair(t *testing.T, server, client Options) (*Conn, *Conn) {
	t.Helper()
	conns := make(chan *Conn, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Upgrade(w, r, server)
		if err != nil {
			t.Error(err)
			return
		}
		conns <- c
	}))
	t.Cleanup(srv.Close)
	c, _, err := Dial(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http"), nil, nil, client)
	if err != nil {
		t.Fatal(err)
	}
	s := <-conns
	t.Cleanup(func() { _ = c.Close(); _ = s.Close() })
	return s, c
}

// raw is a client that can say anything.
func raw(t *testing.T, server Options) (*Conn, *websocket.Conn) {
	t.Helper()
	conns := make(chan *Conn, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := Upgrade(w, r, server); err == nil {
			conns <- c
		}
	}))
	t.Cleanup(srv.Close)
	ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := <-conns
	t.Cleanup(func() { _ = ws.Close(); _ = s.Close() })
	return s, ws
}

func candidate(text string) *orielv1.FromAgent {
	return &orielv1.FromAgent{Body: &orielv1.FromAgent_Candidate{Candidate: &orielv1.Candidate{Candidate: text}}}
}

func TestMessagesArriveInOrderBothWays(t *testing.T) {
	s, c := pair(t, Options{}, Options{})
	for _, dir := range [][2]*Conn{{s, c}, {c, s}} {
		for i := range 50 {
			if err := dir[0].Send(candidate(strings.Repeat("x", i))); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 50 {
			m := &orielv1.FromAgent{}
			if err := dir[1].Receive(m); err != nil {
				t.Fatal(err)
			}
			if got := len(m.GetCandidate().GetCandidate()); got != i {
				t.Fatalf("message %d came as %d", i, got)
			}
		}
	}
}

func TestQueuedMessagesAreSentBeforeClose(t *testing.T) {
	s, c := pair(t, Options{}, Options{})
	for range 20 {
		if err := s.Send(candidate("a")); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.CloseWith(CloseGoingAway, "draining")
	for range 20 {
		if err := c.Receive(&orielv1.FromAgent{}); err != nil {
			t.Fatal(err)
		}
	}
	err := c.Receive(&orielv1.FromAgent{})
	var ce *CloseError
	if !errors.As(err, &ce) || ce.Code != CloseGoingAway || ce.Reason != "draining" {
		t.Fatalf("got %v", err)
	}
	if err := s.Send(candidate("late")); !errors.Is(err, ErrClosed) {
		t.Fatalf("send after close: %v", err)
	}
}

func TestNormalCloseIsEOF(t *testing.T) {
	s, c := pair(t, Options{}, Options{})
	_ = c.Close()
	if err := s.Receive(&orielv1.FromAgent{}); !errors.Is(err, io.EOF) {
		t.Fatalf("got %v", err)
	}
}

// Rule: what the peer said as it closed is heard, also by who was writing to it meanwhile.
func TestGoodbyeIsHeardWhileWriting(t *testing.T) {
	for range 20 {
		s, c := pair(t, Options{}, Options{})
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		for range 20 { // the first is answered by a reset, and fails the others
			_ = s.Send(&orielv1.FromAgent{})
			runtime.Gosched()
		}
		if err := s.Receive(&orielv1.FromAgent{}); !errors.Is(err, io.EOF) {
			t.Fatalf("the peer closed in good order, and heard was: %v", err)
		}
	}
}

func TestReceiveRefuses(t *testing.T) {
	long := candidate(strings.Repeat("x", 1025)) // one over its bound
	overlong, err := proto.Marshal(long)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		kind int
		data []byte
	}{
		{"text", websocket.TextMessage, []byte("hello")},
		{"no protobuf", websocket.BinaryMessage, []byte{0xff, 0xff, 0xff}},
		{"field over its bound", websocket.BinaryMessage, overlong},
		{"message over the limit", websocket.BinaryMessage, bytes.Repeat([]byte{0}, 5000)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, ws := raw(t, Options{MaxMessage: 4096})
			if err := ws.WriteMessage(tc.kind, tc.data); err != nil {
				t.Fatal(err)
			}
			if err := s.Receive(&orielv1.FromAgent{}); !errors.Is(err, ErrMalformed) {
				t.Fatalf("got %v", err)
			}
			_, _, err := ws.ReadMessage()
			if err == nil {
				t.Fatal("the connection stands")
			}
		})
	}
}

func TestSlowPeerIsDropped(t *testing.T) {
	s, _ := raw(t, Options{Queue: 4, QueueBytes: 1 << 20, WriteTimeout: 200 * time.Millisecond})
	big := &orielv1.FromAgent{Body: &orielv1.FromAgent_Preview{Preview: &orielv1.Preview{Data: make([]byte, 40960)}}}
	var err error
	for range 10_000 { // the peer reads nothing: socket buffers fill, then the queue
		if err = s.Send(big); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrSlow) {
		t.Fatalf("got %v", err)
	}
	<-s.Done()
	if !errors.Is(s.Err(), ErrSlow) {
		t.Fatalf("ended with %v", s.Err())
	}
}

func TestSilentPeerIsDropped(t *testing.T) {
	// The raw client answers pings only while it reads, and it does not.
	s, _ := raw(t, Options{PingEvery: 20 * time.Millisecond, PongTimeout: 100 * time.Millisecond})
	if err := s.Receive(&orielv1.FromAgent{}); !errors.Is(err, ErrSilent) {
		t.Fatalf("got %v", err)
	}
}

func TestPingsKeepAQuietConnection(t *testing.T) {
	t.Parallel()
	// Long enough for a machine that has other things to do.
	o := Options{PingEvery: 20 * time.Millisecond, PongTimeout: 3 * time.Second}
	s, c := pair(t, o, o)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = c.Receive(&orielv1.FromAgent{}) })
	got := make(chan error, 1)
	wg.Go(func() { got <- s.Receive(&orielv1.FromAgent{}) })
	quiet := time.After(o.PongTimeout * 3 / 2)
	select {
	case err := <-got:
		t.Fatalf("dropped: %v", err)
	case <-quiet:
	}
	if err := c.Send(candidate("still here")); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
}

func TestManySendersOneWriter(t *testing.T) {
	s, c := pair(t, Options{Queue: 1000}, Options{Queue: 1000})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if err := s.Send(candidate("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 800 {
		if err := c.Receive(&orielv1.FromAgent{}); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}

func TestOwnMessageOverItsBoundIsNotSent(t *testing.T) {
	s, c := pair(t, Options{}, Options{})
	if err := s.Send(candidate(strings.Repeat("x", 1025))); !errors.Is(err, orielv1.ErrBounds) {
		t.Fatalf("got %v", err)
	}
	if err := s.Send(candidate("fine")); err != nil {
		t.Fatal(err)
	}
	if err := c.Receive(&orielv1.FromAgent{}); err != nil {
		t.Fatal(err)
	}
}

func TestDialGivesTheRefusal(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusUnauthorized)
	}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, resp, err := Dial(ctx, "ws"+strings.TrimPrefix(srv.URL, "http"), nil, nil, Options{})
	if err == nil || resp == nil || resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("got %v, %v", resp, err)
	}
}

// Rule: a message may stand for the ping; until there is one, the ping is a
// WebSocket's.
func TestPingByMessage(t *testing.T) {
	var ready atomic.Bool
	s, ws := raw(t, Options{PingEvery: 10 * time.Millisecond, PongTimeout: 20 * time.Second, Ping: func() proto.Message {
		if !ready.Load() {
			return nil
		}
		return candidate("ping")
	}})
	pinged := false
	ws.SetPingHandler(func(string) error {
		pinged = true
		ready.Store(true)
		return nil
	})
	kind, b, err := ws.ReadMessage()
	if err != nil || kind != websocket.BinaryMessage || !pinged {
		t.Fatalf("the first message is %d, %v; pinged before: %v", kind, err, pinged)
	}
	m := &orielv1.FromAgent{}
	if err := orielv1.Decode(b, m); err != nil || !proto.Equal(m, candidate("ping")) {
		t.Fatalf("got %v, %v", m, err)
	}
	_ = s.Close()
}
