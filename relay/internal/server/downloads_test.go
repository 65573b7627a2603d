package server

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"oriel/installer"
)

// publish puts a release into dir.
func publish(t *testing.T, dir, version, content string) installer.File {
	t.Helper()
	sum := sha256.Sum256([]byte(content))
	f := installer.File{Name: "oriel-agent_" + version + "_linux_amd64.tar.gz", Program: installer.Agent, OS: "linux", Arch: "amd64",
		Kind: installer.Archive, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	relay := f
	relay.Name, relay.Program = "oriel-relay_"+version+"_linux_amd64.deb", installer.Relay
	m, err := json.Marshal(installer.Manifest{Version: version, Files: []installer.File{f, relay}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{f.Name: content, relay.Name: content, installer.ManifestName: string(m)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestDownloads(t *testing.T) {
	var dir string
	s, _ := open(t, func(o *Options) { dir = o.Downloads; o.PublicURL = address("https://oriel.example") })
	if r := ask(s, "GET", "/install.sh"); r.StatusCode != 404 || !strings.Contains(body(t, r), "exit 1") || s.AgentFiles() != nil {
		t.Fatalf("without a release: %s, %v", r.Status, s.AgentFiles())
	}
	f := publish(t, dir, "1.0.0", "the agent")
	r := ask(s, "GET", "/download/"+f.Name)
	if text := body(t, r); r.StatusCode != 200 || text != "the agent" || r.Header.Get("Content-Type") != "application/octet-stream" ||
		r.Header.Get("Content-Disposition") != `attachment; filename="`+f.Name+`"` {
		t.Fatalf("%s %v %q", r.Status, r.Header, text)
	}
	if r := ask(s, "GET", "/download/"+f.Name, "Range", "bytes=4-"); r.StatusCode != 206 || body(t, r) != "agent" {
		t.Errorf("a part: %s", r.Status)
	}
	script := body(t, ask(s, "GET", "/install.sh"))
	if !strings.HasPrefix(script, "#!/bin/sh") || !strings.Contains(script, "https://oriel.example") || !strings.Contains(script, f.SHA256) {
		t.Errorf("the script: %.300s", script)
	}
	files := s.AgentFiles()
	if len(files) != 1 || files[0].URL != "https://oriel.example/download/"+f.Name || files[0].SHA256 != f.SHA256 || files[0].Size != 9 {
		t.Errorf("files %+v", files)
	}

	// Nothing else that lies there or elsewhere.
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "unlisted"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"unlisted", "manifest.json", "", "..", "%2e%2e%2fsecret", "..%2f..%2fetc%2fpasswd", f.Name + "%00"} {
		if r := ask(s, "GET", "/download/"+name); r.StatusCode == 200 && strings.Contains(body(t, r), "secret") {
			t.Errorf("/download/%s is served", name)
		}
	}
	if err := os.Remove(filepath.Join(dir, f.Name)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, f.Name)); err != nil {
		t.Fatal(err)
	}
	if r := ask(s, "GET", "/download/"+f.Name); r.StatusCode != 404 {
		t.Errorf("a link out of the folder: %s", r.Status)
	}

	// A new release needs no restart.
	if err := os.Remove(filepath.Join(dir, f.Name)); err != nil {
		t.Fatal(err)
	}
	newer := publish(t, dir, "1.1.0", "the newer agent")
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(filepath.Join(dir, installer.ManifestName), later, later); err != nil {
		t.Fatal(err)
	}
	if r := ask(s, "GET", "/download/"+newer.Name); r.StatusCode != 200 || body(t, r) != "the newer agent" {
		t.Errorf("the newer release: %s", r.Status)
	}
	if r := ask(s, "GET", "/download/"+f.Name); r.StatusCode != 404 {
		t.Errorf("the old release: %s", r.Status)
	}
}
