package daemon

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/desktop/xvfbtest"
	"oriel/agent/internal/link/linktest"
	"oriel/agent/internal/node"
	"oriel/agent/internal/node/nodetest"
	"oriel/agent/internal/session"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// TestMain is also the helper process that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case "test-helper":
			os.Exit(helperMain())
		case "test-hostile":
			hostileMain()
			os.Exit(0)
		case "test-broken":
			fmt.Fprintln(os.Stderr, "I am broken")
			os.Exit(9)
		}
	}
	if len(os.Args) == 4 && os.Args[1] == "test-listen" {
		os.Exit(listenMain(os.Args[2], os.Args[3]))
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(xvfbtest.StarterLoop))
}

func helperMain() int {
	err := Serve(context.Background(), os.Stdin, os.Stdout, func(start *orielv1.HelperStart, out node.Outlet) node.Desktop {
		return session.NewHost(session.Options{
			Open: func(context.Context) (desktop.Desktop, error) {
				if start.GetDemo() {
					return desktop.Demo(image.Pt(320, 200)), nil
				}
				return desktop.Open(desktop.Options{Display: start.GetDisplay()})
			},
			Sign: out.Sign, Send: out.Send, Loopback: true,
		})
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// rig is a Helper and what came out of it.
type rig struct {
	*Helper
	t     *testing.T
	key   ed25519.PrivateKey
	relay *linktest.Relay // only the grants' form

	mu     sync.Mutex
	got    []*orielv1.FromAgent // protected by mu
	signed int                  // protected by mu
	found  []Display            // protected by mu; what Find gives
}

func start(t *testing.T, command string, with func(*HelperOptions)) *rig {
	t.Helper()
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	r := &rig{t: t, key: key, relay: &linktest.Relay{Computer: "computer-1"}}
	argv, err := SelfCommand(command)
	if err != nil {
		t.Fatal(err)
	}
	o := HelperOptions{Command: argv, FindEvery: 20 * time.Millisecond, Outlet: node.Outlet{Send: r.send, Sign: r.sign},
		Find: func() []Display {
			r.mu.Lock()
			defer r.mu.Unlock()
			return slices.Clone(r.found)
		}}
	if with != nil {
		with(&o)
	}
	r.Helper = NewHelper(o)
	t.Cleanup(sync.OnceFunc(func() { r.Close(orielv1.EndReason_END_REASON_AGENT_STOPPED) }))
	return r
}

func (r *rig) send(m *orielv1.FromAgent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, m)
}

func (r *rig) sign(id string, nonce, fingerprint []byte) ([]byte, []byte, error) {
	r.mu.Lock()
	r.signed++
	r.mu.Unlock()
	sig, err := trust.SignAnswer(trust.Key(r.key), id, nonce, fingerprint)
	return sig, r.key.Public().(ed25519.PublicKey), err
}

func (r *rig) find(all ...Display) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found = all
}

// seen is how many messages came so far; wait looks only at those after one.
func (r *rig) seen() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

func (r *rig) wait(after int, what string, ok func(*orielv1.FromAgent) bool) *orielv1.FromAgent {
	r.t.Helper()
	var found *orielv1.FromAgent
	linktest.Until(r.t, what, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, m := range r.got[after:] {
			if ok(m) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

func (r *rig) status(after int, want orielv1.Status_Display) {
	r.t.Helper()
	r.wait(after, want.String(), func(m *orielv1.FromAgent) bool { return m.GetStatus().GetDisplay() == want })
}

func (r *rig) child() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Helper.mu.Lock()
	defer r.Helper.mu.Unlock()
	if r.process == nil {
		return 0
	}
	return r.process.pid()
}

// connect opens a session, or another peer connection of one.
func (r *rig) connect(id string, attempt uint32) (*nodetest.Viewer, *orielv1.Grant) {
	r.t.Helper()
	v := nodetest.NewViewer(r.t)
	g := nodetest.Grant(r.t, r.relay, r.key.Public().(ed25519.PublicKey), v)
	if id != "" {
		g.SessionId = id
	}
	after := r.seen()
	r.Offer(nodetest.Offer(r.t, r.key, g, v, attempt).GetOffer(), g)
	a := r.wait(after, "the answer", func(m *orielv1.FromAgent) bool {
		return m.GetAnswer().GetSessionId() == g.GetSessionId() && m.GetAnswer().GetAttempt() == attempt
	}).GetAnswer()
	fingerprint, err := trust.Fingerprint(a.GetSdp())
	if err != nil || trust.VerifyAnswer(r.key.Public().(ed25519.PublicKey), g.GetSessionId(), g.GetNonce(), fingerprint, a.GetSignature()) != nil {
		r.t.Fatalf("the answer's signature is no good: %v", err)
	}
	v.Take(r.t, a)
	passed := after
	linktest.Until(r.t, "the candidates", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		last := false
		for _, m := range r.got[passed:] {
			if c := m.GetCandidate(); c.GetSessionId() == g.GetSessionId() && c.GetAttempt() == attempt {
				v.Candidate(c)
				last = last || c.GetCandidate() == ""
			}
		}
		passed = len(r.got)
		return last
	})
	v.Connected(r.t)
	return v, g
}

func display(s *xvfbtest.Server) Display {
	return Display{Name: s.Display, UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
}

func ended(id string, attempt uint32) func(*orielv1.FromAgent) bool {
	return func(m *orielv1.FromAgent) bool {
		return m.GetSessionEnded().GetSessionId() == id && m.GetSessionEnded().GetAttempt() == attempt
	}
}

func TestSessionThroughAHelper(t *testing.T) {
	r := start(t, "test-helper", func(o *HelperOptions) { o.Demo = true })
	r.Apply(&orielv1.Settings{PreviewSeconds: 1})
	_, g := r.connect("", 1)
	if got := r.Running(); !slices.Equal(got, []string{g.GetSessionId()}) {
		t.Fatalf("running: %v", got)
	}
	r.wait(0, "a preview", func(m *orielv1.FromAgent) bool { return m.GetPreview() != nil })
	r.End(&orielv1.EndSession{SessionId: g.GetSessionId(), Reason: orielv1.EndReason_END_REASON_ENDED})
	e := r.wait(0, "the end", ended(g.GetSessionId(), 0)).GetSessionEnded()
	if e.GetReason() != orielv1.EndReason_END_REASON_ENDED || len(r.Running()) != 0 {
		t.Fatalf("ended with %v, running %v", e, r.Running())
	}
	after := r.seen()
	r.End(&orielv1.EndSession{SessionId: "nobody", Reason: orielv1.EndReason_END_REASON_ENDED})
	r.wait(after, "the end of what does not run", ended("nobody", 0))

	_, g = r.connect("", 1)
	r.Close(orielv1.EndReason_END_REASON_AGENT_STOPPED)
	if e := r.wait(0, "the end", ended(g.GetSessionId(), 0)).GetSessionEnded(); e.GetReason() != orielv1.EndReason_END_REASON_AGENT_STOPPED {
		t.Fatalf("ended with %v", e)
	}
}

func TestKilledHelperComesBackAndItsSessionIsPickedUp(t *testing.T) {
	r := start(t, "test-helper", func(o *HelperOptions) { o.Demo = true })
	_, g := r.connect("", 1)
	first, after := r.child(), r.seen()
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	e := r.wait(after, "the end of the attempt", ended(g.GetSessionId(), 1)).GetSessionEnded()
	if e.GetReason() != orielv1.EndReason_END_REASON_FAILED || !slices.Contains(r.Running(), g.GetSessionId()) {
		t.Fatalf("got %v, running %v; want the attempt ended and the session kept", e, r.Running())
	}
	r.connect(g.GetSessionId(), 2)
	if second := r.child(); second == first || second == 0 {
		t.Fatalf("child %d after %d", second, first)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(r.got, ended(g.GetSessionId(), 0)) {
		t.Fatal("the session itself ended")
	}
}

func TestXServerThatDiesAndComesBack(t *testing.T) {
	x := xvfbtest.Start(t, xvfbtest.Options{})
	r := start(t, "test-helper", nil)
	r.status(0, orielv1.Status_DISPLAY_NONE) // there is none yet
	r.find(display(x))
	r.status(0, orielv1.Status_DISPLAY_READY)
	_, g := r.connect("", 1)

	after := r.seen()
	x.Kill()
	r.find()
	r.status(after, orielv1.Status_DISPLAY_NONE)
	if got := r.Running(); !slices.Equal(got, []string{g.GetSessionId()}) {
		t.Fatalf("running without a display: %v", got)
	}
	after = r.seen()
	again := xvfbtest.Start(t, xvfbtest.Options{Display: x.Display})
	r.find(display(again))
	r.status(after, orielv1.Status_DISPLAY_READY)
	if got := r.Running(); !slices.Equal(got, []string{g.GetSessionId()}) {
		t.Fatalf("running after the display came back: %v", got)
	}
	r.connect("", 1) // and takes new ones
}

func TestFollowsTheDesktopToAnotherDisplay(t *testing.T) {
	one, two := xvfbtest.Start(t, xvfbtest.Options{}), xvfbtest.Start(t, xvfbtest.Options{})
	r := start(t, "test-helper", func(o *HelperOptions) {})
	r.find(display(one))
	r.status(0, orielv1.Status_DISPLAY_READY)
	_, g := r.connect("", 1)
	first := r.child()
	better := display(two)
	better.Rank = rankSeat
	after := r.seen()
	r.find(better, display(one))
	r.wait(after, "the end of the attempt", ended(g.GetSessionId(), 1))
	r.connect(g.GetSessionId(), 2)
	if now := r.child(); now == first {
		t.Fatal("the same helper")
	}
	if env := environ(t, r.child()); env["DISPLAY"] != two.Display {
		t.Fatalf("the helper is on %q, want %q", env["DISPLAY"], two.Display)
	}
	linktest.Until(t, "the first helper is gone", func() bool { return syscall.Kill(first, 0) != nil })
}

func environ(t *testing.T, pid int) map[string]string {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for v := range strings.SplitSeq(string(b), "\x00") {
		if name, value, ok := strings.Cut(v, "="); ok {
			all[name] = value
		}
	}
	return all
}

func TestHelperRunsAsTheDesktopsUserWithACleanEnvironment(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	t.Setenv("ORIEL_TOKEN", "secret")
	x := xvfbtest.Start(t, xvfbtest.Options{})
	r := start(t, "test-helper", nil)
	const uid, gid = 12345, 23456
	r.find(Display{Name: x.Display, XAuthority: "/nowhere", UID: uid, GID: gid})
	r.status(0, orielv1.Status_DISPLAY_READY)
	linktest.Until(t, "the helper on that display", func() bool {
		pid := r.child()
		if pid == 0 {
			return false
		}
		env := environ(t, pid)
		return env["DISPLAY"] == x.Display && env["XAUTHORITY"] == "/nowhere" && env["ORIEL_TOKEN"] == "" && env[helperMark] == "1"
	})
	b, err := os.ReadFile("/proc/" + strconv.Itoa(r.child()) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t12345\t12345\t12345\t12345", "Gid:\t23456\t23456\t23456\t23456", "Groups:\t \n"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in the helper's status:\n%s", want, b)
		}
	}
}

// hostileMain is a helper in the hands of a hostile user.
func hostileMain() {
	r := bufio.NewReader(os.Stdin)
	forward := func(m *orielv1.FromAgent) {
		_ = write(os.Stdout, &orielv1.FromHelper{Body: &orielv1.FromHelper_Forward{Forward: m}})
	}
	for {
		m := &orielv1.ToHelper{}
		if read(r, m) != nil {
			return
		}
		switch body := m.GetBody().(type) {
		case *orielv1.ToHelper_Start:
			forward(&orielv1.FromAgent{Body: &orielv1.FromAgent_Hello{Hello: &orielv1.Hello{}}})
			forward(&orielv1.FromAgent{ReplyTo: 1, Body: &orielv1.FromAgent_Inventory{Inventory: &orielv1.Inventory{}}})
			forward(&orielv1.FromAgent{Body: &orielv1.FromAgent_Fault{Fault: &orielv1.Fault{}}})
			forward(&orielv1.FromAgent{Body: &orielv1.FromAgent_Answer{Answer: &orielv1.Answer{SessionId: "another"}}})
			forward(&orielv1.FromAgent{Body: &orielv1.FromAgent_Candidate{Candidate: &orielv1.Candidate{SessionId: "another"}}})
			forward(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionReport{SessionReport: &orielv1.SessionReport{SessionId: "another"}}})
			forward(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionEnded{SessionEnded: &orielv1.SessionEnded{SessionId: "another"}}})
		case *orielv1.ToHelper_Offer:
			id, nonce := body.Offer.GetOffer().GetSessionId(), body.Offer.GetGrant().GetNonce()
			for i, s := range []*orielv1.HelperSign{
				{SessionId: "another", Nonce: nonce, Fingerprint: make([]byte, 32)},
				{SessionId: id, Nonce: make([]byte, 16), Fingerprint: make([]byte, 32)},
				{SessionId: id, Nonce: nonce, Fingerprint: []byte("short")},
			} {
				s.Id = uint64(i + 1)
				_ = write(os.Stdout, &orielv1.FromHelper{Body: &orielv1.FromHelper_Sign{Sign: s}})
			}
		case *orielv1.ToHelper_Signed:
			detail := fmt.Sprintf("signed %d %x", body.Signed.GetId(), body.Signed.GetSignature())
			forward(&orielv1.FromAgent{ReplyTo: 9, Body: &orielv1.FromAgent_Status{Status: &orielv1.Status{Detail: detail}}})
		}
	}
}

func TestHostileHelperGetsNothing(t *testing.T) {
	r := start(t, "test-hostile", nil)
	r.Offer(&orielv1.Offer{SessionId: "s", Attempt: 1}, &orielv1.Grant{SessionId: "s", Nonce: []byte("0123456789abcdef")})
	for _, want := range []string{"signed 1 ", "signed 2 ", "signed 3 "} {
		m := r.wait(0, want, func(m *orielv1.FromAgent) bool { return m.GetStatus().GetDetail() == want })
		if m.GetReplyTo() != 0 {
			t.Error("a helper answered the relay's ask")
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.signed != 0 {
		t.Errorf("%d signatures", r.signed)
	}
	for _, m := range r.got {
		if m.GetStatus() == nil {
			t.Errorf("passed on: %v", m)
		}
	}
}

func TestBrokenHelperIsSaidAndRetried(t *testing.T) {
	r := start(t, "test-broken", nil)
	r.Offer(&orielv1.Offer{SessionId: "s"}, &orielv1.Grant{SessionId: "s", Nonce: make([]byte, 16)})
	r.wait(0, "the failure", func(m *orielv1.FromAgent) bool { return strings.Contains(m.GetStatus().GetDetail(), "started again") })
	// No attempt to tell it by: the session itself has ended.
	r.wait(0, "the session's end", ended("s", 0))
	after := r.seen()
	r.status(after, orielv1.Status_DISPLAY_NONE) // and again
}

func TestCommandThatIsNotThere(t *testing.T) {
	r := start(t, "x", func(o *HelperOptions) { o.Command = []string{"/nonexistent"} })
	r.wait(0, "the failure", func(m *orielv1.FromAgent) bool {
		return strings.Contains(m.GetStatus().GetDetail(), "cannot be started")
	})
}

func TestHelperEndsWithItsPipe(t *testing.T) {
	cmd := exec.Command("/proc/self/exe", "test-helper")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := write(in, &orielv1.ToHelper{Body: &orielv1.ToHelper_Start{Start: &orielv1.HelperStart{Demo: true}}}); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	m := &orielv1.FromHelper{}
	if err := read(r, m); err != nil || m.GetForward().GetStatus() == nil {
		t.Fatalf("first word: %v, %v", m, err)
	}
	in.Close()
	for err == nil {
		err = read(r, m)
	}
	if !errors.Is(err, io.EOF) {
		t.Fatalf("at the end: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("exit: %v", err)
	}
}

func TestHelperByHandIsSaid(t *testing.T) {
	out, err := exec.Command("/proc/self/exe", "test-helper").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not by hand") {
		t.Fatalf("%v: %s", err, out)
	}
}
