package daemon

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const attacker, victim = 4001, 4002

// listenMain is a server that listens at path, with this real user id, until
// its input ends.
func listenMain(path, real string) int {
	if ruid, err := strconv.Atoi(real); err != nil || ruid != os.Getuid() && syscall.Setresuid(ruid, 0, 0) != nil {
		return 1
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("listening")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	os.Stdin.Read(make([]byte, 1))
	l.Close()
	return 0
}

// town is a machine of its own with two users.
type town struct {
	*finder
	t *testing.T
}

func newTown(t *testing.T) *town {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become two users")
	}
	dir := t.TempDir()
	for d := dir; strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	sockets := filepath.Join(dir, ".X11-unix")
	if err := os.Mkdir(sockets, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(sockets, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	return &town{&finder{sockets: sockets, netUnix: "/proc/net/unix", proc: "/proc", sessions: filepath.Join(dir, "sessions")}, t}
}

// listen starts a server; real is the user who started it, if that is another
// than whose rights it has.
func (w *town) listen(path string, uid uint32, real ...uint32) (stop func()) {
	w.t.Helper()
	who := uid
	if len(real) > 0 {
		who = real[0]
	}
	cmd := exec.Command("/proc/self/exe", "test-listen", path, strconv.Itoa(int(who)))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			in.Close()
			cmd.Wait()
		}
	}
	w.t.Cleanup(stop)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "listening\n" {
		w.t.Fatalf("the server at %s said %q, %v", path, line, err)
	}
	return stop
}

func (w *town) session(name, text string) {
	w.t.Helper()
	if err := os.MkdirAll(w.sessions, 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.sessions, name), []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) want(when string, want ...Display) {
	w.t.Helper()
	got := w.displays()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("%s: found %+v, want %+v", when, got, want)
	}
}

// onItsWay is a process like su that waits for a password: started by real,
// with root's rights and real's environment.
func (w *town) onItsWay(real uint32, env ...string) {
	w.t.Helper()
	cmd := exec.Command("/proc/self/exe", "test-listen", filepath.Join(w.t.TempDir(), "s"), strconv.Itoa(int(real)))
	cmd.Env = env
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { in.Close(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		w.t.Fatalf("it said %q, %v", line, err)
	}
}

// Rule: identity is never read from what its subject wrote.
func TestAttackerGetsNoHelperOfAnybodyElses(t *testing.T) {
	w := newTown(t)
	w.listen(w.socket(5), attacker)
	own := Display{Name: ":5", UID: attacker, GID: attacker, Rank: rankPerson}
	w.want("a socket of the attacker's", own)
	// DISPLAY=:5 XAUTHORITY=/home/victim/.Xauthority su
	w.onItsWay(attacker, "DISPLAY=:5", "XAUTHORITY=/home/victim/.Xauthority")
	w.want("with su waiting", own)
	// sudo has made itself root wholly by now.
	sleeper(t, 0, "DISPLAY=:5", "XAUTHORITY=/home/victim/.Xauthority")
	w.want("with sudo waiting", own)
	for range 3 {
		sleeper(t, victim, "DISPLAY=:5", "XAUTHORITY=/home/victim/.Xauthority")
	}
	w.want("with the victim's programs lured onto it", own)
	w.session("1", fmt.Sprintf("UID=%d\nACTIVE=1\nCLASS=user\nSEAT=seat0\nDISPLAY=:5\n", victim))
	w.want("with the victim at the seat", own)
}

// Rule: a person's display must be that person's.
func TestAttackerTakesNoDisplayOver(t *testing.T) {
	w := newTown(t)
	stop := w.listen(w.socket(0), victim)
	sleeper(t, victim, "DISPLAY=:0", "XAUTHORITY=/run/user/4002/gdm/Xauthority")
	for range 3 {
		sleeper(t, attacker, "DISPLAY=:0", "XAUTHORITY=/home/attacker/mine")
	}
	theirs := Display{Name: ":0", XAuthority: "/run/user/4002/gdm/Xauthority", UID: victim, GID: victim, Rank: rankPerson}
	w.want("many of the attacker's programs on the victim's display", theirs)
	w.session("1", fmt.Sprintf("UID=%d\nACTIVE=1\nCLASS=user\nSEAT=seat0\n", victim))
	w.session("2", fmt.Sprintf("UID=%d\nACTIVE=1\nCLASS=user\nDISPLAY=:0\n", attacker)) // from the network
	theirs.Rank = rankSeat
	w.want("with logind", theirs)
	stop()
	w.listen(w.socket(0), attacker)
	w.want("the number taken over", Display{Name: ":0", XAuthority: "/home/attacker/mine", UID: attacker, GID: attacker, Rank: rankPerson})
}

// Rule: /tmp/.X11-unix entries by lstat, sockets only.
func TestLinkToAnotherSocketIsNoDisplay(t *testing.T) {
	w := newTown(t)
	bus := filepath.Join(filepath.Dir(w.sockets), "bus")
	if err := os.Chmod(filepath.Dir(w.sockets), 0o777); err != nil {
		t.Fatal(err)
	}
	w.listen(bus, victim)
	if err := os.Symlink(bus, w.socket(7)); err != nil {
		t.Fatal(err)
	}
	w.want("a link")
	// One that was a server's name when it began to listen.
	w.listen(w.socket(8), victim)
	if err := os.Rename(w.socket(8), w.socket(9)); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{8, 9} {
		if err := os.WriteFile(w.socket(n)+"f", nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(bus, w.socket(8)); err != nil {
		t.Fatal(err)
	}
	w.want("a link in a server's place")
	elsewhere := w.sockets + "-elsewhere"
	if err := os.Rename(w.sockets, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, w.sockets); err != nil {
		t.Fatal(err)
	}
	w.want("a link in the directory's place")
}

// Rule: no helper as root unless the server is root's own.
func TestServersOfRootAndThoseThatOnlyHaveItsRights(t *testing.T) {
	w := newTown(t)
	w.listen(w.socket(1), 0, attacker)
	w.want("a setuid server", Display{Name: ":1", UID: attacker, Rank: rankPerson})
	w.listen(w.socket(0), 0)
	sleeper(t, victim, "DISPLAY=:0", "XAUTHORITY=/home/victim/.Xauthority")
	sleeper(t, attacker, "DISPLAY=:0", "XAUTHORITY=/home/attacker/.Xauthority")
	started := Display{Name: ":1", UID: attacker, Rank: rankPerson}
	w.want("nobody can say for whom it is", Display{Name: ":0", Rank: rankPerson},
		Display{Name: ":1", XAuthority: started.XAuthority, UID: attacker, Rank: rankPerson})
	greeter := fmt.Sprintf("UID=%d\nACTIVE=1\nCLASS=greeter\nSEAT=seat0\nDISPLAY=:0\n", 110)
	w.session("c1", greeter)
	w.want("a greeter's", started, Display{Name: ":0", UID: 110, GID: nobody, Rank: rankSystem})
	w.session("c1", strings.Replace(greeter, "ACTIVE=1", "ACTIVE=0", 1))
	w.session("2", fmt.Sprintf("UID=%d\nACTIVE=1\nCLASS=user\nSEAT=seat0\nDISPLAY=:0\n", victim))
	theirs := Display{Name: ":0", XAuthority: "/home/victim/.Xauthority", UID: victim, GID: nobody, Rank: rankSeat}
	w.want("the person's at the seat", theirs, started)
	w.session("3", fmt.Sprintf("UID=%d\nACTIVE=1\nCLASS=user\nDISPLAY=:0\n", attacker))
	w.session("4", fmt.Sprintf("UID=%d\nACTIVE=0\nCLASS=user\nSEAT=seat0\nDISPLAY=:0\n", attacker))
	w.want("with sessions of the attacker's elsewhere", theirs, started)
	w.session("2", fmt.Sprintf("UID=%d\nACTIVE=1\nCLASS=user\nSEAT=seat0\n", victim))
	w.session("4", "")
	w.want("whose display logind was not told", theirs, started)
}

// Rule: a server that is known is not bothered again.
func TestServerIsAskedOnce(t *testing.T) {
	w := newTown(t)
	w.listen(w.socket(3), victim)
	w.displays()
	// A server that stands still has a queue that fills.
	l := w.listening()
	if len(l) != 1 {
		t.Fatalf("listening: %v", l)
	}
	w.known[l[0]] = account{uid: 77, gid: 78}
	w.want("known", Display{Name: ":3", UID: 77, GID: 78})
}

// Rule: a server is asked whether it is Xwayland. What programs say of it decides
// about the order only, and about their own user's display only.
func TestXwaylandComesLast(t *testing.T) {
	s := server{":0", account{uid: 1000}}
	seat := []loginSession{{uid: 1000, seat: "seat0", display: ":0", active: true, class: "user"}}
	for name, c := range map[string]struct {
		claims map[claim]int
		rank   int
	}{
		"its own programs say so":    {map[claim]int{{uid: 1000, wayland: true, xauthority: "/x"}: 9}, rankXwayland},
		"some of them do not":        {map[claim]int{{uid: 1000, wayland: true, xauthority: "/x"}: 9, {uid: 1000}: 1}, rankSeat},
		"another user's programs do": {map[claim]int{{uid: 1001, wayland: true}: 9, {uid: 1000, xauthority: "/x"}: 1}, rankSeat},
		"nobody says anything":       {nil, rankSeat},
	} {
		d := machine.owner(s, c.claims, seat, true)
		if d.Rank != c.rank || d.UID != 1000 || c.claims != nil && d.XAuthority != "/x" {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestReadsSessions(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"1":  "UID=1001\nUSER=ada\nACTIVE=1\nCLASS=user\nSEAT=seat0\nTYPE=x11\n",
		"2":  "UID=1002\nACTIVE=0\nCLASS=user\nSEAT=seat0\nDISPLAY=:3\n",
		"c1": "UID=110\nACTIVE=1\nCLASS=greeter\nSEAT=seat0\n",
		"3":  "UID=1003\nACTIVE=1\nCLASS=user\n", // ssh
		"4":  strings.Repeat("\x00=", 9),
		"5":  "UID=1004\nACTIVE=1\nCLASS=manager\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all, ok := readSessions(dir)
	if !ok || len(all) != 4 {
		t.Fatalf("sessions: %+v", all)
	}
	for uid, want := range map[uint32]bool{1001: true, 1002: false, 110: false, 1003: false} {
		if seatOf(all, uid, ":0") != want {
			t.Errorf("at the seat: %d %v, want %v", uid, !want, want)
		}
	}
	if _, ok := readSessions(filepath.Join(dir, "none")); ok {
		t.Error("logind where there is none")
	}
}
