package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"oriel/installer"
)

const token = "oriel-abcdefghijklmnopqrstuvwxyz-0123456789abcdef0123456789abcdef"

// offer serves a release as a relay does. spoil changes what a download sends.
func offer(t *testing.T, spoil func(text string) string) (url string, downloads *atomic.Int32) {
	t.Helper()
	dir, m := pack(t)
	downloads = new(atomic.Int32)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	script, err := installer.Script(server.URL, m)
	if err != nil {
		t.Fatal(err)
	}
	mux.HandleFunc("GET /install.sh", func(w http.ResponseWriter, r *http.Request) { w.Write(script) })
	mux.HandleFunc("GET /download/{name}", func(w http.ResponseWriter, r *http.Request) {
		downloads.Add(1)
		if spoil != nil {
			w.Write([]byte(spoil(r.PathValue("name"))))
			return
		}
		http.ServeFile(w, r, filepath.Join(dir, r.PathValue("name")))
	})
	return server.URL, downloads
}

const install = `url=$1; shift; curl -fsSL "$url/install.sh" | sh -s -- "$@"`

func TestScriptInstalls(t *testing.T) {
	url, _ := offer(t, nil)
	for _, test := range []struct {
		name, agent, check string
		args               []string
		before             string
	}{
		{"deb", "/usr/bin/oriel-agent", `dpkg -s oriel-agent | grep -q '^Status: install ok installed'`, nil, ""},
		{"tar.gz", "/usr/local/bin/oriel-agent", `! dpkg -s oriel-agent`, []string{"--kind", "tar.gz"}, ""},
		{"no package manager", "/usr/local/bin/oriel-agent", ``, nil, `rm /usr/bin/dpkg /usr/bin/rpm`},
		{"without curl", "/usr/bin/oriel-agent", ``, nil, `mv /usr/bin/curl /usr/bin/fetch`},
		{"with openssl only", "/usr/bin/oriel-agent", ``, nil, `rm /usr/bin/sha256sum /usr/bin/shasum`},
	} {
		t.Run(test.name, func(t *testing.T) {
			here := newMachine(t)
			get := install
			if test.name == "without curl" {
				// wget is not on every machine; here it is what curl was.
				get = strings.Replace(install, "curl", "fetch", 1)
				here.must(t, `command -v wget || printf '#!/bin/sh\nexec fetch -fsSL -o "$3" "$4"\n' >/usr/bin/wget && chmod 755 /usr/bin/wget`)
			}
			here.must(t, test.before)
			args := append([]string{url, "--token", token}, test.args...)
			if out, code := here.run(t, get, args...); code != 0 || !strings.Contains(out, "done; this computer is now in the list at "+url) {
				t.Fatalf("exit code %d\n%s", code, out)
			}
			want := test.agent + "|install|--relay|" + url + "|token=" + token
			if got := here.must(t, `cat /called`); got != want {
				t.Errorf("the agent was called as %s\nnot %s", got, want)
			}
			here.must(t, test.check)
			// Again, over itself: the enrollment stays, the service runs what is new.
			if out, code := here.run(t, get, args...); code != 0 || !strings.Contains(out, "updated") {
				t.Errorf("the second time: exit code %d\n%s", code, out)
			}
			want = test.agent + "|stop|token=(null)\n" + test.agent + "|start|token=(null)"
			if got := here.must(t, `tail -n +2 /called`); got != want {
				t.Errorf("for the update the agent was called as %s\nnot %s", got, want)
			}
			if left := here.must(t, `ls -d /tmp/oriel.* 2>/dev/null || true`); left != "" {
				t.Errorf("left behind: %s", left)
			}
		})
	}
}

func TestScriptTakesATokenFromTheEnvironment(t *testing.T) {
	url, _ := offer(t, nil)
	here := newMachine(t)
	here.must(t, `curl -fsSL "$1/install.sh" | ORIEL_TOKEN=$2 sh -s -- --ca /etc/passwd`, url, token)
	if got := here.must(t, `cat /called`); !strings.Contains(got, "|--ca|/etc/passwd|token="+token) {
		t.Error(got)
	}
}

func TestScriptRefuses(t *testing.T) {
	good, downloads := offer(t, nil)
	longer, _ := offer(t, func(string) string { return "something else" })
	var size int
	forged, _ := offer(t, func(name string) string { return strings.Repeat("x", size) })
	for _, test := range []struct {
		name, url, before, script, want string
		args                            []string
		code                            int
	}{
		{"another size", longer, "", install, "has 14 bytes and should have", []string{"--token", token}, 1},
		{"another file", forged, "", install, "wrong SHA-256", []string{"--token", token}, 1},
		{"another processor", good, `printf '#!/bin/sh\necho riscv64\n' >/usr/bin/uname`, install, "no agent for riscv64 on riscv64", []string{"--token", token}, 1},
		{"another user", good, "", `curl -fsSL "$1/install.sh" >/tmp/i; chmod 644 /tmp/i; setpriv --reuid 65534 --clear-groups sh /tmp/i --token x`, "installing needs root", nil, 1},
		{"nothing to download with", good, `cp /usr/bin/curl /tmp/fetch; rm -f /usr/bin/curl /usr/bin/wget`, strings.Replace(install, "curl", "/tmp/fetch", 1), "curl or wget is needed", []string{"--token", token}, 1},
		{"a program that does not run", good, `printf '#!/bin/sh\necho this C library is too old >&2; exit 127\n' >/tmp/agent`,
			strings.Replace(install, "sh -s", `sed 's|"$agent" version|sh /tmp/agent|g' \| sh -s`, 1), "does not run on this system: this C library is too old", []string{"--token", token}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			here := newMachine(t)
			here.must(t, test.before)
			if test.url == forged {
				size = announced(t, here, forged)
			}
			before := downloads.Load()
			out, code := here.run(t, strings.ReplaceAll(test.script, `\|`, "|"), append([]string{test.url}, test.args...)...)
			if code != test.code || !strings.Contains(out, test.want) {
				t.Fatalf("exit code %d, want %d and %q\n%s", code, test.code, test.want, out)
			}
			here.must(t, `[ ! -e /called ] && [ -z "$(ls -d /tmp/oriel.* 2>/dev/null)" ]`)
			if test.name != "a program that does not run" {
				here.must(t, `[ ! -e /usr/bin/oriel-agent ] && [ ! -e /usr/local/bin/oriel-agent ]`)
				if downloads.Load() != before {
					t.Error("something was downloaded all the same")
				}
			}
		})
	}
}

// announced is the size that the script at url expects of the .deb.
func announced(t *testing.T, here *machine, url string) int {
	t.Helper()
	size := 0
	for _, digit := range here.must(t, `curl -fsSL "$1/install.sh" | awk '$3 == "deb" {print $4}'`, url) {
		size = size*10 + int(digit-'0')
	}
	return size
}
