// Package journal is the record of sessions: who was on which computer, from
// where, when, how long, by which path, and why it ended.
//
// A row is written before anything of a session is forwarded to the agent
// (Begin), so that there is no session without one. It then follows the
// agent's reports. It ends once: the first word counts, with one exception.
// LOST is the relay's own guess, made when nothing was heard of a session for
// LostAfter, or when its agent came back without it; an agent that knows
// better corrects it, and one that still runs the session reopens it.
//
// An agent's word on the past is brought within what is known here: a session
// starts before it ends, ends before now, and neither reopens nor lasts when it was
// not heard of for longer than its lease; why it ended is what an agent can know.
// One that only its agent vouches for, and no tab, is unattended, and does not count
// against its operator's sessions with other computers.
//
// The order is newest first by (started_at, id), and a cursor is a place in
// that order, so that pages stay right while rows arrive.
//
// Each change is announced on the bus (journal.changed) with the session's and
// the computer's id, and whose they are. Agents' text is bounded and made plain before
// it is kept. A session is an organization's, its computer's and its operator's; who asks
// names theirs (store.Ref), and one of another is as one that does not exist.
// A person may read of the sessions with those computers on which they may read the
// journal; of a computer that is gone, who may on all. That is asked of access by whoever
// speaks for one.
package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
)

// LostAfter is the silence after which a session is given up. Agents report
// every 30 seconds.
const LostAfter = 5 * time.Minute

// ConnectWithin is how long a session may take to connect.
const ConnectWithin = 2 * time.Minute

// ErrEnded: the session has ended.
var ErrEnded = store.ErrEnded

// Options of New; all are needed but Lease, Log and Now.
type Options struct {
	Store *store.Store
	Bus   *bus.Bus
	Lease time.Duration // of sessions, which agents end without the relay; 0: 15 min
	Log   *slog.Logger
	Now   func() time.Time
}

// Journal is the record. Its methods may be called from any goroutine.
type Journal struct {
	o Options
	// When a word on a session could last not be written, in Unix milliseconds.
	unheard atomic.Int64
}

// New makes a Journal of what is in the store.
func New(o Options) *Journal {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Lease == 0 {
		o.Lease = 15 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Journal{o: o}
}

// of are the sessions of the organization of one of its things.
func (j *Journal) of(r store.Ref) store.Sessions { return j.o.Store.Sessions(r.Organization) }

// Start is what is known of a session before it begins.
type Start struct {
	Computer     store.Ref // of the operator's organization
	ComputerName string
	Operator     access.Identity
	Scopes       []orielv1.Scope
}

// Begin writes the row of a new session.
func (j *Journal) Begin(ctx context.Context, s Start) (Carried, error) {
	now := j.o.Now().UnixMilli()
	row := store.Session{
		ID:              store.NewID(),
		Organization:    s.Computer.Organization,
		ComputerID:      s.Computer.ID,
		ComputerName:    sanitize.Line(s.ComputerName, 256),
		OperatorID:      s.Operator.PersonID,
		OperatorName:    sanitize.Line(s.Operator.Name, 256),
		OperatorAddress: sanitize.Line(s.Operator.Address, 64),
		Browser:         sanitize.Line(s.Operator.Browser, 256),
		SignInID:        s.Operator.SignInID,
		Scopes:          orielv1.Words(orielv1.SortScopes(s.Scopes)),
		ScopesNow:       orielv1.Words(orielv1.SortScopes(s.Scopes)),
		StartedAt:       now,
		SeenAt:          now,
	}
	opened := s.Operator.Actor().Did(audit.SessionOpened, "session", row.ID, "computer", row.ComputerID, "scopes", row.Scopes)
	if err := j.of(s.Computer).Add(ctx, opened, row); err != nil {
		return Carried{}, fmt.Errorf("begin a session: %w", err)
	}
	j.o.Log.Info("session begins", "session", row.ID, "computer", row.ComputerID, "person", row.OperatorID)
	j.changed(row)
	return carried(row), nil
}

// Report takes a computer's word on a running session. Errors: ErrEnded when
// it has ended otherwise, store.ErrNotFound when it is none of this computer's.
func (j *Journal) Report(ctx context.Context, computer store.Ref, r *orielv1.SessionReport) (Carried, error) {
	now := j.o.Now().UnixMilli()
	connected := r.GetConnectedAt()
	if connected > now || connected < now-int64(365*24*time.Hour/time.Millisecond) {
		connected = now // a clock that cannot be believed
	}
	row, err := j.of(computer).Report(ctx, store.Session{
		ID:            r.GetSessionId(),
		ComputerID:    computer.ID,
		ConnectedAt:   connected,
		SeenAt:        now,
		Path:          orielv1.Word(r.GetPath()),
		BytesSent:     count(r.GetBytesSent()),
		BytesReceived: count(r.GetBytesReceived()),
		Codec:         sanitize.Line(r.GetCodec(), 32),
		Delays:        kept(r.GetDelays()),
	}, now-j.silence())
	if err != nil {
		j.unwritten(err, now)
		return Carried{}, fmt.Errorf("report of session: %w", err)
	}
	j.changed(row)
	return carried(row), nil
}

// EndedByAgent takes a computer's word that a session ended. first is false
// when the row had ended before. Errors: store.ErrNotFound when it is none of
// this computer's.
func (j *Journal) EndedByAgent(ctx context.Context, computer store.Ref, e *orielv1.SessionEnded) (_ Carried, first bool, err error) {
	now := j.o.Now().UnixMilli()
	at := e.GetEndedAt()
	if at <= 0 || at > now {
		at = now
	}
	reason := e.GetReason()
	if !agentReasons[reason] {
		reason = orielv1.EndReason_END_REASON_FAILED
	}
	row := ended(e.GetSessionId(), at, reason, e.GetCode(), e.GetDetail())
	row.ComputerID, row.SeenAt = computer.ID, now
	row.BytesSent, row.BytesReceived = count(e.GetBytesSent()), count(e.GetBytesReceived())
	row.Delays = kept(e.GetDelays())
	row, first, err = j.of(computer).EndByAgent(ctx, audit.Agent(computer.ID, "").Did(audit.SessionEnded, "session", row.ID, "reason", row.EndReason), row, j.silence())
	return j.afterEnd(row, first, err)
}

// agentReasons are those that an agent can know. The others are the relay's to
// say, before the agent hears of the end.
var agentReasons = map[orielv1.EndReason]bool{
	orielv1.EndReason_END_REASON_OPERATOR:      true,
	orielv1.EndReason_END_REASON_CUSTOMER:      true,
	orielv1.EndReason_END_REASON_NETWORK:       true,
	orielv1.EndReason_END_REASON_AGENT_STOPPED: true,
	orielv1.EndReason_END_REASON_REFUSED:       true,
	orielv1.EndReason_END_REASON_TIMEOUT:       true,
	orielv1.EndReason_END_REASON_FAILED:        true,
	orielv1.EndReason_END_REASON_UNRENEWED:     true,
	orielv1.EndReason_END_REASON_TIME_UP:       true,
}

// silence is for how many milliseconds a session may run of which nothing is
// heard: its lease, and as long as reports take.
func (j *Journal) silence() int64 { return (j.o.Lease + LostAfter).Milliseconds() }

// End ends a session on the relay's own word. first is false when it had ended
// before. Errors: store.ErrNotFound.
func (j *Journal) End(ctx context.Context, session store.Ref, reason orielv1.EndReason, code orielv1.Code, detail string) (_ Carried, first bool, err error) {
	return j.EndBy(ctx, audit.Relay, session, reason, code, detail)
}

// EndBy is End on somebody's word.
func (j *Journal) EndBy(ctx context.Context, by audit.Actor, session store.Ref, reason orielv1.EndReason, code orielv1.Code, detail string) (_ Carried, first bool, err error) {
	row, first, err := j.of(session).End(ctx, by.Did(audit.SessionEnded, "session", session.ID, "reason", orielv1.Word(reason)), ended(session.ID, j.o.Now().UnixMilli(), reason, code, detail))
	return j.afterEnd(row, first, err)
}

func ended(id string, at int64, reason orielv1.EndReason, code orielv1.Code, detail string) store.Session {
	return store.Session{ID: id, EndedAt: at, EndReason: orielv1.Word(reason),
		EndCode: orielv1.Word(code), EndDetail: sanitize.Line(detail, 1024)}
}

func (j *Journal) afterEnd(row store.Session, first bool, err error) (Carried, bool, error) {
	if err != nil {
		return Carried{}, false, fmt.Errorf("end a session: %w", err)
	}
	if first {
		j.o.Log.Info("session ended", "session", row.ID, "computer", row.ComputerID, "reason", row.EndReason, "code", row.EndCode)
	}
	j.changed(row) // also when only its counts were corrected
	return carried(row), first, nil
}

// Keep notes that a computer says it runs these sessions, of which tabs have those
// that are attended. It returns those that it should not run: they have ended, or
// are none of its own.
func (j *Journal) Keep(ctx context.Context, computer store.Ref, ids, attended []string) (over []string, err error) {
	now := j.o.Now().UnixMilli()
	again, over, err := j.of(computer).Keep(ctx, store.Kept{ComputerID: computer.ID, IDs: ids, Attended: attended, Since: now - j.silence()}, now)
	if err != nil {
		j.unwritten(err, now)
		return nil, fmt.Errorf("keep sessions: %w", err)
	}
	for _, id := range again {
		j.o.Log.Info("session goes on", "session", id, "computer", computer.ID)
		j.changed(store.Session{ID: id, Organization: computer.Organization, ComputerID: computer.ID})
	}
	return over, nil
}

// Attend notes whether a tab has a session.
func (j *Journal) Attend(ctx context.Context, session store.Ref, attended bool) error {
	if err := j.of(session).Attend(ctx, session.ID, attended); err != nil {
		return fmt.Errorf("attend a session: %w", err)
	}
	return nil
}

// Standing is a running session of a computer as it was last written. Errors:
// ErrEnded, store.ErrNotFound.
func (j *Journal) Standing(ctx context.Context, computer store.Ref, id string) (Carried, error) {
	row, err := j.of(computer).Get(ctx, id)
	switch {
	case err == nil && row.ComputerID != computer.ID:
		err = store.ErrNotFound
	case err == nil && row.EndedAt != 0:
		err = ErrEnded
	}
	if err != nil {
		return Carried{}, fmt.Errorf("session %.64q: %w", id, err)
	}
	return carried(row), nil
}

// Carry notes that a session's connection is now that of another sign-in of the
// same person. Errors: ErrEnded, store.ErrNotFound.
func (j *Journal) Carry(ctx context.Context, by audit.Actor, session store.Ref, signIn string) error {
	if err := j.of(session).Carry(ctx, by.Did(audit.SessionCarried, "session", session.ID), session.ID, signIn); err != nil {
		return fmt.Errorf("bind a session to its sign-in: %w", err)
	}
	return nil
}

// Carried is a session with whose it is, and what it rests on while it runs: the
// sign-in that carries it, and what it may do now.
type Carried struct {
	*orielv1.JournalEntry
	Organization store.OrganizationID
	SignInID     string
	Now          []orielv1.Scope // sorted
}

// Ref names the session.
func (c Carried) Ref() store.Ref { return c.Organization.Ref(c.GetSessionId()) }

// Computer names the session's.
func (c Carried) Computer() store.Ref { return c.Organization.Ref(c.GetComputerId()) }

// Find is one session with what it rests on. Errors: store.ErrNotFound.
func (j *Journal) Find(ctx context.Context, session store.Ref) (Carried, error) {
	row, err := j.of(session).Get(ctx, session.ID)
	if err != nil {
		return Carried{}, fmt.Errorf("session %.64q: %w", session.ID, err)
	}
	return carried(row), nil
}

// Anyones is the session of that id, whosever it is: for what no person asks. Errors:
// store.ErrNotFound.
func (j *Journal) Anyones(ctx context.Context, id string) (Carried, error) {
	row, err := j.o.Store.Upkeep().Session(ctx, id)
	if err != nil {
		return Carried{}, fmt.Errorf("session %.64q: %w", id, err)
	}
	return carried(row), nil
}

// SetScopes notes what a running session may do from now on, on somebody's word.
// Errors: ErrEnded, store.ErrNotFound.
func (j *Journal) SetScopes(ctx context.Context, by audit.Actor, session store.Ref, scopes []orielv1.Scope) error {
	return j.setScopes(ctx, by, session, scopes, false)
}

// AddScopes is SetScopes of what the session may do now and scopes.
func (j *Journal) AddScopes(ctx context.Context, by audit.Actor, session store.Ref, scopes []orielv1.Scope) error {
	return j.setScopes(ctx, by, session, scopes, true)
}

func (j *Journal) setScopes(ctx context.Context, by audit.Actor, session store.Ref, scopes []orielv1.Scope, add bool) error {
	row, err := j.of(session).SetScopes(ctx, by.Did(audit.SessionScopes, "session", session.ID), session.ID, orielv1.Words(orielv1.SortScopes(scopes)), add)
	if err != nil {
		return fmt.Errorf("scopes of a session: %w", err)
	}
	j.o.Log.Info("session may do other things", "session", session.ID, "scopes", row.ScopesNow)
	j.changed(row)
	return nil
}

// AllRunning are all running sessions, of all organizations.
func (j *Journal) AllRunning(ctx context.Context) ([]Carried, error) {
	return running(j.o.Store.Upkeep().Running(ctx, store.Running{}))
}

// Selection of running sessions; the zero one is of all.
type Selection struct {
	ComputerID, SignInID string
	Before               int64    // started before, in Unix milliseconds; 0: whenever
	Except               []string // ids
}

// Running are the running sessions of an organization that r names.
func (j *Journal) Running(ctx context.Context, o store.OrganizationID, r Selection) ([]Carried, error) {
	return running(j.o.Store.Sessions(o).Running(ctx, store.Running{ComputerID: r.ComputerID, SignInID: r.SignInID, Before: r.Before, Except: r.Except}))
}

func running(rows []store.Session, err error) ([]Carried, error) {
	if err != nil {
		return nil, fmt.Errorf("running sessions: %w", err)
	}
	all := make([]Carried, len(rows))
	for i, row := range rows {
		all[i] = carried(row)
	}
	return all, nil
}

// unwritten notes that a word on a session got lost here: the disk is full, or
// the database away.
func (j *Journal) unwritten(err error, now int64) {
	if !errors.Is(err, store.ErrEnded) && !errors.Is(err, store.ErrNotFound) {
		j.unheard.Store(now)
	}
}

// Sweep ends what nothing was heard of for too long, and returns it. As long
// after what was heard could not be written, silence says nothing.
func (j *Journal) Sweep(ctx context.Context) ([]Carried, error) {
	now := j.o.Now()
	var all []Carried
	if now.UnixMilli()-j.unheard.Load() < LostAfter.Milliseconds() {
		return nil, nil
	}
	for _, kind := range []struct {
		r      store.Running
		reason orielv1.EndReason
		detail string
	}{
		{store.Running{SeenBefore: now.Add(-LostAfter).UnixMilli()}, orielv1.EndReason_END_REASON_LOST, "nothing was heard of it any more"},
		{store.Running{Unconnected: true, Before: now.Add(-ConnectWithin).UnixMilli()}, orielv1.EndReason_END_REASON_TIMEOUT, "no connection came about"},
	} {
		rows, err := j.o.Store.Upkeep().Running(ctx, kind.r)
		if err != nil {
			return all, fmt.Errorf("sweep sessions: %w", err)
		}
		for _, row := range rows {
			e, first, err := j.End(ctx, row.Ref(), kind.reason, 0, kind.detail)
			if err != nil {
				j.unwritten(err, now.UnixMilli())
				return all, err
			}
			if first {
				all = append(all, e)
			}
		}
	}
	return all, nil
}

// Lookup are an organization's visible rows with those ids, newest first.
func (j *Journal) Lookup(ctx context.Context, o store.OrganizationID, v store.Visibility, ids ...string) ([]*orielv1.JournalEntry, error) {
	rows, err := j.o.Store.Sessions(o).List(ctx, v, ids...)
	if err != nil {
		return nil, fmt.Errorf("look up sessions: %w", err)
	}
	return entries(rows), nil
}

// Get is one row. Errors: store.ErrNotFound.
func (j *Journal) Get(ctx context.Context, session store.Ref) (*orielv1.JournalEntry, error) {
	row, err := j.of(session).Get(ctx, session.ID)
	if err != nil {
		return nil, fmt.Errorf("session %.64q: %w", session.ID, err)
	}
	return entry(row), nil
}

// Filter of Page; the zero one names all sessions.
type Filter struct {
	ComputerID, OperatorID string
	Running                *bool  // nil: either
	Words                  string // that the computer's or the operator's name must have, each
	OldestFirst            bool
}

// Page is at most limit visible rows (0: page.Default) of an organization that of names after cursor (empty:
// from the top), and the cursor of the next page,
// empty when there is none. Errors: page.ErrCursor.
func (j *Journal) Page(ctx context.Context, o store.OrganizationID, v store.Visibility, of Filter, cursor string, limit int) (_ []*orielv1.JournalEntry, next string, err error) {
	r := page.Request{Limit: limit, Cursor: cursor, Sort: "-started_at"}
	if of.OldestFirst {
		r.Sort = "started_at"
	}
	f := store.SessionFilter{ComputerID: of.ComputerID, OperatorID: of.OperatorID, Running: of.Running, Words: of.Words, OldestFirst: of.OldestFirst}
	at, err := r.Place()
	if err == nil && at.ID != "" {
		f.AfterID = at.ID
		if f.AfterStarted, err = strconv.ParseInt(at.Key, 10, 64); err != nil {
			err = page.ErrCursor
		}
	}
	if err != nil {
		return nil, "", err
	}
	rows, err := j.o.Store.Sessions(o).Page(ctx, v, f, int64(r.Size())+1)
	if err != nil {
		return nil, "", fmt.Errorf("journal: %w", err)
	}
	if len(rows) > r.Size() {
		rows = rows[:r.Size()]
		last := rows[len(rows)-1]
		next = page.Place{Sort: r.Sort, Key: strconv.FormatInt(last.StartedAt, 10), ID: last.ID}.Cursor()
	}
	return entries(rows), next, nil
}

func (j *Journal) changed(row store.Session) {
	err := j.o.Bus.Publish(bus.JournalChanged, &orielv1.BusMessage{Body: &orielv1.BusMessage_JournalChanged{
		JournalChanged: &orielv1.BusJournalChanged{Organization: string(row.Organization), SessionId: row.ID, ComputerId: row.ComputerID}}})
	if err != nil {
		j.o.Log.Warn("journal change not announced", "session", row.ID, "err", err)
	}
}
