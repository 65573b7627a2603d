package desktop

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Rule: XAUTHORITY is opened only as and owned by the display's user.
func TestCookieIsShownToItsOwnersServerOnly(t *testing.T) {
	me := uint32(os.Geteuid())
	if me != 0 {
		t.Skip("only root can give a file away")
	}
	dir := t.TempDir()
	file := func(name string, uid int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, uid, -1); err != nil {
			t.Fatal(err)
		}
		return path
	}
	own, theirs := file("own", 0), file("theirs", 4002)
	link, pipe := filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	if err := os.Symlink(own, link); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why  string
		file string
		to   peer
		ok   bool
	}{
		{"own to own", own, peer{true, 0}, true},
		{"own over a network", own, peer{}, true},
		{"own to an attacker", own, peer{true, 4001}, false},
		{"theirs to theirs", theirs, peer{true, 4002}, true},
		{"theirs to an attacker", theirs, peer{true, 4001}, false},
		{"theirs to root", theirs, peer{true, 0}, false},
		{"theirs over a network", theirs, peer{}, false},
		{"a link", link, peer{true, 0}, false},
		{"a pipe", pipe, peer{true, 0}, false},
		{"a directory", dir, peer{true, 0}, false},
	} {
		f, err := openAuthority(c.file, c.to)
		if err == nil {
			f.Close()
		}
		if (err == nil) != c.ok {
			t.Errorf("%s: opened %v (%v), want %v", c.why, err == nil, err, c.ok)
		}
	}
}

// Rule: a person's display must be that person's.
func TestFoundDisplayOfAnotherUsersServerIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("unix", path+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if p, err := peerOf(nc); err != nil || p != (peer{true, uint32(os.Geteuid())}) {
		t.Fatalf("peer: %v, %v", p, err)
	}
	if err := (peer{true, 4001}).allowed(true); err == nil || !strings.Contains(err.Error(), "another user") {
		t.Fatalf("another user's server: %v", err)
	}
	for _, p := range []peer{{true, 0}, {true, uint32(os.Geteuid())}} {
		if err := p.allowed(true); err != nil {
			t.Fatalf("own or root's server: %v", err)
		}
	}
	if (peer{}).allowed(true) == nil || (peer{}).allowed(false) != nil {
		t.Fatal("a display of the network must be named by a person")
	}
}
