// Package fault is the one error that people and programs are told of: a code
// for programs, an HTTP status, and a sentence that says what to do next.
//
// A room declares its faults beside its other names and returns them, wrapped
// like any error:
//
//	var ErrOffline = fault.New(fault.Offline, "this computer is not connected; start it and try again")
//
// The doors print them: the API and the upgrades of WebSockets as a Problem
// (RFC 9457), live sessions and agents as a Code of the wire. What status and
// which wire code belong to a fault's code stands in one table (codes.go); a code
// belongs to one declared fault. An error without a fault in it is ErrInternal to
// whoever asked, and its own text stays in the log.
//
// A sentence is plain: one line, lower case at its beginning like all errors,
// no full stop. What holds for one occasion only (a field, a wait, a figure) is
// put on a copy, which errors.Is takes for what it was copied from.
package fault

import (
	"context"
	"errors"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
)

// Fault is one reason for a refusal. It is not changed once it is made.
type Fault struct {
	code       Code
	sentence   string
	field      string
	parameter  bool // field is a parameter of the request, not of its body
	retryAfter time.Duration
	choices    []Choice
	declared   *Fault // that this is a copy of; nil: itself
}

// Faults that are no room's own.
var (
	ErrInternal   = New(Internal, "something went wrong on the relay; its log says what")
	ErrInvalid    = New(Invalid, "something in this request is not as it has to be; correct it and try again")
	ErrOverloaded = New(Overloaded, "the relay is too busy; try again in a moment")
)

// New declares a fault. The code is one of the table, and of no other fault.
func New(code Code, sentence string) *Fault {
	if _, known := table[code]; !known {
		panic("fault: no such code: " + string(code)) // when the program starts
	}
	return &Fault{code: code, sentence: sentence}
}

// Field says what is wrong with one thing that a person typed: a field of the
// body, by its name, or by the way to it with slashes. Several are joined with
// errors.Join. It is an ErrInvalid.
func Field(name, sentence string) *Fault {
	f := ErrInvalid.Saying(sentence)
	f.field = name
	return f
}

// Parameter is Field for a parameter in the query, the path or a header.
func Parameter(name, sentence string) *Fault {
	f := Field(name, sentence)
	f.parameter = true
	return f
}

// Saying is f with a sentence for this occasion.
func (f *Fault) Saying(sentence string) *Fault {
	c := f.copy()
	c.sentence = sentence
	return c
}

// After is f with the time after which to try again.
func (f *Fault) After(wait time.Duration) *Fault {
	c := f.copy()
	c.retryAfter = wait
	return c
}

// Choice is one of what somebody is asked to choose from.
type Choice struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// Offering is f with what to choose from.
func (f *Fault) Offering(all ...Choice) *Fault {
	c := f.copy()
	c.choices = all
	return c
}

func (f *Fault) copy() *Fault {
	c := *f
	c.declared = f.origin()
	return &c
}

func (f *Fault) origin() *Fault {
	if f.declared != nil {
		return f.declared
	}
	return f
}

// Error is the sentence.
func (f *Fault) Error() string { return f.sentence }

// Is reports whether target was declared as the same fault.
func (f *Fault) Is(target error) bool {
	t, ok := target.(*Fault)
	return ok && t.origin() == f.origin()
}

// Code for programs.
func (f *Fault) Code() Code { return f.code }

// Field that it is about; empty: none.
func (f *Fault) Field() string { return f.field }

// Status of an HTTP answer.
func (f *Fault) Status() int { return table[f.code].status }

// Wire is the code that live sessions and agents are told.
func (f *Fault) Wire() orielv1.Code { return table[f.code].wire }

// Final reports whether an agent would be told the same again and need not ask.
func (f *Fault) Final() bool { return table[f.code].final }

// RetryAfter is when to try again; 0: that is not known.
func (f *Fault) RetryAfter() time.Duration { return f.retryAfter }

// Of is the fault in err, and ErrInternal where there is none: then err belongs
// into the log. nil for nil.
func Of(err error) *Fault {
	var f *Fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.DeadlineExceeded):
		return ErrOverloaded
	}
	return ErrInternal
}

// fields are the faults of single fields in err.
func fields(err error) (all []*Fault) {
	switch e := err.(type) {
	case *Fault:
		if e.field != "" {
			return []*Fault{e}
		}
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			all = append(all, fields(one)...)
		}
	case interface{ Unwrap() error }:
		return fields(e.Unwrap())
	}
	return all
}
