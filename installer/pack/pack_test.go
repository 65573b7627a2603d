package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"oriel/installer"
)

// What these tests pack is a program that notes how it was called. It is a real
// executable that links to the C library, as the agent does.
const noting = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
	if (argc < 2 || !strcmp(argv[1], "version")) return 0;
	if (!strcmp(argv[1], "status")) {
		int service = !access("/called", F_OK);
		puts(service ? "service:  running" : "service:  not installed");
		return service ? 0 : 3;
	}
	FILE *f = fopen("/called", "a");
	if (!f) return 1;
	for (int i = 0; i < argc; i++) fprintf(f, "%s|", argv[i]);
	fprintf(f, "token=%s\n", getenv("ORIEL_TOKEN"));
	return fclose(f) != 0;
}`

// program compiles it once for all tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "oriel-pack-test-*")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "program")
	cc := exec.Command("cc", "-x", "c", "-o", path, "-")
	cc.Stdin = strings.NewReader(noting)
	if out, err := cc.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

const (
	version = "1.2.3-rc1"
	unit    = "../../agent/internal/daemon/oriel-agent.service"
)

// pack makes a release out of that program.
func pack(t *testing.T) (string, installer.Manifest) {
	t.Helper()
	self, err := program()
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "dist")
	t.Setenv("SOURCE_DATE_EPOCH", "1750000000")
	if err := run([]string{"-version", version, "-agent", self, "-relay", self, "-unit", unit, "-license", "../../LICENSE", "-out", out}); err != nil {
		t.Fatal(err)
	}
	m, err := installer.Load(out)
	if err != nil {
		t.Fatal(err)
	}
	return out, m
}

func fileOf(t *testing.T, dir string, m installer.Manifest, program, kind string) string {
	t.Helper()
	i := slices.IndexFunc(m.Files, func(f installer.File) bool { return f.Program == program && f.Kind == kind })
	if i < 0 {
		t.Fatalf("the release has no %s of %s", kind, program)
	}
	return filepath.Join(dir, m.Files[i].Name)
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
	}
	return string(out)
}

func TestReleaseIsWhatItsManifestSays(t *testing.T) {
	dir, m := pack(t)
	if m.Version != version || len(m.Files) != 6 {
		t.Fatalf("%+v", m)
	}
	for _, f := range m.Files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != f.SHA256 || int64(len(text)) != f.Size {
			t.Errorf("%s is not what the manifest says", f.Name)
		}
	}
	sums := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	sums.Dir = dir
	if out, err := sums.CombinedOutput(); err != nil || strings.Count(string(out), ": OK") != 6 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestReleaseIsReproducible(t *testing.T) {
	_, first := pack(t)
	_, second := pack(t)
	if !slices.Equal(first.Files, second.Files) {
		t.Errorf("%+v\n%+v", first.Files, second.Files)
	}
}

func TestContents(t *testing.T) {
	dir, m := pack(t)
	agentFiles := []string{"/usr/bin/oriel-agent", "/usr/lib/systemd/system/oriel-agent.service", "/usr/share/doc/oriel-agent/copyright"}
	relayFiles := []string{
		"/etc/oriel/relay.yaml", "/usr/bin/oriel-relay", "/usr/lib/systemd/system/oriel-relay.service",
		"/usr/share/doc/oriel-relay/copyright", "/usr/share/oriel-relay/downloads/manifest.json",
	}
	for _, f := range m.Of(installer.Agent) {
		relayFiles = append(relayFiles, "/usr/share/oriel-relay/downloads/"+f.Name)
	}
	for name, want := range map[string][]string{installer.Agent: agentFiles, installer.Relay: relayFiles} {
		slices.Sort(want)
		var got []string
		for line := range strings.Lines(output(t, "dpkg-deb", "--contents", fileOf(t, dir, m, name, installer.Debian))) {
			field := strings.Fields(line)
			if strings.HasPrefix(field[0], "-") {
				got = append(got, strings.TrimPrefix(field[5], "."))
			}
			if field[1] != "root/root" {
				t.Errorf("not root's: %s", line)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("the .deb has %q\nnot %q", got, want)
		}
		got = strings.Fields(output(t, "rpm", "-qpl", "--nosignature", fileOf(t, dir, m, name, installer.RedHat)))
		got = slices.DeleteFunc(got, func(p string) bool { return !slices.Contains(want, p) && slices.Contains(parents(want), p) })
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("the .rpm has %q\nnot %q", got, want)
		}
		archive := output(t, "tar", "-tzf", fileOf(t, dir, m, name, installer.Archive))
		if n := strings.Count(archive, "\n"); n != len(want) || !strings.Contains(archive, "/"+name+"\n") {
			t.Errorf("%d files in the archive:\n%s", n, archive)
		}
	}

	deb := output(t, "dpkg-deb", "--field", fileOf(t, dir, m, installer.Agent, installer.Debian))
	for _, want := range []string{"Package: oriel-agent\n", "Version: 1.2.3~rc1", "Architecture: amd64\n", "Depends: libc6 (>= 2."} {
		if !strings.Contains(deb, want) {
			t.Errorf("the .deb says\n%s\nand not %q", deb, want)
		}
	}
	rpm := fileOf(t, dir, m, installer.Agent, installer.RedHat)
	if got := output(t, "rpm", "-qp", "--nosignature", "--qf", "%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{BUILDHOST}", rpm); got != "oriel-agent 1.2.3~rc1 1 x86_64 oriel" {
		t.Errorf("the .rpm says %s", got)
	}
	if got := output(t, "rpm", "-qpR", "--nosignature", rpm); !strings.Contains(got, "libc.so.6(GLIBC_2.") {
		t.Errorf("the .rpm requires %s", got)
	}
	output(t, "rpm", "--checksig", "--nosignature", rpm) // its digests
	unpacked := t.TempDir()
	unpack := exec.Command("sh", "-c", `rpm2cpio "$1" | cpio -idm --quiet --no-absolute-filenames`, "sh", rpm)
	unpack.Dir = unpacked
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	self, err := program()
	if err != nil {
		t.Fatal(err)
	}
	output(t, "cmp", self, filepath.Join(unpacked, "usr/bin/oriel-agent"))
}

// parents are the folders above the files; an .rpm lists those of its own.
func parents(files []string) []string {
	var dirs []string
	for _, f := range files {
		for d := filepath.Dir(f); d != "/"; d = filepath.Dir(d) {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

func TestRelayPackage(t *testing.T) {
	dir, m := pack(t)
	here := newMachine(t)
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	url := server.URL + "/" + filepath.Base(fileOf(t, dir, m, installer.Relay, installer.Debian))

	here.must(t, `curl -fsS -o /tmp/relay.deb "$1" && dpkg -i /tmp/relay.deb`, url)
	if got, want := here.must(t, `stat -c '%U:%G %a' /var/lib/oriel-relay /etc/oriel/relay.yaml`), "oriel:oriel 700\nroot:oriel 640"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := here.must(t, `getent passwd oriel | cut -d: -f6-`); got != "/var/lib/oriel-relay:/usr/sbin/nologin" {
		t.Errorf("user oriel: %s", got)
	}
	// What the relay would hand out is what was packed.
	here.must(t, `cd /usr/share/oriel-relay/downloads
		grep -o '"sha256": "[0-9a-f]*"' manifest.json | cut -d '"' -f 4 | sort >/tmp/want
		sha256sum oriel-agent_* | cut -d ' ' -f 1 | sort >/tmp/got
		[ $(wc -l </tmp/got) = 3 ] && cmp /tmp/want /tmp/got`)
	if out := here.must(t, `systemd-analyze verify /usr/lib/systemd/system/oriel-relay.service 2>&1`); strings.Contains(out, "oriel") {
		t.Errorf("systemd finds fault with the unit: %s", out)
	}
	here.must(t, `systemd-analyze security --offline=true --threshold=25 /usr/lib/systemd/system/oriel-relay.service`)

	// Installed again it keeps what the administrator wrote.
	here.must(t, `echo name: Test >>/etc/oriel/relay.yaml; echo keep >/var/lib/oriel-relay/oriel.db; dpkg -i --force-confold /tmp/relay.deb`)
	here.must(t, `grep -q "name: Test" /etc/oriel/relay.yaml`)
	here.must(t, `dpkg -r oriel-relay && [ -e /var/lib/oriel-relay/oriel.db ] && [ -e /etc/oriel/relay.yaml ]`)
	here.must(t, `dpkg -P oriel-relay && [ ! -e /var/lib/oriel-relay ] && [ ! -e /etc/oriel ] && ! getent passwd oriel`)
}
