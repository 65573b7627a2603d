package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"oriel/relay/internal/relaytest"
)

// desk is the command line of one relay.
type desk struct {
	*testing.T
	data string
}

// does runs a command that has to succeed, and returns what it printed.
func (d desk) does(args ...string) string {
	d.Helper()
	code, out, said := command(d.T, append(args, "--data", d.data)...)
	if code != 0 {
		d.Fatalf("%q: %d %s", args, code, said)
	}
	return strings.TrimSuffix(out, "\n")
}

// refuses runs one that has to fail with these words.
func (d desk) refuses(words string, args ...string) {
	d.Helper()
	if code, out, said := command(d.T, append(args, "--data", d.data)...); code != 1 || out != "" || !strings.Contains(said, words) {
		d.Errorf("%q: %d %q %q, want %q", args, code, out, said, words)
	}
}

// shows runs a list; want are its lines, without the ids at their beginnings.
func (d desk) shows(want []string, args ...string) {
	d.Helper()
	out := d.does(args...)
	got := regexp.MustCompile(`(?m)^[0-9a-f-]{36}\t`).ReplaceAllString(out, "")
	if got != strings.Join(want, "\n") {
		d.Errorf("%q: %q, want %q", args, out, want)
	}
}

// Rule: groups and teams are administered on the command line, by name, beside a relay that runs and without one; each
// change is in the audit.
func TestGroupsAndTeamsOnTheCommandLine(t *testing.T) {
	d := desk{t, filepath.Join(t.TempDir(), "data")}
	url, _, _, stop := serving(t, d.data)
	conn, _, err := relaytest.NewMachine("lathe").Dial(t.Context(), &relaytest.Node{URL: url}, d.does("token", "create"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	d.does("group", "create", "Works")
	d.does("group", "create", "Hall 1", "--in", "Works")
	d.does("group", "create", "Hall 1")
	d.refuses("2 of the kind group", "group", "put", "lathe", "--into", "Hall 1")
	d.does("group", "put", "lathe", "--into", "Works/Hall 1")
	d.shows([]string{"Works\t0", "Works/Hall 1\t1", "Hall 1\t0"}, "group", "list")
	d.refuses("within itself", "group", "move", "Works", "--into", "Works/Hall 1")
	d.refuses("in use", "group", "remove", "Works/Hall 1")
	d.does("group", "move", "Works/Hall 1")
	d.does("group", "rename", "Works", "Yard")
	d.does("team", "create", "Night shift")
	d.does("person", "service", "robot", "--role", "viewer")
	d.does("team", "join", "Night shift", "robot")
	d.refuses("no member", "team", "join", "Night shift", "nobody@example.com")
	d.shows([]string{"service\tactive\tviewer\trobot\t"}, "team", "members", "Night shift")
	d.does("team", "rename", "Night shift", "Late shift")
	d.refuses("0 of the kind team", "team", "remove", "Night shift")
	if code := stop(); code != 0 {
		t.Fatal(code)
	}

	d.shows([]string{"Yard\t0", "Hall 1\t1", "Hall 1\t0"}, "group", "list")
	d.does("group", "put", "lathe", "--into", "Yard")
	d.shows([]string{"Yard\t1", "Hall 1\t0", "Hall 1\t0"}, "group", "list")
	d.does("group", "put", "lathe")
	d.does("group", "remove", "Yard")
	d.shows([]string{"Late shift\t1"}, "team", "list")
	d.does("team", "leave", "Late shift", "robot")
	d.shows([]string{"Late shift\t0"}, "team", "list")
	d.does("team", "remove", "Late shift")
	audit := d.does("audit", "export")
	for action, want := range map[string]int{"group.made": 3, "group.renamed": 1, "group.moved": 1, "group.removed": 1, "computer.moved": 3,
		"team.made": 1, "team.renamed": 1, "team.removed": 1, "team.joined": 1, "team.left": 1} {
		if n := strings.Count(audit, `"action":"`+action+`"`); n != want {
			t.Errorf("%s is in the audit %d times, want %d", action, n, want)
		}
	}
}
