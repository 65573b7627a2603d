package identity

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oriel/protocol/trust"
)

// Rule: the agent keeps its old identity file as a copy, enrolls anew into the same
// place, and takes no token of another relay than the one it trusts.
func TestRenew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	i := open(t, dir)
	relay := relayKey('a')
	if err := i.Renew(relay, tokenFor(relay)); !errors.Is(err, trust.ErrToken) {
		t.Fatal("renewed without an enrollment:", err)
	}
	if err := i.Configure(Given{Relays: []string{"https://relay.example"}, Token: tokenFor(relay)}); err != nil {
		t.Fatal(err)
	}
	if err := i.Welcomed(relay, nil, "computer-1", []string{"https://node.example"}); err != nil {
		t.Fatal(err)
	}
	old, oldFile := i.Key(), file(t, dir, keyFile)
	if err := i.Renew(relay, tokenFor(relayKey('b'))); !errors.Is(err, trust.ErrToken) || !i.Key().Equal(old) || !i.State().Enrolled() {
		t.Fatal("a token of another relay:", err)
	}
	if err := i.Renew(relay, tokenFor(relay)); err != nil {
		t.Fatal(err)
	}
	s := i.State()
	if i.Key().Equal(old) || s.Enrolled() || s.Token != tokenFor(relay) || strings.Join(s.Addresses(), " ") != "https://relay.example https://node.example" {
		t.Fatalf("%+v", s)
	}
	copies, _ := filepath.Glob(filepath.Join(dir, "replaced-*"))
	if len(copies) != 2 || string(file(t, dir, filepath.Base(copies[1]))) != string(oldFile) {
		t.Fatal("copies:", copies)
	}
	key := i.Key()
	i.Close()
	if again := open(t, dir); !again.Key().Equal(key) || again.State().Enrolled() {
		t.Fatal("not kept")
	} else {
		again.Close()
	}
	if err := Remove(dir); err != nil {
		t.Fatal("removed:", err)
	}
}

// Rule: who has the relay's key cannot have an agent take another succession key by
// way of a new identity. A person's token of another relay can.
func TestRenewKeepsTheSuccessionKey(t *testing.T) {
	i := open(t, filepath.Join(t.TempDir(), "data"))
	relay, paper, thiefs := relayKey('a'), relayKey('p'), relayKey('t')
	if err := i.Configure(Given{Relays: []string{"https://relay.example"}, Token: tokenFor(relay)}); err != nil {
		t.Fatal(err)
	}
	welcomed := func(relay, says, pinned ed25519.PublicKey, computer string) {
		t.Helper()
		if err := i.Welcomed(relay, says, computer, nil); err != nil {
			t.Fatal(err)
		}
		if got := i.State().Succession; !got.Equal(pinned) {
			t.Fatalf("%x is pinned, want %x", got, pinned)
		}
	}
	renewed := func() {
		t.Helper()
		if err := i.Renew(relay, tokenFor(relay)); err != nil {
			t.Fatal(err)
		}
	}
	welcomed(relay, paper, paper, "computer-1")
	renewed()
	welcomed(relay, thiefs, paper, "computer-2")
	renewed()
	if err := i.Configure(Given{Token: tokenFor(relay)}); err != nil {
		t.Fatal(err)
	}
	welcomed(relay, thiefs, paper, "computer-3")
	renewed()
	other, others := relayKey('b'), relayKey('q')
	if err := i.Configure(Given{Token: tokenFor(other)}); err != nil {
		t.Fatal(err)
	}
	welcomed(other, others, others, "computer-4")
}

// Rule: a new identity that a power cut left half made is made when the relay asks
// again, and the copy of the old one stays whole.
func TestRenewGoesOnAfterAPowerCut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	i := open(t, dir)
	relay := relayKey('a')
	if err := i.Configure(Given{Relays: []string{"https://relay.example"}, Token: tokenFor(relay)}); err != nil {
		t.Fatal(err)
	}
	if err := i.Welcomed(relay, nil, "computer-1", nil); err != nil {
		t.Fatal(err)
	}
	old, oldKey, oldState := i.Key(), file(t, dir, keyFile), file(t, dir, stateFile)
	if err := i.Renew(relay, tokenFor(relay)); err != nil {
		t.Fatal(err)
	}
	i.Close()
	if err := os.WriteFile(filepath.Join(dir, keyFile), oldKey, 0o600); err != nil { // the state was saved, the key was not
		t.Fatal(err)
	}
	i = open(t, dir)
	if !i.Key().Equal(old) || i.State().Enrolled() {
		t.Fatal("not half made")
	}
	if err := i.Renew(relayKey('b'), tokenFor(relayKey('b'))); !errors.Is(err, trust.ErrToken) {
		t.Fatal("for another relay:", err)
	}
	if err := i.Renew(relay, tokenFor(relay)); err != nil || i.Key().Equal(old) {
		t.Fatal("not made:", err)
	}
	copies, _ := filepath.Glob(filepath.Join(dir, "replaced-*"))
	if len(copies) != 2 || string(file(t, dir, filepath.Base(copies[0]))) != string(oldState) || string(file(t, dir, filepath.Base(copies[1]))) != string(oldKey) {
		t.Fatal("copies:", copies)
	}
}

func file(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Rule: what a relay says fills no disk.
func TestRenewIsBounded(t *testing.T) {
	i := open(t, filepath.Join(t.TempDir(), "data"))
	relay := relayKey('a')
	if err := i.Configure(Given{Relays: []string{"https://relay.example"}, Token: tokenFor(relay)}); err != nil {
		t.Fatal(err)
	}
	for n := range MaxReplaced + 1 {
		if err := i.Welcomed(relay, nil, fmt.Sprint("computer-", n), nil); err != nil {
			t.Fatal(err)
		}
		if err := i.Renew(relay, tokenFor(relay)); (err != nil) != (n == MaxReplaced) || err != nil && !errors.Is(err, ErrReplaced) {
			t.Fatal(n, err)
		}
	}
}

// Rule: what a relay took by 'make a new identity' a person takes back on this
// machine, any number of times, and nothing is lost by it.
func TestRestore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	i := open(t, dir)
	relay := relayKey('a')
	if err := i.Configure(Given{Relays: []string{"https://relay.example"}, Token: tokenFor(relay)}); err != nil {
		t.Fatal(err)
	}
	var keys []ed25519.PublicKey
	for n := range MaxReplaced {
		if err := i.Welcomed(relay, nil, fmt.Sprint("computer-", n), nil); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, i.Key())
		if err := i.Renew(relay, tokenFor(relay)); err != nil {
			t.Fatal(err)
		}
	}
	keys = append(keys, i.Key())
	for _, n := range []int{0, 3, 3, MaxReplaced, 0} {
		if err := i.Restore(Fingerprint(keys[n])); err != nil && !(i.Key().Equal(keys[n]) && errors.Is(err, fs.ErrNotExist)) {
			t.Fatal(n, err)
		}
		i.Close()
		i = open(t, dir)
		want := fmt.Sprint("computer-", n)
		if n == MaxReplaced {
			want = ""
		}
		if got := i.State().ComputerID; !i.Key().Equal(keys[n]) || got != want {
			t.Fatalf("%d: computer %q, want %q", n, got, want)
		}
		all, err := ListReplaced(dir)
		if err != nil || len(all) != MaxReplaced {
			t.Fatal(len(all), err)
		}
		for _, r := range all {
			if r.Key.Equal(i.Key()) {
				t.Error("in use and replaced")
			}
		}
	}
	for _, bad := range []string{"", "../machine", "0123456789abcdef", "*"} {
		if err := i.Restore(bad); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Rule: a computer whose policy keeps its identity makes no other for a relay.
func TestKeep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	i := open(t, dir)
	relay := relayKey('a')
	if err := i.Configure(Given{Relays: []string{"https://relay.example"}, Token: tokenFor(relay)}); err != nil {
		t.Fatal(err)
	}
	if err := i.Welcomed(relay, nil, "computer-1", nil); err != nil {
		t.Fatal(err)
	}
	i.Keep()
	key := i.Key()
	if err := i.Renew(relay, tokenFor(relay)); !errors.Is(err, ErrKept) || !i.Key().Equal(key) || !i.State().Enrolled() {
		t.Fatal(err)
	}
}
