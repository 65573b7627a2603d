package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"oriel/relay/internal/access"
	"oriel/relay/internal/api"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func TestMain(m *testing.M) {
	storetest.Main(m,
		// certmagic's rate limiter is one for the process and has no end; what
		// keeps its lock files fresh looks only every five seconds whether it may go.
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"))
}

var consoleFiles = fstest.MapFS{
	"index.html":           {Data: []byte("<!doctype html><title>Oriel</title>")},
	"assets/app-1a2b.js":   {Data: []byte(strings.Repeat("console.log('oriel');\n", 200))},
	"assets/app-3c.css":    {Data: []byte("body{}")},
	"assets/app-3c.css.br": {Data: []byte("pretend this is brotli")},
	"manifest.webmanifest": {Data: []byte("{}")},
	"icon.png":             {Data: []byte("\x89PNG")},
}

// must parse.
func address(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

// open makes a server with a real store and real people.
func open(t *testing.T, change func(*Options)) (*Server, *access.Access) {
	t.Helper()
	s := storetest.Open(t, storetest.SQLite(t))
	a, err := access.New(t.Context(), s, access.Options{Hash: access.HashCost{MemoryKiB: 64, Passes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		PublicURL: address("http://oriel.test"), Access: a, Console: consoleFiles, Downloads: t.TempDir(),
		API:  api.New(api.Options{Access: a}),
		Live: func(w http.ResponseWriter, _ *http.Request, who access.Identity) { plain(w, 200, who.Name) },
		Agent: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			plain(w, 200, "agent")
		}),
		Ready: map[string]func(context.Context) error{"database": s.Ping},
	}
	if change != nil {
		change(&o)
	}
	srv, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return srv, a
}

func ask(s *Server, method, target string, header ...string) *http.Response {
	r := httptest.NewRequest(method, "http://oriel.test"+target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	s, _ := open(t, func(o *Options) { o.MetricsToken = "0123456789abcdef" })
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; " +
			"connect-src 'self' ws://oriel.test wss://oriel.test; media-src blob: 'self'; font-src 'self'; manifest-src 'self'; " +
			"worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "no-referrer",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Strict-Transport-Security":    "",
	}
	for _, path := range []string{"/", "/computers/x", "/assets/app-1a2b.js", "/missing.js", "/healthz", "/readyz", "/metrics",
		"/api/v1/me", "/api/v1/nothing", "/live/v1", "/agent/v1", "/install.sh", "/download/x"} {
		r := ask(s, "GET", path)
		for name, value := range want {
			if got := r.Header.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got, value)
			}
		}
		if p := r.Header.Get("Permissions-Policy"); !strings.Contains(p, "fullscreen=(self)") || !strings.Contains(p, "camera=()") {
			t.Errorf("%s: Permissions-Policy %q", path, p)
		}
		if len(r.Header.Get("X-Request-Id")) != 16 {
			t.Errorf("%s: request id %q", path, r.Header.Get("X-Request-Id"))
		}
	}
	s, _ = open(t, func(o *Options) { o.PublicURL = address("https://oriel.test") })
	if h := ask(s, "GET", "/").Header.Get("Strict-Transport-Security"); h != "max-age=31536000" {
		t.Errorf("over HTTPS: Strict-Transport-Security %q", h)
	}
}

// Every route that the router knows, asked by nobody in particular.
func TestAnonymous(t *testing.T) {
	s, _ := open(t, func(o *Options) { o.MetricsToken = "0123456789abcdef"; o.Agent = nil })
	var public []string
	for _, r := range s.Routes() {
		if r.Public {
			public = append(public, r.Method+" "+r.Path)
			continue
		}
		path := strings.NewReplacer("{id}", "0198c0de-0000-7000-8000-000000000000").Replace(r.Path)
		res := ask(s, r.Method, path)
		if res.StatusCode != 401 || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s answers %s to nobody", r.Method, r.Path, res.Status)
		}
	}
	// Whoever adds a public route has to say so here.
	want := "GET /healthz, GET /readyz, GET /install.sh, GET /download/{name}, POST /api/v1/sign-in, POST /api/v1/owner, GET /api/v1/sign-up, POST /api/v1/sign-up, POST /api/v1/sign-up/link, POST /api/v1/sign-up/account, POST /api/v1/recover, POST /api/v1/join/invitation, POST /api/v1/join, GET /api/v1/openapi.yaml, GET /api/v1/openapi.json, GET /api/docs, GET /"
	if got := strings.Join(public, ", "); got != want {
		t.Errorf("public routes\n got %s\nwant %s", got, want)
	}
	if len(s.Routes()) < 20 {
		t.Errorf("only %d routes were enumerated", len(s.Routes()))
	}
}

func TestForeignOrigins(t *testing.T) {
	s, a := open(t, nil)
	token, err := a.NewOwnerToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, cookie, err := a.CreateOwner(t.Context(), token, access.NewOwner{Name: "Ada", Email: "ada@example.com", Password: "correct horse"}, access.Client{})
	if err != nil {
		t.Fatal(err)
	}
	signedIn := []string{"Cookie", cookie.Name + "=" + cookie.Value}
	for _, c := range []struct {
		what, method, path string
		header             []string
		status             int
	}{
		{"the console", "POST", "/api/v1/sign-out", []string{"Origin", "http://oriel.test", "Sec-Fetch-Site", "same-origin"}, 204},
		{"no browser", "POST", "/api/v1/sign-in", nil, 400},
		{"a foreign page", "POST", "/api/v1/sign-in", []string{"Origin", "http://evil.test"}, 403},
		{"a foreign page", "POST", "/api/v1/sign-out", []string{"Origin", "http://evil.test", "Sec-Fetch-Site", "cross-site"}, 403},
		{"a page of a sibling", "POST", "/api/v1/sign-out", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"a file", "DELETE", "/api/v1/computers/x", []string{"Origin", "null"}, 403},
		{"a foreign page", "PATCH", "/api/v1/computers/x", []string{"Origin", "http://evil.test"}, 403},
		{"the console", "GET", "/live/v1", []string{"Origin", "http://oriel.test"}, 200},
		{"no browser", "GET", "/live/v1", nil, 200},
		{"a foreign page", "GET", "/live/v1", []string{"Origin", "http://evil.test"}, 403},
		{"another port", "GET", "/live/v1", []string{"Origin", "http://oriel.test:81"}, 403},
		{"another scheme", "GET", "/live/v1", []string{"Origin", "https://oriel.test"}, 403},
		{"a longer name", "GET", "/live/v1", []string{"Origin", "http://oriel.test.evil.test"}, 403},
		{"a file", "GET", "/live/v1", []string{"Origin", "null"}, 403},
		{"two origins", "GET", "/live/v1", []string{"Origin", "http://oriel.test", "Origin", "http://evil.test"}, 403},
		{"an empty one", "GET", "/live/v1", []string{"Origin", ""}, 403},
		{"an agent", "GET", "/agent/v1", nil, 200},
		{"a foreign page", "GET", "/agent/v1", []string{"Origin", "http://evil.test"}, 403},
	} {
		header := c.header
		if c.path != "/api/v1/sign-out" || c.status != 204 { // keep the sign-in for the others
			header = append(append([]string{}, c.header...), signedIn...)
		}
		r := ask(s, c.method, c.path, header...)
		status := c.status
		if status == 204 {
			status = 401 // it passes the protection and is not signed in
		}
		if r.StatusCode != status {
			t.Errorf("%s %s from %s %q: %s, want %d: %s", c.method, c.path, c.what, c.header, r.Status, status, body(t, r))
		}
		if c.status == 403 {
			var p fault.Problem
			if err := json.NewDecoder(r.Body).Decode(&p); err != nil || p.Code != "cross_origin" {
				t.Errorf("%s %s: %+v, %v", c.method, c.path, p, err)
			}
		}
	}
	// Behind a proxy the host of the request is not the public one.
	s, _ = open(t, func(o *Options) { o.PublicURL = address("https://oriel.example"); o.Live = nil })
	if r := ask(s, "GET", "/agent/v1", "Origin", "https://oriel.example"); r.StatusCode != 200 {
		t.Errorf("the public origin: %s", r.Status)
	}
	if r := ask(s, "POST", "/api/v1/sign-in", "Origin", "https://oriel.example"); r.StatusCode != 400 {
		t.Errorf("the public origin: %s", r.Status)
	}
}

func TestLiveKnowsWho(t *testing.T) {
	s, a := open(t, nil)
	token, _ := a.NewOwnerToken(t.Context())
	_, cookie, err := a.CreateOwner(t.Context(), token, access.NewOwner{Name: "Ada", Email: "ada@example.com", Password: "correct horse"}, access.Client{})
	if err != nil {
		t.Fatal(err)
	}
	if r := ask(s, "GET", "/live/v1", "Cookie", cookie.Name+"="+cookie.Value); body(t, r) != "Ada" {
		t.Error("the tab is not Ada's")
	}
}

func TestConsole(t *testing.T) {
	s, _ := open(t, nil)
	for _, c := range []struct {
		path, encodings string
		status          int
		kind, cache     string
		encoding        string
	}{
		{"/", "gzip, br", 200, "text/html; charset=utf-8", "no-cache", ""},
		{"/computers/0198/view", "", 200, "text/html; charset=utf-8", "no-cache", ""},
		{"/sign-in", "", 200, "text/html; charset=utf-8", "no-cache", ""},
		{"/index.html", "", 200, "text/html; charset=utf-8", "no-cache", ""},
		{"/assets/app-1a2b.js", "gzip, deflate, br", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", "gzip"},
		{"/assets/app-1a2b.js", "br;q=1.0, gzip;q=0", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", ""},
		{"/assets/app-3c.css", "gzip, br", 200, "text/css; charset=utf-8", "public, max-age=31536000, immutable", "br"},
		{"/assets/app-3c.css", "", 200, "text/css; charset=utf-8", "public, max-age=31536000, immutable", ""},
		{"/assets/app-old.js", "", 404, "application/problem+json", "no-store", ""},
		{"/assets/app-3c.css.br", "", 404, "application/problem+json", "no-store", ""},
		{"/manifest.webmanifest", "", 200, "application/manifest+json", "no-cache", ""},
		{"/icon.png", "gzip", 200, "image/png", "no-cache", ""},
		{"/../../etc/passwd.txt", "", 404, "application/problem+json", "no-store", ""},
	} {
		var header []string
		if c.encodings != "" {
			header = []string{"Accept-Encoding", c.encodings}
		}
		r := ask(s, "GET", c.path, header...)
		if r.StatusCode == 307 { // the router cleans paths
			r = ask(s, "GET", r.Header.Get("Location"), header...)
		}
		if r.StatusCode != c.status || r.Header.Get("Content-Type") != c.kind || r.Header.Get("Cache-Control") != c.cache ||
			r.Header.Get("Content-Encoding") != c.encoding {
			t.Errorf("%s (%s): %s %v", c.path, c.encodings, r.Status, r.Header)
		}
		if c.status != 200 {
			continue
		}
		got := []byte(body(t, r))
		if c.encoding == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(got))
			if err == nil {
				got, err = io.ReadAll(z)
			}
			if err != nil {
				t.Errorf("%s: %v", c.path, err)
			}
		}
		name := strings.TrimPrefix(c.path, "/")
		if c.encoding == "br" {
			name += ".br"
		}
		want, err := fs.ReadFile(consoleFiles, name)
		if err != nil {
			want = consoleFiles["index.html"].Data
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s (%s) is not the file", c.path, c.encodings)
		}
		if again := ask(s, "GET", c.path, append(header, "If-None-Match", r.Header.Get("ETag"))...); again.StatusCode != 304 {
			t.Errorf("%s again: %s", c.path, again.Status)
		}
	}
	if r := ask(s, "POST", "/"); r.StatusCode != 405 {
		t.Errorf("POST /: %s", r.Status)
	}
	if r := ask(s, "HEAD", "/"); r.StatusCode != 200 || body(t, r) != "" {
		t.Errorf("HEAD /: %s", r.Status)
	}
	bare, _ := open(t, func(o *Options) { o.Console = nil })
	if r := ask(bare, "GET", "/"); r.StatusCode != 404 {
		t.Errorf("without a console: %s", r.Status)
	}
}

// Rule: health does what the work does, at most once a second, and says which
// need failed.
func TestHealth(t *testing.T) {
	var fail error
	asked := 0
	s, _ := open(t, func(o *Options) { o.Ready["bus"] = func(context.Context) error { asked++; return fail } })
	now := time.Unix(1, 0)
	s.health.now = func() time.Time { return now }
	check := func(path string, status int, want string) {
		t.Helper()
		if r := ask(s, "GET", path); r.StatusCode != status || body(t, r) != want {
			t.Errorf("%s: %s, want %d %q", path, r.Status, status, want)
		}
	}
	check("/healthz", 200, "ok\n")
	check("/readyz", 200, "bus: ok\ndatabase: ok\n")
	for range 5 {
		check("/readyz", 200, "bus: ok\ndatabase: ok\n")
	}
	if asked != 1 {
		t.Errorf("six questions within a second cost %d checks", asked)
	}
	now = now.Add(time.Second)
	fail = fmt.Errorf("write: %w", syscall.ENOSPC)
	check("/readyz", 503, "bus: disk full\ndatabase: ok\n")
	scraped := httptest.NewRecorder()
	s.MetricsHandler().ServeHTTP(scraped, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{`oriel_disk_full{part="bus"} 1`, `oriel_disk_full{part="database"} 0`, `oriel_ready{part="bus"} 0`, `oriel_ready{part="database"} 1`} {
		if !strings.Contains(scraped.Body.String(), "\n"+line+"\n") {
			t.Errorf("the metrics have no %s", line)
		}
	}
	if asked != 2 {
		t.Errorf("metrics within the second ask anew: %d", asked)
	}
	now = now.Add(time.Second)
	fail = errors.New("nats://user:secret@10.0.0.7: refused")
	check("/readyz", 503, "bus: failing\ndatabase: ok\n")
	fail = nil
	s.Drain()
	check("/readyz", 503, "draining\n")
	check("/healthz", 200, "ok\n")
}

func TestMetrics(t *testing.T) {
	s, _ := open(t, func(o *Options) { o.MetricsToken = "0123456789abcdef" })
	ask(s, "GET", "/api/v1/computers/0198")
	ask(s, "GET", "/some/page/that/nobody/wrote")
	for _, auth := range []string{"", "Bearer", "Bearer 0123456789abcde", "Basic 0123456789abcdef"} {
		if r := ask(s, "GET", "/metrics", "Authorization", auth); r.StatusCode != 401 {
			t.Errorf("with %q: %s", auth, r.Status)
		}
	}
	r := ask(s, "GET", "/metrics", "Authorization", "Bearer 0123456789abcdef")
	text := body(t, r)
	for _, line := range []string{
		`oriel_http_requests_total{route="/api/v1/computers/{id}",status="401"} 1`,
		`oriel_http_requests_total{route="/",status="200"} 1`,
		`oriel_http_requests_total{route="/metrics",status="401"} 4`,
		"go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
	without, _ := open(t, nil)
	if r := ask(without, "GET", "/metrics"); strings.Contains(body(t, r), "oriel_http") {
		t.Error("metrics without a token")
	}
}

func TestPanic(t *testing.T) {
	var log bytes.Buffer
	s, _ := open(t, func(o *Options) {
		o.Agent = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("the detail") })
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	r := ask(s, "GET", "/agent/v1?secret=hush", "Authorization", "hush", "Cookie", "oriel_session=hush")
	text := body(t, r)
	id := r.Header.Get("X-Request-Id")
	if r.StatusCode != 500 || !strings.Contains(text, id) || strings.Contains(text, "the detail") {
		t.Errorf("%s %s", r.Status, text)
	}
	if !strings.Contains(log.String(), id) || !strings.Contains(log.String(), "the detail") || strings.Contains(log.String(), "hush") {
		t.Errorf("the log: %s", &log)
	}
}

func TestShutdownWaits(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	s, _ := open(t, func(o *Options) {
		o.Agent = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(begun)
			<-finish
			plain(w, 200, "done")
		})
	})
	l := listenAt(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	got := make(chan string, 1)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		r, err := client.Get("http://" + l.Addr().String() + "/agent/v1")
		if err != nil {
			got <- err.Error()
			return
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		got <- string(b)
	}()
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(ctx) }()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	close(finish)
	if err := <-down; err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != "done" {
		t.Fatalf("the request under way got %q", text)
	}
}

// A connection that a browser opened ahead of need does not hold up the end.
func TestShutdownDoesNotWaitForNothing(t *testing.T) {
	s, _ := open(t, nil)
	l := listenAt(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for deadline := time.Now().Add(10 * time.Second); s.fresh.count() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the connection is not noticed")
		}
	}
	// net/http would wait for five seconds: within three it says that it could not.
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("the connection is open")
	}
}

func (f *fresh) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}

func TestLiveWithoutDatabase(t *testing.T) {
	s, err := store.Open(t.Context(), storetest.SQLite(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := access.New(t.Context(), s, access.Options{Hash: access.HashCost{MemoryKiB: 64, Passes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := New(Options{PublicURL: address("http://oriel.test"), Access: a, Live: func(http.ResponseWriter, *http.Request, access.Identity) {}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if r := ask(srv, "GET", "/live/v1", "Cookie", "oriel_session=x"); r.StatusCode != 500 || r.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s", r.Status)
	}
}

// Rule: REST and the WebSocket agree on what is their own page, with and
// without a proxy in front, and an untrusted proxy is named in the log, once.
func TestOneRuleForOrigins(t *testing.T) {
	var log bytes.Buffer
	s := storetest.Open(t, storetest.SQLite(t))
	a, err := access.New(t.Context(), s, access.Options{Hash: access.HashCost{MemoryKiB: 64, Passes: 1},
		Proxies: access.Proxies{netip.MustParsePrefix("10.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	srv, _ := open(t, func(o *Options) {
		o.Access, o.Log = a, slog.New(slog.NewTextHandler(&log, nil))
		o.API = api.New(api.Options{Access: a})
	})
	for _, c := range []struct {
		peer, host, origin, site, proto string
		own                             bool
	}{
		{"192.0.2.1:5", "oriel.test", "http://oriel.test", "", "", true},
		{"192.0.2.1:5", "alias.test", "http://alias.test", "", "", true},
		{"192.0.2.1:5", "alias.test:80", "http://alias.test", "", "", true},
		{"192.0.2.1:5", "alias.test", "https://alias.test", "", "", false},
		{"192.0.2.1:5", "alias.test", "https://alias.test", "", "https", false}, // an untrusted word
		{"192.0.2.1:5", "alias.test", "https://alias.test", "same-origin", "https", true},
		{"10.0.0.1:5", "alias.test", "https://alias.test", "", "https", true},
		{"10.0.0.1:5", "alias.test", "http://alias.test", "", "https", false},
		{"10.0.0.1:5", "alias.test", "https://evil.test", "", "https", false},
		{"10.0.0.1:5", "alias.test", "https://evil.test", "same-site", "https", false},
		{"10.0.0.1:5", "alias.test", "", "same-site", "https", false},
		{"10.0.0.1:5", "alias.test", "", "", "https", true},
	} {
		for _, what := range []string{"POST /api/v1/sign-in", "GET /agent/v1"} {
			method, path, _ := strings.Cut(what, " ")
			r := httptest.NewRequest(method, path, nil)
			r.RemoteAddr, r.Host = c.peer, c.host
			for name, v := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site, "X-Forwarded-Proto": c.proto} {
				if v != "" {
					r.Header.Set(name, v)
				}
			}
			w := httptest.NewRecorder()
			srv.Handler().ServeHTTP(w, r)
			if own := w.Code != http.StatusForbidden; own != c.own {
				t.Errorf("%s %+v: %d", what, c, w.Code)
			}
		}
	}
	if n := strings.Count(log.String(), "not trusted"); n != 1 || !strings.Contains(log.String(), "proxy=192.0.2.1") {
		t.Errorf("the log names the proxy %d times: %s", n, log.String())
	}
}
