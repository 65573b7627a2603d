package link

import (
	"crypto/ed25519"
	"testing"

	"oriel/agent/internal/identity"
	"oriel/agent/internal/link/linktest"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// Rule: the second of two machines makes an identity of its own when the relay that
// it trusts says so, signed for it and this greeting, and enrolls anew by itself.
func TestNewIdentityIsMadeAndEnrolled(t *testing.T) {
	for name, c := range map[string]struct {
		signs func(*linktest.Relay) ed25519.PrivateKey
		nonce func(*orielv1.Hello) []byte
		token func(*linktest.Relay) string
		made  bool
	}{
		"as it should be":               {made: true},
		"signed by another":             {signs: func(*linktest.Relay) ed25519.PrivateKey { _, k, _ := ed25519.GenerateKey(nil); return k }},
		"said to an earlier greeting":   {nonce: func(*orielv1.Hello) []byte { return make([]byte, 32) }},
		"with a token of another relay": {token: func(*linktest.Relay) string { o, _, _ := ed25519.GenerateKey(nil); return trust.NewToken(o).String() }},
	} {
		t.Run(name, func(t *testing.T) {
			relay := linktest.Start(t)
			id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()})
			a := run(t, id)
			first := relay.Agent(1)
			old := id.Key()
			if len(first.Hello.GetInstance()) < 16 {
				t.Fatal("Hello names no run of the agent")
			}
			asked := make(chan struct{}, 100)
			relay.RefuseHello(func(h *orielv1.Hello) *orielv1.Refused {
				if string(h.GetMachineKey()) != string(old) {
					return nil
				}
				key, nonce, token := relay.Key, h.GetNonce(), relay.Token()
				if c.signs != nil {
					key = c.signs(relay)
				}
				if c.nonce != nil {
					nonce = c.nonce(h)
				}
				if c.token != nil {
					token = c.token(relay)
				}
				sig, err := trust.SignNewIdentity(trust.Key(key), h.GetMachineKey(), nonce, token)
				if err != nil {
					t.Error(err)
				}
				asked <- struct{}{}
				return &orielv1.Refused{Code: orielv1.Code_CODE_TWO_MACHINES, NewIdentity: &orielv1.NewIdentity{Token: token, Signature: sig}}
			})
			first.Close(1013)
			if !c.made {
				<-asked
				<-asked // it was asked once, and kept its identity
				if !id.Key().Equal(old) || !id.State().Enrolled() {
					t.Fatal("the identity is gone")
				}
				return
			}
			second := relay.Agent(2)
			if second.Key.Equal(old) || !second.Key.Equal(id.Key()) {
				t.Fatal("the old key")
			}
			relay.Until("enrolled", func() bool { return id.State().Enrolled() })
			if got := first.Hello.GetInstance(); string(got) != string(second.Hello.GetInstance()) {
				t.Fatal("one run of the agent names itself twice")
			}
			if err := a.end(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
