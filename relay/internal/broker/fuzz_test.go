package broker

import (
	"bytes"
	"strings"
	"testing"

	"oriel/protocol/trust"
)

// FuzzSealed: what the relay passes on, of a tab or of an agent, is within the
// strict rule, is small, names the certificate that was read, and once.
func FuzzSealed(f *testing.F) {
	const good = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=fingerprint:sha-256 07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07\r\nm=video 9 UDP/TLS/RTP/SAVPF 45\r\n"
	f.Add(good)
	f.Add(strings.Replace(good, "a=f", "a=F", 1))
	f.Add(strings.Replace(good, "t=0", "\ra=fingerprint:sha-256 EE\r\nt=0", 1))
	f.Add(strings.Replace(good, "m=", "a=identity:x\r\nm=", 1))
	f.Fuzz(func(t *testing.T, sdp string) {
		out, fp, err := sealed(sdp)
		if err != nil {
			if out != "" {
				t.Fatalf("refused %q, but made %q of it", sdp, out)
			}
			return
		}
		again, err := trust.Fingerprint(out)
		if err != nil || !bytes.Equal(again, fp) || len(out) > 65536 || strings.Count(strings.ToLower(out), "fingerprint") != 1 {
			t.Fatalf("of %q, which names %x, it made %q, which names %x (%v)", sdp, fp, out, again, err)
		}
	})
}
