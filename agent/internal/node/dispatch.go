package node

import (
	"errors"
	"fmt"
	"slices"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// dispatch is all that a relay may say after Welcome. It must not block: the
// next message is read when it returns.
func (n *Node) dispatch(m *orielv1.ToAgent) {
	switch body := m.GetBody().(type) {
	case *orielv1.ToAgent_Offer:
		n.offer(body.Offer)
	case *orielv1.ToAgent_Prepare:
		n.desktop.Prepare()
	case *orielv1.ToAgent_Candidate:
		n.desktop.Candidate(body.Candidate)
	case *orielv1.ToAgent_EndSession:
		n.endSession(body.EndSession)
	case *orielv1.ToAgent_SessionEndedAck:
		n.mu.Lock()
		n.ended.ack(body.SessionEndedAck.GetSessionId())
		n.mu.Unlock()
	case *orielv1.ToAgent_SendInventory:
		select {
		case n.asks <- m.GetId():
		default:
			n.fault(m.GetId(), orielv1.Code_CODE_BUSY, "too many asks at once")
		}
	case *orielv1.ToAgent_Prove:
		n.send(&orielv1.FromAgent{ReplyTo: m.GetId()})
	case *orielv1.ToAgent_Renewal:
		n.renewed(body.Renewal)
	case *orielv1.ToAgent_Supplement:
		n.supplement(m.GetId(), body.Supplement)
	case *orielv1.ToAgent_Policy:
		n.takePolicy(m.GetId(), body.Policy)
	case *orielv1.ToAgent_Settings:
		n.desktop.Apply(body.Settings)
	case *orielv1.ToAgent_Challenge, *orielv1.ToAgent_Welcome, *orielv1.ToAgent_Refused:
		n.fault(m.GetId(), orielv1.Code_CODE_INVALID, "the greeting is over")
	default:
		n.fault(m.GetId(), orielv1.Code_CODE_UNIMPLEMENTED, "this agent does not know that; update it")
	}
}

// fault answers an ask; what nobody waits for is not answered.
func (n *Node) fault(ask uint64, code orielv1.Code, detail string) {
	if ask != 0 {
		n.send(&orielv1.FromAgent{ReplyTo: ask, Body: &orielv1.FromAgent_Fault{Fault: &orielv1.Fault{Code: code, Detail: detail}}})
	}
}

func (n *Node) offer(offer *orielv1.Offer) {
	n.mu.Lock()
	verifier := n.verifier // non-nil: welcomed
	n.mu.Unlock()
	grant, err := verifier.Verify(offer)
	if err != nil {
		n.refuse(offer, err, trust.CodeOf(err))
		return
	}
	if err := keeps(grant.GetPolicy()); err != nil {
		n.refuse(offer, err, orielv1.Code_CODE_UNIMPLEMENTED)
		return
	}
	n.log.Info("session offered", "session", grant.GetSessionId(), "operator", grant.GetOperator().GetId(),
		"address", grant.GetOperator().GetAddress(), "scopes", orielv1.Words(grant.GetScopes()))
	n.mu.Lock()
	n.ended.ack(offer.GetSessionId()) // it runs again
	n.mu.Unlock()
	n.lends(grant, offer.GetAttempt())
	state := n.id.State()
	n.ice.look(n.ctx, state, &n.looking)
	offer.IceServers = n.ice.take(state, offer.GetIceServers())
	n.desktop.Offer(offer, grant)
}

// keeps reports whether this agent can see to what a policy demands.
func keeps(p *orielv1.Policy) error {
	lacks := ""
	switch {
	case p.GetConsent() != orielv1.Consent_CONSENT_UNSPECIFIED:
		lacks = "ask somebody at it for consent"
	case p.GetRecording():
		lacks = "record a session"
	case p.GetBanner():
		lacks = "show at it that a session runs"
	default:
		return nil
	}
	return fmt.Errorf("this computer's agent cannot %s, as the policy demands; update the agent, or change the policy", lacks)
}

// supplement puts other scopes in force for a running session.
func (n *Node) supplement(ask uint64, signed *orielv1.SignedSupplement) {
	n.mu.Lock()
	verifier := n.verifier // non-nil: welcomed
	n.mu.Unlock()
	s, err := verifier.VerifySupplement(signed)
	if err != nil {
		n.log.Warn("supplement to a grant refused", "error", err)
		n.fault(ask, trust.CodeOf(err), err.Error())
		return
	}
	n.log.Info("session is to do other things", "session", s.GetSessionId(), "scopes", orielv1.Words(s.GetScopes()))
	if ask == 0 {
		n.log.Warn("supplement that nobody waits for", "session", s.GetSessionId())
		return
	}
	if err := n.asksDesktop(ask, s); err != nil {
		n.fault(ask, orielv1.Code_CODE_BUSY, err.Error())
		return
	}
	n.desktop.Supplement(ask, s)
}

// refuse answers an offer whose grant is no good. A running session of that
// id goes on: only this attempt at it has ended. So has the attempt alone when
// only the times are no good: the relay makes another grant, and sends it after
// its time, which is asked for first.
func (n *Node) refuse(offer *orielv1.Offer, err error, code orielv1.Code) {
	n.log.Warn("session refused", "session", offer.GetSessionId(), "error", err)
	e := &orielv1.SessionEnded{
		SessionId: offer.GetSessionId(), Reason: orielv1.EndReason_END_REASON_REFUSED,
		Code: code, Detail: err.Error(), EndedAt: n.o.Clock.Wall().UnixMilli(),
	}
	untimely := errors.Is(err, trust.ErrExpired)
	if untimely {
		n.link.AskClock()
	}
	if untimely || slices.Contains(n.desktop.Running(), offer.GetSessionId()) {
		e.Attempt = offer.GetAttempt()
	}
	n.fromDesktop(ended(e))
}

// endSession ends a running session. The end of one that is over already is
// said again as it was.
func (n *Node) endSession(e *orielv1.EndSession) {
	n.mu.Lock()
	over := n.ended.get(e.GetSessionId())
	n.mu.Unlock()
	if over != nil {
		n.send(ended(over))
		return
	}
	n.desktop.End(e)
}

// maxUnacked bounds what a relay that never acknowledges can make us keep.
const maxUnacked = 1024

// unacked are the ends of sessions that the relay has not acknowledged, the
// oldest first.
type unacked struct{ list []*orielv1.SessionEnded }

func (u *unacked) add(e *orielv1.SessionEnded) {
	u.ack(e.GetSessionId())
	if len(u.list) >= maxUnacked {
		u.list = slices.Delete(u.list, 0, 1)
	}
	u.list = append(u.list, e)
}

func (u *unacked) ack(session string) {
	u.list = slices.DeleteFunc(u.list, func(e *orielv1.SessionEnded) bool { return e.GetSessionId() == session })
}

func (u *unacked) get(session string) *orielv1.SessionEnded {
	for _, e := range u.list {
		if e.GetSessionId() == session {
			return e
		}
	}
	return nil
}
