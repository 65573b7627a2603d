package store_test

import (
	"errors"
	"path/filepath"
	"testing"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: what cannot be written says that the disk is full, what is there can be
// read, and a database on a full disk can be opened.
func TestFullDisk(t *testing.T) {
	disk := storetest.NewDisk(t, "4m")
	address := "sqlite:" + filepath.Join(disk.Path, "relay.db")
	s, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	token := store.EnrollmentToken{ID: store.NewID(), TokenKey: []byte("first"), UsesLeft: 1}
	if err := s.Tokens(store.FirstOrganization).Add(t.Context(), entry("x"), token); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	disk.Fill()
	if s, err = store.Open(t.Context(), address, store.Options{}); err != nil {
		t.Fatal("open with a full disk: ", err)
	}
	defer s.Close()
	write := func() error { // until the log's own room is used up
		for range 10000 {
			id := store.NewID()
			if err := s.Tokens(store.FirstOrganization).Add(t.Context(), entry("x"), store.EnrollmentToken{ID: id, TokenKey: []byte(id), UsesLeft: 1}); err != nil {
				return err
			}
		}
		return nil
	}
	if err := write(); !store.DiskFull(err) || errors.Is(err, store.ErrConflict) {
		t.Errorf("a full disk is %v", err)
	}
	if err := s.CheckWrites(t.Context(), "node"); !store.DiskFull(err) {
		t.Errorf("a full disk is %v", err)
	}
	if all, err := s.Tokens(store.FirstOrganization).List(t.Context()); err != nil || len(all) == 0 {
		t.Errorf("%d tokens can be read, %v", len(all), err)
	}
	disk.Free()
	if err := s.CheckWrites(t.Context(), "node"); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
