package api

import (
	"time"

	"oriel/relay/internal/page"
)

// ListIn is what every list takes besides its own sort and filters.
type ListIn struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
	Cursor string `query:"cursor" maxLength:"6144" doc:"next of the page before, which was asked with the same sort and filters."`
	Words  string `query:"q" maxLength:"256" doc:"Words that each item has to have, whatever their case."`
}

func (in ListIn) request(sort string) page.Request {
	return page.Request{Limit: in.Limit, Cursor: in.Cursor, Words: in.Words, Sort: sort}
}

type listOut[T any] struct{ Body page.Page[T] }

// answer is one page of all.
func answer[T any](l page.List[T], all []T, r page.Request) (*listOut[T], error) {
	p, err := l.Page(all, r)
	if err != nil {
		return nil, err
	}
	return &listOut[T]{p}, nil
}

// inTime is a key that sorts as times do; no time comes first.
func inTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000") }
