package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// clean gives the test an environment without settings of this machine.
func clean(t *testing.T) {
	for _, one := range os.Environ() {
		if name, value, _ := strings.Cut(one, "="); strings.HasPrefix(name, "ORIEL_") {
			t.Setenv(name, value) // restores it afterwards
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func run(t *testing.T, args ...string) (string, *Config, error) {
	t.Helper()
	var out bytes.Buffer
	return parse(args, &out, &out, filepath.Join(t.TempDir(), "none.yaml"))
}

func good(t *testing.T, args ...string) *Config {
	t.Helper()
	_, c, err := run(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "relay.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	clean(t)
	c := good(t, "serve", "--data", "/srv/oriel")
	want := &Config{Name: "Oriel", Listen: "127.0.0.1:8080", Data: "/srv/oriel", Database: "sqlite:/srv/oriel/relay.db",
		Downloads: "/srv/oriel/dist", LogLevel: "info", LogFormat: "text",
		TLS:  TLS{ACME: ACME{Directory: "https://acme-v02.api.letsencrypt.org/directory"}},
		TURN: TURN{UDP: "127.0.0.1:3478", TCP: "127.0.0.1:3478", Realm: "oriel"}, Lease: 15 * time.Minute, AuditKeep: 400 * 24 * time.Hour, Token: Token{Uses: 1, Lifetime: 24 * time.Hour}, Audit: Audit{Format: "jsonl"}}
	if !reflect.DeepEqual(c, want) {
		t.Fatalf("got  %+v\nwant %+v", c, want)
	}
	if c.TLS.On() {
		t.Error("TLS is on")
	}
}

func TestFlagBeatsEnvironmentBeatsFile(t *testing.T) {
	clean(t)
	file := write(t, `
name: from file
log-level: warn
log_format: json
turn:
  realm: from.file
  allow-peers: [10.0.0.0/8, 192.0.2.7]
  allocations: 7
`)
	t.Setenv("ORIEL_LOG_LEVEL", "error")
	t.Setenv("ORIEL_TURN_REALM", "from.env")
	c := good(t, "serve", "--config", file, "--turn-realm", "from.flag")
	if c.Name != "from file" || c.LogLevel != "error" || c.LogFormat != "json" || c.TURN.Realm != "from.flag" ||
		len(c.TURN.AllowPeers) != 2 || c.TURN.AllowPeers[1].String() != "192.0.2.7/32" || c.TURN.Allocations != 7 {
		t.Fatalf("%+v", c)
	}
	t.Setenv("ORIEL_CONFIG", file)
	if c := good(t, "serve"); c.Name != "from file" || c.TURN.Realm != "from.env" {
		t.Fatalf("with the file named by the environment: %+v", c)
	}
}

func TestDefaultFile(t *testing.T) {
	clean(t)
	_, c, err := parse([]string{"serve"}, &bytes.Buffer{}, &bytes.Buffer{}, write(t, `{"name": "JSON is YAML"}`))
	if err != nil || c.Name != "JSON is YAML" {
		t.Fatalf("%+v, %v", c, err)
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	clean(t)
	t.Setenv("ORIEL_LOG_LEVEL", "loud")
	file := write(t, "nmae: x\nturn: {ports: 9-1, colour: red}\n")
	_, c, err := run(t, "serve", "--config", file, "--listen", "nonsense", "--database", "mysql://x", "--tls-cert", "/no/such.pem",
		"--turn-udp", "1:2:3", "--turn-allow-peers", "10.0.0.0/8,ten", "--trusted-proxies", "x", "--public-url", "ftp://x",
		"--agent-relays", "https://a.example,b", "--metrics-token", "short", "--node", "a b", "--log-format", "xml",
		"--smtp-host", "mail:25", "--smtp-tls", "ssl", "--smtp-port", "x", "--smtp-from", "x", "--smtp-user", "u", "--smtp-ca", "/no/such.pem", "--smtp-from-name", "a\nb",
		"--turn-allocations=-1", "--lease-minutes=1", "--audit-days=0", "--nats", "http://x", "--blobs", "gs://x", "--name", " ", "--turn-public-address", "0.0.0.0")
	var p *Problems
	if !errors.As(err, &p) || c != nil {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, name := range []string{"nmae", "turn-colour", "turn-ports", "log-level", "listen", "database", "tls-cert, tls-key", "tls-cert",
		"turn-udp", "turn-allow-peers", "trusted-proxies", "public-url", "agent-relays", "metrics-token", "node", "log-format",
		"turn-allocations", "lease-minutes", "audit-days", "nats", "blobs", "name", "turn-public-address",
		"smtp-host", "smtp-tls", "smtp-port", "smtp-from", "smtp-user, smtp-password", "smtp-ca", "smtp-from-name"} {
		found := 0
		for _, line := range p.List {
			if strings.HasPrefix(line, name+": ") {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%d problems about %s in\n%v", found, name, err)
		}
	}
	if len(p.List) != 30 {
		t.Errorf("%d problems, want 30:\n%v", len(p.List), err)
	}
}

func TestOneProblem(t *testing.T) {
	clean(t)
	pem, secret := write(t, "certificate"), write(t, "a secret\n")
	for _, c := range []struct {
		args string
		want string // how the only problem begins; empty: none
	}{
		{"", ""},
		{"--listen :0", ""}, // refused below: all addresses
		{"--listen localhost:8080", ""},
		{"--listen [::1]:8080", ""},
		{"--listen 0.0.0.0:80 --turn-public-address 192.0.2.1", "public-url: listening on 0.0.0.0:80"},
		{"--listen 0.0.0.0:80 --turn-public-address 192.0.2.1 --public-url http://oriel.lan", ""},
		{"--listen 0.0.0.0:80 --public-url http://oriel.lan", "turn-public-address: "},
		{"--listen 0.0.0.0:80 --public-url http://oriel.lan --turn-udp off --turn-tcp off", ""},
		{"--public-url https://oriel.example.com", "public-url: begins with https"},
		{"--public-url https://oriel.example.com --trusted-proxies 127.0.0.1", ""},
		{"--public-url https://oriel.example.com/path --trusted-proxies 127.0.0.1", "public-url: https://oriel.example.com is all"},
		{"--public-url https://u:p@oriel.example.com --trusted-proxies ::1", "public-url: https://oriel.example.com is all"},
		{"--tls-cert PEM --tls-key PEM", ""},
		{"--tls-cert PEM --tls-key PEM --public-url http://127.0.0.1", "public-url: the relay speaks TLS"},
		{"--tls-cert PEM --tls-key PEM --acme-hosts a.example", "acme-hosts, tls-cert: "},
		{"--tls-cert PEM", "tls-cert, tls-key: "},
		{"--acme-hosts oriel.example.com", ""},
		{"--acme-hosts 192.0.2.1", "acme-hosts: "},
		{"--acme-hosts a.example --acme-directory http://ca", "acme-directory: "},
		{"--metrics-listen 127.0.0.1:8080", "listen, metrics-listen: both"},
		{"--turn-tcp 127.0.0.1:8080", "listen, turn-tcp: both"},
		{"--turn-ports 5000-5000", ""},
		{"--turn-bytes-per-second 4M", ""},
		{"--turn-bytes-per-second 4G", "turn-bytes-per-second: "},
		{"--database postgres://u:p@h:5432/d", ""},
		{"--nats nats://127.0.0.1:4222,tls://u:p@b:4222", ""},
		{"--nats nats://a:4222,tls://u:p@b:4222", "nats: a:4222: beyond loopback"},
		{"--nats tls://a:4222", "nats: a:4222: beyond loopback"},
		{"--blobs s3://bucket?region=x", ""},
		{"--node node_1-a", ""},
		{"--smtp-host mail.example.com --smtp-from oriel@example.com", ""},
		{"--smtp-host mail.example.com", "smtp-from: "},
		{"--smtp-from oriel@example.com", "smtp-from: there is no mail server"},
		{"--smtp-host 127.0.0.1 --smtp-tls none --smtp-from oriel@example.com", ""},
		{"--smtp-host mail.example.com --smtp-tls none --smtp-from oriel@example.com", "smtp-tls: without TLS"},
		{"--smtp-host mail.example.com --smtp-tls insecure --smtp-from oriel@example.com", ""},
		{"--smtp-host mail.example.com --smtp-tls insecure --smtp-from oriel@example.com --smtp-user u --smtp-password-file SECRET", "smtp-user: without TLS"},
		{"--smtp-host 127.0.0.1 --smtp-tls none --smtp-from oriel@example.com --smtp-user u --smtp-password-file SECRET", ""},
		{"--smtp-host mail.example.com --smtp-from oriel@example.com --smtp-password-file SECRET", "smtp-user, smtp-password: give both"},
		{"--smtp-host mail.example.com --smtp-from oriel@example.com --smtp-user u --smtp-password-file /no/such", "smtp-password-file: "},
		{"--smtp-host mail.example.com --smtp-from oriel@example.com --smtp-user u --smtp-password p", "smtp-password: others on this machine"},
		{"--smtp-host mail.example.com --smtp-from oriel@example.com --smtp-user u --smtp-password=p", "smtp-password: others on this machine"},
		{"--smtp-host mail.example.com --smtp-from oriel@example.com --public-url http://oriel.lan", "smtp-host: mails carry links"},
	} {
		if strings.HasPrefix(c.args, "--listen :0") {
			c.want = "public-url: "
			c.args += " --turn-udp off --turn-tcp off"
		}
		_, got, err := run(t, append([]string{"serve"}, strings.Fields(strings.NewReplacer("PEM", pem, "SECRET", secret).Replace(c.args))...)...)
		var p *Problems
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.args, err)
		case c.want == "":
			if got == nil {
				t.Errorf("%s: no config", c.args)
			}
		case !errors.As(err, &p) || len(p.List) != 1 || !strings.HasPrefix(p.List[0], c.want):
			t.Errorf("%s: %v, want one problem %q", c.args, err, c.want)
		}
	}
}

func TestValues(t *testing.T) {
	clean(t)
	c := good(t, "serve", "--acme-hosts", "Oriel.Example.com", "--listen", "0.0.0.0:8443", "--turn-public-address", "192.0.2.1",
		"--turn-ports", "50000-50100", "--turn-bytes-per-second", "4M", "--turn-tcp", "off", "--agent-relays", "https://A.example/,http://b:1")
	if c.PublicURL.String() != "https://Oriel.Example.com:8443" && c.PublicURL.String() != "https://oriel.example.com:8443" {
		t.Errorf("public URL %s", c.PublicURL)
	}
	if !c.TLS.On() || c.TLS.ACME.Hosts[0] != "oriel.example.com" || c.TURN.MinPort != 50000 || c.TURN.MaxPort != 50100 ||
		c.TURN.BytesPerSecond != 4_000_000 || c.TURN.TCP != "" || c.TURN.UDP != "0.0.0.0:3478" ||
		strings.Join(c.AgentRelays, " ") != "https://a.example http://b:1" {
		t.Errorf("%+v", c)
	}
}

func TestAnyPort(t *testing.T) {
	clean(t)
	if c := good(t, "serve", "--listen", "127.0.0.1:0"); c.TURN.UDP != "127.0.0.1:0" || c.TURN.TCP != "127.0.0.1:0" {
		t.Errorf("%+v", c.TURN)
	}
}

// Rule: the password of the mail server comes from a file, the environment or the
// configuration, and not from a command line.
func TestMailPassword(t *testing.T) {
	clean(t)
	args := []string{"serve", "--smtp-host", "mail.example.com", "--smtp-from", "oriel@example.com", "--smtp-user", "u"}
	want := SMTP{Host: "mail.example.com", Port: 587, TLS: StartTLS, User: "u", Password: "a secret", From: "oriel@example.com", FromName: "Oriel"}
	if c := good(t, append(args, "--smtp-password-file", write(t, "a secret\n"))...); c.SMTP != want || !c.SMTP.On() {
		t.Errorf("from a file: %+v", c.SMTP)
	}
	if c := good(t, append(args, "--config", write(t, "smtp: {password: a secret, tls: tls}"))...); c.SMTP.Password != want.Password || c.SMTP.Port != 465 {
		t.Errorf("from the configuration: %+v", c.SMTP)
	}
	t.Setenv("ORIEL_SMTP_PASSWORD", "a secret")
	if c := good(t, args...); c.SMTP != want {
		t.Errorf("from the environment: %+v", c.SMTP)
	}
	if _, _, err := run(t, append(args, "--smtp-password-file", write(t, "another"))...); err == nil || !strings.Contains(err.Error(), "give one of them") {
		t.Errorf("two passwords: %v", err)
	}
	open := write(t, "a secret")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	clean(t)
	if _, _, err := run(t, append(args, "--smtp-password-file", open)...); err == nil {
		t.Error("a file that others can read is taken")
	}
}

func TestCommands(t *testing.T) {
	clean(t)
	for args, want := range map[string]string{"serve": Serve, "doctor": Doctor, "owner link": OwnerLink, "token create": NewToken, "key succession": KeySuccession, "key rotate": KeyRotate, "openapi": OpenAPI, "version": Version} {
		if got, _, err := run(t, strings.Fields(args)...); got != want || err != nil {
			t.Errorf("%s is %q, %v", args, got, err)
		}
	}
	_, c, err := run(t, "token", "create", "--note", "lab", "--uses", "30", "--hours", "2")
	if err != nil || c.Token != (Token{Note: "lab", Uses: 30, Lifetime: 2 * time.Hour}) {
		t.Errorf("%+v, %v", c, err)
	}
	// What prints and ends needs no settings.
	if _, _, err := run(t, "version", "--listen", "nonsense"); err != nil {
		t.Error(err)
	}
	if _, _, err := run(t, "owner"); err == nil {
		t.Error("half a command is taken")
	}
	if _, _, err := run(t, "serve", "--no-such-flag"); err == nil {
		t.Error("an unknown flag is taken")
	}
	var out bytes.Buffer
	if _, _, err := Parse([]string{"--help"}, &out, &out); !errors.Is(err, ErrHelp) || !strings.Contains(out.String(), "--turn-public-address") {
		t.Errorf("help: %v\n%s", err, &out)
	}
}

func TestBadFiles(t *testing.T) {
	clean(t)
	for name, text := range map[string]string{
		"no YAML":   "a: [",
		"a list":    "- a",
		"too large": "name: " + strings.Repeat("x", maxFile),
	} {
		if _, _, err := run(t, "serve", "--config", write(t, text)); err == nil {
			t.Errorf("a file that is %s is taken", name)
		}
	}
	if _, _, err := run(t, "serve", "--config", "/no/such/file"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, _, err := run(t, "serve", "--config", write(t, "turn-udp: off\nturn: {udp: off}\nlog-level: info\n")); err == nil ||
		!strings.HasPrefix(err.Error(), "turn-udp: stands twice") {
		t.Errorf("a setting that stands twice: %v", err)
	}
	if _, _, err := run(t, "serve", "--config", write(t, "")); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

// Whatever stands in a file, there is a Config or an error and no panic.
func FuzzFile(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\nturn: {udp: off, allow-peers: [10.0.0.0/8]}")
	f.Add(`{"acme-hosts": ["a.example"], "turn-ports": "1-2", "log_level": null}`)
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, c, err := parse([]string{"serve"}, &bytes.Buffer{}, &bytes.Buffer{}, path)
		if (c == nil) == (err == nil) {
			t.Fatalf("%+v, %v", c, err)
		}
	})
}
