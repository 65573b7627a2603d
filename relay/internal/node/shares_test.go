package node_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/wire"
	"oriel/relay/internal/relaytest"
)

// besieged is a relay on TLS with an owner and a computer, before somebody
// tries to keep everybody else out.
type besieged struct {
	*relay
	owner   *person
	machine *relaytest.Machine
	id      string // of the computer
	token   string // for newcomers
}

func besiege(t *testing.T, args ...string) *besieged {
	t.Helper()
	cert, key, pool := certificate(t)
	c := settings(t, append([]string{"--tls-cert", cert, "--tls-key", key}, args...)...)
	r := start(t, c)
	r.wire.TLS = &tls.Config{RootCAs: pool}
	b := &besieged{relay: r, owner: r.owner()}
	agent := r.enroll(b.owner, "desk")
	b.machine, b.id = agent.Machine, agent.Welcome.GetComputerId()
	_ = agent.Conn.Close()
	var token struct{ Token string }
	b.owner.do("POST", "/api/v1/enrollment-tokens", object{"uses": 1000}, &token, 201)
	b.token = token.Token
	return b
}

// from is the i-th of many addresses of loopback.
func from(i int) string { return fmt.Sprintf("127.%d.%d.%d", 1+i/62500, i/250%250, 1+i%250) }

// dial connects from an address, without a word.
func (b *besieged) dial(from string) net.Conn {
	b.t.Helper()
	u, err := url.Parse(b.node.URL())
	if err != nil {
		b.t.Fatal(err)
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: soon}
	c, err := d.Dial("tcp", u.Host)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	return c
}

// secure is dial with TLS, and a request that is not yet sent as a whole.
func (b *besieged) secure(from, request string) net.Conn {
	b.t.Helper()
	config := b.wire.TLS.Clone()
	config.ServerName = "127.0.0.1"
	c := tls.Client(b.dial(from), config)
	// An attacker does not wait for the handshake either.
	b.t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, request); err != nil {
		b.t.Fatal(err)
	}
	return c
}

// client is a browser without connections, that comes from an address.
func (b *besieged) client(from string) *person {
	p := b.browser()
	transport := p.client.Transport.(*http.Transport)
	transport.DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext
	return p
}

// errNoise is a busy machine: nobody refused anything.
var errNoise = errors.New("not within 2 s")

// getsIn tries what an honest one does, each time for at most two seconds. A
// door that says no, or closes, has failed; one that is late is asked again,
// three times at most, as the machine may be busy with the attack.
func getsIn(t testing.TB, what string, try func(ctx context.Context) error) {
	t.Helper()
	for i := range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		err := try(ctx)
		late := ctx.Err() != nil || isTimeout(err)
		cancel()
		switch {
		case err == nil:
			return
		case !late:
			t.Errorf("%s: %v", what, err)
			return
		case i == 2:
			t.Errorf("%s: %v, in three tries: %v", what, errNoise, err)
		}
	}
}

// ask is one request of p on a connection of its own.
func (p *person) ask(ctx context.Context, method, path, body string) error {
	r, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	for _, c := range []*http.Cookie{p.cookie, p.device} {
		if c != nil {
			r.AddCookie(c)
		}
	}
	defer p.client.CloseIdleConnections()
	res, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode != 200 {
		return fmt.Errorf("%s %s", res.Status, text)
	}
	return nil
}

const right = `{"login":"olivia@example.com","password":"correct horse battery"}`

// getIn has an honest agent, operator and newcomer get in.
func (b *besieged) getIn() {
	b.t.Helper()
	agent := func(m *relaytest.Machine, token string) func(context.Context) error {
		return func(ctx context.Context) error {
			conn, _, err := m.Dial(ctx, b.wire, token)
			if err == nil {
				err = conn.Close()
			}
			return err
		}
	}
	getsIn(b.t, "the agent", agent(b.machine, ""))
	getsIn(b.t, "a new computer", agent(relaytest.NewMachine("newcomer"), b.token))
	operator := b.client("127.0.0.1")
	operator.cookie = b.owner.cookie
	getsIn(b.t, "the operator", func(ctx context.Context) error { return operator.ask(ctx, "GET", "/api/v1/me", "") })
	getsIn(b.t, "the operator's tab", func(ctx context.Context) error {
		conn, _, err := relaytest.DialTab(ctx, b.wire, b.owner.cookie)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	getsIn(b.t, "somebody who signs in", func(ctx context.Context) error {
		return b.client("127.9.9.9").ask(ctx, "POST", "/api/v1/sign-in", right)
	})
}

// Rule: 2,048 TLS connections that say nothing, of one address or of many,
// keep nobody out.
func TestSilentConnectionsKeepNobodyOut(t *testing.T) {
	for name, address := range map[string]func(int) string{"one address": func(int) string { return "127.0.0.1" }, "many": from} {
		t.Run(name, func(t *testing.T) {
			b := besiege(t)
			for i := range 2048 {
				b.dial(address(i))
			}
			b.getIn()
		})
	}
}

// Rule: connections that began a request, or idle after one, keep nobody out.
func TestIdleConnectionsKeepNobodyOut(t *testing.T) {
	b := besiege(t, "--address-connections", "64", "--address-undecided", "32")
	for i, request := range []string{"GET / HTTP/1.1\r\nHost: x\r\n", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "G"} {
		for range 80 {
			c := b.secure("127.0.0.1", request)
			if i == 1 { // answered, and kept open
				if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 200 {
					t.Fatal(err, res)
				}
			}
		}
	}
	b.getIn()
}

// Rule: 512 agents that do not answer the relay's challenge, with one machine
// key, keep nobody out, not even the computer whose key it is.
func TestSilentGreetingsKeepNobodyOut(t *testing.T) {
	for name, address := range map[string]func(int) string{"one address": func(int) string { return "127.0.0.1" }, "many": from} {
		t.Run(name, func(t *testing.T) {
			b := besiege(t)
			header := relaytest.Header(b.machine.Applicant("")).Get("Authorization")
			var wg sync.WaitGroup
			for i := range 512 {
				c := b.secure(address(i), "GET /agent/v1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
					"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: "+header+"\r\n\r\n")
				wg.Go(func() { _, _ = http.ReadResponse(bufio.NewReader(c), nil) }) // it has a place, or had one
			}
			wg.Wait()
			b.getIn()
		})
	}
}

// Rule: each machine key greets once at a time from an address: the one before
// is told to go.
func TestOneGreetingPerKey(t *testing.T) {
	b := besiege(t)
	ws := "wss" + strings.TrimPrefix(b.node.URL(), "https") + "/agent/v1"
	var all []*wire.Conn
	for range 3 {
		c, _, err := wire.Dial(t.Context(), ws, relaytest.Header(b.machine.Applicant("")), b.wire.TLS, wire.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all = append(all, c)
	}
	other, _, err := wire.Dial(t.Context(), ws, relaytest.Header(relaytest.NewMachine("other").Applicant(b.token)), b.wire.TLS, wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	challenge := func(c *wire.Conn) error { return c.Receive(&orielv1.ToAgent{}) }
	for i, c := range all[:2] {
		until(t, "an earlier greeting ends", func() bool {
			err := challenge(c)
			var closed *wire.CloseError
			if errors.As(err, &closed) && closed.Code != wire.CloseTryAgain {
				t.Errorf("greeting %d ends with %v", i, err)
			}
			return err != nil
		})
	}
	for _, c := range []*wire.Conn{all[2], other} {
		if err := challenge(c); err != nil {
			t.Errorf("the newest of a key: %v", err)
		}
	}
}

// Rule: a body that does not come, on whatever route, read by it or not, keeps
// nobody out, and its connection ends.
func TestSlowBodiesKeepNobodyOut(t *testing.T) {
	b := besiege(t, "--address-undecided", "64")
	thief := b.client("127.0.0.2") // one of the routes signs out
	thief.do("POST", "/api/v1/sign-in", object{"login": "olivia@example.com", "password": "correct horse battery"}, nil, 200)
	var slow []net.Conn
	for _, route := range b.node.Routes() {
		if route.WebSocket {
			continue
		}
		method := route.Method
		if method == "" {
			method = "POST"
		}
		path := strings.NewReplacer("{id}", "0198c0de-0000-7000-8000-000000000000", "{name}", "x").Replace(route.Path)
		for _, cookie := range []string{"", "Cookie: " + thief.cookie.Name + "=" + thief.cookie.Value + "\r\n"} {
			for i := range 20 {
				length := []string{"Content-Length: 1000", "Transfer-Encoding: chunked"}[i%2]
				slow = append(slow, b.secure("127.0.0.1", method+" "+path+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+cookie+length+"\r\n\r\n{"))
			}
		}
	}
	if len(slow) < 20*40 {
		t.Fatalf("only %d requests", len(slow))
	}
	b.getIn()
	for _, c := range slow {
		_ = c.SetReadDeadline(time.Now().Add(2 * soon))
		if _, err := io.Copy(io.Discard, c); isTimeout(err) {
			t.Fatalf("a connection whose body does not come stands for ever: %v", err)
		}
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// Rule: ten wrong passwords from one network lock neither the owner's known
// browser there, nor another network.
func TestWrongPasswordsKeepNobodyElseOut(t *testing.T) {
	b := besiege(t)
	attacker := b.client("127.0.0.1")
	for range 10 {
		attacker.do("POST", "/api/v1/sign-in", object{"login": "olivia@example.com", "password": "a wrong password"}, nil, 401)
	}
	attacker.do("POST", "/api/v1/sign-in", object{"login": "olivia@example.com", "password": "correct horse battery"}, nil, 429)
	known := b.client("127.0.0.1")
	known.device = b.owner.device
	getsIn(t, "the owner's browser", func(ctx context.Context) error {
		return known.ask(ctx, "POST", "/api/v1/sign-in", right)
	})
	b.getIn()
}
