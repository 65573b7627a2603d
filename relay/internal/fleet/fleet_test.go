package fleet_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func each(t *testing.T, fn func(t *testing.T, n *relaytest.Node)) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		fn(t, relaytest.StartNode(t, relaytest.NodeOptions{Database: address}))
	})
}

func key(t *testing.T) ed25519.PublicKey {
	t.Helper()
	k, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func public(t *testing.T, token string) ed25519.PublicKey {
	t.Helper()
	read, err := trust.ParseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	return read.Public()
}

func hello(k ed25519.PublicKey, machine string) *orielv1.Hello {
	return &orielv1.Hello{MachineKey: k, MachineId: machine, AgentVersion: "1.0", Summary: &orielv1.Summary{HostName: "pc", Os: "linux"}}
}

func TestToken(t *testing.T) {
	each(t, func(t *testing.T, n *relaytest.Node) {
		ctx := t.Context()
		text, tok, err := n.Fleet.CreateToken(ctx, store.FirstOrganization, audit.Person("person", "", "", ""), "for the\noffice", 2, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		relay := sha256.Sum256(n.Access.PublicKey())
		if !strings.HasPrefix(text, "oriel-") || !strings.HasSuffix(text, "-"+hex.EncodeToString(relay[:16])) {
			t.Fatal(text)
		}
		rows, err := n.Store.Tokens(store.FirstOrganization).List(ctx)
		if err != nil || len(rows) != 1 || rows[0].ID != tok.ID || !public(t, text).Equal(ed25519.PublicKey(rows[0].TokenKey)) || rows[0].CreatedBy != "person" ||
			tok.Note != "for the office" || tok.UsesLeft != 2 {
			t.Fatal(tok, rows, err)
		}
		k := key(t)
		token := public(t, text)
		if err := n.Fleet.Authenticate(ctx, k, token, trust.Membership{}); err != nil {
			t.Fatal(err)
		}
		for name, bad := range map[string]ed25519.PublicKey{"none": nil, "cut": token[:31], "another secret": public(t, "oriel-"+strings.Repeat("b", 26)+text[32:])} {
			if err := n.Fleet.Authenticate(ctx, k, bad, trust.Membership{}); !errors.Is(err, fleet.ErrUnauthorized) {
				t.Errorf("%s: %v", name, err)
			}
			if _, _, err := n.Fleet.Admit(ctx, hello(k, ""), bad, trust.Membership{}, ""); !errors.Is(err, fleet.ErrUnauthorized) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := n.Fleet.Authenticate(ctx, k[:31], token, trust.Membership{}); !errors.Is(err, fleet.ErrUnauthorized) {
			t.Fatal(err)
		}
		if err := n.Fleet.RevokeToken(ctx, audit.Command, relaytest.Own(tok.ID)); err != nil {
			t.Fatal(err)
		}
		if err := n.Fleet.Authenticate(ctx, k, token, trust.Membership{}); !errors.Is(err, fleet.ErrUnauthorized) {
			t.Fatal(err)
		}
		if err := n.Fleet.RevokeToken(ctx, audit.Command, relaytest.Own("?")); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		if all, err := n.Fleet.Tokens(ctx, store.FirstOrganization); err != nil || len(all) != 1 || all[0].RevokedAt == 0 {
			t.Fatal(all, err)
		}
	})
}

func TestOneKeyIsOneComputer(t *testing.T) {
	each(t, func(t *testing.T, n *relaytest.Node) {
		ctx := t.Context()
		token := public(t, n.Token(t, 5))
		k := key(t)
		// The same agent several times at once: one computer, one use.
		var wg sync.WaitGroup
		ids := make(chan string, 4)
		for range 4 {
			wg.Go(func() {
				r, _, err := n.Fleet.Admit(ctx, hello(k, "m"), token, trust.Membership{}, "192.0.2.1")
				if err != nil {
					t.Error(err)
				}
				ids <- r.ID
			})
		}
		wg.Wait()
		close(ids)
		first := <-ids
		for id := range ids {
			if id != first {
				t.Fatal("two computers for one key")
			}
		}
		if all, err := n.Fleet.Tokens(ctx, store.FirstOrganization); err != nil || all[0].Used != 1 || all[0].UsesLeft != 4 {
			t.Fatal(all, err)
		}
		// The same machine with another key is another computer, flagged.
		r, enrolled, err := n.Fleet.Admit(ctx, hello(key(t), "m"), token, trust.Membership{}, "192.0.2.1")
		if err != nil || !enrolled || r.ID == first {
			t.Fatal(r, enrolled, err)
		}
		if c, err := n.Store.Computers(store.FirstOrganization).Get(ctx, r.ID); err != nil || c.SameMachineAs != first {
			t.Fatal(c, err)
		}
		// A key that is known does not use a token up, whatever it is.
		if _, enrolled, err := n.Fleet.Admit(ctx, hello(k, "m"), token, trust.Membership{}, "192.0.2.1"); err != nil || enrolled {
			t.Fatal(enrolled, err)
		}
		if all, err := n.Fleet.Tokens(ctx, store.FirstOrganization); err != nil || all[0].Used != 2 {
			t.Fatal(all, err)
		}
	})
}

func TestAgentsTextIsPlainAndBounded(t *testing.T) {
	each(t, func(t *testing.T, n *relaytest.Node) {
		ctx := t.Context()
		h := hello(key(t), "m\x00\u202e")
		h.AgentVersion = strings.Repeat("v", 300)
		h.Summary = &orielv1.Summary{HostName: "<img src=x onerror=alert(1)>\u202e\x1b]0;x\x07", OsName: "a\r\nb", User: "\xff",
			Addresses: []string{"192.0.2.1", "\u200b", strings.Repeat("9", 300)}}
		r, _, err := n.Fleet.Admit(ctx, h, public(t, n.Token(t, 1)), trust.Membership{}, "192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		c, err := n.Fleet.Get(ctx, relaytest.Own(r.ID))
		if err != nil {
			t.Fatal(err)
		}
		s := c.GetSummary()
		if s.GetHostName() != "<img src=x onerror=alert(1)>]0;x" || s.GetOsName() != "a b" || s.GetUser() != "\ufffd" ||
			len(s.GetAddresses()) != 2 || len(s.GetAddresses()[1]) != 64 || len(c.GetAgentVersion()) != 64 || c.GetStatus() != orielv1.Computer_STATUS_NEVER_SEEN {
			t.Fatal(c)
		}
		if err := orielv1.Check(c); err != nil {
			t.Fatal(err)
		}
	})
}

func TestNamesAndRemoval(t *testing.T) {
	each(t, func(t *testing.T, n *relaytest.Node) {
		ctx := t.Context()
		r, _, err := n.Fleet.Admit(ctx, hello(key(t), ""), public(t, n.Token(t, 1)), trust.Membership{}, "")
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"Reception\u202e": "Reception", "": "pc"} {
			if err := n.Fleet.Rename(ctx, audit.Command, relaytest.Own(r.ID), name); err != nil {
				t.Fatal(err)
			}
			if c, err := n.Fleet.Get(ctx, relaytest.Own(r.ID)); err != nil || c.GetName() != want {
				t.Fatal(c, err)
			}
		}
		if err := n.Fleet.Block(ctx, audit.Command, relaytest.Own(r.ID), true); err != nil {
			t.Fatal(err)
		}
		if err := n.Fleet.Authenticate(ctx, r.Key, nil, trust.Membership{}); !errors.Is(err, fleet.ErrBlocked) {
			t.Fatal(err)
		}
		if _, _, err := n.Fleet.Admit(ctx, hello(r.Key, ""), nil, trust.Membership{}, ""); !errors.Is(err, fleet.ErrBlocked) {
			t.Fatal(err)
		}
		if c, _ := n.Fleet.Get(ctx, relaytest.Own(r.ID)); c.GetStatus() != orielv1.Computer_STATUS_BLOCKED {
			t.Fatal(c)
		}
		if err := n.Fleet.Remove(ctx, audit.Command, relaytest.Own(r.ID)); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{
			"rename": n.Fleet.Rename(ctx, audit.Command, relaytest.Own(r.ID), "x"), "block": n.Fleet.Block(ctx, audit.Command, relaytest.Own(r.ID), true), "remove": n.Fleet.Remove(ctx, audit.Command, relaytest.Own(r.ID)),
			"refresh": n.Fleet.Refresh(ctx, relaytest.Own(r.ID)), "ask": n.Fleet.Ask(ctx, "no.id", nil, false),
		} {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := n.Fleet.Get(ctx, relaytest.Own(r.ID)); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		if _, _, _, err := n.Fleet.Preview(ctx, relaytest.Own(r.ID)); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
	})
}
