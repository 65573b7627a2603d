package session

import (
	"time"

	orielv1 "oriel/protocol/oriel/v1"
)

// closedNow is why the policy allows no session now; empty: it does.
func (h *Host) closedNow() string { return h.o.Policy.Closed(h.o.timing.clock()) }

// mayPreview reports whether the policy lets a picture out now.
func (h *Host) mayPreview() bool { return h.o.Policy.Previews(h.o.timing.clock()) }

// keepHours ends the sessions when the policy's hours are over, by this
// machine's clock, which may be set while it looks.
func (h *Host) keepHours() {
	look := time.NewTicker(h.o.timing.closing)
	defer look.Stop()
	was := h.closedNow() != ""
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-look.C:
		}
		closed := h.closedNow()
		if is := closed != ""; is != was {
			was = is
			h.mu.Lock()
			h.renewPreviews()
			h.mu.Unlock()
		}
		if closed != "" {
			h.each(func(s *session) { s.end(orielv1.EndReason_END_REASON_REFUSED, orielv1.Code_CODE_FORBIDDEN, closed) })
		}
	}
}
