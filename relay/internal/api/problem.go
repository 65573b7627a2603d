package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"oriel/relay/internal/access"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/plain"
	"oriel/relay/internal/store"
)

// Problem is the body of every error (RFC 9457).
type Problem struct {
	Type   string  `json:"type,omitempty" doc:"Always about:blank; code tells problems apart."`
	Title  string  `json:"title" doc:"The HTTP status in words."`
	Status int     `json:"status"`
	Code   string  `json:"code" doc:"For programs: bad_credentials, too_many_tries, not_found …"`
	Detail string  `json:"detail" doc:"One line for people, saying what to do."`
	Errors []Fault `json:"errors,omitempty" doc:"What is wrong with single fields."`

	retryAfter time.Duration
}

// Fault is what is wrong with one field.
type Fault struct {
	Location string `json:"location" doc:"Such as body.email."`
	Message  string `json:"message"`
}

func (p *Problem) Error() string { return p.Detail }

// GetStatus is for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is for huma.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// Codes of problems that are known by their status alone.
var codes = map[int]string{
	http.StatusBadRequest:            "invalid",
	http.StatusUnauthorized:          "unauthorized",
	http.StatusForbidden:             "forbidden",
	http.StatusNotFound:              "not_found",
	http.StatusMethodNotAllowed:      "method_not_allowed",
	http.StatusNotAcceptable:         "not_acceptable",
	http.StatusRequestTimeout:        "timeout",
	http.StatusConflict:              "conflict",
	http.StatusRequestEntityTooLarge: "too_large",
	http.StatusUnsupportedMediaType:  "unsupported_media_type",
	http.StatusUnprocessableEntity:   "invalid",
	http.StatusTooManyRequests:       "too_many_requests",
	http.StatusServiceUnavailable:    "unavailable",
}

// NewProblem makes one; without a code it is the status' own.
func NewProblem(status int, code, detail string) *Problem {
	if code == "" {
		code = codes[status]
	}
	if code == "" {
		code = "internal"
	}
	return &Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// WriteProblem answers a request with p.
func WriteProblem(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", seconds(p.retryAfter))
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // who went away needs no answer
}

func seconds(d time.Duration) string { return strconv.Itoa(int((d + time.Second - 1) / time.Second)) }

var (
	errNoRoute    = NewProblem(http.StatusNotFound, "", "there is no such address in the API")
	errInternalID = "something went wrong here; the log of the relay says what"
	errDiskFull   = "the relay's disk is full, so that nothing can be changed; make room on it and try again"
)

// The errors of the rooms, as the door tells them.
var known = []struct {
	err    error
	status int
	code   string
	detail string // empty: the error's own
}{
	{access.ErrSignedOut, http.StatusUnauthorized, "unauthorized", ""},
	{access.ErrCredentials, http.StatusUnauthorized, "bad_credentials", ""},
	{access.ErrForbidden, http.StatusForbidden, "forbidden", ""},
	{access.ErrOwnerExists, http.StatusConflict, "owner_exists", ""},
	{access.ErrOwnerToken, http.StatusForbidden, "owner_token", ""},
	{access.ErrRecovery, http.StatusForbidden, "recovery_token", ""},
	{access.ErrBusy, http.StatusServiceUnavailable, "busy", ""},
	{fleet.ErrOffline, http.StatusConflict, "offline", ""},
	{fleet.ErrNoAnswer, http.StatusGatewayTimeout, "no_answer", ""},
	{journal.ErrCursor, http.StatusBadRequest, "cursor", ""},
	{store.ErrConflict, http.StatusConflict, "conflict", "something else is there already; reload the page"},
	{store.ErrEnded, http.StatusConflict, "ended", ""},
	{store.ErrNotFound, http.StatusNotFound, "not_found", "this is not here, or not here any more"},
	{bus.ErrUnavailable, http.StatusServiceUnavailable, "unavailable", "the relay's nodes cannot reach each other; try again in a moment"},
	{store.ErrUnavailable, http.StatusServiceUnavailable, "unavailable", "the relay cannot reach its database; it goes on trying, and so may you in a moment"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "unavailable", "the relay is too busy; try again in a moment"},
}

// problem is what the caller is told of err. What is not known stays in the log.
func (a *API) problem(ctx context.Context, where string, err error) error {
	var p *Problem
	var tries *access.TriesError
	switch {
	case errors.As(err, &p):
	case errors.As(err, &tries):
		p = NewProblem(http.StatusTooManyRequests, "too_many_tries", tries.Error())
		p.retryAfter = tries.RetryAfter
	default:
		p = a.problemOf(ctx, where, err)
	}
	if p.retryAfter > 0 {
		return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {seconds(p.retryAfter)}})
	}
	return p
}

func (a *API) problemOf(ctx context.Context, where string, err error) *Problem {
	if faults := faults(err); len(faults) > 0 {
		p := NewProblem(http.StatusUnprocessableEntity, "", faults[0].Message)
		p.Errors = faults
		return p
	}
	if store.DiskFull(err) { // which a database may also call unavailable
		return NewProblem(http.StatusInsufficientStorage, "disk_full", errDiskFull)
	}
	for _, k := range known {
		if errors.Is(err, k.err) {
			p := NewProblem(k.status, k.code, k.detail)
			if p.Detail == "" {
				p.Detail = k.err.Error()
			}
			return p
		}
	}
	var ask *fleet.AskError
	if errors.As(err, &ask) {
		return NewProblem(http.StatusBadGateway, "agent", "the computer says: "+plain.Line(ask.Detail, 256))
	}
	if ctx.Err() == nil { // else the caller has gone away, and that is all there is to it
		a.o.Log.Error("request failed", "operation", where, "error", err)
	}
	return NewProblem(http.StatusInternalServerError, "internal", errInternalID)
}

// faults collects the FieldErrors that were joined into err.
func faults(err error) (all []Fault) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			all = append(all, faults(one)...)
		}
		return all
	}
	var f *access.FieldError
	if errors.As(err, &f) {
		all = append(all, Fault{Location: "body." + f.Field, Message: f.Reason})
	}
	return all
}

// huma keeps its constructor of errors in a variable, so that this is set for
// the process; nobody else uses huma. Values are not repeated: one may be a password.
func init() {
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		p := NewProblem(status, "", msg)
		for _, err := range errs {
			if err == nil {
				continue
			}
			var d huma.ErrorDetailer
			if errors.As(err, &d) {
				p.Errors = append(p.Errors, Fault{Location: d.ErrorDetail().Location, Message: d.ErrorDetail().Message})
			} else if status < 500 {
				p.Errors = append(p.Errors, Fault{Message: fmt.Sprint(err)})
			}
		}
		return p
	}
}
