package fault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"oriel/relay/internal/fault"
)

var errFull = fault.New(fault.DiskFull, "the disk is full; make room on it")

// Rule: what is no fault is internal, and nothing of its text is told.
func TestOf(t *testing.T) {
	cause := errors.New("password=hush at 10.0.0.7")
	for name, c := range map[string]struct {
		err  error
		want *fault.Fault
	}{
		"nothing":         {nil, nil},
		"a stranger":      {fmt.Errorf("open: %w", cause), fault.ErrInternal},
		"a wrapped fault": {fmt.Errorf("save: %w", fmt.Errorf("%w: %w", errFull, cause)), errFull},
		"joined":          {errors.Join(cause, errFull), errFull},
		"too late":        {fmt.Errorf("ask: %w", context.DeadlineExceeded), fault.ErrOverloaded},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fault.Of(c.err); got != c.want {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			if c.err == nil {
				return
			}
			w := httptest.NewRecorder()
			fault.Write(w, c.err)
			var p fault.Problem
			body, err := io.ReadAll(w.Result().Body)
			if err != nil || json.Unmarshal(body, &p) != nil {
				t.Fatalf("%v: %s", err, body)
			}
			if w.Code != c.want.Status() || p.Status != w.Code || p.Code != c.want.Code() || p.Detail != c.want.Error() || p.Title != http.StatusText(w.Code) ||
				w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "no-store" {
				t.Fatalf("%v %s", w.Header(), body)
			}
		})
	}
}

func TestCopies(t *testing.T) {
	f := errFull.Saying("3 MB are left; make room").After(90 * time.Second)
	if !errors.Is(fmt.Errorf("x: %w", f), errFull) || errors.Is(f, fault.ErrInternal) || !errors.Is(errFull, f) {
		t.Fatal("a copy is the fault that it was copied from, and no other")
	}
	if errFull.RetryAfter() != 0 || errFull.Error() == f.Error() {
		t.Fatal("the copy changed the original")
	}
	w := httptest.NewRecorder()
	fault.Write(w, f.After(1500*time.Millisecond))
	if got := w.Header().Get("Retry-After"); got != "2" {
		t.Fatalf("Retry-After: %q", got)
	}
}

// Rule: every field that was typed wrongly is named, also when several are joined and wrapped.
func TestFields(t *testing.T) {
	err := fmt.Errorf("make the owner: %w", errors.Join(fault.Field("name", "write your name"), nil, fault.Field("email", "write an address"), fault.Parameter("limit", "ask for less")))
	p := fault.ProblemOf(err)
	want := []fault.FieldProblem{{Pointer: "#/name", Detail: "write your name"}, {Pointer: "#/email", Detail: "write an address"}, {Parameter: "limit", Detail: "ask for less"}}
	if p.Code != fault.Invalid || p.Detail != "write your name" || fmt.Sprint(p.Errors) != fmt.Sprint(want) || !errors.Is(err, fault.ErrInvalid) {
		t.Fatalf("%+v", p)
	}
}

// A fault can be logged like any error.
func TestLogged(t *testing.T) {
	slog.New(slog.DiscardHandler).Info("refused", "err", errFull)
	if fmt.Sprint(errFull) != "the disk is full; make room on it" {
		t.Fatal(errFull)
	}
}
