package hub_test

import (
	"bytes"
	"encoding/json"
	"image"
	"image/jpeg"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/transcript"
	"oriel/protocol/trust"
	"oriel/protocol/wire"
	"oriel/relay/internal/relaytest"
)

// transcripts are what earlier releases said (package transcript). An agent and a tab of
// each are played against this relay, message by message as they were recorded.
//
// Made anew in them is only what cannot be kept: ids that this relay gives (computer,
// session), nonces and what is signed over them (Hello, Answer), times, and the machine's
// key, for which this relay has a computer of its own. All else goes out as it was:
// the agent's description, status, SDP with its certificate, candidates, reports and
// ends; the tab's asks, SDP and candidates.
//
// What this relay says is held to what the recorded relay said at that place: the same
// kind of message, and no field that was there is missing.
const transcripts = "../../../protocol/testdata/transcripts"

// recording is one, read from the front.
type recording struct {
	t      *testing.T
	frames []transcript.Frame
}

func load(t *testing.T, release, name string) *recording {
	t.Helper()
	frames, err := transcript.Read(transcripts, release, name)
	if err != nil {
		t.Fatal(err)
	}
	return &recording{t, frames}
}

// next reads the next message with that body into m.
func (r *recording) next(from, body string, m proto.Message) {
	r.t.Helper()
	i := slices.IndexFunc(r.frames, func(f transcript.Frame) bool { return f.From == from && f.Body == body })
	if i < 0 {
		r.t.Fatalf("the recording has no further %s of the %s", body, from)
	}
	if err := r.frames[i].Into(m); err != nil {
		r.t.Fatalf("this side cannot read the recorded %s: %v", body, err)
	}
	r.frames = slices.Delete(r.frames, i, i+1)
	if body == "session_ended_ack" || body == "session_ended" && from == "relay" {
		r.frames = r.frames[i:] // what is left of that session
	}
}

func (r *recording) agent(body string) *orielv1.FromAgent {
	r.t.Helper()
	m := &orielv1.FromAgent{}
	r.next("agent", body, m)
	return m
}

func (r *recording) toAgent(body string) *orielv1.ToAgent {
	r.t.Helper()
	m := &orielv1.ToAgent{}
	r.next("relay", body, m)
	return m
}

func (r *recording) tab(body string) *orielv1.FromConsole {
	r.t.Helper()
	m := &orielv1.FromConsole{}
	r.next("tab", body, m)
	return m
}

func (r *recording) toTab(body string) *orielv1.ToConsole {
	r.t.Helper()
	m := &orielv1.ToConsole{}
	r.next("relay", body, m)
	return m
}

// whole fails the test when now lacks a field of recorded.
func whole(t *testing.T, recorded, now proto.Message) {
	t.Helper()
	if lacks := transcript.Lacks(recorded, now); len(lacks) > 0 {
		t.Errorf("%s lacks %v, which an older side may rely on\nrecorded %v\nnow      %v", recorded.ProtoReflect().Descriptor().Name(), lacks, recorded, now)
	}
}

// Rule: an agent and a tab of every recorded release have a session by this relay, and
// miss nothing that theirs told them.
func TestRecordedAgentAndTab(t *testing.T) {
	releases, err := transcript.Releases(transcripts)
	if err != nil {
		t.Fatal(err)
	}
	for _, release := range releases {
		t.Run(release, func(t *testing.T) {
			n := relaytest.StartNode(t, relaytest.NodeOptions{ICE: func(string, string, time.Time) []*orielv1.IceServer {
				return []*orielv1.IceServer{{Urls: []string{"turn:127.0.0.1:3478"}, Username: "u", Credential: "c"}}
			}})
			_, cookie := n.Owner(t)
			said := load(t, release, transcript.Agent)
			m := relaytest.NewMachine("pc")
			before := m.Connect(t, n, n.Token(t, 1)) // it is enrolled already
			_ = before.Conn.Close()

			hello := said.agent("hello").GetHello()
			m.Hello = proto.CloneOf(hello)
			a := m.Connect(t, n, "")
			whole(t, said.toAgent("challenge").GetChallenge(), m.Asked)
			whole(t, hello, m.Last)
			whole(t, said.toAgent("welcome").GetWelcome(), a.Welcome)
			a.Say(said.agent("status"))

			saw := load(t, release, transcript.Tab)
			tab := relaytest.OpenTab(t, n, cookie)
			whole(t, saw.toTab("welcome").GetWelcome(), tab.Welcome)
			tab.Say(saw.tab("watch"))
			list := tab.Take("computers", func(m *orielv1.ToConsole) bool { return m.GetComputers() != nil })
			whole(t, saw.toTab("computers"), list)
			tab.Take("journal", func(m *orielv1.ToConsole) bool { return m.GetJournal() != nil })
			prepare := saw.tab("prepare_session")
			prepare.GetPrepareSession().ComputerId = a.Welcome.GetComputerId()
			tab.Say(prepare)
			a.Take("prepare", func(m *orielv1.ToAgent) bool { return m.GetPrepare() != nil })
			a.Say(said.agent("status"))
			a.Say(smallPreview(t)) // of the recording it is left out

			for _, name := range []string{transcript.Control, transcript.View} {
				play{t, n, a, tab, said, saw}.session(name)
			}
		})
	}
}

func smallPreview(t *testing.T) *orielv1.FromAgent {
	t.Helper()
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	return &orielv1.FromAgent{Body: &orielv1.FromAgent_Preview{Preview: &orielv1.Preview{Type: "image/jpeg", Data: picture.Bytes(),
		Width: 8, Height: 8, TakenAt: time.Now().UnixMilli()}}}
}

// play is a recording being played.
type play struct {
	t    *testing.T
	n    *relaytest.Node
	a    *relaytest.Agent
	tab  *relaytest.Tab
	said *recording
	saw  *recording
}

func (p play) session(name string) {
	t, a, tab := p.t, p.a, p.tab
	open := p.saw.tab("open_session")
	ask := open.GetOpenSession()
	ask.ComputerId = a.Welcome.GetComputerId()
	tab.Say(open)
	tab.Say(p.saw.tab("candidate"))
	opened := tab.Opened(ask.GetAttempt())
	recorded := p.saw.toTab("session_opened").GetSessionOpened()
	whole(t, recorded, opened)
	if !slices.Equal(opened.GetScopes(), recorded.GetScopes()) {
		t.Errorf("the tab was granted %v, and %v then", opened.GetScopes(), recorded.GetScopes())
	}
	id := opened.GetSessionId()

	offer, grant := a.Offer() // verified as every release does
	was := p.said.toAgent("offer").GetOffer()
	whole(t, was, offer)
	before := &orielv1.Grant{}
	if err := orielv1.Decode(was.GetGrant().GetGrant(), before); err != nil {
		t.Fatal(err)
	}
	whole(t, before, grant)
	if !slices.Equal(grant.GetScopes(), before.GetScopes()) {
		t.Errorf("the grant gives %v, and gave %v then", grant.GetScopes(), before.GetScopes())
	}
	whole(t, p.said.toAgent("candidate").GetCandidate(), a.Candidate())

	answer := p.said.agent("answer")
	body := answer.GetAnswer()
	fingerprint, err := trust.Fingerprint(body.GetSdp())
	if err != nil {
		t.Fatal(err)
	}
	body.SessionId, body.Nonce, body.MachineKey = id, grant.GetNonce(), a.Public()
	if body.Signature, err = trust.SignAnswer(trust.Key(a.Key), id, grant.GetNonce(), fingerprint); err != nil {
		t.Fatal(err)
	}
	a.Say(answer)
	got := tab.Answer()
	whole(t, p.saw.toTab("answer").GetAnswer(), got)
	sealed, err := trust.Fingerprint(got.GetSdp())
	if err != nil {
		t.Fatal(err)
	}
	if err := trust.VerifyAnswer(opened.GetComputerKey(), id, opened.GetNonce(), sealed, got.GetSignature()); err != nil {
		t.Errorf("the tab would not take the answer: %v", err)
	}
	candidate := p.said.agent("candidate")
	candidate.GetCandidate().SessionId = id
	a.Say(candidate)
	through := tab.Take("candidate", func(m *orielv1.ToConsole) bool { return m.GetCandidate() != nil }).GetCandidate()
	whole(t, p.saw.toTab("candidate").GetCandidate(), through)

	report := p.said.agent("session_report")
	report.GetSessionReport().SessionId, report.GetSessionReport().ConnectedAt = id, time.Now().UnixMilli()
	a.Say(report)
	whole(t, p.saw.toTab("computer"), tab.Take("computer", func(m *orielv1.ToConsole) bool {
		return m.GetComputer().GetStatus() == orielv1.Computer_STATUS_IN_SESSION && m.GetComputer().GetPreviewAt() != 0
	}))
	whole(t, p.saw.toTab("journal_entry"), tab.Take("running", func(m *orielv1.ToConsole) bool {
		e := m.GetJournalEntry()
		return e.GetSessionId() == id && e.GetConnectedAt() != 0
	}))

	if name == transcript.Control { // the tab ended it, the other the agent
		over := p.saw.tab("close_session")
		over.GetCloseSession().SessionId = id
		tab.Say(over)
		whole(t, p.said.toAgent("end_session").GetEndSession(), a.EndSession(id))
	}
	ended := p.said.agent("session_ended")
	ended.GetSessionEnded().SessionId, ended.GetSessionEnded().EndedAt = id, time.Now().UnixMilli()
	a.Say(ended)
	whole(t, p.said.toAgent("session_ended_ack"), a.Take("ack", func(m *orielv1.ToAgent) bool {
		return m.GetSessionEndedAck().GetSessionId() == id
	}))
	whole(t, p.saw.toTab("session_ended"), &orielv1.ToConsole{Body: &orielv1.ToConsole_SessionEnded{SessionEnded: tab.Ended(id)}})
	e, err := p.n.Journal.Get(t.Context(), relaytest.Own(id))
	if err != nil || e.GetEndedAt() == 0 || e.GetEndReason() != ended.GetSessionEnded().GetReason() {
		t.Errorf("the journal has %v, %v", e, err)
	}
}

// Rule: an agent of a release that showed its enrollment token is refused, and told to
// be updated; that is what no longer works with it. One that proves it may come.
func TestRecordedEnrollment(t *testing.T) {
	releases, err := transcript.Releases(transcripts)
	if err != nil {
		t.Fatal(err)
	}
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	for _, release := range releases {
		header := load(t, release, transcript.Enroll).frames[0].Header
		if header == "" {
			t.Fatalf("%s: the recording does not begin with the header", release)
		}
		if _, err := trust.ParseAuthorization(header); err == nil {
			continue // its token is of the recorded relay; that it can be read is all there is to see
		}
		_, resp, err := wire.Dial(t.Context(), "ws"+strings.TrimPrefix(n.URL, "http")+"/agent/v1",
			http.Header{"Authorization": {header}}, nil, wire.Options{})
		if err == nil || resp == nil || resp.StatusCode != http.StatusUnauthorized {
			t.Fatalf("%s: %v, %v", release, resp, err)
		}
		var said struct{ Message, Detail string }
		if err := json.NewDecoder(resp.Body).Decode(&said); err != nil || !strings.Contains(said.Message+said.Detail, "update the agent") {
			t.Errorf("%s: its person reads %+v, %v", release, said, err)
		}
	}
}
