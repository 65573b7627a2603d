package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"oriel/protocol/address"
	"oriel/protocol/private"
	"oriel/protocol/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string) *Identity {
	t.Helper()
	i, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close() })
	return i
}

func relayKey(seed byte) ed25519.PublicKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), 32))).Public().(ed25519.PublicKey)
}

func tokenFor(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return "oriel-abcdefghijklmnopqrstuvwxyz-" + hex.EncodeToString(sum[:16])
}

// Rule: what a relay signed of this machine as one computer goes with that computer.
func TestMembershipsGoWithTheComputer(t *testing.T) {
	id, key := open(t, t.TempDir()), relayKey('a')
	if err := id.Welcomed(key, nil, "c-1", nil); err != nil {
		t.Fatal(err)
	}
	words := []trust.Membership{{Computer: "c-1", Signature: make([]byte, 64)}, {Computer: "c-1", Organization: "acme", Signature: make([]byte, 64)}}
	if err := id.KeepMemberships(words); err != nil {
		t.Fatal(err)
	}
	if got := id.State().Memberships(); !reflect.DeepEqual(got, words) {
		t.Errorf("kept %+v", got)
	}
	if err := id.Welcomed(key, nil, "c-2", nil); err != nil {
		t.Fatal(err)
	}
	if got := id.State().Memberships(); len(got) != 0 {
		t.Errorf("of another computer it keeps %+v", got)
	}
}

func TestKeyIsMadeOnceAndKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "data")
	first := open(t, dir)
	key := first.Key()
	sig, _ := first.Sign([]byte("hello"))
	if !ed25519.Verify(key, []byte("hello"), sig) {
		t.Fatal("the key does not sign")
	}
	first.Close()
	if again := open(t, dir); !again.Key().Equal(key) {
		t.Fatal("another key after opening again")
	}
	for name, want := range map[string]os.FileMode{"": 0o700, keyFile: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has mode %04o, want %04o", name, got, want)
		}
	}
}

func TestTwoAgentsDoNotShareADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := open(t, dir)
	if _, err := Open(dir); !errors.Is(err, ErrInUse) {
		t.Fatalf("second Open: %v, want ErrInUse", err)
	}
	if _, key, err := Peek(dir); err != nil || !key.Equal(first.Key()) {
		t.Fatalf("Peek beside a running agent: %v", err)
	}
	first.Close()
	open(t, dir)
}

func TestWidePermissionsAreRefused(t *testing.T) {
	for name, widen := range map[string]func(t *testing.T, dir string){
		"key for the group": func(t *testing.T, dir string) { chmod(t, filepath.Join(dir, keyFile), 0o640) },
		"key for all":       func(t *testing.T, dir string) { chmod(t, filepath.Join(dir, keyFile), 0o604) },
		"state for all":     func(t *testing.T, dir string) { chmod(t, filepath.Join(dir, stateFile), 0o644) },
		"directory for all": func(t *testing.T, dir string) { chmod(t, dir, 0o777) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			i := open(t, dir)
			if err := i.Configure(Given{Relays: []string{"relay.example"}}); err != nil {
				t.Fatal(err)
			}
			i.Close()
			widen(t, dir)
			_, err := Open(dir)
			if !errors.Is(err, private.ErrRefused) || !strings.Contains(err.Error(), "chmod") {
				t.Fatalf("Open: %v, want a refusal with what to do", err)
			}
		})
	}
	t.Run("key is a link", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "data")
		open(t, dir).Close()
		path := filepath.Join(dir, keyFile)
		if err := os.Rename(path, path+".moved"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path+".moved", path); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil {
			t.Fatal("a linked key was taken")
		}
	})
}

// Rule: files that were there before (state folders) are trusted only with the
// right owner: a directory that another user made for root to find, or a key
// that another user put there, makes no agent start, and doctor says so.
func TestWhatAnotherUserMadeIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	for name, theirs := range map[string]string{
		"directory above": "..", "directory": "", "key": keyFile, "state": stateFile,
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "above", "data")
			i := open(t, dir)
			if err := i.Configure(Given{Relays: []string{"relay.example"}}); err != nil {
				t.Fatal(err)
			}
			i.Close()
			if err := os.Chown(filepath.Join(dir, theirs), 54321, 54321); err != nil {
				t.Fatal(err)
			}
			for what, try := range map[string]func() error{
				"Open": func() error { _, err := Open(dir); return err },
				"Peek": func() error { _, _, err := Peek(dir); return err },
			} {
				if err := try(); !errors.Is(err, private.ErrRefused) || !strings.Contains(err.Error(), "chown") {
					t.Errorf("%s: %v, want a refusal with what to do", what, err)
				}
			}
		})
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedFilesAreSaid(t *testing.T) {
	for name, file := range map[string]string{"key": keyFile, "state": stateFile} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			open(t, dir).Close()
			if err := os.WriteFile(filepath.Join(dir, file), []byte("{nonsense"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "enroll this computer again") {
				t.Fatalf("Open: %v, want what to do", err)
			}
		})
	}
}

func TestEnrollmentIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	i := open(t, dir)
	a, b := relayKey('a'), relayKey('b')
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(i.Configure(Given{Relays: []string{"Relay.Example/", "http://127.0.0.1:8080"}, Token: tokenFor(a)}))
	if s := i.State(); s.Enrolled() || s.Token == "" {
		t.Fatalf("after configuring: %+v", s)
	}
	must(i.Welcomed(a, nil, "computer-1", []string{"https://node1.example", "rubbish ://", "https://relay.example"}))
	i.Close()

	i = open(t, dir)
	s := i.State()
	if !s.Enrolled() || s.ComputerID != "computer-1" || !s.RelayKey.Equal(a) || s.Token != "" {
		t.Fatalf("after opening again: %+v", s)
	}
	want := "https://relay.example http://127.0.0.1:8080 https://node1.example"
	if got := strings.Join(s.Addresses(), " "); got != want {
		t.Fatalf("addresses %q, want %q", got, want)
	}

	must(i.Configure(Given{Token: tokenFor(a)}))
	if !i.State().Enrolled() {
		t.Fatal("a token of the same relay undid the enrollment")
	}
	must(i.Configure(Given{Relays: []string{"https://other.example"}, Token: tokenFor(b)}))
	s = i.State()
	if s.Enrolled() || len(s.RelayKey) != 0 || strings.Join(s.Addresses(), " ") != "https://other.example" {
		t.Fatalf("a token of another relay left %+v", s)
	}
}

func TestGivenIsChecked(t *testing.T) {
	i := open(t, filepath.Join(t.TempDir(), "data"))
	for name, c := range map[string]struct {
		given Given
		want  error
	}{
		"no token":         {Given{Token: "hunter2"}, trust.ErrToken},
		"token cut short":  {Given{Token: tokenFor(relayKey('a'))[:40]}, trust.ErrToken},
		"address":          {Given{Relays: []string{"ftp://relay"}}, address.ErrAddress},
		"http beyond here": {Given{Relays: []string{"http://relay.example"}}, ErrExposed},
		"CA":               {Given{CA: "nothing"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := i.Configure(c.given)
			if err == nil || (c.want != nil && !errors.Is(err, c.want)) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if s := i.State(); !s.equal(State{}) {
				t.Fatalf("refused, yet kept: %+v", s)
			}
		})
	}
}

// Rule: http beyond loopback is refused by the agent unless a switch says so; a
// computer that is enrolled over it keeps its address.
func TestHTTPBeyondThisMachine(t *testing.T) {
	for _, c := range []struct {
		given Given
		fine  bool
	}{
		{Given{Relays: []string{"http://relay.lan"}}, false},
		{Given{Relays: []string{"https://relay.lan", "HTTP://192.168.1.2:8080/"}}, false},
		{Given{Relays: []string{"http://relay.lan"}, AllowHTTP: true}, true},
		{Given{Relays: []string{"http://localhost:8080", "http://127.0.0.1", "http://[::1]:1"}}, true},
		{Given{Relays: []string{"relay.lan"}}, true},
	} {
		s, err := State{}.With(c.given)
		if (err == nil) != c.fine || err != nil && !(errors.Is(err, ErrExposed) && strings.Contains(err.Error(), "--allow-http")) {
			t.Errorf("%+v: %v", c.given, err)
		}
		if !c.fine && !s.equal(State{}) {
			t.Errorf("%+v: kept all the same", c.given)
		}
	}
	old := State{Relays: []string{"http://relay.lan"}, RelayKey: relayKey('a'), ComputerID: "c"}
	if _, err := old.With(Given{}); err != nil {
		t.Errorf("an enrolled computer: %v", err)
	}
	if _, err := old.With(Given{Token: tokenFor(relayKey('b'))}); !errors.Is(err, ErrExposed) {
		t.Errorf("a new enrollment over http: %v", err)
	}
}

// Addresses that an earlier version wrote in another form are read on.
func TestAddressesOfEarlierVersions(t *testing.T) {
	s, err := ParseState([]byte(`{"relays":["https://relay.example:443","http://[::1]:80/oriel"],"learned":["https://node.example:443"]}`))
	if got := strings.Join(s.Addresses(), " "); err != nil || got != "https://relay.example http://[::1]/oriel https://node.example" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestTokenKnowsItsRelay(t *testing.T) {
	token, err := trust.ParseToken(" " + tokenFor(relayKey('a')) + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if !token.For(relayKey('a')) || token.For(relayKey('b')) || token.For(nil) {
		t.Fatal("the token does not tell relays apart")
	}
}

func TestPeekWithoutAgent(t *testing.T) {
	if _, _, err := Peek(t.TempDir()); !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v, want ErrNotFound", err)
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"relays":["https://relay.example"]}`))
	f.Add([]byte(`{"relay_key":"QUJD","computer_id":"x"}`))
	f.Add([]byte(`{"learned":[""],"ca":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseState(b)
		if err != nil {
			return
		}
		again, err := s.encode()
		if err != nil {
			t.Fatalf("accepted, but cannot be written: %v", err)
		}
		twice, err := ParseState(again)
		if err != nil {
			t.Fatalf("cannot be read again: %v", err)
		}
		if third, _ := twice.encode(); string(third) != string(again) {
			t.Fatalf("changes by being saved: %s, %s", again, third)
		}
	})
}
