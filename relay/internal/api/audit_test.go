package api_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"oriel/relay/internal/api"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
)

// kept is the audit of a node that signs nothing.
type kept struct{ *audit.Log }

func (kept) State(store.OrganizationID) audit.State {
	return audit.State{Verified: 7, VerifiedAt: 1, Fault: "something"}
}

// Rule: the audit of the asker's organization, and of no other, is listed page by page
// with filters, and exported as it is asked for; a spreadsheet takes no cell of it for
// a formula; that it was exported is in it.
func TestAuditIsReadAndExported(t *testing.T) {
	eachNode(t, func(t *testing.T, n *relaytest.Node) {
		who, cookie := n.Owner(t)
		c := &client{t: t, h: api.New(api.Options{Access: n.Access, Audit: kept{n.Audit}}).Handler(), cookie: cookie.Name + "=" + cookie.Value}
		evil := audit.Person("p=1", "=1+1|cmd", "", "192.0.2.1")
		for i := range 5 {
			e := evil.Did(audit.ComputerRenamed, "computer", fmt.Sprint("c", i), "name", "@x")
			e.At = int64(1000 * (i + 1))
			for _, o := range []store.OrganizationID{who.Organization, "another"} {
				if err := n.Store.Audit(o).Record(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
		}
		var page struct {
			Items []audit.Row
			Next  string
		}
		list := func(query string) string {
			t.Helper()
			page.Items, page.Next = nil, ""
			if r := c.do("GET", "/api/v1/audit?"+query, ""); r.StatusCode != 200 || json.Unmarshal([]byte(r.body), &page) != nil {
				t.Fatalf("%s: %d %s", query, r.StatusCode, r.body)
			}
			var ids []string
			for _, row := range page.Items {
				if row.Organization != string(who.Organization) {
					t.Errorf("%s shows %+v", query, row)
				}
				ids = append(ids, row.ObjectID)
			}
			return strings.Join(ids, " ")
		}
		for query, want := range map[string]string{
			"actor=p%3D1":                  "c4 c3 c2 c1 c0",
			"actor=p%3D1&sort=sequence":    "c0 c1 c2 c3 c4",
			"object=c2":                    "c2",
			"actor_kind=person&object=c2":  "c2",
			"actor_kind=command&object=c2": "",
			"object_kind=computer&action=computer.renamed&outcome=done":        "c4 c3 c2 c1 c0",
			"object_kind=computer&outcome=refused":                             "",
			"action=computer.removed":                                          "",
			"actor=p%3D1&from=1970-01-01T00:00:02Z&until=1970-01-01T00:00:04Z": "c2 c1",
			"q=192.0.2.1%20C3":                                                 "c3",
			"q=%25":                                                            "",
		} {
			if got := list(query); got != want {
				t.Errorf("%s: %q, want %q", query, got, want)
			}
		}
		got := list("actor=p%3D1&limit=2")
		for page.Next != "" {
			got += " " + list("actor=p%3D1&limit=2&cursor="+page.Next)
		}
		if got != "c4 c3 c2 c1 c0" {
			t.Errorf("page by page: %q", got)
		}
		if r := c.do("GET", "/api/v1/audit?from=1970-01-01T00:00:04Z&until=1970-01-01T00:00:02Z", ""); r.StatusCode != 422 {
			t.Errorf("a period of nothing: %d %s", r.StatusCode, r.body)
		}
		if r := c.do("GET", "/api/v1/audit/state", ""); r.StatusCode != 200 || !strings.Contains(r.body, `"verified":7`) || !strings.Contains(r.body, "something") {
			t.Errorf("state: %d %s", r.StatusCode, r.body)
		}
		r := c.do("GET", "/api/v1/audit/export?format=csv&actor=p%3D1", "")
		rows, err := csv.NewReader(strings.NewReader(r.body)).ReadAll()
		if err != nil || len(rows) != 6 || rows[1][4] != "'=1+1|cmd" || !strings.Contains(r.Header.Get("Content-Disposition"), "audit.csv") {
			t.Errorf("csv: %v %q", err, r.body)
		}
		for _, row := range rows {
			for _, cell := range row {
				if strings.IndexAny(cell, "=+-@\t\r") == 0 {
					t.Errorf("a spreadsheet takes %q for a formula", cell)
				}
			}
		}
		r = c.do("GET", "/api/v1/audit/export?format=jsonl", "")
		lines := strings.Split(strings.TrimSpace(r.body), "\n")
		var last audit.Row
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Action != audit.AuditExported || last.ActorID != who.PersonID || int(last.Sequence) != len(lines) || len(last.Hash) != 64 {
			t.Errorf("jsonl: %v %+v of %d lines", err, last, len(lines))
		}
		if r := (&client{t: t, h: c.h}).do("GET", "/api/v1/audit", ""); r.StatusCode != 401 {
			t.Errorf("a stranger: %d", r.StatusCode)
		}
	})
}
