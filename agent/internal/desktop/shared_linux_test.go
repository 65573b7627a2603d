package desktop

import (
	"bufio"
	"bytes"
	"fmt"
	"image"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"oriel/agent/internal/desktop/xvfbtest"
)

// Rule: a number of shared memory means nothing in another namespace. What the X
// server writes to is proven to be ours first; else the picture comes through the
// connection, and nobody else's memory is touched.
//
// The test runs itself twice more. The witness, in a namespace of its own, starts
// the X server and has memory whose numbers begin at 0; the agent, in yet another,
// gets the same numbers for its own.
func TestSharedMemoryOfAnotherNamespace(t *testing.T) {
	const part = "ORIEL_TEST_SHM"
	again := func(name string, arg ...string) *exec.Cmd {
		cmd := exec.Command(os.Args[0], "-test.run=^TestSharedMemoryOfAnotherNamespace$", "-test.v")
		cmd.Env = append(os.Environ(), append([]string{part + "=" + name}, arg...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWIPC, Pdeathsig: syscall.SIGKILL}
		return cmd
	}
	switch os.Getenv(part) {
	case "":
		if os.Geteuid() != 0 {
			t.Skip("only root can make a namespace")
		}
		if out, err := again("witness").CombinedOutput(); err != nil || !bytes.Contains(out, []byte("PASS")) {
			t.Fatalf("%v\n%s", err, out)
		}
	case "witness":
		witnessSharedMemory(t, again)
	case "agent":
		agentOfAnotherNamespace(t)
	}
}

func witnessSharedMemory(t *testing.T, again func(name string, arg ...string) *exec.Cmd) {
	s := xvfbtest.Start(t, xvfbtest.Options{Width: rigSize.X, Height: rigSize.Y})
	p := newPainter(t, s)
	// Larger than all that the agent asks for.
	var victims [][]byte
	for want := range 6 {
		id, err := unix.SysvShmGet(unix.IPC_PRIVATE, 16<<20, unix.IPC_CREAT|0o600)
		if err != nil || id != want {
			t.Fatalf("memory %d: %d, %v", want, id, err)
		}
		defer unix.SysvShmCtl(id, unix.IPC_RMID, nil)
		victim, err := unix.SysvShmAttach(id, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.SysvShmDetach(victim)
		for i := range victim {
			victim[i] = byte(i*7 + want)
		}
		victims = append(victims, victim)
	}
	file := filepath.Join(t.TempDir(), "picture")
	agent := again("agent", "ORIEL_TEST_DISPLAY="+s.Display, "ORIEL_TEST_FILE="+file)
	in, _ := agent.StdinPipe()
	out, _ := agent.StdoutPipe()
	agent.Stderr = os.Stderr
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	picture := func() ([]byte, image.Point) {
		t.Helper()
		fmt.Fprintln(in, "next")
		for lines.Scan() {
			var size image.Point
			if n, _ := fmt.Sscanf(lines.Text(), "picture %d %d", &size.X, &size.Y); n == 2 {
				pix, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				return pix, size
			}
		}
		t.Fatal("the agent ended")
		return nil, image.Point{}
	}
	check := func(what string) {
		t.Helper()
		want, is := photograph(t, s)
		pix, size := picture()
		for n, victim := range victims {
			for i := range victim {
				if victim[i] != byte(i*7+n) {
					t.Fatalf("%s: somebody else's memory %d was written to at %d", what, n, i)
				}
			}
		}
		for range 20 {
			if size == is && equalPixels(pix, want) {
				return
			}
			pix, size = picture()
		}
		t.Fatalf("%s: the picture of %v does not become what %v shows", what, size, is)
	}
	p.fill(image.Rect(0, 0, 800, 600))
	check("the first picture")
	p.fill(image.Rect(100, 100, 200, 150))
	check("a small change")
	p.fill(image.Rect(10, 10, 790, 590))
	check("a large change")
	for i, size := range []image.Point{{640, 480}, {720, 400}} {
		setMode(t, s, i, size)
		p.fill(image.Rect(0, 0, 300, 200))
		check("another size")
	}
	in.Close()
	io.Copy(io.Discard, out)
	if err := agent.Wait(); err != nil {
		t.Error(err)
	}
}

func agentOfAnotherNamespace(t *testing.T) {
	d, err := Open(Options{Display: os.Getenv("ORIEL_TEST_DISPLAY")})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	t.Setenv("DISPLAY", os.Getenv("ORIEL_TEST_DISPLAY"))
	if d, err := Open(Options{Portable: true}); err == nil {
		d.Close()
		t.Error("the portable backend, whose libraries prove nothing, is used")
	}
	w := &watcher{d: d}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		w.next(t)
		if err := os.WriteFile(os.Getenv("ORIEL_TEST_FILE"), w.pix, 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("\npicture %d %d\n", w.size.X, w.size.Y)
	}
}

// Memory that both sides have is used, and proven anew with each size.
func TestSharedMemoryIsUsed(t *testing.T) {
	t.Parallel()
	r := startX(t, xvfbtest.Options{})
	d := r.Desktop.(*x11)
	w := &watcher{d: d}
	for i, size := range []image.Point{rigSize, {640, 480}, {720, 400}} {
		if i > 0 {
			setMode(t, r.server, i, size)
		}
		r.change()
		w.settled(t, r)
		if d.capture.seg == nil {
			t.Errorf("no shared memory at %v", size)
		}
	}
}
