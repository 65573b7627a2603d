package main

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"oriel/relay/internal/config"
)

// Rule: `oriel-relay key succession` prints the key once, `oriel-relay key rotate`
// takes it from standard input, and beside a relay that runs nothing is rotated.
func TestKeyCommands(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	var said bytes.Buffer
	turn := func(text string) error {
		t.Helper()
		_, c, err := config.Parse([]string{"key", "rotate", "--data", data}, io.Discard, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		return rotate(t.Context(), c, strings.NewReader(text), &said)
	}
	_, _, _, stop := serving(t, data)
	if code := stop(); code != 0 {
		t.Fatal(code)
	}
	if err := turn("oriel-succession-x"); err == nil {
		t.Error("rotated without a succession key")
	}
	code, key, hint := command(t, "key", "succession", "--data", data)
	if code != 0 || !strings.HasPrefix(key, "oriel-succession-") || strings.Count(key, "\n") != 1 || !strings.Contains(hint, "paper") {
		t.Fatalf("%d %q %q", code, key, hint)
	}
	if code, again, said := command(t, "key", "succession", "--data", data); code != 1 || again != "" || !strings.Contains(said, "already") {
		t.Errorf("a second one: %d %q %q", code, again, said)
	}
	if _, said, _ := command(t, "doctor", "--data", data); !strings.Contains(said, "restored from an older back-up") {
		t.Errorf("doctor: %q", said)
	}
	_, _, _, stop = serving(t, data)
	if err := turn(key); err == nil || !strings.Contains(err.Error(), "another relay runs") {
		t.Errorf("beside a relay that runs: %v", err)
	}
	if code := stop(); code != 0 {
		t.Fatal(code)
	}
	slip := []byte(key)
	slip[20] ^= 3
	if err := turn(string(slip)); err == nil || !strings.Contains(err.Error(), "not a succession key") {
		t.Errorf("a slip of the pen: %v", err)
	}
	// Rule: whoever restores a back-up with a key that may be an old one by now reads so.
	file := filepath.Join(t.TempDir(), "back-up")
	if code, _, said := command(t, "backup", file, "--data", data); code != 0 {
		t.Fatal(code, said)
	}
	if code, _, said := command(t, "restore", file, "--data", filepath.Join(t.TempDir(), "data")); code != 0 || !strings.Contains(said, "computers that followed refuse") {
		t.Errorf("restore: %d %q", code, said)
	}
	before := public(t, data)
	if err := turn(strings.ToUpper(key)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "a new back-up") { // an older one has the key that computers refuse now
		t.Errorf("nothing of back-ups: %q", said.String())
	}
	if after := public(t, data); bytes.Equal(before, after) {
		t.Error("the relay's key is the same")
	}
}

// public key of the relay of a data folder.
func public(t *testing.T, data string) []byte {
	t.Helper()
	_, c, err := config.Parse([]string{"serve", "--data", data}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s, a, err := openPeople(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return a.PublicKey()
}
