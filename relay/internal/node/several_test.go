package node_test

import (
	"cmp"
	"slices"
	"testing"

	"oriel/relay/internal/store"
)

// results are what PATCH /computers answers: the code of the problem of each computer, or "".
func (p *person) results(body object) map[string]string {
	p.t.Helper()
	var out struct {
		Results []struct {
			ID      string
			Problem struct{ Code string }
		}
	}
	p.do("PATCH", "/api/v1/computers", body, &out, 200)
	all := map[string]string{}
	for _, r := range out.Results {
		all[r.ID] = r.Problem.Code
	}
	return all
}

// Rule: of many computers that are changed at once each is as if it were changed alone: done where the caller may, refused
// where not, unknown where it is another's, and what is refused for one keeps none of the others.
func TestManyComputersAtOnce(t *testing.T) {
	r := start(t, settings(t))
	owner := r.owner()
	theirs := r.furnish(r.organization("theirs"))
	one, two := r.enroll(owner, "one").Welcome.GetComputerId(), r.enroll(owner, "two").Welcome.GetComputerId()
	foreign, invented := theirs.things["/computers/"], store.NewID()
	var group struct{ ID string }
	owner.do("POST", "/api/v1/groups", object{"name": "Munich"}, &group, 201)
	ids := []string{one, foreign, two, invented, one}
	type computer struct {
		Status, Group string
		Tags          []string
		Pinned        bool
	}
	get := func(p *person, id string) (c computer) {
		t.Helper()
		p.do("GET", "/api/v1/computers/"+id, nil, &c, 200)
		return c
	}
	unknown := func(what string, got map[string]string, mine string) {
		t.Helper()
		none := cmp.Or(mine, "not_found") // who may on no computer learns nothing of any
		if len(got) != 4 || got[one] != mine || got[two] != mine || got[foreign] != none || got[invented] != none {
			t.Errorf("%s: %v", what, got)
		}
	}
	unknown("the owner", owner.results(object{"ids": ids, "tag": []string{"Desk", "till"}, "group_id": group.ID, "pinned": true}), "")
	unknown("the owner", owner.results(object{"ids": ids, "untag": []string{"till"}, "blocked": true}), "")
	for _, id := range []string{one, two} {
		if c := get(owner, id); c.Status != "blocked" || c.Group != "Munich" || !slices.Equal(c.Tags, []string{"desk"}) || !c.Pinned {
			t.Errorf("%+v", c)
		}
	}
	viewer, _ := r.member(store.FirstOrganization, store.RoleViewer)
	unknown("a viewer, who may pin", viewer.results(object{"ids": ids, "pinned": true}), "")
	unknown("a viewer, who may not tag", viewer.results(object{"ids": ids, "pinned": false, "tag": []string{"mine"}}), "forbidden")
	if c := get(viewer, one); !c.Pinned || len(c.Tags) != 1 {
		t.Errorf("half of what was refused is done: %+v", c)
	}
	unknown("a viewer, who may not remove", viewer.results(object{"ids": ids, "remove": true}), "forbidden")
	if got := owner.results(object{"ids": []string{one}, "group_id": "none", "blocked": false}); got[one] != "not_found" {
		t.Errorf("a group that is not there: %v", got)
	}
	unknown("the owner", owner.results(object{"ids": ids, "remove": true}), "")
	owner.do("GET", "/api/v1/computers/"+one, nil, nil, 404)
	owner.do("PATCH", "/api/v1/computers", object{"ids": []string{one}}, nil, 422)
	theirs.owner.do("GET", "/api/v1/computers/"+foreign, nil, nil, 200)
}
