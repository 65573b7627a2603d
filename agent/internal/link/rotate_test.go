package link

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"oriel/agent/internal/identity"
	"oriel/agent/internal/link/linktest"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// Rule: the relay's key is rotated by a cross-signature with a succession key that
// agents pin at enrollment, or with an authenticated Welcome where none is pinned;
// nothing else makes an agent take another key.
func TestRelaysKeyIsFollowed(t *testing.T) {
	paper, thief := trust.NewSuccession(), trust.NewSuccession()
	for name, c := range map[string]struct {
		first, then ed25519.PublicKey // succession keys that Welcome names: at enrollment, and afterwards
		by          trust.Succession
		unsigned    bool // without the old key's word
		follows     bool
	}{
		"pinned at enrollment":          {paper.Public(), paper.Public(), paper, false, true},
		"pinned afterwards":             {nil, paper.Public(), paper, false, true},
		"never pinned":                  {nil, nil, paper, false, false},
		"of a thief of the relay":       {paper.Public(), paper.Public(), thief, false, false},
		"of a thief that names its own": {paper.Public(), thief.Public(), thief, false, false},
		"without the old key's word":    {paper.Public(), paper.Public(), paper, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			relay := linktest.Start(t, func(r *linktest.Relay) { r.Succession = c.first })
			id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()})
			a := run(t, id)
			relay.Agent(1)
			relay.Until("enrolled", func() bool { return id.State().Enrolled() })
			relay.Stop()
			relay.Succession = c.then
			relay.Restart()
			relay.Agent(2)
			pinned := c.first
			if pinned == nil {
				pinned = c.then
			}
			relay.Until("the succession key is pinned", func() bool { return id.State().Succession.Equal(pinned) })
			relay.Stop()

			old, next := relay.Key, ed25519.PrivateKey(nil)
			_, next, _ = ed25519.GenerateKey(rand.Reader)
			rotation, err := c.by.Rotate(trust.Key(old), relay.Public(), next.Public().(ed25519.PublicKey), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if c.unsigned {
				rotation.OldSignature = nil
			}
			relay.Key, relay.Rotations = next, []*orielv1.Rotation{rotation}
			relay.Restart()
			if c.follows {
				relay.Agent(3)
				relay.Until("the new key is pinned", func() bool { return id.State().RelayKey.Equal(relay.Public()) })
				// The old key counts no more, whoever has it.
				relay.Stop()
				relay.Key, relay.Rotations = old, nil
				relay.Restart()
			}
			relay.Until("the other key is refused", func() bool {
				return a.log.Contains("has another key than when this computer was enrolled")
			})
			if want := 2 + map[bool]int{true: 1}[c.follows]; len(relay.Agents()) != want {
				t.Errorf("%d connections, want %d", len(relay.Agents()), want)
			}
		})
	}
}
