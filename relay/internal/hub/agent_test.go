package hub_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"image"
	"image/jpeg"
	"net/http"
	"strings"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/protocol/wire"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// each runs fn with a node on each database.
func each(t *testing.T, o relaytest.NodeOptions, fn func(t *testing.T, n *relaytest.Node)) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		o.Database = address
		fn(t, relaytest.StartNode(t, o))
	})
}

func closeCode(err error) int {
	var c *wire.CloseError
	if errors.As(err, &c) {
		return c.Code
	}
	return 0
}

func TestAgentEnrollsAndComesBack(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, n *relaytest.Node) {
		m, token := relaytest.NewMachine("pc"), n.Token(t, 1)
		a := m.Connect(t, n, token)
		if !a.Welcome.GetEnrolled() || a.Welcome.GetSettings().GetPreviewSeconds() != 60 || a.Welcome.GetRelays()[0] != n.URL || a.Welcome.GetAddress() != "127.0.0.1" {
			t.Fatal(a.Welcome)
		}
		if !bytes.Equal(m.Relay, n.Access.PublicKey()) {
			t.Fatal("another relay's key")
		}
		_ = a.Conn.Close()
		again := m.Connect(t, n, "")
		if again.Welcome.GetEnrolled() || again.Welcome.GetComputerId() != a.Welcome.GetComputerId() {
			t.Fatal(again.Welcome)
		}
		relaytest.Until(t, "online", func() bool {
			c, err := n.Fleet.Get(t.Context(), relaytest.Own(a.Welcome.GetComputerId()))
			return err == nil && c.GetName() == "pc" && c.GetDisplay() == orielv1.Status_DISPLAY_READY &&
				c.GetStatus() == orielv1.Computer_STATUS_ONLINE
		})
	})
}

// Rule: an agent that is not let in is told so as the API would, with a code.
func TestAgentsThatAreNotTakenIn(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	used := n.Token(t, 1)
	known := relaytest.NewMachine("known")
	known.Connect(t, n, used)
	blocked := relaytest.NewMachine("blocked")
	id := blocked.Connect(t, n, n.Token(t, 1)).Welcome.GetComputerId()
	if err := n.Fleet.Block(t.Context(), audit.Command, relaytest.Own(id), true); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		header http.Header
		status int
	}{
		{"nothing", http.Header{}, 401},
		{"no key", http.Header{"Authorization": {`Oriel token="` + used + `"`}}, 401},
		{"a short key", http.Header{"Authorization": {`Oriel key="AAAA"`}}, 401},
		{"unknown, no token", relaytest.Header(relaytest.NewMachine("x").Applicant("")), 401},
		// Rule: what shows a token is refused with a sentence.
		{"a good token, shown", http.Header{"Authorization": {relaytest.NewMachine("x").Applicant("").Authorization() + `, token="` + n.Token(t, 1) + `"`}}, 401},
		{"unknown, token used up", relaytest.Header(relaytest.NewMachine("x").Applicant(used)), 401},
		{"unknown, made-up token", relaytest.Header(relaytest.NewMachine("x").Applicant("oriel-" + strings.Repeat("a", 26) + "-0123456789abcdef0123456789abcdef")), 401},
		{"a header that says more", http.Header{"Authorization": {known.Applicant("").Authorization() + `, x="y"`}}, 401},
		{"blocked", relaytest.Header(blocked.Applicant("")), 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, resp, err := wire.Dial(t.Context(), "ws"+strings.TrimPrefix(n.URL, "http")+"/agent/v1", tc.header, nil, wire.Options{})
			if err == nil || resp == nil || resp.StatusCode != tc.status || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Fatalf("%v, %v", resp, err)
			}
			var p fault.Problem
			if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || p.Status != tc.status || p.Code == "" || p.Detail == "" || p.Title == "" {
				t.Fatalf("%+v, %v", p, err)
			}
		})
	}
}

func TestHelloThatProvesNothing(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	_, other, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	token := n.Token(t, 9)
	stolen, err := n.Store.Tokens(store.FirstOrganization).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	good := relaytest.NewMachine("pc")
	sign := func(h *orielv1.Hello, c *orielv1.Challenge, enrollment func(trust.Hello) []byte) {
		signed := trust.Hello{RelayNonce: c.GetNonce(), RelayKey: c.GetRelayKey(), AgentNonce: h.GetNonce()}
		h.Signature, _ = trust.SignHello(trust.Key(good.Key), signed)
		h.Enrollment = enrollment(signed)
	}
	for _, tc := range []struct {
		name  string
		hello func(h *orielv1.Hello, c *orielv1.Challenge)
		code  orielv1.Code
	}{
		{"another's signature", func(h *orielv1.Hello, _ *orielv1.Challenge) { h.Signature = ed25519.Sign(other, []byte("x")) }, orielv1.Code_CODE_FORBIDDEN},
		{"no signature", func(h *orielv1.Hello, _ *orielv1.Challenge) { h.Signature = nil }, orielv1.Code_CODE_FORBIDDEN},
		{"another key", func(h *orielv1.Hello, _ *orielv1.Challenge) { h.MachineKey = other.Public().(ed25519.PublicKey) }, orielv1.Code_CODE_INVALID},
		{"no nonce", func(h *orielv1.Hello, _ *orielv1.Challenge) { h.Nonce = nil }, orielv1.Code_CODE_INVALID},
		{"another nonce", func(h *orielv1.Hello, _ *orielv1.Challenge) { h.Nonce = make([]byte, 32) }, orielv1.Code_CODE_INVALID},
		// Rule: enrollment tokens are proven.
		{"no proof of the token", func(h *orielv1.Hello, c *orielv1.Challenge) {
			sign(h, c, func(trust.Hello) []byte { return nil })
		}, orielv1.Code_CODE_FORBIDDEN},
		{"proof of another token", func(h *orielv1.Hello, c *orielv1.Challenge) {
			sign(h, c, func(s trust.Hello) []byte { return trust.NewToken(c.GetRelayKey()).Prove(s, good.Public()) })
		}, orielv1.Code_CODE_FORBIDDEN},
		{"proof for another machine", func(h *orielv1.Hello, c *orielv1.Challenge) {
			sign(h, c, func(s trust.Hello) []byte {
				read, _ := trust.ParseToken(token)
				return read.Prove(s, other.Public().(ed25519.PublicKey))
			})
		}, orielv1.Code_CODE_FORBIDDEN},
		{"what a stolen database knows of the token", func(h *orielv1.Hello, c *orielv1.Challenge) {
			sign(h, c, func(s trust.Hello) []byte {
				return ed25519.Sign(ed25519.NewKeyFromSeed(stolen[0].TokenKey), []byte("oriel enroll v1"))
			})
		}, orielv1.Code_CODE_FORBIDDEN},
		{"version 0", func(h *orielv1.Hello, _ *orielv1.Challenge) { h.Version = 0 }, orielv1.Code_CODE_UNIMPLEMENTED},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := good
			who := m.Applicant(token)
			conn, _, err := wire.Dial(t.Context(), "ws"+strings.TrimPrefix(n.URL, "http")+"/agent/v1", relaytest.Header(who), nil, wire.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			in := &orielv1.ToAgent{}
			if err := conn.Receive(in); err != nil {
				t.Fatal(err)
			}
			h := &orielv1.Hello{Version: 1, MachineKey: m.Public(), Nonce: who.Nonce}
			tc.hello(h, in.GetChallenge())
			_ = conn.Send(&orielv1.FromAgent{Body: &orielv1.FromAgent_Hello{Hello: h}})
			if err := conn.Receive(in); err != nil || in.GetRefused().GetCode() != tc.code {
				t.Fatal(in, err)
			}
			if err := conn.Receive(in); closeCode(err) != wire.ClosePolicy {
				t.Fatal(err)
			}
		})
	}
	if all, err := n.Fleet.Lookup(t.Context(), store.FirstOrganization, store.Everything, nil); err != nil || len(all) != 0 {
		t.Fatal("enrolled all the same:", all, err)
	}
}

func TestProofIsBoundToTLS(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{TLS: true})
	m := relaytest.NewMachine("pc")
	enrolled, _, err := m.Dial(t.Context(), n, n.Token(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer enrolled.Close()
	// A hello that is good but for its binding, as a proxy that opens the TLS
	// connection would pass it on.
	conn, _, err := wire.Dial(t.Context(), "ws"+strings.TrimPrefix(n.URL, "http")+"/agent/v1", relaytest.Header(m.Applicant("")), n.TLS, wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := &orielv1.ToAgent{}
	if err := conn.Receive(in); err != nil || !in.GetChallenge().GetBindTls() {
		t.Fatal(in, err)
	}
	_ = conn.Send(&orielv1.FromAgent{Body: &orielv1.FromAgent_Hello{Hello: m.Sign(in.GetChallenge(), nil, nil)}})
	if err := conn.Receive(in); err != nil || in.GetRefused().GetCode() != orielv1.Code_CODE_FORBIDDEN {
		t.Fatal(in, err)
	}
}

func TestNewerConnectionWins(t *testing.T) {
	nats := relaytest.StartNATS(t)
	db := storetest.PostgreSQL(t)
	n1 := relaytest.StartNode(t, relaytest.NodeOptions{Name: "n1", Database: db, NATS: nats})
	n2 := relaytest.StartNode(t, relaytest.NodeOptions{Name: "n2", Database: db, NATS: nats})
	m := relaytest.NewMachine("pc")
	first := m.Connect(t, n1, n1.Token(t, 1))
	second := m.Connect(t, n1, "")
	if err := first.Closed(); closeCode(err) != wire.CloseSuperseded {
		t.Fatal(err)
	}
	third := m.Connect(t, n2, "")
	if err := second.Closed(); closeCode(err) != wire.CloseSuperseded {
		t.Fatal(err)
	}
	relaytest.Until(t, "only the newest is left", func() bool { return n1.Hub.Stats().Agents == 0 && n2.Hub.Stats().Agents == 1 })
	if c, err := n1.Fleet.Get(t.Context(), relaytest.Own(third.Welcome.GetComputerId())); err != nil || c.GetStatus() != orielv1.Computer_STATUS_ONLINE {
		t.Fatal(c, err)
	}
	if err := n1.Fleet.Ask(t.Context(), third.Welcome.GetComputerId(), nil, false); err != nil {
		t.Fatal("from the other node:", err)
	}
}

func TestInventoryPreviewAndStatus(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, n *relaytest.Node) {
		a := relaytest.NewMachine("pc").Connect(t, n, n.Token(t, 1))
		id := a.Welcome.GetComputerId()
		done := make(chan error, 1)
		go func() { done <- n.Fleet.Refresh(t.Context(), relaytest.Own(id)) }()
		ask := a.Take("ask for inventory", func(m *orielv1.ToAgent) bool { return m.GetSendInventory() != nil })
		a.Say(&orielv1.FromAgent{ReplyTo: ask.GetId(), Body: &orielv1.FromAgent_Inventory{Inventory: &orielv1.Inventory{
			General: &orielv1.General{HostName: "pc\u202e\x1b", Users: []string{"a\nb"}}}}})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		i, err := n.Fleet.Inventory(t.Context(), relaytest.Own(id))
		if err != nil || i.GetGeneral().GetHostName() != "pc" || i.GetGeneral().GetUsers()[0] != "a b" {
			t.Fatal(i, err)
		}

		go func() { done <- n.Fleet.Refresh(t.Context(), relaytest.Own(id)) }()
		ask = a.Take("ask for inventory", func(m *orielv1.ToAgent) bool { return m.GetSendInventory() != nil })
		a.Say(&orielv1.FromAgent{ReplyTo: ask.GetId(), Body: &orielv1.FromAgent_Fault{Fault: &orielv1.Fault{Code: orielv1.Code_CODE_UNIMPLEMENTED}}})
		if err := <-done; !errors.Is(err, fleet.ErrUnknownAsk) {
			t.Fatal(err)
		}

		picture := func(w, h int) []byte {
			var b bytes.Buffer
			if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, w, h)), nil); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}
		preview := func(kind string, data []byte) {
			a.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Preview{Preview: &orielv1.Preview{Type: kind, Data: data}}})
		}
		preview("image/jpeg", []byte("<svg onload=alert(1)>"))
		preview("image/jpeg", picture(641, 10))
		preview("image/jpeg", picture(64, 36))
		relaytest.Until(t, "preview", func() bool { _, _, _, err := n.Fleet.Preview(t.Context(), relaytest.Own(id)); return err == nil })
		data, kind, tag, err := n.Fleet.Preview(t.Context(), relaytest.Own(id))
		if err != nil || kind != "image/jpeg" || !bytes.Equal(data, picture(64, 36)) || tag == "" {
			t.Fatal(kind, tag, err)
		}

		a.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Status{Status: &orielv1.Status{Display: orielv1.Status_DISPLAY_NONE, Detail: "no X\u2028here"}}})
		relaytest.Until(t, "status", func() bool {
			c, err := n.Fleet.Get(t.Context(), relaytest.Own(id))
			return err == nil && c.GetDisplay() == orielv1.Status_DISPLAY_NONE && c.GetDisplayDetail() == "no X here"
		})
		_ = a.Conn.Close()
		relaytest.Until(t, "offline", func() bool { return errors.Is(n.Fleet.Refresh(t.Context(), relaytest.Own(id)), fleet.ErrOffline) })
	})
}

func TestRemovedComputerIsDisconnected(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	m := relaytest.NewMachine("pc")
	a := m.Connect(t, n, n.Token(t, 1))
	if err := n.Fleet.Remove(t.Context(), audit.Command, relaytest.Own(a.Welcome.GetComputerId())); err != nil {
		t.Fatal(err)
	}
	a.Take("refusal", func(m *orielv1.ToAgent) bool { return m.GetRefused().GetCode() == orielv1.Code_CODE_NOT_FOUND })
	if err := a.Closed(); closeCode(err) != wire.ClosePolicy {
		t.Fatal(err)
	}
	var refused *relaytest.Refusal
	if _, _, err := m.Dial(t.Context(), n, ""); !errors.As(err, &refused) || refused.Status != 401 {
		t.Fatal(err)
	}
}

func TestFloodIsCutOff(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{Wire: wire.Options{Queue: 4096}})
	a := relaytest.NewMachine("pc").Connect(t, n, n.Token(t, 1))
	for a.Conn.Err() == nil {
		_ = a.Conn.Send(&orielv1.FromAgent{Body: &orielv1.FromAgent_Candidate{Candidate: &orielv1.Candidate{SessionId: "x"}}})
		time.Sleep(10 * time.Microsecond)
	}
	relaytest.Until(t, "gone", func() bool { return n.Hub.Stats().Agents == 0 })
}

func TestDrainSendsAgentsAndTabsElsewhere(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	_, cookie := n.Owner(t)
	m := relaytest.NewMachine("pc")
	a, tab := m.Connect(t, n, n.Token(t, 1)), relaytest.OpenTab(t, n, cookie)
	if err := n.Hub.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Closed(); closeCode(err) != wire.CloseGoingAway {
		t.Fatal(err)
	}
	relaytest.Until(t, "tab closed", func() bool { return tab.Conn.Err() != nil })
	if closeCode(tab.Conn.Err()) != wire.CloseGoingAway {
		t.Fatal(tab.Conn.Err())
	}
	var refused *relaytest.Refusal
	if _, _, err := m.Dial(t.Context(), n, ""); !errors.As(err, &refused) || refused.Status != 503 {
		t.Fatal(err)
	}
	if c, err := n.Fleet.Get(t.Context(), relaytest.Own(a.Welcome.GetComputerId())); err != nil || c.GetStatus() != orielv1.Computer_STATUS_OFFLINE {
		t.Fatal(c, err)
	}
}
