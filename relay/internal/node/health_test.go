package node_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Rule: readyz writes a blob and reads it back, and says which need failed.
func TestReadyWrites(t *testing.T) {
	c := settings(t)
	r := start(t, c)
	ready := func() (int, string) {
		res, err := http.Get(r.node.URL() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	if code, text := ready(); code != 200 || text != "blobs: ok\nbus: ok\ndatabase: ok\n" {
		t.Fatalf("%d %s", code, text)
	}
	// Reading goes on, as it does with a full disk.
	folder := filepath.Join(c.Data, "blobs", "health")
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "it says that blobs fail", func() bool {
		code, text := ready()
		return code == 503 && strings.Contains(text, "blobs: failing\n") && strings.Contains(text, "database: ok\n")
	})
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	until(t, "it is ready again", func() bool { code, _ := ready(); return code == 200 })
}
