package broker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// recent is how long a session may be on its way to an agent that just came.
const recent = 5 * time.Second

// AgentConnected settles which sessions a computer runs, on its own word,
// after it connected at that time: those that are over it is told to end, and
// the rows that it does not run are ended as lost.
func (b *Broker) AgentConnected(ctx context.Context, computer store.Ref, sessions []string, at time.Time) error {
	over, err := b.o.Journal.Keep(ctx, computer, sessions, b.attended(sessions))
	if err != nil {
		return err
	}
	for _, id := range over {
		b.tell(computer.ID, endMessage(id, orielv1.EndReason_END_REASON_ENDED))
	}
	lost, err := b.o.Journal.Running(ctx, computer.Organization, journal.Selection{ComputerID: computer.ID, Except: sessions,
		Before: at.Add(-recent).UnixMilli()})
	if err != nil {
		return err
	}
	for _, e := range lost {
		if err := b.end(ctx, e.Ref(), orielv1.EndReason_END_REASON_LOST, 0, "the agent came back without it"); err != nil {
			return err
		}
	}
	return nil
}

// attended are those of the sessions that a tab on this node has. Of those that
// one on another node has it is not known: that tab's next word says so again.
func (b *Broker) attended(sessions []string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, id := range sessions {
		if l := b.sessions[id]; l != nil && l.seat != nil {
			all = append(all, id)
		}
	}
	return all
}

// FromAgent takes what a computer's agent says about a session; reply goes
// back to that agent. What is not about sessions is not for this room.
func (b *Broker) FromAgent(ctx context.Context, computer store.Ref, m *orielv1.FromAgent, reply func(*orielv1.ToAgent)) error {
	switch body := m.GetBody().(type) {
	case *orielv1.FromAgent_Answer:
		return b.answer(ctx, computer, body.Answer, reply)
	case *orielv1.FromAgent_Candidate:
		return b.toTab(body.Candidate.GetSessionId(), &orielv1.BusSession{ComputerId: computer.ID,
			Body: &orielv1.BusSession_Candidate{Candidate: body.Candidate}})
	case *orielv1.FromAgent_SessionReport:
		e, err := b.o.Journal.Report(ctx, computer, body.SessionReport)
		if errors.Is(err, store.ErrEnded) || errors.Is(err, store.ErrNotFound) {
			reply(endMessage(body.SessionReport.GetSessionId(), orielv1.EndReason_END_REASON_ENDED))
			return nil
		}
		if err != nil { // the disk is full, perhaps, which is no reason to end sessions
			var rerr error
			if e, rerr = b.o.Journal.Standing(ctx, computer, body.SessionReport.GetSessionId()); rerr != nil {
				return err
			}
		}
		return errors.Join(err, b.renew(ctx, e, reply))
	case *orielv1.FromAgent_SessionEnded:
		return b.agentEnded(ctx, computer, body.SessionEnded, reply)
	}
	return nil
}

// answer passes an agent's answer on, sealed. A session with one that no viewer
// would take is over.
func (b *Broker) answer(ctx context.Context, computer store.Ref, a *orielv1.Answer, reply func(*orielv1.ToAgent)) error {
	id := a.GetSessionId()
	sdp, _, err := trust.SealOwn(a.GetSdp())
	if err == nil {
		a.Sdp = sdp
		return b.toTab(id, &orielv1.BusSession{ComputerId: computer.ID, Body: &orielv1.BusSession_Answer{Answer: a}})
	}
	b.o.Log.Warn("answer refused", "session", id, "computer", computer.ID, "err", err)
	reply(endMessage(id, orielv1.EndReason_END_REASON_FAILED))
	return b.agentEnded(ctx, computer, &orielv1.SessionEnded{SessionId: id,
		Reason: orielv1.EndReason_END_REASON_FAILED, Code: errAnswer.Wire(), Detail: errAnswer.Error()}, reply)
}

func (b *Broker) agentEnded(ctx context.Context, computer store.Ref, ended *orielv1.SessionEnded, reply func(*orielv1.ToAgent)) error {
	id := ended.GetSessionId()
	if ended.GetAttempt() == 0 {
		if _, err := b.endUnwritten(ctx, computer.Organization.Ref(id)); err != nil { // before its word counts, which may be the relay's own
			return err // not its word alone either, should there be room by now
		}
		e, _, err := b.o.Journal.EndedByAgent(ctx, computer, ended)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err // no ack: the agent says it again
		}
		reply(&orielv1.ToAgent{Body: &orielv1.ToAgent_SessionEndedAck{SessionEndedAck: &orielv1.SessionEndedAck{SessionId: id}}})
		if err != nil {
			return nil
		}
		ended = endedOf(e.JournalEntry)
	}
	return b.toTab(id, &orielv1.BusSession{ComputerId: computer.ID, Body: &orielv1.BusSession_Ended{Ended: ended}})
}

func (b *Broker) toTab(session string, m *orielv1.BusSession) error {
	subject, err := bus.Session(session)
	if err != nil {
		return nil // no id of ours: nobody listens there
	}
	return b.o.Bus.Publish(subject, &orielv1.BusMessage{Body: &orielv1.BusMessage_Session{Session: m}})
}

// fromBus passes on to l's tab what its own computer says. It runs in the
// subscription's handler.
func (b *Broker) fromBus(l *live, m *orielv1.BusSession) {
	if m.GetComputerId() != l.computer.ID {
		b.o.Log.Warn("a computer speaks of another's session", "session", l.ID, "computer", m.GetComputerId())
		return
	}
	<-l.ready
	if a := m.GetAnswer(); a != nil && !b.carried(l, a.GetAttempt()) {
		return
	}
	if e := m.GetEnded(); e.GetAttempt() != 0 && e.GetCode() == orielv1.Code_CODE_GRANT_EXPIRED {
		if b.untimely(l, e.GetAttempt()) {
			return
		}
		if b.begun(l, e.GetAttempt()) { // with this attempt: nothing of it is left
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := b.end(ctx, l.Ref, e.GetReason(), e.GetCode(), e.GetDetail()); err != nil {
				b.o.Log.Warn("session not ended", "session", l.ID, "err", err)
			}
			return
		}
	}
	b.mu.Lock()
	seat, current := l.seat, b.sessions[l.ID] == l
	mine := func(attempt uint32) bool { return l.any || attempt == l.attempt }
	var out *orielv1.ToConsole
	over := false
	switch body := m.GetBody().(type) {
	case *orielv1.BusSession_Answer:
		if mine(body.Answer.GetAttempt()) {
			if l.request != nil {
				l.request.early, l.request.grant = nil, nil // taken
			}
			out = &orielv1.ToConsole{Body: &orielv1.ToConsole_Answer{Answer: body.Answer}}
		}
	case *orielv1.BusSession_Candidate:
		if mine(body.Candidate.GetAttempt()) {
			out = &orielv1.ToConsole{Body: &orielv1.ToConsole_Candidate{Candidate: body.Candidate}}
		}
	case *orielv1.BusSession_Ended:
		over = body.Ended.GetAttempt() == 0
		if over || mine(body.Ended.GetAttempt()) {
			out = &orielv1.ToConsole{Body: &orielv1.ToConsole_SessionEnded{SessionEnded: body.Ended}}
		}
	case *orielv1.BusSession_Taken:
		if seat == nil || body.Taken.GetTab() != seat.tab.ID() {
			over = true
			out = &orielv1.ToConsole{Body: &orielv1.ToConsole_Problem{Problem: &orielv1.Problem{SessionId: l.ID,
				Code: errMoved.Wire(), Detail: errMoved.Error()}}}
		}
	}
	if over && current {
		b.forget(l)
	}
	b.mu.Unlock()
	if over {
		l.sub.CloseFromHandler()
	}
	if out != nil && seat != nil && current {
		seat.tab.Send(out)
	}
}

// begun reports whether l's session began with that attempt.
func (b *Broker) begun(l *live, attempt uint32) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sessions[l.ID] == l && !l.any && !l.resumed() && l.attempt == attempt
}

// End ends a session on a person's word, on both sides; one that has ended is
// no error. Errors: store.ErrNotFound, those of access.Require: who may not end all
// sessions is refused also what does not exist.
func (b *Broker) End(ctx context.Context, who access.Identity, session string) error {
	e, err := b.o.Journal.Find(ctx, who.Of(session))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if refused := b.o.Access.Require(ctx, who, rights.SessionsEnd, access.Computer(e.GetComputerId())); refused != nil || err != nil {
		return errors.Join(refused, err)
	}
	return b.endBy(ctx, who.Actor(), who.Of(session), orielv1.EndReason_END_REASON_ENDED, 0, "ended by "+who.Name)
}

// EndComputer ends all sessions of a computer that is dropped; code and detail say why.
// toAgent, if not nil, is its connection, which is about to be closed.
func (b *Broker) EndComputer(ctx context.Context, computer store.Ref, code orielv1.Code, detail string, toAgent func(*orielv1.ToAgent)) error {
	running, err := b.o.Journal.Running(ctx, computer.Organization, journal.Selection{ComputerID: computer.ID})
	if toAgent != nil { // what ended a moment ago it may not have heard, and will not any more
		page, _, perr := b.o.Journal.Page(ctx, computer.Organization, store.Everything, journal.Filter{ComputerID: computer.ID}, "", page.Max)
		err = errors.Join(err, perr)
		for _, e := range page {
			if e.GetEndedAt() > b.o.Now().Add(-time.Minute).UnixMilli() {
				toAgent(endMessage(e.GetSessionId(), e.GetEndReason()))
			}
		}
	}
	for _, e := range running {
		err = errors.Join(err, b.end(ctx, e.Ref(), orielv1.EndReason_END_REASON_ENDED, code, detail))
		if toAgent != nil { // after the row, in which its own word does not count
			toAgent(endMessage(e.GetSessionId(), orielv1.EndReason_END_REASON_ENDED))
		}
	}
	return err
}

// carried binds a session that goes on over a new connection to the sign-in of
// the tab that asked for it, before that tab has the answer that makes the
// connection. Until then the session ends with the sign-in it had: its old
// connection may still be there. The same holds for scopes that it gives back. It
// returns false when nobody may have the answer.
func (b *Broker) carried(l *live, attempt uint32) bool {
	b.mu.Lock()
	seat, changes := l.seat, l.resumed() && l.attempt == attempt
	var fewer []orielv1.Scope
	if changes && l.request.fewer {
		fewer = l.request.scopes
	}
	b.mu.Unlock()
	if seat == nil || !changes {
		return seat != nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	who := seat.tab.Who()
	err := b.o.Journal.Carry(ctx, who.Actor(), l.Ref, who.SignInID)
	if err == nil && fewer != nil {
		err = b.o.Journal.SetScopes(ctx, who.Actor(), l.Ref, fewer)
	}
	if err != nil {
		seat.problem(0, attempt, l.ID, err)
		return false
	}
	return true
}

// end ends the row, then tells both sides. Both are told, too, when the disk is
// too full to say so in the row: what must not go on does not wait for room.
func (b *Broker) end(ctx context.Context, session store.Ref, reason orielv1.EndReason, code orielv1.Code, detail string) error {
	return b.endBy(ctx, audit.Relay, session, reason, code, detail)
}

// endBy is end on somebody's word.
func (b *Broker) endBy(ctx context.Context, by audit.Actor, session store.Ref, reason orielv1.EndReason, code orielv1.Code, detail string) error {
	e, _, err := b.o.Journal.EndBy(ctx, by, session, reason, code, detail)
	if store.DiskFull(err) {
		if e, failed := b.o.Journal.Find(ctx, session); failed == nil && e.GetEndedAt() == 0 {
			e.EndReason, e.EndCode, e.EndDetail, e.EndedAt = reason, code, detail, b.o.Now().UnixMilli()
			b.mu.Lock()
			if len(b.unwritten) < maxUnwritten {
				b.unwritten[session.ID] = e
			}
			b.mu.Unlock()
			b.announceEnd(e)
		}
	}
	if err != nil {
		return err
	}
	b.written(session.ID)
	b.announceEnd(e) // also if it had ended: one side may not know
	return nil
}

// maxUnwritten bounds the ends that wait for room on the disk.
const maxUnwritten = 1024

// written forgets that an end is to be written.
func (b *Broker) written(session string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.unwritten, session)
}

// endUnwritten writes down an end that there was no room for, in the relay's own
// words, and reports whether there was one. Its error says that it still waits.
func (b *Broker) endUnwritten(ctx context.Context, session store.Ref) (there bool, err error) {
	b.mu.Lock()
	e, there := b.unwritten[session.ID]
	b.mu.Unlock()
	if !there {
		return false, nil
	}
	if _, _, err := b.o.Journal.End(ctx, session, e.GetEndReason(), e.GetEndCode(), e.GetEndDetail()); err != nil && !errors.Is(err, store.ErrNotFound) {
		return true, err
	}
	b.written(session.ID)
	return true, nil
}

// endAllUnwritten is endUnwritten for all of them.
func (b *Broker) endAllUnwritten(ctx context.Context) {
	b.mu.Lock()
	all := slices.Collect(maps.Values(b.unwritten))
	b.mu.Unlock()
	for _, e := range all {
		_, _ = b.endUnwritten(ctx, e.Ref()) // else the next time
	}
}

func (b *Broker) announceEnd(e journal.Carried) {
	b.tell(e.GetComputerId(), endMessage(e.GetSessionId(), e.GetEndReason()))
	err := b.toTab(e.GetSessionId(), &orielv1.BusSession{ComputerId: e.GetComputerId(),
		Body: &orielv1.BusSession_Ended{Ended: endedOf(e.JournalEntry)}})
	if err != nil {
		b.o.Log.Warn("tab not told of the end", "session", e.GetSessionId(), "err", err)
	}
}

func (b *Broker) tell(computer string, m *orielv1.ToAgent) {
	if err := b.o.Fleet.Tell(computer, m); err != nil {
		b.o.Log.Warn("agent not told", "computer", computer, "err", err)
	}
}

func endMessage(session string, reason orielv1.EndReason) *orielv1.ToAgent {
	return &orielv1.ToAgent{Body: &orielv1.ToAgent_EndSession{EndSession: &orielv1.EndSession{SessionId: session, Reason: reason}}}
}

func endedOf(e *orielv1.JournalEntry) *orielv1.SessionEnded {
	return &orielv1.SessionEnded{SessionId: e.GetSessionId(), Reason: e.GetEndReason(), Code: e.GetEndCode(),
		Detail: e.GetEndDetail(), EndedAt: e.GetEndedAt()}
}

func endedMessage(e *orielv1.JournalEntry) *orielv1.ToConsole {
	return &orielv1.ToConsole{Body: &orielv1.ToConsole_SessionEnded{SessionEnded: endedOf(e)}}
}
