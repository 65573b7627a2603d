package api

import (
	"context"
	"encoding/json"
	"fmt"
)

// KeyIn is what every creation takes.
type KeyIn struct {
	Key string `header:"Idempotency-Key" maxLength:"128" pattern:"^[ -~]+$" patternDescription:"printable ASCII" doc:"One of your own for each creation, best a random UUID. Asked again with it within a day, the answer is the first one's."`
}

// created is what every creation answers.
type created[T any] struct {
	Replayed string `header:"Idempotency-Replayed" doc:"true: this is the first request's answer. Absent: this was the first."`
	Body     T
}

// once is what create answers. With a key it is done once: who asks for the same with
// it again gets the same answer. It is called when access was asked, so that nobody is
// told again what they may not have any more.
func once[T any](ctx context.Context, a *API, key string, body any, create func(context.Context) (T, error)) (*created[T], error) {
	if key == "" {
		made, err := create(ctx)
		return &created[T]{Body: made}, err
	}
	c := callerOf(ctx)
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("write down a request: %w", err)
	}
	request := append([]byte(c.r.Method+" "+c.r.URL.RequestURI()+"\n"), text...)
	answer, again, err := a.o.Answers.Once(ctx, c.who.Of(c.who.PersonID), key, request, func(ctx context.Context) ([]byte, error) {
		made, err := create(ctx)
		if err != nil {
			return nil, err
		}
		return json.Marshal(made)
	})
	if err != nil {
		return nil, err
	}
	out := &created[T]{}
	if again {
		out.Replayed = "true"
	}
	return out, json.Unmarshal(answer, &out.Body)
}
