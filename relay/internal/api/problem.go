package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"oriel/relay/internal/fault"
)

// Faults of requests that reach no room.
var (
	errMalformed  = fault.New(fault.Malformed, "this request cannot be read; send the JSON that the description of the API names")
	errBody       = errMalformed.Saying("this operation takes no body; send none")
	errNoRoute    = fault.New(fault.NoRoute, "this API has no such address")
	errMethod     = fault.New(fault.MethodNotAllowed, "this address does not take this method; the header Allow names those that it takes")
	errAccept     = fault.New(fault.NotAcceptable, "this answer comes in JSON only; ask for application/json")
	errTimeout    = fault.New(fault.Timeout, "the request did not arrive in time; send it again")
	errTooLarge   = fault.New(fault.TooLarge, "this request is too large; send less at once")
	errMediaType  = fault.New(fault.MediaType, "this content cannot be read; send application/json")
	errPreview    = fault.New(fault.NoPreview, "the agent sent a preview in a form that cannot be shown; update the agent")
	refusedByHuma = []*fault.Fault{errMalformed, errAccept, errTimeout, errTooLarge, errMediaType, fault.ErrInvalid}
)

// note puts what is no fault into the log.
func (a *API) note(ctx context.Context, where string, err error) {
	if fault.Of(err) == fault.ErrInternal && ctx.Err() == nil { // else the caller has gone away, and that is all there is to it
		a.o.Log.Error("request failed", "operation", where, "error", err)
	}
}

// huma keeps its constructor of errors in a variable, so that this is set for
// the process; nobody else uses huma. Values are not repeated: one may be a password.
func init() {
	huma.NewError = func(status int, _ string, errs ...error) huma.StatusError {
		f := fault.ErrInternal
		if i := slices.IndexFunc(refusedByHuma, func(f *fault.Fault) bool { return f.Status() == status }); i >= 0 {
			f = refusedByHuma[i]
		}
		p := fault.ProblemOf(f)
		for _, err := range errs {
			var d huma.ErrorDetailer
			switch {
			case errors.As(err, &d):
				p.Errors = append(p.Errors, fieldProblem(d.ErrorDetail()))
			case err != nil && f != fault.ErrInternal:
				p.Errors = append(p.Errors, fault.FieldProblem{Detail: fmt.Sprint(err)})
			}
		}
		return p
	}
}

// missing is what huma says of the object that lacks a property.
var missing = regexp.MustCompile(`^expected required property (\S+) to be present$`)

// fieldProblem is what huma says of body.hosts[0].name, as a JSON pointer, or of a
// parameter such as query.limit.
func fieldProblem(d *huma.ErrorDetail) fault.FieldProblem {
	in, path, _ := strings.Cut(d.Location, ".")
	switch in {
	case "query", "path", "header", "cookie":
		path, _, _ = strings.Cut(path, "[") // of several values
		return fault.FieldProblem{Parameter: path, Detail: d.Message}
	}
	if pointer, detail, ok := strings.Cut(d.Message, ": "); ok && strings.HasPrefix(pointer, "#/") { // from strict
		return fault.FieldProblem{Pointer: pointer, Detail: detail}
	}
	p := fault.FieldProblem{Pointer: "#", Detail: d.Message}
	if path = strings.TrimPrefix(strings.TrimPrefix(d.Location, "body"), "."); path != "" {
		p.Pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1", ".", "/", "[", "/", "]", "").Replace(path)
	}
	if lacks := missing.FindStringSubmatch(d.Message); lacks != nil {
		p.Pointer += "/" + lacks[1]
	}
	return p
}

// methods that the API has.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// allowed are the methods that r's address takes.
func (a *API) allowed(r *http.Request) (all []string) {
	for _, method := range methods {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := a.mux.Handler(other); pattern != "/" {
			all = append(all, method)
		}
	}
	return all
}
