package store_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: of many that begin with one key at once, one begins.
func TestOneBegins(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var began atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				k := store.IdempotencyKey{PersonID: "p", Name: []byte("key"), Request: []byte("r"), Run: strconv.Itoa(i), StartedAt: 5}
				there, mine, err := s.Answers(store.FirstOrganization).Begin(t.Context(), k, 1, 1)
				if err != nil || !mine && (there.Done || string(there.Request) != "r") {
					t.Errorf("%+v, %v", there, err)
				}
				if mine {
					began.Add(1)
				}
			})
		}
		wg.Wait()
		if n := began.Load(); n != 1 {
			t.Fatalf("%d began", n)
		}
	})
}

// Rule: of a person's answers the oldest go when there are too many, and others' stay.
func TestMaxAnswers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		answers := s.Answers(store.FirstOrganization)
		key := func(person string, i int64) store.IdempotencyKey {
			return store.IdempotencyKey{Organization: store.FirstOrganization, PersonID: person, Name: []byte(strconv.FormatInt(i, 10)),
				Request: []byte("r"), Run: "r", StartedAt: i, Answer: []byte{}}
		}
		begin := func(person string, i int64) bool {
			_, began, err := answers.Begin(t.Context(), key(person, i), 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			return began
		}
		begin("other", 1)
		var full []store.IdempotencyKey
		for i := range int64(store.MaxAnswers) {
			full = append(full, key("p", i+1))
		}
		s.AddAnswers(t, full)
		if begin("p", 1) {
			t.Fatal("the oldest went too early")
		}
		begin("p", store.MaxAnswers+1)
		if begin("p", 2) || begin("other", 1) || !begin("p", 1) {
			t.Fatal("the oldest is there, or another is not")
		}
	})
}
