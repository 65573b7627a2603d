package daemon

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// canonical: none, or ":N" as X servers are numbered.
func canonical(display string) bool {
	n, err := strconv.Atoi(strings.TrimPrefix(display, ":"))
	return display == "" || err == nil && n >= 0 && display == ":"+strconv.Itoa(n)
}

// FuzzListener: whoever binds a name writes a line of /proc/net/unix, and leads to
// no file but a server's socket in the one directory.
func FuzzListener(f *testing.F) {
	f.Add("0000000000000000: 00000002 00000000 00010000 0001 01 21417 /tmp/.X11-unix/X0")
	f.Add("0000000000000000: 00000002 00000000 00010000 0001 01 21417 /tmp/.X11-unix/X0/../../../etc/X1")
	f.Add("0000000000000000: 00000002 00000000 00010000 0001 01 21417 /tmp/.X11-unix/X-1 /tmp/.X11-unix/X00")
	f.Add("0000000000000000: 00000003 00000000 00000000 0001 03 21418 @/tmp/.X11-unix/X0")
	fi := &finder{sockets: "/tmp/.X11-unix"}
	f.Fuzz(func(t *testing.T, line string) {
		n, kernel, ok := parseListener(line, fi.sockets)
		if !ok {
			return
		}
		path := fi.socket(n)
		if n < 0 || kernel == "" || filepath.Dir(path) != fi.sockets || filepath.Clean(path) != path || !slices.Contains(strings.Fields(line), path) {
			t.Fatalf("%q leads to %s (%s)", line, path, kernel)
		}
	})
}

// FuzzStatus: ids are read from /proc/PID/status whole or not at all: four of each,
// once.
func FuzzStatus(f *testing.F) {
	f.Add([]byte("Name:\tX\nUmask:\t0022\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\n"))
	f.Add([]byte("Name:\tUid:\t0\nUid:\t1000\t0\t0\t0\nGid:\t1\t2\t3\t4294967295\nGroups:\t4\n"))
	f.Add([]byte("Uid:\t1\t1\t1\t1\nUid:\t0\t0\t0\t0\n"))
	f.Fuzz(func(t *testing.T, status []byte) {
		read, err := parseIDs(status)
		if err != nil {
			return
		}
		line := func(name string, v [4]uint32) string {
			return fmt.Sprintf("%s:\t%d\t%d\t%d\t%d\n", name, v[0], v[1], v[2], v[3])
		}
		again, err := parseIDs([]byte(line("Uid", read.uid) + line("Gid", read.gid)))
		if err != nil || again != read {
			t.Fatalf("%q is read as %v, and that as %v (%v)", status, read, again, err)
		}
		if bytes.Count(status, []byte("Uid:")) == 0 || bytes.Count(status, []byte("Gid:")) == 0 {
			t.Fatalf("%q has no ids, but is read as %v", status, read)
		}
	})
}

// FuzzEnviron: an environment claims a display of this machine or none, a helper's
// claims none, and a cookie is at one absolute path.
func FuzzEnviron(f *testing.F) {
	f.Add([]byte("PATH=/bin\x00DISPLAY=:0.0\x00XAUTHORITY=/home/a/.Xauthority\x00"))
	f.Add([]byte("DISPLAY=unix:12\x00WAYLAND_DISPLAY=wayland-0"))
	f.Add([]byte("DISPLAY=host:0\x00XAUTHORITY=../x"))
	f.Add([]byte("DISPLAY=:+1\x00ORIEL_HELPER=1\x00"))
	f.Add([]byte("DISPLAY=:99999999999999999999\x00=\x00\x00"))
	f.Fuzz(func(t *testing.T, environ []byte) {
		display, c := parseClaim(environ)
		if !canonical(display) {
			t.Fatalf("%q claims %q", environ, display)
		}
		if c.xauthority != "" && (!filepath.IsAbs(c.xauthority) || len(c.xauthority) >= 1024 || strings.Contains(c.xauthority, "\x00")) {
			t.Fatalf("%q has its cookie at %q", environ, c.xauthority)
		}
		for v := range bytes.SplitSeq(environ, []byte{0}) {
			if bytes.HasPrefix(v, []byte(helperMark+"=")) && (display != "" || c != claim{}) {
				t.Fatalf("a helper claims %q, %v", display, c)
			}
		}
		if a := parseAuthority(environ); a != "" && (!filepath.IsAbs(a) || strings.Contains(a, "\x00")) {
			t.Fatalf("%q has its cookie at %q", environ, a)
		}
	})
}

// FuzzSession: a file of logind's is a session of a user with a seat or without, or
// nothing; nobody sits who is not active.
func FuzzSession(f *testing.F) {
	f.Add([]byte("# This is private data. Do not parse.\nUID=1000\nUSER=ada\nACTIVE=1\nSTATE=active\nTYPE=x11\nCLASS=user\nSEAT=seat0\nDISPLAY=:0\n"))
	f.Add([]byte("UID=110\nACTIVE=0\nCLASS=greeter\nSEAT=seat0\n"))
	f.Add([]byte("UID=-1\nCLASS=user"))
	f.Add([]byte("UID=4294967296\nCLASS=user\nUID=0\n DISPLAY = :0"))
	f.Fuzz(func(t *testing.T, file []byte) {
		l, ok := parseSession(file)
		if !ok {
			if l != (loginSession{}) {
				t.Fatalf("%q is nothing, but %v", file, l)
			}
			return
		}
		if !canonical(l.display) || l.class != "user" && l.class != "greeter" || l.sits() && (!l.active || l.seat == "") ||
			!bytes.Contains(file, []byte("UID="+strconv.Itoa(int(l.uid)))) && !bytes.Contains(file, []byte("UID=0")) {
			t.Fatalf("%q is read as %+v", file, l)
		}
	})
}
