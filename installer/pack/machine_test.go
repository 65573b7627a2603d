package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// machine is this machine as a copy: its whole file system behind a layer in
// memory, in a mount namespace. What is installed there is gone with the test.
type machine struct {
	enter []string // the command that runs another one there
}

// overlay mounts the copy at /mnt/root.
const overlay = `set -e
	mount -t tmpfs none /mnt
	mkdir /mnt/upper /mnt/work /mnt/root
	mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work none /mnt/root
`

// newMachine is a copy on which no service manager runs.
func newMachine(t *testing.T) *machine {
	t.Helper()
	needRoot(t)
	const layers = overlay + `
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
		stdin.Close()
		cmd.Wait() // it is over, and stderr is whole
		t.Skipf("this system lets nobody mount, so that nothing can be installed on a copy of it: %s", stderr.String())
	}
	return &machine{[]string{"nsenter", "--target", strconv.Itoa(cmd.Process.Pid), "--mount", "chroot", "/mnt/root"}}
}

// bootTime is how long systemd may take to boot; on a machine with nothing else to do it takes 1 s.
const bootTime = time.Minute

// newBootedMachine is a copy that systemd has booted, with none of this
// machine's own services, and with a network that leads nowhere. The folder
// shared is /shared there, to be read.
func newBootedMachine(t *testing.T, shared string) *machine {
	t.Helper()
	needRoot(t)
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		t.Skip("needs systemd-nspawn (of Debian's systemd-container), to boot systemd on a copy of this machine")
	}
	// Says who is its first process, and when that has booted.
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()

	// /run and the cgroups: its own, whatever this machine has there. It ends
	// with standard input, and then leaves no cgroup behind.
	const boot = overlay + `
		rm -rf /mnt/root/etc/systemd/system/* /mnt/root/etc/rc?.d/*
		tr -d - </proc/sys/kernel/random/uuid >/mnt/root/etc/machine-id
		mount -t tmpfs none /run
		mount -t cgroup2 none /sys/fs/cgroup
		group=/sys/fs/cgroup/oriel-test-$$
		mkdir $group
		exec 3<&0
		sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec systemd-nspawn "$@"' sh $group \
			--boot --directory=/mnt/root --machine=oriel --bind-ro="$1:/shared" --private-network \
			--register=no --keep-unit --link-journal=no --settings=no --resolv-conf=off --timezone=off \
			--console=pipe --notify-ready=yes --kill-signal=SIGKILL 3<&- &
		nspawn=$!
		{ cat <&3; kill $nspawn; } >/dev/null 2>&1 &
		wait $nspawn || true
		find $group -depth -type d -exec rmdir {} +`
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", boot, "sh", shared)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify.LocalAddr().String())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var console bytes.Buffer
	cmd.Stdout, cmd.Stderr = &console, &console
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		notify.Close()
		close(ended)
	}()
	end := func() {
		stdin.Close()
		<-ended
	}
	t.Cleanup(end)

	notify.SetReadDeadline(time.Now().Add(bootTime))
	message := make([]byte, 4096)
	for leader := ""; ; {
		n, err := notify.Read(message)
		if err != nil {
			end()
			t.Skipf("systemd does not boot on a copy of this machine: %s", console.String())
		}
		if found := leaderForm.FindSubmatch(message[:n]); found != nil {
			leader = string(found[1])
		}
		if readyForm.Match(message[:n]) {
			return &machine{[]string{"nsenter", "--target", leader, "--all"}}
		}
	}
}

var (
	leaderForm = regexp.MustCompile(`(?m)^X_NSPAWN_LEADER_PID=([0-9]+)$`)
	readyForm  = regexp.MustCompile(`(?m)^READY=1$`)
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to install packages on a copy of this machine")
	}
}

// run gives a script to sh -e there, and returns what it said and its exit code.
func (m *machine) run(t *testing.T, script string, args ...string) (string, int) {
	t.Helper()
	command := append(append([]string{}, m.enter...), "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C", "sh", "-e", "-s", "--")
	cmd := exec.Command(command[0], append(command[1:], args...)...)
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

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}
