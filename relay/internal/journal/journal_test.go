package journal_test

import (
	"encoding/base64"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func each(t *testing.T, fn func(t *testing.T, j *journal.Journal, s *store.Store, c *clock, changed func() []string)) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, err := bus.Open(t.Context(), bus.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		var mu sync.Mutex
		var ids []string
		sub, err := b.Subscribe(bus.JournalChanged, func(m *orielv1.BusMessage, _ bus.Reply) {
			mu.Lock()
			defer mu.Unlock()
			ids = append(ids, m.GetJournalChanged().GetSessionId())
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sub.Close)
		c := &clock{now: time.Now()}
		fn(t, journal.New(journal.Options{Store: s, Bus: b, Now: c.Now}), s, c, func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(ids)
		})
	})
}

// of names a thing of the organization that all of it is about.
func of(id string) store.Ref { return store.FirstOrganization.Ref(id) }

func begin(t *testing.T, j *journal.Journal, computer string) string {
	t.Helper()
	e, err := j.Begin(t.Context(), journal.Start{Computer: of(computer), ComputerName: "pc", Scopes: []orielv1.Scope{orielv1.Scope_SCOPE_VIEW},
		Operator: access.Identity{PersonID: "p", Name: "Pat\u202e<b>", SignInID: "s", Client: access.Client{Address: "192.0.2.1", Browser: "B\x00"}}})
	if err != nil {
		t.Fatal(err)
	}
	return e.GetSessionId()
}

func TestWhatIsKept(t *testing.T) {
	each(t, func(t *testing.T, j *journal.Journal, _ *store.Store, c *clock, changed func() []string) {
		ctx := t.Context()
		id := begin(t, j, "c")
		e, err := j.Report(ctx, of("c"), &orielv1.SessionReport{SessionId: id, ConnectedAt: math.MaxInt64, BytesSent: math.MaxUint64,
			BytesReceived: math.MaxUint64, Codec: "AV1\n\x1b[31m", Path: 99})
		if err != nil {
			t.Fatal(err)
		}
		if e.GetOperatorName() != "Pat<b>" || e.GetBrowser() != "B" || e.GetCodec() != "AV1 [31m" || e.GetPath() != orielv1.Path_PATH_UNSPECIFIED ||
			e.GetConnectedAt() != c.Now().UnixMilli() || e.GetBytes() > math.MaxInt64 || e.GetMode() != orielv1.Mode_MODE_VIEW || len(e.GetScopes()) != 1 {
			t.Fatal(e)
		}
		end, first, err := j.EndedByAgent(ctx, of("c"), &orielv1.SessionEnded{SessionId: id, Reason: orielv1.EndReason_END_REASON_LOST,
			Code: orielv1.Code_CODE_NO_DISPLAY, Detail: "a\r\nb\u2066", EndedAt: -5})
		if err != nil || !first || end.GetEndReason() != orielv1.EndReason_END_REASON_FAILED || end.GetEndCode() != orielv1.Code_CODE_NO_DISPLAY ||
			end.GetEndDetail() != "a b" || end.GetEndedAt() != c.Now().UnixMilli() {
			t.Fatal(end, first, err)
		}
		if _, err := j.Report(ctx, of("c"), &orielv1.SessionReport{SessionId: id}); !errors.Is(err, journal.ErrEnded) {
			t.Fatal(err)
		}
		if _, _, err := j.EndedByAgent(ctx, of("d"), &orielv1.SessionEnded{SessionId: id}); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		if got, err := j.Get(ctx, of(id)); err != nil || got.GetComputerName() != "pc" {
			t.Fatal(got, err)
		}
		if got, err := j.Lookup(ctx, store.FirstOrganization, store.Everything, id, "?"); err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		deadline := time.After(20 * time.Second)
		for len(changed()) < 3 {
			select {
			case <-deadline:
				t.Fatal("changes announced:", changed())
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
}

func TestDelaysAreKept(t *testing.T) {
	each(t, func(t *testing.T, j *journal.Journal, _ *store.Store, _ *clock, _ func() []string) {
		ctx := t.Context()
		id := begin(t, j, "c")
		for _, none := range []*orielv1.Delays{nil, {}, {CaptureUs: 5}} { // an old agent's, and before the first picture
			if e, err := j.Report(ctx, of("c"), &orielv1.SessionReport{SessionId: id, Delays: none}); err != nil || e.GetDelays() != nil {
				t.Fatal(e, err)
			}
		}
		e, err := j.Report(ctx, of("c"), &orielv1.SessionReport{SessionId: id, Delays: &orielv1.Delays{Frames: math.MaxUint64,
			EncodeUs: math.MaxUint32, ShownUs: 9, LossPpm: math.MaxUint32}})
		if d := e.GetDelays(); err != nil || d.GetFrames() > math.MaxInt64 || d.GetEncodeUs() != 60_000_000 || d.GetShownUs() != 9 || d.GetLossPpm() != 1_000_000 {
			t.Fatal(e, err)
		}
		end := &orielv1.SessionEnded{SessionId: id, Reason: orielv1.EndReason_END_REASON_OPERATOR}
		if e, _, err := j.EndedByAgent(ctx, of("c"), end); err != nil || e.GetDelays().GetShownUs() != 9 {
			t.Fatal(e, err)
		}
		end.BytesSent, end.Delays = 1, &orielv1.Delays{Frames: 2, ShownUs: 7}
		if e, _, err := j.EndedByAgent(ctx, of("c"), end); err != nil || e.GetDelays().GetShownUs() != 7 {
			t.Fatal(e, err)
		}
	})
}

func TestEveryReasonAndCodeComesBack(t *testing.T) {
	each(t, func(t *testing.T, j *journal.Journal, _ *store.Store, _ *clock, _ func() []string) {
		for n := range orielv1.EndReason_name {
			id := begin(t, j, "c")
			if e, _, err := j.End(t.Context(), of(id), orielv1.EndReason(n), 0, ""); err != nil || e.GetEndReason() != orielv1.EndReason(n) {
				t.Error(n, e, err)
			}
		}
		for n := range orielv1.Code_name {
			id := begin(t, j, "c")
			if e, _, err := j.End(t.Context(), of(id), orielv1.EndReason_END_REASON_FAILED, orielv1.Code(n), ""); err != nil || e.GetEndCode() != orielv1.Code(n) {
				t.Error(n, e, err)
			}
		}
	})
}

func TestSweep(t *testing.T) {
	each(t, func(t *testing.T, j *journal.Journal, _ *store.Store, c *clock, _ func() []string) {
		ctx := t.Context()
		connected, opening, alive := begin(t, j, "c"), begin(t, j, "c"), begin(t, j, "c")
		for _, id := range []string{connected, alive} {
			if _, err := j.Report(ctx, of("c"), &orielv1.SessionReport{SessionId: id, ConnectedAt: c.Now().UnixMilli()}); err != nil {
				t.Fatal(err)
			}
		}
		if over, err := j.Sweep(ctx); err != nil || len(over) != 0 {
			t.Fatal(over, err)
		}
		c.add(journal.ConnectWithin + time.Second)
		over, err := j.Sweep(ctx)
		if err != nil || len(over) != 1 || over[0].GetSessionId() != opening || over[0].GetEndReason() != orielv1.EndReason_END_REASON_TIMEOUT {
			t.Fatal(over, err)
		}
		c.add(journal.LostAfter)
		if over, err := j.Keep(ctx, of("c"), []string{alive, opening}, nil); err != nil || !slices.Equal(over, []string{opening}) {
			t.Fatal(over, err)
		}
		over, err = j.Sweep(ctx)
		if err != nil || len(over) != 1 || over[0].GetSessionId() != connected || over[0].GetEndReason() != orielv1.EndReason_END_REASON_LOST {
			t.Fatal(over, err)
		}
		// The agent comes back and runs it still: the same row goes on.
		if over, err := j.Keep(ctx, of("c"), []string{connected}, nil); err != nil || len(over) != 0 {
			t.Fatal(over, err)
		}
		if e, err := j.Get(ctx, of(connected)); err != nil || e.GetEndedAt() != 0 {
			t.Fatal(e, err)
		}
	})
}

func TestPages(t *testing.T) {
	each(t, func(t *testing.T, j *journal.Journal, _ *store.Store, c *clock, _ func() []string) {
		ctx := t.Context()
		var want []string
		for i := range 130 {
			if i%3 == 0 {
				c.add(time.Millisecond)
			}
			want = append(want, begin(t, j, "c"))
		}
		slices.Reverse(want)
		var got []string
		cursor, pages := "", 0
		for {
			rows, next, err := j.Page(ctx, store.FirstOrganization, store.Everything, journal.Filter{OperatorID: "p"}, cursor, 1000)
			if err != nil || len(rows) > page.Max {
				t.Fatal(len(rows), err)
			}
			for _, e := range rows {
				got = append(got, e.GetSessionId())
			}
			pages++
			begin(t, j, "c") // a row arrives
			if cursor = next; cursor == "" {
				break
			}
		}
		if !slices.Equal(got, want) || pages != 2 {
			t.Fatal("wrong order or rows:", len(got), pages)
		}
		if rows, next, err := j.Page(ctx, store.FirstOrganization, store.Everything, journal.Filter{ComputerID: "other"}, "", 0); err != nil || len(rows) != 0 || next != "" {
			t.Fatal(rows, next, err)
		}
		oldest := journal.Filter{OldestFirst: true}
		first, next, err := j.Page(ctx, store.FirstOrganization, store.Everything, oldest, "", 3)
		second, _, err2 := j.Page(ctx, store.FirstOrganization, store.Everything, oldest, next, 1)
		slices.Reverse(want)
		if err != nil || err2 != nil || len(first) != 3 || first[0].GetSessionId() != want[0] || second[0].GetSessionId() != want[3] {
			t.Fatal("oldest first:", err, err2, len(first), len(second))
		}
		if _, _, err := j.Page(ctx, store.FirstOrganization, store.Everything, journal.Filter{}, next, 1); !errors.Is(err, page.ErrCursor) {
			t.Errorf("the cursor of another sort: %v", err)
		}
		name := first[0].GetComputerName()
		for words, some := range map[string]bool{strings.ToUpper(name): true, name + " " + first[0].GetOperatorName(): true, "%": false, "_": false, "nobody's": false} {
			if rows, _, err := j.Page(ctx, store.FirstOrganization, store.Everything, journal.Filter{Words: words}, "", 0); err != nil || len(rows) > 0 != some {
				t.Errorf("%q: %d rows, %v", words, len(rows), err)
			}
		}
		for _, bad := range []string{"x", "!", base64.RawURLEncoding.EncodeToString([]byte("1")), base64.RawURLEncoding.EncodeToString([]byte("a.b")),
			base64.RawURLEncoding.EncodeToString([]byte("1.")), strings.Repeat("A", 1000), page.Place{Sort: "-started_at", Key: "x", ID: "1"}.Cursor()} {
			if _, _, err := j.Page(ctx, store.FirstOrganization, store.Everything, journal.Filter{}, bad, 0); !errors.Is(err, page.ErrCursor) {
				t.Errorf("%.20q: %v", bad, err)
			}
		}
	})
}

// Rule: what an agent says of the past is clamped to what the relay knows: start ≤
// end ≤ now, and no longer than the session can have run without a sign of it.
func TestHostileTimesAreClamped(t *testing.T) {
	each(t, func(t *testing.T, j *journal.Journal, s *store.Store, c *clock, _ func() []string) {
		ctx := t.Context()
		for name, tc := range map[string]struct {
			connected, ended time.Duration // said, after the start
			silent           time.Duration // nothing was heard for that long before
			lost             bool          // the relay had given it up
			from, to         time.Duration // kept
		}{
			"honest":              {10 * time.Second, 50 * time.Second, time.Minute, false, 10 * time.Second, 50 * time.Second},
			"before it began":     {-time.Hour, -time.Minute, time.Minute, false, 0, 0},
			"ends before it is":   {40 * time.Second, 20 * time.Second, time.Minute, false, 40 * time.Second, 40 * time.Second},
			"in the future":       {time.Hour, 2 * time.Hour, time.Minute, false, 0, time.Minute},
			"corrected":           {0, 9 * time.Minute, time.Hour, true, 0, 9 * time.Minute},
			"longer than a lease": {0, 50 * time.Minute, time.Hour, true, 0, 20 * time.Minute},
			"a year":              {-365 * 24 * time.Hour, math.MinInt64, time.Minute, false, 0, time.Minute},
		} {
			start := c.Now()
			id := begin(t, j, "c")
			said := tc.connected
			if said > 0 && said < tc.silent { // else it is said at once, and not true
				c.add(said)
			}
			e, err := j.Report(ctx, of("c"), &orielv1.SessionReport{SessionId: id, ConnectedAt: start.Add(said).UnixMilli()})
			if err != nil || e.GetConnectedAt() != start.Add(tc.from).UnixMilli() {
				t.Errorf("%s: connected at %d, began at %d (%v)", name, e.GetConnectedAt(), start.UnixMilli(), err)
			}
			c.add(start.Add(tc.silent).Sub(c.Now()))
			if tc.lost {
				if _, _, err := j.End(ctx, of(id), orielv1.EndReason_END_REASON_LOST, 0, ""); err != nil {
					t.Fatal(err)
				}
			}
			end, first, err := j.EndedByAgent(ctx, of("c"), &orielv1.SessionEnded{SessionId: id, Reason: orielv1.EndReason_END_REASON_OPERATOR,
				EndedAt: start.Add(tc.ended).UnixMilli()})
			if err != nil || !first || end.GetEndedAt() != start.Add(tc.to).UnixMilli() {
				t.Errorf("%s: ended after %v, want %v (%v)", name, time.Duration(end.GetEndedAt()-start.UnixMilli())*time.Millisecond, tc.to, err)
			}
		}
	})
}

// Rule: only agents' reasons are taken from agents; the relay's own words are
// not theirs to say.
func TestOnlyAgentsReasonsAreTakenFromAgents(t *testing.T) {
	each(t, func(t *testing.T, j *journal.Journal, _ *store.Store, _ *clock, _ func() []string) {
		relays := []orielv1.EndReason{orielv1.EndReason_END_REASON_UNSPECIFIED, orielv1.EndReason_END_REASON_ENDED,
			orielv1.EndReason_END_REASON_OFFLINE, orielv1.EndReason_END_REASON_LOST, 99, -1}
		said := slices.Clone(relays)
		for n := range orielv1.EndReason_name {
			said = append(said, orielv1.EndReason(n))
		}
		for _, reason := range said {
			id := begin(t, j, "c")
			want := reason
			if slices.Contains(relays, reason) {
				want = orielv1.EndReason_END_REASON_FAILED
			}
			e, _, err := j.EndedByAgent(t.Context(), of("c"), &orielv1.SessionEnded{SessionId: id, Reason: reason})
			if err != nil || e.GetEndReason() != want {
				t.Errorf("%v was taken as %v (%v)", reason, e.GetEndReason(), err)
			}
		}
	})
}
