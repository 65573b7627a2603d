// Package nodetest is the browser's side of a session for tests of the agent: a
// pion peer that wants to see, and the grants and offers a relay would send for it.
package nodetest

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/link/linktest"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// Viewer is a browser's peer connection with its control channel.
type Viewer struct {
	pc   *webrtc.PeerConnection
	sdp  string
	open chan struct{} // closed when the control channel is open
	gone chan struct{} // closed when the peer connection has ended

	mu     sync.Mutex
	taken  bool                   // protected by mu; the answer is set
	before []*orielv1.Candidate   // protected by mu; that came before the answer
	heard  []*orielv1.FromDesktop // protected by mu; on control

	channels map[string]*webrtc.DataChannel
}

// NewViewer makes an offer. It is closed with the test.
func NewViewer(t testing.TB) *Viewer {
	t.Helper()
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.GracefulClose() })
	v := &Viewer{pc: pc, channels: make(map[string]*webrtc.DataChannel), open: make(chan struct{}), gone: make(chan struct{})}
	var gone sync.Once
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateClosed || s == webrtc.PeerConnectionStateFailed || s == webrtc.PeerConnectionStateDisconnected {
			gone.Do(func() { close(v.gone) })
		}
	})
	protocol := "oriel.v1"
	for _, label := range []string{"control", "pointer"} {
		if v.channels[label], err = pc.CreateDataChannel(label, &webrtc.DataChannelInit{Protocol: &protocol}); err != nil {
			t.Fatal(err)
		}
	}
	v.channels["control"].OnOpen(func() { close(v.open) })
	v.channels["control"].OnMessage(func(raw webrtc.DataChannelMessage) {
		m := &orielv1.FromDesktop{}
		if err := orielv1.Decode(raw.Data, m); err != nil {
			t.Errorf("on control: %v", err)
			return
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		v.heard = append(v.heard, m)
	})
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	<-gathered
	v.sdp = pc.LocalDescription().SDP
	return v
}

// Take sets the agent's answer.
func (v *Viewer) Take(t testing.TB, a *orielv1.Answer) {
	t.Helper()
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: a.GetSdp()}); err != nil {
		t.Fatal(err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.taken = true
	for _, c := range v.before {
		v.add(c)
	}
}

// Candidate takes one of the agent's candidates; nil and the last, empty one
// are passed over.
func (v *Viewer) Candidate(c *orielv1.Candidate) {
	if c.GetCandidate() == "" {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.taken {
		v.before = append(v.before, c)
		return
	}
	v.add(c)
}

func (v *Viewer) add(c *orielv1.Candidate) {
	mid, index := c.GetSdpMid(), uint16(c.GetSdpMLineIndex())
	_ = v.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: c.GetCandidate(), SDPMid: &mid, SDPMLineIndex: &index})
}

// Connected waits until the control channel is open.
func (v *Viewer) Connected(t testing.TB) {
	t.Helper()
	select {
	case <-v.open:
	case <-time.After(linktest.Deadline):
		t.Fatal("the viewer was not connected")
	}
}

// Fingerprint of the viewer's certificate.
func (v *Viewer) Fingerprint(t testing.TB) []byte {
	t.Helper()
	fingerprint, err := trust.Fingerprint(v.sdp)
	if err != nil {
		t.Fatal(err)
	}
	return fingerprint
}

// SDP of the viewer's offer.
func (v *Viewer) SDP() string { return v.sdp }

// Send says b on control or pointer.
func (v *Viewer) Send(t testing.TB, label string, b []byte) {
	t.Helper()
	if err := v.channels[label].Send(b); err != nil {
		t.Fatal(err)
	}
}

// Hear waits for a message on control.
func (v *Viewer) Hear(t testing.TB, what string, is func(*orielv1.FromDesktop) bool) (found *orielv1.FromDesktop) {
	t.Helper()
	linktest.Until(t, what, func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		for _, m := range v.heard {
			if is(m) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// Open reports whether the control channel is open.
func (v *Viewer) Open() bool {
	select {
	case <-v.open:
		return true
	default:
		return false
	}
}

// Gone is closed when the agent's side went away.
func (v *Viewer) Gone() <-chan struct{} { return v.gone }

var sessions atomic.Int64

// Grant is a good one for v, for a session of its own.
func Grant(t testing.TB, relay *linktest.Relay, machine ed25519.PublicKey, v *Viewer) *orielv1.Grant {
	t.Helper()
	nonce := make([]byte, 16)
	rand.Read(nonce)
	now := relay.Now()
	return &orielv1.Grant{
		SessionId: fmt.Sprintf("session-%d", sessions.Add(1)), Nonce: nonce, ComputerId: relay.Computer, ComputerKey: machine,
		Operator: &orielv1.Operator{Id: "p1", Name: "Ada"}, Scopes: []orielv1.Scope{orielv1.Scope_SCOPE_VIEW, orielv1.Scope_SCOPE_CONTROL},
		IssuedAt: now.UnixMilli(), ExpiresAt: now.Add(trust.GrantLifetime).UnixMilli(), Fingerprint: v.Fingerprint(t),
	}
}

// Offer is v's offer with g signed by key.
func Offer(t testing.TB, key ed25519.PrivateKey, g *orielv1.Grant, v *Viewer, attempt uint32) *orielv1.ToAgent {
	t.Helper()
	signed, err := trust.SignGrant(trust.Key(key), g)
	if err != nil {
		t.Fatal(err)
	}
	return &orielv1.ToAgent{Body: &orielv1.ToAgent_Offer{Offer: &orielv1.Offer{SessionId: g.GetSessionId(), Grant: signed, Sdp: v.sdp, Attempt: attempt}}}
}
