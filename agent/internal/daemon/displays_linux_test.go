package daemon

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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

func TestFindsDisplaysAndWhoseTheyAre(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root sees other users' processes")
	}
	x := xvfbtest.Start(t, xvfbtest.Options{})
	d, ok := found(t, x.Display)
	if !ok || d.UID != 0 || d.Rank != rankSystem {
		t.Fatalf("a bare server: %+v, %v", d, ok)
	}
	sleeper(t, 101, "DISPLAY="+x.Display, "XAUTHORITY=/var/run/greeter")
	if d, _ := found(t, x.Display); d.UID != 101 || d.XAuthority != "/var/run/greeter" || d.Rank != rankSystem {
		t.Fatalf("with a greeter: %+v", d)
	}
	sleeper(t, 4242, "DISPLAY=unix"+x.Display+".0", "XAUTHORITY=/home/ada/.Xauthority")
	want := Display{Name: x.Display, XAuthority: "/home/ada/.Xauthority", UID: 4242, GID: 4242, Rank: rankPerson}
	if d, _ := found(t, x.Display); d != want {
		t.Fatalf("with a person: %+v, want %+v", d, want)
	}
	// Helpers, and what they start, do not keep a display for their user.
	for range 3 {
		sleeper(t, 5555, "DISPLAY="+x.Display, "XAUTHORITY=/other", helperMark+"=1")
	}
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

func TestXwaylandIsLeftOut(t *testing.T) {
	claims := map[claim]int{{uid: 1000, wayland: true}: 9}
	if d, ok := owner(":0", claims, nil); ok {
		t.Fatalf("found %+v", d)
	}
}

func TestSeatWins(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"1":  "UID=1001\nUSER=ada\nACTIVE=1\nCLASS=user\nSEAT=seat0\nTYPE=x11\n",
		"2":  "UID=1002\nACTIVE=0\nCLASS=user\nSEAT=seat0\n",
		"c1": "UID=110\nACTIVE=1\nCLASS=greeter\nSEAT=seat0\n",
		"3":  "UID=1003\nACTIVE=1\nCLASS=user\n", // ssh
		"4":  strings.Repeat("\x00=", 9),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	seated := seatedUsers(dir)
	if len(seated) != 1 || !seated[1001] {
		t.Fatalf("seated: %v", seated)
	}
	d, ok := owner(":7", map[claim]int{{uid: 1002}: 50, {uid: 1001}: 1, {uid: 0}: 80}, seated)
	if !ok || d.UID != 1001 || d.Rank != rankSeat {
		t.Fatalf("owner: %+v", d)
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
