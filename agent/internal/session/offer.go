package session

import (
	"bytes"
	"crypto/sha256"
	"strings"

	"github.com/pion/webrtc/v4"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// readOffer is a viewer's offer as everything here reads it: sealed with the
// certificate that the grant names, so that pion cannot find another in it.
// Errors: a refusal.
func readOffer(sdp string, fingerprint []byte) (webrtc.SessionDescription, error) {
	refused := func(detail string, err error) (webrtc.SessionDescription, error) {
		return webrtc.SessionDescription{}, refuse(orielv1.Code_CODE_INVALID, detail, err)
	}
	sealed, err := trust.Seal(sdp, fingerprint)
	if err != nil {
		return refused("the viewer's offer cannot be read", err)
	}
	offer := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: sealed}
	parsed, err := offer.Unmarshal()
	switch {
	case err != nil:
		return refused("the viewer's offer cannot be read", err)
	case len(parsed.MediaDescriptions) > maxSections:
		return refused("the viewer's offer has too many parts", nil)
	case strings.Count(sealed, "a=candidate:") > maxCandidates:
		return refused("the viewer's offer has too many candidates", nil)
	}
	return offer, nil
}

// authenticated reports whether the certificate of the DTLS connection is the
// one that the grant names; where it is not the session ends. It is asked before
// anything is served, although pion compares the two: what is served must not
// hang on what another parser took a line for.
func (p *peer) authenticated() bool {
	p.mu.Lock()
	pc, granted := p.pc, p.fingerprint
	p.mu.Unlock()
	if pc != nil {
		shown := sha256.Sum256(pc.SCTP().Transport().GetRemoteCertificate())
		if bytes.Equal(shown[:], granted) {
			return true
		}
	}
	p.s.log.Error("another certificate than the grant's", "attempt", p.attempt)
	p.s.end(orielv1.EndReason_END_REASON_REFUSED, orielv1.Code_CODE_GRANT_FINGERPRINT,
		"what connected is not the browser that was let in; somebody may be in between")
	return false
}
