package daemon

import (
	"bufio"
	"bytes"
	"cmp"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	x11Sockets = "/tmp/.X11-unix/X"
	maxEnviron = 256 << 10
	nobody     = 65534
	// helperMark in the environment of helpers and of what they start keeps
	// them from counting as users of a display.
	helperMark = "ORIEL_HELPER"
)

// Ranks of a display's owner.
const (
	rankSystem = iota // root, a display manager's greeter, nobody knows who
	rankPerson        // a person's processes use it
	rankSeat          // … who is the active one at a seat, as logind says
)

// claim is what one process's environment says of a display.
type claim struct {
	uid, gid   uint32
	xauthority string
	wayland    bool
}

// FindDisplays lists the X displays of this machine whose server listens, the
// one where a person sits first. Who owns a display is read off the processes
// that use it: their DISPLAY and XAUTHORITY are what a helper needs, their user
// is whom it must run as. Xwayland servers are left out: nothing but single
// windows is on them. An agent that is not root finds its own user's only.
func FindDisplays() []Display {
	listening := listeningDisplays("/proc/net/unix")
	if len(listening) == 0 {
		return nil
	}
	claims := claims("/proc")
	seated := seatedUsers("/run/systemd/sessions")
	var all []Display
	for _, name := range listening {
		d, ok := owner(name, claims[name], seated)
		if euid := os.Geteuid(); ok && (euid == 0 || uint32(euid) == d.UID) {
			all = append(all, d)
		}
	}
	slices.SortStableFunc(all, func(a, b Display) int { return cmp.Compare(b.Rank, a.Rank) })
	return all
}

// listeningDisplays reads the kernel's list of Unix sockets, so that no server
// is bothered with a connection.
func listeningDisplays(path string) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var numbers []int
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// Num RefCount Protocol Flags Type St Inode Path
		fields := strings.Fields(lines.Text())
		if len(fields) != 8 || fields[3] != "00010000" { // __SO_ACCEPTCON
			continue
		}
		number, ok := strings.CutPrefix(strings.TrimPrefix(fields[7], "@"), x11Sockets)
		if n, err := strconv.Atoi(number); ok && err == nil && n >= 0 && !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	var names []string
	for _, n := range numbers {
		names = append(names, ":"+strconv.Itoa(n))
	}
	return names
}

// owner decides whom a display belongs to; false: to nobody we can serve.
func owner(name string, claims map[claim]int, seated map[uint32]bool) (Display, bool) {
	var best Display
	votes := 0
	wayland := false
	for c, n := range claims {
		if c.wayland {
			wayland = true
			continue
		}
		d := Display{Name: name, XAuthority: c.xauthority, UID: c.uid, GID: c.gid, Rank: rankOf(c.uid, seated)}
		// The order of a map must not decide.
		if votes == 0 || cmp.Or(cmp.Compare(d.Rank, best.Rank), cmp.Compare(n, votes), cmp.Compare(best.XAuthority, d.XAuthority), cmp.Compare(best.UID, d.UID)) > 0 {
			best, votes = d, n
		}
	}
	if votes > 0 || wayland {
		return best, votes > 0
	}
	// Nobody uses it yet: whose server it is.
	var st syscall.Stat_t
	if syscall.Stat(x11Sockets+name[1:], &st) != nil {
		return Display{}, false
	}
	return Display{Name: name, UID: st.Uid, GID: st.Gid, Rank: rankSystem}, true
}

func rankOf(uid uint32, seated map[uint32]bool) int {
	switch {
	case seated[uid]:
		return rankSeat
	case uid >= 1000 && uid < nobody:
		return rankPerson
	}
	return rankSystem
}

// claims counts, for each display, what the processes below proc say of it.
func claims(proc string) map[string]map[claim]int {
	all := map[string]map[claim]int{}
	dirs, _ := filepath.Glob(filepath.Join(proc, "[0-9]*"))
	for _, dir := range dirs {
		var st syscall.Stat_t
		if syscall.Stat(dir, &st) != nil {
			continue
		}
		name, c := readClaim(filepath.Join(dir, "environ"))
		if name == "" {
			continue
		}
		c.uid, c.gid = st.Uid, st.Gid
		if all[name] == nil {
			all[name] = map[claim]int{}
		}
		all[name][c]++
	}
	return all
}

func readClaim(path string) (display string, c claim) {
	f, err := os.Open(path)
	if err != nil {
		return "", claim{}
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, maxEnviron))
	if !bytes.Contains(b, []byte("DISPLAY=")) {
		return "", claim{}
	}
	for v := range bytes.SplitSeq(b, []byte{0}) {
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

// seatedUsers are those with an active session at a seat (logind's files).
func seatedUsers(dir string) map[uint32]bool {
	users := map[uint32]bool{}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || len(b) > 64<<10 {
			continue
		}
		v := map[string]string{}
		for l := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(strings.TrimSpace(l), "=")
			v[name] = value
		}
		uid, err := strconv.ParseUint(v["UID"], 10, 32)
		if err == nil && v["ACTIVE"] == "1" && v["CLASS"] == "user" && v["SEAT"] != "" {
			users[uint32(uid)] = true
		}
	}
	return users
}

// into makes cmd run inside target's session: as its user, with nothing of the
// service's environment.
func into(cmd *exec.Cmd, target Display) error {
	uid, gid := target.UID, target.GID
	root := os.Geteuid() == 0
	if target.Name == "" || target.Name == "demo" {
		// Needs nothing of anybody.
		uid, gid = nobody, nobody
	}
	env := []string{helperMark + "=1", "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=" + cmp.Or(os.Getenv("LANG"), "C.UTF-8")}
	attr := &syscall.SysProcAttr{Setpgid: true}
	if !root {
		uid = uint32(os.Geteuid())
	} else {
		attr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	}
	if u, err := user.LookupId(strconv.Itoa(int(uid))); err == nil {
		env = append(env, "HOME="+u.HomeDir, "USER="+u.Username, "LOGNAME="+u.Username)
		if root {
			attr.Credential.Gid, attr.Credential.Groups = groups(u, gid)
		}
	} else {
		env = append(env, "HOME=/")
	}
	if target.Name != "" && target.Name != "demo" {
		env = append(env, "DISPLAY="+target.Name)
		if target.XAuthority != "" {
			env = append(env, "XAUTHORITY="+target.XAuthority)
		}
	}
	if run := "/run/user/" + strconv.Itoa(int(uid)); isDir(run) {
		env = append(env, "XDG_RUNTIME_DIR="+run)
	}
	cmd.Env, cmd.Dir, cmd.SysProcAttr = env, "/", attr
	return nil
}

// groups are a user's primary and other groups.
func groups(u *user.User, otherwise uint32) (uint32, []uint32) {
	primary := otherwise
	if n, err := strconv.ParseUint(u.Gid, 10, 32); err == nil {
		primary = uint32(n)
	}
	ids, _ := u.GroupIds()
	var all []uint32
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			all = append(all, uint32(n))
		}
	}
	return primary, all
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// SelfCommand starts this very program, even if its file has been replaced or
// lies where the desktop's user may not look.
func SelfCommand(args ...string) ([]string, error) {
	return append([]string{"/proc/self/exe"}, args...), nil
}
