package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// machine is this machine as a copy: its whole file system behind a layer in
// memory, in a mount namespace. What is installed there is gone with the test.
type machine struct{ pid int }

func newMachine(t *testing.T) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to install packages on a copy of this machine")
	}
	const layers = `set -e
		mount -t tmpfs none /mnt
		mkdir /mnt/upper /mnt/work /mnt/root
		mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work none /mnt/root
		mount --rbind /proc /mnt/root/proc
		mount --rbind /dev /mnt/root/dev
		chmod 1777 /mnt/root/tmp
		echo ready
		exec cat`
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", layers)
	stdin, err := cmd.StdinPipe() // cat ends with it
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(stdout, ready); err != nil {
		t.Skipf("this system lets nobody mount, so that nothing can be installed on a copy of it: %s", stderr.String())
	}
	return &machine{pid: cmd.Process.Pid}
}

// run gives a script to sh -e there, and returns what it said and its exit code.
func (m *machine) run(t *testing.T, script string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command("nsenter", append([]string{"--target", strconv.Itoa(m.pid), "--mount",
		"chroot", "/mnt/root", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C", "sh", "-e", "-s", "--"}, args...)...)
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// must is run for what cannot fail.
func (m *machine) must(t *testing.T, script string, args ...string) string {
	t.Helper()
	out, code := m.run(t, script, args...)
	if code != 0 {
		t.Fatalf("exit code %d from %s\n%s", code, script, out)
	}
	return strings.TrimSpace(out)
}
