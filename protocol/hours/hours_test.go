package hours

import (
	"testing"
	"time"
)

// at is a time on the wall: Monday is 2 March 2026.
func at(t *testing.T, day int, clock string) time.Time {
	t.Helper()
	now, err := time.Parse("2006-01-02 15:04", "2026-03-0"+string(rune('1'+day))+" "+clock)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func TestHours(t *testing.T) {
	for text, c := range map[string]struct{ in, out []string }{
		"mon-fri 08:00-18:00":  {[]string{"1 08:00", "5 17:59"}, []string{"1 07:59", "5 18:00", "6 12:00", "0 12:00"}},
		"Sat,Sun 10:00-12:00":  {[]string{"6 10:00", "0 11:59"}, []string{"5 11:00", "1 11:00"}},
		"fri-mon 00:00-24:00":  {[]string{"5 00:00", "6 12:00", "0 12:00", "1 23:59"}, []string{"2 00:00", "4 23:59"}},
		"sat 22:00-06:00":      {[]string{"6 22:00", "0 05:59"}, []string{"6 05:59", "0 06:00", "0 22:00"}},
		"00:00-24:00":          {[]string{"0 00:00", "6 23:59"}, nil},
		"  mon   09:30-09:31 ": {[]string{"1 09:30"}, []string{"1 09:31"}},
	} {
		h, err := Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for i, list := range [][]string{c.in, c.out} {
			for _, when := range list {
				if h.Has(at(t, int(when[0]-'0'), when[2:])) != (i == 0) {
					t.Errorf("%q at %s", text, when)
				}
			}
		}
	}
	for _, text := range []string{"", "mon", "08:00", "8:00-9:00", "mon 08:00-08:00", "24:00-01:00", "08:60-09:00", "08:00-25:00", "08:00-24:01",
		"monday 08:00-09:00", "mon- 08:00-09:00", ",mon 08:00-09:00", "mon-wed-fri 08:00-09:00", "08:00-09:00 mon"} {
		if h, err := Parse(text); err == nil {
			t.Errorf("%q is taken for %v", text, h)
		}
	}
}
