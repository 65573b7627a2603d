//go:build unix

package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oriel/protocol/private"
	"oriel/relay/internal/backup"
	"oriel/relay/internal/node"
)

// Rule: files that were there before (data folder, sealing key, database, blobs,
// certificates) are trusted only with the right owner and mode and where no link
// leads elsewhere; so is the file that a back-up is written to and read from.
func TestStateOfOthersIsRefused(t *testing.T) {
	other := func(t *testing.T, path string) {
		if os.Geteuid() != 0 {
			t.Skip("only root gives files away")
		}
		must(t, os.Lchown(path, 54321, 54321))
	}
	for name, spoil := range map[string]func(t *testing.T, data string) string{
		"data folder of another": func(t *testing.T, data string) string { other(t, data); return data },
		"data folder for all":    func(t *testing.T, data string) string { must(t, os.Chmod(data, 0o777)); return data },
		"folder above for all": func(t *testing.T, data string) string {
			must(t, os.Chmod(filepath.Dir(data), 0o777))
			return filepath.Dir(data)
		},
		"database of another": func(t *testing.T, data string) string { other(t, data+"/relay.db"); return "relay.db" },
		"database for all":    func(t *testing.T, data string) string { must(t, os.Chmod(data+"/relay.db", 0o666)); return "relay.db" },
		"database is a link":  func(t *testing.T, data string) string { link(t, data+"/relay.db"); return "relay.db" },
		"log of the database": func(t *testing.T, data string) string {
			must(t, os.WriteFile(data+"/relay.db-wal", nil, 0o600))
			other(t, data+"/relay.db-wal")
			return "-wal"
		},
		"sealing key is a link":  func(t *testing.T, data string) string { link(t, data+"/sealing.key"); return "sealing.key" },
		"sealing key of another": func(t *testing.T, data string) string { other(t, data+"/sealing.key"); return "sealing.key" },
		"name of the node":       func(t *testing.T, data string) string { other(t, data+"/node"); return "node" },
		"blobs of another":       func(t *testing.T, data string) string { other(t, data+"/blobs"); return "blobs" },
		"certificates for a group": func(t *testing.T, data string) string {
			dir := data + "/certificates"
			must(t, os.Mkdir(dir, 0o700))
			must(t, os.Chmod(dir, 0o770))
			return dir
		},
	} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "above", "data")
			c := settings(t, "--data", data)
			start(t, c).end()
			path := spoil(t, data)
			n, err := node.New(t.Context(), c, node.Options{})
			if err == nil {
				_ = n.Close()
			}
			if !errors.Is(err, private.ErrRefused) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "; ") {
				t.Errorf("started: %v", err)
			}
		})
	}

	c := settings(t)
	start(t, c).end()
	dir := t.TempDir()
	file := filepath.Join(dir, "relay.backup")
	must(t, backup.Write(t.Context(), c, file))
	must(t, os.Chmod(file, 0o606))
	if err := backup.Restore(t.Context(), settings(t), file); !errors.Is(err, private.ErrRefused) {
		t.Errorf("restored what all may write: %v", err)
	}
	must(t, os.Chmod(file, 0o600))
	link(t, file)
	if err := backup.Write(t.Context(), c, file); !errors.Is(err, private.ErrRefused) {
		t.Errorf("saved through a link: %v", err)
	}
	must(t, os.Chmod(dir, 0o777))
	if err := backup.Write(t.Context(), c, filepath.Join(dir, "another")); !errors.Is(err, private.ErrRefused) {
		t.Errorf("saved where all may write: %v", err)
	}
}

// link moves the file at path away and has a link to it there instead.
func link(t *testing.T, path string) {
	t.Helper()
	must(t, os.Rename(path, path+".real"))
	must(t, os.Symlink(path+".real", path))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
