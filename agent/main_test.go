package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"oriel/agent/internal/identity"
	"oriel/agent/internal/link/linktest"
	"oriel/agent/internal/node/nodetest"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// binary is the real program, built once. It lies where others may run it.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "oriel-agent-test-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "oriel-agent")
	build := exec.Command("go", "build", "-tags", "x11", "-ldflags", "-X main.version=9.8.7", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// agent runs the program to its end.
func agent(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*linktest.Deadline) // cleaning up, too
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("oriel-agent %v: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// running is the program while it runs.
type running struct {
	*exec.Cmd
	mu  sync.Mutex
	log bytes.Buffer
}

func (r *running) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(b)
}

func (r *running) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

func run(t *testing.T, env []string, args ...string) *running {
	t.Helper()
	r := &running{Cmd: exec.Command(binary, args...)}
	r.Env = append(os.Environ(), env...)
	r.Stderr = r
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r.ProcessState == nil {
			r.Process.Kill()
			r.Wait()
		}
		if t.Failed() {
			t.Log(r.String())
		}
	})
	return r
}

func dataDir(t *testing.T) string { return filepath.Join(t.TempDir(), "data") }

func TestRunUntilSignalled(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			v := nodetest.NewViewer(t)
			relay := linktest.Start(t, func(r *linktest.Relay) {
				r.Received = func(_ *linktest.Agent, m *orielv1.FromAgent) { v.Candidate(m.GetCandidate()) }
			})
			dir := dataDir(t)
			a := run(t, []string{"ORIEL_TOKEN=" + relay.Token()}, "run", "--relay", relay.URL(), "--data", dir, "--demo")
			peer := relay.Agent(1)
			if got := peer.Hello.GetAgentVersion(); got != "9.8.7" {
				t.Errorf("version %q", got)
			}
			// Another on the same directory is told so.
			if code, out := agent(t, "run", "--data", dir); code != 5 || !strings.Contains(out, "another agent is running") {
				t.Errorf("a second agent: exit %d: %s", code, out)
			}
			if code, out := agent(t, "doctor", "--data", dir); code != 0 || !strings.Contains(out, "AV1") || !strings.Contains(out, trust.KeyText(peer.Key)) || !strings.Contains(out, relay.URL()+" answers") {
				t.Errorf("doctor beside a running agent: exit %d:\n%s", code, out)
			}
			g := nodetest.Grant(t, relay, peer.Key, v)
			peer.Send(nodetest.Offer(t, relay.Key, g, v, 1))
			v.Take(t, peer.Wait(t, "the answer", func(m *orielv1.FromAgent) bool { return m.GetAnswer() != nil }).GetAnswer())
			v.Connected(t)
			a.Process.Signal(signal)
			e := peer.Wait(t, "the session's end", func(m *orielv1.FromAgent) bool { return m.GetSessionEnded() != nil }).GetSessionEnded()
			if e.GetReason() != orielv1.EndReason_END_REASON_AGENT_STOPPED {
				t.Errorf("ended with %v", e)
			}
			if err := a.Wait(); err != nil {
				t.Errorf("exit: %v", err)
			}
			if strings.Contains(a.String(), linktest.Secret) {
				t.Error("the token is in the log")
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	relay := linktest.Start(t)
	wrong := strings.Replace(relay.Token(), "abc", "cba", 1)
	open := dataDir(t)
	if err := os.Mkdir(open, 0o777); err != nil {
		t.Fatal(err)
	}
	os.Chmod(open, 0o777)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"version":          {[]string{"version"}, 0, "oriel-agent 9.8.7"},
		"no command":       {nil, 2, "expected one of"},
		"unknown flag":     {[]string{"run", "--nonsense"}, 2, "unknown flag"},
		"no relay":         {[]string{"run", "--data", dataDir(t)}, 2, "--relay"},
		"no token":         {[]string{"run", "--data", dataDir(t), "--relay", relay.URL()}, 2, "--token"},
		"not a token":      {[]string{"run", "--data", dataDir(t), "--relay", relay.URL(), "--token", "x"}, 2, "not an enrollment token"},
		"not an address":   {[]string{"run", "--data", dataDir(t), "--relay", "ftp://x", "--token", relay.Token()}, 2, "not a relay's address"},
		"refused token":    {[]string{"run", "--data", dataDir(t), "--relay", relay.URL(), "--token", wrong, "--demo"}, 4, "does not take this computer in"},
		"open directory":   {[]string{"run", "--data", open, "--relay", relay.URL()}, 1, "chmod 700"},
		"status":           {[]string{"status", "--name", "oriel-agent-nowhere", "--data", dataDir(t)}, 3, "not installed"},
		"stop nothing":     {[]string{"stop", "--name", "oriel-agent-nowhere"}, 1, "not installed"},
		"doctor, no relay": {[]string{"doctor", "--data", dataDir(t)}, 1, "BAD  relay"},
		"doctor, refused":  {[]string{"doctor", "--data", dataDir(t), "--relay", relay.URL(), "--token", wrong}, 1, "does not take this computer in"},
		"doctor, all well": {[]string{"doctor", "--data", dataDir(t), "--relay", relay.URL(), "--token", relay.Token()}, 0, "would take this computer in"},
		"install refused":  {[]string{"install", "--name", "oriel-agent-nowhere", "--data", dataDir(t), "--relay", relay.URL(), "--token", wrong}, refusedInstall(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			code, out := agent(t, c.args...)
			if code != c.code || !strings.Contains(out, c.says) {
				t.Fatalf("exit %d, want %d with %q:\n%s", code, c.code, c.says, out)
			}
			if strings.Contains(out, wrong) || strings.Contains(out, relay.Token()) {
				t.Fatalf("a token was printed:\n%s", out)
			}
		})
	}
}

// refusedInstall: without rights the refusal is never reached.
func refusedInstall() int {
	if os.Geteuid() != 0 {
		return 6
	}
	return 4
}

func TestGivenKeyIsKeptAcrossRuns(t *testing.T) {
	relay := linktest.Start(t)
	dir := dataDir(t)
	a := run(t, nil, "run", "--relay", relay.URL(), "--token", relay.Token(), "--data", dir, "--demo")
	first := relay.Agent(1)
	relay.Until("saved", func() bool {
		s, _, err := identity.Peek(dir)
		return err == nil && s.Enrolled() && s.Token == ""
	})
	a.Process.Kill() // no time to tidy up
	a.Wait()
	run(t, nil, "run", "--data", dir, "--demo")
	if second := relay.Agent(2); !second.Key.Equal(first.Key) {
		t.Fatal("another key")
	}
}
