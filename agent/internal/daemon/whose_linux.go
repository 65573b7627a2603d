package daemon

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const maxEnviron = 256 << 10

// server is an X server that listens, and whose process that is.
type server struct {
	name string // ":0"
	account
}

// account is a user as the kernel tells, and where a server of root's keeps
// its cookie.
type account struct {
	uid, gid  uint32
	authority string
}

// listener is one listening socket; no two are equal, however often a number
// is taken anew.
type listener struct {
	number        int
	kernel        string // its inode among sockets
	device, inode uint64 // of its name in the file system
	changed       syscall.Timespec
}

// servers lists those that listen in f.sockets, by number.
func (f *finder) servers() []server {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := map[listener]account{}
	var all []server
	for _, l := range f.listening() {
		a, ok := f.known[l]
		if !ok {
			if a, ok = f.peer(f.socket(l.number)); !ok {
				continue
			}
		}
		known[l] = a
		all = append(all, server{":" + strconv.Itoa(l.number), a})
	}
	f.known = known
	return all
}

func (f *finder) socket(number int) string { return f.sockets + "/X" + strconv.Itoa(number) }

// listening reads the kernel's list of Unix sockets, so that servers are not
// bothered with a connection each time. What is listed must be a socket in the
// directory itself: a link could lead to a socket of somebody else's.
func (f *finder) listening() []listener {
	if info, err := os.Lstat(f.sockets); err != nil || !info.IsDir() {
		return nil
	}
	file, err := os.Open(f.netUnix)
	if err != nil {
		return nil
	}
	defer file.Close()
	var all []listener
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		n, kernel, ok := parseListener(lines.Text(), f.sockets)
		if !ok {
			continue
		}
		var st syscall.Stat_t
		if syscall.Lstat(f.socket(n), &st) != nil || st.Mode&syscall.S_IFMT != syscall.S_IFSOCK {
			continue
		}
		l := listener{number: n, kernel: kernel, device: uint64(st.Dev), inode: st.Ino, changed: st.Ctim}
		// A name that was bound twice: the later one is listed last and is
		// not the socket of an unlinked one.
		if i := slices.IndexFunc(all, func(o listener) bool { return o.number == n }); i >= 0 {
			all[i] = l
			continue
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b listener) int { return a.number - b.number })
	return all
}

// parseListener reads a line of the kernel's list: the number of the server that
// listens in the directory sockets, and its inode among sockets. Whoever binds a
// name writes most of the line.
func parseListener(line, sockets string) (number int, kernel string, ok bool) {
	// Num RefCount Protocol Flags Type St Inode Path
	fields := strings.Fields(line)
	if len(fields) != 8 || fields[3] != "00010000" { // __SO_ACCEPTCON
		return 0, "", false
	}
	text, ok := strings.CutPrefix(fields[7], sockets+"/X")
	n, err := strconv.Atoi(text)
	if !ok || err != nil || n < 0 || strconv.Itoa(n) != text {
		return 0, "", false
	}
	return n, fields[6], true
}

// peer asks the kernel who listens at path. A server that was started with
// another's rights (a setuid one) is that of the user who started it.
func (f *finder) peer(path string) (account, bool) {
	nc, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return account{}, false
	}
	defer nc.Close()
	raw, err := nc.(*net.UnixConn).SyscallConn()
	if err != nil {
		return account{}, false
	}
	var cred *unix.Ucred
	if e := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); e != nil || err != nil {
		return account{}, false
	}
	a := account{uid: cred.Uid, gid: cred.Gid}
	dir := filepath.Join(f.proc, strconv.Itoa(int(cred.Pid)))
	ids, err := readIDs(dir)
	switch {
	case err == nil && ids.uid[1] == cred.Uid:
		a.uid, a.gid = ids.uid[0], ids.gid[0]
	case a.uid == 0 && os.Geteuid() == 0:
		return account{}, false // it cannot be told whether it is root's own
	}
	if a.uid == 0 {
		a.authority = serverAuthority(filepath.Join(dir, "cmdline"))
	}
	return a, true
}

// serverAuthority is the file after -auth in an X server's arguments.
func serverAuthority(cmdline string) string {
	b, err := readAtMost(cmdline, 64<<10)
	if err != nil {
		return ""
	}
	return parseAuthority(b)
}

// parseAuthority reads what stands in /proc/PID/cmdline; empty for no such file.
func parseAuthority(cmdline []byte) string {
	args := strings.Split(string(cmdline), "\x00")
	if i := slices.Index(args, "-auth"); i >= 0 && i+1 < len(args) && filepath.IsAbs(args[i+1]) {
		return args[i+1]
	}
	return ""
}

// ids are real, effective, saved and file-system ids.
type ids struct{ uid, gid [4]uint32 }

// one: the process is wholly one user's, and nobody but that user or root can
// have written its environment.
func (i ids) one() bool {
	return i.uid == [4]uint32{i.uid[0], i.uid[0], i.uid[0], i.uid[0]} && i.gid == [4]uint32{i.gid[0], i.gid[0], i.gid[0], i.gid[0]}
}

// readIDs reads those of the process whose directory below /proc is dir.
func readIDs(dir string) (ids, error) {
	b, err := readAtMost(filepath.Join(dir, "status"), 64<<10)
	if err != nil {
		return ids{}, err
	}
	return parseIDs(b)
}

// parseIDs reads what stands in /proc/PID/status.
func parseIDs(status []byte) (ids, error) {
	var all ids
	var uids, gids int // lines
	for l := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(l, ":")
		var into *[4]uint32
		switch name {
		case "Uid":
			into = &all.uid
			uids++
		case "Gid":
			into = &all.gid
			gids++
		default:
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) != len(into) {
			return ids{}, strconv.ErrSyntax
		}
		for i, v := range fields {
			n, err := strconv.ParseUint(v, 10, 32)
			if err != nil {
				return ids{}, err
			}
			into[i] = uint32(n)
		}
	}
	if uids != 1 || gids != 1 {
		return ids{}, strconv.ErrSyntax
	}
	return all, nil
}

func readAtMost(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, n))
}

// claim is a display as one process's environment names it.
type claim struct {
	uid        uint32
	xauthority string
	wayland    bool
}

// claims counts, for each display, what the processes below proc say of it.
// Root's are not asked, nor those on their way from one user to another (su,
// sudo): their environment may be the word of whoever started them.
func claims(proc string) map[string]map[claim]int {
	all := map[string]map[claim]int{}
	dirs, _ := filepath.Glob(filepath.Join(proc, "[0-9]*"))
	for _, dir := range dirs {
		before, err := readIDs(dir)
		if err != nil || !before.one() || before.uid[0] == 0 {
			continue
		}
		name, c := readClaim(filepath.Join(dir, "environ"))
		if name == "" {
			continue
		}
		// It may have become another user's in between.
		if after, err := readIDs(dir); err != nil || after != before {
			continue
		}
		c.uid = before.uid[0]
		if all[name] == nil {
			all[name] = map[claim]int{}
		}
		all[name][c]++
	}
	return all
}

func readClaim(path string) (display string, c claim) {
	b, err := readAtMost(path, maxEnviron)
	if err != nil {
		return "", claim{}
	}
	return parseClaim(b)
}

// parseClaim reads what stands in /proc/PID/environ.
func parseClaim(environ []byte) (display string, c claim) {
	if !bytes.Contains(environ, []byte("DISPLAY=")) {
		return "", claim{}
	}
	for v := range bytes.SplitSeq(environ, []byte{0}) {
		name, value, _ := strings.Cut(string(v), "=")
		switch name {
		case "DISPLAY":
			display = localDisplay(value)
		case "XAUTHORITY":
			if filepath.IsAbs(value) && len(value) < 1024 {
				c.xauthority = value
			}
		case helperMark:
			return "", claim{}
		case "WAYLAND_DISPLAY":
			c.wayland = value != ""
		}
	}
	return display, c
}

// localDisplay is ":N" for ":N", ":N.S" and "unix:N"; empty for others.
func localDisplay(s string) string {
	number, ok := strings.CutPrefix(strings.TrimPrefix(s, "unix"), ":")
	if !ok {
		return ""
	}
	number, _, _ = strings.Cut(number, ".")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 {
		return ""
	}
	return ":" + strconv.Itoa(n)
}

// loginSession is one of logind's.
type loginSession struct {
	uid     uint32
	active  bool
	class   string // "user", "greeter"
	seat    string
	display string // ":0"; empty if logind was not told
}

// sits: a person is the active one at a seat.
func (l loginSession) sits() bool { return l.active && l.class == "user" && l.seat != "" }

// readSessions reads logind's files; false: there is no logind here.
func readSessions(dir string) ([]loginSession, bool) {
	if !isDir(dir) {
		return nil, false
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	var all []loginSession
	for _, f := range files {
		b, err := readAtMost(f, 64<<10)
		if err != nil {
			continue
		}
		if l, ok := parseSession(b); ok {
			all = append(all, l)
		}
	}
	return all, true
}

// parseSession reads one of logind's files; false: it is of no use here.
func parseSession(file []byte) (loginSession, bool) {
	v := map[string]string{}
	for l := range strings.Lines(string(file)) {
		name, value, _ := strings.Cut(strings.TrimSpace(l), "=")
		v[name] = value
	}
	uid, err := strconv.ParseUint(v["UID"], 10, 32)
	if err != nil || v["CLASS"] != "user" && v["CLASS"] != "greeter" {
		return loginSession{}, false
	}
	return loginSession{uid: uint32(uid), active: v["ACTIVE"] == "1", class: v["CLASS"], seat: v["SEAT"], display: localDisplay(v["DISPLAY"])}, true
}

// seatOf: uid is the active one at a seat, and not on another display.
func seatOf(sessions []loginSession, uid uint32, display string) bool {
	return slices.ContainsFunc(sessions, func(l loginSession) bool {
		return l.uid == uid && l.sits() && (l.display == "" || l.display == display)
	})
}
