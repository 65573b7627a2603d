package api_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"oriel/relay/internal/api"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/notify/mail"
	"oriel/relay/internal/people"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/replay"
	"oriel/relay/internal/store/storetest"
)

// described is the description that the API serves.
type described struct {
	Paths map[string]map[string]struct {
		OperationID string
		Parameters  []struct {
			Name, In string
			Schema   *schema
			Example  any
		}
		RequestBody *struct {
			Content map[string]struct {
				Schema  *schema
				Example any
			}
		}
	}
	Components struct{ Schemas map[string]*schema }
}

func (d *described) resolve(s *schema) *schema {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		return d.Components.Schemas[name]
	}
	return s
}

// walk sends nonsense to one operation.
type walk struct {
	t       *testing.T
	c       *client
	slowest *time.Duration

	method, path string // with examples of what it names
	body         string // a valid one; empty: it takes none
}

// counting tells how much of a body was read.
type counting struct {
	io.Reader
	read int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += n
	return n, err
}

// mostRead of a body that is 10 MB: the bound, and what fills a buffer.
const mostRead = 128 << 10

func (w walk) send(one nonsense) {
	w.t.Helper()
	path, body, kind := w.path, w.body, "application/json"
	if one.path != "" {
		path = one.path
	}
	if one.query != "" {
		path += "?" + one.query
	}
	if one.body != nil {
		body = *one.body
	}
	if one.contentType != "" {
		kind = one.contentType
	}
	body = strings.Replace(body, large, megabytes, 1)
	read := &counting{Reader: strings.NewReader(body)}
	r := httptest.NewRequest(w.method, "http://127.0.0.1"+path, read)
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Cookie", w.c.cookie)
	for name, value := range one.header {
		r.Header.Set(name, value)
	}
	out := httptest.NewRecorder()
	begun := time.Now()
	w.c.h.ServeHTTP(out, r)
	*w.slowest = max(*w.slowest, time.Since(begun))
	where := w.method + " " + w.path + ": " + one.what
	if read.read > mostRead {
		w.t.Errorf("%s: %d bytes of the body were read", where, read.read)
	}
	if one.harmless && out.Code < 300 {
		return
	}
	if strings.Contains(path, "..%2f") && out.Code == http.StatusTemporaryRedirect {
		return // to the path without it, which is another route's
	}
	var p fault.Problem
	err := json.Unmarshal(out.Body.Bytes(), &p)
	if out.Code < 400 || out.Code > 499 || err != nil || p.Status != out.Code || p.Code == "" || p.Detail == "" ||
		out.Header().Get("Content-Type") != "application/problem+json" {
		w.t.Errorf("%s: %d %.300s", where, out.Code, out.Body)
		return
	}
	names := func(e fault.FieldProblem) bool {
		return e.Detail != "" && (e.Parameter == one.at || e.Pointer == one.at || strings.HasPrefix(e.Pointer, one.at+"/"))
	}
	if one.at != "" && !slices.ContainsFunc(p.Errors, names) {
		w.t.Errorf("%s: it names not %s but %.300s", where, one.at, out.Body)
	}
}

// sound are values of a path's parameters that are as they have to be.
var sound = strings.NewReplacer("{id}", "c1", "{person}", "c1", "{kind}", "number", "{key}", "4711", "{object}", "group")

// unsteady are tables that change without being asked to store anything: tries are
// counted, and sign-ins and nodes seen.
var unsteady = []string{"tries", "sign_ins", "nodes"}

// steady are a table's rows without what is written later by itself: the audit's of
// what was refused, and its newest number.
func steady(table, rows string) string {
	switch table {
	case "audit_heads":
		return ""
	case "audit":
		var all []string
		for line := range strings.Lines(rows) {
			if !strings.Contains(line, " "+string(audit.Attempt)+" ") {
				all = append(all, line)
			}
		}
		return strings.Join(all, "")
	}
	return rows
}

// Rule: nonsense of every kind, and 10 MB of it, in every field and parameter of every
// operation in the description is refused as a problem that names what is wrong; none
// of it is stored, none is the relay's own failure, and no more of a body is read than
// its bound. An operation is walked because it is in the description.
func TestNonsenseIsRefused(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		n := relaytest.StartNode(t, relaytest.NodeOptions{Database: address})
		_, cookie := n.Owner(t)
		creations["splitComputer"].before(t, n) // there is a computer, with a token
		rest := api.New(api.Options{Access: n.Access, People: people.New(people.Options{Store: n.Store, Access: n.Access}), Fleet: n.Fleet, Journal: n.Journal, Broker: n.Broker, Relay: relay{},
			Policies: n.Policies, Audit: kept{n.Audit}, Mails: mail.New(mail.Options{Store: n.Store}),
			Limits: api.Limits{Address: 1 << 30, SignIn: 1 << 30}, Answers: replay.New(replay.Options{Store: n.Store, Secret: []byte("the relay's own")})})
		c := &client{t: t, h: rest.Handler(), cookie: cookie.Name + "=" + cookie.Value}
		var d described
		if err := json.Unmarshal([]byte(c.do("GET", "/api/v1/openapi.json", "").body), &d); err != nil {
			t.Fatal(err)
		}
		var slowest time.Duration
		sent := 0
		for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
			for method, op := range d.Paths[path] {
				before := storetest.Rows(t, address)
				w := walk{t: t, c: c, slowest: &slowest, method: strings.ToUpper(method), path: sound.Replace(path)}
				var all []nonsense
				for _, p := range op.Parameters {
					switch p.In {
					case "path":
						all = append(all, ofPath(path, p.Name)...)
					case "query":
						all = append(all, ofQuery(p.Name, d.resolve(p.Schema))...)
					case "header":
						all = append(all, ofHeader(p.Name, d.resolve(p.Schema))...)
					}
				}
				all = append(all, nonsense{what: "an unknown parameter", query: "nonsense=1", at: "nonsense"})
				if op.RequestBody != nil {
					content := op.RequestBody.Content["application/json"]
					valid, err := json.Marshal(content.Example)
					if err != nil || content.Schema == nil {
						t.Fatal(op.OperationID, err)
					}
					w.body = string(valid)
					all = append(all, ofBody(d.resolve(content.Schema), w.body)...)
					d.fieldsOf(content.Schema, content.Example, "#", func(v any) any { return v }, func(s *schema, pointer, body string) {
						all = append(all, ofField(s, pointer, body)...)
					})
				} else {
					for what, body := range map[string]string{"a body": "{}", "10 MB of body": large} {
						all = append(all, nonsense{what: what + ", of which it takes none", body: &body})
					}
				}
				for _, one := range all {
					w.send(one)
				}
				sent += len(all)
				after := storetest.Rows(t, address)
				for table := range after {
					exports := op.OperationID == "exportAudit" && strings.HasPrefix(table, "audit") // which is an entry itself
					if steady(table, before[table]) != steady(table, after[table]) && !exports && !slices.Contains(unsteady, table) {
						t.Errorf("%s %s stored in %s: %.300s", w.method, path, table, strings.TrimPrefix(after[table], before[table]))
					}
				}
			}
		}
		t.Logf("%d requests, the slowest took %v", sent, slowest.Round(time.Millisecond))
		if me := c.do("GET", "/api/v1/me", ""); me.StatusCode != http.StatusOK || sent < 500 {
			t.Errorf("after %d requests: %s", sent, me.Status)
		}
	})
}
