package trust

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
)

var update = flag.Bool("update", false, "write the vectors anew")

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func pub(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func sdp(fingerprint []byte) string {
	parts := make([]string, len(fingerprint))
	for i, b := range fingerprint {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	return "v=0\r\na=fingerprint:sha-256 " + strings.Join(parts, ":") + "\r\nm=video 9 UDP/TLS/RTP/SAVPF 45\r\n"
}

// scene is a grant that is good, to be spoilt in one way at a time.
type scene struct {
	relay, machine ed25519.PrivateKey
	now            time.Time
	grant          *orielv1.Grant
	fingerprint    []byte // of the offer
	session        string // of the offer
}

func newScene() *scene {
	s := &scene{relay: key(1), machine: key(2), now: time.UnixMilli(1795305600000), session: "s-1"}
	s.fingerprint = bytes.Repeat([]byte{7}, 32)
	s.grant = &orielv1.Grant{
		SessionId: "s-1", Nonce: bytes.Repeat([]byte{9}, 16), ComputerId: "c-1", ComputerKey: pub(s.machine),
		IssuedAt: s.now.UnixMilli(), ExpiresAt: s.now.Add(GrantLifetime).UnixMilli(),
		Fingerprint: bytes.Repeat([]byte{7}, 32), Scopes: []orielv1.Scope{orielv1.Scope_SCOPE_VIEW},
	}
	return s
}

func (s *scene) offer(t *testing.T) *orielv1.Offer {
	t.Helper()
	sg, err := SignGrant(Key(s.relay), s.grant)
	if err != nil {
		t.Fatal(err)
	}
	return &orielv1.Offer{SessionId: s.session, Grant: sg, Sdp: sdp(s.fingerprint)}
}

func (s *scene) verifier() *Verifier {
	return &Verifier{RelayKey: pub(key(1)), ComputerID: "c-1", ComputerKey: pub(key(2)),
		Now: func() time.Time { return s.now }}
}

func TestVerify(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(*scene)
		want  error
	}{
		{"good", func(*scene) {}, nil},
		{"signed by another key", func(s *scene) { s.relay = key(3) }, ErrSignature},
		{"expired", func(s *scene) { s.now = s.now.Add(GrantLifetime + ClockSkew + time.Millisecond) }, ErrExpired},
		{"within the skew", func(s *scene) { s.now = s.now.Add(GrantLifetime + ClockSkew) }, nil},
		{"from the future", func(s *scene) { s.now = s.now.Add(-ClockSkew - time.Millisecond) }, ErrExpired},
		{"good for too long", func(s *scene) { s.grant.ExpiresAt += 1 }, ErrExpired},
		{"another computer", func(s *scene) { s.grant.ComputerId = "c-2" }, ErrComputer},
		{"another machine key", func(s *scene) { s.grant.ComputerKey = pub(key(4)) }, ErrComputer},
		{"another browser", func(s *scene) { s.fingerprint = bytes.Repeat([]byte{8}, 32) }, ErrFingerprint},
		{"no fingerprint", func(s *scene) { s.fingerprint = nil }, ErrFingerprint},
		{"another session", func(s *scene) { s.session = "s-2" }, ErrMalformed},
		{"a short nonce", func(s *scene) { s.grant.Nonce = s.grant.Nonce[:15] }, ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScene()
			tc.spoil(s)
			g, err := s.verifier().Verify(s.offer(t))
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if tc.want == nil && g.GetSessionId() != "s-1" {
				t.Fatalf("got grant %v", g)
			}
		})
	}
}

func TestVerifyTamperedAndEmpty(t *testing.T) {
	s := newScene()
	o := s.offer(t)
	o.Grant.Grant[len(o.Grant.Grant)-1] ^= 1
	if _, err := s.verifier().Verify(o); !errors.Is(err, ErrSignature) {
		t.Fatalf("tampered: %v", err)
	}
	if _, err := s.verifier().Verify(&orielv1.Offer{}); !errors.Is(err, ErrSignature) {
		t.Fatalf("empty: %v", err)
	}
	if _, err := (&Verifier{Now: time.Now}).Verify(s.offer(t)); !errors.Is(err, ErrSignature) {
		t.Fatalf("no trusted key: %v", err)
	}
}

func TestVerifyReplayed(t *testing.T) {
	s := newScene()
	v := s.verifier()
	if _, err := v.Verify(s.offer(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(s.offer(t)); !errors.Is(err, ErrReplayed) {
		t.Fatalf("got %v", err)
	}
	// As long as the grant could still be taken, its nonce is remembered.
	s.now = s.now.Add(GrantLifetime + ClockSkew)
	if _, err := v.Verify(s.offer(t)); !errors.Is(err, ErrReplayed) {
		t.Fatalf("at its end: %v", err)
	}
	s.now = s.now.Add(time.Hour)
	s.grant.Nonce = bytes.Repeat([]byte{1}, 16)
	s.grant.IssuedAt, s.grant.ExpiresAt = s.now.UnixMilli(), s.now.Add(GrantLifetime).UnixMilli()
	if _, err := v.Verify(s.offer(t)); err != nil {
		t.Fatal(err)
	}
	if len(v.used) != 1 {
		t.Fatalf("%d nonces kept", len(v.used))
	}
}

func TestCodesAreDistinct(t *testing.T) {
	seen := map[orielv1.Code]error{}
	for _, err := range []error{ErrSignature, ErrExpired, ErrReplayed, ErrComputer, ErrFingerprint, ErrMalformed} {
		c := CodeOf(fmt.Errorf("wrapped: %w", err))
		if c == orielv1.Code_CODE_INTERNAL || seen[c] != nil {
			t.Errorf("%v has code %v", err, c)
		}
		seen[c] = err
	}
}

func TestHelloAndWelcome(t *testing.T) {
	h := Hello{RelayNonce: []byte("r"), RelayKey: pub(key(1)), AgentNonce: []byte("a"), Exporter: []byte("e")}
	sig, err := SignHello(Key(key(2)), h)
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyHello(pub(key(2)), h, sig); err != nil {
		t.Fatal(err)
	}
	for name, spoilt := range map[string]Hello{
		"relay nonce": {[]byte("x"), h.RelayKey, h.AgentNonce, h.Exporter},
		"relay key":   {h.RelayNonce, pub(key(3)), h.AgentNonce, h.Exporter},
		"exporter":    {h.RelayNonce, h.RelayKey, h.AgentNonce, nil},
		"shifted":     {h.RelayNonce, h.RelayKey, []byte("ae"), nil},
	} {
		if err := VerifyHello(pub(key(2)), spoilt, sig); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	now := time.UnixMilli(5)
	sig, err = SignWelcome(Key(key(1)), []byte("a"), "c-1", now)
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyWelcome(pub(key(1)), []byte("a"), "c-1", now, sig); err != nil {
		t.Fatal(err)
	}
	if err := VerifyWelcome(pub(key(1)), []byte("a"), "c-1", now.Add(time.Millisecond), sig); !errors.Is(err, ErrSignature) {
		t.Fatal("another time was taken")
	}
}

// vector is read by console/src/core/viewer/trust.test.ts as well.
type vector struct {
	Name        string `json:"name"`
	MachineKey  string `json:"machine_key"`
	KeyText     string `json:"key_text"` // as people compare it
	Session     string `json:"session"`
	Nonce       string `json:"nonce"`
	Fingerprint string `json:"fingerprint"`
	Signature   string `json:"signature"`
	Valid       bool   `json:"valid"`
}

const vectorFile = "../testdata/answers.json"

func vectors(t *testing.T) []vector {
	t.Helper()
	k, nonce, fp := key(2), bytes.Repeat([]byte{9}, 16), bytes.Repeat([]byte{7}, 32)
	sig, err := SignAnswer(Key(k), "s-1", nonce, fp)
	if err != nil {
		t.Fatal(err)
	}
	good := vector{"good", hex.EncodeToString(pub(k)), KeyText(pub(k)), "s-1", hex.EncodeToString(nonce),
		hex.EncodeToString(fp), hex.EncodeToString(sig), true}
	bad := func(name string, f func(*vector)) vector {
		v := good
		v.Name, v.Valid = name, false
		f(&v)
		return v
	}
	other := hex.EncodeToString(bytes.Repeat([]byte{8}, 32))
	return []vector{good,
		bad("another machine", func(v *vector) { v.MachineKey, v.KeyText = hex.EncodeToString(pub(key(3))), KeyText(pub(key(3))) }),
		bad("another session", func(v *vector) { v.Session = "s-2" }),
		bad("another nonce", func(v *vector) { v.Nonce = other[:32] }),
		bad("another certificate", func(v *vector) { v.Fingerprint = other }),
		bad("a spoilt signature", func(v *vector) { v.Signature = "00" + v.Signature[2:] }),
		bad("no signature", func(v *vector) { v.Signature = "" }),
	}
}

func TestAnswerVectors(t *testing.T) {
	if *update {
		b, err := json.MarshalIndent(vectors(t), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(b, &all); err != nil || len(all) != 7 {
		t.Fatalf("%d vectors, %v", len(all), err)
	}
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, v := range all {
		err := VerifyAnswer(unhex(v.MachineKey), v.Session, unhex(v.Nonce), unhex(v.Fingerprint), unhex(v.Signature))
		if (err == nil) != v.Valid {
			t.Errorf("%s: %v", v.Name, err)
		}
		if text := KeyText(unhex(v.MachineKey)); text != v.KeyText {
			t.Errorf("%s: people compare %s", v.Name, text)
		}
	}
}

// FuzzVerify: nothing but the one good offer is taken.
func FuzzVerify(f *testing.F) {
	s := newScene()
	sg, err := SignGrant(Key(s.relay), s.grant)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sg.GetGrant(), sg.GetRelaySignature(), "s-1", sdp(s.fingerprint))
	f.Fuzz(func(t *testing.T, grant, sig []byte, session, description string) {
		o := &orielv1.Offer{SessionId: session, Sdp: description,
			Grant: &orielv1.SignedGrant{Grant: grant, RelaySignature: sig}}
		if _, err := s.verifier().Verify(o); err == nil && !bytes.Equal(grant, sg.GetGrant()) {
			t.Fatalf("a forged grant was taken: %x", grant)
		}
	})
}
