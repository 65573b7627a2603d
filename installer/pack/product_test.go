package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"oriel/installer"
)

// built is a program of the product: what make build made, else built here.
func built(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs("../../build/" + name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path) // opened, so that go test runs this again when it changes
	if err == nil {
		f.Close()
		return path
	}
	path = filepath.Join(t.TempDir(), name)
	cmd := exec.Command("go", "build", "-tags", "purego,x11", "-trimpath", "-buildvcs=false", "-o", path, "../../"+strings.TrimPrefix(name, "oriel-"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// The real thing: a relay with a release, an owner with a token, and a computer
// on which somebody pastes the command.
func TestAComputerJoinsByTheScript(t *testing.T) {
	agent, relay := built(t, installer.Agent), built(t, installer.Relay)
	here := newMachine(t)
	dist := filepath.Join(t.TempDir(), "dist")
	t.Setenv("SOURCE_DATE_EPOCH", "1750000000")
	if err := run([]string{"-version", version, "-kind", installer.Debian, "-agent", agent, "-license", "../../LICENSE", "-out", dist}); err != nil {
		t.Fatal(err)
	}

	settings := append(os.Environ(), "ORIEL_LISTEN=127.0.0.1:0", "ORIEL_TURN_UDP=off", "ORIEL_TURN_TCP=off",
		"ORIEL_DATA="+t.TempDir(), "ORIEL_DOWNLOADS="+dist)
	serve := exec.Command(relay, "serve")
	serve.Env = settings
	var log bytes.Buffer
	serve.Stderr = &log
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		serve.Process.Signal(syscall.SIGTERM)
		serve.Wait()
		if t.Failed() {
			t.Logf("the relay said\n%s", log.String())
		}
	})
	var url, ownerToken string
	for lines := bufio.NewScanner(stdout); ownerToken == "" && lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if address, token, ok := strings.Cut(line, "/owner#"); ok {
			url, ownerToken = address, token
		}
	}
	if ownerToken == "" {
		t.Fatalf("the relay prints no owner's link: %s", log.String())
	}

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	owner := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	call := func(method, path string, in, out any) {
		t.Helper()
		body, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest(method, url+"/api/v1"+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := owner.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusCreated {
			t.Fatalf("%s %s: %s", method, path, answer.Status)
		}
		if err := json.NewDecoder(answer.Body).Decode(out); err != nil {
			t.Fatal(err)
		}
	}
	status := func() string {
		var list struct{ Computers []struct{ Status string } }
		call("GET", "/computers", nil, &list)
		if len(list.Computers) != 1 {
			return ""
		}
		return list.Computers[0].Status
	}
	call("POST", "/owner", map[string]string{"token": ownerToken, "name": "Ada", "email": "ada@example.com", "password": "a long enough password"}, &struct{}{})
	var created struct{ Token, Command string }
	call("POST", "/enrollment-tokens", map[string]any{"note": "test"}, &created)
	if !strings.Contains(created.Command, url+"/install.sh") || !strings.Contains(created.Command, created.Token) {
		t.Errorf("the command to paste is %q", created.Command)
	}

	if out, code := here.run(t, install, url, "--token", "oriel-aaaaaaaaaaaaaaaaaaaaaaaaaa-0123456789abcdef"); code != 1 || !strings.Contains(out, "oriel-agent: ") {
		t.Fatalf("with a token of nobody: exit code %d\n%s", code, out)
	}
	t.Cleanup(func() { here.run(t, `oriel-agent uninstall`) })
	if out, code := here.run(t, install, url, "--token", created.Token); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	waitFor(t, "the computer is online", func() bool { return status() == "online" })
	if out := here.must(t, `oriel-agent status`); !strings.Contains(out, "running") || !strings.Contains(out, "yes, computer") {
		t.Error(out)
	}
	if out, code := here.run(t, install, url, "--token", created.Token); code != 0 || !strings.Contains(out, "updated") {
		t.Errorf("a second time: exit code %d\n%s", code, out)
	}
	waitFor(t, "the updated computer is online", func() bool { return status() == "online" })

	here.must(t, `dpkg -r oriel-agent`)
	waitFor(t, "the removed computer is offline", func() bool { return status() == "offline" })
	here.must(t, `[ ! -e /etc/init.d/oriel-agent ] && [ -e /var/lib/oriel-agent ]; dpkg -P oriel-agent; [ ! -e /var/lib/oriel-agent ]`)
}

// The settings that a relay's package brings are settings of this relay.
func TestRelayUnderstandsItsSettings(t *testing.T) {
	text, err := supportFiles.ReadFile("files/relay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const data = "data: /var/lib/oriel-relay\n"
	if !strings.Contains(string(text), data) {
		t.Fatalf("the settings have no %q", data)
	}
	path := filepath.Join(t.TempDir(), "relay.yaml")
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), data, "data: "+t.TempDir()+"\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	doctor := exec.Command(built(t, installer.Relay), "doctor", "--config", path)
	doctor.Env = append(os.Environ(), "ORIEL_LISTEN=127.0.0.1:0", "ORIEL_TURN_UDP=off", "ORIEL_TURN_TCP=off")
	if out, err := doctor.CombinedOutput(); err != nil || !strings.Contains(string(out), "/usr/share/oriel-relay/downloads") {
		t.Errorf("%v\n%s", err, out)
	}
	// What is commented out is understood as well.
	whole := regexp.MustCompile(`(?m)^#([a-z-]+: )`).ReplaceAllString(string(text), "$1")
	whole = regexp.MustCompile(`(?m)^(public-url|tls-cert|tls-key|listen|database): .*\n`).ReplaceAllString(whole, "")
	if err := os.WriteFile(path, []byte(strings.Replace(whole, data, "data: "+t.TempDir()+"\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	doctor = exec.Command(built(t, installer.Relay), "doctor", "--config", path)
	doctor.Env = append(os.Environ(), "ORIEL_LISTEN=127.0.0.1:0", "ORIEL_TURN_UDP=off", "ORIEL_TURN_TCP=off")
	if out, _ := doctor.CombinedOutput(); doctor.ProcessState.ExitCode() == 2 {
		t.Errorf("the settings that are commented out are not understood: %s", out)
	}
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}
