package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"oriel/relay/internal/access"
	"oriel/relay/internal/api"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/people"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func TestOpenAPIIsFresh(t *testing.T) {
	want, err := api.New(api.Options{Version: "1"}).YAML()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../protocol/openapi.yaml")
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("protocol/openapi.yaml is stale: run make generate (%v)", err)
	}
}

func TestRoutesAreUnderThePrefix(t *testing.T) {
	for _, r := range api.New(api.Options{}).Routes() {
		if !strings.HasPrefix(r.Path, api.Prefix+"/") {
			t.Errorf("%s is outside of %s", r.Path, api.Prefix)
		}
	}
}

// client is a browser as far as the API can tell.
type client struct {
	t      *testing.T
	h      http.Handler
	cookie string
	key    string // Idempotency-Key; empty: none
}

type answer struct {
	*http.Response
	body string
}

func (c *client) do(method, path, body string) answer {
	c.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		r.Header.Set("Idempotency-Key", c.key)
	}
	if c.cookie != "" {
		r.Header.Set("Cookie", c.cookie)
	}
	w := httptest.NewRecorder()
	c.h.ServeHTTP(w, r)
	res := w.Result()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, k := range res.Cookies() {
		if strings.HasSuffix(k.Name, access.SessionCookie) {
			c.cookie = k.Name + "=" + k.Value
		}
	}
	return answer{res, string(b)}
}

// problem checks that a is a problem of that status and code.
func (c *client) problem(a answer, status int, code string) fault.Problem {
	c.t.Helper()
	var p fault.Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.StatusCode != status || p.Status != status || string(p.Code) != code ||
		p.Title == "" || p.Detail == "" || a.Header.Get("Content-Type") != "application/problem+json" ||
		a.Header.Get("Cache-Control") != "no-store" {
		c.t.Fatalf("got %s %v %s, want the problem %d %s", a.Status, a.Header, a.body, status, code)
	}
	return p
}

func setup(t *testing.T, s *store.Store, o access.Options) (*access.Access, *client, *[]string) {
	t.Helper()
	o.Hash = access.HashCost{MemoryKiB: 64, Passes: 1}
	a, err := access.New(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	out := &[]string{}
	a.OnChange(func(c access.Change) { *out = append(*out, c.SignInID) })
	rest := api.New(api.Options{Version: "1.2.3", Access: a, People: people.New(people.Options{Store: s, Access: a}), Relay: relay{}})
	return a, &client{t: t, h: rest.Handler()}, out
}

// relay is opened at one address, and offers nothing to install.
type relay struct{}

func (relay) PublicURL() string           { return "https://relay.example" }
func (relay) AgentFiles() []api.AgentFile { return nil }
func (relay) AgentScript() []byte         { return nil }

func TestPeople(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a, c, out := setup(t, s, access.Options{})
		c.problem(c.do("GET", "/api/v1/me", ""), 401, "unauthorized")
		c.problem(c.do("POST", "/api/v1/owner", `{"token":"x","name":"Ada","email":"ada@example.com","password":"correct horse"}`), 403, "owner_token")

		token, err := a.NewOwnerToken(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p := c.problem(c.do("POST", "/api/v1/owner", `{"token":"`+token+`","name":" ","email":"ada","password":"secret-9c"}`), 422, "invalid")
		if len(p.Errors) != 3 || p.Errors[0].Pointer != "#/name" || p.Errors[2].Pointer != "#/password" {
			t.Fatalf("three bad fields: %+v", p)
		}
		made := c.do("POST", "/api/v1/owner", `{"token":"`+token+`","name":"Ada","email":"ada@example.com","password":"correct horse"}`)
		var ada, asked api.SignedIn
		if err := json.Unmarshal([]byte(made.body), &ada); err != nil || made.StatusCode != 200 || ada.ID == "" ||
			ada.PublicURL != "https://relay.example" ||
			ada.Role != "owner" || ada.Name != "Ada" || ada.Email != "ada@example.com" {
			t.Fatalf("%s %s", made.Status, made.body)
		}
		set := made.Header.Get("Set-Cookie")
		if !strings.HasPrefix(set, "oriel_session=") || !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Lax") || !strings.Contains(set, "Path=/") {
			t.Fatalf("cookie %s", set)
		}
		if me := c.do("GET", "/api/v1/me", ""); me.StatusCode != 200 ||
			json.Unmarshal([]byte(me.body), &asked) != nil || !reflect.DeepEqual(asked.Person, ada.Person) || me.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("me: %s %s", me.Status, me.body)
		}
		c.problem(c.do("POST", "/api/v1/owner", `{"token":"`+token+`","name":"Eve","email":"eve@example.com","password":"correct horse"}`), 409, "owner_exists")
		c.problem(c.do("GET", "/api/v1/nothing", ""), 404, "no_route")
		c.problem(c.do("GET", "/api/v2/me", ""), 404, "no_route")

		old := c.cookie
		if gone := c.do("POST", "/api/v1/sign-out", ""); gone.StatusCode != 204 || !strings.Contains(gone.Header.Get("Set-Cookie"), "Max-Age=0") {
			t.Fatalf("sign-out: %s %v", gone.Status, gone.Header)
		}
		if len(*out) != 1 || (*out)[0] == "" {
			t.Fatalf("told that %q changed", *out)
		}
		c.cookie = old
		c.problem(c.do("GET", "/api/v1/me", ""), 401, "unauthorized")
		c.problem(c.do("GET", "/api/v1/nothing", ""), 401, "unauthorized")

		c.problem(c.do("POST", "/api/v1/sign-in", `{"login":"ada@example.com","password":"wrong wrong"}`), 401, "bad_credentials")
		if in := c.do("POST", "/api/v1/sign-in", `{"login":"ADA@example.com","password":"correct horse"}`); in.StatusCode != 200 || in.body != made.body {
			t.Fatalf("sign-in: %s %s", in.Status, in.body)
		}
	})
}

// Rule: keys of computers are kept with the account via the API; another key is a
// conflict, unless it is said to be replaced.
func TestKnownKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a, c, _ := setup(t, s, access.Options{})
		c.problem(c.do("GET", "/api/v1/me/keys", ""), 401, "unauthorized")
		c.problem(c.do("PUT", "/api/v1/me/keys/c1", `{"key":"AAAA"}`), 401, "unauthorized")
		token, err := a.NewOwnerToken(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c.do("POST", "/api/v1/owner", `{"token":"`+token+`","name":"Ada","email":"ada@example.com","password":"correct horse"}`)
		one, two := strings.Repeat("A", 43)+"=", strings.Repeat("B", 42)+"A="
		c.problem(c.do("PUT", "/api/v1/me/keys/c1", `{"key":"AAAA"}`), 422, "invalid")
		for _, body := range []string{`{"key":"` + one + `"}`, `{"key":"` + two + `","replaces":"` + one + `"}`} {
			if put := c.do("PUT", "/api/v1/me/keys/c1", body); put.StatusCode != 204 {
				t.Fatalf("%s: %s %s", body, put.Status, put.body)
			}
		}
		c.problem(c.do("PUT", "/api/v1/me/keys/c1", `{"key":"`+one+`"}`), 409, "conflict")
		if got := c.do("GET", "/api/v1/me/keys", ""); got.StatusCode != 200 || !strings.Contains(got.body, `"computer_id":"c1","key":"`+two) {
			t.Fatalf("%s %s", got.Status, got.body)
		}
	})
}

// Rule: every list takes limit, cursor, sort and q, and answers items and next; what
// is sorted by is named.
func TestListsAreAlike(t *testing.T) {
	text, err := api.New(api.Options{Version: "1"}).YAML()
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Paths map[string]map[string]struct {
			OperationID string `yaml:"operationId"`
			Parameters  []struct {
				Name   string
				Schema struct {
					Enum    []string
					Default any
				}
			}
			Responses map[string]struct {
				Content map[string]struct {
					Schema struct {
						Ref string `yaml:"$ref"`
					}
				}
			}
		}
		Components struct {
			Schemas map[string]struct{ Properties map[string]struct{ Type any } }
		}
	}
	if err := yaml.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	lists := 0
	for path, methods := range d.Paths {
		get, ok := methods["get"]
		if !ok {
			continue
		}
		properties := d.Components.Schemas[strings.TrimPrefix(get.Responses["200"].Content["application/json"].Schema.Ref, "#/components/schemas/")].Properties
		_, items := properties["items"]
		if !items && (strings.HasSuffix(path, "}") || len(properties) != 1) {
			continue
		}
		lists++
		names := map[string]bool{}
		for _, p := range get.Parameters {
			names[p.Name] = true
			if p.Name == "sort" && (len(p.Schema.Enum) < 2 || p.Schema.Default == nil) {
				t.Errorf("%s sorts by %v", path, p.Schema)
			}
		}
		_, next := properties["next"]
		if !items || !next || len(properties) != 2 || !names["limit"] || !names["cursor"] || !names["sort"] || !names["q"] {
			t.Errorf("%s (%s) takes %v and answers %v", path, get.OperationID, names, properties)
		}
	}
	if lists != 27 {
		t.Errorf("%d lists; a new one is counted here once it is like the others", lists)
	}
}

// Rule: a method that an address does not take is answered 405 with those that it
// takes, and content that is no JSON 415, both as problems.
func TestMethodsAndContent(t *testing.T) {
	a, c, _ := setup(t, storetest.Open(t, storetest.SQLite(t)), access.Options{})
	token, err := a.NewOwnerToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.do("POST", "/api/v1/owner", `{"token":"`+token+`","name":"Ada","email":"ada@example.com","password":"correct horse"}`)
	wrong := c.do("DELETE", "/api/v1/enrollment-tokens", "")
	c.problem(wrong, 405, "method_not_allowed")
	if allow := wrong.Header.Get("Allow"); allow != "GET, POST" {
		t.Errorf("Allow: %q", allow)
	}
	r := httptest.NewRequest("POST", "http://127.0.0.1/api/v1/sign-in", strings.NewReader("<login/>"))
	r.Header.Set("Content-Type", "text/xml")
	w := httptest.NewRecorder()
	c.h.ServeHTTP(w, r)
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	c.problem(answer{res, string(body)}, 415, "unsupported_media_type")
}

func TestTooManyTries(t *testing.T) {
	_, c, _ := setup(t, storetest.Open(t, storetest.SQLite(t)), access.Options{Limits: access.Limits{Account: 2}})
	for range 2 {
		c.problem(c.do("POST", "/api/v1/sign-in", `{"login":"a@example.com","password":"wrong wrong"}`), 401, "bad_credentials")
	}
	a := c.do("POST", "/api/v1/sign-in", `{"login":"a@example.com","password":"wrong wrong"}`)
	c.problem(a, 429, "too_many_tries")
	if s := a.Header.Get("Retry-After"); s != "900" && s != "899" {
		t.Fatalf("Retry-After: %q", s)
	}
}

// What is no request of ours is refused without saying back what was sent.
func TestBadRequests(t *testing.T) {
	_, c, _ := setup(t, storetest.Open(t, storetest.SQLite(t)), access.Options{})
	for _, b := range []struct {
		body   string
		status int
		code   string
	}{
		{`{`, 400, "malformed"},
		{`[]`, 422, "invalid"},
		{`null`, 422, "invalid"},
		{"\x00\xff", 400, "malformed"},
		{strings.Repeat("[", 30000), 400, "malformed"},
		{`{"login":{"login":"x"},"password":["x"]}`, 422, "invalid"},
		{`{"login":"a@example.com"}`, 422, "invalid"},
		{`{"login":"a@example.com","password":12345678901}`, 422, "invalid"},
		{`{"login":"a@example.com","password":"hush-hush-hush","admin":true}`, 422, "invalid"},
		{`{"login":"a@example.com","password":"` + strings.Repeat("hush", 300) + `"}`, 422, "invalid"},
		{`{"login":"a@example.com","password":"` + strings.Repeat("x", 1<<17) + `"}`, 413, "too_large"},
	} {
		a := c.do("POST", "/api/v1/sign-in", b.body)
		c.problem(a, b.status, b.code)
		if strings.Contains(a.body, "hush") || strings.Contains(a.body, "12345678901") {
			t.Errorf("%.60s: the password comes back: %s", b.body, a.body)
		}
	}
}

// A fault of the database is told as such, and not how it came about.
func TestInternalErrorsStayInside(t *testing.T) {
	s, err := store.Open(t.Context(), storetest.SQLite(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, c, _ := setup(t, s, access.Options{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	a := c.do("POST", "/api/v1/sign-in", `{"login":"a@example.com","password":"wrong wrong"}`)
	c.problem(a, 500, "internal")
	if strings.Contains(a.body, "sql") || strings.Contains(a.body, "database is closed") {
		t.Fatalf("it says %s", a.body)
	}
	c.cookie = "oriel_session=" + strings.Repeat("A", 43)
	c.problem(c.do("GET", "/api/v1/me", ""), 500, "internal")
}
