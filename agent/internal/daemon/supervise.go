package daemon

import (
	"slices"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
)

// Display is a desktop that a helper can serve. The zero value is none: a
// helper without one takes sessions, which wait.
type Display struct {
	Name       string // ":0"
	XAuthority string // may be empty
	UID, GID   uint32
	Rank       int // the higher, the likelier that a person sits there
}

// same: a helper for the one serves the other.
func (d Display) same(other Display) bool {
	d.Rank, other.Rank = 0, 0
	return d == other
}

// supervise keeps one child running on the best desktop until Close.
func (h *Helper) supervise() {
	defer close(h.done)
	wait := firstRestart
	for h.ctx.Err() == nil {
		target := h.best()
		began := time.Now()
		moved := h.run(target)
		if moved || time.Since(began) >= steady {
			wait = firstRestart
		}
		if moved {
			continue
		}
		if !h.idle(wait) {
			return
		}
		wait = min(2*wait, longRestart)
	}
}

// idle waits d, while nothing runs. It reports whether to go on.
func (h *Helper) idle(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for reap := time.NewTicker(time.Second); ; {
		select {
		case <-h.ctx.Done():
			reap.Stop()
			return false
		case <-timer.C:
			reap.Stop()
			return true
		case <-reap.C:
			h.reap()
		}
	}
}

func (h *Helper) best() Display {
	if h.o.Demo {
		return Display{Name: "demo"}
	}
	if all := h.o.Find(); len(all) > 0 {
		return all[0]
	}
	return Display{}
}

// run is one child's life. It reports whether it was ended because the
// desktop moved.
func (h *Helper) run(target Display) (moved bool) {
	p, err := startProcess(h, target)
	if err != nil {
		h.log.Error("start the desktop helper", "display", target.Name, "error", err)
		h.noDisplay("the desktop helper cannot be started: " + err.Error())
		return false
	}
	h.log.Info("desktop helper started", "display", target.Name, "uid", target.UID, "pid", p.pid())
	h.adopt(p, target)
	find := time.NewTicker(h.o.FindEvery)
	defer find.Stop()
	for {
		select {
		case <-h.ctx.Done():
			h.release(p, "")
			p.stop()
			return false
		case <-p.dead:
			h.release(p, "the desktop's process ended")
			err := p.stop()
			h.log.Warn("desktop helper ended", "display", target.Name, "error", err)
			h.noDisplay("the desktop's process ended and is started again")
			return false
		case <-find.C:
			h.reap()
			if h.elsewhere(target) {
				h.log.Info("the desktop moved", "from", target.Name)
				h.release(p, "the desktop changed")
				p.stop()
				return true
			}
		}
	}
}

// elsewhere: the target is gone and there is another, or there is a better one.
// A target that is gone alone is waited for: an X server may come back.
func (h *Helper) elsewhere(target Display) bool {
	if h.o.Demo {
		return false
	}
	all := h.o.Find()
	if len(all) == 0 {
		return false
	}
	i := slices.IndexFunc(all, target.same)
	return i < 0 || all[0].Rank > all[i].Rank
}

// adopt makes p the child that is spoken to, and tells it what waited.
func (h *Helper) adopt(p *process, target Display) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.process = p
	start := &orielv1.HelperStart{AgentVersion: h.o.Version, Demo: h.o.Demo}
	if !h.o.Demo {
		start.Display = target.Name
	}
	p.send(&orielv1.ToHelper{Body: &orielv1.ToHelper_Start{Start: start}})
	if h.policy != nil {
		p.send(h.policy)
	}
	if h.settings != nil {
		p.send(&orielv1.ToHelper{Body: &orielv1.ToHelper_Settings{Settings: h.settings}})
	}
	for _, m := range h.backlog {
		if o := m.GetOffer(); o != nil {
			t := h.sessions[o.GetOffer().GetSessionId()]
			if t == nil || t.attempt != o.GetOffer().GetAttempt() {
				continue // ended, or offered anew, while nothing ran
			}
			t.orphaned = time.Time{}
		}
		p.send(m)
	}
	h.backlog = nil
}

// release lets p go: nothing it says counts any more, and its sessions are
// told that their peer connection has ended. why is empty when all is closing.
func (h *Helper) release(p *process, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.process != p {
		return
	}
	h.process = nil
	for ask := range h.asked {
		h.noDesktop(ask)
	}
	clear(h.asked)
	for id, t := range h.sessions {
		switch {
		case why == "" || !t.orphaned.IsZero():
		case t.attempt == 0 || h.closing: // cannot be told from the session itself
			h.end(id, orielv1.EndReason_END_REASON_FAILED, orielv1.Code_CODE_UNAVAILABLE, why)
		default:
			t.orphaned = time.Now()
			h.say(&orielv1.SessionEnded{SessionId: id, Attempt: t.attempt, Reason: orielv1.EndReason_END_REASON_FAILED,
				Code: orielv1.Code_CODE_UNAVAILABLE, Detail: why, EndedAt: time.Now().UnixMilli()})
		}
	}
}

// reap ends the sessions whose viewer did not come back.
func (h *Helper) reap() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, t := range h.sessions {
		if !t.orphaned.IsZero() && time.Since(t.orphaned) > orphanGrace {
			h.end(id, orielv1.EndReason_END_REASON_FAILED, orielv1.Code_CODE_UNAVAILABLE, "the desktop's process ended")
		}
	}
}

func (h *Helper) noDisplay(detail string) {
	if h.ctx.Err() != nil {
		return
	}
	h.o.Outlet.Send(&orielv1.FromAgent{Body: &orielv1.FromAgent_Status{Status: &orielv1.Status{
		Display: orielv1.Status_DISPLAY_NONE, Detail: sanitize.Line(detail, 1024),
	}}})
}
