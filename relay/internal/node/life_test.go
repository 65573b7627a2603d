package node_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/wire"
	"oriel/relay/internal/access"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/config"
	"oriel/relay/internal/node"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/seal"
	"oriel/relay/internal/store/storetest"
)

// A relay that is told to stop sends agents and tabs elsewhere, and a new one
// on the same data finds everything again.
func TestStopAndStart(t *testing.T) {
	c := settings(t)
	r := start(t, c)
	p := r.owner()
	agent := r.enroll(p, "workshop")
	tab := relaytest.OpenTab(t, r.wire, p.cookie)
	r.end()
	for who, err := range map[string]error{"agent": agent.Closed(), "tab": tabClosed(t, tab)} {
		var close *wire.CloseError
		if !errors.As(err, &close) || close.Code != wire.CloseGoingAway {
			t.Errorf("the %s's connection ended with %v, want going away (1001)", who, err)
		}
	}
	if _, err := net.DialTimeout("tcp", strings.TrimPrefix(r.node.URL(), "http://"), time.Second); err == nil {
		t.Error("it listens still")
	}

	again := start(t, c)
	if again.node.Access.PublicKey().Equal(r.node.Access.PublicKey()) == false {
		t.Error("the relay has another key")
	}
	if _, err := again.node.OwnerLink(t.Context()); !errors.Is(err, access.ErrOwnerExists) {
		t.Errorf("a link beside the owner: %v", err)
	}
	p.url = again.node.URL()
	var list struct {
		Computers []object `json:"items"`
	}
	p.do("GET", "/api/v1/computers", nil, &list, 200)
	if len(list.Computers) != 1 || list.Computers[0]["status"] != "offline" {
		t.Errorf("after the start: %v", list.Computers)
	}
	agent.Machine.Connect(t, again.wire, "")
	p.do("GET", "/api/v1/computers", nil, &list, 200)
	if list.Computers[0]["status"] != "online" {
		t.Errorf("after the agent is back: %v", list.Computers)
	}
}

func tabClosed(t *testing.T, tab *relaytest.Tab) error {
	t.Helper()
	until(t, "the tab is closed", func() bool { return tab.Conn.Err() != nil })
	return tab.Conn.Err()
}

func TestTwoRelaysOnOneFolder(t *testing.T) {
	c := settings(t)
	r := start(t, c)
	if _, err := node.New(t.Context(), c, node.Options{}); err == nil || !strings.Contains(err.Error(), "another relay runs on this data folder") {
		t.Fatalf("a second relay: %v", err)
	}
	r.end()
	start(t, c).end()
}

// Rule: two relays on one SQLite file by two data folders are refused (a lock
// beside the file).
func TestTwoRelaysOnOneFile(t *testing.T) {
	dir := t.TempDir()
	file, link, folder := filepath.Join(dir, "real.db"), filepath.Join(dir, "link.db"), filepath.Join(dir, "folder")
	if err := os.Symlink("real.db", link); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(dir, folder); err != nil {
		t.Fatal(err)
	}
	sealing := base64.StdEncoding.EncodeToString(make([]byte, seal.Size))
	r := start(t, settings(t, "--database", "sqlite:"+filepath.Join(folder, "real.db"), "--sealing-key", sealing))
	for name, want := range map[string]string{
		file: "another relay runs on this database file", filepath.Join(folder, "real.db"): "another relay runs on this database file",
		link: "is a link", filepath.Join(folder, "link.db"): "is a link",
	} {
		n, err := node.New(t.Context(), settings(t, "--database", "sqlite:"+name), node.Options{})
		if err == nil {
			_ = n.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a second relay on %s: %v", name, err)
		}
	}
	r.end()
	start(t, settings(t, "--database", "sqlite:"+file, "--sealing-key", sealing)).end()
}

func TestWhatIsTakenIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for flag, hint := range map[string]string{"--listen": "--listen", "--turn-tcp": "--turn-udp and --turn-tcp", "--metrics-listen": "--metrics-listen"} {
		_, err := node.New(t.Context(), settings(t, flag, l.Addr().String()), node.Options{})
		if err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s on a port that is taken: %v", flag, err)
		}
	}
	if _, err := node.New(t.Context(), settings(t, "--blobs", "file:///proc/none"), node.Options{}); err == nil {
		t.Error("no folder for blobs, no error")
	}
}

// Over TLS: agents bind their proof to the connection, cookies are secure, and
// TURN answers on the very same port.
func TestTLS(t *testing.T) {
	cert, key, pool := certificate(t)
	c := settings(t, "--tls-cert", cert, "--tls-key", key)
	r := start(t, c)
	r.wire.TLS = &tls.Config{RootCAs: pool}
	if !strings.HasPrefix(r.node.URL(), "https://127.0.0.1:") {
		t.Fatal(r.node.URL())
	}
	p := r.owner()
	if !p.cookie.Secure || p.cookie.Name != "__Host-oriel_session" || p.device.Name != "__Host-oriel_device" {
		t.Errorf("cookie %s", p.cookie)
	}
	r.enroll(p, "workshop")
	tab := relaytest.OpenTab(t, r.wire, p.cookie)
	u, err := url.Parse(r.node.URL())
	if err != nil {
		t.Fatal(err)
	}
	urls := tab.Welcome.GetIceServers()[0].GetUrls()
	if want := "turns:" + u.Host + "?transport=tcp"; urls[len(urls)-1] != want {
		t.Errorf("ICE servers %q, want %s at the end", urls, want)
	}

	conn, err := tls.Dial("tcp", u.Host, r.wire.TLS)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, "transaction!"...)
	if _, err := conn.Write(request); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 20)
	_ = conn.SetReadDeadline(time.Now().Add(soon))
	if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != 1 || answer[1] != 1 || string(answer[8:]) != "transaction!" {
		t.Errorf("STUN over TLS: %x, %v", answer, err)
	}
}

func TestMetricsOnTheirOwnAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // find a port that is free
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	r := start(t, settings(t, "--metrics-listen", address))
	r.enroll(r.owner(), "workshop")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: soon}
	res, err := client.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	found := map[string]bool{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		name, _, _ := strings.Cut(lines.Text(), " ")
		found[name] = true
		if strings.HasPrefix(lines.Text(), "oriel_agents ") && lines.Text() != "oriel_agents 1" {
			t.Error(lines.Text())
		}
	}
	for _, name := range []string{"oriel_agents", "oriel_tabs", "oriel_turn_allocations", "oriel_turn_refused_total"} {
		if !found[name] {
			t.Errorf("no %s", name)
		}
	}
	if res, err := client.Get(r.node.URL() + "/metrics"); err != nil {
		t.Error(err)
	} else {
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if strings.Contains(string(b), "oriel_agents") {
			t.Error("metrics on the public address too")
		}
	}
}

// Console on the one node, agent on the other; the agent's node goes.
func TestTwoNodes(t *testing.T) {
	database, nats, blobs := storetest.PostgreSQL(t), relaytest.StartNATS(t), t.TempDir()
	sealing := base64.StdEncoding.EncodeToString(make([]byte, seal.Size))
	one := func(name string) *relay {
		return start(t, settings(t, "--database", database, "--nats", nats, "--node", name, "--sealing-key", sealing, "--blobs", "file://"+filepath.ToSlash(blobs)))
	}
	a, b := one("a"), one("b")
	line, err := bus.Open(t.Context(), bus.Options{URL: nats, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	var stopped atomic.Bool
	if _, err := line.Subscribe(bus.TURN, func(m *orielv1.BusMessage, _ bus.Reply) {
		stopped.CompareAndSwap(false, m.GetTurn().GetNode() == "a" && len(m.GetTurn().GetUrls()) == 0)
	}); err != nil {
		t.Fatal(err)
	}
	p := a.owner()
	p.url = b.node.URL()
	agent := a.enroll(p, "workshop") // the token is made on b, used on a
	session := live(t, b, p, agent, agent.Welcome.GetComputerId())
	if session == "" {
		t.Fatal("no session")
	}
	// Rule: the TURN of every node is named from the start; that of one that stops is not.
	tab := relaytest.OpenTab(t, b.wire, p.cookie)
	servers := func() []*orielv1.IceServer {
		tab.Say(&orielv1.FromConsole{Body: &orielv1.FromConsole_RenewIce{RenewIce: &orielv1.RenewIce{}}})
		return tab.Take("ICE servers", func(m *orielv1.ToConsole) bool { return m.GetIceServers() != nil }).GetIceServers().GetIceServers()
	}
	until(t, "b knows a's TURN", func() bool { return node.OtherTURN(b.node) == 1 })
	both := servers()
	if len(both) != 2 {
		t.Fatalf("ICE servers %v", both)
	}
	if own, other := both[0], both[1]; len(other.GetUrls()) != 2 || slices.Contains(own.GetUrls(), other.GetUrls()[0]) ||
		own.GetUsername() != other.GetUsername() || own.GetCredential() != other.GetCredential() {
		t.Errorf("ICE servers %v", both)
	}
	a.end()
	until(t, "a says that it stops", stopped.Load)
	until(t, "b forgets a's TURN", func() bool { return node.OtherTURN(b.node) == 0 })
	_ = agent.Closed()
	agent = agent.Machine.Connect(t, b.wire, "")
	live(t, b, p, agent, agent.Welcome.GetComputerId())
}

func TestNodeNameStays(t *testing.T) {
	c := settings(t)
	start(t, c).end()
	first, err := os.ReadFile(filepath.Join(c.Data, "node"))
	if err != nil {
		t.Fatal(err)
	}
	start(t, c).end()
	second, err := os.ReadFile(filepath.Join(c.Data, "node"))
	if err != nil || string(first) != string(second) || len(first) < 10 {
		t.Fatalf("%q, then %q, %v", first, second, err)
	}
	if info, err := os.Stat(c.Data); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data folder: %v, %v", info.Mode(), err)
	}
}

func TestPublicURL(t *testing.T) {
	for _, c := range []struct{ listen, at, want string }{
		{"127.0.0.1:0", "127.0.0.1:4711", "http://127.0.0.1:4711"},
		{"localhost:8080", "127.0.0.1:8080", "http://localhost:8080"},
		{"[::1]:8080", "[::1]:8080", "http://[::1]:8080"},
	} {
		if got := node.PublicURL(&config.Config{Listen: c.listen}, c.at).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.listen, got, c.want)
		}
	}
}
