package installer

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"oriel/protocol/address"
)

var one = Manifest{Version: "1.2.3", Files: []File{{
	Name: "oriel-agent_1.2.3_linux_amd64.deb", Program: Agent, OS: "linux", Arch: "amd64", Kind: Debian,
	Size: 1, SHA256: strings.Repeat("0a", 32),
}}}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); !errors.Is(err, ErrNoRelease) {
		t.Fatalf("empty folder: %v", err)
	}
	good := `{"version":"1.2.3","files":[{"name":"a.deb","program":"oriel-agent","os":"linux","arch":"amd64","kind":"deb","size":1,"sha256":"` + strings.Repeat("0", 64) + `"}]}`
	for _, test := range []struct{ name, from, to, want string }{
		{"good", "", "", ""},
		{"not JSON", "{", "", "manifest"},
		{"no version", "1.2.3", "", "no version"},
		{"name leaves the folder", "a.deb", "../a.deb", "no file name"},
		{"name is hidden", "a.deb", ".a.deb", "no file name"},
		{"name has a quote", "a.deb", "a'.deb", "no file name"},
		{"name has two lines", "a.deb", `a\nb.deb`, "no file name"},
		{"os is a command", "linux", "$(id)", "plain words"},
		{"kind has a space", `"deb"`, `"d eb"`, "plain words"},
		{"nothing in it", `"size":1`, `"size":0`, "a size of 0"},
		{"too much in it", `"size":1`, `"size":99999999999`, "a size of"},
		{"short hash", "0000", "000", "no SHA-256"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := strings.Replace(good, test.from, test.to, 1)
			if err := os.WriteFile(filepath.Join(dir, ManifestName), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			m, err := Load(dir)
			if test.want == "" {
				if err != nil || len(m.Of(Agent)) != 1 || len(m.Of(Relay)) != 0 {
					t.Fatalf("%+v, %v", m, err)
				}
				if _, ok := m.Find("a.deb"); !ok {
					t.Error("a.deb not found")
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestScriptAddresses(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"https://relay.example", "https://relay.example"},
		{"https://relay.example/", "https://relay.example"},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"https://[2001:db8::1]:8443/oriel/", "https://[2001:db8::1]:8443/oriel"},
		{"https://relay.example/a'b", ""},
		{"https://relay.example/$(id)", ""},
		{"https://relay.example/`id`", ""},
		{"https://relay.example'; id; '", ""},
		{"https://relay.example/a b", ""},
		{"https://relay.example/a\nid", ""},
		{"https://relay.example/%27;id;%27", ""},
		{"https://user:secret@relay.example", ""},
		{"https://relay.example/?q", ""},
		{"https://relay.example/#f", ""},
		{"https://-oProxyCommand=id", ""},
		{"ftp://relay.example", ""},
		{"file:///etc/passwd", ""},
		{"relay.example", "https://relay.example"},
		{"https://", ""},
		{"", ""},
	} {
		out, err := Script(test.in, one)
		if test.want == "" {
			if err == nil {
				t.Errorf("%q was taken", test.in)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", test.in, err)
			continue
		}
		if !strings.Contains(string(out), "\nrelay='"+test.want+"'\n") {
			t.Errorf("%q: the script has no relay=%s", test.in, test.want)
		}
	}
	if _, err := Script("https://relay.example", Manifest{Version: "1.2.3"}); err == nil {
		t.Error("a release without an agent was taken")
	}
}

// Whatever Script accepts, the shell reads back as it was given.
func FuzzScript(f *testing.F) {
	f.Add("https://relay.example:8443/oriel", "oriel-agent_1.2.3_linux_amd64.deb", "linux")
	f.Add("https://relay.example/'$(id)'", "a'b", "`id`")
	f.Fuzz(func(t *testing.T, relay, name, os string) {
		m := Manifest{Version: one.Version, Files: []File{one.Files[0]}}
		m.Files[0].Name, m.Files[0].OS = name, os
		out, err := Script(relay, m)
		if err != nil {
			return
		}
		head, _, _ := strings.Cut(string(out), "\nmain() {")
		shell := exec.Command("sh", "-s")
		shell.Stdin = strings.NewReader(head + "\nprintf '%s\\n%s' \"$relay\" \"$files\"\n")
		got, err := shell.Output()
		if err != nil {
			t.Fatalf("%q %q %q: %v", relay, name, os, err)
		}
		read, err := address.Parse(relay)
		if err != nil {
			t.Fatal(err)
		}
		file := m.Files[0]
		want := read.String() + "\n" + strings.Join([]string{os, file.Arch, file.Kind, "1", file.SHA256, name}, " ") + "\n"
		if string(got) != want {
			t.Errorf("the shell reads %q, not %q", got, want)
		}
	})
}

// Rule: install.sh is run only where it is what the console's command line names
// by its SHA-256: whoever changed the relay, or sits between it and the new
// computer, between copying and running gets no shell.
func TestCommandRunsThisScriptOnly(t *testing.T) {
	script, err := Script("https://relay.example/oriel", one)
	if err != nil {
		t.Fatal(err)
	}
	const token = "oriel-abcdefghijklmnopqrstuvwxyz-0123456789abcdef0123456789abcdef"
	command, err := Command("https://relay.example/oriel", script, "--token", token, "--allow-http")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		served string
		tool   string // that fetches
		runs   bool
	}{
		"the script":         {string(script), "curl", true},
		"with wget":          {string(script), "wget", true},
		"another":            {"id >ran; echo pwned\n", "curl", false},
		"one line more":      {string(script) + "id\n", "curl", false},
		"one byte less":      {string(script[:len(script)-2]) + "\n", "curl", false},
		"another hash in it": {strings.Replace(string(script), one.Files[0].SHA256, strings.Repeat("f", 64), 1), "curl", false},
		"nothing":            {"", "curl", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, text string) {
				t.Helper()
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			write("served", c.served)
			for _, tool := range []string{"curl", "wget"} {
				answer := "exit 127\n"
				if tool == c.tool {
					answer = "for last; do :; done; echo \"$last\" >>" + dir + "/asked; cat " + dir + "/served\n"
				}
				write(tool, "#!/bin/sh\n"+answer)
			}
			// What is run is told from what was meant to be: the script's own main.
			write("sudo", "#!/bin/sh\necho \"$@\" >>"+dir+"/sudo.args; cat >"+dir+"/ran\n")
			shell := exec.Command("sh", "-c", command)
			shell.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
			out, err := shell.CombinedOutput()
			ran, _ := os.ReadFile(filepath.Join(dir, "ran"))
			asked, _ := os.ReadFile(filepath.Join(dir, "asked"))
			if strings.TrimSpace(string(asked)) != "https://relay.example/oriel/install.sh" {
				t.Errorf("asked for %s", asked)
			}
			if !c.runs {
				if err == nil || len(ran) != 0 || !strings.Contains(string(out), "copy the command again") {
					t.Errorf("%v, %s\nran: %.100s", err, out, ran)
				}
				return
			}
			args, _ := os.ReadFile(filepath.Join(dir, "sudo.args"))
			if err != nil || string(ran) != string(script) || string(args) != "sh -s -- --token "+token+" --allow-http\n" {
				t.Errorf("%v, %s, args %s\nran: %.100s", err, out, args, ran)
			}
		})
	}
	for _, bad := range []string{"x; id", "$(id)", "'", "a b", ""} {
		if _, err := Command("https://relay.example", script, bad); err == nil {
			t.Errorf("%q was taken into a command", bad)
		}
	}
}

func TestQuote(t *testing.T) {
	for _, text := range []string{"", "a", "a b", "'", "''", `\`, "$(id)", "a\nb", "`id`", "é'\"*?"} {
		got, err := exec.Command("sh", "-c", "printf %s "+quote(text)).Output()
		if err != nil || string(got) != text {
			t.Errorf("%q comes back as %q, %v", text, got, err)
		}
	}
}

// A connection that breaks leaves half a script; it must do nothing at all.
func TestHalfAScriptDoesNothing(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked++ }))
	defer server.Close()
	whole, err := Script(server.URL, one)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	lines := strings.SplitAfter(string(whole), "\n")
	for n := range lines[:len(lines)-2] { // up to, not including, main "$@"
		shell := exec.Command("sh", "-s", "--", "--token", "x", "--kind", Debian)
		shell.Dir = dir
		shell.Env = append(os.Environ(), "TMPDIR="+dir)
		shell.Stdin = strings.NewReader(strings.Join(lines[:n], ""))
		out, _ := shell.CombinedOutput() // an unfinished function is an error, and should be
		if strings.Contains(string(out), "oriel:") {
			t.Fatalf("the first %d lines say %s", n, out)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 || asked > 0 {
		t.Errorf("left %v (%v), asked %d times", left, err, asked)
	}
}

func TestUsage(t *testing.T) {
	whole, err := Script("http://127.0.0.1:1", one)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args, want string
		code       int
	}{
		{"", "an enrollment token is needed", 2},
		{"--token", "--token needs a value", 2},
		{"--token=a;b", "not an enrollment token", 2},
		{"--token=$(id)", "not an enrollment token", 2},
		{"--token t --kind msi", "--kind is deb, rpm or tar.gz", 2},
		{"--token t --ca /nowhere", "cannot read /nowhere", 2},
		{"--tokne t", "unknown argument: --tokne", 2},
		{"--help", "usage: curl", 0},
	} {
		shell := exec.Command("sh", append([]string{"-s", "--"}, strings.Fields(test.args)...)...)
		shell.Stdin = strings.NewReader(string(whole))
		out, _ := shell.CombinedOutput()
		if code := shell.ProcessState.ExitCode(); code != test.code || !strings.Contains(string(out), test.want) {
			t.Errorf("%s: exit code %d, %s", test.args, code, out)
		}
	}
}
