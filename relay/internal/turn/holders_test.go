package turn

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// scopes is what ends, as a test says.
type scopes struct {
	mu   sync.Mutex
	over []Holder
	err  error
}

func (s *scopes) set(err error, over ...Holder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over, s.err = over, err
}

func (s *scopes) ended(_ context.Context, asked []Holder) (over []Holder, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.over {
		if slices.Contains(asked, h) {
			over = append(over, h)
		}
	}
	return over, s.err
}

// Rule: TURN credentials are of the session, die with it (allocation closed
// within 5 s).
func TestCredentialsDieWithTheirScope(t *testing.T) {
	if 2*askEvery > 5*time.Second {
		t.Errorf("asked every %s, for as long", askEvery)
	}
	say := &scopes{}
	s := start(t, func(o *Options) { o.Ended = say.ended })
	one, other, old := Holder{"ada", "session/1"}, Holder{"ada", "session/2"}, Holder{ID: "ada"}
	allocation := func(h Holder, way string) (net.PacketConn, error) {
		user, password := s.Credentials(h, time.Now().Add(time.Minute))
		return client(t, s, way, user, password).Allocate()
	}
	for _, h := range []Holder{one, one, other, old} {
		for _, way := range []string{"udp", "tcp"} {
			c, err := allocation(h, way)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
	}
	say.set(errors.New("the database is away"))
	s.endScopes()
	if st := s.Stats(); st.Allocations != 8 {
		t.Fatalf("nobody could say, and %d are left", st.Allocations)
	}
	say.set(errors.New("half an answer"), one)
	until(t, s, func(st Stats) bool { return st.Allocations == 4 }) // by the server's own clock
	if _, err := allocation(one, "udp"); err == nil {
		t.Error("credentials outlived what they were for")
	}
	for _, h := range []Holder{other, old} {
		c, err := allocation(h, "udp")
		if err != nil {
			t.Errorf("%v: %v", h, err)
			continue
		}
		_ = c.Close()
	}
	until(t, s, func(st Stats) bool { return st.Allocations == 4 })
	s.mu.Lock()
	ports, stand := len(s.ports), len(s.stands)
	s.mu.Unlock()
	if ports != 4 || stand != 4 {
		t.Errorf("%d ports, %d sockets for 4 allocations", ports, stand)
	}
}

// Rule: bandwidth is counted by id and not by allocation.
func TestBandwidthIsTheIDs(t *testing.T) {
	s := start(t, func(o *Options) { o.BytesPerSecond = 1000 }) // with a burst of 64 KiB
	peer, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	flood := func(h Holder) {
		user, password := s.Credentials(h, time.Now().Add(time.Minute))
		c, err := client(t, s, "udp", user, password).Allocate()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		before := s.Stats()
		for range 100 {
			if _, err := c.WriteTo(make([]byte, 1000), peer.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		until(t, s, func(st Stats) bool { return st.Dropped > before.Dropped })
	}
	for _, scope := range []string{"session/1", "session/2", "sign-in/3", ""} {
		flood(Holder{"ada", scope})
	}
	if st := s.Stats(); st.BytesSent > 80_000 {
		t.Errorf("four allocations of one id sent %d bytes", st.BytesSent)
	}
	before := s.Stats().BytesSent
	flood(Holder{"bob", "session/1"})
	if sent := s.Stats().BytesSent - before; sent < 50_000 {
		t.Errorf("another id was held to %d bytes", sent)
	}
}

// Rule: TURN user names are read one way: what a part holds is never another part.
func TestUserNames(t *testing.T) {
	s := start(t, nil)
	for _, h := range []Holder{{"ada", ""}, {"ada", "session/1"}, {"a:da", "session/1"}, {"ada", "sign-in/x:y"}} {
		user, _ := s.Credentials(h, time.Now().Add(time.Minute))
		got, _, ok := s.authenticate(request(user, &net.UDPAddr{}, allocate))
		want := Holder{strings.ReplaceAll(h.ID, ":", ""), h.Scope}
		if !ok || holder(got) != want {
			t.Errorf("%v: %q is read as %v", h, user, holder(got))
		}
	}
	for _, user := range []string{"", ":", "1:", "x:ada", "99999999999", ":ada", "99999999999::session/1"} {
		if got, _, ok := s.authenticate(request(user, &net.UDPAddr{}, allocate)); ok {
			t.Errorf("%q was taken for %v", user, holder(got))
		}
	}
}

// Rule: what belongs to no session yet has half of its person's allocations at most.
func TestLooseAllocationsAreBoundedByPerson(t *testing.T) {
	var bound sync.Map
	s := start(t, func(o *Options) {
		o.Allocations = 4
		o.Loose = func(h Holder) bool { _, ok := bound.Load(h); return !ok }
	})
	allocate := func(h Holder) error {
		user, password := s.Credentials(h, time.Now().Add(time.Minute))
		c, err := client(t, s, "udp", user, password).Allocate()
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
		return err
	}
	one, two, three := Holder{"ada", "ticket/s/1"}, Holder{"ada", "ticket/s/2"}, Holder{"ada", "ticket/s/3"}
	for _, h := range []Holder{one, two} {
		if err := allocate(h); err != nil {
			t.Fatal(err)
		}
	}
	if allocate(three) == nil {
		t.Error("a third allocation of no session")
	}
	if err := allocate(Holder{"bob", "ticket/s/1"}); err != nil {
		t.Errorf("another person: %v", err)
	}
	bound.Store(one, true) // a session has it
	if err := allocate(three); err != nil {
		t.Error(err)
	}
	if err := allocate(one); err != nil {
		t.Errorf("what is a session's: %v", err)
	}
}
