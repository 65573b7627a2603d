package node_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store/storetest"
)

// From the owner's link to the end of a session, by what a browser and an
// agent say.
func TestTheWholeWay(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		r := start(t, settings(t, "--database", address, "--name", "Lab"))
		p := r.owner()
		var me, relay object
		p.do("GET", "/api/v1/me", nil, &me, 200)
		p.do("GET", "/api/v1/relay", nil, &relay, 200)
		if me["email"] != "olivia@example.com" || relay["version"] != "1.2.3" || relay["name"] != "Lab" || relay["public_url"] != r.node.URL() {
			t.Fatalf("me %v, relay %v", me, relay)
		}

		agent := r.enroll(p, "workshop")
		id := agent.Welcome.GetComputerId()
		if agent.Welcome.GetRelays()[0] != r.node.URL() {
			t.Errorf("the agent shall connect to %q", agent.Welcome.GetRelays())
		}
		computers(t, r, p, agent, id)
		session := live(t, r, p, agent, id)
		journal(t, p, id, session)

		p.do("DELETE", "/api/v1/computers/"+id, nil, nil, 204)
		_ = agent.Closed()
		p.do("GET", "/api/v1/computers/"+id, nil, nil, 404)
		p.do("DELETE", "/api/v1/computers/"+id, nil, nil, 404)
		p.do("GET", "/api/v1/sessions/"+session, nil, nil, 200) // the journal remembers

		tab := relaytest.OpenTab(t, r.wire, p.cookie)
		p.do("POST", "/api/v1/sign-out", nil, nil, 204)
		tab.Take("signed out", func(m *orielv1.ToConsole) bool { return m.GetSignedOut() != nil })
	})
}

func computers(t *testing.T, r *relay, p *person, agent *relaytest.Agent, id string) {
	t.Helper()
	var tokens struct {
		Tokens []object `json:"items"`
	}
	p.do("GET", "/api/v1/enrollment-tokens", nil, &tokens, 200)
	if len(tokens.Tokens) != 1 || tokens.Tokens[0]["uses_left"] != 0.0 || tokens.Tokens[0]["used"] != 1.0 || tokens.Tokens[0]["token"] != nil {
		t.Errorf("tokens %v", tokens.Tokens)
	}
	p.do("DELETE", "/api/v1/enrollment-tokens/"+tokens.Tokens[0]["id"].(string), nil, nil, 204)
	p.do("POST", "/api/v1/enrollment-tokens", object{"uses": 0}, nil, 422)
	p.do("POST", "/api/v1/enrollment-tokens", object{"note": "a\u202eb"}, nil, 422)

	var list struct {
		Computers []object `json:"items"`
	}
	p.do("GET", "/api/v1/computers", nil, &list, 200)
	if len(list.Computers) != 1 || list.Computers[0]["id"] != id || list.Computers[0]["status"] != "online" ||
		list.Computers[0]["name"] != "workshop" || list.Computers[0]["address"] != "127.0.0.1" || !slices.Contains(list.Computers[0]["permissions"].([]any), any("control")) ||
		list.Computers[0]["display"] != "ready" {
		t.Fatalf("list %v", list.Computers)
	}
	var one object
	p.do("PATCH", "/api/v1/computers/"+id, object{"name": "  Werkstatt ß 🛠 "}, &one, 200)
	if one["name"] != "Werkstatt ß 🛠" || one["host_name"] != "workshop" {
		t.Errorf("renamed: %v", one)
	}
	p.do("PATCH", "/api/v1/computers/"+id, object{"name": "a\x1bb"}, nil, 422)
	p.do("PATCH", "/api/v1/computers/"+id, object{"name": ""}, &one, 200)
	if one["name"] != "workshop" {
		t.Errorf("the host's name again: %v", one)
	}
	p.do("GET", "/api/v1/computers/"+id+"/inventory", nil, nil, 404)

	// The agent answers the refresh.
	asked := make(chan struct{})
	go func() {
		ask := agent.Take("inventory asked for", func(m *orielv1.ToAgent) bool { return m.GetSendInventory() != nil })
		agent.Say(&orielv1.FromAgent{ReplyTo: ask.GetId(), Body: &orielv1.FromAgent_Inventory{Inventory: &orielv1.Inventory{TakenAt: 1764000000000,
			General:  &orielv1.General{HostName: "workshop", Cpu: "Z80", Cpus: 1, Volumes: []*orielv1.Volume{{Path: "/", Total: 10, Used: 3}}},
			Hardware: &orielv1.Hardware{Adapters: []*orielv1.Adapter{{Name: "eth0", Mac: "02:00:00:00:00:01"}}}}}})
		close(asked)
	}()
	var inventory struct {
		TakenAt  string `json:"taken_at"`
		General  struct{ CPU string }
		Hardware struct{ Adapters, Disks []object }
	}
	p.do("POST", "/api/v1/computers/"+id+"/refresh", nil, &inventory, 200)
	<-asked
	if inventory.General.CPU != "Z80" || inventory.Hardware.Adapters[0]["mac"] != "02:00:00:00:00:01" || inventory.Hardware.Disks == nil ||
		inventory.TakenAt != "2025-11-24T16:00:00Z" {
		t.Errorf("inventory %+v", inventory)
	}
	preview(t, p, agent, id)
}

func preview(t *testing.T, p *person, agent *relaytest.Agent, id string) {
	t.Helper()
	// The smallest JPEG there is: a grey pixel.
	picture, err := base64.StdEncoding.DecodeString("/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxA=")
	if err != nil {
		t.Fatal(err)
	}
	p.do("GET", "/api/v1/computers/"+id+"/preview", nil, nil, 404)
	agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Preview{Preview: &orielv1.Preview{Type: "image/jpeg", Data: picture, Width: 1, Height: 1, TakenAt: 1764000000000}}})
	get := func(tag string) (*http.Response, []byte) {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), "GET", p.url+"/api/v1/computers/"+id+"/preview", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.AddCookie(p.cookie)
		if tag != "" {
			q.Header.Set("If-None-Match", tag)
		}
		res, err := p.client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, b
	}
	until(t, "there is a preview", func() bool { res, _ := get(""); return res.StatusCode == 200 })
	res, b := get("")
	if !bytes.Equal(b, picture) || res.Header.Get("Content-Type") != "image/jpeg" || res.Header.Get("X-Content-Type-Options") != "nosniff" ||
		res.Header.Get("Content-Security-Policy") != "default-src 'none'; sandbox" || res.Header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("preview of %d bytes, %v", len(b), res.Header)
	}
	if again, b := get(res.Header.Get("ETag")); again.StatusCode != 304 || len(b) != 0 {
		t.Errorf("again: %s, %d bytes", again.Status, len(b))
	}
}

// live opens a session, lets it connect and ends it by REST.
func live(t *testing.T, r *relay, p *person, agent *relaytest.Agent, id string) string {
	t.Helper()
	tab := relaytest.OpenTab(t, r.wire, p.cookie)
	ice := tab.Welcome.GetIceServers()
	if len(ice) < 1 || len(ice[0].GetUrls()) != 3 || !strings.HasPrefix(ice[0].GetUrls()[0], "stun:127.0.0.1:") || ice[0].GetCredential() == "" {
		t.Errorf("ICE servers %v", ice)
	}
	attempt := tab.Open(id, relaytest.Controlling, "")
	session := tab.Opened(attempt).GetSessionId()
	offer, grant := agent.Offer()
	if grant.GetOperator().GetName() != "Olivia Owner" || grant.GetOperator().GetAddress() != "127.0.0.1" || !bytes.Equal(grant.GetFingerprint(), tab.Certificate()) {
		t.Errorf("grant %v", grant)
	}
	agent.Answer(offer, grant)
	tab.Answer()
	agent.Report(session, 1000)
	var row object
	until(t, "the session is connected", func() bool {
		p.do("GET", "/api/v1/sessions/"+session, nil, &row, 200)
		return row["connected_at"] != nil
	})
	if row["path"] != "direct" || fmt.Sprint(row["scopes"]) != "[view control]" || row["ended_at"] != nil || row["end_reason"] != "" {
		t.Errorf("row %v", row)
	}
	p.do("POST", "/api/v1/sessions/"+session+"/end", nil, nil, 204)
	agent.EndSession(session)
	tab.Ended(session)
	p.do("POST", "/api/v1/sessions/"+session+"/end", nil, nil, 204) // over already
	p.do("POST", "/api/v1/sessions/0198c0de-0000-7000-8000-000000000000/end", nil, nil, 404)
	return session
}

func journal(t *testing.T, p *person, id, session string) {
	t.Helper()
	var page struct {
		Sessions []object `json:"items"`
		Next     string
	}
	for query, want := range map[string]int{
		"": 1, "?computer=" + id: 1, "?computer=x": 0, "?operator=x": 0, "?running=true": 0, "?running=false": 1, "?limit=1": 1,
	} {
		p.do("GET", "/api/v1/sessions"+query, nil, &page, 200)
		if len(page.Sessions) != want || page.Next != "" {
			t.Errorf("journal%s has %d rows, next %q", query, len(page.Sessions), page.Next)
		}
	}
	for _, bad := range []string{"?limit=0", "?limit=101", "?running=perhaps"} {
		p.do("GET", "/api/v1/sessions"+bad, nil, nil, 422)
	}
	p.do("GET", "/api/v1/sessions?cursor=nonsense", nil, nil, 400)
	p.do("GET", "/api/v1/sessions/x", nil, nil, 404)
	var row object
	p.do("GET", "/api/v1/sessions/"+session, nil, &row, 200)
	if row["ended_at"] == nil || row["end_reason"] == "" || row["operator_name"] != "Olivia Owner" || row["computer_name"] != "workshop" {
		t.Errorf("row %v", row)
	}
}
