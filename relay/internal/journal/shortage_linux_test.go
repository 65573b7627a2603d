package journal_test

import (
	"path/filepath"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: a session whose reports a full disk swallowed is not given up when there
// is room again.
func TestSweepAfterFullDisk(t *testing.T) {
	disk := storetest.NewDisk(t, "8m")
	s := storetest.Open(t, "sqlite:"+filepath.Join(disk.Path, "relay.db"))
	b, err := bus.Open(t.Context(), bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c := &clock{now: time.Now()}
	j := journal.New(journal.Options{Store: s, Bus: b, Now: c.Now})
	id := begin(t, j, "pc")
	report := func() error {
		_, err := j.Report(t.Context(), of("pc"), &orielv1.SessionReport{SessionId: id, Path: orielv1.Path_PATH_DIRECT})
		return err
	}
	disk.Fill()
	for err := error(nil); !store.DiskFull(err); {
		err = s.CheckWrites(t.Context(), store.NewID())
	}
	c.add(journal.LostAfter + time.Minute)
	if err := report(); !store.DiskFull(err) {
		t.Fatalf("a report with a full disk: %v", err)
	}
	disk.Free()
	if over, err := j.Sweep(t.Context()); err != nil || len(over) != 0 {
		t.Errorf("ended: %v, %v", over, err)
	}
	if err := report(); err != nil {
		t.Error(err)
	}
	c.add(journal.LostAfter + time.Minute)
	if over, err := j.Sweep(t.Context()); err != nil || len(over) != 1 {
		t.Errorf("after real silence: %v, %v", over, err)
	}
}
