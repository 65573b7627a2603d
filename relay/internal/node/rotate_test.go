package node_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"oriel/protocol/trust"
	"oriel/relay/internal/access"
	"oriel/relay/internal/config"
	"oriel/relay/internal/node"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// keys opens the keys of a relay as the commands beside it do.
func keys(t *testing.T, c *config.Config) *access.Access {
	t.Helper()
	s, err := store.Open(t.Context(), c.Database, store.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	_, err = node.Unseal(t.Context(), s, c)
	must(t, err)
	a, err := access.New(t.Context(), s, access.Options{})
	must(t, err)
	return a
}

// Rule: the relay's signing key is rotated by a cross-signature with an offline
// succession key that agents pin at enrollment; who has the database and the
// relay's own keys, but not that key, makes no computer follow.
func TestRotation(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, database string) {
		c := settings(t, "--database", database)
		r := start(t, c)
		owner := r.owner()
		again := func() { // the same person, at the relay that runs now
			cookie := owner.cookie
			owner = r.browser()
			owner.cookie = cookie
		}
		early := r.enroll(owner, "early") // before there was a succession key
		if early.Next != nil {
			t.Error("a succession key out of nowhere")
		}
		r.end()

		paper, err := keys(t, c).NewSuccession(t.Context())
		must(t, err)
		if _, err := keys(t, c).NewSuccession(t.Context()); !errors.Is(err, access.ErrSuccessionExists) {
			t.Errorf("a second succession key: %v", err)
		}
		paper, err = trust.ParseSuccession(paper.String()) // as it comes back from paper
		must(t, err)

		r = start(t, c)
		again()
		late := r.enroll(owner, "late")
		// Rule: nothing is rotated while a relay runs on the database. The lock of a
		// file says so itself.
		if kind, _, err := store.ParseAddress(database); err != nil || kind == store.PostgreSQL {
			if err := keys(t, c).Rotate(t.Context(), paper); !errors.Is(err, store.ErrNodesRun) {
				t.Errorf("rotated beside a node that runs: %v, %v", kind, err)
			}
		}
		first, _, err := early.Dial(t.Context(), r.wire, "")
		must(t, err)
		must(t, first.Close())
		if !late.Next.Equal(paper.Public()) || !early.Next.Equal(paper.Public()) {
			t.Error("the succession key is not pinned at enrollment, or not by who was enrolled before")
		}
		var open struct{ Token string }
		owner.do("POST", "/api/v1/enrollment-tokens", object{}, &open, 201)
		r.end()

		// A thief has all that the relay has.
		thief := keys(t, c)
		old := thief.PublicKey()
		if err := thief.Rotate(t.Context(), trust.NewSuccession()); !errors.Is(err, access.ErrOtherSuccession) {
			t.Errorf("rotated with another key: %v", err)
		}
		forged, err := trust.NewSuccession().Rotate(thief.Signer(), old, relaytest.NewMachine("").Public(), time.Now())
		must(t, err)
		for _, m := range []*relaytest.Agent{early, late} {
			if trust.Follow(m.Next, m.Relay, forged.GetNewKey(), append(thief.Rotations(), forged)) == nil {
				t.Error("a computer follows the thief")
			}
		}

		// Twice, while one of the two is away.
		must(t, keys(t, c).Rotate(t.Context(), paper))
		r = start(t, c)
		conn, _, err := early.Dial(t.Context(), r.wire, "")
		must(t, err)
		must(t, conn.Close())
		r.end()
		must(t, keys(t, c).Rotate(t.Context(), paper))
		r = start(t, c)
		now := r.node.Access.PublicKey()
		for _, m := range []*relaytest.Agent{early, late} {
			conn, _, err := m.Dial(t.Context(), r.wire, "")
			must(t, err)
			must(t, conn.Close())
			if !m.Relay.Equal(now) || now.Equal(old) {
				t.Error("a computer has not followed")
			}
			if !m.Verifier.RelayKey.Equal(now) {
				t.Error("grants of the old key are taken")
			}
		}
		// One that knows no succession key stays with what it pinned.
		if err := trust.Follow(nil, old, now, r.node.Access.Rotations()); err == nil {
			t.Error("followed without a succession key")
		}
		var refused *relaytest.Refusal
		if _, _, err := relaytest.NewMachine("new").Dial(context.Background(), r.wire, open.Token); !errors.As(err, &refused) || refused.Status != 401 {
			t.Errorf("a token that names the old key: %v", err)
		}
	})
}
