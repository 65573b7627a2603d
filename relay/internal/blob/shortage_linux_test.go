package blob

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Rule: a blob that the disk has no room for says so, the one before stays, and
// nothing half-written is left.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("only root may mount a small disk: ", err)
	}
	defer func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) }()
	s, err := Open(t.Context(), "", filepath.Join(disk, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before := []byte("before")
	if err := s.Put(t.Context(), "previews/a", before); err != nil {
		t.Fatal(err)
	}
	fill := filepath.Join(disk, "fill")
	if err := os.WriteFile(fill, make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Put(t.Context(), "previews/a", bytes.Repeat([]byte{1}, 100<<10)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("a full disk is %v", err)
		}
	}
	if err := s.CheckWrites(t.Context(), "health/a"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk is %v", err)
	}
	if got, err := s.Get(t.Context(), "previews/a"); err != nil || !bytes.Equal(got, before) {
		t.Errorf("the one before is %d bytes %.10q, %v", len(got), got, err)
	}
	if left, err := filepath.Glob(filepath.Join(disk, "blobs", "*", "*")); err != nil || len(left) != 1 {
		t.Errorf("there is %q, %v", left, err)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "previews/a", bytes.Repeat([]byte{1}, 100<<10)); err != nil {
		t.Error(err)
	}
}
