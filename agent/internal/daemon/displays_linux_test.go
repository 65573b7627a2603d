package daemon

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"oriel/agent/internal/desktop/xvfbtest"
)

func found(t *testing.T, name string) (Display, bool) {
	t.Helper()
	all := FindDisplays()
	i := slices.IndexFunc(all, func(d Display) bool { return d.Name == name })
	if i < 0 {
		return Display{}, false
	}
	return all[i], true
}

// sleeper is a process of uid on a display.
func sleeper(t *testing.T, uid uint32, env ...string) {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

func TestFindsDisplaysOfRealServers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root sees other users' processes")
	}
	authority := filepath.Join(t.TempDir(), "authority")
	if err := os.WriteFile(authority, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	x := xvfbtest.Start(t, xvfbtest.Options{Authority: authority})
	want := Display{Name: x.Display, XAuthority: authority}
	if d, ok := found(t, x.Display); !ok || d != want {
		t.Fatalf("a bare server: %+v, %v; want %+v", d, ok, want)
	}
	// Helpers, and what they start, do not count.
	sleeper(t, 5555, "DISPLAY="+x.Display, "XAUTHORITY=/other", helperMark+"=1")
	sleeper(t, 6666, "DISPLAY=localhost:"+x.Display[1:])
	if d, _ := found(t, x.Display); d != want {
		t.Fatalf("with helpers: %+v, want %+v", d, want)
	}
	if all := FindDisplays(); !slices.IsSortedFunc(all, func(a, b Display) int { return b.Rank - a.Rank }) {
		t.Fatalf("not the best first: %+v", all)
	}
	x.Kill()
	if d, ok := found(t, x.Display); ok {
		t.Fatalf("found after its server died: %+v", d)
	}
}

func TestLocalDisplay(t *testing.T) {
	for in, want := range map[string]string{
		":0": ":0", ":10.2": ":10", "unix:3": ":3", ":007": ":7",
		"": "", "localhost:10.0": "", ":-1": "", ":x": "", "host:0": "", "unix": "",
	} {
		if got := localDisplay(in); got != want {
			t.Errorf("localDisplay(%q) = %q, want %q", in, got, want)
		}
	}
}
