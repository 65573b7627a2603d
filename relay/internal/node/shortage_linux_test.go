package node_test

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// readyz is what the relay says of itself.
func (r *relay) readyz() string {
	r.t.Helper()
	res, err := http.Get(r.node.URL() + "/readyz")
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

// Rule: with a full disk goes on what needs no writing (the list, the check of
// a sign-in, live sessions, presence, a computer that comes back); what writes
// says that the disk is full; a relay that starts with a full disk starts; and
// everything returns by itself when there is room.
func TestFullDisk(t *testing.T) {
	disk := storetest.NewDisk(t, "16m")
	c := settings(t)
	c.Data = filepath.Join(disk.Path, "data")
	c.Database = "sqlite:" + filepath.Join(disk.Path, "relay.db")
	r := start(t, c)
	p := r.owner()
	workshop, office := r.enroll(p, "workshop"), r.enroll(p, "office")
	tab := relaytest.OpenTab(t, r.wire, p.cookie)
	opened := func() string {
		attempt := tab.Open(workshop.Welcome.GetComputerId(), relaytest.Controlling, "")
		session := tab.Opened(attempt).GetSessionId()
		offer, grant := workshop.Offer()
		workshop.Answer(offer, grant)
		tab.Answer()
		workshop.Report(session, 1000)
		return session
	}
	session := opened()
	until(t, "the session is connected", func() bool {
		var row object
		p.do("GET", "/api/v1/sessions/"+session, nil, &row, 200)
		return row["connected_at"] != nil
	})

	disk.Fill()
	until(t, "the relay notices", func() bool {
		return strings.Contains(r.readyz(), "database: disk full\n") && strings.Contains(r.readyz(), "blobs: disk full\n")
	})
	health := func(fine bool) {
		t.Helper()
		m := tab.Take("the relay's health", func(m *orielv1.ToConsole) bool { return m.GetRelayHealth() != nil }).GetRelayHealth()
		full := 0
		for _, f := range m.GetFailing() {
			if f.GetDiskFull() {
				full++
			}
		}
		if fine != (len(m.GetFailing()) == 0) || !fine && full != 2 {
			t.Errorf("who operates the relay is told %v", m)
		}
	}
	health(false)
	status := func(want map[string]string) {
		t.Helper()
		var list struct {
			Computers []object `json:"items"`
		}
		var last []byte
		defer func() {
			if t.Failed() {
				t.Logf("%s", last)
			}
		}()
		until(t, "the list shows what is", func() bool {
			p.do("GET", "/api/v1/computers", nil, &list, 200)
			last, _ = json.Marshal(list)
			for _, one := range list.Computers {
				if w := want[one["name"].(string)]; w != "" && w != one["status"] {
					return false
				}
			}
			return len(list.Computers) == 2
		})
	}
	status(map[string]string{"workshop": "in_session", "office": "online"})
	var problem struct{ Code, Detail string }
	p.do("POST", "/api/v1/enrollment-tokens", object{"note": "more"}, &problem, 507)
	if problem.Code != "disk_full" || !strings.Contains(problem.Detail, "disk is full") {
		t.Errorf("what writes answers %+v", problem)
	}

	// One leaves and comes back, while nobody can write it down.
	_ = office.Conn.Close()
	status(map[string]string{"office": "offline"})
	conn, _, err := office.Machine.Dial(t.Context(), r.wire, "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	status(map[string]string{"office": "online"})

	status(map[string]string{"workshop": "in_session"}) // still

	// A session that may not go on does not wait for room.
	p.do("POST", "/api/v1/sessions/"+session+"/end", nil, &problem, 507)
	workshop.EndSession(session)
	tab.Ended(session)
	workshop.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionEnded{SessionEnded: &orielv1.SessionEnded{
		SessionId: session, Reason: orielv1.EndReason_END_REASON_ENDED}}})

	disk.Free()
	health(true)
	p.do("POST", "/api/v1/enrollment-tokens", object{"note": "more"}, nil, 201)
	var row object
	defer func() {
		if t.Failed() {
			t.Logf("the session's row: %v", row)
		}
	}()
	until(t, "the end is written down", func() bool {
		row = nil
		p.do("GET", "/api/v1/sessions/"+session, nil, &row, 200)
		return row["ended_at"] != nil && row["end_reason"] == "ended"
	})
	until(t, "the database knows who is here", func() bool {
		c, err := r.wire.Store.Computers(store.FirstOrganization).Get(t.Context(), office.Welcome.GetComputerId())
		return err == nil && c.Online
	})
	opened()

	// A relay starts with a full disk, too.
	disk.Fill()
	r.end()
	disk.Fill() // also what the end gave back
	r = start(t, c)
	p.url = r.node.URL()
	status(map[string]string{"workshop": "offline", "office": "offline"})
	conn, _, err = workshop.Machine.Dial(t.Context(), r.wire, "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	status(map[string]string{"workshop": "in_session", "office": "offline"})
	disk.Free()
	until(t, "it is ready", func() bool { return !strings.Contains(r.readyz(), "disk full") })
	until(t, "the database knows who is here", func() bool {
		c, err := r.wire.Store.Computers(store.FirstOrganization).Get(t.Context(), workshop.Welcome.GetComputerId())
		return err == nil && c.Online
	})
}
