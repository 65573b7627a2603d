package session

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"oriel/agent/internal/channel"
	"oriel/agent/internal/desktop"
	"oriel/agent/internal/policy"
	"oriel/agent/internal/stream"
	orielv1 "oriel/protocol/oriel/v1"
)

// Options of a Host. Open, Sign and Send are required.
type Options struct {
	// Open opens the desktop. It is called again, with a back-off, when it
	// fails and when the desktop died.
	Open func(context.Context) (desktop.Desktop, error)

	// Sign signs an answer's DTLS fingerprint (32 bytes) for one grant with
	// the machine key. It may block, but not for ever; it is never called from
	// within Offer.
	Sign func(sessionID string, nonce, fingerprint []byte) (signature, machineKey []byte, err error)

	// Send takes Answer, Candidate, SessionReport, SessionEnded, Preview and
	// Status. It must not block for long and may be called from any goroutine.
	Send func(*orielv1.FromAgent)

	Logger       *slog.Logger // discarded when nil
	AgentVersion string       // for the log

	Loopback    bool // offer loopback candidates and take them: relay and viewer are on this machine
	RelayOnly   bool // use TURN only
	MaxSessions int  // at a time; 0 means 16

	// Channels are the kinds that a viewer may open beside the session's own.
	Channels []channel.Channel

	// Policy is what this computer allows, whatever a grant says, until Keep.
	Policy policy.Set

	timing timing
}

// timing is set by tests only.
type timing struct {
	connect    time.Duration // until a peer connection is made
	lost       time.Duration // without one, until the session ends
	report     time.Duration
	silent     time.Duration // without packets, until keys are released
	retryMin   time.Duration // between tries to open the desktop
	retryMax   time.Duration
	idle       time.Duration    // between pictures that nobody watches
	previewIn  time.Duration    // one preview_second
	previewMin time.Duration    // between two previews
	slowWay    int              // bits per second
	mostHeld   int              // previews in a row
	held       func()           // is called for each of them
	closing    time.Duration    // between looks at the hours of the policy
	clock      func() time.Time // this machine's, for these
	prestart   time.Duration    // of a first picture for a session that was announced
}

func (t *timing) fill() {
	if t.slowWay == 0 {
		t.slowWay = slowWay
	}
	if t.mostHeld == 0 {
		t.mostHeld = mostHeld
	}
	if t.held == nil {
		t.held = func() {}
	}
	if t.clock == nil {
		t.clock = time.Now
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.connect, 30 * time.Second},
		{&t.lost, 20 * time.Second},
		{&t.report, 30 * time.Second},
		{&t.silent, 5 * time.Second},
		{&t.retryMin, 250 * time.Millisecond},
		{&t.retryMax, 4 * time.Second},
		{&t.idle, 5 * time.Second},
		{&t.previewIn, time.Second},
		{&t.previewMin, minPreview},
		{&t.closing, time.Second},
		{&t.prestart, prestartFor},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
}

// Host serves one desktop. Its methods may be called from any goroutine and,
// but for Close, do not block.
type Host struct {
	o      Options
	log    *slog.Logger
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	input  inputArbiter
	hub    *stream.Hub
	kinds  registry
	limits atomic.Pointer[policy.Set] // what this computer allows now; non-nil
	kept   chan struct{}              // capacity 1: limits are others
	ended  sync.WaitGroup             // the sessions

	allEnded chan struct{} // closed by Close when they have

	mu             sync.Mutex
	closed         bool
	sessions       map[string]*session
	display        *display        // nil while there is no display
	why            error           // there is none
	opened         uint64          // opened so far
	prestart       *prestart       // nil: no session is announced
	status         *orielv1.Status // last sent
	settings       orielv1.Settings
	preview        *orielv1.Preview // last sent; nil: none was
	previewAt      time.Time        // when it was taken
	applied        chan struct{}    // closed and replaced by each Apply
	displayChanged chan struct{}    // closed and replaced when the display goes or comes
}

// NewHost starts to open the desktop and takes offers at once.
func NewHost(o Options) *Host {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxSessions == 0 {
		o.MaxSessions = 16
	}
	o.timing.fill()
	h := &Host{o: o, log: o.Logger, sessions: make(map[string]*session), applied: make(chan struct{}), displayChanged: make(chan struct{}), allEnded: make(chan struct{}), kept: make(chan struct{}, 1)}
	h.limits.Store(&o.Policy)
	h.kinds = newRegistry(o.Channels)
	h.hub = stream.NewHub(stream.Options{Logger: h.log})
	h.input.attach(nil)
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.log.Debug("host starts", "version", o.AgentVersion)
	h.wg.Go(h.serve)
	h.wg.Go(h.keepHours)
	return h
}

// Offer answers a viewer whose grant was verified: it begins a session, or
// gives the running one of that id a new peer connection. What comes of it is
// said through Options.Send.
func (h *Host) Offer(offer *orielv1.Offer, grant *orielv1.Grant) {
	if refused := h.take(offer, grant); refused != nil {
		h.log.Warn("offer refused", "session", offer.GetSessionId(), "why", refused.GetDetail())
		h.send(refused)
	}
}

func (h *Host) take(offer *orielv1.Offer, grant *orielv1.Grant) (refused *orielv1.SessionEnded) {
	id := offer.GetSessionId()
	refuse := func(code orielv1.Code, detail string) *orielv1.SessionEnded {
		return &orielv1.SessionEnded{
			SessionId: id, Reason: orielv1.EndReason_END_REASON_REFUSED, Code: code,
			Detail: detail, EndedAt: time.Now().UnixMilli(),
		}
	}
	closed := h.closedNow()
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sessions[id]
	switch {
	case closed != "":
		return refuse(orielv1.Code_CODE_FORBIDDEN, closed)
	case h.closed:
		return refuse(orielv1.Code_CODE_UNAVAILABLE, "the agent is stopping; try again in a moment")
	case id == "" || grant == nil:
		return refuse(orielv1.Code_CODE_INVALID, "the offer names no session")
	case h.policy().Refuses(grant.GetScopes()) != "":
		return refuse(orielv1.Code_CODE_FORBIDDEN, h.policy().Refuses(grant.GetScopes()))
	case s == nil && len(h.sessions) >= h.o.MaxSessions:
		return refuse(orielv1.Code_CODE_BUSY, "this computer has as many sessions as it takes; end one first")
	case s != nil && s.operator != grant.GetOperator().GetId():
		// The session goes on; only this attempt is over.
		refused = refuse(orielv1.Code_CODE_FORBIDDEN, "this session is another operator's")
		refused.Attempt = max(1, offer.GetAttempt())
		return refused
	case s == nil:
		s = newSession(h, id, grant)
		h.sessions[id] = s
		h.ended.Go(s.run)
	}
	if err := s.offer(offer, grant); err != nil {
		// For its time: the relay signs it anew, with what holds by then.
		refused = refuse(orielv1.Code_CODE_GRANT_EXPIRED, err.Error())
		refused.Attempt = max(1, offer.GetAttempt())
		return refused
	}
	return nil
}

// Candidate takes one of the viewer's ICE candidates. Those of a session or
// peer connection that is not there any more are dropped.
func (h *Host) Candidate(c *orielv1.Candidate) {
	if s := h.session(c.GetSessionId()); s != nil {
		s.candidate(c)
	}
}

// End ends a session with the reason given. Ending what is not running is
// answered too, so that the journal never waits.
func (h *Host) End(e *orielv1.EndSession) {
	reason := e.GetReason()
	if reason == orielv1.EndReason_END_REASON_UNSPECIFIED {
		reason = orielv1.EndReason_END_REASON_ENDED
	}
	if s := h.session(e.GetSessionId()); s != nil {
		s.end(reason, e.GetCode(), e.GetDetail())
		return
	}
	h.send(&orielv1.SessionEnded{
		SessionId: e.GetSessionId(), Reason: reason, Code: orielv1.Code_CODE_NOT_FOUND, EndedAt: time.Now().UnixMilli(),
	})
}

// Apply sets how often previews are taken, at most one in 60 s. The next one is
// due at once and is sent even if the relay has had it, for who says Apply may
// have lost it; within those 60 s it is the last one again.
func (h *Host) Apply(s *orielv1.Settings) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settings.PreviewSeconds = s.GetPreviewSeconds()
	h.renewPreviews()
}

// renewPreviews has previews look at what is in force now; mu is held.
func (h *Host) renewPreviews() {
	close(h.applied)
	h.applied = make(chan struct{})
}

// Running is the ids of the sessions that have not ended.
func (h *Host) Running() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]string, 0, len(h.sessions))
	for id := range h.sessions {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Close ends every session for that reason, releases what they hold, closes
// the desktop and waits for all of it.
func (h *Host) Close(reason orielv1.EndReason) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		h.wg.Wait()
		return
	}
	h.closed = true
	for _, s := range h.sessions {
		s.end(reason, 0, "")
	}
	h.mu.Unlock()
	h.cancel()
	h.ended.Wait()
	close(h.allEnded)
	h.wg.Wait()
}

func (h *Host) session(id string) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions[id]
}

// current is the open display, nil where there is none.
func (h *Host) current() *display {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.display
}

// displayAndChange is current, and a channel that is closed when that changes.
func (h *Host) displayAndChange() (*display, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.display, h.displayChanged
}

func (h *Host) remove(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions[s.id] == s {
		delete(h.sessions, s.id)
	}
}

// each calls f for every running session, without the lock.
func (h *Host) each(f func(*session)) {
	h.mu.Lock()
	all := make([]*session, 0, len(h.sessions))
	for _, s := range h.sessions {
		all = append(all, s)
	}
	h.mu.Unlock()
	for _, s := range all {
		f(s)
	}
}
