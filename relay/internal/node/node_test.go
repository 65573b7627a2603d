package node_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/config"
	"oriel/relay/internal/node"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// relay is one that serves, and what the tests' agents and tabs need of it.
type relay struct {
	t     testing.TB
	node  *node.Node
	wire  *relaytest.Node
	stop  context.CancelFunc
	ended chan error

	database string // where it keeps things
}

// settings of a relay on 127.0.0.1 and any port, from what config makes of args.
func settings(t testing.TB, args ...string) *config.Config {
	t.Helper()
	all := append([]string{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data")}, args...)
	_, c, err := config.Parse(all, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cheap passwords, for tests that are not about what they cost.
var cheap = access.HashCost{MemoryKiB: 64, Passes: 1}

func start(t testing.TB, c *config.Config) *relay {
	t.Helper()
	return startHashing(t, c, cheap)
}

// startHashing starts a relay whose passwords cost that much.
func startHashing(t testing.TB, c *config.Config, hash access.HashCost) *relay {
	t.Helper()
	n, err := node.New(t.Context(), c, node.Options{Version: "1.2.3", Hash: hash, BodyWithin: bodyWithin,
		Console: fstest.MapFS{"index.html": {Data: []byte("<!doctype html>")}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &relay{t: t, node: n, stop: stop, ended: make(chan error, 1), database: c.Database,
		wire: &relaytest.Node{URL: n.URL(), Store: storetest.Open(t, c.Database)}}
	go func() { r.ended <- errors.Join(n.Run(ctx), n.Close()) }()
	t.Cleanup(r.end)
	return r
}

// end stops the relay as a signal does, and waits for it.
func (r *relay) end() {
	r.t.Helper()
	if r.stop == nil {
		return
	}
	r.stop()
	r.stop = nil
	if err := <-r.ended; err != nil {
		r.t.Errorf("the relay ends with: %v", err)
	}
}

// person is a browser of somebody.
type person struct {
	t      testing.TB
	url    string
	client *http.Client
	cookie *http.Cookie
	device *http.Cookie // says that somebody signed in here before
}

func (r *relay) browser() *person {
	transport := &http.Transport{}
	if r.wire.TLS != nil {
		transport.TLSClientConfig = r.wire.TLS.Clone()
	}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &person{t: r.t, url: r.node.URL(), client: &http.Client{Transport: transport}}
}

// do asks and decodes the answer into into, if not nil; want is its status.
func (p *person) do(method, path string, body, into any, want int) *http.Response {
	p.t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			p.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, in)
	if err != nil {
		p.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, c := range []*http.Cookie{p.cookie, p.device} {
		if c != nil {
			r.AddCookie(c)
		}
	}
	res, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if res.StatusCode != want {
		p.t.Fatalf("%s %s: %s %s, want %d", method, path, res.Status, text, want)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			p.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	for _, c := range res.Cookies() {
		if strings.HasSuffix(c.Name, access.SessionCookie) {
			p.cookie = c
		} else {
			p.device = c
		}
	}
	return res
}

type object = map[string]any

// owner makes the first owner with the link that the relay prints.
func (r *relay) owner() *person {
	r.t.Helper()
	link, err := r.node.OwnerLink(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	u, err := url.Parse(link)
	if err != nil || u.Path != "/owner" || u.Fragment == "" || !strings.HasPrefix(link, r.node.URL()+"/owner#") {
		r.t.Fatalf("link %q, %v", link, err)
	}
	return r.ownerAt(r.browser())
}

// ownerAt makes the first owner at that browser.
func (r *relay) ownerAt(p *person) *person {
	r.t.Helper()
	link, err := r.node.OwnerLink(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	_, secret, _ := strings.Cut(link, "#")
	p.do("POST", "/api/v1/owner", object{"token": secret, "name": "Olivia Owner", "email": "olivia@example.com",
		"password": "correct horse battery"}, nil, 200)
	return p
}

// enroll connects a new computer with a token made by p.
func (r *relay) enroll(p *person, name string) *relaytest.Agent {
	r.t.Helper()
	var token struct{ Token, Command string }
	p.do("POST", "/api/v1/enrollment-tokens", object{"note": name}, &token, 201)
	if !strings.Contains(token.Command, token.Token) || !strings.Contains(token.Command, p.url) {
		r.t.Errorf("command %q", token.Command)
	}
	return relaytest.NewMachine(name).Connect(r.t, r.wire, token.Token)
}

// until polls for at most 20 seconds.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	relaytest.Until(t, what, ok)
}

const soon = 10 * time.Second

// bodyWithin is how long these relays wait for a body.
const bodyWithin = 3 * time.Second
