package link

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"oriel/agent/internal/identity"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/protocol/wire"
)

const (
	handshakeTimeout = 15 * time.Second
	nonceSize        = 32
	// clockWarning is how wrong the machine's clock may be without a word.
	clockWarning = 2 * time.Minute
)

// connect dials one address and goes through the handshake.
func (l *Link) connect(ctx context.Context, address string) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	state := l.id.State()

	clock, o := &question{}, l.o.Wire
	o.Ping = func() proto.Message { return l.ping(clock) }
	conn, asked, err := open(ctx, l.id.Key(), address, state, l.withToken || !state.Enrolled(), o)
	if unknown(err) && state.Enrolled() && (state.Token != "" || len(state.Memberships()) > 0) && !l.withToken {
		// The relay forgot this machine: it is told that it knew it, and gets a new token if there is one.
		l.withToken = true
		conn, asked, err = open(ctx, l.id.Key(), address, state, true, o)
	}
	if err != nil {
		return nil, err
	}
	defer closeAfter(ctx, conn)()
	welcome, err := l.greet(conn, address, state, asked)
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = fail(address, "does not finish the greeting; is this an Oriel relay?", ctx.Err())
		}
		return nil, err
	}
	l.withToken = false
	clock.ready()
	return &connection{conn: conn, clock: clock, address: address, welcome: welcome}, nil
}

// Check looks whether a relay would take this machine, and is the one that was
// meant, without taking the place of an agent that may be running. It returns
// the address that answered. Errors: as Run logs them.
func Check(ctx context.Context, key ed25519.PublicKey, state identity.State) (string, error) {
	var first error
	for _, address := range state.Addresses() {
		err := check(ctx, key, state, address)
		if err == nil {
			return address, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = errNoAddress
	}
	return "", first
}

func check(ctx context.Context, key ed25519.PublicKey, state identity.State, address string) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn, asked, err := open(ctx, key, address, state, !state.Enrolled(), wire.Options{})
	if err != nil {
		return err
	}
	defer conn.Close()
	defer closeAfter(ctx, conn)()
	challenge, err := receive(conn, address, (*orielv1.ToAgent).GetChallenge)
	if err != nil {
		return err
	}
	if err := trusts(address, challenge, state); err != nil {
		return err
	}
	_, err = asked.answered(conn, address, challenge)
	return err
}

// closeAfter closes conn when ctx is done, unless the function it returns was
// called before.
func closeAfter(ctx context.Context, conn *wire.Conn) func() bool {
	return context.AfterFunc(ctx, func() { conn.Close() })
}

// asked is what a connection was opened with.
type asked struct {
	nonce []byte
	token *trust.Token // to enroll with; nil: enrolled already, or there is none
}

// open connects. A token is named by its public half and stays here: it is
// proved in hello, to a relay that has proved its key.
func open(ctx context.Context, key ed25519.PublicKey, address string, state identity.State, withToken bool, o wire.Options) (*wire.Conn, asked, error) {
	a := asked{nonce: make([]byte, nonceSize)}
	rand.Read(a.nonce)
	who := trust.Applicant{Key: key}
	if withToken && state.Token != "" {
		token, err := trust.ParseToken(state.Token)
		if err != nil {
			return nil, a, err
		}
		a.token, who.Token, who.Nonce = &token, token.Public(), a.nonce
	}
	header := http.Header{"Authorization": {who.Authorization()}}
	if withToken {
		for _, former := range state.Memberships() {
			former.Show(header.Set)
		}
	}
	config := &tls.Config{RootCAs: roots(state.CA), MinVersion: tls.VersionTLS12}
	url := "ws" + strings.TrimPrefix(address, "http") + "/agent/v1"
	conn, resp, err := wire.Dial(ctx, url, header, config, o)
	if err != nil {
		return nil, a, explainDial(address, resp, err)
	}
	return conn, a, nil
}

// answered is what this connection's signatures cover, of a relay that trusts
// let pass. One that a machine enrolls at has proved its key here.
func (a asked) answered(conn *wire.Conn, address string, challenge *orielv1.Challenge) (trust.Hello, error) {
	signed := trust.Hello{RelayNonce: challenge.GetNonce(), RelayKey: challenge.GetRelayKey(), AgentNonce: a.nonce}
	if challenge.GetBindTls() {
		if conn.TLS() == nil {
			return signed, fail(address, "expects an encrypted connection; give its https:// address", nil)
		}
		var err error
		if signed.Exporter, err = conn.TLS().ExportKeyingMaterial(trust.ExporterLabel, nil, 32); err != nil {
			return signed, fail(address, "cannot be bound to this TLS connection: "+err.Error(), err)
		}
	}
	if a.token != nil && len(challenge.GetSignature()) == 0 {
		return signed, refuse(address, notProved+", or it is from before 2026-11-30: then update the relay", nil)
	}
	if a.token != nil && trust.VerifyChallenge(signed, challenge.GetSignature()) != nil {
		return signed, refuse(address, notProved, nil)
	}
	return signed, nil
}

const notProved = "does not prove that it holds its key; somebody may be between this computer and the relay"

// greet is Challenge, Hello, Welcome.
func (l *Link) greet(conn *wire.Conn, address string, state identity.State, asked asked) (*orielv1.Welcome, error) {
	challenge, err := receive(conn, address, (*orielv1.ToAgent).GetChallenge)
	if err != nil {
		return nil, err
	}
	key := ed25519.PublicKey(challenge.GetRelayKey())
	if err := trusts(address, challenge, state); err != nil {
		return nil, err
	}
	signed, err := asked.answered(conn, address, challenge)
	if err != nil {
		return nil, err
	}
	hello, err := l.hello(signed, asked.token)
	if err != nil {
		return nil, err
	}
	if err := conn.Send(&orielv1.FromAgent{Body: &orielv1.FromAgent_Hello{Hello: hello}}); err != nil {
		return nil, explainEnd(address, err)
	}
	welcome, err := receive(conn, address, (*orielv1.ToAgent).GetWelcome)
	var told *renewal
	if errors.As(err, &told) {
		return nil, l.renew(address, key, hello, told.asked)
	}
	if err != nil {
		return nil, err
	}
	now := time.UnixMilli(welcome.GetNow())
	if trust.VerifyWelcome(key, hello.GetNonce(), welcome.GetComputerId(), now, welcome.GetSignature()) != nil ||
		welcome.GetComputerId() == "" {
		return nil, refuse(address, notProved, nil)
	}
	l.setClock(now)
	succession := ed25519.PublicKey(welcome.GetSuccessionKey())
	if trust.VerifySuccession(key, hello.GetNonce(), succession, welcome.GetSuccessionSignature()) != nil {
		succession = nil
	}
	if state.Enrolled() && !bytes.Equal(key, state.RelayKey) {
		l.log.Warn("the relay has a new key, and its succession key says so; the old one counts no more", "relay", address)
	}
	if len(state.Succession) > 0 && succession != nil && !bytes.Equal(succession, state.Succession) && state.Enrolled() {
		l.log.Warn("the relay names another succession key than the one that is known here; it is not taken", "relay", address)
	}
	err = l.id.Welcomed(key, succession, welcome.GetComputerId(), welcome.GetRelays())
	if words := memberships(key, l.id.Key(), welcome); len(words) > 0 && (err == nil || errors.Is(err, identity.ErrUnsaved)) {
		err = l.id.KeepMemberships(words)
	}
	if errors.Is(err, identity.ErrUnsaved) {
		l.log.Warn("what the relay says cannot be saved yet; it holds until this agent ends", "error", err)
		err = nil
	}
	return welcome, err
}

// memberships are the relay's words for this machine that are good.
func memberships(relay, machine ed25519.PublicKey, w *orielv1.Welcome) []trust.Membership {
	all := []trust.Membership{{Computer: w.GetComputerId(), Signature: w.GetMembership()}}
	if w.GetOrganization() != "" { // without one it would be the first again
		all = append(all, trust.Membership{Computer: w.GetComputerId(), Organization: w.GetOrganization(), Signature: w.GetOrganizationMembership()})
	}
	return slices.DeleteFunc(all, func(m trust.Membership) bool { return m.Verify(relay, machine) != nil })
}

// renew makes an identity of this machine's own, on the word of the relay that
// trusts let pass and for that relay only: the next greeting enrolls with it.
func (l *Link) renew(address string, relay ed25519.PublicKey, hello *orielv1.Hello, said *orielv1.NewIdentity) error {
	if trust.VerifyNewIdentity(relay, hello.GetMachineKey(), hello.GetNonce(), said.GetToken(), said.GetSignature()) != nil {
		return fail(address, "asks for a new identity, and does not prove that it may", nil)
	}
	if err := l.id.Renew(relay, said.GetToken()); err != nil {
		return fail(address, "asks for a new identity: "+clean(err.Error()), err)
	}
	l.log.Warn("this computer makes an identity of its own, because another one has the same; the old one is kept beside it", "relay", address)
	return fail(address, "has another computer with the identity that this one had; it is enrolled as its own", nil)
}

// trusts decides whether this is the relay that was meant: the pinned one, the one
// that follows it by the word of the pinned succession key, or the one that made
// the token. It has yet to prove that it holds its key.
func trusts(address string, challenge *orielv1.Challenge, state identity.State) error {
	key := ed25519.PublicKey(challenge.GetRelayKey())
	if len(key) != ed25519.PublicKeySize {
		return fail(address, "sends no key; is this an Oriel relay?", nil)
	}
	if state.Enrolled() {
		if !bytes.Equal(key, state.RelayKey) && trust.Follow(state.Succession, state.RelayKey, key, challenge.GetRotations()) != nil {
			return refuse(address, "has another key than when this computer was enrolled; "+
				"if the relay was set up anew, enroll again with a token of the new one", nil)
		}
		return nil
	}
	if state.Token == "" {
		return refuse(address, "does not know this computer; give it an enrollment token with --token", nil)
	}
	token, err := trust.ParseToken(state.Token)
	if err != nil {
		return err
	}
	if !token.For(key) {
		return refuse(address, "is not the relay that made this enrollment token; check the address, and copy the token from that relay's console", nil)
	}
	return nil
}

func (l *Link) hello(signed trust.Hello, token *trust.Token) (*orielv1.Hello, error) {
	hello := l.o.Hello()
	hello.Version = orielv1.Version
	hello.MachineKey = l.id.Key()
	hello.Instance = l.id.Instance()
	hello.Nonce = signed.AgentNonce
	var err error
	if hello.Signature, err = trust.SignHello(l.id.Sign, signed); err != nil {
		return nil, fmt.Errorf("sign hello: %w", err)
	}
	if token != nil {
		hello.Enrollment = token.Prove(signed, l.id.Key())
	}
	return hello, nil
}

// receive waits for the one message that may come now, or for Refused.
func receive[T any](conn *wire.Conn, address string, pick func(*orielv1.ToAgent) *T) (*T, error) {
	for {
		m := &orielv1.ToAgent{}
		if err := conn.Receive(m); err != nil {
			return nil, explainEnd(address, err)
		}
		if r := m.GetRefused(); r != nil {
			return nil, explainRefused(address, r)
		}
		if body := pick(m); body != nil {
			return body, nil
		}
		if m.GetBody() != nil {
			return nil, fail(address, "speaks out of turn; is this an Oriel relay?", nil)
		}
		// A message that a newer relay sends and this agent does not know.
	}
}
