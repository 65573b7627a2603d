package identity

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// smallDisk is a file system of the test's own, and what fills and frees it.
func smallDisk(t *testing.T) (path string, fill, free func()) {
	t.Helper()
	path = t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "mode=0755,size=256k"); err != nil {
		t.Skip("only root may mount a small disk: ", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(path, syscall.MNT_DETACH) })
	name := filepath.Join(path, "fill")
	fill = func() {
		t.Helper()
		if err := os.WriteFile(name, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	return path, fill, func() { _ = os.Remove(name) }
}

// Rule: an agent whose disk is full starts with what it knows and with what the
// command line says, and does not lose its relay because that said something new.
func TestFullDisk(t *testing.T) {
	disk, fill, free := smallDisk(t)
	dir, relay := filepath.Join(disk, "data"), relayKey('r')
	i := open(t, dir)
	given := Given{Relays: []string{"https://relay.example"}, Token: tokenFor(relay)}
	for _, err := range []error{i.Configure(given), i.Welcomed(relay, nil, "computer", []string{"https://a.example"}), i.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := CheckWrites(dir); err != nil {
		t.Errorf("with room: %v", err)
	}

	fill()
	if err := CheckWrites(dir); !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a full disk is %v", err)
	}
	i = open(t, dir)
	if err := i.Configure(Given{Relays: given.Relays}); err != nil {
		t.Errorf("nothing changed, and: %v", err)
	}
	if err := i.Configure(given); !errors.Is(err, ErrUnsaved) || i.State().Token == "" {
		t.Errorf("a token with a full disk: %v, state %+v", err, i.State())
	}
	if err := i.Welcomed(relay, nil, "computer", []string{"https://b.example"}); !errors.Is(err, ErrUnsaved) {
		t.Errorf("new addresses with a full disk: %v", err)
	}
	if a := i.State().Addresses(); !slices.Contains(a, "https://b.example") {
		t.Errorf("what the relay said is forgotten: %q", a)
	}
	if did, err := i.Save(); !did || !errors.Is(err, ErrUnsaved) {
		t.Errorf("saved: %v, %v", did, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) != 0 {
		t.Errorf("there is %q, %v", left, err)
	}

	free()
	if did, err := i.Save(); !did || err != nil {
		t.Errorf("saved: %v, %v", did, err)
	}
	if did, err := i.Save(); did || err != nil {
		t.Errorf("saved twice: %v, %v", did, err)
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	if s := open(t, dir).State(); !slices.Contains(s.Addresses(), "https://b.example") || s.Token != "" || !s.Enrolled() {
		t.Errorf("after a restart: %+v", s)
	}
}
