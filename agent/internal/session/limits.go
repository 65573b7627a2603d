package session

import (
	"time"

	"oriel/agent/internal/policy"
	orielv1 "oriel/protocol/oriel/v1"
)

// policy is what this computer allows now.
func (h *Host) policy() policy.Set { return *h.limits.Load() }

// Keep replaces what this computer allows. A running session loses at once what it may not
// do any more, and ends where it would not have been opened; what it was granted comes
// back when it is allowed again. Its viewer is told why.
func (h *Host) Keep(limits policy.Set) {
	h.limits.Store(&limits)
	h.mu.Lock()
	h.renewPreviews()
	h.mu.Unlock()
	h.endClosed()
	h.each((*session).keep)
	select {
	case h.kept <- struct{}{}:
	default:
	}
}

// keep puts in force what the policy leaves of the scopes that were granted.
func (s *session) keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range []*peer{s.peer, s.next} {
		if p == nil {
			continue
		}
		given := p.given()
		if why := s.h.policy().Refuses(given); why != "" {
			s.endLocked(orielv1.EndReason_END_REASON_REFUSED, orielv1.Code_CODE_FORBIDDEN, why)
			return
		}
		had := p.scopes()
		p.grant(given)
		if !p.may(orielv1.Scope_SCOPE_CONTROL) {
			p.begin(p.releaseBarred)
		}
		for _, lost := range missing(had, p.scopes()) {
			p.deny(lost, s.h.policy().Forbids(lost))
		}
	}
}

// closedNow is why the policy allows no session now; empty: it does.
func (h *Host) closedNow() string { return h.policy().Closed(h.o.timing.clock()) }

// mayPreview reports whether the policy lets a picture out now.
func (h *Host) mayPreview() bool { return h.policy().Previews(h.o.timing.clock()) }

// endClosed ends the sessions if the policy allows none now.
func (h *Host) endClosed() (closed bool) {
	why := h.closedNow()
	if why != "" {
		h.each(func(s *session) { s.end(orielv1.EndReason_END_REASON_REFUSED, orielv1.Code_CODE_FORBIDDEN, why) })
	}
	return why != ""
}

// keepHours ends the sessions when the policy's hours are over, by this
// machine's clock, which may be set while it looks. Without hours it sleeps.
func (h *Host) keepHours() {
	was := h.closedNow() != ""
	for {
		var look <-chan time.Time
		if h.policy().Timed() {
			look = time.After(h.o.timing.closing)
		}
		select {
		case <-h.ctx.Done():
			return
		case <-h.kept:
		case <-look:
		}
		is := h.endClosed()
		if is != was {
			was = is
			h.mu.Lock()
			h.renewPreviews()
			h.mu.Unlock()
		}
	}
}
