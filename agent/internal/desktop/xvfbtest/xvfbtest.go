//go:build linux

// Package xvfbtest gives a test an X display of its own: a real Xvfb on a free
// display number, optionally with a window manager and a terminal. Everything
// that Start started is ended with the test.
//
// The server picks its number itself (-displayfd), so tests and packages that
// run at the same time never meet. Nothing here sleeps and hopes: Start returns
// when the server takes connections, and Window when the window is mapped.
package xvfbtest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Options for Start; the zero value is a bare 1280×720 server.
type Options struct {
	Width, Height int      // 1280×720 when zero
	Depth         int      // 24 when zero
	Layout        string   // an XKB layout for setxkbmap, "de" or "us,ru"; the server's default when empty
	Openbox       bool     // start the openbox window manager
	XTerm         bool     // start a terminal that runs a shell, full screen if there is no window manager
	Display       string   // a display to take (":93"), for one that comes back; a free one when empty
	Authority     string   // an Xauthority file; everybody is let in when empty
	Args          []string // more arguments for Xvfb, "-extension", "MIT-SHM"
}

// Server is a running X server.
type Server struct {
	Display string // ":99"
	Pid     int    // of Xvfb

	tb   testing.TB
	dir  string
	xvfb *process
}

// Start runs an X server until the end of the test. It fails the test when
// there is none to run: a test that needs a display must not pass without one.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	if o.Width == 0 || o.Height == 0 {
		o.Width, o.Height = 1280, 720
	}
	if o.Depth == 0 {
		o.Depth = 24
	}
	s := &Server{tb: tb, dir: tb.TempDir()}
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatalf("pipe for the display number: %v", err)
	}
	defer r.Close()
	args := append([]string{
		"-displayfd", "3", "-nolisten", "tcp", "-noreset",
		"-screen", "0", fmt.Sprintf("%dx%dx%d", o.Width, o.Height, o.Depth),
		"+extension", "RANDR",
	}, o.Args...)
	if o.Authority != "" {
		args = append(args, "-auth", o.Authority)
	} else {
		args = append(args, "-ac")
	}
	if o.Display != "" {
		args = append([]string{o.Display}, args...)
	}
	cmd := exec.Command("Xvfb", args...)
	cmd.ExtraFiles = []*os.File{w}
	s.xvfb = s.run(cmd)
	w.Close()
	s.Pid = cmd.Process.Pid

	r.SetReadDeadline(time.Now().Add(20 * time.Second))
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		tb.Fatalf("Xvfb did not start: %v\n%s", err, s.xvfb.log())
	}
	s.Display = ":" + strings.TrimSpace(line)

	if o.Layout != "" {
		s.Layout(o.Layout)
	}
	if o.Openbox {
		s.Command("openbox", "--sm-disable")
		s.waitWM()
	}
	if o.XTerm {
		args := []string{"-u8", "-title", "xvfbtest", "-bg", "black", "-fg", "white"}
		if !o.Openbox {
			args = append(args, "-geometry", fmt.Sprintf("%dx%d+0+0", o.Width/6, o.Height/13))
		}
		s.Command("xterm", args...)
		s.Window("xvfbtest")
	}
	return s
}

// Layout sets the keyboard layout as setxkbmap does.
func (s *Server) Layout(layout string) {
	s.tb.Helper()
	s.Run("setxkbmap", "-layout", layout)
}

// Env is the environment for programs on this display.
func (s *Server) Env() []string {
	env := make([]string, 0, len(os.Environ())+4)
	for _, kv := range os.Environ() {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "LC_ALL", "LANG", "HOME":
		default:
			env = append(env, kv)
		}
	}
	return append(env, "DISPLAY="+s.Display, "LC_ALL=C.UTF-8", "LANG=C.UTF-8", "HOME="+s.dir)
}

// Command starts a program on this display; it is ended with the test.
func (s *Server) Command(name string, args ...string) *exec.Cmd {
	s.tb.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = s.Env()
	s.run(cmd)
	return cmd
}

// Run runs a program on this display to its end and returns what it printed.
func (s *Server) Run(name string, args ...string) string {
	s.tb.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = s.Env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.tb.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Window waits until a window whose title contains title is on the screen and
// returns its id.
func (s *Server) Window(title string) string {
	s.tb.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		cmd := exec.Command("xdotool", "search", "--onlyvisible", "--name", title)
		cmd.Env = s.Env()
		if out, err := cmd.Output(); err == nil {
			if id, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n"); id != "" {
				return id
			}
		}
		if time.Now().After(deadline) {
			s.tb.Fatalf("no window %q on %s", title, s.Display)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Kill ends the X server at once, as a crash would (SIGKILL), and waits for its
// end. The socket file it leaves behind is removed.
func (s *Server) Kill() {
	s.xvfb.kill()
	n := strings.TrimPrefix(s.Display, ":")
	lock := "/tmp/.X" + n + "-lock"
	// Another server may have taken the number over already.
	if pid, err := os.ReadFile(lock); err == nil && strings.TrimSpace(string(pid)) == fmt.Sprint(s.Pid) {
		os.Remove(filepath.Join("/tmp/.X11-unix", "X"+n))
		os.Remove(lock)
	}
}

// Stop ends the X server as its owner would; it cleans up after itself.
func (s *Server) Stop() { s.xvfb.stop() }

// Freeze stops the server's process without ending it, and Thaw lets it go on.
func (s *Server) Freeze() { syscall.Kill(s.Pid, syscall.SIGSTOP) }

// Thaw ends Freeze.
func (s *Server) Thaw() { syscall.Kill(s.Pid, syscall.SIGCONT) }

func (s *Server) waitWM() {
	s.tb.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		cmd := exec.Command("xprop", "-root", "_NET_SUPPORTING_WM_CHECK")
		cmd.Env = s.Env()
		if out, err := cmd.Output(); err == nil && bytes.Contains(out, []byte("window id")) {
			return
		}
		if time.Now().After(deadline) {
			s.tb.Fatalf("no window manager on %s", s.Display)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// process is a child that is killed and waited for exactly once.
type process struct {
	cmd  *exec.Cmd
	out  *bytes.Buffer
	once sync.Once
	done chan struct{}
}

func (s *Server) run(cmd *exec.Cmd) *process {
	s.tb.Helper()
	p := &process{cmd: cmd, out: new(bytes.Buffer), done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	// The child's own children (a terminal's shell) may keep the pipe open.
	cmd.WaitDelay = time.Second
	// A test binary that is killed takes its servers with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := startLocked(cmd); err != nil {
		s.tb.Fatalf("start %s: %v", cmd.Path, err)
	}
	go func() {
		defer close(p.done)
		cmd.Wait()
	}()
	s.tb.Cleanup(p.stop)
	return p
}

func (p *process) kill() {
	p.once.Do(func() { p.cmd.Process.Kill() })
	<-p.done
}

func (p *process) stop() {
	p.once.Do(func() {
		p.cmd.Process.Signal(syscall.SIGCONT)
		p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
			p.cmd.Process.Kill()
		}
	})
	<-p.done
}

// log is what the process printed; only after its end.
func (p *process) log() string {
	p.kill()
	return p.out.String()
}
