package rights_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"oriel/relay/internal/rights"
)

// Rule: hours hold by the clock on the wall, also while it is set, and Next is the very minute of their edge.
func TestHoursAgreeWithTheClockOnTheWall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, now := drawHours(t), drawTime(t)
		if again, err := rights.ParseHours(h.String()); err != nil || again.String() != h.String() {
			t.Fatal("not read back:", h, err)
		}
		within := contains(h, now)
		if h.Contains(now) != within {
			t.Fatalf("%s contains %v: %v", h, now, !within)
		}
		if got := h.Next(now, within, now.Add(time.Minute)); !got.Equal(now) {
			t.Fatal("it is so now, and Next says", got)
		}
		var change time.Time
		for i := 1; i < stepped && change.IsZero(); i++ {
			at := now.Add(time.Duration(i) * time.Minute)
			if got, want := h.Contains(at.Add(-1)), contains(h, at.Add(-time.Minute)); got != want {
				t.Fatalf("%s contains the end of the minute before %v: %v", h, at, got)
			}
			if contains(h, at) != within {
				change = at
			}
		}
		if got := h.Next(now, !within, now.Add(stepped*time.Minute)); !got.Equal(change) {
			t.Fatalf("%s changes at %v, want %v", h, got, change)
		}
	})
}

// Rule: a window in an hour that the clock skips never opens that day; one in an hour that comes twice opens twice.
func TestHoursWhileTheClockIsSet(t *testing.T) {
	h := hours(t, "Europe/Berlin", "sun", "02:15", "02:45")
	far := func(at time.Time) time.Time { return at.Add(rights.Horizon) }
	for _, c := range []struct{ at, opens, closes string }{
		{"2026-03-22T00:00:00Z", "2026-03-22T01:15:00Z", "2026-03-22T01:45:00Z"},
		{"2026-03-23T00:00:00Z", "2026-04-05T00:15:00Z", "2026-04-05T00:45:00Z"}, // 02:00 to 03:00 is skipped on March 29
		{"2026-10-25T00:00:00Z", "2026-10-25T00:15:00Z", "2026-10-25T00:45:00Z"},
		{"2026-10-25T00:50:00Z", "2026-10-25T01:15:00Z", "2026-10-25T01:45:00Z"}, // and again
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		opens := h.Next(at, true, far(at))
		closes := h.Next(opens, false, far(opens))
		if o, cl := opens.UTC().Format(time.RFC3339), closes.UTC().Format(time.RFC3339); o != c.opens || cl != c.closes {
			t.Errorf("after %s it is open from %s to %s, want %s to %s", c.at, o, cl, c.opens, c.closes)
		}
	}
}

// Rule: hours that are none are refused with what is wrong and where.
func TestWrongHours(t *testing.T) {
	window := `{"days":["mon"],"from":"09:00","to":"17:00"}`
	for text, want := range map[string]string{
		`{`: "not written as they have to be",
		`{"zone":"UTC","windows":[` + window + `]} x`:                                            "something follows",
		`{"zone":"UTC","windows":[` + window + `],"days":[]}`:                                    "unknown field",
		`{"windows":[` + window + `]}`:                                                           "need a time zone",
		`{"zone":"Local","windows":[` + window + `]}`:                                            "need a time zone",
		`{"zone":"Mars/Base","windows":[` + window + `]}`:                                        `no time zone "Mars/Base"`,
		`{"zone":"../etc/passwd","windows":[` + window + `]}`:                                    "no time zone",
		`{"zone":"UTC","windows":[]}`:                                                            "leave them out",
		`{"zone":"UTC","windows":[{"from":"09:00","to":"10:00"}]}`:                               "window 1: names no day",
		`{"zone":"UTC","windows":[` + window + `,{"days":["Mon"],"from":"09:00","to":"10:00"}]}`: `window 2: "Mon" is no day`,
		`{"zone":"UTC","windows":[{"days":["mon","mon"],"from":"09:00","to":"10:00"}]}`:          "names mon twice",
		`{"zone":"UTC","windows":[{"days":["mon"],"from":"9:00","to":"10:00"}]}`:                 `"9:00" is no time`,
		`{"zone":"UTC","windows":[{"days":["mon"],"from":"24:00","to":"10:00"}]}`:                `"24:00" is no time`,
		`{"zone":"UTC","windows":[{"days":["mon"],"from":"09:00","to":"25:00"}]}`:                `"25:00" is no time`,
		`{"zone":"UTC","windows":[{"days":["mon"],"from":"09:00","to":"09:00"}]}`:                "for a whole day write 00:00 to 24:00",
		`{"zone":"UTC","windows":[` + strings.Repeat(window+",", 32) + window + `]}`:             "more than 32 windows",
		strings.Repeat(" ", rights.MaxHours+1):                                                   "more than 4096 bytes",
	} {
		h, err := rights.ParseHours(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %s", text, err, want)
		}
		if !h.Always() || strings.ContainsAny(errText(err), "\n") {
			t.Errorf("%.80s: some hours beside an error", text)
		}
	}
	whole, err := rights.ParseHours("")
	if err != nil || !whole.Always() || !whole.Contains(noon) || !whole.Next(noon, false, noon.Add(1e9)).IsZero() {
		t.Error("no hours are not always:", err)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzHours holds the reader of hours to hostile text.
func FuzzHours(f *testing.F) {
	f.Add(`{"zone":"Europe/Berlin","windows":[{"days":["mon","sun"],"from":"22:00","to":"06:00"}]}`)
	f.Add(`{"zone":"UTC","windows":[{"days":["mon"],"from":"00:00","to":"24:00"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		h, err := rights.ParseHours(text)
		if err != nil {
			return
		}
		if again, err := rights.ParseHours(h.String()); err != nil || again.String() != h.String() {
			t.Fatal("not read back:", err)
		}
		if next := h.Next(noon, !h.Contains(noon), noon.Add(rights.Horizon)); !next.IsZero() && h.Contains(next) == h.Contains(noon) {
			t.Fatal("nothing changes at", next)
		}
	})
}
