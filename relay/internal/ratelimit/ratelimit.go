// Package ratelimit bounds how many requests one subject makes, and says so in the
// headers of every answer (draft-ietf-httpapi-ratelimit-headers):
//
//	RateLimit-Policy: "address";q=60000;w=60, "sign-in";q=6000;w=60
//	RateLimit: "address";r=59990;t=1, "sign-in";r=5990;t=1
//
// A Policy lets each subject make q requests at once, and q more in every window of
// w seconds (a token bucket). A subject is an address with the networks around it, as
// in package share, a sign-in, or a key. It says how many requests are left (r), and in
// how many seconds all of them are there again (t).
//
// Bounds: a policy remembers so many subjects and forgets the one that was not heard
// of for the longest time, which starts anew; who has that many sign-ins or networks
// is not what it holds off. Every node of a relay counts by itself, in memory: a limit
// keeps one program from taking a node's time, and is no quota.
package ratelimit

import (
	"container/list"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"oriel/relay/internal/fault"
)

// subjects that a policy remembers, in about 200 bytes each.
const subjects = 1 << 15

// ErrTooMany: a subject made all the requests that it may for now.
var ErrTooMany = fault.New(fault.TooMany, "too many requests; wait a moment and go on more slowly")

// Policy is one limit on every subject of a kind. Its methods may be called from any
// goroutine.
type Policy struct {
	name     string
	requests int
	window   time.Duration
	now      func() time.Time
	most     int // subjects that are remembered

	mu    sync.Mutex
	known map[string]*list.Element // protected by mu
	order list.List                // protected by mu; of *bucket, the one that was not heard of for the longest time first
}

type bucket struct {
	subject string
	limiter *rate.Limiter
}

// New is a policy that lets a subject make so many requests in a window. now is the
// clock; nil: time.Now.
func New(name string, requests int, window time.Duration, now func() time.Time) *Policy {
	if now == nil {
		now = time.Now
	}
	return &Policy{name: name, requests: requests, window: window, now: now, most: subjects, known: map[string]*list.Element{}}
}

// Take counts a request of a subject, and of the networks around it, each with its
// own limit where that of a single one is Requests (share.Subjects): in all of them or
// in none. It says in h what is left. Errors: ErrTooMany, with the time to wait.
func (p *Policy) Take(h http.Header, limits map[string]int) error {
	now := p.now()
	p.mu.Lock()
	var counted []*rate.Limiter
	left, wait, whole := math.MaxInt, time.Duration(0), time.Duration(0)
	for subject, limit := range limits {
		l := p.bucket(subject, limit)
		tokens := l.TokensAt(now)
		if tokens < 1 {
			wait = max(wait, p.time(1-tokens, limit))
		}
		left = min(left, int(tokens))
		whole = max(whole, p.time(float64(limit)-tokens, limit))
		counted = append(counted, l)
	}
	if wait == 0 {
		left--
		for _, l := range counted {
			l.AllowN(now, 1)
			whole = max(whole, p.time(float64(l.Burst())-l.TokensAt(now), l.Burst()))
		}
	}
	p.mu.Unlock()
	join(h, "RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", p.name, p.requests, seconds(p.window)))
	join(h, "RateLimit", fmt.Sprintf("%q;r=%d;t=%d", p.name, max(left, 0), seconds(whole)))
	if wait > 0 {
		return ErrTooMany.After(wait)
	}
	return nil
}

// time in which so many requests come back to a subject of that limit.
func (p *Policy) time(requests float64, limit int) time.Duration {
	return time.Duration(requests / float64(limit) * float64(p.window)).Round(time.Millisecond)
}

// Requests that a single subject may make in a window.
func (p *Policy) Requests() int { return p.requests }

// bucket of a subject, heard of just now. Policy.mu is held.
func (p *Policy) bucket(subject string, limit int) *rate.Limiter {
	if e := p.known[subject]; e != nil {
		p.order.MoveToBack(e)
		return e.Value.(*bucket).limiter
	}
	if p.order.Len() >= p.most {
		oldest := p.order.Remove(p.order.Front()).(*bucket)
		delete(p.known, oldest.subject)
	}
	b := &bucket{subject, rate.NewLimiter(rate.Limit(float64(limit)/p.window.Seconds()), limit)}
	p.known[subject] = p.order.PushBack(b)
	return b.limiter
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// join makes one more member of a header that is a list.
func join(h http.Header, name, member string) {
	if before := h.Get(name); before != "" {
		member = before + ", " + member
	}
	h.Set(name, member)
}
