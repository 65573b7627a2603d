package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"oriel/agent/internal/node"
	"oriel/agent/internal/policy"
	orielv1 "oriel/protocol/oriel/v1"
)

const (
	firstRestart = 250 * time.Millisecond
	longRestart  = 10 * time.Second
	steady       = 30 * time.Second // a child that lived this long did work
	orphanGrace  = 30 * time.Second // for a viewer to offer anew
	endGrace     = 2 * time.Second  // for sessions to end by themselves
	exitGrace    = 3 * time.Second  // for a child to exit
	maxBacklog   = 256              // messages for a child that is just starting
)

// HelperOptions of a Helper. Outlet and Command are required.
type HelperOptions struct {
	Outlet  node.Outlet
	Command []string // the program and arguments that lead to Serve
	Version string   // the agent's
	Demo    bool     // serve the demo desktop
	// Find lists the desktops there are, the best first; nil: FindDisplays.
	Find func() []Display
	// FindEvery is how often; 0: 3 s.
	FindEvery time.Duration
	Logger    *slog.Logger
}

// Helper is a node.Desktop that lives in a child process.
type Helper struct {
	o      HelperOptions
	log    *slog.Logger
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	done   chan struct{} // closed when the supervisor has ended

	mu       sync.Mutex
	process  *process            // protected by mu; nil between two
	backlog  []*orielv1.ToHelper // protected by mu; for the next process
	sessions map[string]*tracked // protected by mu; those handed on and not ended
	ended    chan struct{}       // protected by mu; closed and replaced when a session ended
	settings *orielv1.Settings   // protected by mu; nil: none yet
	policy   *orielv1.ToHelper   // protected by mu; nil: as in Command
	asked    map[uint64]bool     // protected by mu; what this child has to answer
	closing  bool                // protected by mu
}

var _ node.Desktop = (*Helper)(nil)

// tracked is a session that a child was given.
type tracked struct {
	nonces   [][]byte  // of the grants handed on, the newest last
	attempt  uint32    // of the newest offer
	orphaned time.Time // when its child went away; zero: it has one
}

// maxNonces is how many peer connections of one session may wait for a signature.
const maxNonces = 4

// NewHelper starts a child for the best desktop there is and keeps one running.
func NewHelper(o HelperOptions) *Helper {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Find == nil {
		o.Find = FindDisplays
	}
	if o.FindEvery == 0 {
		o.FindEvery = 3 * time.Second
	}
	h := &Helper{o: o, log: o.Logger, done: make(chan struct{}),
		sessions: make(map[string]*tracked), asked: make(map[uint64]bool), ended: make(chan struct{})}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	go h.supervise()
	return h
}

// Offer implements node.Desktop.
func (h *Helper) Offer(offer *orielv1.Offer, grant *orielv1.Grant) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.sessions[offer.GetSessionId()]
	if t == nil {
		t = &tracked{}
		h.sessions[offer.GetSessionId()] = t
	}
	t.nonces = append(t.nonces, bytes.Clone(grant.GetNonce()))
	t.nonces = t.nonces[max(0, len(t.nonces)-maxNonces):]
	t.attempt = offer.GetAttempt()
	t.orphaned = time.Time{}
	if h.process == nil {
		t.orphaned = time.Now() // until one is there
	}
	h.tell(&orielv1.ToHelper{Body: &orielv1.ToHelper_Offer{Offer: &orielv1.HelperOffer{Offer: offer, Grant: grant}}})
}

// Prepare implements node.Desktop.
func (h *Helper) Prepare() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.process != nil { // the next one would be late
		h.tell(&orielv1.ToHelper{Body: &orielv1.ToHelper_Prepare{Prepare: &orielv1.Prepare{}}})
	}
}

// Candidate implements node.Desktop.
func (h *Helper) Candidate(c *orielv1.Candidate) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions[c.GetSessionId()] != nil {
		h.tell(&orielv1.ToHelper{Body: &orielv1.ToHelper_Candidate{Candidate: c}})
	}
}

// Supplement implements node.Desktop.
func (h *Helper) Supplement(ask uint64, s *orielv1.Supplement) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions[s.GetSessionId()] == nil || h.process == nil || len(h.asked) >= maxBacklog {
		h.noDesktop(ask)
		return
	}
	if ask != 0 {
		h.asked[ask] = true
	}
	h.tell(&orielv1.ToHelper{Body: &orielv1.ToHelper_Supplement{Supplement: &orielv1.HelperSupplement{Ask: ask, Supplement: s}}})
}

func (h *Helper) noDesktop(ask uint64) {
	h.o.Outlet.Send(&orielv1.FromAgent{ReplyTo: ask, Body: &orielv1.FromAgent_Fault{Fault: &orielv1.Fault{
		Code: orielv1.Code_CODE_UNAVAILABLE, Detail: "this session has no desktop now; try again in a moment"}}})
}

// End implements node.Desktop.
func (h *Helper) End(e *orielv1.EndSession) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.sessions[e.GetSessionId()]
	if t != nil && h.process != nil && t.orphaned.IsZero() {
		h.tell(&orielv1.ToHelper{Body: &orielv1.ToHelper_EndSession{EndSession: e}})
		return
	}
	code := e.GetCode()
	if t == nil {
		code = orielv1.Code_CODE_NOT_FOUND
	}
	h.end(e.GetSessionId(), e.GetReason(), code, e.GetDetail())
}

// Apply implements node.Desktop.
func (h *Helper) Apply(s *orielv1.Settings) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settings = s
	if h.process != nil {
		h.tell(&orielv1.ToHelper{Body: &orielv1.ToHelper_Settings{Settings: s}})
	}
}

// Keep implements node.Desktop.
func (h *Helper) Keep(limits policy.Set) {
	set, err := limits.Encode()
	if err != nil { // never: it was read from such a text
		h.log.Error("pass on the policy", "error", err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.policy = &orielv1.ToHelper{Body: &orielv1.ToHelper_Policy{Policy: &orielv1.HelperPolicy{Set: set}}}
	if h.process != nil {
		h.process.send(h.policy)
	}
}

// Running implements node.Desktop.
func (h *Helper) Running() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.sessions))
}

// Close implements node.Desktop: it asks for the end of every session, waits
// for that and for the child, and kills a child that does not go.
func (h *Helper) Close(reason orielv1.EndReason) {
	h.mu.Lock()
	h.closing = true
	h.mu.Unlock()
	for _, id := range h.Running() {
		h.End(&orielv1.EndSession{SessionId: id, Reason: reason})
	}
	h.awaitEnds()
	h.cancel()
	<-h.done
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.sessions {
		h.end(id, reason, orielv1.Code_CODE_UNSPECIFIED, "")
	}
}

// awaitEnds waits until no session is left, at most endGrace.
func (h *Helper) awaitEnds() {
	late := time.NewTimer(endGrace)
	defer late.Stop()
	for {
		h.mu.Lock()
		left, changed := len(h.sessions), h.ended
		h.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-changed:
		case <-late.C:
			return
		}
	}
}

// tell sends m to the child, or keeps it for the next one. mu is held.
func (h *Helper) tell(m *orielv1.ToHelper) {
	if h.process != nil {
		h.process.send(m)
		return
	}
	if len(h.backlog) < maxBacklog {
		h.backlog = append(h.backlog, m)
	}
}

// end forgets a session and says that it has ended. mu is held.
func (h *Helper) end(id string, reason orielv1.EndReason, code orielv1.Code, detail string) {
	h.forget(id)
	h.say(&orielv1.SessionEnded{SessionId: id, Reason: reason, Code: code, Detail: detail, EndedAt: time.Now().UnixMilli()})
}

func (h *Helper) forget(id string) { // mu is held
	if h.sessions[id] != nil {
		delete(h.sessions, id)
		close(h.ended)
		h.ended = make(chan struct{})
	}
}

func (h *Helper) say(e *orielv1.SessionEnded) {
	h.o.Outlet.Send(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionEnded{SessionEnded: e}})
}

// forward passes on what a child said, if it may say that.
func (h *Helper) forward(p *process, m *orielv1.FromAgent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p != h.process {
		return // a process that was let go
	}
	out := &orielv1.FromAgent{Body: m.GetBody()} // an answer to nothing
	switch body := m.GetBody().(type) {
	case nil, *orielv1.FromAgent_Fault:
		if !h.asked[m.GetReplyTo()] {
			return
		}
		delete(h.asked, m.GetReplyTo())
		out.ReplyTo = m.GetReplyTo()
	case *orielv1.FromAgent_Status, *orielv1.FromAgent_Preview:
	case *orielv1.FromAgent_Answer:
		if h.sessions[body.Answer.GetSessionId()] == nil {
			return
		}
	case *orielv1.FromAgent_Candidate:
		if h.sessions[body.Candidate.GetSessionId()] == nil {
			return
		}
	case *orielv1.FromAgent_SessionReport:
		if h.sessions[body.SessionReport.GetSessionId()] == nil {
			return
		}
	case *orielv1.FromAgent_SessionEnded:
		if h.sessions[body.SessionEnded.GetSessionId()] == nil {
			return
		}
		if body.SessionEnded.GetAttempt() == 0 {
			h.forget(body.SessionEnded.GetSessionId())
		}
	default:
		h.log.Warn("the helper said what a helper may not say")
		return
	}
	h.o.Outlet.Send(out)
}

// sign answers a child's request, if it is for a grant that this child has.
func (h *Helper) sign(p *process, r *orielv1.HelperSign) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p != h.process {
		return
	}
	signed := &orielv1.HelperSigned{Id: r.GetId()}
	t := h.sessions[r.GetSessionId()]
	if t != nil && len(r.GetFingerprint()) == 32 && slices.ContainsFunc(t.nonces, func(n []byte) bool { return bytes.Equal(n, r.GetNonce()) }) {
		var err error
		if signed.Signature, signed.MachineKey, err = h.o.Outlet.Sign(r.GetSessionId(), r.GetNonce(), r.GetFingerprint()); err != nil {
			h.log.Error("sign an answer", "error", err)
		}
	} else {
		h.log.Warn("the helper asked to sign for a session it was not given", "session", r.GetSessionId())
	}
	p.send(&orielv1.ToHelper{Body: &orielv1.ToHelper_Signed{Signed: signed}})
}
