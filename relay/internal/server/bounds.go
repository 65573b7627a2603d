package server

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"oriel/relay/internal/listen"
	"oriel/relay/internal/share"
)

// Bounds of what clients hold. The zero value fits a relay whose people and
// computers are in a few offices, each behind one address.
type Bounds struct {
	Silent      share.Bound   // connections without a whole request; 0: 2048, and 256 an address
	Connections share.Bound   // all connections; 0: 65536, and 8192 an address
	Requests    share.Bound   // whose body is being read; 0: 2048, and 256 an address
	BodyWithin  time.Duration // a body has arrived, or its connection ends; 0: 10 s
}

func (b *Bounds) setDefaults() {
	for _, one := range []struct {
		bound        *share.Bound
		all, address int
	}{{&b.Silent, 2048, 256}, {&b.Connections, 65536, 8192}, {&b.Requests, 2048, 256}} {
		if one.bound.Address == 0 {
			one.bound.Address = one.address
		}
		if one.bound.All == 0 {
			one.bound.All = max(one.all, one.bound.Address)
		}
	}
	if b.BodyWithin == 0 {
		b.BodyWithin = 10 * time.Second
	}
}

// Places of the server by the name of their bound, for metrics.
func (s *Server) Places() map[string]*share.Places {
	return map[string]*share.Places{"silent": s.conns.Silent, "connections": s.conns.Open, "requests": s.reading}
}

// note follows a connection through net/http. One that is used or falls idle
// is the youngest again. One that was hijacked is a WebSocket, which is the
// hub's to bound.
func (s *Server) note(c net.Conn, state http.ConnState) {
	s.fresh.note(c, state)
	one := listen.Below(c)
	if one == nil {
		return
	}
	switch state {
	case http.StateActive, http.StateIdle:
		one.Spoke()
		one.Used()
	case http.StateHijacked:
		one.Keep()
	}
}

// bodies gives the body of each request a place and a deadline, also where no
// route reads it: net/http would wait for the rest of it before it answers.
func (s *Server) bodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		b := &timedBody{ReadCloser: r.Body, control: http.NewResponseController(w)}
		b.until(time.Now().Add(s.o.Bounds.BodyWithin))
		from, _ := netip.ParseAddr(s.o.Access.Asked(r).Address) // without one it counts in the whole
		place := s.reading.Take(from, b.hurry)
		b.read = func() { place.Leave() }
		defer b.leave()
		r = r.WithContext(r.Context()) // a copy: net/http knows its own body by its type
		r.Body = b
		next.ServeHTTP(w, r)
	})
}

// timedBody is one that has a place until it is read or its handler returns.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
	read    func() // gives the place up

	mu   sync.Mutex
	over bool // protected by mu; it has no place any more
}

// Read ends the deadline with the body: net/http goes on reading, to know
// whether the client goes away, and would take it for that.
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && b.leave() {
		b.until(time.Time{})
	}
	return n, err
}

// leave reports whether it was the first to.
func (b *timedBody) leave() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return false
	}
	b.over = true
	b.read()
	return true
}

// hurry ends the reading now. Its place is gone already.
func (b *timedBody) hurry() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over { // else the connection is at another request
		b.until(time.Now())
	}
}

func (b *timedBody) until(t time.Time) { _ = b.control.SetReadDeadline(t) }
