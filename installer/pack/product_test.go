package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

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
	cmd := exec.Command("go", "build", "-tags", "x11", "-trimpath", "-buildvcs=false", "-o", path, "../../"+strings.TrimPrefix(name, "oriel-"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// packBuilt makes packages of one kind of the programs, in a process of its
// own: under the race detector that takes ten times as long.
func packBuilt(t *testing.T, out, kind string, programs ...string) {
	t.Helper()
	args := []string{"run", "-tags", "x11", "-trimpath", "-buildvcs=false", ".",
		"-version", version, "-kind", kind, "-unit", unit, "-license", "../../LICENSE", "-out", out}
	for _, name := range programs {
		args = append(args, strings.Replace(name, "oriel", "", 1), built(t, name))
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1750000000")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// ownerLink is what a relay without an owner prints.
var ownerLink = regexp.MustCompile(`http\S+/owner#\S+`)

// owner is the person to whom a relay belongs, at a shell of the machine.
type owner struct {
	here *machine
	url  string // the relay's
}

// newOwner follows the one-time link that a relay prints.
func newOwner(t *testing.T, here *machine, link string) *owner {
	t.Helper()
	url, token, ok := strings.Cut(link, "/owner#")
	if !ok {
		t.Fatalf("%q is no owner's link", link)
	}
	o := &owner{here, url}
	o.call(t, "POST", "/owner", map[string]string{"token": token, "name": "Ada", "email": "ada@example.com", "password": "a long enough password"}, &struct{}{})
	return o
}

func (o *owner) call(t *testing.T, method, path string, in, out any) {
	t.Helper()
	body := []byte{}
	if in != nil { // a request that takes no body is refused one
		var err error
		if body, err = json.Marshal(in); err != nil {
			t.Fatal(err)
		}
	}
	answer := o.here.must(t, `curl -fs -m 10 --retry 9 --retry-delay 1 --retry-connrefused -b /root/jar -c /root/jar -X "$1" -H 'Content-Type: application/json' -d "$2" "$3"`,
		method, string(body), o.url+"/api/v1"+path)
	if err := json.Unmarshal([]byte(answer), out); err != nil {
		t.Fatalf("%s %s: %v\n%s", method, path, err, answer)
	}
}

// token makes an enrollment token, and the command to paste.
func (o *owner) token(t *testing.T) (token, command string) {
	t.Helper()
	var created struct{ Token, Command string }
	o.call(t, "POST", "/enrollment-tokens", map[string]string{"note": "test"}, &created)
	return created.Token, created.Command
}

// wait waits until there is one computer, and it is online or offline.
func (o *owner) wait(t *testing.T, status string) {
	t.Helper()
	waitFor(t, "the computer is "+status, func() bool {
		var list struct{ Items []struct{ Status string } }
		o.call(t, "GET", "/computers", nil, &list)
		return len(list.Items) == 1 && list.Items[0].Status == status
	})
}

// The real thing: a relay with a release, an owner with a token, and a computer
// on which somebody pastes the command.
func TestAComputerJoinsByTheScript(t *testing.T) {
	relay := built(t, installer.Relay)
	here := newMachine(t)
	dist := filepath.Join(t.TempDir(), "dist")
	packBuilt(t, dist, installer.Debian, installer.Agent)

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
	link := ""
	for lines := bufio.NewScanner(stdout); link == "" && lines.Scan(); {
		link = ownerLink.FindString(lines.Text())
	}

	ada := newOwner(t, here, link)
	token, command := ada.token(t)
	if !strings.Contains(command, ada.url+"/install.sh") || !strings.Contains(command, token) {
		t.Errorf("the command to paste is %q", command)
	}

	if out, code := here.run(t, install, ada.url, "--token", "oriel-aaaaaaaaaaaaaaaaaaaaaaaaaa-0123456789abcdef0123456789abcdef"); code != 1 || !strings.Contains(out, "oriel-agent: ") {
		t.Fatalf("with a token of nobody: exit code %d\n%s", code, out)
	}
	t.Cleanup(func() { here.run(t, `oriel-agent uninstall`) })
	if out, code := here.run(t, install, ada.url, "--token", token); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	ada.wait(t, "online")
	if out := here.must(t, `oriel-agent status`); !strings.Contains(out, "running") || !strings.Contains(out, "yes, computer") {
		t.Error(out)
	}
	if out, code := here.run(t, install, ada.url, "--token", token); code != 0 || !strings.Contains(out, "updated") {
		t.Errorf("a second time: exit code %d\n%s", code, out)
	}
	ada.wait(t, "online")

	here.must(t, `dpkg -r oriel-agent`)
	ada.wait(t, "offline")
	here.must(t, `[ ! -e /etc/init.d/oriel-agent ] && [ -e /var/lib/oriel-agent ]; dpkg -P oriel-agent; [ ! -e /var/lib/oriel-agent ] && [ ! -e /var/log/oriel-agent.log ]`)
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
