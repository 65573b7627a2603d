package main_test

import (
	"os"
	"strings"
	"testing"
	"time"
)

// Rule: doctor writes nothing into a folder that others may write to.
func TestDoctorLeavesOthersFoldersAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(dir, long, long); err != nil {
		t.Fatal(err)
	}
	if code, out := agent(t, "doctor", "--data", dir); code != 1 || !strings.Contains(out, "can be written to by others") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	if info, err := os.Stat(dir); err != nil || time.Since(info.ModTime()) < time.Minute {
		t.Error("something was written:", info.ModTime(), err)
	}
}
