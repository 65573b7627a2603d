package node_test

import (
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"oriel/agent/internal/identity"
	"oriel/agent/internal/link"
	"oriel/agent/internal/link/linktest"
	"oriel/agent/internal/node/nodetest"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/transcript"
	"oriel/protocol/trust"
	"oriel/protocol/wire"
)

// transcripts are what earlier releases said (package transcript). A relay of each is
// played to this agent, and the viewer of then to its sessions.
//
// Made anew in them is only what cannot be kept: the relay's key and what it signs
// (Welcome, Grant), times, and in a grant the machine's key and the certificate of the
// viewer, which is a pion peer of today. All else goes out as it was: the challenge's
// nonce, ids of computer and sessions, settings, scopes, mode, and every message of the
// viewer on the data channels. So are fields missing that the release did not know: no
// lease, no membership, no succession key, no answer to AskClock.
//
// What this agent says is held to what the recorded agent said at that place.
const transcripts = "../../../protocol/testdata/transcripts"

// oldRelay says what one of a recorded release did.
type oldRelay struct {
	t      *testing.T
	key    ed25519.PrivateKey
	frames []transcript.Frame
	conn   chan *wire.Conn

	mu  sync.Mutex
	got []*orielv1.FromAgent // protected by mu
}

// next takes the next recorded message with that body out.
func next[M proto.Message](t *testing.T, frames *[]transcript.Frame, from, body string, m M) M {
	t.Helper()
	i := slices.IndexFunc(*frames, func(f transcript.Frame) bool { return f.From == from && f.Body == body })
	if i < 0 {
		t.Fatalf("the recording has no further %s of the %s", body, from)
	}
	if err := (*frames)[i].Into(m); err != nil {
		t.Fatalf("this side cannot read the recorded %s: %v", body, err)
	}
	*frames = slices.Delete(*frames, i, i+1)
	return m
}

func (r *oldRelay) said(body string) *orielv1.ToAgent {
	r.t.Helper()
	return next(r.t, &r.frames, "relay", body, &orielv1.ToAgent{})
}

func (r *oldRelay) heard(body string) *orielv1.FromAgent {
	r.t.Helper()
	return next(r.t, &r.frames, "agent", body, &orielv1.FromAgent{})
}

func (r *oldRelay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	conn, err := wire.Upgrade(w, req, wire.Options{})
	if err != nil {
		return
	}
	defer conn.Close()
	challenge := r.said("challenge").GetChallenge()
	challenge.RelayKey = r.key.Public().(ed25519.PublicKey)
	_ = conn.Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_Challenge{Challenge: challenge}})
	first := &orielv1.FromAgent{}
	if conn.Receive(first) != nil {
		return // it enrolls, and this relay cannot prove itself
	}
	hello := first.GetHello()
	if err := trust.VerifyHello(hello.GetMachineKey(), trust.Hello{RelayNonce: challenge.GetNonce(), RelayKey: challenge.GetRelayKey(),
		AgentNonce: hello.GetNonce()}, hello.GetSignature()); err != nil {
		r.t.Errorf("the recorded relay would not take it in: %v", err)
	}
	was := r.heard("hello")
	was.GetHello().GetStatus().Detail = "" // why there is no display, of that moment
	whole(r.t, was, first)
	welcome := r.said("welcome").GetWelcome()
	now := time.Now()
	welcome.Now = now.UnixMilli()
	welcome.Signature, _ = trust.SignWelcome(trust.Key(r.key), hello.GetNonce(), welcome.GetComputerId(), now)
	_ = conn.Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_Welcome{Welcome: welcome}})
	r.conn <- conn
	for {
		m := &orielv1.FromAgent{}
		if conn.Receive(m) != nil {
			return
		}
		r.mu.Lock()
		r.got = append(r.got, m)
		r.mu.Unlock()
	}
}

func (r *oldRelay) wait(what string, is func(*orielv1.FromAgent) bool) (found *orielv1.FromAgent) {
	r.t.Helper()
	linktest.Until(r.t, what, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, m := range r.got {
			if is(m) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// whole fails the test when now lacks a field of recorded.
func whole(t *testing.T, recorded, now proto.Message) {
	t.Helper()
	if lacks := transcript.Lacks(recorded, now); len(lacks) > 0 {
		t.Errorf("%s lacks %v, which an older side may rely on\nrecorded %v\nnow      %v", recorded.ProtoReflect().Descriptor().Name(), lacks, recorded, now)
	}
}

func releases(t *testing.T) []string {
	t.Helper()
	all, err := transcript.Releases(transcripts)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func read(t *testing.T, release, name string) []transcript.Frame {
	t.Helper()
	frames, err := transcript.Read(transcripts, release, name)
	if err != nil {
		t.Fatal(err)
	}
	return frames
}

// Rule: this agent, enrolled already, has its sessions by a relay of every recorded
// release, with the viewer of then, who misses nothing that he was told.
func TestRecordedRelay(t *testing.T) {
	for _, release := range releases(t) {
		t.Run(release, func(t *testing.T) {
			old := &oldRelay{t: t, frames: read(t, release, transcript.Agent), conn: make(chan *wire.Conn, 1)}
			computer := next(t, new(slices.Clone(old.frames)), "relay", "welcome", &orielv1.ToAgent{}).GetWelcome().GetComputerId()
			_, old.key, _ = ed25519.GenerateKey(nil)
			server := httptest.NewServer(old)
			id := identified(t, identity.Given{Relays: []string{server.URL}})
			if err := id.Welcomed(old.key.Public().(ed25519.PublicKey), nil, computer, nil); err != nil { // it enrolled before
				t.Fatal(err)
			}
			runAs(t, id)
			defer server.Close()
			conn := <-old.conn
			defer conn.Close()
			status := old.heard("status")
			status.GetStatus().Detail = "" // why there is no display, of that moment
			whole(t, status, old.wait("status", func(m *orielv1.FromAgent) bool { return m.GetStatus() != nil }))
			for _, name := range []string{transcript.Control, transcript.View} {
				old.session(conn, name, id.Key(), read(t, release, name))
			}
		})
	}
}

// session plays one recorded session.
func (r *oldRelay) session(conn *wire.Conn, name string, machine ed25519.PublicKey, channels []transcript.Frame) {
	t, v := r.t, nodetest.NewViewer(r.t)
	offer := r.said("offer")
	o, g := offer.GetOffer(), &orielv1.Grant{}
	if err := orielv1.Decode(o.GetGrant().GetGrant(), g); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	g.ComputerKey, g.Fingerprint = machine, v.Fingerprint(t)
	g.IssuedAt, g.ExpiresAt = now.UnixMilli(), now.Add(trust.GrantLifetime).UnixMilli()
	signed, err := trust.SignGrant(trust.Key(r.key), g)
	if err != nil {
		t.Fatal(err)
	}
	o.Grant, o.Sdp = signed, v.SDP()
	_ = conn.Send(offer)
	_ = conn.Send(r.said("candidate"))
	id := o.GetSessionId()
	answer := r.wait("answer", answered(id)).GetAnswer()
	whole(t, r.heard("answer").GetAnswer(), answer)
	fingerprint, err := trust.Fingerprint(answer.GetSdp())
	if err != nil {
		t.Fatal(err)
	}
	if err := trust.VerifyAnswer(machine, id, g.GetNonce(), fingerprint, answer.GetSignature()); err != nil {
		t.Errorf("the tab of then would not take the answer: %v", err)
	}
	v.Take(t, answer)
	candidate := r.wait("candidate", func(m *orielv1.FromAgent) bool { return m.GetCandidate().GetSessionId() == id })
	whole(t, r.heard("candidate"), candidate)
	for _, m := range r.all() {
		if c := m.GetCandidate(); c.GetSessionId() == id {
			v.Candidate(c)
		}
	}
	v.Connected(t)
	whole(t, r.heard("session_report"), r.wait("report", func(m *orielv1.FromAgent) bool { return m.GetSessionReport().GetSessionId() == id }))

	ready := next(t, &channels, "agent", "ready", &orielv1.FromDesktop{}).GetReady()
	got := v.Hear(t, "ready", func(m *orielv1.FromDesktop) bool { return m.GetReady() != nil }).GetReady()
	whole(t, ready, got)
	if !slices.Equal(got.GetScopes(), ready.GetScopes()) {
		t.Errorf("in force is %v, and was %v then", got.GetScopes(), ready.GetScopes())
	}
	leaves := false
	for _, f := range channels {
		if f.From == "tab" && f.Body != "leave" {
			v.Send(t, f.Channel, f.Bytes)
		}
		leaves = leaves || f.Body == "leave"
	}
	for _, f := range channels {
		switch f.Body {
		case "pong", "denied", "cursor_shape", "cursor_place":
			m := &orielv1.FromDesktop{}
			if err := f.Into(m); err != nil {
				t.Fatal(err)
			}
			v.Hear(t, f.Body, func(now *orielv1.FromDesktop) bool {
				return transcript.Body(now) == f.Body && len(transcript.Lacks(m, now)) == 0
			})
		}
	}
	if leaves {
		for _, f := range channels {
			if f.Body == "leave" {
				v.Send(t, f.Channel, f.Bytes)
			}
		}
	} else {
		_ = conn.Send(r.said("end_session"))
	}
	ended := r.wait("end", endedWith(id)).GetSessionEnded()
	was := r.heard("session_ended").GetSessionEnded()
	was.Delays = nil // there was no picture, or there was
	whole(t, was, ended)
	if ended.GetReason() != was.GetReason() {
		t.Errorf("ended %v, and %v then", ended, was)
	}
	_ = conn.Send(r.said("session_ended_ack"))
	if i := slices.IndexFunc(r.frames, func(f transcript.Frame) bool { return f.Body == "offer" }); i >= 0 {
		r.frames = r.frames[i:] // what is left of that session
	}
}

func (r *oldRelay) all() []*orielv1.FromAgent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// Rule: this agent does not enroll at a relay of a release that does not prove its key,
// and says that it may be too old. An enrolled one works with it (TestRecordedRelay).
func TestRecordedEnrollment(t *testing.T) {
	for _, release := range releases(t) {
		frames := read(t, release, transcript.Enroll)
		if challenge := next(t, new(slices.Clone(frames)), "relay", "challenge", &orielv1.ToAgent{}); len(challenge.GetChallenge().GetSignature()) > 0 {
			continue // that relay proves itself, with a nonce that cannot come again
		}
		old := &oldRelay{t: t, frames: frames, conn: make(chan *wire.Conn, 1)}
		_, old.key, _ = ed25519.GenerateKey(nil)
		server := httptest.NewServer(old)
		token := trust.NewToken(old.key.Public().(ed25519.PublicKey))
		id := identified(t, identity.Given{Relays: []string{server.URL}, Token: token.String()})
		_, err := link.Check(t.Context(), id.Key(), id.State())
		if err == nil || !strings.Contains(err.Error(), "update the relay") {
			t.Errorf("%s: %v", release, err)
		}
		server.Close()
	}
}
