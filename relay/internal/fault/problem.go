package fault

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// Problem is the body of every refusal (RFC 9457).
type Problem struct {
	Type    string         `json:"type,omitempty" doc:"Always about:blank; code tells problems apart."`
	Title   string         `json:"title" doc:"The HTTP status in words."`
	Status  int            `json:"status"`
	Code    Code           `json:"code" doc:"For programs."`
	Detail  string         `json:"detail" doc:"One line for people, saying what to do."`
	Errors  []FieldProblem `json:"errors,omitempty" doc:"What is wrong with single fields."`
	Choices []Choice       `json:"choices,omitempty" doc:"What to choose from, where that is asked."`

	retryAfter time.Duration
}

// FieldProblem is what is wrong with one field of the body, or one parameter.
type FieldProblem struct {
	Pointer   string `json:"pointer,omitempty" doc:"JSON pointer (RFC 6901) into the body, such as #/email."`
	Parameter string `json:"parameter,omitempty" doc:"Name of the parameter in the query, the path or a header, where it is no field of the body."`
	Detail    string `json:"detail" doc:"One line for people, saying what to do."`
}

// ProblemOf is what is told of err.
func ProblemOf(err error) *Problem {
	f := Of(err)
	p := &Problem{Title: http.StatusText(f.Status()), Status: f.Status(), Code: f.code, Detail: f.sentence, retryAfter: f.retryAfter, Choices: f.choices}
	if p.retryAfter == 0 && p.Status == http.StatusServiceUnavailable {
		p.retryAfter = 2 * time.Second
	}
	for _, one := range fields(err) {
		field := FieldProblem{Parameter: one.field, Detail: one.sentence}
		if !one.parameter {
			field.Pointer, field.Parameter = "#/"+one.field, ""
		}
		p.Errors = append(p.Errors, field)
	}
	return p
}

// Error is the sentence.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is for the API's library, which answers with errors that know theirs.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is for the same.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders of the answer, for the same.
func (p *Problem) GetHeaders() http.Header {
	if p.retryAfter == 0 {
		return nil
	}
	return http.Header{"Retry-After": {strconv.Itoa(int((p.retryAfter + time.Second - 1) / time.Second))}}
}

// Write answers a request with what is told of err.
func Write(w http.ResponseWriter, err error) {
	p, h := ProblemOf(err), w.Header()
	maps.Copy(h, p.GetHeaders())
	h.Set("Content-Type", p.ContentType(""))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // who went away needs no answer
}
