package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// words of a program that runs.
type words struct {
	mu sync.Mutex
	b  bytes.Buffer // protected by mu
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// command runs oriel-relay to its end.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err words
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

// serving runs `serve` until stop; stop returns its exit code.
func serving(t *testing.T, data string, more ...string) (url string, out, log *words, stop func() int) {
	t.Helper()
	out, log = &words{}, &words{}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data}, more...), out, log)
	}()
	deadline := time.Now().Add(2 * time.Minute)
	for ; url == ""; time.Sleep(5 * time.Millisecond) {
		if found := regexp.MustCompile(`http://127\.0\.0\.1:\d+\n`).FindString(out.String()); found != "" {
			url = strings.TrimSpace(found)
		}
		select {
		case code := <-ended:
			t.Fatalf("serve ended with %d: %s%s", code, out, log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("serve says no address: %s%s", out, log)
		}
	}
	once := sync.OnceValue(func() int { cancel(); return <-ended })
	t.Cleanup(func() { once() })
	return url, out, log, once
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// saidLink is what linkForm finds, once the relay that starts has said it.
func saidLink(t *testing.T, out *words) []string {
	t.Helper()
	relaytest.Until(t, "the owner's link", func() bool { return linkForm.MatchString(out.String()) })
	return linkForm.FindStringSubmatch(out.String())
}

var linkForm = regexp.MustCompile(`http://127\.0\.0\.1:\d+/owner#([A-Za-z0-9_-]{43})\n`)

func TestServe(t *testing.T) {
	data := filepath.Join(t.TempDir(), "new", "data")
	url, out, log, stop := serving(t, data, "--log-level", "debug", "--log-format", "json")
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "blobs: ok\nbus: ok\ndatabase: ok\n"} {
		if status, body := get(t, url+path); status != 200 || body != want {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
	link := saidLink(t, out)
	file := filepath.Join(t.TempDir(), "oriel.backup")
	if code, _, said := command(t, "backup", file, "--data", data); code != 0 {
		t.Errorf("backup: %d %q", code, said)
	}
	if code, _, said := command(t, "restore", file, "--data", filepath.Join(t.TempDir(), "data")); code != 0 || !strings.Contains(said, "sealing.key") {
		t.Errorf("restore: %d %q", code, said)
	}
	if code, _, said := command(t, "restore", file, "--data", data); code != 1 || !strings.Contains(said, "another relay runs") {
		t.Errorf("restore beside a relay: %d %q", code, said)
	}
	// Beside the relay that runs: a new link, which replaces the first, and a token.
	listen := strings.TrimPrefix(url, "http://")
	code, again, hint := command(t, "owner", "link", "--data", data, "--listen", listen)
	second := linkForm.FindStringSubmatch(again)
	if code != 0 || second == nil || second[0] != again || second[1] == link[1] || !strings.HasPrefix(again, url) || hint == "" {
		t.Errorf("owner link: %d %q %q", code, again, hint)
	}
	code, token, _ := command(t, "token", "create", "--data", data, "--note", "lab", "--uses", "2")
	if code != 0 || !regexp.MustCompile(`^oriel-[a-z2-7]{26}-[0-9a-f]{32}\n$`).MatchString(token) {
		t.Errorf("token create: %d %q", code, token)
	}
	if code, out, problem := command(t, "token", "create", "--data", data, "--organization", "main"); code != 0 || !strings.HasPrefix(out, "oriel-") {
		t.Errorf("token create for the first organization by its code: %d %q %q", code, out, problem)
	}
	if code, out, problem := command(t, "token", "create", "--data", data, "--organization", "elsewhere"); code != 1 || out != "" || !strings.Contains(problem, `no organization with the code "elsewhere"`) {
		t.Errorf("token create for no organization: %d %q %q", code, out, problem)
	}
	owner := func(token string) int {
		body := fmt.Sprintf(`{"token":%q,"name":"Ada","email":"ada@example.com","password":"correct horse"}`, token)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
		res, err := client.Post(url+"/api/v1/owner", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	if s := owner(link[1]); s != 403 {
		t.Errorf("the replaced link: %d", s)
	}
	if second != nil {
		if s := owner(second[1]); s != 200 {
			t.Errorf("the link: %d", s)
		}
	}
	if code, out, err := command(t, "owner", "link", "--data", data); code != 1 || out != "" || !strings.Contains(err, "has an owner") {
		t.Errorf("a link beside an owner: %d %q %q", code, out, err)
	}
	// Rule: the audit is verified and exported on the command line, beside a relay that runs; the exit code says whether it is whole.
	if code, said, _ := command(t, "audit", "verify", "--data", data, "--organization", "main"); code != 0 || !strings.Contains(said, "nothing was altered or lost") {
		t.Errorf("audit verify: %d %q", code, said)
	}
	if code, all, _ := command(t, "audit", "export", "--data", data); code != 0 || !strings.Contains(all, `"action":"owner.made"`) || !strings.Contains(all, `"action":"audit.exported"`) {
		t.Errorf("audit export: %d %q", code, all)
	}
	if code, all, _ := command(t, "audit", "export", "--data", data, "--format", "csv"); code != 0 || !strings.HasPrefix(all, "sequence,at,actor_kind,") {
		t.Errorf("audit export as CSV: %d %q", code, all)
	}
	if code, _, said := command(t, "audit", "verify", "--data", data, "--organization", "nobody"); code != 1 || !strings.Contains(said, "no organization") {
		t.Errorf("audit verify of nobody: %d %q", code, said)
	}
	storetest.Exec(t, "sqlite:"+filepath.Join(data, "relay.db"), "UPDATE audit SET actor_name = 'Eve' WHERE sequence = 2")
	if code, said, _ := command(t, "audit", "verify", "--data", data); code != 1 || !strings.Contains(said, "entry 2 is not as it was written") {
		t.Errorf("audit verify of what was altered: %d %q", code, said)
	}
	// Rule: the owner's recovery is on the command line, beside a relay that runs and without one.
	code, recovery, said := command(t, "owner", "recover", "--data", data, "--listen", listen)
	if code != 0 || !regexp.MustCompile(`^`+regexp.QuoteMeta(url)+`/recover#[A-Za-z0-9_-]{43}\n$`).MatchString(recovery) || !strings.Contains(said, "good once") {
		t.Errorf("owner recover: %d %q %q", code, recovery, said)
	}
	if code := stop(); code != 0 {
		t.Errorf("it ends with %d: %s", code, log)
	}
	if code, out, said := command(t, "owner", "recover", "--data", data); code != 0 || out == recovery || !strings.Contains(out, "/recover#") {
		t.Errorf("owner recover without a relay: %d %q %q", code, out, said)
	}
	if code, out, said := command(t, "owner", "recover", "--data", filepath.Join(t.TempDir(), "none")); code != 1 || out != "" || !strings.Contains(said, "no owner") {
		t.Errorf("owner recover without an owner: %d %q %q", code, out, said)
	}
	for _, secret := range []string{link[1], "correct horse", strings.TrimSpace(token)} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.HasPrefix(log.String(), `{"time":`) {
		t.Errorf("the log is no JSON: %.100s", log)
	}
	_, out, _, stop = serving(t, data)
	if linkForm.MatchString(out.String()) {
		t.Error("a link is printed though there is an owner")
	}
	if code := stop(); code != 0 {
		t.Errorf("it ends with %d", code)
	}
}

func TestServeSaysWhy(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--data", filepath.Join(data, "file", "below")}, 1, "not a directory; choose another with --data"},
		{[]string{"--data", data, "--database", "postgres://nobody@127.0.0.1:1/none"}, 1, "open database"},
		{[]string{"--data", data, "--listen", "nonsense", "--log-level", "loud"}, 2, "2 problems:\n  - listen: "},
		{[]string{"--data", data, "--tls-cert", filepath.Join(data, "file"), "--tls-key", filepath.Join(data, "file")}, 1, "certificate"},
	} {
		code, out, err := command(t, append([]string{"serve", "--listen", "127.0.0.1:0"}, c.args...)...)
		if code != c.code || out != "" || !strings.HasPrefix(err, "oriel-relay: ") || !strings.Contains(err, c.want) {
			t.Errorf("%q: %d %q %q, want %d %q", c.args, code, out, err, c.code, c.want)
		}
	}
}

func TestOtherCommands(t *testing.T) {
	if code, out, _ := command(t, "version"); code != 0 || out != "oriel-relay "+version+"\n" {
		t.Errorf("version: %d %q", code, out)
	}
	if code, out, _ := command(t, "--help"); code != 0 || !strings.Contains(out, "owner link") || !strings.Contains(out, "token create") {
		t.Errorf("help: %d %q", code, out)
	}
	if code, _, err := command(t, "serv"); code != 2 || !strings.Contains(err, "serv") {
		t.Errorf("a command that is none: %d %q", code, err)
	}
	code, out, _ := command(t, "openapi")
	want, err := os.ReadFile("../protocol/openapi.yaml")
	if err != nil || code != 0 || out != string(want) {
		t.Errorf("openapi: %d, %v; protocol/openapi.yaml is stale: run make generate", code, err)
	}
	if code, out, _ := command(t, "doctor", "--listen", "127.0.0.1:0", "--data", t.TempDir()); code != 0 || !strings.Contains(out, "ok    database") {
		t.Errorf("doctor: %d %s", code, out)
	}
	if code, out, _ := command(t, "doctor", "--listen", "127.0.0.1:0", "--data", "/proc/none"); code != 1 || !strings.Contains(out, "FAIL  data") {
		t.Errorf("doctor: %d %s", code, out)
	}
}

// Stopped while it starts, at whatever moment: no failure.
func TestStoppedWhileItStarts(t *testing.T) {
	for i := range 12 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i*i)*time.Millisecond)
		stopped, stop := context.WithCancel(context.Background())
		go func() {
			<-ctx.Done()
			stop()
		}()
		var out, log words
		code := run(stopped, []string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir()}, &out, &log)
		cancel()
		if code != 0 {
			t.Fatalf("stopped after %d ms: exit code %d\n%s", i*i, code, log.String())
		}
	}
}
