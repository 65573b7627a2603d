//go:build cgo

package session

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	orielv1 "oriel/protocol/oriel/v1"
)

// expectNothing fails when the viewer was served anything.
func (v *viewer) expectNothing() {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.told) > 0 || v.pictures > 0 {
		v.t.Errorf("%d messages and %d pictures were served", len(v.told), v.pictures)
	}
}

// Rule: a description outside strict lines is refused, whatever it names.
func TestOfferOutsideTheRuleIsRefused(t *testing.T) {
	r := start(t, Options{}, on(newFakeDesktop(t)))
	forged := "a=fingerprint:sha-256 " + strings.Repeat("EE:", 31) + "EE"
	for name, line := range map[string]string{
		"a lone CR before the line": "\r" + forged + "\r\n",
		"a lone LF within":          "a=x:y\n" + forged + "\r\n",
		"a lone CR within":          "a=x:y\r" + forged + "\r\n",
		"a capital type":            "A" + forged[1:] + "\r\n",
		"a blank before the name":   "a= " + forged[2:] + "\r\n",
		"a tab":                     "\t" + forged + "\r\n",
		"NUL":                       "\x00" + forged + "\r\n",
		"an empty line":             "\r\n",
	} {
		v := r.join(look{id: name, tamper: func(sdp string) string { return strings.Replace(sdp, "t=0 0\r\n", "t=0 0\r\n"+line, 1) }})
		r.expectEnd(name, orielv1.EndReason_END_REASON_REFUSED, orielv1.Code_CODE_INVALID)
		v.expectNothing()
	}
}

// Rule: a line that says fingerprint in another way counts for nothing: the
// certificate that the grant names is put in for it, and connects.
func TestGrantedCertificateIsPutIn(t *testing.T) {
	r := start(t, Options{}, on(newFakeDesktop(t)))
	forged := "a=fingerprint:sha-256 " + strings.Repeat("EE:", 31) + "EE\r\n"
	for name, tamper := range map[string]func(string) string{
		"another before it": func(sdp string) string { return strings.Replace(sdp, "a=", forged+"a=", 1) },
		"none":              func(sdp string) string { return strings.Replace(sdp, "a=fingerprint:", "a=x-fingerprint:", 1) },
		"in capitals": func(sdp string) string {
			return strings.Replace(sdp, "a=", strings.Replace(forged, "a=f", "a=F", 1)+"a=", 1)
		},
	} {
		r.ready(look{id: name, tamper: tamper})
	}
}

// Rule: a certificate that the grant does not name is served nothing.
func TestAnotherCertificateGetsNothing(t *testing.T) {
	r := start(t, Options{timing: timing{connect: 2 * time.Second}}, on(newFakeDesktop(t)))
	v := r.join(look{id: "in between", certificate: bytes.Repeat([]byte{7}, 32)})
	r.expectEnd("in between", orielv1.EndReason_END_REASON_TIMEOUT, orielv1.Code_CODE_UNAVAILABLE)
	v.expectNothing()
}

// Rule: after DTLS the certificate is compared with the grant's once more, before
// anything is served.
func TestCertificateIsComparedAfterDTLS(t *testing.T) {
	r := start(t, Options{}, on(newFakeDesktop(t)))
	v := r.join(look{id: "in between", deaf: true})
	eventually(t, "the answer", func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.answer != nil
	})
	p := r.host.session("in between").current()
	p.mu.Lock()
	p.fingerprint = bytes.Repeat([]byte{7}, 32) // as if pion had been given another
	p.mu.Unlock()
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: v.answer.GetSdp()}); err != nil {
		t.Fatal(err)
	}
	r.expectEnd("in between", orielv1.EndReason_END_REASON_REFUSED, orielv1.Code_CODE_GRANT_FINGERPRINT)
	v.expectNothing()
}
