package node_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/config"
	"oriel/relay/internal/node"
	"oriel/relay/internal/seal"
	"oriel/relay/internal/store/storetest"
)

func refused(t *testing.T, c *config.Config, want ...string) {
	t.Helper()
	n, err := node.New(t.Context(), c, node.Options{})
	if err == nil {
		_ = n.Close()
		t.Fatalf("a relay starts, with the key %x", n.Access.PublicKey())
	}
	for _, words := range want {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%v: no word of %q", err, words)
		}
	}
}

// Rule: a wrong or missing sealing key is a clear refusal to start, never a
// silently new identity.
func TestSealingKeyIsNeeded(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, database string) {
		c := settings(t, "--database", database)
		r := start(t, c)
		first := r.node.Access.PublicKey()
		r.end()
		path := filepath.Join(c.Data, seal.File)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		refused(t, c, "no sealing key", path, "enrolled again")
		if _, err := os.Stat(path); err == nil {
			t.Error("a new key was made for what another one sealed")
		}
		other := base64.RawStdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.Size))
		if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, c, "sealed with another key", path)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		refused(t, c, path, "chmod 600")
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if again := start(t, c); !again.node.Access.PublicKey().Equal(first) {
			t.Error("with the right key again, the relay is another one")
		}
	})
}

// Rule: an old database is migrated, and its keys are no longer in it in plain.
func TestPlainKeysAreSealed(t *testing.T) {
	c := settings(t)
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	var before []byte
	var seed, turn []byte
	t.Run("the older relay", func(t *testing.T) {
		s := storetest.Open(t, c.Database) // without a sealing key, as before
		a, err := access.New(t.Context(), s, access.Options{})
		if err != nil {
			t.Fatal(err)
		}
		before = a.PublicKey()
		read := func(name string) []byte {
			b, err := a.Secret(t.Context(), name, 32)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		seed, turn = read("signing-key"), read("turn")
	})
	if !inFiles(t, c.Data, seed) || !inFiles(t, c.Data, turn) {
		t.Fatal("the test does not find what is there")
	}
	r := start(t, c)
	if !bytes.Equal(before, r.node.Access.PublicKey()) {
		t.Error("the relay has another key")
	}
	if inFiles(t, c.Data, seed) || inFiles(t, c.Data, turn) {
		t.Error("the keys are in the files of the running relay in plain")
	}
	r.end()
	if inFiles(t, c.Data, seed) || inFiles(t, c.Data, turn) {
		t.Error("the keys are in its files in plain")
	}
}

// Rule: who can write to the database cannot put a key of their own in the place of
// one that is sealed, or beside those.
func TestPlainKeyBesideSealedOnes(t *testing.T) {
	c := settings(t)
	start(t, c).end()
	s := storetest.Open(t, c.Database) // without the sealing key
	if err := s.Secrets().Add(t.Context(), audit.Command.Did(audit.SuccessionMade, "relay", ""), "succession-key", bytes.Repeat([]byte{7}, 32), 1); err != nil {
		t.Fatal(err)
	}
	refused(t, c, `"succession-key"`, "not sealed", "back-up")
}

// inFiles reports whether a file of the database holds what.
func inFiles(t *testing.T, folder string, what []byte) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "relay.db*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil && bytes.Contains(b, what) {
			return true
		}
	}
	return false
}
