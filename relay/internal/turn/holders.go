package turn

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Holder is whom credentials were given to, and for what.
type Holder struct {
	ID    string // whose quota and bandwidth they count against
	Scope string // with whose end they die; empty: only with their expiry
}

// user is how pion/turn knows a holder: one allocation, one user.
func (h Holder) user() string {
	if h.Scope == "" {
		return h.ID
	}
	return h.ID + ":" + h.Scope
}

func holder(user string) Holder {
	id, scope, _ := strings.Cut(user, ":")
	return Holder{id, scope}
}

// How allocations end with their scope: it is asked for every askEvery, each
// time for at most as long, so that one is closed within 5 s of the end. An
// ended scope is remembered for longer than credentials are given for.
const (
	askEvery   = 2 * time.Second
	remembered = 2 * time.Hour
)

// portion is what one ID has: allocations, and the bandwidth for all of them.
type portion struct {
	in, out     *rate.Limiter
	allocations int
	idle        time.Time // since when there are none; only then
}

// shareOf finds or makes the share of id. Server.mu is held.
func (s *Server) shareOf(id string) *portion {
	one := s.byID[id]
	if one == nil {
		burst := max(64<<10, int(s.o.BytesPerSecond/4))
		one = &portion{in: rate.NewLimiter(rate.Limit(s.o.BytesPerSecond), burst), out: rate.NewLimiter(rate.Limit(s.o.BytesPerSecond), burst), idle: s.o.Now()}
		s.byID[id] = one
	}
	return one
}

// watch closes allocations whose scope has ended, until Close.
func (s *Server) watch() {
	defer s.wait.Done()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.over:
			return
		case <-tick.C:
			s.endScopes()
		}
	}
}

// endScopes asks once. While nobody can say what has ended, all stands.
func (s *Server) endScopes() {
	now := s.o.Now()
	s.mu.Lock()
	for id, one := range s.byID { // its limiters would be full again
		if one.allocations == 0 && now.Sub(one.idle).Abs() > askEvery {
			delete(s.byID, id)
		}
	}
	maps.DeleteFunc(s.ended, func(_ Holder, at time.Time) bool { return now.Sub(at).Abs() > remembered })
	asked := map[Holder]bool{}
	for m := range s.stands {
		if m.holder.Scope != "" {
			asked[m.holder] = true
		}
	}
	s.mu.Unlock()
	if len(asked) == 0 || s.o.Ended == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), askEvery)
	ended, err := s.o.Ended(ctx, slices.Collect(maps.Keys(asked)))
	cancel()
	if err != nil {
		s.log.Warn("turn cannot ask which sessions have ended", "err", err)
	}
	var close []io.Closer
	s.mu.Lock()
	for _, h := range ended {
		s.ended[h] = now
	}
	for m := range s.stands {
		if _, over := s.ended[m.holder]; over {
			close = append(close, m.PacketConn)
		}
	}
	s.mu.Unlock()
	for _, c := range close {
		_ = c.Close() // its reader ends, and the allocation with it
	}
	if len(close) > 0 {
		s.log.Info("turn allocations closed with what they were for", "allocations", len(close))
	}
}
