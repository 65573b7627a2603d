package main_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"oriel/agent/internal/identity"
	"oriel/agent/internal/link/linktest"
	"oriel/agent/internal/node/nodetest"
	orielv1 "oriel/protocol/oriel/v1"
)

// The whole life of an installed agent, in the hands of whatever runs services
// on this machine: systemd where it is, else SysV's scripts.
func TestServiceIsInstalledRunsAndIsRemoved(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root installs services")
	}
	name := fmt.Sprintf("oriel-agent-test-%d", os.Getpid())
	dir := filepath.Join(t.TempDir(), "data")
	v := nodetest.NewViewer(t)
	relay := linktest.Start(t, func(r *linktest.Relay) {
		r.Received = func(_ *linktest.Agent, m *orielv1.FromAgent) { v.Candidate(m.GetCandidate()) }
	})
	t.Cleanup(func() {
		if t.Failed() {
			agent(t, "uninstall", "--name", name)
			log, _ := os.ReadFile("/var/log/" + name + ".log")
			t.Logf("its log:\n%s", log)
		}
		os.Remove("/var/log/" + name + ".log")
	})
	must := func(code int, command string, args ...string) string {
		t.Helper()
		args = append([]string{command, "--name", name}, args...)
		if command != "start" && command != "stop" {
			args = append(args, "--data", dir)
		}
		got, out := agent(t, args...)
		if got != code {
			t.Fatalf("%s: exit %d, want %d:\n%s", command, got, code, out)
		}
		return out
	}

	must(0, "install", "--view-only", "--hours=00:00-24:00;mon-fri 08:00-18:00", "--relay", relay.URL(), "--token", relay.Token(), "--demo")
	relay.Agent(1) // enrolled while installing, so that a wrong token is known at once
	peer := relay.Agent(2)
	if out := must(0, "status"); !strings.Contains(out, "running") || !strings.Contains(out, relay.URL()) {
		t.Errorf("status: %s", out)
	}
	if out := must(1, "install", "--relay", relay.URL()); !strings.Contains(out, "installed already") {
		t.Errorf("installed twice: %s", out)
	}

	// The token is nowhere any more, and was never in the unit.
	for _, path := range []string{"/etc/init.d/" + name, "/etc/systemd/system/" + name + ".service", filepath.Join(dir, "state.json")} {
		if b, _ := os.ReadFile(path); strings.Contains(string(b), linktest.Secret) {
			t.Errorf("the token is in %s", path)
		}
	}
	installed := filepath.Join("/usr/local/lib", name, "oriel-agent")
	if info, err := os.Stat(installed); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the installed program: %v, %v", info, err)
	}

	// A session, in a helper that is not root.
	g := nodetest.Grant(t, relay, peer.Key, v)
	peer.Send(nodetest.Offer(t, relay.Key, g, v, 1))
	v.Take(t, peer.Wait(t, "the answer", func(m *orielv1.FromAgent) bool { return m.GetAnswer() != nil }).GetAnswer())
	v.Connected(t)
	service := processes(t, installed, "service")
	helpers := processes(t, "", "helper", "--loopback")
	mine := 0
	for _, h := range helpers {
		if parent(t, h) == service[0] {
			mine = h
		}
	}
	if len(service) != 1 || mine == 0 {
		t.Fatalf("services %v, helpers %v", service, helpers)
	}
	if info, err := os.Stat("/proc/" + strconv.Itoa(mine)); err != nil || info.Sys().(*syscall.Stat_t).Uid == 0 {
		t.Errorf("the helper runs as root: %v", err)
	}
	// What the installation was told to allow reaches who serves the desktop.
	if b, _ := os.ReadFile("/proc/" + strconv.Itoa(mine) + "/cmdline"); !strings.Contains(string(b), `"view_only":true`) ||
		!strings.Contains(string(b), `["00:00-24:00","mon-fri 08:00-18:00"]`) {
		t.Errorf("the helper knows not what is allowed: %q", b)
	}

	// Killed, it is started again.
	syscall.Kill(service[0], syscall.SIGKILL)
	third := relay.Agent(3)
	relay.Until("the helper of the killed service is gone", func() bool { return errors.Is(syscall.Kill(mine, 0), syscall.ESRCH) })

	must(0, "stop")
	relay.Until("disconnected", func() bool {
		select {
		case <-third.Done():
			return true
		default:
			return false
		}
	})
	if left := processes(t, installed, "service"); len(left) > 0 {
		t.Errorf("stopped, yet running: %v", left)
	}
	if out := must(3, "status"); !strings.Contains(out, "stopped") {
		t.Errorf("status: %s", out)
	}
	must(0, "start")
	if fourth := relay.Agent(4); !fourth.Key.Equal(peer.Key) {
		t.Error("another key after starting again")
	}

	must(0, "uninstall", "--purge")
	if out := must(3, "status"); !strings.Contains(out, "not installed") {
		t.Errorf("status: %s", out)
	}
	if _, _, err := identity.Peek(dir); !errors.Is(err, identity.ErrNotFound) {
		t.Errorf("purged, yet there: %v", err)
	}
	left, _ := filepath.Glob("/etc/rc?.d/*" + name)
	for _, path := range append(left, installed, filepath.Dir(installed), "/etc/init.d/"+name, "/etc/systemd/system/"+name+".service", "/var/run/"+name+".pid", dir) {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("left behind: %s", path)
		}
	}
}

// processes are those whose command line begins so; an empty program is any.
func processes(t *testing.T, program string, args ...string) []int {
	t.Helper()
	dirs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var all []int
	for _, path := range dirs {
		b, _ := os.ReadFile(path)
		argv := strings.Split(string(b), "\x00")
		if len(argv) <= len(args) || (program != "" && argv[0] != program) {
			continue
		}
		if strings.Join(argv[1:1+len(args)], " ") == strings.Join(args, " ") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			all = append(all, pid)
		}
	}
	return all
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(fields[1])
	return n
}
