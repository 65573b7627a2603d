//go:build cgo

package session

import (
	"context"
	"crypto/ed25519"

	"fmt"
	"image"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
	"google.golang.org/protobuf/proto"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/encode"
	"oriel/agent/internal/encode/decodetest"
	"oriel/agent/internal/stream"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// rig is a Host and what the relay would see of it.
type rig struct {
	t    testing.TB
	host *Host
	key  ed25519.PrivateKey

	mu       sync.Mutex
	viewers  []*viewer
	statuses []*orielv1.Status
	previews []*orielv1.Preview
	reports  []*orielv1.SessionReport
	ends     []*orielv1.SessionEnded
}

// start runs a Host on what open gives.
func start(t testing.TB, o Options, open func(context.Context) (desktop.Desktop, error)) *rig {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, key: key}
	o.Open, o.Send, o.Sign, o.Loopback = open, r.send, r.sign, true
	if testing.Verbose() && o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(testWriter{t}, nil))
	}
	r.host = NewHost(o)
	t.Cleanup(func() { r.host.Close(orielv1.EndReason_END_REASON_AGENT_STOPPED) })
	return r
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func on(d desktop.Desktop) func(context.Context) (desktop.Desktop, error) {
	return func(context.Context) (desktop.Desktop, error) { return d, nil }
}

func (r *rig) sign(id string, nonce, fingerprint []byte) (sig, key []byte, err error) {
	sig, err = trust.SignAnswer(trust.Key(r.key), id, nonce, fingerprint)
	return sig, r.key.Public().(ed25519.PublicKey), err
}

func (r *rig) send(m *orielv1.FromAgent) {
	if err := orielv1.Check(m); err != nil {
		r.t.Errorf("the agent says what breaks a bound: %v", err)
	}
	r.mu.Lock()
	var to *viewer
	find := func(id string, attempt uint32) {
		for _, v := range r.viewers {
			if v.id == id && v.attempt == attempt {
				to = v
			}
		}
	}
	switch b := m.GetBody().(type) {
	case *orielv1.FromAgent_Status:
		r.statuses = append(r.statuses, b.Status)
	case *orielv1.FromAgent_Preview:
		r.previews = append(r.previews, b.Preview)
	case *orielv1.FromAgent_SessionReport:
		r.reports = append(r.reports, b.SessionReport)
	case *orielv1.FromAgent_SessionEnded:
		r.ends = append(r.ends, proto.Clone(b.SessionEnded).(*orielv1.SessionEnded))
	case *orielv1.FromAgent_Answer:
		find(b.Answer.GetSessionId(), b.Answer.GetAttempt())
	case *orielv1.FromAgent_Candidate:
		find(b.Candidate.GetSessionId(), b.Candidate.GetAttempt())
	}
	r.mu.Unlock()
	if to != nil {
		to.fromAgent(m)
	}
}

// ended is the end of a session, nil while it runs.
func (r *rig) ended(id string) *orielv1.SessionEnded {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.ends {
		if e.GetSessionId() == id && e.GetAttempt() == 0 {
			return e
		}
	}
	return nil
}

// expectEnd waits for the end of a session and compares its reason and code.
func (r *rig) expectEnd(id string, reason orielv1.EndReason, code orielv1.Code) *orielv1.SessionEnded {
	r.t.Helper()
	eventually(r.t, "end of "+id, func() bool { return r.ended(id) != nil })
	e := r.ended(id)
	if e.GetReason() != reason || e.GetCode() != code {
		r.t.Errorf("%s ended with %v %v %q, expected %v %v", id, e.GetReason(), e.GetCode(), e.GetDetail(), reason, code)
	}
	return e
}

// viewer is a real pion peer that plays the browser.
type viewer struct {
	t       testing.TB
	r       *rig
	id      string
	attempt uint32
	deaf    bool
	pc      *webrtc.PeerConnection
	control *webrtc.DataChannel
	pointer *webrtc.DataChannel
	wg      sync.WaitGroup
	seq     uint32

	mu       sync.Mutex
	closed   bool
	answer   *orielv1.Answer
	state    webrtc.PeerConnectionState
	told     []*orielv1.FromDesktop
	picture  *encode.Image
	pictures int
}

// look is how a viewer joins.
type look struct {
	id       string // "s1" when empty
	attempt  uint32
	operator string
	viewOnly bool
	scopes   []orielv1.Scope // overrides viewOnly
	issued   int64           // when the grant was, by the relay's clock
	codec    string          // offer this one only
	noVideo  bool
	mute     bool // send no candidates
	deaf     bool // take none
	channels []string
	ice      []*orielv1.IceServer // for the agent

	certificate []byte              // in the grant, instead of the viewer's
	tamper      func(string) string // what the relay makes of the offer
}

func (r *rig) join(l look) *viewer {
	r.t.Helper()
	if l.id == "" {
		l.id = "s1"
	}
	if l.attempt == 0 {
		l.attempt = 1
	}
	v := &viewer{t: r.t, r: r, id: l.id, attempt: l.attempt, deaf: l.deaf}
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	settings.DetachDataChannels() // pion drops what comes before its handler is set
	settings.SetICETimeouts(2*time.Second, 5*time.Second, 200*time.Millisecond)
	media := &webrtc.MediaEngine{}
	switch l.codec {
	case "":
		if err := stream.RegisterCodecs(media); err != nil {
			r.t.Fatal(err)
		}
	default:
		if err := media.RegisterCodec(webrtc.RTPCodecParameters{
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "video/" + l.codec, ClockRate: 90000}, PayloadType: 111,
		}, webrtc.RTPCodecTypeVideo); err != nil {
			r.t.Fatal(err)
		}
	}
	var err error
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(media))
	if v.pc, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(v.close)
	if !l.noVideo {
		if _, err := v.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo,
			webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			r.t.Fatal(err)
		}
	}
	v.pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { v.wg.Go(func() { v.receive(track) }) })
	v.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.state = s
	})
	v.control = v.openTo("control", true, func(b []byte, _ bool) {
		told := &orielv1.FromDesktop{}
		if err := orielv1.Decode(b, told); err != nil {
			r.t.Errorf("from the agent: %v", err)
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		v.told = append(v.told, told)
	})
	v.pointer = v.open("pointer", false)
	for _, label := range l.channels {
		v.open(label, true)
	}
	r.mu.Lock()
	r.viewers = append(r.viewers, v)
	r.mu.Unlock()

	offer, err := v.pc.CreateOffer(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	scopes := l.scopes
	if scopes == nil {
		scopes = []orielv1.Scope{orielv1.Scope_SCOPE_VIEW, orielv1.Scope_SCOPE_CONTROL}
		if l.viewOnly {
			scopes = scopes[:1]
		}
	}
	grant := &orielv1.Grant{
		SessionId: l.id, Nonce: []byte(fmt.Sprintf("nonce of %-7d", l.attempt))[:16], Scopes: scopes, IssuedAt: l.issued,
		Operator: &orielv1.Operator{Id: "operator" + l.operator}, Fingerprint: l.certificate,
	}
	if grant.Fingerprint == nil {
		if grant.Fingerprint, err = trust.Fingerprint(offer.SDP); err != nil {
			r.t.Fatal(err)
		}
	}
	sdp := offer.SDP
	if l.tamper != nil {
		sdp = l.tamper(sdp)
	}
	v.mu.Lock() // no answer is taken before the offer is set
	defer v.mu.Unlock()
	r.host.Offer(&orielv1.Offer{SessionId: l.id, Attempt: l.attempt, Sdp: sdp, IceServers: l.ice}, grant)
	v.pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		if l.mute {
			return
		}
		out := &orielv1.Candidate{SessionId: l.id, Attempt: l.attempt}
		if c != nil {
			out.Candidate = c.ToJSON().Candidate
		}
		r.host.Candidate(out)
	})
	if err := v.pc.SetLocalDescription(offer); err != nil {
		r.t.Fatal(err)
	}
	return v
}

func (v *viewer) open(label string, reliable bool) *webrtc.DataChannel {
	return v.openTo(label, reliable, func([]byte, bool) {})
}

func (v *viewer) openTo(label string, reliable bool, take func(b []byte, text bool)) *webrtc.DataChannel {
	protocol, zero := channelProtocol, uint16(0)
	init := &webrtc.DataChannelInit{Protocol: &protocol, Ordered: &reliable}
	if !reliable {
		init.MaxRetransmits = &zero
	}
	dc, err := v.pc.CreateDataChannel(label, init)
	if err != nil {
		v.t.Fatal(err)
	}
	v.listen(dc, take, func() {})
	return dc
}

// listen reads a channel until the agent has closed it, or the connection is gone.
func (v *viewer) listen(dc *webrtc.DataChannel, take func(b []byte, text bool), closed func()) {
	dc.OnOpen(func() {
		raw, err := dc.DetachWithDeadline()
		if err != nil {
			v.t.Error(err)
			return
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.closed {
			return
		}
		v.wg.Go(func() {
			defer closed()
			buf := make([]byte, 300<<10) // a cursor is the largest
			for {
				n, text, err := raw.ReadDataChannel(buf)
				if err != nil {
					return
				}
				take(buf[:n], text)
			}
		})
	})
}

func (v *viewer) fromAgent(m *orielv1.FromAgent) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if a := m.GetAnswer(); a != nil {
		fp, err := trust.Fingerprint(a.GetSdp())
		if err == nil {
			err = trust.VerifyAnswer(a.GetMachineKey(), v.id, a.GetNonce(), fp, a.GetSignature())
		}
		if err != nil {
			v.t.Errorf("answer: %v", err)
		}
		v.answer = a
		if v.deaf { // there may be candidates in the answer itself
			return
		}
		if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: a.GetSdp()}); err != nil {
			v.t.Errorf("set the answer: %v", err)
		}
		return
	}
	if v.answer == nil {
		v.t.Error("a candidate before the answer")
	}
	if v.deaf {
		return
	}
	mid := m.GetCandidate().GetSdpMid()
	_ = v.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: m.GetCandidate().GetCandidate(), SDPMid: &mid})
}

// ready joins and waits for Ready.
func (r *rig) ready(l look) *viewer {
	r.t.Helper()
	v := r.join(l)
	v.wait("ready", func(m *orielv1.FromDesktop) bool { return m.GetReady() != nil })
	return v
}

// wait waits for a message and returns it.
func (v *viewer) wait(what string, is func(*orielv1.FromDesktop) bool) *orielv1.FromDesktop {
	v.t.Helper()
	var found *orielv1.FromDesktop
	eventually(v.t, what+" from the agent", func() bool {
		found = v.last(is)
		return found != nil
	})
	return found
}

// last is the newest message that is so, nil when there is none.
func (v *viewer) last(is func(*orielv1.FromDesktop) bool) *orielv1.FromDesktop {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := len(v.told) - 1; i >= 0; i-- {
		if is(v.told[i]) {
			return v.told[i]
		}
	}
	return nil
}

func (v *viewer) count(is func(*orielv1.FromDesktop) bool) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for _, m := range v.told {
		if is(m) {
			n++
		}
	}
	return n
}

func (v *viewer) say(m *orielv1.ToDesktop) {
	v.t.Helper()
	b, err := orielv1.Encode(m)
	if err != nil {
		v.t.Fatal(err)
	}
	if err := v.control.Send(b); err != nil {
		v.t.Fatalf("send on control: %v", err)
	}
}

func (v *viewer) key(u uint32, down bool) {
	v.t.Helper()
	v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Key{Key: &orielv1.Key{Usage: u, Down: down}}})
}

func (v *viewer) button(b uint32, down bool, x, y uint32) {
	v.t.Helper()
	v.seq++
	v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Button{Button: &orielv1.PointerButton{Button: b, Down: down, X: x, Y: y, Seq: v.seq}}})
}

func (v *viewer) text(s string) {
	v.t.Helper()
	v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Text{Text: &orielv1.Text{Text: s}}})
}

func (v *viewer) leave() {
	v.t.Helper()
	v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Leave{Leave: &orielv1.Leave{}}})
}

// move waits for the channel, then sends a move; it may be lost.
func (v *viewer) move(x, y uint32) {
	v.t.Helper()
	eventually(v.t, "pointer channel", func() bool { return v.pointer.ReadyState() == webrtc.DataChannelStateOpen })
	v.seq++
	b, err := orielv1.Encode(&orielv1.PointerMove{Seq: v.seq, X: x, Y: y})
	if err == nil {
		err = v.pointer.Send(b)
	}
	if err != nil {
		v.t.Fatal(err)
	}
}

// sync returns when the agent has done everything said before.
func (v *viewer) sync() {
	v.t.Helper()
	v.seq++
	id := uint32(v.seq) | 1<<31
	v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Ping{Ping: &orielv1.Ping{Id: uint64(id)}}})
	v.wait("pong", func(m *orielv1.FromDesktop) bool { return m.GetPong() != nil && m.GetPong().GetId() == uint64(id) })
}

func (v *viewer) close() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	_ = v.pc.GracefulClose()
	v.wg.Wait()
}

func (v *viewer) is(s webrtc.PeerConnectionState) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.state == s
}

// seen is the newest decoded picture and how many there were.
func (v *viewer) seen() (*encode.Image, int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.picture, v.pictures
}

// receive decodes the video and asks for a key frame when it cannot.
func (v *viewer) receive(track *webrtc.TrackRemote) {
	codec := encode.Codec(strings.TrimPrefix(track.Codec().MimeType, "video/"))
	dec, err := decodetest.New(codec)
	if err != nil {
		v.t.Error(err)
		return
	}
	defer dec.Close()
	var frame []*rtp.Packet
	var last uint16
	broken := true
	for {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		if len(frame) > 0 && p.SequenceNumber != last+1 {
			broken = true
		}
		last = p.SequenceNumber
		if len(p.Payload) == 0 {
			continue
		}
		if frame = append(frame, p); !p.Marker {
			continue
		}
		img, err := assemble(dec, codec, frame)
		frame = frame[:0]
		if err != nil {
			if broken {
				_ = v.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(track.SSRC())}})
			}
			continue
		}
		broken = false
		v.mu.Lock()
		v.picture = img
		v.pictures++
		v.mu.Unlock()
	}
}

func assemble(dec *decodetest.Decoder, codec encode.Codec, frame []*rtp.Packet) (*encode.Image, error) {
	var data []byte
	var d rtp.Depacketizer
	switch codec {
	case encode.AV1:
		d, data = &codecs.AV1Depacketizer{}, []byte{0x12, 0}
	case encode.VP9:
		d = &codecs.VP9Packet{}
	default:
		d = &codecs.VP8Packet{}
	}
	for _, p := range frame {
		part, err := d.Unmarshal(p.Payload)
		if err != nil {
			return nil, err
		}
		data = append(data, part...)
	}
	return dec.Decode(data)
}

// luma is the mean brightness of a rectangle of the newest picture; -1 when
// there is no picture.
func (v *viewer) luma(r image.Rectangle) int {
	img, _ := v.seen()
	if img == nil {
		return -1
	}
	sum, n := 0, 0
	r = r.Intersect(img.Bounds())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			sum += int(img.Y[y*img.StrideY+x])
			n++
		}
	}
	return sum / max(1, n)
}
