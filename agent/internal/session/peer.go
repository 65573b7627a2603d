package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/encode"
	"oriel/agent/internal/identity"
	"oriel/agent/internal/stream"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

const (
	maxCandidates = 64 // of one peer connection, from the viewer
	maxSections   = 8  // of media in an offer
)

// peer is one peer connection of a session. It lives from the offer to the next
// one or to the session's end.
type peer struct {
	s        *session
	attempt  uint32
	nonce    []byte
	grants   atomic.Pointer[[]orielv1.Scope] // see scopes.go
	granted  atomic.Pointer[[]orielv1.Scope] // what is in force of grants
	holder   holder
	codec    encode.Codec    // set by answer, before anything else sees it
	full     bool            // and whether the viewer takes 4:4:4 of it
	ctx      context.Context // ends with close
	cancel   context.CancelFunc
	wake     chan struct{} // capacity 1: stateSync looks for changes
	wg       sync.WaitGroup
	pointer  pointer
	inputs   inputSequencer
	ages     ages
	proof    proof
	channels channels
	waiting  waiting // protected by inputSequencer.mu
	video    *video  // nil without SCOPE_VIEW

	fingerprint []byte // SHA-256 of the certificate that the grant names

	mu         sync.Mutex
	pc         *webrtc.PeerConnection // nil before answer and when that failed
	remote     []webrtc.ICECandidateInit
	described  bool            // the remote description is set
	candidates int             // taken from the viewer
	relays     map[string]bool // the viewer's candidates of type relay, host:port
	local      []*orielv1.Candidate
	sending    bool // somebody sends them, or they wait for the answer
	up         bool
	closed     bool
	control    *webrtc.DataChannel // once open
	moves      *webrtc.DataChannel
	redundant  *webrtc.DataChannel
	denied     map[orielv1.Scope]time.Time
	dropped    int // malformed messages on pointer and again
}

func newPeer(s *session, attempt uint32, g *orielv1.Grant) *peer {
	p := &peer{
		s: s, attempt: attempt, nonce: g.GetNonce(), fingerprint: g.GetFingerprint(),
		wake:    make(chan struct{}, 1),
		relays:  make(map[string]bool),
		denied:  make(map[orielv1.Scope]time.Time),
		sending: true,
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.pointer.wake = make(chan struct{}, 1)
	p.proof.release = p.releaseUnproved
	p.grant(g.GetScopes())
	return p
}

// refusal is why an offer was not answered, in words for people.
type refusal struct {
	reason orielv1.EndReason
	code   orielv1.Code
	detail string
	err    error // for the log
}

func (r *refusal) Error() string {
	if r.err != nil {
		return r.detail + ": " + r.err.Error()
	}
	return r.detail
}

func refuse(code orielv1.Code, detail string, err error) error {
	return &refusal{orielv1.EndReason_END_REASON_REFUSED, code, detail, err}
}

func refusalOf(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	return &refusal{orielv1.EndReason_END_REASON_FAILED, orielv1.Code_CODE_INTERNAL,
		"the agent could not answer; its log says why", err}
}

// answer builds the peer connection for an offer and signs what it answers.
func (p *peer) answer(o *orielv1.Offer) (answer *orielv1.Answer, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	offer, err := readOffer(o.GetSdp(), p.fingerprint)
	if err != nil {
		return nil, err
	}
	if p.may(orielv1.Scope_SCOPE_VIEW) {
		if p.codec, p.full, err = stream.ChooseCodec(offer); err != nil {
			return nil, refuse(orielv1.Code_CODE_NO_CODEC,
				"the viewer takes none of this agent's video formats; use a current browser", err)
		}
	}
	pc, err := p.connection(o)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.pc = pc
	p.mu.Unlock()
	p.prepare() // the first picture takes longer than the answer
	if err := pc.SetRemoteDescription(offer); err != nil {
		return nil, refuse(orielv1.Code_CODE_INVALID, "the viewer's offer cannot be answered", err)
	}
	p.takeCandidates()
	description, err := pc.CreateAnswer(nil)
	if err != nil {
		return nil, refuse(orielv1.Code_CODE_INVALID, "the viewer's offer cannot be answered", err)
	}
	if err := pc.SetLocalDescription(description); err != nil {
		return nil, fmt.Errorf("set local description: %w", err)
	}
	sdp := pc.LocalDescription().SDP
	fingerprint, err := trust.Fingerprint(sdp)
	if err != nil {
		return nil, fmt.Errorf("fingerprint of the answer: %w", err)
	}
	signature, key, err := p.s.h.o.Sign(p.s.id, p.nonce, fingerprint)
	if err != nil {
		return nil, fmt.Errorf("sign the answer: %w", err)
	}
	return &orielv1.Answer{
		SessionId: p.s.id, Attempt: p.attempt, Sdp: sdp, Nonce: p.nonce, MachineKey: key, Signature: signature,
	}, nil
}

// connection is a peer connection with all its handlers, before the offer.
func (p *peer) connection(o *orielv1.Offer) (*webrtc.PeerConnection, error) {
	opt := p.s.h.o
	var engine webrtc.SettingEngine
	engine.LoggerFactory = loggers{p.s.log}
	engine.SetIncludeLoopbackCandidate(opt.Loopback)
	out, err := newOutward(opt.Loopback)
	if err != nil {
		return nil, err
	}
	engine.SetNet(out)
	// A lost packet must not cost seconds: pion waits 1 s in the handshake of
	// DTLS, 3 s in that of SCTP, and up to a minute later.
	engine.SetDTLSRetransmissionInterval(250 * time.Millisecond)
	// Whoever speaks second in the handshake may send half a round trip sooner, and the
	// picture is here. No address has to be proved by a cookie: ICE has done that.
	if err := engine.SetAnsweringDTLSRole(webrtc.DTLSRoleServer); err != nil {
		return nil, fmt.Errorf("role in DTLS: %w", err)
	}
	engine.SetDTLSInsecureSkipHelloVerify(true)
	// Read by us, so that no message is longer than it may be, and nothing of a channel
	// that is closed is kept: pion keeps what it reads itself until the connection ends.
	engine.DetachDataChannels()
	engine.SetSCTPRTOMax(time.Second)
	engine.SetICETimeouts(opt.timing.silent, opt.timing.silent+opt.timing.lost, 2*time.Second)
	engine.SetRemoteIPFilter(func(ip net.IP) bool {
		// A viewer elsewhere has no business with this machine's own loopback,
		// nor with a cloud's metadata. It may be on a link of this machine.
		a, _ := netip.AddrFromSlice(ip)
		a = a.Unmap()
		return opt.Loopback && a.IsLoopback() || a.IsLinkLocalUnicast() && !identity.Metadata(a) || !identity.Inward(a)
	})
	track, err := p.newTrack()
	if err != nil {
		return nil, err
	}
	api, congestion, err := stream.NewAPI(engine, track)
	if err != nil {
		return nil, err
	}
	config := webrtc.Configuration{}
	for _, server := range o.GetIceServers() {
		config.ICEServers = append(config.ICEServers, webrtc.ICEServer{
			URLs: server.GetUrls(), Username: server.GetUsername(), Credential: server.GetCredential(),
		})
	}
	if opt.RelayOnly {
		config.ICETransportPolicy = webrtc.ICETransportPolicyRelay
	}
	pc, err := api.NewPeerConnection(config)
	if err != nil {
		return nil, fmt.Errorf("new peer connection: %w", err)
	}
	pc.OnICECandidate(p.found)
	pc.OnConnectionStateChange(p.connectionChanged)
	pc.SCTP().Transport().ICETransport().OnSelectedCandidatePairChange(func(*webrtc.ICECandidatePair) { p.s.poke() })
	pc.OnDataChannel(p.channel)
	if err := p.addVideo(pc, track, congestion); err != nil {
		_ = pc.Close()
		return nil, err
	}
	return pc, nil
}

// found sends a candidate of ours on, once the answer is sent.
func (p *peer) found(c *webrtc.ICECandidate) {
	out := &orielv1.Candidate{SessionId: p.s.id, Attempt: p.attempt}
	if c != nil {
		init := c.ToJSON()
		out.Candidate = init.Candidate
		if init.SDPMid != nil {
			out.SdpMid = *init.SDPMid
		}
		if init.SDPMLineIndex != nil {
			out.SdpMLineIndex = uint32(*init.SDPMLineIndex)
		}
		if init.UsernameFragment != nil {
			out.UsernameFragment = *init.UsernameFragment
		}
	}
	p.mu.Lock()
	p.local = append(p.local, out)
	p.mu.Unlock()
	p.flush()
}

// answered begins to send our candidates: the answer is out.
func (p *peer) answered() {
	p.mu.Lock()
	p.sending = false
	p.mu.Unlock()
	p.flush()
}

// flush sends our candidates in order, by one goroutine at a time.
func (p *peer) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sending {
		return
	}
	p.sending = true
	for len(p.local) > 0 {
		next := p.local
		p.local = nil
		p.mu.Unlock()
		for _, c := range next {
			p.s.h.send(c)
		}
		p.mu.Lock()
	}
	p.sending = false
}

// candidate takes one of the viewer's, or keeps it until the offer is set.
func (p *peer) candidate(c *orielv1.Candidate) {
	mid, line := c.GetSdpMid(), uint16(min(c.GetSdpMLineIndex(), 0xffff))
	init := webrtc.ICECandidateInit{Candidate: c.GetCandidate(), SDPMid: &mid, SDPMLineIndex: &line}
	if u := c.GetUsernameFragment(); u != "" {
		init.UsernameFragment = &u
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.candidates >= maxCandidates {
		return
	}
	p.candidates++
	if at := relayAddress(c.GetCandidate()); at != "" {
		p.relays[at] = true
	}
	if !p.described {
		p.remote = append(p.remote, init)
		return
	}
	p.add(init)
}

func (p *peer) takeCandidates() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.described = true
	for _, c := range p.remote {
		p.add(c)
	}
	p.remote = nil
}

func (p *peer) add(c webrtc.ICECandidateInit) {
	// Without a candidate the rest may do; the viewer is told by the time-out.
	if err := p.pc.AddICECandidate(c); err != nil {
		p.s.log.Debug("candidate dropped", "attempt", p.attempt, "error", err)
	}
}

// relayAddress is host:port of a candidate of type relay, else empty.
func relayAddress(candidate string) string {
	f := strings.Fields(candidate)
	if len(f) < 8 || f[6] != "typ" || f[7] != "relay" {
		return ""
	}
	return net.JoinHostPort(f[4], f[5])
}

// connectionChanged follows the connection's state.
func (p *peer) connectionChanged(state webrtc.PeerConnectionState) {
	p.s.log.Debug("peer connection", "attempt", p.attempt, "state", state.String())
	p.mu.Lock()
	closed := p.closed
	p.up = state == webrtc.PeerConnectionStateConnected
	p.mu.Unlock()
	if closed {
		return
	}
	switch state {
	case webrtc.PeerConnectionStateConnected:
		if !p.authenticated() {
			return
		}
		p.watch()
		p.s.connected(p)
	case webrtc.PeerConnectionStateDisconnected:
		// It may come back; what was held must not stay held until then.
		p.releaseAll(false)
		p.s.lost(p)
	case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
		p.releaseAll(true)
		p.s.lost(p)
	}
}

func (p *peer) isConnected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up
}

// releaseAll releases what this viewer holds down.
func (p *peer) releaseAll(forGood bool) {
	if n := p.s.h.input.releaseAll(&p.holder, forGood); n > 0 {
		p.s.log.Info("released what was held", "attempt", p.attempt, "count", n)
	}
}

// releaseWithin is releaseAll for good that waits 300 ms at most for a display that
// hangs.
func (p *peer) releaseWithin() { waitBriefly(p.begin(func() { p.releaseAll(true) })) }

// begin releases in a goroutine, and closes what it returns when that is done.
func (p *peer) begin(release func()) <-chan struct{} {
	released := make(chan struct{})
	p.s.wg.Go(func() {
		defer close(released)
		release()
	})
	return released
}

// waitBriefly waits 300 ms at most.
func waitBriefly(released <-chan struct{}) {
	select {
	case <-released:
	case <-time.After(300 * time.Millisecond):
	}
}

// releaseBarred releases what this viewer holds down, if it may not control.
func (p *peer) releaseBarred() {
	if n := p.s.h.input.releaseBarred(&p.holder); n > 0 {
		p.s.log.Info("released what was held: control was taken away", "attempt", p.attempt, "count", n)
	}
}

// path is how the packets travel.
func (p *peer) path() orielv1.Path {
	pair, err := p.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair == nil {
		return orielv1.Path_PATH_UNSPECIFIED
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// A check that overtakes its candidate makes the viewer's relay look
	// like a peer-reflexive address.
	at := net.JoinHostPort(pair.Remote.Address, strconv.Itoa(int(pair.Remote.Port)))
	if pair.Local.Typ == webrtc.ICECandidateTypeRelay || pair.Remote.Typ == webrtc.ICECandidateTypeRelay || p.relays[at] {
		return orielv1.Path_PATH_RELAYED
	}
	return orielv1.Path_PATH_DIRECT
}

// roundTrip is that of ICE's last check, which does not wait as transport-wide
// feedback does at a browser; 0: not known.
func (p *peer) roundTrip() time.Duration {
	pair, _ := p.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePairStats()
	return time.Duration(pair.CurrentRoundTripTime * float64(time.Second))
}

// bytes is what went over this peer connection.
func (p *peer) bytes() (sent, received uint64) {
	p.mu.Lock()
	pc := p.pc
	p.mu.Unlock()
	if pc == nil {
		return 0, 0
	}
	stats := pc.SCTP().Transport().ICETransport().Stats()
	return stats.BytesSent, stats.BytesReceived
}

// close releases everything held, sends bye unless it is nil, and waits for what the
// peer started.
func (p *peer) close(bye *orielv1.Bye) {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	pc, dropped := p.pc, p.dropped
	p.mu.Unlock()
	if again {
		return
	}
	if bye != nil {
		p.sendBye(bye) // whoever sends it has released
	} else {
		p.releaseWithin()
	}
	p.cancel()
	p.proof.stop()
	if pc != nil {
		if err := pc.GracefulClose(); err != nil {
			p.s.log.Debug("close peer connection", "attempt", p.attempt, "error", err)
		}
	}
	p.wg.Wait()
	if dropped > 0 {
		p.s.log.Warn("malformed messages dropped", "attempt", p.attempt, "count", dropped)
	}
	p.channels.logRefused(p)
}
