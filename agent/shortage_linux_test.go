package main_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"oriel/agent/internal/link/linktest"
	orielv1 "oriel/protocol/oriel/v1"
)

// Rule: an agent with a full disk starts, and stays connected when the relay
// tells it new addresses; doctor says that the disk is full, and which.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "mode=0755,size=256k"); err != nil {
		t.Skip("only root may mount a small disk: ", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	relay := linktest.Start(t)
	dir := filepath.Join(disk, "data")
	start := func() *running {
		return run(t, []string{"ORIEL_TOKEN=" + relay.Token()}, "run", "--relay", relay.URL(), "--data", dir, "--demo")
	}
	stop := func(r *running) {
		t.Helper()
		if err := r.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := r.Wait(); err != nil {
			t.Errorf("exit: %v", err)
		}
	}
	said := func(n int) {
		t.Helper()
		relay.Agent(n).Wait(t, "the display's status", func(m *orielv1.FromAgent) bool { return m.GetStatus() != nil })
	}
	first := start()
	said(1)
	stop(first)
	if err := os.WriteFile(filepath.Join(disk, "fill"), make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	relay.Relays = []string{relay.URL(), "http://localhost:1"}
	second := start()
	said(2)
	if code, out := agent(t, "doctor", "--data", dir); code != 1 || !strings.Contains(out, "BAD  data") || !strings.Contains(out, "disk is full") || !strings.Contains(out, dir) {
		t.Errorf("doctor: exit %d:\n%s", code, out)
	}
	if n := len(relay.Agents()); n != 2 {
		t.Errorf("connected %d times", n)
	}
	stop(second)
}
