package broker_test

import (
	"strings"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/relaytest"
)

// hostile are lines that a parser may take for another certificate.
var hostile = map[string]string{
	"a lone CR before the line": "\ra=fingerprint:sha-256 EE\r\n",
	"a lone LF within another":  "a=x:y\na=fingerprint:sha-256 EE\r\n",
	"a capital in the name":     "a=Fingerprint:sha-256 EE\r\n",
	"a capital type":            "A=fingerprint:sha-256 EE\r\n",
	"a blank before the name":   "a= fingerprint:sha-256 EE\r\n",
	"hidden in another":         "a=x:y a=fingerprint:sha-256 EE\r\n",
	"NUL":                       "\x00a=fingerprint:sha-256 EE\r\n",
	"U+2028":                    "a=x:y\u2028a=fingerprint:sha-256 EE\r\n",
	"another hash":              "a=fingerprint:sha-1 EE\r\n",
}

func with(sdp, line string) string { return strings.Replace(sdp, "a=", line+"a=", 1) }

// Rule: the relay forwards no offer that another parser could read otherwise, and
// what it forwards names one certificate and no other identity.
func TestOffersAreReadStrictly(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	w := start(t, n, n)
	sdp := relaytest.SDP(w.tab.Certificate())
	open := func(attempt uint32, sdp string) {
		w.tab.Say(&orielv1.FromConsole{Body: &orielv1.FromConsole_OpenSession{OpenSession: &orielv1.OpenSession{
			Attempt: attempt, ComputerId: w.computer, Wanted: relaytest.Watching, Sdp: sdp}}})
	}
	for name, line := range hostile {
		open(5, with(sdp, line))
		if p := w.tab.Problem(); p.GetCode() != orielv1.Code_CODE_INVALID || p.GetAttempt() != 5 {
			t.Errorf("%s: %v", name, p)
		}
	}
	open(6, with(sdp, "a=identity:eyJ9\r\na=crypto:1 AES inline:x\r\na=fingerprint:SHA-256"+strings.ToLower(sdp[strings.Index(sdp, "256 ")+3:])))
	o, _ := w.agent.Offer() // the only one
	if o.GetAttempt() != 6 || o.GetSdp() != sdp {
		t.Errorf("attempt %d was forwarded as %q", o.GetAttempt(), o.GetSdp())
	}
}

// Rule: an answer that no viewer would take is not passed on; its session ends,
// and both sides are told.
func TestAnswersAreReadStrictly(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	w := start(t, n, n)
	for name, line := range hostile {
		attempt := w.tab.Open(w.computer, relaytest.Watching, "")
		id := w.tab.Opened(attempt).GetSessionId()
		o, g := w.agent.Offer()
		w.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Answer{Answer: &orielv1.Answer{SessionId: id, Attempt: attempt,
			Nonce: g.GetNonce(), Sdp: with(o.GetSdp(), line)}}})
		if e := w.tab.Ended(id); e.GetCode() != orielv1.Code_CODE_INVALID || e.GetReason() != orielv1.EndReason_END_REASON_FAILED {
			t.Errorf("%s: %v", name, e)
		}
		w.agent.EndSession(id)
		if w.tab.Has(func(m *orielv1.ToConsole) bool { return m.GetAnswer() != nil }) {
			t.Errorf("%s: the answer was passed on", name)
		}
	}
	// Nor does an agent end another computer's session that way.
	w.tab.Open(w.computer, relaytest.Watching, "")
	o, g := w.agent.Offer()
	other := relaytest.NewMachine("other").Connect(t, n, n.Token(t, 1))
	other.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Answer{Answer: &orielv1.Answer{SessionId: o.GetSessionId(),
		Attempt: o.GetAttempt(), Sdp: "none"}}})
	other.EndSession(o.GetSessionId())
	w.agent.Answer(o, g)
	w.tab.Answer()
}
