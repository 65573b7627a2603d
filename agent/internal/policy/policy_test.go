package policy

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"oriel/protocol/hours"
	"oriel/protocol/private"
)

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, File)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

// at is a time on the wall: Monday is 2 March 2026.
func at(t *testing.T, day int, clock string) time.Time {
	t.Helper()
	now, err := time.Parse("2006-01-02 15:04", "2026-03-0"+string(rune('1'+day))+" "+clock)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// Rule: the agent has a local policy of its own that nothing from outside
// loosens: what cannot be read whole is no policy, and nothing starts.
func TestBrokenPolicyIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "cut short": `{"view_only": true`, "no object": `true`, "a list": `[{}]`, "null": `null`,
		"unknown key":          `{"viewonly": true}`,
		"key in other letters": `{"View_Only": true}`,
		"key said twice":       `{"view_only": true, "view_only": false}`,
		"no value":             `{"view_only": null}`,
		"text for a switch":    `{"view_only": "yes"}`,
		"something after":      `{"view_only": true} {}`,
		"hours":                `{"hours": ["always"]}`,
		"a host with a port":   `{"relay_hosts": ["relay.example:443"]}`,
		"an address":           `{"relay_hosts": ["https://relay.example"]}`,
		"an empty host":        `{"relay_hosts": [""]}`,
		"a host with a path":   `{"ice_hosts": ["turn.example/x"]}`,
		"no lease":             `{"lease_minutes": 0}`,
		"a long lease":         `{"lease_minutes": 1441}`,
		"a part of a minute":   `{"lease_minutes": 0.5}`,
		"another's policy":     `{"organization": "Acme"}`,
		"no scopes":            `{"scopes": []}`,
		"an unknown scope":     `{"scopes": ["fly"]}`,
		"no session":           `{"session_minutes": 0}`,
		"a film":               `{"preview_seconds": 59}`,
		"no hosts":             `{"relay_hosts": []}`,
		"no hours":             `{"hours": []}`,
		"hours that are null":  `{"hours": [null]}`,
		"a pattern":            `{"relay_hosts": ["relay.example?x"]}`,
	} {
		if p, err := Load(write(t, text, 0o600)); err == nil || !strings.Contains(err.Error(), File) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	for _, mode := range []os.FileMode{0o644, 0o660, 0o606} {
		if _, err := Load(write(t, `{"view_only": true}`, mode)); !errors.Is(err, private.ErrRefused) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	dir := write(t, `{}`, 0o600)
	if err := os.Rename(filepath.Join(dir, File), filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if p, err := Load(dir); err != nil || (Set{p}).NoControl() != "" {
		t.Errorf("none: %+v, %v", p, err)
	}
	if err := os.Symlink("elsewhere", filepath.Join(dir, File)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("a linked policy is read")
	}
}

// Rule: of file and command line the stricter holds.
func TestPoliciesHoldTogether(t *testing.T) {
	file, err := Load(write(t, `{"view_only": true, "previews": false, "relay_hosts": ["Relay.Example", "node.example", "2001:db8::5"],
		"ice_hosts": ["turn.example"], "keep_identity": true, "hours": ["mon-fri 08:00-18:00"]}`, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	late, err := hours.Parse("12:00-24:00")
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	said := Policy{Previews: &yes, RelayHosts: []string{"relay.example.", "[2001:DB8::5]"}, Hours: []hours.Hours{late}}
	text, err := (Set{file, said}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	passed, err := Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Set{{file, said}, {said, file}, passed} {
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		if s.NoControl() == "" || s.Previews(at(t, 1, "13:00")) || !s.KeepsIdentity() {
			t.Error("loosened")
		}
		hosts := s.RelayHosts()
		slices.Sort(hosts)
		if !slices.Equal(hosts, []string{"2001:db8::5", "relay.example"}) {
			t.Errorf("relay hosts %v", hosts)
		}
		for clock, open := range map[string]bool{"07:59": false, "11:59": false, "12:00": true, "17:59": true, "18:00": false} {
			if why := s.Closed(at(t, 1, clock)); (why == "") != open {
				t.Errorf("Monday %s: %q", clock, why)
			}
		}
	}
	if err := (Set{file, {RelayHosts: []string{"other.example"}}}).Check(); err == nil {
		t.Error("pins without a host in common are taken, which would pin nothing")
	}
	if (Set{{Consent: true}}).NoControl() == "" || (Set{{}, {}}).NoControl() != "" || (Set{{}}).Closed(time.Now()) != "" || !(Set{{}}).Previews(time.Now()) {
		t.Error("consent allows control, or nothing said forbids something")
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add(`[{"view_only":true,"hours":["mon-fri 08:00-18:00"]}]`)
	f.Add(`{"relay_hosts":["[::1]"]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Decode(text)
		if err != nil {
			return
		}
		again, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		twice, err := Decode(again)
		if err != nil || twice.NoControl() != s.NoControl() || !slices.Equal(twice.RelayHosts(), s.RelayHosts()) {
			t.Fatalf("%q is passed on as %q: %v", text, again, err)
		}
	})
}

// Rule: the agent's policy may shorten the lease that the relay names, and
// nothing lengthens it.
func TestLeaseIsTheShortest(t *testing.T) {
	in := func(m int) Policy { return Policy{LeaseMinutes: &m} }
	for name, c := range map[string]struct {
		set           Set
		granted, want time.Duration
	}{
		"the relay's":             {nil, 15 * time.Minute, 15 * time.Minute},
		"none":                    {Set{{}}, 0, 0},
		"one's own is shorter":    {Set{in(5), {}}, 15 * time.Minute, 5 * time.Minute},
		"one's own is longer":     {Set{in(60)}, 15 * time.Minute, 15 * time.Minute},
		"the shortest of several": {Set{in(9), in(7), in(8)}, 15 * time.Minute, 7 * time.Minute},
		"an older relay's":        {Set{in(5)}, 0, 5 * time.Minute},
		"as good as for ever":     {nil, 1 << 33 * time.Second, 24 * time.Hour},
	} {
		if got := c.set.Lease(c.granted); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
