package main

import (
	"strings"
	"testing"
	"time"

	"oriel/installer"
)

// Packages, their scripts and units, and what the agent does with them, on a
// machine that systemd runs: from the first installation until nothing is left.
func TestLifeUnderSystemd(t *testing.T) {
	shared := t.TempDir()
	here := newBootedMachine(t, shared)
	packBuilt(t, shared+"/dist", installer.Debian, installer.Agent, installer.Relay)
	t.Cleanup(func() {
		if t.Failed() {
			journal, _ := here.run(t, `journalctl -q --no-pager -u oriel-agent -u oriel-relay`)
			t.Log(journal)
		}
	})
	const (
		installAgent = `dpkg -i /shared/dist/oriel-agent_*.deb`
		installRelay = `dpkg -i /shared/dist/oriel-relay_*.deb`
		ours         = `find /etc /usr /var /run /srv -xdev -maxdepth 4 -name '*oriel*' | sort`
	)
	before := here.must(t, ours)

	// The relay waits for its administrator, and says how to begin.
	here.must(t, installRelay)
	here.service(t, installer.Relay, "inactive disabled")
	here.must(t, `systemctl enable --now oriel-relay`)
	link := ""
	waitFor(t, "the link in the journal", func() bool {
		link = ownerLink.FindString(here.must(t, `journalctl -q --no-pager -u oriel-relay`))
		return link != ""
	})
	ada := newOwner(t, here, link)
	token, _ := ada.token(t)

	// The agent waits to be enrolled, even if somebody enables it before.
	here.must(t, installAgent)
	here.service(t, installer.Agent, "inactive disabled")
	here.must(t, `systemctl enable --now oriel-agent`)
	here.service(t, installer.Agent, "inactive enabled")
	here.says(t, `oriel-agent status`, 3, "not installed")
	here.must(t, `oriel-agent install --relay "$1" --token "$2"`, ada.url, token)
	here.service(t, installer.Agent, "active enabled")
	ada.wait(t, "online")
	here.says(t, `oriel-agent status`, 0, "running")
	here.says(t, `oriel-agent install`, 1, "installed already")
	here.must(t, `[ ! -e /etc/systemd/system/oriel-agent.service ]`) // the package's unit is as good

	here.must(t, `oriel-agent stop`)
	here.service(t, installer.Agent, "inactive enabled")
	here.says(t, `oriel-agent status`, 3, "stopped")
	ada.wait(t, "offline")
	here.must(t, installAgent) // an update starts nothing that was stopped
	here.service(t, installer.Agent, "inactive enabled")
	here.must(t, `oriel-agent start`)
	ada.wait(t, "online")

	here.comesBack(t, installer.Agent, `kill -9 "$1"`)
	ada.wait(t, "online")
	here.comesBack(t, installer.Agent, installAgent)
	here.service(t, installer.Agent, "active enabled")
	ada.wait(t, "online")

	here.must(t, `oriel-agent uninstall`)
	here.service(t, installer.Agent, "inactive disabled")
	here.says(t, `oriel-agent status`, 3, "not installed")
	ada.wait(t, "offline")

	// What the package's unit does not say is in another one, before it.
	const odd = `/srv/oriel: 50% of "my" $HOME\`
	here.must(t, `cp -a /var/lib/oriel-agent "$1" && oriel-agent install --demo --data "$1"`, odd)
	here.must(t, `[ -e /etc/systemd/system/oriel-agent.service ]`)
	here.comesBack(t, installer.Agent, installAgent)
	ada.wait(t, "online")
	here.must(t, `oriel-agent uninstall --purge --data "$1" && [ ! -e /etc/systemd/system/oriel-agent.service ]`, odd)
	here.service(t, installer.Agent, "inactive disabled")

	here.must(t, `oriel-agent install`)
	ada.wait(t, "online")
	here.must(t, `dpkg -r oriel-agent`)
	here.service(t, installer.Agent, "inactive gone")
	ada.wait(t, "offline")
	here.must(t, `[ -e /var/lib/oriel-agent ] && dpkg -P oriel-agent`)

	// The relay's turn.
	here.comesBack(t, installer.Relay, `kill -9 "$1"`)
	ada.wait(t, "offline")
	here.comesBack(t, installer.Relay, installRelay)
	ada.wait(t, "offline")
	here.must(t, `systemctl stop oriel-relay`)
	here.service(t, installer.Relay, "inactive enabled")
	here.must(t, `systemctl start oriel-relay`)
	ada.wait(t, "offline")
	here.must(t, `dpkg -P oriel-relay`)
	here.service(t, installer.Relay, "inactive gone")

	if after := here.must(t, ours); after != before {
		t.Errorf("left behind: there was\n%s\nand now there is\n%s", before, after)
	}
	if failed := here.must(t, `systemctl list-units --failed --no-legend --plain '*oriel*'`); failed != "" {
		t.Errorf("systemd remembers failures: %s", failed)
	}
}

// The same scripts are called in another order, and with other words, by rpm.
func TestLifeOfAnRPMUnderSystemd(t *testing.T) {
	shared := t.TempDir()
	here := newBootedMachine(t, shared)
	packBuilt(t, shared+"/dist", installer.RedHat, installer.Agent)
	const (
		rpm  = `rpm --force-debian --nodeps ` // as a Debian's rpm wants it
		ours = `find /etc /usr /var -xdev -maxdepth 4 -name '*oriel*' | sort`
	)
	before := here.must(t, ours)
	here.must(t, rpm+`-U /shared/dist/oriel-agent_*.rpm`)
	here.service(t, installer.Agent, "inactive disabled")
	here.must(t, `oriel-agent install --relay http://127.0.0.1:1 --token "$1"`, token) // which it goes on trying
	here.service(t, installer.Agent, "active enabled")
	here.comesBack(t, installer.Agent, rpm+`-U --replacepkgs /shared/dist/oriel-agent_*.rpm`)
	here.service(t, installer.Agent, "active enabled")
	here.must(t, rpm+`-e oriel-agent`)
	here.service(t, installer.Agent, "inactive gone")
	here.must(t, `rm -r /var/lib/oriel-agent`) // the data; rpm knows no purge
	if after := here.must(t, ours); after != before {
		t.Errorf("left behind: there was\n%s\nand now there is\n%s", before, after)
	}
}

// service holds a unit to its state: whether it runs, and whether it starts with the system.
func (m *machine) service(t *testing.T, name, want string) {
	t.Helper()
	got := m.must(t, `systemctl is-active "$1" || true; systemctl is-enabled "$1" 2>/dev/null || [ -n "$(systemctl cat "$1" 2>/dev/null)" ] || echo gone`, name)
	if got = strings.Join(strings.Fields(got), " "); got != want {
		t.Fatalf("%s is %s, not %s", name, got, want)
	}
}

// says holds a command to its exit code and what it says.
func (m *machine) says(t *testing.T, command string, code int, want string) {
	t.Helper()
	if out, got := m.run(t, command); got != code || !strings.Contains(out, want) {
		t.Fatalf("%s: exit code %d, want %d and %q\n%s", command, got, code, want, out)
	}
}

// comesBack does something to a running service, whose process is $1, and
// expects another process within seconds.
func (m *machine) comesBack(t *testing.T, name, script string) {
	t.Helper()
	pid := func() string { return m.must(t, `systemctl show -p MainPID --value "$1"`, name) }
	before := pid()
	if before == "0" {
		t.Fatalf("%s does not run", name)
	}
	m.must(t, script, before)
	begun := time.Now()
	waitFor(t, name+" is back", func() bool { now := pid(); return now != "0" && now != before })
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("%s is back only after %v", name, took)
	}
}
