package api_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"oriel/relay/internal/audit"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
)

// Rule: the list of computers takes filters, a sort and a grouping in its address, and counts say the same of the filters.
func TestComputersAreListedAndCounted(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	_, cookie := n.Owner(t)
	c := keyed(t, n, n.Fleet, cookie)
	token := n.Token(t, 3)
	var ids []string
	for _, name := range []string{"pc 10", "pc 9", "till"} {
		ids = append(ids, relaytest.NewMachine(name).Connect(t, n, token).Welcome.GetComputerId())
	}
	ask := func(method, path, body string, out any) {
		t.Helper()
		r := c.do(method, "/api/v1"+path, body)
		if r.StatusCode/100 != 2 {
			t.Fatalf("%s %s: %s %s", method, path, r.Status, r.body)
		}
		if out != nil {
			if err := json.Unmarshal([]byte(r.body), out); err != nil {
				t.Fatal(err, r.body)
			}
		}
	}
	var field struct{ ID string }
	ask("POST", "/computer-fields", `{"name":"Inventory number"}`, &field)
	ask("PATCH", "/computers/"+ids[0], `{"tags":["Büro, 1. Stock","x"],"comment":"**new**","fields":[{"id":"`+field.ID+`","value":"INV-0815"}]}`, nil)
	ask("PUT", "/computers/"+ids[2]+"/pin", "", nil)
	if err := n.Store.Computers(store.FirstOrganization).Block(t.Context(), audit.Command.Did(audit.ComputerBlocked, "computer", ids[1]), ids[1], true); err != nil {
		t.Fatal(err)
	}
	type list struct {
		Items []struct {
			Name, Status, Comment string
			Pinned                bool
			Tags                  []string
			Fields                []struct{ ID, Value string }
		}
		Next string
	}
	for query, want := range map[string][]string{
		"sort=name":                 {"till", "pc 9", "pc 10"},
		"sort=-name":                {"till", "pc 10", "pc 9"},
		"sort=name&group_by=status": {"till", "pc 10", "pc 9"},
		"status=blocked,offline":    {"pc 9"},
		"tag=" + url.QueryEscape("none,BÜRO 1. stock"): {"pc 10"},
		"q=inv-0815":               {"pc 10"},
		"q=nothing":                {},
		"pinned=true":              {"till"},
		"group=none&status=online": {"till", "pc 10"},
	} {
		var got list
		ask("GET", "/computers?limit=100&"+query, "", &got)
		var names []string
		for _, item := range got.Items {
			names = append(names, item.Name)
			if item.Comment != "" || item.Pinned != (item.Name == "till") || (len(item.Fields) == 1) != (item.Name == "pc 10") {
				t.Errorf("%s: %+v", query, item)
			}
		}
		if len(names) != len(want) {
			t.Errorf("%s: %q, want %q", query, names, want)
			continue
		}
		for i := range names {
			if names[i] != want[i] {
				t.Errorf("%s: %q, want %q", query, names, want)
				break
			}
		}
		var counts struct {
			All, Found struct{ Count, Online int }
			Statuses   []struct {
				Value string
				Count int
			}
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		values.Del("sort")
		values.Del("group_by")
		ask("GET", "/computer-counts?"+values.Encode(), "", &counts)
		if counts.All.Count != 3 || counts.All.Online != 2 || counts.Found.Count != len(want) {
			t.Errorf("%s: %+v", query, counts)
		}
	}
	var details struct {
		Comment string
		Pinned  bool
	}
	if ask("GET", "/computers/"+ids[0], "", &details); details.Comment != "**new**" || details.Pinned {
		t.Errorf("%+v", details)
	}
	var counts struct {
		Groups  []struct{ Value string }
		Choices struct {
			Statuses, Tags []struct {
				Value         string
				Count, Online int
			}
		}
	}
	ask("GET", "/computer-counts?status=blocked&group_by=status", "", &counts)
	if got := fmt.Sprint(counts); got != "{[{blocked}] {[{online 2 2} {blocked 1 0}] []}}" {
		t.Error(got)
	}
	ask("GET", "/computer-counts", "", &counts)
	if got := fmt.Sprint(counts.Choices.Tags); got != "[{büro 1. stock 1 1} {x 1 1}]" {
		t.Error(got)
	}
	c.problem(c.do("GET", "/api/v1/computers?sort=size", ""), 422, "invalid")
	c.problem(c.do("GET", "/api/v1/computers?cursor=x", ""), 400, "cursor")
}

// Rule: what a person keeps of the list is theirs: made, changed and removed by them, and there for nobody else.
func TestViewsAreOnesOwn(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	_, cookie := n.Owner(t)
	_, other := n.Member(t, store.RoleAdmin)
	owner, admin := keyed(t, n, n.Fleet, cookie), keyed(t, n, n.Fleet, other)
	var made struct{ ID, Name, Query string }
	if r := owner.do("POST", "/api/v1/me/views", `{"name":"Offline","query":"status=offline"}`); r.StatusCode != 201 || json.Unmarshal([]byte(r.body), &made) != nil {
		t.Fatal(r.Status, r.body)
	}
	for c, want := range map[*client]int{owner: 1, admin: 0} {
		var list struct{ Items []struct{ ID string } }
		if r := c.do("GET", "/api/v1/me/views", ""); r.StatusCode != 200 || json.Unmarshal([]byte(r.body), &list) != nil || len(list.Items) != want {
			t.Errorf("%s %s, want %d", r.Status, r.body, want)
		}
	}
	admin.problem(admin.do("PATCH", "/api/v1/me/views/"+made.ID, `{"name":"mine"}`), 404, "not_found")
	admin.problem(admin.do("DELETE", "/api/v1/me/views/"+made.ID, ""), 404, "not_found")
	if r := owner.do("PATCH", "/api/v1/me/views/"+made.ID, `{"name":"Away"}`); r.StatusCode != 200 || json.Unmarshal([]byte(r.body), &made) != nil || made.Name != "Away" || made.Query != "status=offline" {
		t.Error(r.Status, r.body)
	}
	owner.problem(owner.do("PATCH", "/api/v1/me/views/"+made.ID, `{"name":" "}`), 422, "invalid")
	if r := owner.do("DELETE", "/api/v1/me/views/"+made.ID, ""); r.StatusCode != 204 {
		t.Error(r.Status, r.body)
	}
}
