package api_test

import (
	"fmt"
	"strings"
	"testing"

	"oriel/relay/internal/access"
	"oriel/relay/internal/api"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/people"
	"oriel/relay/internal/policy"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: policies are shown and changed via the API by who may: with their version, so that
// of two changes at once the second is told; wrong settings at their field; with what an
// object inherits, and whose that is; of what does not exist nothing is said.
func TestPolicies(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a, c, _ := setup(t, s, access.Options{})
		c.h = api.New(api.Options{Access: a, Relay: relay{}, People: people.New(people.Options{Store: s, Access: a}), Policies: policy.New(policy.Options{Store: s,
			Announce: func(o store.OrganizationID) { a.Announce(access.Change{Organization: o}) }})}).Handler()
		c.problem(c.do("GET", "/api/v1/policies", ""), 401, "unauthorized")
		token, err := a.NewOwnerToken(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c.do("POST", "/api/v1/owner", `{"token":"`+token+`","name":"Ada","email":"ada@example.com","password":"correct horse"}`)
		group := store.NewID()
		if err := s.Groups(store.FirstOrganization).Add(t.Context(), audit.Command.Did("group.made", "group", group), store.Group{ID: group, Name: "Tills"}); err != nil {
			t.Fatal(err)
		}
		save := func(path string, version int, settings string, status int) string {
			t.Helper()
			r := c.do("PUT", "/api/v1/policies/"+path, fmt.Sprintf(`{"version":%d,"settings":%s}`, version, settings))
			if r.StatusCode != status {
				t.Fatalf("%s: %s %s", path, r.Status, r.body)
			}
			return r.body
		}
		has := func(body string, parts ...string) {
			t.Helper()
			for _, part := range parts {
				if !strings.Contains(body, part) {
					t.Errorf("%s\nlacks %s", body, part)
				}
			}
		}
		has(save("organization/-", 0, `{"session_minutes":60,"scopes":["view"]}`, 200), `"version":1`)
		has(save("organization/-", 0, `{}`, 409), `"conflict"`, "somebody else")
		has(save("group/"+group, 0, `{"session_minutes":0}`, 422), "session_minutes")
		has(save("group/"+group, 0, `{"hours":["always"]}`, 422), "#/settings/hours", "mon-fri 08:00-18:00")
		has(save("group/"+group, 0, `{"sign_in_hours":8}`, 422), "#/settings/sign_in_hours")
		has(save("group/"+group, 0, `{"recording":true}`, 422), "recording")
		save("group/"+group, 0, `{"session_minutes":30}`, 200)
		has(c.do("GET", "/api/v1/policies/group/"+group, "").body, `"settings":{"session_minutes":30}`, `"inherited":{"settings":{"scopes":["view"],"session_minutes":60}`,
			`"origins":{"scopes":{"kind":"organization","id":""},"session_minutes":{"kind":"organization","id":""}}`)
		has(c.do("GET", "/api/v1/policies", "").body, `"kind":"group"`, `"kind":"organization"`)
		for _, path := range []string{"group/" + store.NewID(), "computer/x", "organization/" + string(store.FirstOrganization)} {
			c.problem(c.do("GET", "/api/v1/policies/"+path, ""), 404, "not_found")
			save(path, 0, `{}`, 404)
		}
		c.problem(c.do("GET", "/api/v1/computers/x/policy", ""), 404, "not_found")
		c.problem(c.do("DELETE", "/api/v1/policies/group/"+group+"?version=9", ""), 409, "conflict")
		if r := c.do("DELETE", "/api/v1/policies/group/"+group+"?version=1", ""); r.StatusCode != 204 {
			t.Errorf("%s %s", r.Status, r.body)
		}
	})
}
