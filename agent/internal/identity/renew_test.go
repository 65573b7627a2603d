package identity

import (
	"errors"
	"fmt"
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
	if err := i.Renew(tokenFor(relay)); !errors.Is(err, trust.ErrToken) {
		t.Fatal("renewed without an enrollment:", err)
	}
	if err := i.Configure(Given{Relays: []string{"https://relay.example"}, Token: tokenFor(relay)}); err != nil {
		t.Fatal(err)
	}
	if err := i.Welcomed(relay, nil, "computer-1", []string{"https://node.example"}); err != nil {
		t.Fatal(err)
	}
	old, oldFile := i.Key(), file(t, dir, keyFile)
	if err := i.Renew(tokenFor(relayKey('b'))); !errors.Is(err, trust.ErrToken) || !i.Key().Equal(old) || !i.State().Enrolled() {
		t.Fatal("a token of another relay:", err)
	}
	if err := i.Renew(tokenFor(relay)); err != nil {
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
		if err := i.Renew(tokenFor(relay)); (err != nil) != (n == MaxReplaced) || err != nil && !errors.Is(err, ErrReplaced) {
			t.Fatal(n, err)
		}
	}
}
