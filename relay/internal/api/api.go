// Package api is REST under /api/v1: it decodes, asks a room, encodes.
//
// JSON in snake_case, times in RFC 3339, bytes in base64, ids as text. The
// description (OpenAPI 3.1) comes out of the code; protocol/openapi.yaml is its
// generated copy, from which the console's client is made.
//
// An operation that creates may be asked with an Idempotency-Key, and is done once
// for it (package replay); a test holds every such operation to it.
//
// Every operation needs a signed-in person unless it says Public; a route that
// forgets to say anything is closed. Whether the person may is asked of
// access once, by the operation (require) or by the room it hands it to, never by
// the console; a test holds every operation to it. Errors are RFC 9457
// problems with a code for programs (package fault).
//
// What comes in is bounded and held to the description before a room sees it: bodies
// by maxBody and strict, text by readable, requests by admit.
//
// This package is the only door to huma.
package api

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/people"
	"oriel/relay/internal/policy"
	"oriel/relay/internal/ratelimit"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/share"
	"oriel/relay/internal/store"
)

// Prefix of all routes.
const Prefix = "/api/v1"

// maxBody bounds every request's body; ours are small.
const maxBody = 64 << 10

// Options of New; all but Log are needed, except for YAML alone.
type Options struct {
	Version  string
	Name     string
	Access   *access.Access
	People   *people.People
	Fleet    Fleet
	Policies *policy.Policies
	Journal  Journal
	Broker   Broker
	Relay    Relay
	Answers  Answers
	Limits   Limits
	Mails    Mails
	Audit    Audit
	Log      *slog.Logger // nil: none
}

// Limits of requests in a minute, beyond which they are refused (package ratelimit).
type Limits struct {
	Address int              // of one address; 0: 60,000
	SignIn  int              // of one sign-in or API key; 0: 6,000
	Now     func() time.Time // nil: time.Now
}

// Relay is what the API tells of the relay itself.
type Relay interface {
	PublicURL() string
	AgentFiles() []AgentFile
	AgentScript() []byte // that installs one of them; nil: there is none
}

// API is the routes of /api/v1.
type API struct {
	o      Options
	mux    *http.ServeMux
	huma   huma.API
	routes []Route

	byAddress, bySignIn *ratelimit.Policy
}

// Route is one of the API's.
type Route struct {
	Method, Path string // Path with {names}, Prefix included
	Public       bool   // answers without a sign-in
}

// New builds the routes.
func New(o Options) *API {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &API{o: o, mux: http.NewServeMux(),
		byAddress: ratelimit.New("address", cmp.Or(o.Limits.Address, 60_000), time.Minute, o.Limits.Now),
		bySignIn:  ratelimit.New("sign-in", cmp.Or(o.Limits.SignIn, 6_000), time.Minute, o.Limits.Now)}
	a.huma = humago.New(a.mux, config())
	a.huma.UseMiddleware(a.identify)
	a.people()
	a.signUps()
	a.emailAddresses()
	a.keys()
	a.account()
	a.members()
	a.reach()
	a.invitations()
	a.roles()
	a.teams()
	a.groups()
	a.grants()
	a.approvals()
	a.apiKeys()
	a.organizations()
	a.quotas()
	a.computers()
	a.fields()
	a.waiting()
	a.tokens()
	a.policies()
	a.sessions()
	a.mails()
	a.auditing()
	a.relay()
	a.describe()
	a.publish()
	a.mux.HandleFunc("/", a.nothing)
	return a
}

// Handler serves everything under /api/.
func (a *API) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := netip.ParseAddr(a.o.Access.Asked(r).Address) // without one it counts with all who have none
		if err := a.byAddress.Take(w.Header(), share.Subjects(from, a.byAddress.Requests())); err != nil {
			a.refuse(w, r, err)
			return
		}
		a.mux.ServeHTTP(w, r)
	})
}

// admit tells who sends r, and counts the request.
func (a *API) admit(w http.ResponseWriter, r *http.Request) (access.Identity, error) {
	who, err := a.o.Access.Identify(r)
	if err != nil {
		return who, err
	}
	return who, a.bySignIn.Take(w.Header(), map[string]int{cmp.Or(who.KeyID, who.SignInID): a.bySignIn.Requests()})
}

// Routes lists every operation.
func (a *API) Routes() []Route { return a.routes }

// YAML is the description of the API.
func (a *API) YAML() ([]byte, error) { return a.huma.OpenAPI().YAML() }

type marker string

const public marker = "public"

// operation registers one operation. id is the name of the client's method. The
// first sentence of about is its summary in the description.
func operation[I, O any](a *API, method, path, id, about string, fn func(context.Context, *I) (*O, error), more ...func(*huma.Operation)) {
	op := huma.Operation{OperationID: id, Method: method, Path: Prefix + path, Summary: about, MaxBodyBytes: maxBody}
	for _, m := range more {
		m(&op)
	}
	_, open := op.Metadata[string(public)]
	a.routes = append(a.routes, Route{Method: method, Path: op.Path, Public: open})
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		var out *O
		err := readable(in)
		if err == nil {
			out, err = fn(ctx, in)
		}
		if err != nil {
			a.note(ctx, op.OperationID, err)
			return nil, fault.ProblemOf(err)
		}
		return out, nil
	})
}

// open marks an operation that needs no sign-in.
func open(op *huma.Operation) {
	op.Metadata = map[string]any{string(public): true}
	op.Security = []map[string][]string{}
}

// status of success, where it is not 200 or 204.
func status(code int) func(*huma.Operation) {
	return func(op *huma.Operation) { op.DefaultStatus = code }
}

// caller is what an operation knows of who asks.
type caller struct {
	who access.Identity // zero for a public operation
	r   *http.Request
}

type callerKey struct{}

func callerOf(ctx context.Context) caller { return ctx.Value(callerKey{}).(caller) }

// organization is that of who asks: whatever an operation shows or changes is this one's.
func organization(ctx context.Context) store.OrganizationID { return callerOf(ctx).who.Organization }

// own names the organization's thing of that id, if it has one.
func own(ctx context.Context, id string) store.Ref { return callerOf(ctx).who.Of(id) }

// actor is who asks, for the audit.
func actor(ctx context.Context) audit.Actor { return callerOf(ctx).who.Actor() }

// identify lets no one in who is not signed in, except to public operations.
func (a *API) identify(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	ctx.SetHeader("Cache-Control", "no-store")
	c := caller{r: r}
	if _, open := ctx.Operation().Metadata[string(public)]; !open {
		var err error
		if c.who, err = a.admit(w, r); err != nil {
			a.refuse(w, r, err)
			return
		}
	}
	if ctx.Operation().RequestBody == nil && hasBody(r) {
		a.refuse(w, r, errBody)
		return
	}
	next(huma.WithValue(ctx, callerKey{}, c))
}

// hasBody reports whether r brings one; of one whose length nobody says it reads a byte.
func hasBody(r *http.Request) bool {
	if r.ContentLength >= 0 || r.Body == nil {
		return r.ContentLength > 0
	}
	n, _ := io.ReadFull(r.Body, make([]byte, 1))
	return n > 0
}

// nothing answers for routes that do not exist, and only to who is signed in.
func (a *API) nothing(w http.ResponseWriter, r *http.Request) {
	_, err := a.admit(w, r)
	if err == nil {
		err = errNoRoute
		if allow := a.allowed(r); len(allow) > 0 {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			err = errMethod
		}
	}
	a.refuse(w, r, err)
}

func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	a.note(r.Context(), r.URL.Path, err)
	fault.Write(w, err)
}

// require asks access whether the caller may do what the operation does.
func (a *API) require(ctx context.Context, what rights.Permission, on access.Object) error {
	return a.o.Access.Require(ctx, callerOf(ctx).who, what, on)
}

// may asks access whether the caller may do something else.
func (a *API) may(ctx context.Context, what rights.Permission, on access.Object) bool {
	return a.o.Access.May(ctx, callerOf(ctx).who, what, on) == nil
}

// requireOwn is require for the caller's own account.
func (a *API) requireOwn(ctx context.Context) (access.Identity, error) {
	who := callerOf(ctx).who
	return who, a.require(ctx, rights.Account, access.Person(who.PersonID))
}
