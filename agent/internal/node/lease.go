package node

import (
	"context"
	"fmt"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
)

// lease is until when a session may run unless the relay renews it.
type lease struct {
	length time.Duration
	issued int64         // the newest word of the relay, by its clock
	until  time.Duration // of Clock.Elapsed
}

// lends begins the lease of a grant; the policy may shorten it.
func (n *Node) lends(g *orielv1.Grant) {
	length := n.o.Policy.Lease(time.Duration(g.GetLeaseSeconds()) * time.Second)
	n.mu.Lock()
	if length > 0 {
		l := &lease{length: length}
		l.renew(g.GetIssuedAt(), n.link.Now(), n.o.Clock.Elapsed())
		n.leases[g.GetSessionId()] = l
	} else {
		delete(n.leases, g.GetSessionId())
	}
	n.mu.Unlock()
	select {
	case n.leased <- struct{}{}:
	default:
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
			for id, length := range n.unrenewed() {
				n.log.Warn("session not renewed by the relay", "session", id, "lease", length)
				n.desktop.End(&orielv1.EndSession{SessionId: id, Reason: orielv1.EndReason_END_REASON_UNRENEWED,
					Code:   orielv1.Code_CODE_UNAVAILABLE,
					Detail: fmt.Sprintf("the relay has not renewed this session for %s; open it again when the relay is back", minutes(length))})
			}
		}
	}
}

// endAgain is when a session is to be ended once more that did not end.
const endAgain = 10 * time.Second

// unrenewed are the sessions whose lease is over, with its length. They are known
// until their end is said, and given again if it is not.
func (n *Node) unrenewed() map[string]time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.o.Clock.Elapsed()
	over := make(map[string]time.Duration)
	for id, l := range n.leases {
		if now >= l.until {
			over[id] = l.length
			l.until = now + endAgain
		}
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
