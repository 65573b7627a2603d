package node_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"oriel/relay/internal/api"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// samples of how long answers took, by whom they were asked.
type samples map[string][]time.Duration

func (s samples) median(of string) time.Duration {
	all := slices.Sorted(slices.Values(s[of]))
	if len(all) == 0 {
		return 0
	}
	return all[len(all)/2]
}

// ratio of two medians.
func (s samples) ratio(of, to string) float64 { return float64(s.median(of)) / float64(s.median(to)) }

// naming are routes that name something in their bodies, by the path of one that is about such a thing.
var naming = map[string]string{"POST /me/organization": "/me/organizations/{id}", "POST /groups": "/groups/{id}",
	"POST /approvals": "/computers/{id}", "POST /api-keys": "/people/{id}", "POST /grants": "/computers/{id}"}

func namedBody(route, id string) any {
	switch route {
	case "POST /groups":
		return object{"name": "Within", "parent_id": id}
	case "POST /approvals":
		return object{"computer": id}
	case "POST /api-keys":
		return object{"person": id, "name": "report", "permissions": []string{"see"}}
	case "POST /grants":
		return object{"subject": object{"kind": "person", "id": id}, "role": "viewer", "object": object{"kind": "computer", "id": id}}
	}
	return object{"id": id}
}

// BenchmarkForeign asks every route that names something for what is another
// organization's and for what does not exist, twice, interleaved in random order, as an
// owner and as a member who may nothing, and reports the ratio of the medians: foreign
// to invented, and for the noise of the machine invented to invented. What is one's own is
// asked for, too, where that changes nothing. An iteration is a round over all routes.
//
//	go test -run '^$' -bench Foreign -benchtime 200x ./relay/internal/node
func BenchmarkForeign(b *testing.B) {
	for name, address := range map[string]func(testing.TB) string{"SQLite": storetest.SQLite, "PostgreSQL": storetest.PostgreSQL} {
		b.Run(name, func(b *testing.B) { benchmarkForeign(b, address(b)) })
	}
}

func benchmarkForeign(b *testing.B, database string) {
	r := start(b, settings(b, "--database", database, "--address-requests", "1048576", "--sign-in-requests", "1048576"))
	r.owner()
	mine, theirs := r.furnish(r.organization("mine")), r.furnish(r.organization("theirs"))
	member, _ := r.member(mine.o, store.RoleMember)
	askers := map[string]*person{"owner": mine.owner, "member": member}
	type question struct {
		route, who, what, method, path string
		body                           any
	}
	var questions []question
	ids := map[string]string{"invented": store.NewID(), "invented too": store.NewID()}
	for _, route := range r.node.Routes() {
		path, of := strings.CutPrefix(route.Path, api.Prefix)
		if !of || route.Public || !strings.Contains(path, "{id}") {
			continue
		}
		ids["foreign"], ids["own"] = theirs.thing(b, path), mine.thing(b, path)
		body := any(nil)
		if made := bodies[route.Method+" "+path]; made != nil {
			body = made
		}
		for who := range askers {
			for what, id := range ids {
				if what == "own" && route.Method != "GET" {
					continue
				}
				questions = append(questions, question{route.Method + " " + path, who, what, route.Method, theirs.names.Replace(strings.ReplaceAll(route.Path, "{id}", id)), body})
			}
		}
	}
	for name, path := range naming {
		ids["foreign"], ids["own"] = theirs.thing(b, path), ""
		for who := range askers {
			for what, id := range ids {
				if id != "" {
					method, path, _ := strings.Cut(name, " ")
					questions = append(questions, question{name, who, what, method, api.Prefix + path, namedBody(name, id)})
				}
			}
		}
	}
	took := map[string]samples{}
	for b.Loop() {
		rand.Shuffle(len(questions), func(i, j int) { questions[i], questions[j] = questions[j], questions[i] })
		for _, q := range questions {
			began := time.Now()
			askers[q.who].answer(q.method, q.path, q.body)
			key := q.route + " as " + q.who
			if took[key] == nil {
				took[key] = samples{}
			}
			took[key][q.what] = append(took[key][q.what], time.Since(began))
		}
	}
	report(b, took, "foreign", "invented", "invented too")
}

// BenchmarkSignInTimes signs in with a wrong password of people who exist and of nobody, and
// with the right one of people who are inactive, interleaved; passwords cost little, so that
// they hide nothing. Each account is asked too seldom to be slowed down, by ever new
// addresses. An iteration is a round over all of them.
//
//	go test -run '^$' -bench SignInTimes -benchtime 9x ./relay/internal/node
func BenchmarkSignInTimes(b *testing.B) {
	for name, address := range map[string]func(testing.TB) string{"SQLite": storetest.SQLite, "PostgreSQL": storetest.PostgreSQL} {
		b.Run(name, func(b *testing.B) { benchmarkSignIn(b, address(b)) })
	}
}

func benchmarkSignIn(b *testing.B, database string) {
	const people = 12
	a := &attacked{relay: start(b, settings(b, "--database", database)), wrong: map[string]map[string]int{}, answered: map[string]int{}}
	owner := a.owner()
	kinds := map[string]string{"active": "a wrong password", "inactive": "correct horse battery", "nobody": "a wrong password", "nobody too": "a wrong password"}
	for i := range people {
		a.joins(owner, fmt.Sprintf("active%d@example.com", i))
		a.joins(owner, fmt.Sprintf("inactive%d@example.com", i))
	}
	var all struct{ Items []struct{ ID, Email string } }
	owner.do("GET", "/api/v1/people?limit=100", nil, &all, 200)
	for _, one := range all.Items {
		if strings.HasPrefix(one.Email, "inactive") {
			owner.do("PATCH", "/api/v1/people/"+one.ID, object{"state": "inactive"}, nil, 200)
		}
	}
	took := map[string]samples{"POST /sign-in": {}}
	type question struct {
		kind, login string
	}
	var questions []question
	for kind := range kinds {
		for i := range people {
			questions = append(questions, question{kind, fmt.Sprintf("%s%d@example.com", strings.ReplaceAll(kind, " ", ""), i)})
		}
	}
	for b.Loop() {
		rand.Shuffle(len(questions), func(i, j int) { questions[i], questions[j] = questions[j], questions[i] })
		for _, q := range questions {
			p, _ := a.from()
			code, time, err := p.try(b.Context(), "POST", "/sign-in", "", object{"login": q.login, "password": kinds[q.kind]})
			must(b, err)
			if code != "bad_credentials" {
				b.Fatalf("%s: %s", q.login, code)
			}
			took["POST /sign-in"][q.kind] = append(took["POST /sign-in"][q.kind], time)
			p.client.CloseIdleConnections()
		}
	}
	report(b, took, "active", "nobody", "nobody too")
	report(b, took, "inactive", "nobody", "nobody too")
}

// report logs medians and the ratio of one kind to another, the widest first, and of two that do not differ.
func report(b *testing.B, took map[string]samples, one, other, noise string) {
	b.Helper()
	apart := func(ratio float64) float64 { return max(ratio, 1/ratio) }
	var names []string
	widest := 1.0
	for name, s := range took {
		names = append(names, name)
		widest = max(widest, apart(s.ratio(noise, other)))
	}
	slices.SortFunc(names, func(a, b string) int {
		if apart(took[a].ratio(one, other)) > apart(took[b].ratio(one, other)) {
			return -1
		}
		return 1
	})
	var text bytes.Buffer
	for _, name := range names {
		s := took[name]
		fmt.Fprintf(&text, "\n%-66s %.3f (noise %.3f), %s %s, %s %s, own %s", name, s.ratio(one, other), s.ratio(noise, other),
			one, s.median(one).Round(time.Microsecond), other, s.median(other).Round(time.Microsecond), s.median("own").Round(time.Microsecond))
	}
	b.Log(text.String())
	b.ReportMetric(apart(took[names[0]].ratio(one, other)), one+"/"+other)
	b.ReportMetric(widest, "noise")
}
