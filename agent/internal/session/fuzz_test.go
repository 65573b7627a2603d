//go:build cgo

package session

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/stream"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// offerSDP is what a browser offers, with room for one more line.
func offerSDP(line string) string {
	return strings.Join([]string{
		"v=0", "o=- 46117317 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1", "a=msid-semantic: WMS" + line,
		"m=video 9 UDP/TLS/RTP/SAVPF 45 46 98", "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0", "a=ice-ufrag:4ZcD",
		"a=ice-pwd:2/1muCWoOi3uLifh0NuRHlDs", "a=ice-options:trickle",
		"a=fingerprint:sha-256 " + strings.Repeat("07:", 31) + "07", "a=setup:actpass", "a=mid:0",
		"a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid", "a=recvonly", "a=rtcp-mux", "a=rtcp-rsize",
		"a=rtpmap:45 AV1/90000", "a=rtcp-fb:45 nack pli", "a=fmtp:45 level-idx=5;profile=0;tier=0",
		"a=rtpmap:46 rtx/90000", "a=fmtp:46 apt=45", "a=rtpmap:98 VP9/90000", "a=fmtp:98 profile-id=0",
		"a=candidate:1 1 udp 2122260223 192.0.2.7 5000 typ host generation 0",
		"m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=ice-ufrag:4ZcD",
		"a=ice-pwd:2/1muCWoOi3uLifh0NuRHlDs", "a=setup:actpass", "a=mid:1", "a=sctp-port:5000",
		"a=max-message-size:262144", "",
	}, "\r\n")
}

// offered is a peer whose connection has taken that offer, nil where it is refused.
func offered(t testing.TB, h *Host, sdp string) *peer {
	g := &orielv1.Grant{Scopes: []orielv1.Scope{orielv1.Scope_SCOPE_VIEW}, Fingerprint: bytes.Repeat([]byte{7}, 32)}
	offer, err := readOffer(sdp, g.GetFingerprint())
	if err != nil {
		return nil
	}
	named, err := trust.Fingerprint(offer.SDP)
	if err != nil || !bytes.Equal(named, g.GetFingerprint()) {
		t.Fatalf("%q is read with %x, %v", sdp, named, err)
	}
	p := newPeer(newSession(h, "fuzz", g), 1, g)
	if p.codec, p.full, err = stream.ChooseCodec(offer); err != nil {
		return nil
	}
	if p.pc, err = p.connection(&orielv1.Offer{}); err != nil {
		t.Fatal(err)
	}
	if err := p.pc.SetRemoteDescription(offer); err != nil {
		p.close(nil)
		return nil
	}
	return p
}

// FuzzOffer: whatever an offer says, it is refused, or read with the certificate
// of the grant and answered.
func FuzzOffer(f *testing.F) {
	f.Add(offerSDP(""))
	f.Add(offerSDP("\r\na=Fingerprint:sha-256 " + strings.Repeat("EE:", 31) + "EE"))
	f.Add(offerSDP("\r\na=identity:eyJ9"))
	f.Add(offerSDP("\ra=x:y"))
	f.Add(strings.Replace(offerSDP(""), "m=video 9", "m=video 0", 1))
	f.Add(strings.Replace(offerSDP(""), "a=mid:1\r\n", "", 1))
	f.Add(strings.Replace(offerSDP(""), "apt=45", "apt=46", 1))
	h, first := quiet(f, newFakeDesktop(f))
	f.Cleanup(func() { first.close(nil); h.Close(0) })
	f.Fuzz(func(t *testing.T, sdp string) {
		p := offered(t, h, sdp)
		if p == nil {
			return
		}
		defer p.close(nil)
		answer, err := p.pc.CreateAnswer(nil)
		if err != nil {
			return
		}
		if _, err := trust.Fingerprint(answer.SDP); err != nil {
			t.Fatalf("to %q no viewer would take %q: %v", sdp, answer.SDP, err)
		}
	})
}

// FuzzCandidate: whatever candidates say, before or after the offer is set, no more
// than so many are taken, and none is left waiting.
func FuzzCandidate(f *testing.F) {
	f.Add("candidate:1 1 udp 2122260223 192.0.2.7 5000 typ host\ncandidate:2 1 tcp 1 2001:db8::1 9 typ host tcptype active", false)
	f.Add("candidate:3 1 udp 1 192.0.2.8 3478 typ relay raddr 10.0.0.1 rport 9 ufrag 4ZcD\n\ncandidate:", true)
	f.Add(strings.Repeat("candidate:1 1 udp 1 192.0.2.7 5 typ host\n", maxCandidates+1), true)
	h, first := quiet(f, newFakeDesktop(f))
	f.Cleanup(func() { first.close(nil); h.Close(0) })
	f.Fuzz(func(t *testing.T, text string, early bool) {
		p := offered(t, h, offerSDP(""))
		if p == nil {
			t.Fatal("a browser's offer was refused")
		}
		defer p.close(nil)
		if !early {
			p.takeCandidates()
		}
		for line := range strings.Lines(text) {
			if strings.Contains(strings.ToLower(line), ".local") {
				continue // would be asked for on the network
			}
			c := &orielv1.Candidate{Candidate: strings.TrimSuffix(line, "\n"), SdpMid: "0", UsernameFragment: "4ZcD"}
			if orielv1.Check(c) == nil {
				p.candidate(c)
			}
		}
		p.takeCandidates()
		if p.candidates > maxCandidates || len(p.remote) > 0 || len(p.relays) > p.candidates {
			t.Errorf("%d candidates, %d wait, %d relays", p.candidates, len(p.remote), len(p.relays))
		}
	})
}

// FuzzAgain: whichever of the two ways input comes, in which order and how often,
// who may only watch does nothing, and all that was pressed is released.
func FuzzAgain(f *testing.F) {
	key := func(usage uint32, down bool) *orielv1.ToDesktop {
		return &orielv1.ToDesktop{Body: &orielv1.ToDesktop_Key{Key: &orielv1.Key{Usage: usage, Down: down}}}
	}
	held := uint32(1)
	var data []byte
	for _, m := range []*orielv1.Again{
		{First: 1, Inputs: []*orielv1.ToDesktop{key(4, true), key(4, false)}},
		{First: 2, Inputs: []*orielv1.ToDesktop{key(4, false), key(5, true)}, Held: &orielv1.Held{Usages: []uint32{held}}},
		{First: 1<<32 - 1, Inputs: []*orielv1.ToDesktop{key(6, true), key(0xe8, true), {Body: &orielv1.ToDesktop_Leave{Leave: &orielv1.Leave{}}}}},
		{},
	} {
		b, err := orielv1.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		data = append(append(data, byte(len(b)+1), 0), b...)
	}
	b, err := orielv1.Encode(key(4, true))
	if err != nil {
		f.Fatal(err)
	}
	data = append(append(data, byte(len(b)+1), 1), b...)
	f.Add(data, true)
	f.Add(data, false)
	fuzz(f, func(p *peer, m webrtc.DataChannelMessage) {
		if len(m.Data) == 0 {
			return
		}
		way := p.onRedundant
		if m.Data[0]&1 == 1 {
			way = p.onControl
		}
		m.Data = m.Data[1:]
		p.guard(func() { way(m) })
	})
}
