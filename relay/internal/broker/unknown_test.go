package broker_test

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/relaytest"
)

// stuffed is m with 900 kB in a field that nobody knows.
func stuffed[M proto.Message](m M) M {
	m.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 999, protowire.BytesType), make([]byte, 900_000)))
	return m
}

// Rule: bounds hold for unknown fields, too: what is passed on between tab and
// computer has none, whichever of its parts they were in.
func TestUnknownFieldsAreNotCarried(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	w := start(t, n, n)
	small := func(what string, m proto.Message) {
		t.Helper()
		if size := proto.Size(m); size > 10_000 {
			t.Errorf("%s came with %d bytes", what, size)
		}
	}
	attempt := w.tab.Open(w.computer, relaytest.Controlling, "")
	from := func(session, text string) {
		w.tab.Say(&orielv1.FromConsole{Body: &orielv1.FromConsole_Candidate{Candidate: stuffed(&orielv1.Candidate{
			Attempt: attempt, SessionId: session, Candidate: text})}})
	}
	from("", "early")
	id := w.tab.Opened(attempt).GetSessionId()
	o, g := w.agent.Offer()
	small("an early candidate", w.agent.Candidate())
	from(id, "late")
	small("a candidate", w.agent.Candidate())

	w.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Answer{Answer: stuffed(&orielv1.Answer{SessionId: id, Attempt: attempt,
		Sdp: o.GetSdp(), Nonce: g.GetNonce(), MachineKey: w.machine.Public(), Signature: make([]byte, 64)})}})
	small("the answer", w.tab.Answer())
	w.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Candidate{Candidate: stuffed(&orielv1.Candidate{
		Attempt: attempt, SessionId: id, Candidate: "agent's"})}})
	small("the agent's candidate", w.tab.Take("candidate", func(m *orielv1.ToConsole) bool { return m.GetCandidate() != nil }))
	w.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionEnded{SessionEnded: stuffed(&orielv1.SessionEnded{
		SessionId: id, Attempt: attempt, Reason: orielv1.EndReason_END_REASON_FAILED})}})
	small("the end of an attempt", w.tab.Ended(id))
}
