package node_test

import (
	"net/http"
	"strings"
	"testing"

	"oriel/protocol/wire"
	"oriel/relay/internal/relaytest"
)

// Every address that the relay answers, asked by nobody, and by a page of
// another site with the owner's own cookie. A new route is asked by itself; which
// are public is held by TestAnonymous in server.
func TestEveryDoor(t *testing.T) {
	c := settings(t, "--metrics-token", "0123456789abcdef")
	r := start(t, c)
	nobody, owner := r.browser(), r.owner()

	sockets, closed := 0, 0
	for _, route := range r.node.Routes() {
		if route.Public {
			continue
		}
		path := strings.NewReplacer("{id}", "0198c0de-0000-7000-8000-000000000000", "{name}", "x").Replace(route.Path)
		if !route.WebSocket {
			closed++
			nobody.do(route.Method, path, nil, nil, 401)
			if strings.HasPrefix(path, "/api/") && route.Method != "GET" {
				foreign(t, owner, route.Method, path)
			}
			continue
		}
		sockets++
		ws := "ws" + strings.TrimPrefix(r.node.URL(), "http") + path
		for _, c := range []struct {
			header http.Header
			status int
		}{
			{nil, 401},
			{http.Header{"Origin": {"http://evil.example"}}, 403},
			{http.Header{"Origin": {"http://evil.example"}, "Cookie": {owner.cookie.Name + "=" + owner.cookie.Value}}, 403},
			{http.Header{"Origin": {r.node.URL()}, "Cookie": {"oriel_session=invented"}}, 401},
			{http.Header{"Authorization": {`Oriel key="AAAA"`}}, 401},
			{relaytest.Header(relaytest.NewMachine("stranger").Applicant("")), 401},
			{relaytest.Header(relaytest.NewMachine("stranger").Applicant("oriel-aaaaaaaaaaaaaaaaaaaaaaaaaa-0123456789abcdef0123456789abcdef")), 401},
		} {
			conn, res, err := wire.Dial(t.Context(), ws, c.header, nil, wire.Options{})
			if err == nil {
				_ = conn.Close()
				t.Fatalf("%s lets %v in", path, c.header)
			}
			if res == nil || res.StatusCode != c.status {
				t.Errorf("%s with %v: %v, %v, want %d", path, c.header, res, err, c.status)
			}
		}
	}
	if sockets != 2 || closed < 17 {
		t.Errorf("%d WebSockets and %d closed routes were asked", sockets, closed)
	}
	nobody.do("GET", "/api/v1/no-such-thing", nil, nil, 401)
	nobody.do("GET", "/api/", nil, nil, 401)
}

// foreign asks as a page of another site that the owner has open would.
func foreign(t *testing.T, p *person, method, path string) {
	t.Helper()
	for _, header := range []http.Header{{"Origin": {"https://evil.example"}}, {"Sec-Fetch-Site": {"cross-site"}}, {"Origin": {"null"}}} {
		q, err := http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		q.Header = header
		q.Header.Set("Content-Type", "application/json")
		q.AddCookie(p.cookie)
		res, err := p.client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 403 {
			t.Errorf("%s %s with %v: %s", method, path, header, res.Status)
		}
	}
}
