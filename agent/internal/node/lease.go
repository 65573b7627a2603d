package node

import (
	"context"
	"fmt"
	"time"

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
}

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

// lends begins the lease of a grant; the policy may shorten it.
func (n *Node) lends(g *orielv1.Grant) {
	limits, now, elapsed := n.policy(), n.link.Now(), n.o.Clock.Elapsed()
	l := &lease{granted: time.Duration(g.GetLeaseSeconds()) * time.Second, began: elapsed}
	l.length = limits.Lease(l.granted)
	l.renew(g.GetIssuedAt(), now, elapsed)
	l.end(g.GetIssuedAt(), g.GetEndsAt(), now, elapsed)
	n.mu.Lock()
	before := n.leases[g.GetSessionId()]
	if before != nil { // it goes on
		l.began = before.began
	}
	if before == nil || g.GetIssuedAt() >= before.endsBy { // else the session does not take it either
		n.leases[g.GetSessionId()] = l
	}
	n.mu.Unlock()
	n.lookAtLeases()
}

// supplemented takes the end of a session from a supplement.
func (n *Node) supplemented(s *orielv1.Supplement) {
	if s.GetEndsAt() == 0 {
		return
	}
	n.mu.Lock()
	l := n.leases[s.GetSessionId()]
	if l == nil {
		l = &lease{began: n.o.Clock.Elapsed()}
		n.leases[s.GetSessionId()] = l
	}
	l.end(s.GetIssuedAt(), s.GetEndsAt(), n.link.Now(), n.o.Clock.Elapsed())
	n.mu.Unlock()
	n.lookAtLeases()
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
		length := limits.Lease(l.granted)
		if l.length == 0 {
			l.until = elapsed
		}
		l.until += length - l.length
		l.length = length
	}
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
	if at == 0 || issued < l.endsBy {
		return
	}
	l.endsBy, l.ends = issued, max(1, elapsed+min(farOff, time.UnixMilli(at).Sub(relay)))
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
