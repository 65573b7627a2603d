package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"oriel/relay/internal/access"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/ratelimit"
	"oriel/relay/internal/store"
)

// descriptionVersion is that of the API, not of the relay, which is nobody's
// business who is not signed in.
const descriptionVersion = "1"

// tags group operations; each operation has one.
var tags = []*huma.Tag{
	{Name: "people", Description: "Who is signed in, where, and what the account remembers."},
	{Name: "computers", Description: "Computers, their pictures and inventories, and those that wait to come back."},
	{Name: "policies", Description: "What agents and people keep to, inherited from the organization to groups and computers."},
	{Name: "enrollment", Description: "Tokens with which new computers come in."},
	{Name: "sessions", Description: "The journal of sessions, and the end of one."},
	{Name: "audit", Description: "Who did what to what, and whether anything of it was altered."},
	{Name: "keys", Description: "Keys with which programs use this API."},
	{Name: "organization", Description: "The organization that the caller is in, and the way to another one."},
	{Name: "relay", Description: "The relay itself."},
}

const aboutAPI = `All that the console does, it does by these operations.

Forms. JSON in snake_case, times in RFC 3339, bytes in base64, ids as text. A body, a query or a field that is not described here is refused.

Lists. Each takes limit, cursor, sort and q, and answers items and next, the cursor of the next page.

Creations take an Idempotency-Key: asked again with it within a day, the answer is the first one's.

Refusals are problems (RFC 9457) with a code for programs and a sentence for people; a field that is wrong is named by a JSON pointer.

Limits. Each answer says in RateLimit and RateLimit-Policy how many requests are left, to the sign-in or key and to the address; beyond that, 429 with Retry-After.`

// config of the library, with what the description says of the whole.
func config() huma.Config {
	c := huma.DefaultConfig("Oriel relay", descriptionVersion)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", "", nil
	c.RejectUnknownQueryParameters = true
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: strict}
	c.Formats = map[string]huma.Format{"application/json": format, "json": format}
	c.Info.Description = aboutAPI
	c.Info.Contact = &huma.Contact{Name: "Whoever runs this relay"}
	c.Info.License = &huma.License{Name: "Apache-2.0", URL: "https://www.apache.org/licenses/LICENSE-2.0"}
	c.Servers = []*huma.Server{{URL: "/", Description: "The relay that this description comes from."}}
	c.Tags = slices.SortedFunc(slices.Values(tags), func(a, b *huma.Tag) int { return strings.Compare(a.Name, b.Name) })
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"cookie": {Type: "apiKey", In: "cookie", Name: access.SecurePrefix + access.SessionCookie,
			Description: "Set by signIn. On a relay without https, which is for loopback, it is called " + access.SessionCookie + "."},
	}
	c.Components.SecuritySchemes["key"] = &huma.SecurityScheme{Type: "http", Scheme: "bearer", BearerFormat: access.KeyPrefix + "…",
		Description: "An API key of a person or a service account, for programs. It is for one organization, and may what it was given of what they may."}
	c.Security = []map[string][]string{{"cookie": {}}, {"key": {}}}
	return c
}

// tag groups operations in the description.
func tag(name string) func(*huma.Operation) {
	if !slices.ContainsFunc(tags, func(t *huma.Tag) bool { return t.Name == name }) {
		panic("api: describe the tag " + name + " in tags") // when the program starts
	}
	return func(op *huma.Operation) { op.Tags = []string{name} }
}

// refusal is an answer that operations share: its name among the components, a
// fault that it may be, and when it comes.
type refusal struct {
	name string
	of   *fault.Fault
	when string
}

var (
	refusedRead = []refusal{
		{"Malformed", errMalformed, "The request cannot be read, or the cursor is of another list."},
		{"Invalid", fault.ErrInvalid, "Single fields are wrong; errors names them."},
	}
	refusedBody = []refusal{
		{"TooLarge", errTooLarge, "The body is larger than " + strconv.Itoa(maxBody>>10) + " KiB."},
		{"MediaType", errMediaType, "The body is not application/json."},
	}
	refusedThing  = []refusal{{"NotFound", store.ErrNotFound, "There is no such thing, or who asks may not know of it."}}
	refusedChange = []refusal{{"Conflict", store.ErrConflict, "It is not in a state in which this can be done."}}
	refusedAny    = []refusal{
		{"SignedOut", access.ErrSignedOut, "Nobody is signed in, or what was given to sign in with is wrong."},
		{"Forbidden", access.ErrForbidden, "Who asks may not do this."},
		{"TooMany", ratelimit.ErrTooMany, "Too many requests or tries; Retry-After says when to go on."},
		{"Unavailable", fault.ErrOverloaded, "The relay or its database cannot answer now; Retry-After says when to ask again."},
	}
)

// refusalsOf an operation, beyond which each may have others.
func refusalsOf(op *huma.Operation) []refusal {
	all := slices.Clone(refusedAny)
	if strings.Contains(op.Path, "{") {
		all = append(all, refusedThing...)
	}
	if op.Method != http.MethodGet {
		all = append(all, refusedChange...)
	}
	if op.RequestBody != nil {
		all = append(all, refusedBody...)
	}
	if op.RequestBody != nil || len(op.Parameters) > 0 {
		all = append(all, refusedRead...)
	}
	return all
}

// counted are the headers of every answer.
var counted = map[string]string{
	"RateLimit":        `How many requests are left, and in how many seconds all are again: "sign-in";r=5990;t=1, "address";r=59990;t=1.`,
	"RateLimit-Policy": `How many requests there may be in how many seconds: "sign-in";q=6000;w=60, "address";q=60000;w=60.`,
}

// describe completes the description when all operations are registered.
func (a *API) describe() {
	d := a.huma.OpenAPI()
	text := &huma.Schema{Type: huma.TypeString}
	d.Components.Headers = map[string]*huma.Header{"Retry-After": {
		Description: "Seconds after which to ask again.", Schema: &huma.Schema{Type: huma.TypeInteger, Format: "int32"}, Example: 5}}
	headers := map[string]*huma.Param{}
	for name, about := range counted {
		_, example, _ := strings.Cut(strings.TrimSuffix(about, "."), ": ")
		d.Components.Headers[name] = &huma.Header{Description: about, Schema: text, Example: example}
		headers[name] = &huma.Param{Ref: "#/components/headers/" + name}
	}
	problem := d.Components.Schemas.Schema(reflect.TypeFor[fault.Problem](), true, "Problem")
	of := d.Components.Schemas.SchemaFromRef(problem.Ref).Properties["code"]
	for _, code := range fault.Codes() {
		of.Enum = append(of.Enum, string(code))
	}
	d.Components.Responses = map[string]*huma.Response{}
	failed := refusal{"Failed", fault.ErrInternal, "Any other refusal; status and code say which."}
	for _, one := range slices.Concat(refusedAny, refusedRead, refusedBody, refusedThing, refusedChange, []refusal{failed}) {
		d.Components.Responses[one.name] = one.response(problem, headers)
	}
	for _, item := range d.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				a.complete(op, headers)
			}
		}
	}
}

// response with a problem, and an example of one.
func (one refusal) response(problem *huma.Schema, headers map[string]*huma.Param) *huma.Response {
	p := fault.ProblemOf(one.of)
	example := map[string]any{"title": p.Title, "status": p.Status, "code": p.Code, "detail": p.Detail}
	if one.of == fault.ErrInvalid {
		example["errors"] = []any{map[string]any{"pointer": "#/name", "detail": "write a name"}}
	}
	all := maps.Clone(headers)
	all["Retry-After"] = &huma.Param{Ref: "#/components/headers/Retry-After"}
	return &huma.Response{Description: one.when, Headers: all,
		Content: map[string]*huma.MediaType{p.ContentType(""): {Schema: problem, Example: example}}}
}

// parameters that many operations have, and what they are.
var parameters = map[string]string{
	"id":    "Id of what the path names.",
	"limit": "How many items there are on a page at most.",
	"sort":  "By what the items are sorted; with - before it, from the greatest.",
}

// complete adds what an operation shares with others, and examples.
func (a *API) complete(op *huma.Operation, headers map[string]*huma.Param) {
	op.Summary, op.Description = strings.TrimSuffix(first(op.Summary), "."), op.Summary
	for _, p := range op.Parameters {
		if p.Description == "" {
			p.Description = parameters[p.Name]
		}
		if p.In == "path" {
			p.Example = a.example(p.Name, p.Schema)
		}
	}
	if op.RequestBody != nil {
		a.exemplify(op.RequestBody.Content)
	}
	for _, r := range op.Responses {
		a.exemplify(r.Content)
		if r.Headers == nil {
			r.Headers = map[string]*huma.Param{}
		}
		maps.Copy(r.Headers, headers)
	}
	for _, one := range refusalsOf(op) {
		op.Responses[strconv.Itoa(one.of.Status())] = &huma.Response{Ref: "#/components/responses/" + one.name}
	}
	op.Responses["default"] = &huma.Response{Ref: "#/components/responses/Failed"}
}

// first sentence of a text.
func first(text string) string {
	sentence, _, _ := strings.Cut(text, ". ")
	return sentence
}

func (a *API) exemplify(content map[string]*huma.MediaType) {
	if json := content["application/json"]; json != nil {
		json.Example = a.example("", json.Schema)
	}
}

// examples of what is called so.
var examples = map[string]any{
	"address": "192.0.2.7", "addresses": "192.0.2.7", "arch": "amd64", "agent_version": "1.4.0", "version": "1.4.0", "browser": "Mozilla/5.0 (X11; Linux x86_64)",
	"codec": "AV1", "command": "oriel-agent run --relay https://relay.example --token oriel-…", "cpu": "AMD Ryzen 7", "cursor": "", "next": "",
	"email": "ada@example.com", "host_name": "reception-pc", "kernel": "6.12.0", "kind": "deb", "language": "en", "to": "ada@example.com", "error": "", "login": "ada@example.com", "mark": "i:4f2a", "name": "Reception",
	"note": "for the office", "operator_address": "192.0.2.7", "operator_name": "Ada", "computer_name": "Reception", "operators": "Ada", "os": "linux",
	"os_name": "Debian GNU/Linux 13", "password": "correct horse battery", "current": "the one until now", "path": "direct", "public_url": "https://relay.example",
	"scopes": "view", "sha256": strings.Repeat("0f", 32), "time_zone": "Europe/Lisbon", "token": "oriel-…", "url": "https://relay.example/download/oriel-agent.deb", "user": "ada", "users": "ada",
	"end_reason": "", "end_code": "", "end_detail": "", "display_detail": "",
}

// example of a schema that a property of that name has: what its tag says, its own
// default or first choice, what the name is known for, or the type's simplest.
func (a *API) example(name string, s *huma.Schema) any {
	if s.Ref != "" {
		s = a.huma.OpenAPI().Components.Schemas.SchemaFromRef(s.Ref)
	}
	switch known, ok := examples[name]; {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Default != nil:
		return s.Default
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Type == huma.TypeObject:
		all := map[string]any{}
		for key, property := range s.Properties {
			all[key] = a.example(key, property)
		}
		return all
	case s.Type == huma.TypeArray:
		return []any{a.example(name, s.Items)}
	case s.Type == huma.TypeBoolean:
		return false
	case s.Type == huma.TypeInteger || s.Type == huma.TypeNumber:
		if s.Minimum != nil {
			return max(*s.Minimum, 1)
		}
		return 1
	case s.Format == "date-time":
		return time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	case s.ContentEncoding == "base64":
		return "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	case name == "id" || strings.HasSuffix(name, "_id") || strings.HasPrefix(name, "same_machine"):
		return "0198c0de-7a52-7000-8000-2f6d1c0b9a11"
	case ok:
		return known
	}
	return strings.ReplaceAll(name, "_", " ")
}

// publish serves the description, the same bytes to everybody. They are made when
// somebody first asks, as that takes longer than all else of a relay's start.
func (a *API) publish() {
	a.file("/openapi.yaml", "application/yaml", a.YAML)
	a.file("/openapi.json", "application/json", func() ([]byte, error) { return a.huma.OpenAPI().MarshalJSON() })
}

func (a *API) file(path, kind string, write func() ([]byte, error)) {
	made := sync.OnceValues(func() (content []byte, tag string) {
		content, err := write()
		if err != nil {
			panic(fmt.Errorf("describe the API: %w", err)) // it is made of constants
		}
		sum := sha256.Sum256(content)
		return content, `"` + hex.EncodeToString(sum[:12]) + `"`
	})
	a.routes = append(a.routes, Route{Method: http.MethodGet, Path: Prefix + path, Public: true})
	a.mux.HandleFunc("GET "+Prefix+path, func(w http.ResponseWriter, r *http.Request) {
		content, tag := made()
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
}
