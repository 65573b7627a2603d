// Package node is one running agent: identity, link, facts about the machine
// and the desktop, built and wired here and nowhere else. It owns their
// lifetime, and the one table of what the relay may say (dispatch.go).
//
// # Grants
//
// A node holds the link and the machine key, so it is here that a grant is
// verified, before anything is handed to a desktop: signature of the pinned
// relay key, this computer, expiry by the relay's clock, the browser's
// fingerprint, never used before. The ICE servers of an offer are those that
// iceRule lets pass. What fails is answered with
// SessionEnded{REFUSED} and the code that says which. Scopes are the
// session's to enforce.
//
// # Leases
//
// A grant lends: a session that the relay has not renewed for as long as grant and
// local policy allow is ended here (lease.go), so that what the relay could not
// say any more still ends. Renewals are signed like grants and answer the reports
// of sessions, which are said again after a reconnect. Time is counted by a clock
// that nobody sets and that suspends do not stop.
//
// # Policies
//
// The organization's policy (policy.go) is verified here like a grant, kept on the
// disk and added to this computer's own policy. The stricter of both holds.
//
// # What must not get lost
//
// SessionEnded is repeated after every reconnect until the relay acknowledges
// it, the last 1024 of them. The last report of each running session and the
// desktop's status are said again, too; answers and candidates are not, they
// would be late. The inventory is sent at start, daily, when it changed, and
// when the relay asks.
package node

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"oriel/agent/internal/host"
	"oriel/agent/internal/identity"
	"oriel/agent/internal/link"
	"oriel/agent/internal/policy"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/protocol/wire"
)

// Desktop is what runs the sessions: a session.Host in this process, or a
// daemon.Helper that runs one in another. Its methods may be called from any
// goroutine and, but for Close, do not block.
type Desktop interface {
	Offer(*orielv1.Offer, *orielv1.Grant) // the grant is verified
	Prepare()                             // an offer is about to come
	Candidate(*orielv1.Candidate)
	// Supplement puts other scopes in force; it is verified. What comes of it is sent, in
	// reply to that ask.
	Supplement(ask uint64, s *orielv1.Supplement)
	End(*orielv1.EndSession)
	Apply(*orielv1.Settings)
	Keep(policy.Set) // all that this computer allows from now on
	Running() []string
	Close(orielv1.EndReason) // ends the sessions and waits
}

// Outlet is what a node gives its Desktop.
type Outlet struct {
	// Send takes Answer, Candidate, SessionReport, SessionEnded, Preview and
	// Status. It does not block.
	Send func(*orielv1.FromAgent)
	// Sign signs an answer with the machine key.
	Sign func(sessionID string, nonce, fingerprint []byte) (signature, machineKey []byte, err error)
}

// Options of a Node. Desktop is required.
type Options struct {
	Version string // the agent's
	// Capabilities are those of Desktop: the scopes that sessions can have.
	Capabilities []orielv1.Capability
	Desktop      func(Outlet) Desktop
	Logger       *slog.Logger
	Wire         wire.Options
	// Policy is what this computer allows. Here count the hosts that may be asked as
	// ICE servers besides the relay's own, and the lease.
	Policy policy.Set
	// Kept is the organization's policy that the data directory has.
	Kept  policy.Relay
	Clock link.Clock

	// How often the machine is looked at; 0: as said.
	LookEvery   time.Duration // who is signed in; 15 s
	CheckEvery  time.Duration // whether the inventory changed; 10 min
	RepeatEvery time.Duration // the inventory, changed or not; 24 h
	SaveEvery   time.Duration // what the disk had no room for; 1 min
	ReturnEvery time.Duration // to a preferred relay address; link's
	LeaseEvery  time.Duration // whether leases are over, while there are any; 1 s

	// KeepTrying: go on when the relay refuses this machine, as a service must.
	KeepTrying bool
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Clock = o.Clock.WithDefaults()
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.LookEvery, 15 * time.Second},
		{&o.CheckEvery, 10 * time.Minute},
		{&o.RepeatEvery, 24 * time.Hour},
		{&o.SaveEvery, time.Minute},
		{&o.LeaseEvery, time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o
}

// Node is one running agent.
type Node struct {
	id          *identity.Identity
	o           Options
	log         *slog.Logger
	link        *link.Link
	desktop     Desktop
	machine     string // host.MachineID
	fingerprint []byte // host.Fingerprint
	asks        chan uint64
	due         chan struct{} // the relay has no inventory of this machine
	leased      chan struct{} // capacity 1: there is a lease to look after
	ice         *iceRule
	ctx         context.Context // Run's, set before the link runs
	looking     sync.WaitGroup

	mu       sync.Mutex
	verifier *trust.Verifier                   // protected by mu; made when welcomed
	status   *orielv1.Status                   // protected by mu; last said, non-nil
	reports  map[string]*orielv1.SessionReport // protected by mu; last of each running session
	ended    unacked                           // protected by mu
	leases   map[string]*lease                 // protected by mu; of running sessions
	taken    inventory                         // protected by mu
	kept     policy.Relay                      // protected by mu; what the relay sent last
	unsaved  bool                              // protected by mu; kept is not on the disk
}

// New makes a node for an identity that knows at least one relay address.
func New(id *identity.Identity, o Options) *Node {
	o = o.withDefaults()
	n := &Node{
		id: id, o: o, log: o.Logger,
		asks:    make(chan uint64, 16),
		due:     make(chan struct{}, 1),
		leased:  make(chan struct{}, 1),
		leases:  make(map[string]*lease),
		kept:    o.Kept,
		ice:     newICERule(o.Policy.ICEHosts(), o.Logger),
		status:  &orielv1.Status{Display: orielv1.Status_DISPLAY_NONE, Detail: "not looked yet"},
		reports: make(map[string]*orielv1.SessionReport),
	}
	n.link = link.New(id, link.Options{
		Hello: n.hello, Handle: n.dispatch, Up: n.up,
		Logger: o.Logger, Wire: o.Wire, ReturnEvery: o.ReturnEvery, KeepTrying: o.KeepTrying, Clock: o.Clock,
	})
	return n
}

// Run runs the agent until ctx is done; then it ends the sessions, says so
// and returns nil. Errors: link.Run's.
func (n *Node) Run(ctx context.Context) error {
	n.machine, n.fingerprint = host.MachineID(ctx), host.Fingerprint(ctx)
	n.status.User = host.User(ctx)
	n.desktop = n.o.Desktop(Outlet{Send: n.fromDesktop, Sign: n.sign})
	n.desktop.Keep(n.policy()) // before anybody connects

	// The link outlives the desktop, so that the ends of sessions get out.
	linked, unlink := context.WithCancel(context.WithoutCancel(ctx))
	defer unlink()
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	n.ctx = ctx
	n.looking.Go(func() { n.inventories(ctx) })
	n.looking.Go(func() { n.users(ctx) })
	n.looking.Go(func() { n.saves(ctx) })
	n.looking.Go(func() { n.keepLeases(ctx) })
	result := make(chan error, 1)
	go func() {
		result <- n.link.Run(linked)
		stop()
	}()

	<-ctx.Done()
	n.desktop.Close(orielv1.EndReason_END_REASON_AGENT_STOPPED)
	unlink()
	err := <-result
	n.looking.Wait() // nothing is begun any more
	return err
}

func (n *Node) hello() *orielv1.Hello {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	running := n.desktop.Running()
	n.mu.Lock()
	status, kept := n.status, n.kept
	n.mu.Unlock()
	if kept.ComputerID != n.id.State().ComputerID {
		kept = policy.Relay{}
	}
	return &orielv1.Hello{
		AgentVersion: n.o.Version,
		MachineId:    n.machine,
		Fingerprint:  n.fingerprint,
		Summary:      host.Summary(ctx),
		Status:       status,
		Sessions:     running[:min(len(running), 256)],
		Capabilities: append(slices.Clone(n.o.Capabilities), orielv1.Capability_CAPABILITY_SUPPLEMENTS, orielv1.Capability_CAPABILITY_ENDS_AT,
			orielv1.Capability_CAPABILITY_POLICIES),
		PolicyVersion: kept.Version,
	}
}

// up is called after each Welcome.
func (n *Node) up(w *orielv1.Welcome) {
	state := n.id.State()
	n.mu.Lock()
	if v := n.verifier; v == nil || !v.ComputerKey.Equal(n.id.Key()) || v.ComputerID != state.ComputerID || !v.RelayKey.Equal(state.RelayKey) {
		n.verifier = &trust.Verifier{
			RelayKey: state.RelayKey, ComputerID: state.ComputerID, ComputerKey: n.id.Key(), Now: n.link.Now,
		}
	}
	for _, e := range n.ended.list {
		n.send(ended(e))
	}
	for _, r := range n.reports {
		n.send(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionReport{SessionReport: r}})
	}
	// It may have changed while Hello was under way.
	n.send(&orielv1.FromAgent{Body: &orielv1.FromAgent_Status{Status: n.status}})
	if w.GetEnrolled() {
		n.taken = inventory{}
	}
	if n.taken.at.IsZero() {
		select {
		case n.due <- struct{}{}:
		default:
		}
	}
	moved := n.kept.Version != 0 && n.kept.ComputerID != state.ComputerID
	n.mu.Unlock()
	if moved { // it was for the computer that this one was before
		n.keep(policy.Relay{})
	}
	n.ice.look(n.ctx, state, &n.looking)
	n.desktop.Apply(w.GetSettings())
}

// fromDesktop passes on what the desktop says, its times turned into the
// relay's, and keeps what must not get lost. m stays as it is.
func (n *Node) fromDesktop(m *orielv1.FromAgent) {
	m = proto.CloneOf(m)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch body := m.GetBody().(type) {
	case *orielv1.FromAgent_Status:
		body.Status.User = n.status.GetUser()
		n.status = body.Status
	case *orielv1.FromAgent_Preview:
		body.Preview.TakenAt = n.relayTime(body.Preview.GetTakenAt())
	case nil, *orielv1.FromAgent_Fault:
		n.supplemented(m.GetReplyTo(), body != nil)
	case *orielv1.FromAgent_Answer:
		n.answered(body.Answer.GetSessionId(), body.Answer.GetAttempt(), false)
	case *orielv1.FromAgent_SessionReport:
		body.SessionReport.ConnectedAt = n.relayTime(body.SessionReport.GetConnectedAt())
		n.reports[body.SessionReport.GetSessionId()] = body.SessionReport
	case *orielv1.FromAgent_SessionEnded:
		body.SessionEnded.EndedAt = n.relayTime(body.SessionEnded.GetEndedAt())
		if body.SessionEnded.GetAttempt() == 0 {
			delete(n.reports, body.SessionEnded.GetSessionId())
			delete(n.leases, body.SessionEnded.GetSessionId())
			n.ended.add(body.SessionEnded)
		} else {
			n.answered(body.SessionEnded.GetSessionId(), body.SessionEnded.GetAttempt(), true)
		}
	}
	n.send(m)
}

// relayTime is what the relay's clock said at a time of ours, in Unix
// milliseconds; zero, which is no time, stays.
func (n *Node) relayTime(ms int64) int64 {
	if ms == 0 {
		return 0
	}
	return ms + n.link.Now().Sub(n.o.Clock.Wall()).Milliseconds()
}

func (n *Node) sign(sessionID string, nonce, fingerprint []byte) (signature, machineKey []byte, err error) {
	signature, err = trust.SignAnswer(n.id.Sign, sessionID, nonce, fingerprint)
	return signature, n.id.Key(), err
}

// send sends m if there is a connection. It neither blocks nor calls back, so
// that it may be called under mu, which keeps messages in order.
func (n *Node) send(m *orielv1.FromAgent) bool {
	err := n.link.Send(m)
	if err != nil {
		n.log.Debug("not sent", "error", err)
	}
	return err == nil
}

func ended(e *orielv1.SessionEnded) *orielv1.FromAgent {
	return &orielv1.FromAgent{Body: &orielv1.FromAgent_SessionEnded{SessionEnded: e}}
}
