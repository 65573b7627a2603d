package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oriel/agent/internal/policy"
	orielv1 "oriel/protocol/oriel/v1"
)

// lease is until when a session may run unless the relay renews it.
type lease struct {
	granted time.Duration // by the relay
	length  time.Duration // what the policy leaves of that; 0: it has none
	began   time.Duration // of Clock.Elapsed, with the session's first grant
	issued  int64         // the newest word of the relay, by its clock
	until   time.Duration // of Clock.Elapsed
	ends    time.Duration // of Clock.Elapsed; the session ends whatever is renewed; 0: it does not
	endsBy  int64         // the word that said so, by the relay's clock
	again   time.Duration // of Clock.Elapsed; until then its end is not said again

	// A supplement that the desktop has not answered yet counts when it is in force, or not at all.
	offered *orielv1.Grant                 // nil: none
	attempt uint32                         // of offered
	asked   map[uint64]*orielv1.Supplement // by the relay's ask; at most maxAsked
}

// maxAsked bounds the supplements of one session that are not answered.
const maxAsked = 16

// over is why a session ends at that moment of Clock.Elapsed, where the policy lets none
// run for longer than longest (0: it does); unspecified: it goes on.
func (l *lease) over(now, longest time.Duration) orielv1.EndReason {
	switch {
	case now < l.again:
	case l.ends != 0 && now >= l.ends, longest > 0 && now >= l.began+longest:
		return orielv1.EndReason_END_REASON_TIME_UP
	case l.length > 0 && now >= l.until:
		return orielv1.EndReason_END_REASON_UNRENEWED
	}
	return orielv1.EndReason_END_REASON_UNSPECIFIED
}

// lends begins the lease of a session with its first grant. Of a running one a grant
// counts with its answer: until then what was granted before is in force.
func (n *Node) lends(g *orielv1.Grant, attempt uint32) {
	n.mu.Lock()
	if l := n.leases[g.GetSessionId()]; l != nil {
		l.offered, l.attempt = g, attempt
	} else {
		l = &lease{began: n.o.Clock.Elapsed(), asked: make(map[uint64]*orielv1.Supplement)}
		n.leases[g.GetSessionId()] = l
		n.grant(l, g)
	}
	n.mu.Unlock()
	n.lookAtLeases()
}

// grant has l be as a grant says; the policy may shorten it. mu is held.
func (n *Node) grant(l *lease, g *orielv1.Grant) {
	now, elapsed := n.link.Now(), n.o.Clock.Elapsed()
	l.lend(time.Duration(g.GetLeaseSeconds())*time.Second, n.o.Policy.With(n.kept), elapsed)
	l.renew(g.GetIssuedAt(), now, elapsed)
	if g.GetEndsAt() == 0 && g.GetIssuedAt() >= l.endsBy {
		l.ends = 0
	}
	l.end(g.GetIssuedAt(), g.GetEndsAt(), now, elapsed)
}

// answered takes the grant that an answer is for, or forgets it. mu is held.
func (n *Node) answered(session string, attempt uint32, refused bool) {
	l := n.leases[session]
	if l == nil || l.offered == nil || l.attempt != attempt {
		return
	}
	if !refused {
		n.grant(l, l.offered)
		n.lookAtLeases()
	}
	l.offered = nil
}

// errAsked refuses a supplement while too many wait for the desktop.
var errAsked = errors.New("this session has not taken what was asked before; try again in a moment")

// asksDesktop notes a supplement that the desktop is about to be told, for what it answers.
// Errors: CODE_BUSY.
func (n *Node) asksDesktop(ask uint64, s *orielv1.Supplement) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.leases[s.GetSessionId()]
	switch {
	case l == nil: // the desktop refuses it
	case len(l.asked) >= maxAsked, l.asked[ask] != nil: // or of another connection
		return errAsked
	default:
		l.asked[ask] = s
	}
	return nil
}

// supplemented takes the end of a session from a supplement once the desktop has put it
// in force. mu is held.
func (n *Node) supplemented(ask uint64, refused bool) {
	for _, l := range n.leases {
		s := l.asked[ask]
		if s == nil {
			continue
		}
		delete(l.asked, ask)
		if !refused {
			l.end(s.GetIssuedAt(), s.GetEndsAt(), n.link.Now(), n.o.Clock.Elapsed())
			n.lookAtLeases()
		}
	}
}

func (n *Node) lookAtLeases() {
	select {
	case n.leased <- struct{}{}:
	default:
	}
}

// relend has running sessions keep to a policy that is another now. mu is held.
func (n *Node) relend() {
	limits, elapsed := n.o.Policy.With(n.kept), n.o.Clock.Elapsed()
	for _, l := range n.leases {
		l.lend(l.granted, limits, elapsed)
	}
}

// lend has the lease be as long as the relay grants and a policy leaves of that.
func (l *lease) lend(granted time.Duration, limits policy.Set, elapsed time.Duration) {
	length := limits.Lease(granted)
	if l.length == 0 {
		l.until = elapsed
	}
	l.until += length - l.length
	l.granted, l.length = granted, length
}

// renew begins the lease anew from a word of the relay: by its age, so that one
// that was held up or is said again gives nothing. A word from the future is one
// of now: a relay's clock may be set back.
func (l *lease) renew(issued int64, relay time.Time, elapsed time.Duration) {
	if issued <= l.issued {
		return
	}
	age := max(0, relay.Sub(time.UnixMilli(issued)))
	l.issued, l.until = issued, max(l.until, elapsed+l.length-age)
}

// farOff is longer than any session, and short enough to be added to a time.
const farOff = 100 * 365 * 24 * time.Hour

// end has the session end at that time of the relay's clock, in Unix milliseconds; 0: as
// was said before. The newest word of the relay counts, whether it is later or earlier.
// It ends up to LeaseEvery late, and is as far off as the link's idea of the relay's time.
func (l *lease) end(issued, at int64, relay time.Time, elapsed time.Duration) {
	if issued < l.endsBy {
		return
	}
	l.endsBy = issued
	if at != 0 {
		l.ends = max(1, elapsed+min(farOff, time.UnixMilli(at).Sub(relay)))
	}
}

// renewed takes a renewal, if it is the relay's.
func (n *Node) renewed(signed *orielv1.SignedRenewal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.verifier.VerifyRenewal(signed)
	if err != nil {
		n.log.Warn("renewal of a session refused", "error", err)
		return
	}
	if l := n.leases[r.GetSessionId()]; l != nil {
		l.renew(r.GetIssuedAt(), n.link.Now(), n.o.Clock.Elapsed())
		l.end(r.GetIssuedAt(), r.GetEndsAt(), n.link.Now(), n.o.Clock.Elapsed())
	}
}

// keepLeases ends the sessions that the relay has not renewed, until ctx ends.
// Without a session it sleeps.
func (n *Node) keepLeases(ctx context.Context) {
	for {
		n.mu.Lock()
		var look <-chan time.Time
		if len(n.leases) > 0 {
			look = time.After(n.o.LeaseEvery) // a timer for the whole lease would sleep with the machine
		}
		n.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-n.leased:
		case <-look:
			for _, end := range n.outlived() {
				n.log.Warn("session outlived what it was given", "session", end.GetSessionId(), "why", end.GetDetail())
				n.desktop.End(end)
			}
		}
	}
}

// endAgain is when a session is to be ended once more that did not end.
const endAgain = 10 * time.Second

// outlived are the ends of sessions whose lease or time is over. They are known until
// their end is said, and given again if it is not.
func (n *Node) outlived() (over []*orielv1.EndSession) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.o.Clock.Elapsed()
	longest, why := n.o.Policy.With(n.kept).Longest()
	for id, l := range n.leases {
		end := &orielv1.EndSession{SessionId: id, Reason: l.over(now, longest)}
		switch end.GetReason() {
		case orielv1.EndReason_END_REASON_UNSPECIFIED:
			continue
		case orielv1.EndReason_END_REASON_TIME_UP:
			end.Detail = "the time that this session was given is up"
			if longest > 0 && now >= l.began+longest {
				end.Detail = why
			}
		default:
			end.Code = orielv1.Code_CODE_UNAVAILABLE
			end.Detail = fmt.Sprintf("the relay has not renewed this session for %s; open it again when the relay is back", minutes(l.length))
		}
		l.again = now + endAgain
		over = append(over, end)
	}
	return over
}

func minutes(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	default:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	}
}
