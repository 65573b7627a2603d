package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/transcript"
)

// proxy stands before the relay, and keeps what passes through its WebSockets.
type proxy struct {
	to string // the relay's URL

	mu   sync.Mutex
	next map[string]string             // protected by mu; the recording of the next connection, by path
	all  map[string][]transcript.Frame // protected by mu
}

// expect has the next connection to path recorded under name.
func (p *proxy) expect(path, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next, p.all = make(map[string]string), make(map[string][]transcript.Frame)
	}
	p.next[path] = name
}

func (p *proxy) keep(name string, f transcript.Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[name] = append(p.all[name], f)
}

func (p *proxy) count(name, body string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.all[name] {
		if f.Body == body {
			n++
		}
	}
	return n
}

func (p *proxy) has(name, body string) bool { return p.count(name, body) > 0 }

func (p *proxy) frames() map[string][]transcript.Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[string][]transcript.Frame, len(p.all))
	for name, frames := range p.all {
		all[name] = slices.Clone(frames)
	}
	return all
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	name := p.next[r.URL.Path]
	delete(p.next, r.URL.Path)
	p.mu.Unlock()
	if name == "" {
		to, _ := url.Parse(p.to)
		(&httputil.ReverseProxy{Rewrite: func(out *httputil.ProxyRequest) {
			out.SetURL(to)
			out.Out.Host = r.Host
		}}).ServeHTTP(w, r)
		return
	}
	header := http.Header{"Host": {r.Host}}
	for _, k := range []string{"Authorization", "Cookie", "Origin", "Oriel-Membership", "User-Agent"} {
		if v := r.Header.Values(k); len(v) > 0 {
			header[k] = v
		}
	}
	relay, resp, err := websocket.DefaultDialer.Dial(strings.Replace(p.to, "http", "ws", 1)+r.URL.Path, header)
	if err != nil {
		status := http.StatusBadGateway
		if resp != nil {
			status = resp.StatusCode
		}
		http.Error(w, err.Error(), status)
		return
	}
	defer relay.Close()
	client, err := (&websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer client.Close()
	from := "tab"
	if r.URL.Path == "/agent/v1" {
		from = "agent"
		p.keep(name, transcript.Frame{From: from, Header: r.Header.Get("Authorization")})
	}
	// One lock over both directions: what is kept is in the order in which it was passed on.
	var order sync.Mutex
	pass := func(from string, in, out *websocket.Conn, m proto.Message) {
		defer in.Close()
		defer out.Close()
		for {
			kind, b, err := in.ReadMessage()
			if err != nil {
				return
			}
			order.Lock()
			if kept, ok := scrubbed(b, m.ProtoReflect().New().Interface()); ok {
				p.keep(name, transcript.Of(from, "", kept.m, kept.b))
			}
			err = out.WriteMessage(kind, b)
			order.Unlock()
			if err != nil {
				return
			}
		}
	}
	up, down := proto.Message(&orielv1.FromAgent{}), proto.Message(&orielv1.ToAgent{})
	if from == "tab" {
		up, down = &orielv1.FromConsole{}, &orielv1.ToConsole{}
	}
	var both sync.WaitGroup
	both.Go(func() { pass(from, client, relay, up) })
	both.Go(func() { pass("relay", relay, client, down) })
	both.Wait()
}

type kept struct {
	m proto.Message
	b []byte
}

// scrubbed is b without what is this machine's; false: nothing of it is to be kept. What
// this recorder does not know of a message stays in it.
func scrubbed(b []byte, m proto.Message) (kept, bool) {
	if proto.Unmarshal(b, m) != nil {
		return kept{m, b}, true
	}
	from, ok := m.(*orielv1.FromAgent)
	if !ok {
		return kept{m, b}, true
	}
	if from.GetInventory() != nil || from.GetPreview() != nil {
		return kept{}, false
	}
	if h := from.GetHello(); h != nil {
		h.MachineId = "machine"
		if again, err := proto.Marshal(m); err == nil {
			b = again
		}
	}
	return kept{m, b}, true
}
