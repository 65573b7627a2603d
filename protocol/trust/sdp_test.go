package trust

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"
)

// description is read by console/src/core/viewer/sdp.test.ts as well.
type description struct {
	Name        string `json:"name"`
	SDP         string `json:"sdp"`
	Fingerprint string `json:"fingerprint"` // empty: refused
	Sealed      string `json:"sealed"`      // with the fingerprint 0707…; empty: refused
}

const descriptionFile = "../testdata/descriptions.json"

var verified = bytes.Repeat([]byte{7}, 32)

const (
	good   = "a=fingerprint:sha-256 07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07"
	forged = "a=fingerprint:sha-256 EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE:EE"
)

// browser is a description as browsers write it, two media sections with the
// certificate in each.
func browser() string {
	return strings.Join([]string{
		"v=0", "o=- 46117317 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1", "a=msid-semantic: WMS",
		"m=video 9 UDP/TLS/RTP/SAVPF 45", "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0", "a=ice-ufrag:4ZcD",
		"a=ice-pwd:2/1muCWoOi3uLifh0NuRHlDs", "a=ice-options:trickle", good, "a=setup:actpass", "a=mid:0",
		"a=recvonly", "a=rtcp-mux", "a=rtpmap:45 AV1/90000",
		"m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=ice-ufrag:4ZcD",
		"a=ice-pwd:2/1muCWoOi3uLifh0NuRHlDs", good, "a=setup:actpass", "a=mid:1", "a=sctp-port:5000",
		"a=max-message-size:262144", "",
	}, "\r\n")
}

// descriptions are the vectors before they are judged.
func descriptions() []description {
	// before puts a line before the first that is so in a browser's description.
	before := func(at, line string) string { return strings.Replace(browser(), at, line+at, 1) }
	instead := func(line string) string { return strings.Replace(browser(), good, line, 1) }
	const session, media = "a=group", "a=setup"
	return []description{
		{Name: "a browser's", SDP: browser()},
		{Name: "in lower case", SDP: strings.ReplaceAll(browser(), "07:", "aB:")},
		{Name: "another certificate", SDP: strings.ReplaceAll(browser(), good, forged)},
		{Name: "the hash in capitals", SDP: strings.ReplaceAll(browser(), "sha-256", "SHA-256")},
		{Name: "session and media level, the same", SDP: before(session, good+"\r\n")},
		{Name: "no media", SDP: "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n" + good + "\r\n"},
		{Name: "none", SDP: strings.ReplaceAll(browser(), good+"\r\n", "")},
		{Name: "session level, another", SDP: before(session, forged+"\r\n")},
		{Name: "second section, another", SDP: strings.Replace(browser(), good+"\r\na=setup:actpass\r\na=mid:1", forged+"\r\na=setup:actpass\r\na=mid:1", 1)},
		{Name: "another hash beside it", SDP: before(media, "a=fingerprint:sha-1 "+strings.Repeat("EE:", 19)+"EE\r\n")},
		{Name: "a longer hash beside it", SDP: before(media, "a=fingerprint:sha-512 "+strings.Repeat("EE:", 63)+"EE\r\n")},
		{Name: "a hash of no name", SDP: before(media, "a=fingerprint:md5 "+strings.Repeat("EE:", 31)+"EE\r\n")},
		{Name: "no hash", SDP: instead("a=fingerprint:" + strings.TrimPrefix(good, "a=fingerprint:sha-256 "))},
		{Name: "no value", SDP: before(media, "a=fingerprint\r\n")},
		{Name: "one byte less", SDP: instead(good[:len(good)-3])},
		{Name: "one byte more", SDP: instead(good + ":07")},
		{Name: "without colons", SDP: instead("a=fingerprint:sha-256 " + strings.Repeat("07", 32))},
		{Name: "colons elsewhere", SDP: instead(strings.Replace(good, "07:07:07", "070:7:07", 1))},
		{Name: "no hexadecimal digits", SDP: instead(strings.Replace(good, "07:", "0g:", 1))},
		{Name: "signs for digits", SDP: instead(strings.Replace(good, "07:", "+7:", 1))},
		{Name: "two blanks", SDP: instead(strings.Replace(good, "256 ", "256  ", 1))},
		{Name: "a tab", SDP: instead(strings.Replace(good, "256 ", "256\t", 1))},
		{Name: "a blank at the end", SDP: instead(good + " ")},
		{Name: "a comment at the end", SDP: instead(good + " x")},
		{Name: "two in one line", SDP: instead(good + " " + forged)},
		{Name: "a capital in the name", SDP: before(session, strings.Replace(forged, "a=f", "a=F", 1)+"\r\n")},
		{Name: "the name in capitals", SDP: before(media, strings.Replace(forged, "fingerprint", "FINGERPRINT", 1)+"\r\n")},
		{Name: "a capital type", SDP: before(session, strings.Replace(forged, "a=", "A=", 1)+"\r\n")},
		{Name: "a blank before the name", SDP: before(session, strings.Replace(forged, "a=", "a= ", 1)+"\r\n")},
		{Name: "a blank after the name", SDP: before(session, strings.Replace(forged, "t:", "t :", 1)+"\r\n")},
		{Name: "a blank for the colon", SDP: before(session, strings.Replace(forged, "t:", "t ", 1)+"\r\n")},
		{Name: "a blank before the type", SDP: before(session, " "+forged+"\r\n")},
		{Name: "a blank before the equals sign", SDP: before(session, strings.Replace(forged, "a=", "a =", 1)+"\r\n")},
		{Name: "a tab before the type", SDP: before(session, "\t"+forged+"\r\n")},
		{Name: "a lone CR before it", SDP: before(session, "\r"+forged+"\r\n")},
		{Name: "a lone CR within another", SDP: before(session, "a=x:y\r"+forged+"\r\n")},
		{Name: "a lone LF within another", SDP: before(session, "a=x:y\n"+forged+"\r\n")},
		{Name: "a lone LF as the end", SDP: strings.Replace(browser(), "s=-\r\n", "s=-\n", 1)},
		{Name: "two CR", SDP: before(session, "a=x:y\r\r\n"+forged+"\r\n")},
		{Name: "LF before CR", SDP: before(session, "a=x:y\n\r"+forged+"\r\n")},
		{Name: "all ends are LF", SDP: strings.ReplaceAll(browser(), "\r\n", "\n")},
		{Name: "NUL", SDP: before(session, "\x00"+forged+"\r\n")},
		{Name: "NUL within the name", SDP: before(session, strings.Replace(forged, "finger", "finger\x00", 1)+"\r\n")},
		{Name: "NUL at the end", SDP: browser() + "\x00"},
		{Name: "vertical tab", SDP: before(session, "a=x:y\v"+forged+"\r\n")},
		{Name: "form feed", SDP: before(session, "a=x:y\f"+forged+"\r\n")},
		{Name: "DEL", SDP: before(session, "a=x:y\x7f\r\n")},
		{Name: "next line, U+0085", SDP: before(session, "a=x:y\u0085"+forged+"\r\n")},
		{Name: "line separator, U+2028", SDP: before(session, "a=x:y\u2028"+forged+"\r\n")},
		{Name: "paragraph separator, U+2029", SDP: before(session, "a=x:y\u2029"+forged+"\r\n")},
		{Name: "a letter that folds to i, U+0130", SDP: before(session, strings.Replace(forged, "fi", "f\u0130", 1)+"\r\n")},
		{Name: "full-width letters", SDP: before(session, strings.Replace(forged, "f", "\uff46", 1)+"\r\n")},
		{Name: "byte order mark", SDP: "\ufeff" + browser()},
		{Name: "byte order mark before the line", SDP: before(session, "\ufeff"+forged+"\r\n")},
		{Name: "folded", SDP: instead(strings.Replace(good, "sha-256 ", "sha-256\r\n ", 1))},
		{Name: "folded, another", SDP: before(session, "a=x:y\r\n "+forged+"\r\n")},
		{Name: "hidden in another attribute", SDP: before(media, "a=x:y "+forged+"\r\n")},
		{Name: "hidden in another type", SDP: strings.Replace(browser(), "s=-", "s="+forged, 1)},
		{Name: "named by another attribute", SDP: before(media, "a=x-fingerprint:sha-256 EE\r\n")},
		{Name: "an identity", SDP: before(session, "a=identity:eyJpZHAiOnsiZG9tYWluIjoiZXhhbXBsZS5vcmcifX0=\r\n")},
		{Name: "an identity in capitals", SDP: before(session, "a=IDENTITY :eyJpZHAiOnt9fQ==\r\n")},
		{Name: "a key", SDP: before(media, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\r\n")},
		{Name: "a key, as it once was", SDP: before("c=IN", "k=clear:abc\r\n")},
		{Name: "the last CRLF is missing", SDP: strings.TrimSuffix(browser(), "\r\n")},
		{Name: "the last LF is missing", SDP: strings.TrimSuffix(browser(), "\n")},
		{Name: "an empty line", SDP: before(session, "\r\n")},
		{Name: "an empty line at the end", SDP: browser() + "\r\n"},
		{Name: "an empty value", SDP: before(session, "a=\r\n")},
		{Name: "no equals sign", SDP: before(session, "a:x\r\n")},
		{Name: "a digit for a type", SDP: before(session, "1=x\r\n")},
		{Name: "nothing", SDP: ""},
		{Name: "an end alone", SDP: "\r\n"},
		{Name: "text", SDP: "offer me something"},
		{Name: "the longest line", SDP: before(session, "a="+strings.Repeat("x", 2046)+"\r\n")},
		{Name: "a longer line", SDP: before(session, "a="+strings.Repeat("x", 2047)+"\r\n")},
		{Name: "the most lines", SDP: browser() + strings.Repeat("a=x\r\n", 1024-strings.Count(browser(), "\r\n"))},
		{Name: "a line more", SDP: browser() + strings.Repeat("a=x\r\n", 1025-strings.Count(browser(), "\r\n"))},
	}
}

// judged is what this side makes of a description.
func judged(d description) description {
	d.Fingerprint, d.Sealed = "", ""
	if fp, err := Fingerprint(d.SDP); err == nil {
		d.Fingerprint = hex.EncodeToString(fp)
	}
	d.Sealed, _ = Seal(d.SDP, verified)
	return d
}

// Rule: a description is read by one strict rule at agent, relay and console,
// and what says fingerprint in any other way than one is refused.
func TestDescriptionVectors(t *testing.T) {
	if *update {
		all := descriptions()
		for i := range all {
			all[i] = judged(all[i])
		}
		var b bytes.Buffer
		out := json.NewEncoder(&b)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		if err := out.Encode(all); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(descriptionFile, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(descriptionFile)
	if err != nil {
		t.Fatal(err)
	}
	var all []description
	if err := json.Unmarshal(b, &all); err != nil || len(all) != len(descriptions()) {
		t.Fatalf("%d vectors, %v; run with -update", len(all), err)
	}
	accepted := map[string]string{ // and the certificate that it names
		"a browser's": "07", "in lower case": "ab", "another certificate": "ee", "the hash in capitals": "07",
		"session and media level, the same": "07", "no media": "07", "an identity": "07", "an identity in capitals": "07",
		"a key": "07", "a key, as it once was": "07", "the longest line": "07", "the most lines": "07",
	}
	for i, d := range all {
		if d.SDP != descriptions()[i].SDP {
			t.Errorf("%s: the file is not of these vectors; run with -update", d.Name)
		}
		if got := judged(d); got != d {
			t.Errorf("%s: read as %.64s, sealed %d bytes", d.Name, got.Fingerprint, len(got.Sealed))
		}
		if want := accepted[d.Name]; (want != "") != (d.Fingerprint != "") || !strings.HasPrefix(d.Fingerprint, want) {
			t.Errorf("%s: names %q, want %s…", d.Name, d.Fingerprint, want)
		}
		if strings.Contains(d.Sealed, "EE:EE") || strings.Count(strings.ToLower(d.Sealed), "fingerprint") > 1 {
			t.Errorf("%s: sealed, it names another certificate: %s", d.Name, d.Sealed)
		}
		for _, gone := range []string{"identity", "crypto", "\r\nk="} {
			if strings.Contains(strings.ToLower(d.Sealed), gone) {
				t.Errorf("%s: sealed, it has %s", d.Name, gone)
			}
		}
	}
}

// Rule: a description has at most 65,536 bytes, sealed too.
func TestDescriptionSize(t *testing.T) {
	full := browser() + strings.Repeat("a="+strings.Repeat("x", 2000)+"\r\n", 32)
	full += "a=" + strings.Repeat("x", 65536-len(full)-4) + "\r\n"
	if fp, err := Fingerprint(full); err != nil || !bytes.Equal(fp, verified) {
		t.Errorf("%d bytes: %v", len(full), err)
	}
	if sealed, err := Seal(full, verified); err != nil || len(sealed) > len(full) {
		t.Errorf("sealed, %d bytes: %v", len(sealed), err)
	}
	more := strings.Replace(full, "s=-", "s=--", 1)
	if _, err := Fingerprint(more); err == nil {
		t.Errorf("%d bytes were read", len(more))
	}
	bare := strings.ReplaceAll(full, good+"\r\n", "a="+strings.Repeat("y", len(good)-2)+"\r\n")
	if sealed, err := Seal(bare, verified); err == nil {
		t.Errorf("sealed, %d bytes", len(sealed))
	}
}

// Rule: Seal puts one certificate in for all media, and leaves all other lines.
func TestSealLeavesTheRest(t *testing.T) {
	sealed, err := Seal(browser(), verified)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(sealed, good)
	if at < 0 || at > strings.Index(sealed, "\r\nm=") {
		t.Errorf("the certificate is not named for all media: %s", sealed)
	}
	rest := func(sdp string) string { return strings.ReplaceAll(sdp, good+"\r\n", "") }
	if rest(sealed) != rest(browser()) {
		t.Errorf("other lines changed: %s", sealed)
	}
	if again, err := Seal(sealed, verified); err != nil || again != sealed {
		t.Errorf("sealed again: %v, %s", err, again)
	}
	for _, short := range [][]byte{nil, verified[:31], append(verified[:32:32], 7)} {
		if _, err := Seal(browser(), short); err == nil {
			t.Errorf("sealed with %d bytes", len(short))
		}
	}
}

// FuzzFingerprint holds the strict rule against pion's parser: what the rule
// takes, and Seal writes, pion reads with that certificate and no other.
func FuzzFingerprint(f *testing.F) {
	for _, d := range descriptions() {
		f.Add(d.SDP)
	}
	f.Fuzz(func(t *testing.T, sdp string) {
		fp, err := Fingerprint(sdp)
		if err == nil {
			names(t, sdp, fp)
		}
		sealed, err := Seal(sdp, verified)
		if err != nil {
			return
		}
		if got, err := Fingerprint(sealed); err != nil || !bytes.Equal(got, verified) {
			t.Fatalf("sealed, %q names %x, %v", sealed, got, err)
		}
		if n := names(t, sealed, verified); n > 1 {
			t.Fatalf("sealed, %q names it %d times", sealed, n)
		}
	})
}

// FuzzSealOwn: what a relay passes on, of a tab or of an agent, is within the
// strict rule, is small, names the certificate that was read, and once.
func FuzzSealOwn(f *testing.F) {
	for _, d := range descriptions() {
		f.Add(d.SDP)
	}
	f.Fuzz(func(t *testing.T, sdp string) {
		out, fp, err := SealOwn(sdp)
		if err != nil {
			if out != "" {
				t.Fatalf("refused %q, but made %q of it", sdp, out)
			}
			return
		}
		again, err := Fingerprint(out)
		if err != nil || !bytes.Equal(again, fp) || len(out) > 65536 || strings.Count(strings.ToLower(out), "fingerprint") != 1 {
			t.Fatalf("of %q, which names %x, it made %q, which names %x (%v)", sdp, fp, out, again, err)
		}
	})
}

// names fails where pion reads another certificate than fp, at any level and in
// any case, or what may stand for one; it returns how often fp is read.
func names(t *testing.T, sdp string, fp []byte) (n int) {
	t.Helper()
	parsed, err := (&webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: sdp}).Unmarshal()
	if err != nil {
		return 0 // what pion does not read it does not use
	}
	attributes := parsed.Attributes
	for _, m := range parsed.MediaDescriptions {
		attributes = append(attributes, m.Attributes...)
	}
	for _, a := range attributes {
		if !strings.Contains(strings.ToLower(a.Key+":"+a.Value), "fingerprint") {
			continue
		}
		hash, digest, _ := strings.Cut(a.Value, " ")
		got, err := hex.DecodeString(strings.ReplaceAll(digest, ":", ""))
		if a.Key != "fingerprint" || !strings.EqualFold(hash, "sha-256") || err != nil || !bytes.Equal(got, fp) {
			t.Fatalf("of %q pion reads %s:%s, not %x", sdp, a.Key, a.Value, fp)
		}
		n++
	}
	if n == 0 {
		t.Fatalf("of %q pion reads no fingerprint", sdp)
	}
	return n
}
