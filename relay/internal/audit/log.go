package audit

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/store"
)

// Times of a Log.
const (
	// Poll is after how long a reader looks although nobody announced anything.
	Poll = 15 * time.Second

	// hold is after how long without a sign of life another node reads.
	hold = time.Minute

	refusalsEvery = 5 * time.Second
	maxRefusals   = 256 // that are different, in that time
	batch         = 100
)

// Options of New; only Store is needed. Without a Bus nobody is told, and there is no Run.
type Options struct {
	Store *store.Store
	Bus   *bus.Bus
	Node  string        // run of this node, told from all others
	Poll  time.Duration // 0: Poll
	Log   *slog.Logger
	Now   func() time.Time
}

// Log is the audit of this node: what is refused, announced and read. Its methods may
// be called from any goroutine.
type Log struct {
	o Options

	mu      sync.Mutex
	refused map[store.OrganizationID]refused       // protected by mu; what is not written yet
	sign    signIns                                // protected by mu
	readers map[chan struct{}]store.OrganizationID // protected by mu; whose entries each reads
}

// refused are the attempts in one organization, each with how often.
type refused map[refusal]times

type refusal struct {
	who          Actor
	what         string
	kind, object string
}

type times struct {
	first int64
	n     int
}

// add counts t. Of more than maxRefusals that are different only their number is told.
func (r refused) add(key refusal, t times) {
	if _, known := r[key]; !known && len(r) >= maxRefusals {
		key = refusal{who: Relay, what: key.what}
	}
	if before, known := r[key]; known {
		t.first, t.n = min(before.first, t.first), before.n+t.n
	}
	r[key] = t
}

// New makes the Log of what is in the store, and announces what is written to it.
func New(o Options) *Log {
	if o.Node == "" {
		o.Node = store.NewID()
	}
	if o.Poll == 0 {
		o.Poll = Poll
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Log{o: o, refused: make(map[store.OrganizationID]refused), sign: signIns{refused: map[signInRefusal]times{}},
		readers: make(map[chan struct{}]store.OrganizationID)}
	o.Store.OnEntry(l.announce)
	return l
}

// announce tells all nodes' readers. What gets lost they find by themselves.
func (l *Log) announce(organization store.OrganizationID) {
	if l.o.Bus == nil {
		return
	}
	err := l.o.Bus.Publish(bus.AuditChanged, &orielv1.BusMessage{Body: &orielv1.BusMessage_AuditChanged{
		AuditChanged: &orielv1.BusAuditChanged{Organization: string(organization)}}})
	if err != nil {
		l.o.Log.Debug("entry of the audit not announced", "err", err)
	}
}

// Refused counts that who, in their organization, may not do something. It does not
// block.
func (l *Log) Refused(o store.OrganizationID, who Actor, what, kind, object string) {
	l.count(o, refusal{who, what, kind, object}, times{l.o.Now().UnixMilli(), 1})
}

func (l *Log) count(o store.OrganizationID, key refusal, t times) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused[o] == nil {
		l.refused[o] = make(refused)
	}
	l.refused[o].add(key, t)
}

// Flush writes the refusals that were counted. What cannot be written counts on.
func (l *Log) Flush(ctx context.Context) error {
	return errors.Join(l.flushRefused(ctx), l.flushSignIns(ctx))
}

func (l *Log) flushRefused(ctx context.Context) error {
	l.mu.Lock()
	all := l.refused
	l.refused = make(map[store.OrganizationID]refused)
	l.mu.Unlock()
	var failed error
	for o, these := range all {
		for key, t := range these {
			if failed == nil {
				e := key.who.entry(store.Refused, Attempt, key.kind, key.object, []string{"permission", key.what, "times", strconv.Itoa(t.n)})
				e.At = t.first
				failed = l.o.Store.Audit(o).Record(ctx, e)
			}
			if failed != nil {
				l.count(o, key, t)
			}
		}
	}
	return failed
}

// Run writes refusals and wakes readers until ctx ends.
func (l *Log) Run(ctx context.Context) error {
	sub, err := l.o.Bus.Subscribe(bus.AuditChanged, func(m *orielv1.BusMessage, _ bus.Reply) {
		l.wake(store.OrganizationID(m.GetAuditChanged().GetOrganization()))
	})
	if err != nil {
		return err
	}
	defer sub.Close()
	l.o.Bus.OnReconnect(func() { l.wake("") })
	flush := time.NewTicker(refusalsEvery)
	defer flush.Stop()
	signIns := time.NewTicker(signInsEvery)
	defer signIns.Stop()
	said := func(err error) {
		if err != nil && ctx.Err() == nil {
			l.o.Log.Warn("audit", "err", err)
		}
	}
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			err := l.Flush(last)
			cancel()
			if err != nil {
				l.o.Log.Warn("refusals not written", "err", err)
			}
			return nil
		case <-flush.C:
			said(l.flushRefused(ctx))
		case <-signIns.C:
			said(l.flushSignIns(ctx))
		}
	}
}

// wake has those look who read an organization's; without one, all.
func (l *Log) wake(o store.OrganizationID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r, of := range l.readers {
		if o != "" && of != o {
			continue
		}
		select {
		case r <- struct{}{}:
		default:
		}
	}
}

// Follow gives handle the entries of an organization, in order, from where the
// reader of that name was last (a new one begins with the oldest), until ctx ends.
// While another node reads for it, this one waits. An error of handle is logged, and
// the same entries come again after Poll.
func (l *Log) Follow(ctx context.Context, o store.OrganizationID, reader string, handle func(context.Context, Entry) error) {
	news := make(chan struct{}, 1)
	l.mu.Lock()
	l.readers[news] = o
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.readers, news)
		l.mu.Unlock()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := l.o.Store.Audit(o).Release(last, reader, l.o.Node); err != nil {
			l.o.Log.Warn("reader of the audit not released", "reader", reader, "err", err)
		}
	}()
	poll := time.NewTicker(l.o.Poll)
	defer poll.Stop()
	for {
		if err := l.read(ctx, o, reader, handle); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrConflict) {
			l.o.Log.Warn("audit not read", "reader", reader, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-news:
		case <-poll.C:
		}
	}
}

// read handles what is there. Errors: store.ErrConflict while another node reads.
func (l *Log) read(ctx context.Context, o store.OrganizationID, reader string, handle func(context.Context, Entry) error) error {
	log := l.o.Store.Audit(o)
	for {
		at, err := log.Claim(ctx, reader, l.o.Node, hold)
		if err != nil {
			return err
		}
		all, err := log.After(ctx, at, batch)
		if err != nil || len(all) == 0 {
			return err
		}
		for _, e := range all {
			if err := handle(ctx, e); err != nil {
				return err
			}
			// Also when ctx has ended meanwhile: it was handled.
			noted, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			err := log.Advance(noted, reader, l.o.Node, e.Sequence)
			cancel()
			if err != nil {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
}
