package daemon

import (
	"cmp"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"sync"
	"syscall"
)

const (
	nobody = 65534
	// helperMark in the environment of helpers and of what they start keeps
	// them from counting as users of a display.
	helperMark = "ORIEL_HELPER"
)

// Ranks of a display: of its owner, but for the first.
const (
	rankXwayland = iota - 1
	rankSystem   // root, a display manager's greeter, nobody knows who
	rankPerson   // a person's own server
	rankSeat     // … who is the active one at a seat, as logind says
)

// finder looks for displays in these places.
type finder struct {
	sockets  string // directory of the X servers' sockets
	netUnix  string // the kernel's list of Unix sockets
	proc     string
	sessions string // logind's

	mu    sync.Mutex
	known map[listener]account // protected by mu; so that a server is asked once
}

var machine = &finder{sockets: "/tmp/.X11-unix", netUnix: "/proc/net/unix", proc: "/proc", sessions: "/run/systemd/sessions"}

// FindDisplays lists the X displays of this machine whose server listens, the
// one where a person sits first.
//
// Whose a display is the kernel says: it is the user who listens at its socket.
// Behind a server of root's (most display managers') it is the user for whom
// logind has a session there, else root. What processes say in their
// environment is believed about nothing but where their own user keeps the
// cookie. An agent that is not root finds its own user's displays only.
//
// A server that its owner's programs take for Xwayland comes last. Its helper asks
// it, and tells the viewer that Wayland is not shown.
func FindDisplays() []Display { return machine.displays() }

func (f *finder) displays() []Display {
	servers := f.servers()
	if len(servers) == 0 {
		return nil
	}
	claims := claims(f.proc)
	sessions, logind := readSessions(f.sessions)
	var all []Display
	for _, s := range servers {
		d := f.owner(s, claims[s.name], sessions, logind)
		if euid := os.Geteuid(); euid == 0 || uint32(euid) == d.UID {
			all = append(all, d)
		}
	}
	slices.SortStableFunc(all, func(a, b Display) int { return cmp.Compare(b.Rank, a.Rank) })
	return all
}

// owner decides whom a display belongs to.
func (f *finder) owner(s server, claims map[claim]int, sessions []loginSession, logind bool) Display {
	d := Display{Name: s.name, UID: s.uid, GID: s.gid}
	if s.uid == 0 {
		if who, ok := f.tenant(s, claims, sessions); ok {
			d.UID, d.GID = who, nobody // the group is the account database's to say
		}
	}
	switch {
	case seatOf(sessions, d.UID, s.name):
		d.Rank = rankSeat
	case isPerson(d.UID):
		d.Rank = rankPerson
	case d.UID == 0 && !logind && usedByPerson(claims):
		// Nobody can tell for whom root runs it: not whose it is, but that
		// somebody is there may be taken from its programs.
		d.Rank = rankPerson
	}
	if d.UID == 0 {
		d.XAuthority = s.authority // root's own word
		return d
	}
	votes, wayland, xorg := 0, false, false
	for c, n := range claims {
		if c.uid != d.UID {
			continue
		}
		wayland, xorg = wayland || c.wayland, xorg || !c.wayland
		// The order of a map must not decide.
		if votes == 0 || cmp.Or(cmp.Compare(n, votes), cmp.Compare(d.XAuthority, c.xauthority)) > 0 {
			votes, d.XAuthority = n, c.xauthority
		}
	}
	if wayland && !xorg {
		d.Rank = rankXwayland
	}
	return d
}

// tenant is the user for whom root runs a server.
func (f *finder) tenant(s server, claims map[claim]int, sessions []loginSession) (uint32, bool) {
	if euid := uint32(os.Geteuid()); euid != 0 {
		// No power is handed out: the helper is who we are.
		for c := range claims {
			if c.uid == euid {
				return euid, true
			}
		}
	}
	// Only sessions at a seat: of others the user may say what display they have.
	best, found, doubt := loginSession{}, false, false
	for _, l := range sessions {
		if l.uid == 0 || l.seat == "" || l.display != s.name && (l.display != "" || !l.sits() || !claimedBy(claims, l.uid)) {
			continue
		}
		order := 1
		if found {
			order = cmp.Or(compareBool(l.active, best.active), compareBool(l.display != "", best.display != ""),
				compareBool(l.class == "user", best.class == "user"))
		}
		switch {
		case order > 0:
			best, found, doubt = l, true, false
		case order == 0 && l.uid != best.uid:
			doubt = true
		}
	}
	return best.uid, found && !doubt
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func claimedBy(claims map[claim]int, uid uint32) bool {
	for c := range claims {
		if c.uid == uid && !c.wayland {
			return true
		}
	}
	return false
}

func usedByPerson(claims map[claim]int) bool {
	for c := range claims {
		if isPerson(c.uid) && !c.wayland {
			return true
		}
	}
	return false
}

func isPerson(uid uint32) bool { return uid >= 1000 && uid < nobody }

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
