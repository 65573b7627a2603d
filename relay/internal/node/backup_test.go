package node_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"oriel/relay/internal/audit"
	"oriel/relay/internal/backup"
	"oriel/relay/internal/blob"
	"oriel/relay/internal/node"
	"oriel/relay/internal/seal"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: back-up is a command on a running relay (database, keys sealed, blobs)
// and restore brings the relay back after its data folder is gone. Its audit is whole
// and signed all the while.
func TestBackupAndRestore(t *testing.T) {
	c := settings(t)
	file := filepath.Join(t.TempDir(), "oriel.backup")
	r := start(t, c)
	p := r.owner()
	agent := r.enroll(p, "workshop")
	key, first := r.node.Access.PublicKey(), agent.Welcome.GetComputerId()
	blobs, err := blob.Open(t.Context(), "", filepath.Join(c.Data, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	defer blobs.Close()
	if err := blobs.Put(t.Context(), "previews/one.jpg", []byte("picture")); err != nil {
		t.Fatal(err)
	}

	// Others go on writing.
	done, wrote := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-done:
				wrote <- nil
				return
			default:
			}
			if err := r.wire.Store.CheckWrites(t.Context(), "other"); err != nil {
				wrote <- err
				return
			}
		}
	}()
	for range 2 { // the second replaces the first
		if err := backup.Write(t.Context(), c, file); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	if err := <-wrote; err != nil {
		t.Errorf("writing beside the back-up: %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if all, err := os.ReadDir(filepath.Dir(file)); err != nil || len(all) != 1 {
		t.Errorf("left beside the file: %v, %v", all, err)
	}
	sealing, err := os.ReadFile(filepath.Join(c.Data, seal.File))
	if err != nil {
		t.Fatal(err)
	}

	if err := backup.Restore(t.Context(), c, file); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("restored over a database: %v", err)
	}
	if _, err := node.Hold(c); err == nil {
		t.Error("restore would have the folder beside the relay")
	}
	r.end()
	verified := func(what string) audit.Report {
		s, err := store.Open(t.Context(), c.Database, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		r, err := audit.Verify(t.Context(), s, store.FirstOrganization, func(k ed25519.PublicKey) bool { return key.Equal(k) }, time.Now())
		if err != nil || len(r.Faults) > 0 || r.Sealed == 0 {
			t.Errorf("%s: the audit is %+v, %v", what, r, err)
		}
		return r
	}
	if r := verified("ended"); r.Sealed != r.Last {
		t.Errorf("a relay that ended has signed up to %d of %d", r.Sealed, r.Last)
	}
	if err := os.RemoveAll(c.Data); err != nil {
		t.Fatal(err)
	}

	restore := func() error {
		release, err := node.Hold(c)
		if err != nil {
			t.Fatal(err)
		}
		return errors.Join(backup.Restore(t.Context(), c, file), release())
	}
	// What is damaged or cut off leaves no database, and so can be done again.
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(whole)
	changed[len(changed)/2] ^= 0xff
	for what, text := range map[string][]byte{"damaged": changed, "cut off": whole[:len(whole)-6], "half": whole[:len(whole)/2], "empty": nil, "another file": sealing} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := restore(); err == nil {
			t.Errorf("%s: restored", what)
		}
		if _, err := os.Stat(filepath.Join(c.Data, "relay.db")); err == nil {
			t.Fatalf("%s: left a database", what)
		}
	}
	if err := os.WriteFile(file, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	verified("restored")
	refused(t, c, "no sealing key", filepath.Join(c.Data, seal.File))
	if err := os.WriteFile(filepath.Join(c.Data, seal.File), sealing, 0o600); err != nil {
		t.Fatal(err)
	}
	again := start(t, c)
	if !again.node.Access.PublicKey().Equal(key) {
		t.Error("the relay has another key")
	}
	back := agent.Machine.Connect(t, again.wire, "")
	if back.Welcome.GetComputerId() != first {
		t.Errorf("the computer is %q, was %q", back.Welcome.GetComputerId(), first)
	}
	p.url = again.node.URL()
	p.do("GET", "/api/v1/computers", nil, nil, 200) // still signed in
	restored, err := blob.Open(t.Context(), "", filepath.Join(c.Data, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	if b, err := restored.Get(t.Context(), "previews/one.jpg"); err != nil || string(b) != "picture" {
		t.Errorf("the blob: %q, %v", b, err)
	}
}

func TestBackupOfPostgreSQLNamesItsTools(t *testing.T) {
	c := settings(t, "--database", storetest.PostgreSQL(t))
	file := filepath.Join(t.TempDir(), "oriel.backup")
	for what, err := range map[string]error{"backup": backup.Write(t.Context(), c, file), "restore": backup.Restore(t.Context(), c, file)} {
		if !errors.Is(err, backup.ErrPostgreSQL) || !strings.Contains(err.Error(), "pg_dump") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
