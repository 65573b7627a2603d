package trust

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
)

// The bounds of a session description, in bytes without the CRLF of a line.
const (
	maxDescription     = 64 << 10 // that of the wire (session.proto)
	maxDescriptionLine = 2048
	maxDescriptions    = 1024 // lines
)

const fingerprintLine = "a=fingerprint:sha-256 "

// descriptionLines are the lines of a session description, without their ends,
// by the one rule that agent, relay and console (console/src/core/viewer/sdp.ts) have:
//
//	description = 1*1024( %x61-7A "=" value CRLF )      at most 65,536 bytes
//	value       = %x21-7E *2045( %x20-7E )
//
// Browsers and pion write nothing else. Parsers differ in what else they let
// pass: a lone CR ends a line for the one and not for the other, a blank is
// skipped, a letter's case does not count. What is refused here cannot be read
// in two ways later. The error is ErrMalformed.
func descriptionLines(sdp string) ([]string, error) {
	if len(sdp) > maxDescription {
		return nil, fmt.Errorf("%w: description of %d bytes", ErrMalformed, len(sdp))
	}
	rest, ended := strings.CutSuffix(sdp, "\r\n")
	if !ended {
		return nil, fmt.Errorf("%w: description does not end with a line", ErrMalformed)
	}
	lines := strings.Split(rest, "\r\n")
	if len(lines) > maxDescriptions {
		return nil, fmt.Errorf("%w: description of %d lines", ErrMalformed, len(lines))
	}
	for i, line := range lines {
		if !strictLine(line) {
			return nil, fmt.Errorf("%w: line %d of the description is %.40q", ErrMalformed, i+1, line)
		}
	}
	return lines, nil
}

func strictLine(line string) bool {
	if len(line) < 3 || len(line) > maxDescriptionLine || line[0] < 'a' || line[0] > 'z' || line[1] != '=' || line[2] == ' ' {
		return false
	}
	for i := range len(line) {
		if line[i] < ' ' || line[i] > '~' {
			return false
		}
	}
	return true
}

// Fingerprint is the one SHA-256 DTLS fingerprint (32 bytes) that a session
// description names, as often as it does. Errors: ErrMalformed for a description
// outside the strict rule, for one that names none, another hash or two that
// differ, and for any line that says fingerprint in another way than
//
//	a=fingerprint:sha-256 01:23:…        32 pairs of hexadecimal digits
func Fingerprint(sdp string) ([]byte, error) {
	lines, err := descriptionLines(sdp)
	if err != nil {
		return nil, err
	}
	var found []byte
	for _, line := range lines {
		if !saysFingerprint(line) {
			continue
		}
		fp := parseFingerprint(line)
		if fp == nil {
			return nil, fmt.Errorf("%w: %.60q is no SHA-256 fingerprint", ErrMalformed, line)
		}
		if found != nil && !bytes.Equal(found, fp) {
			return nil, fmt.Errorf("%w: two different fingerprints", ErrMalformed)
		}
		found = fp
	}
	if found == nil {
		return nil, fmt.Errorf("%w: no fingerprint", ErrMalformed)
	}
	return found, nil
}

func saysFingerprint(line string) bool {
	return strings.Contains(strings.ToLower(line), "fingerprint")
}

// parseFingerprint is nil for anything but one line of the form.
func parseFingerprint(line string) []byte {
	const name = len("a=fingerprint:")
	if len(line) != len(fingerprintLine)+32*3-1 || line[:name] != fingerprintLine[:name] ||
		!strings.EqualFold(line[name:len(fingerprintLine)], fingerprintLine[name:]) {
		return nil
	}
	pairs := strings.Split(line[len(fingerprintLine):], ":")
	fp := make([]byte, 0, 32)
	for _, pair := range pairs {
		b, err := hex.DecodeString(pair)
		if err != nil || len(b) != 1 {
			return nil
		}
		fp = append(fp, b[0])
	}
	return fp
}

// Seal is a session description that names the certificate with this
// fingerprint, for all its media, and no other. Every line that says fingerprint
// in any case goes, and so does what else names who is at the other end, or a key
// to speak with (identity, crypto, k=). All other lines are as they were.
// Errors: ErrMalformed.
func Seal(sdp string, fingerprint []byte) (string, error) {
	if len(fingerprint) != 32 {
		return "", fmt.Errorf("%w: fingerprint of %d bytes", ErrMalformed, len(fingerprint))
	}
	lines, err := descriptionLines(sdp)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	out.Grow(len(sdp) + len(fingerprintLine) + 32*3)
	sealed := false
	seal := func() {
		sealed = true
		out.WriteString(fingerprintLine)
		for i, b := range fingerprint {
			if i > 0 {
				out.WriteByte(':')
			}
			fmt.Fprintf(&out, "%02X", b)
		}
		out.WriteString("\r\n")
	}
	for _, line := range lines {
		if namesPeer(line) {
			continue
		}
		if !sealed && line[0] == 'm' { // where what counts for all media ends
			seal()
		}
		out.WriteString(line)
		out.WriteString("\r\n")
	}
	if !sealed {
		seal()
	}
	if out.Len() > maxDescription {
		return "", fmt.Errorf("%w: sealed description of %d bytes", ErrMalformed, out.Len())
	}
	return out.String(), nil
}

// SealOwn is a description as it is passed on, whoever made it: sealed with the
// one certificate that it names itself, which is what was read of it and what the
// other side will read. Errors: ErrMalformed.
func SealOwn(sdp string) (sealed string, fingerprint []byte, err error) {
	if fingerprint, err = Fingerprint(sdp); err != nil {
		return "", nil, err
	}
	if sealed, err = Seal(sdp, fingerprint); err != nil {
		return "", nil, err
	}
	return sealed, fingerprint, nil
}

// namesPeer reports whether a line says who is at the other end, or with which key.
func namesPeer(line string) bool {
	if saysFingerprint(line) || line[0] == 'k' {
		return true
	}
	name, _, _ := strings.Cut(line[2:], ":")
	name = strings.ToLower(strings.TrimSpace(name))
	return line[0] == 'a' && (name == "identity" || name == "crypto")
}
