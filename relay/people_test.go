package main

import (
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

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

// visitor is a browser at an address, which the relay is told of by a proxy.
type visitor struct {
	*testing.T
	url    string
	cookie *http.Cookie
}

// asks returns the status and the text of the answer.
func (v *visitor) asks(address, method, path, body string) (int, string) {
	v.Helper()
	r, err := http.NewRequestWithContext(v.Context(), method, v.url+path, strings.NewReader(body))
	if err != nil {
		v.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", address)
	if v.cookie != nil {
		r.AddCookie(v.cookie)
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}).Do(r)
	if err != nil {
		v.Fatal(err)
	}
	defer res.Body.Close()
	if all := res.Cookies(); len(all) > 0 {
		v.cookie = all[0]
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		v.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// Rule: whoever runs the relay lets an organization's members in from one more network, beside a relay that runs and
// without one; it is in the audit as the command line's, and nobody is shut out by it. Who may not come from where they
// are is told where that is and whom to ask, and who makes the owner's recovery is told of the networks.
func TestNetworksAreAllowedOnTheCommandLine(t *testing.T) {
	d := desk{t, filepath.Join(t.TempDir(), "data")}
	url, out, _, stop := serving(t, d.data, "--trusted-proxies", "127.0.0.1/32")
	v := &visitor{T: t, url: url}
	const office, elsewhere, login = "192.0.2.9", "198.51.100.9", `{"login":"ada@example.com","password":"correct horse"}`
	if status, said := v.asks(office, "POST", "/api/v1/owner", `{"token":"`+saidLink(t, out)[1]+`","name":"Ada","email":"ada@example.com","password":"correct horse"}`); status != 200 {
		t.Fatal(status, said)
	}
	if said := d.does("org", "allow", "main", "192.0.2.0/24"); said != "main lets its members in from everywhere. Nothing was changed." {
		t.Errorf("where there is no policy: %q", said)
	}
	if status, said := v.asks(office, "PUT", "/api/v1/policies/organization/-", `{"version":0,"settings":{"allowed_addresses":["192.0.2.0/24"],"session_minutes":60}}`); status != 200 {
		t.Fatal(status, said)
	}
	for _, in := range []*visitor{v, {T: t, url: url}} {
		path, method, body := "/api/v1/me", "GET", ""
		if in.cookie == nil {
			path, method, body = "/api/v1/sign-in", "POST", login
		}
		if status, said := in.asks(elsewhere, method, path, body); status != 403 || !strings.Contains(said, elsewhere) || !strings.Contains(said, "ask one of its admins") || !strings.Contains(said, "oriel-relay org allow") {
			t.Errorf("%s from elsewhere: %d %s", path, status, said)
		}
	}
	recover := func() string {
		_, _, said := command(t, "owner", "recover", "--data", d.data)
		return said
	}
	if said := recover(); !strings.Contains(said, "only: 192.0.2.0/24.") || !strings.Contains(said, "oriel-relay org allow main NETWORK") {
		t.Errorf("owner recover: %q", said)
	}
	for _, wrong := range []string{"198.51.100.9", "198.51.100.9/24", "home"} {
		d.refuses("write networks as in", "org", "allow", "main", wrong)
	}
	d.refuses("not", "org", "allow", "nobody", "198.51.100.0/24")
	if said := d.does("org", "allow", "main", "192.0.2.128/25"); !strings.Contains(said, "already. Nothing was changed. All its networks: 192.0.2.0/24") {
		t.Errorf("within one that is there: %q", said)
	}
	if said := d.does("org", "allow", "Main", "198.51.100.0/24"); !strings.Contains(said, "main now lets its members in from 198.51.100.0/24 too") || !strings.HasSuffix(said, "192.0.2.0/24 198.51.100.0/24") {
		t.Errorf("one more: %q", said)
	}
	if status, said := (&visitor{T: t, url: url}).asks(elsewhere, "POST", "/api/v1/sign-in", login); status != 200 {
		t.Errorf("a sign-in from there: %d %s", status, said)
	}
	relaytest.Until(t, "the sign-in of before is let in from there", func() bool {
		status, _ := v.asks(elsewhere, "GET", "/api/v1/me", "")
		return status == 200
	})
	if code := stop(); code != 0 {
		t.Fatal(code)
	}

	d.does("org", "allow", "main", "2001:db8::/32")
	if said := recover(); !strings.Contains(said, "only: 192.0.2.0/24 198.51.100.0/24 2001:db8::/32.") {
		t.Errorf("owner recover without a relay: %q", said)
	}
	v.url, _, _, _ = serving(t, d.data, "--trusted-proxies", "127.0.0.1/32")
	if status, said := v.asks("2001:db8::7", "GET", "/api/v1/policies/organization/-", ""); status != 200 || !strings.Contains(said, `"session_minutes":60`) {
		t.Errorf("from what was allowed meanwhile: %d %s", status, said)
	}
	if n := len(regexp.MustCompile(`(?m)^.*"actor_kind":"command".*"action":"policy.changed".*$`).FindAllString(d.does("audit", "export"), -1)); n != 2 {
		t.Errorf("the command line changed the policy %d times in the audit", n)
	}
}

// Rule: the quotas of an organization are shown and set on the command line, beside a relay that runs and without one: what is
// not named stays, unlimited takes a limit away, and what is no limit changes nothing. Each change is in the audit, and the
// relay that runs keeps to it at once.
func TestQuotasOnTheCommandLine(t *testing.T) {
	d := desk{t, filepath.Join(t.TempDir(), "data")}
	url, _, _, stop := serving(t, d.data)
	dial := func(name string) error {
		conn, _, err := relaytest.NewMachine(name).Dial(t.Context(), &relaytest.Node{URL: url}, d.does("token", "create"))
		if err == nil {
			t.Cleanup(func() { conn.Close() })
		}
		return err
	}
	if err := dial("lathe"); err != nil {
		t.Fatal(err)
	}
	d.shows([]string{"computers\t1\tunlimited", "people\t0\tunlimited", "sessions\t0\tunlimited", "storage\t0\tunlimited", "invitations\t0\tunlimited"},
		"org", "quota", "show", "main")
	limited := []string{"computers\t1\t1", "people\t0\t25", "sessions\t0\tunlimited", "storage\t0\t500000000", "invitations\t0\t0"}
	d.shows(limited, "org", "quota", "set", "main", "--computers=1", "--people=25", "--storage=500MB", "--invitations=0")
	if err := dial("mill"); err == nil || !strings.Contains(err.Error(), "QUOTA") {
		t.Errorf("a computer beyond the quota: %v", err)
	}
	d.refuses("open invitations that its quota allows (0)", "person", "invite", "grace@example.com")
	d.refuses("write a number from 0 to", "org", "quota", "set", "main", "--people=9000000000000000000")
	d.refuses("no organization with the code \"nowhere\"", "org", "quota", "set", "nowhere", "--people=1")
	d.refuses("no organization with the code \"nowhere\"", "org", "quota", "show", "nowhere")
	for said, words := range map[string]string{"--people=many": `"many" is no limit`, "--people=-1": `"-1" is no limit`,
		"--sessions=5MB": `"5MB" is no limit`, "--people=": "say which quota is to change"} {
		code, out, text := command(t, "org", "quota", "set", "main", said, "--data", d.data)
		if code != 2 || out != "" || !strings.Contains(text, words) {
			t.Errorf("%s: %d %q %q, want %q", said, code, out, text, words)
		}
	}
	d.shows(limited, "org", "quota", "show", "MAIN")
	if code := stop(); code != 0 {
		t.Fatal(code)
	}

	d.shows([]string{"computers\t1\t1", "people\t0\tunlimited", "sessions\t0\t3", "storage\t0\t500000000", "invitations\t0\t0"},
		"org", "quota", "set", "main", "--people=unlimited", "--sessions=3")
	d.does("org", "quota", "set", "main", "--sessions=3")
	d.shows([]string{"computers\t1\t1", "people\t0\tunlimited", "sessions\t0\t3", "storage\t0\t500000000", "invitations\t0\t0"},
		"org", "quota", "show", "main")
	if n := strings.Count(d.does("audit", "export"), `"action":"organization.quotas_set"`); n != 2 {
		t.Errorf("the quotas are in the audit %d times, want 2", n)
	}
}
