package store_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func session(t *testing.T, s *store.Store, computer string, started int64) store.Session {
	t.Helper()
	row := store.Session{ID: store.NewID(), ComputerID: computer, OperatorID: "p", OperatorName: "Pat", Scopes: "view control", ScopesNow: "view control",
		SignInID: "si", StartedAt: started, SeenAt: started}
	if err := s.Sessions(store.FirstOrganization).Add(t.Context(), entry("x"), row); err != nil {
		t.Fatal(err)
	}
	return row
}

func TestSessionLife(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		row := session(t, s, "c", 100)
		report := store.Session{ID: row.ID, ComputerID: "c", ConnectedAt: 110, SeenAt: 120, Path: "direct", BytesSent: 7, Codec: "av1", Delays: []byte{8, 1}}
		if _, err := s.Sessions(store.FirstOrganization).Report(ctx, store.Session{ID: row.ID, ComputerID: "another"}, 0); !errors.Is(err, store.ErrNotFound) {
			t.Fatal("another computer's word was taken:", err)
		}
		got, err := s.Sessions(store.FirstOrganization).Report(ctx, report, 0)
		if err != nil || got.ConnectedAt != 110 || got.Path != "direct" || got.OperatorName != "Pat" {
			t.Fatalf("%+v, %v", got, err)
		}
		report.ConnectedAt, report.Delays = 999, nil
		if got, _ = s.Sessions(store.FirstOrganization).Report(ctx, report, 0); got.ConnectedAt != 110 || !bytes.Equal(got.Delays, []byte{8, 1}) {
			t.Fatal("connected anew at, or forgot", got.ConnectedAt, got.Delays)
		}
		if ops, err := s.Sessions(store.FirstOrganization).Operators(ctx); err != nil || !slices.Equal(ops["c"], []string{"Pat"}) {
			t.Fatal(ops, err)
		}

		end := store.Session{ID: row.ID, EndedAt: 200, EndReason: store.Lost}
		if got, first, err := s.Sessions(store.FirstOrganization).End(ctx, entry("x"), end); err != nil || !first || got.EndReason != store.Lost || got.BytesSent != 7 {
			t.Fatalf("%+v, %v, %v", got, first, err)
		}
		if _, first, err := s.Sessions(store.FirstOrganization).End(ctx, entry("x"), end); err != nil || first {
			t.Fatal("ended twice", err)
		}
		// Lost was a guess: the agent says it still runs.
		if got, err := s.Sessions(store.FirstOrganization).Report(ctx, report, 0); err != nil || got.EndedAt != 0 || got.EndReason != "" {
			t.Fatalf("%+v, %v", got, err)
		}
		if _, _, err := s.Sessions(store.FirstOrganization).End(ctx, entry("x"), end); err != nil {
			t.Fatal(err)
		}
		agent := store.Session{ID: row.ID, ComputerID: "c", EndedAt: 190, EndReason: "operator", BytesSent: 9, SeenAt: 300}
		if got, first, err := s.Sessions(store.FirstOrganization).EndByAgent(ctx, entry("x"), agent, 1000); err != nil || !first || got.EndReason != "operator" || got.EndedAt != 190 {
			t.Fatalf("%+v, %v, %v", got, first, err)
		}
		agent.EndReason, agent.BytesSent, agent.Delays = "network", 12, []byte{8, 2}
		if got, first, err := s.Sessions(store.FirstOrganization).EndByAgent(ctx, entry("x"), agent, 1000); err != nil || first || got.EndReason != "operator" || got.BytesSent != 12 || got.Delays[1] != 2 {
			t.Fatalf("%+v, %v, %v", got, first, err)
		}
		if _, err := s.Sessions(store.FirstOrganization).Report(ctx, report, 0); !errors.Is(err, store.ErrEnded) {
			t.Fatal(err)
		}
		agent.ComputerID = "another"
		if _, _, err := s.Sessions(store.FirstOrganization).EndByAgent(ctx, entry("x"), agent, 1000); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		if _, _, err := s.Sessions(store.FirstOrganization).End(ctx, entry("x"), store.Session{ID: "?", EndedAt: 1}); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
	})
}

func TestKeepSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		runs, lost, ended, foreign := session(t, s, "c", 1), session(t, s, "c", 2), session(t, s, "c", 3), session(t, s, "d", 4)
		for id, reason := range map[string]string{lost.ID: store.Lost, ended.ID: "ended"} {
			if _, _, err := s.Sessions(store.FirstOrganization).End(ctx, entry("x"), store.Session{ID: id, EndedAt: 9, EndReason: reason}); err != nil {
				t.Fatal(err)
			}
		}
		again, over, err := s.Sessions(store.FirstOrganization).Keep(ctx, store.Kept{ComputerID: "c", IDs: []string{runs.ID, lost.ID, ended.ID, foreign.ID, "?"}}, 50)
		if err != nil || !slices.Equal(again, []string{lost.ID}) || !slices.Equal(over, []string{ended.ID, foreign.ID, "?"}) {
			t.Fatal(again, over, err)
		}
		rows, err := s.Sessions(store.FirstOrganization).Running(ctx, store.Running{ComputerID: "c"})
		if err != nil || len(rows) != 2 || rows[0].SeenAt != 50 || rows[1].SeenAt != 50 {
			t.Fatalf("%+v, %v", rows, err)
		}
		for name, tc := range map[string]struct {
			r    store.Running
			want int
		}{
			"all":         {store.Running{}, 3},
			"seen before": {store.Running{SeenBefore: 50}, 1},
			"except":      {store.Running{ComputerID: "c", Except: []string{runs.ID}}, 1},
			"before":      {store.Running{Before: 2}, 1},
			"unconnected": {store.Running{Unconnected: true, SignInID: "si"}, 3},
			"sign-in":     {store.Running{SignInID: "other"}, 0},
			"operator":    {store.Running{OperatorID: "p"}, 3},
		} {
			if rows, err := s.Sessions(store.FirstOrganization).Running(ctx, tc.r); err != nil || len(rows) != tc.want {
				t.Errorf("%s: %d rows, %v", name, len(rows), err)
			}
		}
	})
}

func TestPagesAreRightWhileRowsArrive(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		var want []string
		for i := range 25 {
			want = append(want, session(t, s, "c", int64(i/4)).ID) // many with the same time
		}
		slices.Reverse(want)
		var got []string
		f := store.SessionFilter{ComputerID: "c"}
		for {
			rows, err := s.Sessions(store.FirstOrganization).Page(ctx, store.Everything, f, 7)
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) == 0 {
				break
			}
			for _, r := range rows {
				got = append(got, r.ID)
			}
			last := rows[len(rows)-1]
			f.AfterStarted, f.AfterID = last.StartedAt, last.ID
			session(t, s, "c", 1000) // arrives at the top
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %d rows %v\nwant %v", len(got), got, want)
		}
		no := false
		if rows, err := s.Sessions(store.FirstOrganization).Page(ctx, store.Everything, store.SessionFilter{Running: &no}, 7); err != nil || len(rows) != 0 {
			t.Fatal(rows, err)
		}
	})
}

// Rule: of two changes of a session's scopes at once none is lost: all that it could do
// stays in its row, and what is added is added to what the other left.
func TestScopesChangeAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		sessions := s.Sessions(store.FirstOrganization)
		for range 20 {
			row := session(t, s, "c", 100)
			begin := make(chan struct{})
			var wg sync.WaitGroup
			words := []string{"files.read", "files.write", "terminal", "sound"}
			for _, word := range words {
				wg.Go(func() {
					<-begin
					if _, err := sessions.SetScopes(t.Context(), entry("x"), row.ID, word, true); err != nil {
						t.Error(err)
					}
				})
			}
			close(begin)
			wg.Wait()
			got, err := sessions.Get(t.Context(), row.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, all := range []string{got.Scopes, got.ScopesNow} {
				has := strings.Fields(all)
				slices.Sort(has)
				if !slices.Equal(has, []string{"control", "files.read", "files.write", "sound", "terminal", "view"}) {
					t.Fatalf("of all at once the row has %q", all)
				}
			}
		}
	})
}
