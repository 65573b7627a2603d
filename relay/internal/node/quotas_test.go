package node_test

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"maps"
	"net/http"
	"strings"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/api"
	"oriel/relay/internal/people"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
)

// quotas of the first organization, and what is used of them.
func (r *relay) quotas(t *testing.T) (used, most map[store.Quota]int64) {
	t.Helper()
	rows, err := r.wire.Store.Quotas(store.FirstOrganization).Use(t.Context(), 1)
	must(t, err)
	used, most = map[store.Quota]int64{}, map[store.Quota]int64{}
	for _, row := range rows {
		used[row.Kind] = row.Used
		if row.Most != nil {
			most[row.Kind] = *row.Most
		}
	}
	return used, most
}

// limit sets them, as who operates the relay does.
func (r *relay) limit(t *testing.T, operator *person, most map[store.Quota]int64) {
	t.Helper()
	operator.do("PUT", "/api/v1/organizations/"+string(store.FirstOrganization)+"/quotas", most, nil, 200)
}

// counting are the routes that make one more of what is counted, and of what. The test
// below finds them by itself; this list is for people.
var counting = map[string]store.Quota{
	"POST /waiting-computers/{id}/take-back": store.QuotaComputers,
	"POST /people":                           store.QuotaPeople,
	"POST /join":                             store.QuotaPeople,
	"POST /me/organizations":                 store.QuotaPeople,
	"POST /member-invitations":               store.QuotaInvitations,
}

// words are what a refusal says of each kind.
var words = map[store.Quota]string{
	store.QuotaComputers: "all the computers", store.QuotaPeople: "all the people", store.QuotaSessions: "all the sessions",
	store.QuotaStorage: "previews and inventories", store.QuotaInvitations: "all the open invitations",
}

// Rule: where every quota is used up, a route that would make more of something refuses
// it with the code quota, and there is no more of it; all others do what they did. The
// routes are all that change something, so that none is forgotten (TestEachChangeIsAudited).
func TestRoutesKeepToQuotas(t *testing.T) {
	found := map[string]store.Quota{}
	for name, c := range changes {
		if name == "POST /owner" {
			continue // nobody is there yet who could set a quota
		}
		t.Run(name, func(t *testing.T) {
			w := &changing{T: t, relay: start(t, settings(t))}
			w.owner = w.relay.owner()
			id, body := "", any(nil)
			if c.prepare != nil {
				id, body = c.prepare(w)
			}
			before, _ := w.relay.quotas(t)
			must(t, w.wire.Store.Quotas(store.FirstOrganization).Set(t.Context(), store.Entry{ActorKind: "command", Action: "test.full", Outcome: store.Done}, before))
			method, path, _ := strings.Cut(name, " ")
			at := strings.NewReplacer("{id}", id, "{person}", w.mateID, "{kind}", "number", "{key}", "4711", "{object}", "group").Replace(api.Prefix + path)
			status, text := w.owner.answer(method, at, body)
			refused := status == http.StatusConflict && strings.Contains(text, `"code":"quota"`)
			if status != c.status && !refused {
				t.Errorf("with all quotas used up: %d %s", status, text)
			}
			after, _ := w.relay.quotas(t)
			for kind := range after {
				if after[kind] > before[kind] {
					t.Errorf("of %d %s there are %d now: the store lets in what it should count", before[kind], kind, after[kind])
				}
				if refused && strings.Contains(text, words[kind]) {
					found[name] = kind
				}
			}
		})
	}
	if !maps.Equal(found, counting) {
		t.Errorf("these count: %v\nwant %v", found, counting)
	}
}

// Rule: an agent that enrolls, what it sends to be kept, and the opening of a session
// are held to the quotas: each is told which, its token is not used up, and goes on
// when there is a place.
func TestAgentsAndTabsKeepToQuotas(t *testing.T) {
	r := start(t, settings(t))
	owner := r.owner()
	agent := r.enroll(owner, "workshop")
	computer := agent.Welcome.GetComputerId()
	used, _ := r.quotas(t)
	r.limit(t, owner, used)

	var token struct{ ID, Token string }
	owner.do("POST", "/api/v1/enrollment-tokens", object{"uses": 1}, &token, 201)
	machine := relaytest.NewMachine("second")
	_, _, err := machine.Dial(t.Context(), r.wire, token.Token)
	var refusal *relaytest.Refusal
	if !errors.As(err, &refusal) || refusal.Refused.GetCode() != orielv1.Code_CODE_QUOTA || refusal.Refused.GetFinal() ||
		!strings.Contains(refusal.Refused.GetDetail(), "computers that its quota allows (1)") {
		t.Fatalf("an agent is told %v", err)
	}

	tab := relaytest.OpenTab(t, r.wire, owner.cookie)
	tab.Open(computer, relaytest.Watching, "")
	if p := tab.Problem(); p.GetCode() != orielv1.Code_CODE_QUOTA || !strings.Contains(p.GetDetail(), "sessions at once that its quota allows (0)") {
		t.Errorf("a tab is told %v", p)
	}

	var picture bytes.Buffer
	must(t, jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8)), nil))
	inventory := &orielv1.FromAgent{Body: &orielv1.FromAgent_Inventory{Inventory: &orielv1.Inventory{General: &orielv1.General{Os: "linux"}}}}
	agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Preview{Preview: &orielv1.Preview{Type: "image/jpeg", Data: picture.Bytes()}}})
	agent.Say(inventory)
	agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Status{Status: &orielv1.Status{Detail: "after them"}}})
	until(t, "what was said last", func() bool {
		c, err := r.wire.Store.Computers(store.FirstOrganization).Get(t.Context(), computer)
		return err == nil && c.DisplayDetail == "after them"
	})
	for _, what := range []string{"inventory", "preview"} {
		if status, text := owner.answer("GET", "/api/v1/computers/"+computer+"/"+what, nil); status != http.StatusNotFound {
			t.Errorf("its %s is kept: %d %.100s", what, status, text)
		}
	}

	r.limit(t, owner, map[store.Quota]int64{store.QuotaComputers: 2, store.QuotaSessions: 1, store.QuotaStorage: 100_000})
	machine.Connect(t, r.wire, token.Token) // with the token that it was refused with
	tab.Opened(tab.Open(computer, relaytest.Watching, ""))
	agent.Say(inventory)
	until(t, "its inventory", func() bool {
		status, _ := owner.answer("GET", "/api/v1/computers/"+computer+"/inventory", nil)
		return status == http.StatusOK
	})
	if used, _ := r.quotas(t); used[store.QuotaComputers] != 2 || used[store.QuotaSessions] != 1 || used[store.QuotaStorage] == 0 {
		t.Errorf("there are %v", used)
	}
}

// Rule: each member is shown the quotas of what they make or see in their organization:
// an admin all, an operator none. Who operates the relay sets those of every organization,
// and what they leave out has no limit.
func TestQuotasAreShown(t *testing.T) {
	r := start(t, settings(t))
	owner, o := r.owner(), r.organization("customer")
	at := "/api/v1/organizations/" + string(o) + "/quotas"
	var q people.Quotas
	owner.do("PUT", at, object{"computers": 3, "people": 9}, &q, 200)
	if q.Computers.Used != 0 || *q.Computers.Limit != 3 || q.People.Used != 1 || *q.People.Limit != 9 || q.Sessions.Limit != nil {
		t.Errorf("%+v", q)
	}
	for role, shown := range map[string]bool{store.RoleOwner: true, store.RoleAdmin: true, store.RoleOperator: false, store.RoleMember: false} {
		p, _ := r.member(o, role)
		var own people.Quotas
		p.do("GET", "/api/v1/organization/quotas", nil, &own, 200)
		for _, kind := range store.AllQuotas {
			if use := *own.Of(kind); (use != nil) != shown {
				t.Errorf("%s is shown %s: %v", role, kind, use)
			}
		}
		for method, body := range map[string]any{"GET": nil, "PUT": object{}} { // nobody of a customer's
			if status, _ := p.answer(method, at, body); status != http.StatusForbidden {
				t.Errorf("%s %s as %s: %d", method, at, role, status)
			}
		}
	}
	q = people.Quotas{}
	owner.do("PUT", at, object{"people": 1}, &q, 200)
	if q.Computers.Limit != nil || *q.People.Limit != 1 || q.People.Used != 5 {
		t.Errorf("%+v", q)
	}
	for _, body := range []object{{"people": -1}, {"people": "many"}, {"cats": 1}, {"storage": 1 << 60}} {
		if status, text := owner.answer("PUT", at, body); status != http.StatusUnprocessableEntity {
			t.Errorf("%v: %d %s", body, status, text)
		}
	}
}
