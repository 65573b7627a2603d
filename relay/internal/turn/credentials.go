package turn

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the draft's, and what clients compute
	"encoding/base64"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
)

// Credentials for h (its ID without colons) that begin allocations until expiry,
// or until Options.Ended names h.
func (s *Server) Credentials(h Holder, expiry time.Time) (username, password string) {
	h.ID = strings.ReplaceAll(h.ID, ":", "")
	username = strconv.FormatInt(expiry.Unix(), 10) + ":" + h.user()
	return username, s.password(username)
}

func (s *Server) password(username string) string {
	mac := hmac.New(sha1.New, s.o.Secret)
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// authenticate gives the key that the request must be signed with; the
// signature itself is checked by pion/turn.
func (s *Server) authenticate(r *turn.RequestAttributes) (id string, key []byte, ok bool) {
	seconds, id, ok := strings.Cut(r.Username, ":")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if !ok || err != nil || holder(id).ID == "" || len(r.Username) > 256 {
		return "", nil, false
	}
	expiry := time.Unix(unix, 0)
	if late := s.o.Now().Sub(expiry); late > 0 && (late > MaxAllocation || r.Method == stun.MethodAllocate || !s.holds(id, r.SrcAddr)) {
		s.log.Info("turn credentials have expired", "client", r.SrcAddr.String(), "method", r.Method.String())
		return "", nil, false
	}
	if r.Method == stun.MethodAllocate && s.isOver(id) {
		s.log.Info("turn credentials died with what they were for", "client", r.SrcAddr.String())
		return "", nil, false
	}
	return id, turn.GenerateAuthKey(r.Username, r.Realm, s.password(r.Username)), true
}

func (s *Server) isOver(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, over := s.ended[holder(user)]
	return over
}

func (s *Server) holds(id string, client net.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.from[client.String()] == id
}

func (s *Server) withinQuota(user, _ string, client net.Addr) bool {
	id := holder(user).ID
	s.mu.Lock()
	mine, all := s.shareOf(id).allocations, len(s.from)
	s.mu.Unlock()
	loose := s.tooLoose(holder(user))
	if mine < s.o.Allocations && all < s.o.TotalAllocations && !loose {
		return true
	}
	s.refused.Add(1)
	bound := "turn-allocations"
	switch {
	case loose:
		bound = "allocations of no session"
	case mine < s.o.Allocations:
		bound = "all allocations"
	}
	s.full.Do(func() {
		s.log.Warn("turn allocations have reached a bound; raise it if they are honest", "bound", bound, "client", client.String(), "id", id, "allocations", mine, "total", all)
	})
	return false
}

// tooLoose reports whether h belongs to nothing, and its ID has its part of such
// allocations already.
func (s *Server) tooLoose(h Holder) bool {
	if s.o.Loose == nil || !s.o.Loose(h) {
		return false
	}
	s.mu.Lock()
	of := make(map[Holder]int)
	for m := range s.stands {
		if m.holder.ID == h.ID {
			of[m.holder]++
		}
	}
	s.mu.Unlock()
	loose := 0
	for other, n := range of {
		if s.o.Loose(other) {
			loose += n
		}
	}
	return loose >= max(s.o.Allocations/2, 1)
}

func (s *Server) created(client, _ net.Addr, _, id, _ string, _ net.Addr, _ int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shareOf(holder(id).ID).allocations++
	s.from[client.String()] = id
	if c := s.conns[client.String()]; c != nil {
		c.place.Decide()
		c.patience(0)
	}
}

func (s *Server) deleted(client, _ net.Addr, _, id, _ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.shareOf(holder(id).ID)
	one.allocations, one.idle = max(one.allocations-1, 0), s.o.Now()
	delete(s.from, client.String())
	if c := s.conns[client.String()]; c != nil {
		c.place.Renew()
		c.patience(connPatience)
	}
}
