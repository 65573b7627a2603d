package session

import (
	"context"
	"errors"
	"hash/maphash"
	"image"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
)

// serve keeps the desktop open until the Host is closed.
func (h *Host) serve() {
	wait := h.o.timing.retryMin
	for h.ctx.Err() == nil {
		d, err := h.o.Open(h.ctx)
		if err != nil {
			if h.ctx.Err() == nil {
				h.setDisplay(nil, err)
			}
		} else {
			opened := time.Now()
			h.attach(d)
			if time.Since(opened) > h.o.timing.retryMax {
				wait = h.o.timing.retryMin
			}
			if h.ctx.Err() == nil {
				h.setDisplay(nil, desktop.ErrClosed)
			}
		}
		select {
		case <-h.ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, h.o.timing.retryMax)
	}
}

// attach serves one open desktop until it dies or the Host is closed.
func (h *Host) attach(d desktop.Desktop) {
	h.mu.Lock()
	h.opened++
	number := h.opened
	h.mu.Unlock()
	s := newDisplay(d, number, h.o.timing.idle, func() { h.each((*session).stateChanged) })
	h.setDisplay(s, nil)

	ctx, cancel := context.WithCancel(h.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.idle(ctx) })
	wg.Go(func() { s.cursors(ctx) })
	wg.Go(func() { h.previews(ctx, s) })
	select {
	case <-ctx.Done():
		// The sessions still release what they hold, unless the display hangs.
		select {
		case <-h.allEnded:
		case <-time.After(2 * time.Second):
		}
	case <-s.dead:
	}
	cancel()
	// Closing also ends calls that hang, and with them whoever waits for the arbiter.
	if err := d.Close(); err != nil {
		h.log.Debug("close the desktop", "desktop", d.Name(), "error", err)
	}
	h.input.attach(nil)
	s.die()
	wg.Wait()
}

// setDisplay makes s (or, with nil, why there is none) known to everybody.
func (h *Host) setDisplay(s *display, why error) {
	status := &orielv1.Status{Display: orielv1.Status_DISPLAY_NONE}
	if s == nil {
		status.Detail = sanitize.Line(why.Error(), 500)
	} else {
		h.input.attach(s.Desktop)
		status.Display = orielv1.Status_DISPLAY_READY
		if s.Name() == "demo" {
			status.Display = orielv1.Status_DISPLAY_DEMO
		}
	}
	h.mu.Lock()
	h.display, h.why = s, why
	close(h.displayChanged)
	h.displayChanged = make(chan struct{})
	same := proto.Equal(h.status, status)
	h.status = status
	h.mu.Unlock()
	if !same {
		if s == nil {
			h.log.Info("no display", "why", status.Detail)
		} else {
			h.log.Info("display open", "desktop", s.Name(), "size", s.Size().String())
		}
		h.send(proto.Clone(status)) // the receiver may add to it
	}
	h.each((*session).stateChanged)
}

// gone is why there is no display, for the viewers.
func (h *Host) gone() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if errors.Is(h.why, desktop.ErrWayland) {
		return "this computer's desktop is Wayland, which is not shown yet; sign in there with a session on Xorg"
	}
	return "this computer has no display now; the picture comes back with it"
}

// previews takes one whenever it is due and the picture has changed.
func (h *Host) previews(ctx context.Context, s *display) {
	seed := maphash.MakeSeed()
	var sent uint64 // hash of the picture last sent
	var taken time.Time
	held := 0
	// renew is what an Apply asks for: a preview now.
	renew := func() {
		if h.previewAgain() {
			return
		}
		if sent != 0 {
			s.again()
		}
		sent, taken = 0, time.Time{}
	}
	for ctx.Err() == nil {
		every, earliest, applied := h.previewing()
		if every <= 0 {
			select {
			case <-ctx.Done():
			case <-applied:
				renew()
			}
			continue
		}
		due := taken.Add(every)
		if due.Before(earliest) {
			due = earliest
		}
		// Apply ends the waiting, for the time or for a change.
		waiting, cancel := context.WithCancel(ctx)
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			select {
			case <-applied:
				cancel()
			case <-waiting.Done():
			}
		}()
		var img *image.RGBA
		select {
		case <-waiting.Done():
		case <-time.After(time.Until(due)):
			if held < h.o.timing.mostHeld && h.slow() {
				held++
				h.o.timing.held()
				taken = time.Now()
			} else {
				img, _ = s.preview(waiting)
			}
		}
		cancel()
		<-stop
		select {
		case <-applied:
			renew()
			continue
		case <-s.dead:
			return
		default:
		}
		if img == nil {
			continue
		}
		taken, held = time.Now(), 0
		if sum := maphash.Bytes(seed, img.Pix); sum != sent {
			sent = sum
			h.sendPreview(img, taken)
		}
	}
}

// minPreview is the least time between two pictures that leave this computer as
// previews, whatever the relay says: more would be a film, in no journal.
const minPreview = 60 * time.Second

// previewing is how often previews are due, when the next may be taken at the
// earliest, and a channel that is closed by the next Apply. Zero: no previews.
func (h *Host) previewing() (every time.Duration, earliest time.Time, applied <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	least := h.o.timing.previewMin
	if every = time.Duration(h.policy().PreviewSeconds(h.settings.GetPreviewSeconds())) * h.o.timing.previewIn; !h.mayPreview() {
		every = 0
	} else if every > 0 {
		every = max(every, least)
	}
	if h.preview != nil {
		earliest = h.previewAt.Add(least)
	}
	return every, earliest, h.applied
}

// previewAgain sends the last preview once more where it is too early for
// another, so that a relay that has lost it has it, and learns nothing new.
func (h *Host) previewAgain() bool {
	h.mu.Lock()
	p, at, wanted := h.preview, h.previewAt, h.settings.GetPreviewSeconds() > 0
	h.mu.Unlock()
	if p == nil || time.Since(at) >= h.o.timing.previewMin {
		return false
	}
	if wanted && h.mayPreview() {
		h.send(proto.CloneOf(p))
	}
	return true
}

const (
	// slowWay is how many bits per second a way takes on which a preview lasts longer than
	// anything of the session may, which are 160 ms.
	slowWay = 2_000_000
	// mostHeld is how many previews in a row a session may hold back.
	mostHeld = 10
)

// slow reports whether a session goes over a way on which a preview would be noticed: on its
// way to the relay, and from there to the operator whose list shows it. At 300 kbit/s one
// held the live picture up for one to two seconds.
func (h *Host) slow() (slow bool) {
	h.each(func(s *session) {
		if p := s.current(); p != nil && p.video != nil {
			bits := p.video.congestion.Target()
			slow = slow || bits > 0 && bits < h.o.timing.slowWay
		}
	})
	return slow
}

func (h *Host) sendPreview(img *image.RGBA, at time.Time) {
	if !h.mayPreview() {
		return // it has changed since the picture was asked for
	}
	p, err := compress(img)
	if err != nil {
		h.log.Warn("no preview", "error", err)
		return
	}
	p.TakenAt = at.UnixMilli()
	h.mu.Lock()
	h.preview, h.previewAt = p, at
	h.mu.Unlock()
	h.send(proto.CloneOf(p))
}
