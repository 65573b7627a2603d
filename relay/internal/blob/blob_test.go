package blob

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Each implementation is held to the same suite.
func each(t *testing.T, test func(*testing.T, *Store)) {
	t.Helper()
	for name, open := range map[string]func(*testing.T) (string, string){
		"folder": func(t *testing.T) (string, string) { return "", filepath.Join(t.TempDir(), "not", "yet") },
		"file":   func(t *testing.T) (string, string) { return "file://" + t.TempDir(), "" },
		"memory": func(*testing.T) (string, string) { return "mem://", "" },
	} {
		t.Run(name, func(t *testing.T) {
			address, folder := open(t)
			s, err := Open(t.Context(), address, folder)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			test(t, s)
		})
	}
}

func TestPutGetDelete(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		if err := s.Check(ctx); err != nil {
			t.Fatal(err)
		}
		const key = "previews/0192f3c4-0000-7000-8000-000000000001.jpg"
		if _, err := s.Get(ctx, key); !errors.Is(err, ErrNotFound) {
			t.Fatalf("before: %v", err)
		}
		for _, data := range [][]byte{[]byte("first"), bytes.Repeat([]byte{7}, 1<<20), {}} {
			if err := s.Put(ctx, key, data); err != nil {
				t.Fatal(err)
			}
			got, err := s.Get(ctx, key)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("got %d bytes, %v", len(got), err)
			}
		}
		for range 2 { // the second time it is gone already
			if err := s.Delete(ctx, key); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Get(ctx, key); !errors.Is(err, ErrNotFound) {
			t.Fatalf("after: %v", err)
		}
	})
}

func TestKeysAreChecked(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		for _, key := range []string{"", "/etc/passwd", "../x", "a/../b", "a//b", "a/.b", "A", "a b", "a\x00", strings.Repeat("a", 300)} {
			if err := s.Put(t.Context(), key, []byte("x")); err == nil {
				t.Errorf("%q was taken", key)
			}
			if _, err := s.Get(t.Context(), key); !errors.Is(err, ErrNotFound) {
				t.Errorf("get %q: %v", key, err)
			}
		}
	})
}

func TestReadersNeverSeeHalf(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		write := func(b byte) error { return s.Put(t.Context(), "p/x", bytes.Repeat([]byte{b}, 100_000)) }
		if err := write(0); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			for i := range 50 {
				if err := write(byte(i)); err != nil {
					t.Error(err)
				}
			}
		})
		for range 50 {
			b, err := s.Get(t.Context(), "p/x")
			if err != nil || len(b) != 100_000 || !bytes.Equal(b, bytes.Repeat(b[:1], len(b))) {
				t.Fatalf("%d bytes, %v", len(b), err)
			}
		}
	})
}

func TestFolderIsPrivate(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "blobs")
	s, err := Open(t.Context(), "", folder)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	info, err := os.Stat(folder)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
}

func TestOpenErrorsKeepSecrets(t *testing.T) {
	_, err := Open(t.Context(), "nothing://bucket?secret=hunter2", "")
	if err == nil || !strings.Contains(err.Error(), "nothing://bucket") {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(fmt.Sprint(err), "hunter2") {
		t.Fatalf("the secret is in %v", err)
	}
}

func TestAFolderThatVanishedIsSeen(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "blobs")
	s, err := Open(t.Context(), "", folder)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err == nil {
		t.Fatal("no error")
	}
}
