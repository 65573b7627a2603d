package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Rule: sealed by a key outside the database (file 0600, environment or
// systemd credential; made at first start).
func TestPlacesOfTheKey(t *testing.T) {
	dir := t.TempDir()
	if _, place, err := Find("", dir); !errors.Is(err, ErrNoKey) || place != filepath.Join(dir, File) {
		t.Fatalf("an empty folder: %q, %v", place, err)
	}
	made, place, err := Make(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(place); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	again, _, err := Make(dir)
	if err != nil || again.ID() != made.ID() {
		t.Fatalf("a second key in the place of the first: %v", err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Fatalf("left in the folder: %v, %v", all, err)
	}

	credentials := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	if k, _, err := Find("", dir); err != nil || k.ID() != made.ID() {
		t.Fatalf("with credentials of something else: %v", err)
	}
	text := func(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, Size)) }
	if err := os.WriteFile(filepath.Join(credentials, Credential), []byte(text(1)+"\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	credential, place, err := Find("", dir)
	if err != nil || credential.ID() == made.ID() || !strings.Contains(place, "credential") {
		t.Fatalf("%q, %v", place, err)
	}
	setting, place, err := Find(text(2), dir)
	if err != nil || setting.ID() == credential.ID() || !strings.Contains(place, "setting") {
		t.Fatalf("%q, %v", place, err)
	}
	// What cannot be used is never passed over in favour of another place.
	if err := os.WriteFile(filepath.Join(credentials, Credential), nil, 0o400); err != nil && os.Geteuid() == 0 {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if _, _, err := Find("", dir); err == nil || errors.Is(err, ErrNoKey) {
			t.Errorf("an empty credential: %v", err)
		}
	}
}

func TestFilesThatAreNoKey(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"open to others": func(path string) error { return os.Chmod(path, 0o640) },
		"empty":          func(path string) error { return os.Truncate(path, 0) },
		"short":          func(path string) error { return os.Truncate(path, 20) },
		"a folder":       func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		dir := t.TempDir()
		_, path, err := Make(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := spoil(path); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Find("", dir); err == nil || errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSealAndOpen(t *testing.T) {
	a, err := New(bytes.Repeat([]byte{1}, Size))
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(bytes.Repeat([]byte{2}, Size))
	if err != nil {
		t.Fatal(err)
	}
	value := []byte("the relay's signing key")
	sealed := a.Seal("signing-key", value)
	if bytes.Contains(sealed, value) || bytes.Equal(sealed, a.Seal("signing-key", value)) {
		t.Error("sealed values show what is in them")
	}
	if got, err := a.Open("signing-key", sealed); err != nil || !bytes.Equal(got, value) {
		t.Errorf("%q, %v", got, err)
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for what, try := range map[string]func() ([]byte, error){
		"another key":   func() ([]byte, error) { return b.Open("signing-key", sealed) },
		"another name":  func() ([]byte, error) { return a.Open("turn", sealed) },
		"changed":       func() ([]byte, error) { return a.Open("signing-key", changed) },
		"nothing":       func() ([]byte, error) { return a.Open("signing-key", nil) },
		"no key at all": func() ([]byte, error) { return Key{}.Open("signing-key", sealed) },
	} {
		if _, err := try(); err == nil {
			t.Errorf("%s opens it", what)
		}
	}
}
