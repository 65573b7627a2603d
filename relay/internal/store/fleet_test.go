package store_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func hash(s string) []byte { h := sha256.Sum256([]byte(s)); return h[:] }

func token(t *testing.T, s *store.Store, secret string, uses, expires int64) store.EnrollmentToken {
	t.Helper()
	tok := store.EnrollmentToken{ID: store.NewID(), TokenKey: hash(secret), CreatedAt: 1, ExpiresAt: expires, UsesLeft: uses}
	if err := s.Tokens(store.FirstOrganization).Add(t.Context(), entry("x"), tok); err != nil {
		t.Fatal(err)
	}
	return tok
}

func computer(key, machine string) *store.Computer {
	return &store.Computer{ID: store.NewID(), MachineKey: hash(key), MachineID: machine, AddedAt: 1000}
}

func TestTokenIsUsedUpByManyAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tok := token(t, s, "x", 3, 1<<40)
		var wg sync.WaitGroup
		var mu sync.Mutex
		in, out := 0, 0
		for i := range 12 {
			wg.Go(func() {
				err := s.Agents().Enroll(t.Context(), entry("x"), computer(fmt.Sprint(i), ""), tok.TokenKey)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					in++
				case errors.Is(err, store.ErrNotFound):
					out++
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if in != 3 || out != 9 {
			t.Fatalf("%d enrolled, %d refused", in, out)
		}
		all, err := s.Tokens(store.FirstOrganization).List(t.Context())
		if err != nil || len(all) != 1 || all[0].UsesLeft != 0 || all[0].Used != 3 {
			t.Fatalf("%+v, %v", all, err)
		}
	})
}

func TestTokenThatIsNoLongerGood(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		expired := token(t, s, "expired", 1, 999)
		revoked := token(t, s, "revoked", 1, 1<<40)
		if err := s.Tokens(store.FirstOrganization).Revoke(t.Context(), entry("x"), revoked.ID, 5); err != nil {
			t.Fatal(err)
		}
		if err := s.Tokens(store.FirstOrganization).Revoke(t.Context(), entry("x"), revoked.ID, 5); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("revoked twice: %v", err)
		}
		for name, h := range map[string][]byte{"expired": expired.TokenKey, "revoked": revoked.TokenKey, "unknown": hash("?")} {
			if err := s.Agents().TokenUsable(t.Context(), h, 1000); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: usable: %v", name, err)
			}
			if err := s.Agents().Enroll(t.Context(), entry("x"), computer(name, ""), h); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: enrolled: %v", name, err)
			}
		}
		// A key that is enrolled already does not use the token up.
		good := token(t, s, "good", 2, 1<<40)
		if err := s.Agents().Enroll(t.Context(), entry("x"), computer("a", ""), good.TokenKey); err != nil {
			t.Fatal(err)
		}
		if err := s.Agents().Enroll(t.Context(), entry("x"), computer("a", ""), good.TokenKey); !errors.Is(err, store.ErrConflict) {
			t.Fatalf("same key twice: %v", err)
		}
		if err := s.Agents().TokenUsable(t.Context(), good.TokenKey, 1000); err != nil {
			t.Fatal("the failed enrollment used the token:", err)
		}
	})
}

func TestSameMachineIsFlagged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tok := token(t, s, "x", 9, 1<<40)
		var ids []string
		for _, k := range []string{"first", "second", "third"} {
			c := computer(k, "machine")
			if err := s.Agents().Enroll(t.Context(), entry("x"), c, tok.TokenKey); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, c.ID)
		}
		other := computer("other", "")
		if err := s.Agents().Enroll(t.Context(), entry("x"), other, tok.TokenKey); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{ids[0]: "", ids[1]: ids[0], ids[2]: ids[0], other.ID: ""}
		all, err := s.Computers(store.FirstOrganization).List(t.Context(), store.Everything)
		if err != nil || len(all) != 4 {
			t.Fatal(all, err)
		}
		for _, c := range all {
			if c.SameMachineAs != want[c.ID] {
				t.Errorf("%s: same as %q", c.ID, c.SameMachineAs)
			}
		}
		if err := s.Computers(store.FirstOrganization).Remove(t.Context(), entry("x"), ids[0]); err != nil {
			t.Fatal(err)
		}
		if c, err := s.Computers(store.FirstOrganization).Get(t.Context(), ids[1]); err != nil || c.SameMachineAs != "" {
			t.Fatalf("%+v, %v", c, err)
		}
		if err := s.Computers(store.FirstOrganization).Remove(t.Context(), entry("x"), ids[0]); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
	})
}

func TestPresence(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		tok := token(t, s, "x", 9, 1<<40)
		c := computer("a", "")
		if err := s.Agents().Enroll(ctx, entry("x"), c, tok.TokenKey); err != nil {
			t.Fatal(err)
		}
		online := func() bool {
			t.Helper()
			got, err := s.Agents().ByKey(ctx, c.MachineKey)
			if err != nil {
				t.Fatal(err)
			}
			return got.Online
		}
		beat := func(node string, d time.Duration) {
			t.Helper()
			if err := s.Nodes().Heartbeat(ctx, node, d); err != nil {
				t.Fatal(err)
			}
		}
		n1 := store.NodeRun("n1")
		beat(n1, time.Minute)
		beat(n1, time.Minute) // again: the row is there
		beat("n2", time.Minute)
		if online() {
			t.Fatal("online before it came")
		}
		for _, conn := range []struct{ id, node string }{{"c1", n1}, {"c2", "n2"}} {
			if err := s.Nodes().Connect(ctx, c.ID, conn.node, conn.id, 77); err != nil {
				t.Fatal(err)
			}
		}
		if !online() {
			t.Fatal("not online")
		}
		if gone, err := s.Nodes().Disconnect(ctx, c.ID, "c1", 80); gone || err != nil {
			t.Fatal("the end of the older connection took the newer one along", err)
		}
		if !online() {
			t.Fatal("not online")
		}
		beat("n2", -time.Second) // its node died
		if online() {
			t.Fatal("online on a dead node")
		}
		if got, err := s.Nodes().Bury(ctx); err != nil || !slices.Equal(got, []store.Ref{c.Ref()}) {
			t.Fatal(got, err)
		}
		if got, err := s.Nodes().Bury(ctx); err != nil || len(got) != 0 {
			t.Fatal(got, err)
		}
		if err := s.Nodes().Connect(ctx, c.ID, n1, "c3", 90); err != nil {
			t.Fatal(err)
		}
		if err := s.Nodes().Seen(ctx, n1, 95); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Nodes().Clear(ctx, n1); err != nil || len(got) != 0 {
			t.Fatal("this run's own connection was cleared", got, err)
		}
		if got, err := s.Nodes().Clear(ctx, store.NodeRun("n")); s.Kind() == store.PostgreSQL && (err != nil || len(got) != 0) {
			t.Fatal("another node's connection was cleared", got, err)
		}
		if err := s.Nodes().Connect(ctx, c.ID, n1, "c3", 95); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Nodes().Clear(ctx, store.NodeRun("n1")); err != nil || !slices.Equal(got, []store.Ref{c.Ref()}) {
			t.Fatal(got, err)
		}
		if got, _ := s.Computers(store.FirstOrganization).Get(ctx, c.ID); got.Online || got.LastSeen != 95 {
			t.Fatalf("%+v", got)
		}
		if err := s.Nodes().Connect(ctx, "nobody", n1, "c4", 90); err == nil {
			t.Fatal("an unknown computer is present")
		}
	})
}

func TestSaveComputerWritesOnlyWhatIsNamed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		tok := token(t, s, "x", 9, 1<<40)
		c := computer("a", "m")
		c.Name = "kept"
		if err := s.Agents().Enroll(ctx, entry("x"), c, tok.TokenKey); err != nil {
			t.Fatal(err)
		}
		if err := s.Computers(store.FirstOrganization).Save(ctx, store.Computer{ID: c.ID, Display: "ready", UserName: "ann"}, store.ColumnsOfDisplay); err != nil {
			t.Fatal(err)
		}
		got, err := s.Computers(store.FirstOrganization).Get(ctx, c.ID)
		if err != nil || got.Name != "kept" || got.Display != "ready" || got.UserName != "ann" || got.MachineID != "m" {
			t.Fatalf("%+v, %v", got, err)
		}
		if err := s.Computers(store.FirstOrganization).Save(ctx, store.Computer{ID: "nobody"}, store.ColumnsOfSeen); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		for _, data := range []string{"one", "two"} {
			if err := s.Computers(store.FirstOrganization).SaveInventory(ctx, c.ID, 5, []byte(data)); err != nil {
				t.Fatal(err)
			}
			if b, err := s.Computers(store.FirstOrganization).Inventory(ctx, c.ID); err != nil || string(b) != data {
				t.Fatal(string(b), err)
			}
		}
		if err := s.Computers(store.FirstOrganization).SaveInventory(ctx, "nobody", 5, []byte("x")); !errors.Is(err, store.ErrConflict) {
			t.Fatal(err)
		}
		if _, err := s.Computers(store.FirstOrganization).Inventory(ctx, "nobody"); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
	})
}

// Rule: one statement tells all that the opening of a session has to know: the computer with its presence,
// whether two machines have it, the key that the person's account remembers, and the sessions that count.
func TestOpening(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		tok := token(t, s, "x", 2, 1<<40)
		c, other, p := computer("c", ""), computer("other", ""), owner(1)
		must(t, s.Agents().Enroll(ctx, entry("x"), c, tok.TokenKey))
		must(t, s.Agents().Enroll(ctx, entry("x"), other, tok.TokenKey))
		must(t, s.People().PutOwnerToken(ctx, entry("x"), hash("t"), 1, 1<<40))
		must(t, s.People().CreateOwner(ctx, entry("x"), hash("t"), 2, p, email(1), ""))
		computers, sessions := s.Computers(store.FirstOrganization), s.Sessions(store.FirstOrganization)
		opening := func() store.Opening {
			t.Helper()
			o, err := computers.Opening(ctx, c.ID, p.ID)
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		if o := opening(); o.ID != c.ID || !bytes.Equal(o.MachineKey, c.MachineKey) || o.Online || o.TwoMachines || len(o.KnownKey) != 0 || o.Running != 0 {
			t.Fatalf("%+v", o)
		}
		if _, err := computers.Opening(ctx, store.NewID(), p.ID); !errors.Is(err, store.ErrNotFound) {
			t.Fatal("of what is not there:", err)
		}
		must(t, s.Nodes().Heartbeat(ctx, "n/1", time.Hour))
		must(t, s.Nodes().Connect(ctx, c.ID, "n/1", "conn", 5))
		must(t, computers.SaveTwins(ctx, store.Twins{ComputerID: c.ID, SeenAt: 5}))
		must(t, s.People().SaveKnownKey(ctx, entry("x"), store.KnownKey{PersonID: p.ID, ComputerID: c.ID, MachineKey: []byte("key"), Since: 5}, nil, 9))
		for _, row := range []store.Session{
			{ComputerID: c.ID, OperatorID: p.ID, Unattended: true}, {ComputerID: other.ID, OperatorID: p.ID}, // these count
			{ComputerID: other.ID, OperatorID: p.ID, Unattended: true}, {ComputerID: c.ID, OperatorID: "another"},
			{ComputerID: c.ID, OperatorID: p.ID, EndedAt: 9},
		} {
			row.ID, row.StartedAt = store.NewID(), 5
			must(t, sessions.Add(ctx, entry("x"), row))
		}
		if o := opening(); !o.Online || o.Node != "n/1" || !o.TwoMachines || string(o.KnownKey) != "key" || o.Running != 2 {
			t.Fatalf("%+v", o)
		}
	})
}
