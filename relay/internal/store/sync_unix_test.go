//go:build unix

package store

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func openFile(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), "sqlite:"+path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func addToken(t testing.TB, s *Store) {
	t.Helper()
	id := NewID()
	if err := s.Tokens(FirstOrganization).Add(t.Context(), Entry{ActorKind: "relay", Action: "test.done", Outcome: Done}, EnrollmentToken{ID: id, TokenKey: []byte(id), UsesLeft: 1, ExpiresAt: 1 << 60}); err != nil {
		t.Fatal(err)
	}
}

// Rule: commits that answer somebody are synced, many at once in one group.
func TestCommitsAreSyncedInGroups(t *testing.T) {
	s := openFile(t, filepath.Join(t.TempDir(), "relay.db"))
	var syncs atomic.Int32
	started, release := make(chan struct{}), make(chan struct{})
	s.log.sync = func(path string) error {
		if syncs.Add(1) == 1 {
			close(started)
			<-release
		}
		return syncFile(path)
	}
	const many = 32
	var answered atomic.Int32
	var wg sync.WaitGroup
	add := func() { wg.Go(func() { addToken(t, s); answered.Add(1) }) }
	add()
	<-started
	for range many {
		add()
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		all, err := s.Tokens(FirstOrganization).List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 1+many {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d commits wait for a sync that others wait for", len(all))
		}
	}
	if n := answered.Load(); n != 0 {
		t.Errorf("%d were answered before the disk had their change", n)
	}
	close(release)
	wg.Wait()
	// The last few may be committed, but not yet waiting, when the second begins.
	if n := syncs.Load(); n < 2 || n > many/2 {
		t.Errorf("%d syncs for %d commits", n, 1+many)
	}
	s.log.sync = func(string) error { return errors.New("input/output error") }
	id := NewID()
	if err := s.Tokens(FirstOrganization).Add(t.Context(), Entry{ActorKind: "relay", Action: "test.done", Outcome: Done}, EnrollmentToken{ID: id, TokenKey: []byte(id), UsesLeft: 1}); err == nil {
		t.Error("somebody is told of a change that the disk refused")
	}
	// What is true only now costs no sync, and needs none.
	if err := s.Nodes().Heartbeat(t.Context(), "node/1", time.Second); err != nil {
		t.Error(err)
	}
}

// The test runs itself under strace, which sees every call of the process.
//
// Rule: what was acknowledged also survives a power cut, shown by a test that
// checks what was synced.
func TestTheLogIsSyncedBeforeTheAnswer(t *testing.T) {
	const mark = "ORIEL_TEST_SYNCED"
	if path := os.Getenv(mark); path != "" {
		s := openFile(t, path)
		for i := range 3 {
			addToken(t, s)
			_, _ = os.Stat("/answered/" + strconv.Itoa(i))
		}
		return
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("there is no strace; run .ci/setup")
	}
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	cmd := exec.Command(strace, "-f", "-y", "-o", trace, "-e", "trace=write,pwrite64,fsync,fdatasync,newfstatat", os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), mark+"="+filepath.Join(dir, "relay.db"))
	if out, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "ptrace") {
			t.Skipf("strace may not trace here: %s", out)
		}
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	var (
		written  = regexp.MustCompile(`p?write(64)?\(\d+<[^>]*relay\.db-wal>`)
		synced   = regexp.MustCompile(`f(data)?sync\(\d+<[^>]*relay\.db-wal>`)
		unsynced = false
		answers  = 0
		syncs    = 0
	)
	for line := range strings.Lines(string(text)) {
		switch {
		case written.MatchString(line):
			unsynced = true
		case synced.MatchString(line):
			unsynced = false
			syncs++
		case strings.Contains(line, `"/answered/`) && !strings.Contains(line, "resumed"):
			answers++
			if unsynced {
				t.Errorf("answer %d came while the log held what was not synced", answers)
			}
		}
	}
	if answers != 3 || syncs < 3 {
		t.Fatalf("%d answers and %d syncs in the trace, want 3 of each at least", answers, syncs)
	}
}

// BenchmarkCommit is enrollment tokens made by one and by 32 people at once,
// synced as the relay does, by SQLite at each commit (FULL), and not at all.
func BenchmarkCommit(b *testing.B) {
	for _, mode := range []string{"group", "full", "none"} {
		for _, people := range []int{1, 32} {
			b.Run(mode+"/"+strconv.Itoa(people), func(b *testing.B) {
				s := openFile(b, filepath.Join(b.TempDir(), "relay.db"))
				if mode != "group" {
					s.log = nil
				}
				if mode == "full" {
					s.db.SetMaxOpenConns(1) // the pragma is a connection's own
					if _, err := s.db.Exec("PRAGMA synchronous = FULL"); err != nil {
						b.Fatal(err)
					}
				}
				b.SetParallelism(people)
				b.ResetTimer()
				if people == 1 {
					for range b.N {
						addToken(b, s)
					}
					return
				}
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						addToken(b, s)
					}
				})
			})
		}
	}
}

// The test runs itself with a bound on the size of files, which refuses writing
// as a full disk does.
//
// Rule: health writes a row and reads it back.
func TestCheckWrites(t *testing.T) {
	const mark = "ORIEL_TEST_FULL"
	if path := os.Getenv(mark); path != "" {
		s := openFile(t, path)
		if err := s.CheckWrites(t.Context(), "node"); err != nil {
			t.Fatal(err)
		}
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1, Max: 1 << 30}); err != nil {
			t.Fatal(err)
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("reading: %v", err)
		}
		if err := s.CheckWrites(t.Context(), "node"); err == nil {
			t.Error("all is well, but nothing can be written")
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 30, Max: 1 << 30}); err != nil {
			t.Fatal(err)
		}
		if err := s.CheckWrites(t.Context(), "node"); err != nil {
			t.Errorf("with room again: %v", err)
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), mark+"="+filepath.Join(t.TempDir(), "relay.db"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
