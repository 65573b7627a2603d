// Package trust is what the signatures of the protocol cover, made and checked
// in one place so that agent and relay cannot disagree (the viewer's half is
// console/src/core/viewer/trust.ts, held to the same vectors in protocol/testdata).
// It stands beside wire, and not inside a room, because both sides need it.
//
// Every signature is Ed25519 over a context line, a zero byte and the parts,
// each preceded by its length (4 bytes, big endian), so that no signature can
// be taken for another:
//
//	oriel challenge v1 agent's nonce, relay's nonce, TLS exporter (may be empty)                relay key
//	oriel rotation v1  old key, new key, time (8 bytes, big endian ms)                          succession key, old key
//	oriel succession v1 agent's nonce, succession key                                           relay key
//	oriel enroll v1    relay's nonce, relay's key, agent's nonce, TLS exporter, machine key     token key
//	oriel hello v1     relay's nonce, relay's key, agent's nonce, TLS exporter (may be empty)   machine key
//	oriel welcome v1   agent's nonce, computer id, now (8 bytes, big endian ms)                 relay key
//	oriel new identity v1 machine key, agent's nonce, enrollment token                          relay key
//	oriel membership v1 machine key, computer id                                                relay key
//	oriel membership v2 machine key, computer id, organization                                  relay key
//	oriel grant v1     serialized Grant                                                         relay key
//	oriel renewal v1   serialized Renewal                                                       relay key
//	oriel supplement v1 serialized Supplement                                                   relay key
//	oriel policy v1    serialized ComputerPolicy                                                relay key
//	oriel clock v1     agent's nonce, computer id, now (8 bytes, big endian ms)                 relay key
//	oriel audit v1     organization, base, its hash, sequence, its hash, time (numbers in 8 bytes)  relay key
//	oriel answer v1    session id, grant's nonce, SHA-256 of the agent's DTLS certificate       machine key
//
// The answer binds the agent's certificate to the grant, and the grant binds
// the browser's: a relay in the middle can refuse a session but not read it,
// as long as the browser knows the machine's key.
//
// What is checked is what is used: a session description is read by one strict
// rule at every door (sdp.go), and is sealed with the certificate that was
// verified before anything else reads it.
package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
)

// ExporterLabel is the label (RFC 5705) under which both ends of a TLS
// connection derive the 32 bytes that bind a Hello to it.
const ExporterLabel = "EXPORTER-oriel-agent-hello"

// GrantLifetime is how long a grant is good for after it was issued.
const GrantLifetime = time.Minute

// ClockSkew is how far a grant's times may be off the agent's corrected clock.
const ClockSkew = 5 * time.Second

// What is wrong with a grant or a signature, each told apart.
var (
	ErrSignature   = errors.New("not signed by the trusted key")
	ErrExpired     = errors.New("the grant has expired")
	ErrReplayed    = errors.New("the grant was used before")
	ErrComputer    = errors.New("the grant is for another computer")
	ErrFingerprint = errors.New("the grant is for another browser")
	ErrMalformed   = errors.New("malformed")
	ErrOutdated    = errors.New("not newer than the policy that is kept")
)

// CodeOf is the wire's code for one of the errors above.
func CodeOf(err error) orielv1.Code {
	for _, c := range []struct {
		err  error
		code orielv1.Code
	}{
		{ErrSignature, orielv1.Code_CODE_GRANT_SIGNATURE},
		{ErrExpired, orielv1.Code_CODE_GRANT_EXPIRED},
		{ErrReplayed, orielv1.Code_CODE_GRANT_REPLAYED},
		{ErrComputer, orielv1.Code_CODE_GRANT_COMPUTER},
		{ErrFingerprint, orielv1.Code_CODE_GRANT_FINGERPRINT},
		{ErrMalformed, orielv1.Code_CODE_INVALID},
		{ErrOutdated, orielv1.Code_CODE_INVALID},
	} {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return orielv1.Code_CODE_INTERNAL
}

func message(context string, parts ...[]byte) []byte {
	var b bytes.Buffer
	b.WriteString(context)
	b.WriteByte(0)
	for _, p := range parts {
		_ = binary.Write(&b, binary.BigEndian, uint32(len(p)))
		b.Write(p)
	}
	return b.Bytes()
}

func verify(key ed25519.PublicKey, msg, sig []byte) error {
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, msg, sig) {
		return ErrSignature
	}
	return nil
}

// Signer signs with one key that it does not give away.
type Signer func(msg []byte) ([]byte, error)

// Key is the Signer of a key in memory.
func Key(k ed25519.PrivateKey) Signer {
	return func(msg []byte) ([]byte, error) { return ed25519.Sign(k, msg), nil }
}

// Hello is what an agent proves itself with.
type Hello struct {
	RelayNonce, RelayKey, AgentNonce, Exporter []byte
}

func (h Hello) message() []byte {
	return message("oriel hello v1", h.RelayNonce, h.RelayKey, h.AgentNonce, h.Exporter)
}

// SignHello signs h with the machine key.
func SignHello(s Signer, h Hello) ([]byte, error) { return s(h.message()) }

// VerifyHello checks sig. Errors: ErrSignature.
func VerifyHello(machine ed25519.PublicKey, h Hello, sig []byte) error {
	return verify(machine, h.message(), sig)
}

func (h Hello) challenge() []byte {
	return message("oriel challenge v1", h.AgentNonce, h.RelayNonce, h.Exporter)
}

// SignChallenge signs the nonces of h with the relay's key, for an agent that
// enrolls and knows that key by its token's hash only.
func SignChallenge(s Signer, h Hello) ([]byte, error) { return s(h.challenge()) }

// VerifyChallenge checks sig against the key that h names. Errors: ErrSignature.
func VerifyChallenge(h Hello, sig []byte) error { return verify(h.RelayKey, h.challenge(), sig) }

func welcome(agentNonce []byte, computer string, now time.Time) []byte {
	return message("oriel welcome v1", agentNonce, []byte(computer),
		binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli())))
}

// SignWelcome signs the relay's greeting with its key.
func SignWelcome(s Signer, agentNonce []byte, computer string, now time.Time) ([]byte, error) {
	return s(welcome(agentNonce, computer, now))
}

// VerifyWelcome checks the relay's greeting. Errors: ErrSignature.
func VerifyWelcome(relay ed25519.PublicKey, agentNonce []byte, computer string, now time.Time, sig []byte) error {
	return verify(relay, welcome(agentNonce, computer, now), sig)
}

func newIdentity(machine ed25519.PublicKey, agentNonce []byte, token string) []byte {
	return message("oriel new identity v1", machine, agentNonce, []byte(token))
}

// SignNewIdentity signs with the relay's key that the machine which greeted with
// this key and nonce is to make another key, and to enroll it with token.
func SignNewIdentity(s Signer, machine ed25519.PublicKey, agentNonce []byte, token string) ([]byte, error) {
	return s(newIdentity(machine, agentNonce, token))
}

// VerifyNewIdentity checks sig. Errors: ErrSignature.
func VerifyNewIdentity(relay, machine ed25519.PublicKey, agentNonce []byte, token string, sig []byte) error {
	return verify(relay, newIdentity(machine, agentNonce, token), sig)
}

// SignGrant serializes and signs g with the relay's key.
func SignGrant(s Signer, g *orielv1.Grant) (*orielv1.SignedGrant, error) {
	b, err := orielv1.Encode(g)
	if err != nil {
		return nil, fmt.Errorf("sign grant: %w", err)
	}
	sig, err := s(message("oriel grant v1", b))
	if err != nil {
		return nil, fmt.Errorf("sign grant: %w", err)
	}
	return &orielv1.SignedGrant{Grant: b, RelaySignature: sig}, nil
}

// SignRenewal serializes and signs r with the relay's key.
func SignRenewal(s Signer, r *orielv1.Renewal) (*orielv1.SignedRenewal, error) {
	b, err := orielv1.Encode(r)
	if err != nil {
		return nil, fmt.Errorf("sign renewal: %w", err)
	}
	sig, err := s(message("oriel renewal v1", b))
	if err != nil {
		return nil, fmt.Errorf("sign renewal: %w", err)
	}
	return &orielv1.SignedRenewal{Renewal: b, RelaySignature: sig}, nil
}

// SignSupplement serializes and signs s with the relay's key.
func SignSupplement(sign Signer, s *orielv1.Supplement) (*orielv1.SignedSupplement, error) {
	b, err := orielv1.Encode(s)
	if err != nil {
		return nil, fmt.Errorf("sign supplement: %w", err)
	}
	sig, err := sign(message("oriel supplement v1", b))
	if err != nil {
		return nil, fmt.Errorf("sign supplement: %w", err)
	}
	return &orielv1.SignedSupplement{Supplement: b, RelaySignature: sig}, nil
}

func clock(agentNonce []byte, computer string, now time.Time) []byte {
	return message("oriel clock v1", agentNonce, []byte(computer),
		binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli())))
}

// SignClock signs the relay's time with its key.
func SignClock(s Signer, agentNonce []byte, computer string, now time.Time) ([]byte, error) {
	return s(clock(agentNonce, computer, now))
}

// VerifyClock checks the relay's time. Errors: ErrSignature.
func VerifyClock(relay ed25519.PublicKey, agentNonce []byte, computer string, now time.Time, sig []byte) error {
	return verify(relay, clock(agentNonce, computer, now), sig)
}

func answer(session string, nonce, fingerprint []byte) []byte {
	return message("oriel answer v1", []byte(session), nonce, fingerprint)
}

// SignAnswer signs the agent's DTLS fingerprint for one grant with the machine key.
func SignAnswer(s Signer, session string, nonce, fingerprint []byte) ([]byte, error) {
	return s(answer(session, nonce, fingerprint))
}

// VerifyAnswer checks sig as the viewer does. Errors: ErrSignature.
func VerifyAnswer(machine ed25519.PublicKey, session string, nonce, fingerprint, sig []byte) error {
	return verify(machine, answer(session, nonce, fingerprint), sig)
}

// KeyText is a key as two people compare it, on the machine and in the
// viewer: six groups of five digits (99 bits), each of five bytes of its SHA-256
// as a big-endian number modulo 100000.
func KeyText(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	var groups []string
	for five := range slices.Chunk(sum[:30], 5) {
		n := uint64(five[0])<<32 | uint64(binary.BigEndian.Uint32(five[1:]))
		groups = append(groups, fmt.Sprintf("%05d", n%100_000))
	}
	return strings.Join(groups, " ")
}

// Verifier checks grants on an agent and remembers those used, until they
// have expired. Its methods may be called from any goroutine.
type Verifier struct {
	RelayKey    ed25519.PublicKey
	ComputerID  string
	ComputerKey ed25519.PublicKey
	Now         func() time.Time // the relay's time, as well as the agent knows it

	mu   sync.Mutex
	used map[string]time.Time // protected by mu; nonce to expiry
}

// Verify checks that the offer's grant is good for this computer and for the
// browser whose certificate the offer names, and uses it up. Errors, in the
// order of the checks: ErrSignature, ErrMalformed, ErrComputer, ErrExpired,
// ErrFingerprint, ErrReplayed.
func (v *Verifier) Verify(offer *orielv1.Offer) (*orielv1.Grant, error) {
	sg := offer.GetGrant()
	if err := verify(v.RelayKey, message("oriel grant v1", sg.GetGrant()), sg.GetRelaySignature()); err != nil {
		return nil, err
	}
	g := &orielv1.Grant{}
	if err := orielv1.Decode(sg.GetGrant(), g); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(g.GetNonce()) != 16 || g.GetSessionId() == "" || g.GetSessionId() != offer.GetSessionId() {
		return nil, fmt.Errorf("%w: grant and offer do not belong together", ErrMalformed)
	}
	if g.GetComputerId() != v.ComputerID || !bytes.Equal(g.GetComputerKey(), v.ComputerKey) {
		return nil, ErrComputer
	}
	if v.untimely(g.GetIssuedAt(), g.GetExpiresAt()) {
		return nil, ErrExpired
	}
	fp, err := Fingerprint(offer.GetSdp())
	if err != nil || !bytes.Equal(fp, g.GetFingerprint()) {
		return nil, ErrFingerprint
	}
	return g, v.use(string(g.GetNonce()), time.UnixMilli(g.GetExpiresAt()).Add(2*ClockSkew), v.Now())
}

// VerifyRenewal checks that r is the relay's and for this computer. An old one
// is good, too: it says only what held at its time. Errors: ErrSignature,
// ErrMalformed, ErrComputer.
func (v *Verifier) VerifyRenewal(r *orielv1.SignedRenewal) (*orielv1.Renewal, error) {
	if err := verify(v.RelayKey, message("oriel renewal v1", r.GetRenewal()), r.GetRelaySignature()); err != nil {
		return nil, err
	}
	renewal := &orielv1.Renewal{}
	if err := orielv1.Decode(r.GetRenewal(), renewal); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if renewal.GetComputerId() != v.ComputerID {
		return nil, ErrComputer
	}
	return renewal, nil
}

// VerifySupplement checks that s is the relay's, for this computer, and of now. That it
// is newer than what the session has is for who knows the session. Errors: ErrSignature,
// ErrMalformed, ErrComputer, ErrExpired.
func (v *Verifier) VerifySupplement(s *orielv1.SignedSupplement) (*orielv1.Supplement, error) {
	if err := verify(v.RelayKey, message("oriel supplement v1", s.GetSupplement()), s.GetRelaySignature()); err != nil {
		return nil, err
	}
	supplement := &orielv1.Supplement{}
	if err := orielv1.Decode(s.GetSupplement(), supplement); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if supplement.GetComputerId() != v.ComputerID {
		return nil, ErrComputer
	}
	if v.untimely(supplement.GetIssuedAt(), supplement.GetExpiresAt()) {
		return nil, ErrExpired
	}
	return supplement, nil
}

// untimely reports whether now is not between two times of the relay that are no
// further apart than a grant's.
func (v *Verifier) untimely(issued, expires int64) bool {
	now, from, to := v.Now(), time.UnixMilli(issued), time.UnixMilli(expires)
	return now.After(to.Add(ClockSkew)) || now.Before(from.Add(-ClockSkew)) || to.Sub(from) > GrantLifetime
}

func (v *Verifier) use(nonce string, until, now time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for n, t := range v.used {
		if now.After(t) {
			delete(v.used, n)
		}
	}
	if _, again := v.used[nonce]; again {
		return ErrReplayed
	}
	if v.used == nil {
		v.used = make(map[string]time.Time)
	}
	v.used[nonce] = until
	return nil
}
