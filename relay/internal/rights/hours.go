package rights

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // a relay on Windows or in an empty container has no time zones
)

// Bounds of hours.
const (
	MaxHours   = 4096 // bytes of their text
	MaxWindows = 32
	maxZone    = 64
)

// Hours are windows of the week, by the clock on the wall of one place: when that clock
// is set forward or back, a window begins and ends as the clock shows. The zero value is
// always. Hours are not changed once they are made.
type Hours struct {
	zone    *time.Location // nil: always
	windows []Window
	spans   []span // sorted, apart from each other, within one week
}

// Window is the same time of some days.
type Window struct {
	Days []string `json:"days"` // mon, tue, wed, thu, fri, sat, sun: on which it begins
	From string   `json:"from"` // 09:00
	To   string   `json:"to"`   // 17:30; not after From: on the day after; 24:00 is the end of the day
}

// span is part of a week, in seconds from Monday's beginning; end is not in it.
type span struct{ start, end int64 }

const (
	daySeconds  = 24 * 60 * 60
	weekSeconds = 7 * daySeconds
)

var days = [...]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// hoursText is how hours are kept.
type hoursText struct {
	Zone    string   `json:"zone"`
	Windows []Window `json:"windows"`
}

// ParseHours reads what String wrote, or a person did; empty is always. Its errors say
// what is wrong, and where.
func ParseHours(text string) (Hours, error) {
	if text == "" {
		return Hours{}, nil
	}
	if len(text) > MaxHours {
		return Hours{}, fmt.Errorf("the hours have more than %d bytes", MaxHours)
	}
	var t hoursText
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return Hours{}, fmt.Errorf("the hours are not written as they have to be: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Hours{}, errors.New("the hours are not written as they have to be: something follows them")
	}
	return NewHours(t.Zone, t.Windows)
}

// NewHours checks a time zone of the IANA's (Europe/Berlin) and windows.
func NewHours(zone string, windows []Window) (Hours, error) {
	where, err := location(zone)
	switch {
	case err != nil:
		return Hours{}, err
	case len(windows) == 0:
		return Hours{}, errors.New("the hours have no window; leave them out to allow all hours")
	case len(windows) > MaxWindows:
		return Hours{}, fmt.Errorf("the hours have more than %d windows", MaxWindows)
	}
	h := Hours{zone: where}
	for i, w := range windows {
		spans, err := w.spans()
		if err != nil {
			return Hours{}, fmt.Errorf("window %d: %w", i+1, err)
		}
		h.windows = append(h.windows, Window{slices.Clone(w.Days), w.From, w.To})
		h.spans = append(h.spans, spans...)
	}
	h.spans = merge(h.spans)
	return h, nil
}

func (w Window) spans() ([]span, error) {
	from, okFrom := clock(w.From)
	to, okTo := clock(w.To)
	switch {
	case len(w.Days) == 0:
		return nil, errors.New("names no day; write days such as mon and fri")
	case len(w.Days) > len(days):
		return nil, errors.New("names a day twice")
	case !okFrom || w.From == "24:00":
		return nil, fmt.Errorf("%.10q is no time of day; write it as 09:00", w.From)
	case !okTo:
		return nil, fmt.Errorf("%.10q is no time of day; write it as 17:30", w.To)
	case from == to:
		return nil, fmt.Errorf("begins and ends at %s; for a whole day write 00:00 to 24:00", w.From)
	case to < from:
		to += daySeconds
	}
	var all []span
	for i, name := range w.Days {
		day := int64(slices.Index(days[:], name))
		if day < 0 {
			return nil, fmt.Errorf("%.10q is no day; days are %s", name, strings.Join(days[:], ", "))
		}
		if slices.Contains(w.Days[:i], name) {
			return nil, fmt.Errorf("names %s twice", name)
		}
		s := span{day*daySeconds + from, day*daySeconds + to}
		if s.end > weekSeconds {
			all = append(all, span{0, s.end - weekSeconds})
			s.end = weekSeconds
		}
		all = append(all, s)
	}
	return all, nil
}

// clock reads 00:00 to 24:00, in seconds.
func clock(text string) (int64, bool) {
	if text == "24:00" {
		return daySeconds, true
	}
	t, err := time.Parse("15:04", text)
	return int64(t.Hour())*3600 + int64(t.Minute())*60, err == nil && len(text) == 5
}

// merge sorts spans, and makes one of those that touch.
func merge(all []span) []span {
	slices.SortFunc(all, func(a, b span) int { return int(a.start - b.start) })
	var merged []span
	for _, s := range all {
		if last := len(merged) - 1; last >= 0 && s.start <= merged[last].end {
			merged[last].end = max(merged[last].end, s.end)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// locations that were read, by name: there are some six hundred.
var locations sync.Map

func location(zone string) (*time.Location, error) {
	if l, ok := locations.Load(zone); ok {
		return l.(*time.Location), nil
	}
	if zone == "" || zone == "Local" || len(zone) > maxZone {
		return nil, fmt.Errorf("the hours need a time zone such as Europe/Berlin")
	}
	l, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("there is no time zone %q; write one such as Europe/Berlin", zone)
	}
	locations.Store(zone, l)
	return l, nil
}

// Always reports whether h limits nothing.
func (h Hours) Always() bool { return h.zone == nil }

// Zone is the name of the time zone; empty: always.
func (h Hours) Zone() string {
	if h.Always() {
		return ""
	}
	return h.zone.String()
}

// Windows of the week; none: always.
func (h Hours) Windows() []Window { return slices.Clone(h.windows) }

// String is what ParseHours reads.
func (h Hours) String() string {
	if h.Always() {
		return ""
	}
	text, _ := json.Marshal(hoursText{h.Zone(), h.windows}) // strings only
	return string(text)
}

// Contains reports whether t is within h.
func (h Hours) Contains(t time.Time) bool {
	if h.Always() {
		return true
	}
	at := weekSecond(t.In(h.zone))
	for _, s := range h.spans {
		if at < s.end {
			return at >= s.start
		}
	}
	return false
}

// Next is the first moment from t on at which Contains is within; zero: there is none
// before limit.
func (h Hours) Next(t time.Time, within bool, limit time.Time) time.Time {
	if h.Always() && !within {
		return time.Time{}
	}
	for t.Before(limit) {
		if h.Contains(t) == within {
			return t
		}
		// Nothing changes before the next edge of a span, by the clock of now, or
		// before that clock is set.
		local := t.In(h.zone)
		edge := local.Add(time.Duration(h.edgeAfter(weekSecond(local)))*time.Second - time.Duration(local.Nanosecond()))
		if _, set := local.ZoneBounds(); !set.IsZero() && set.Before(edge) {
			edge = set
		}
		t = edge
	}
	return time.Time{}
}

// edgeAfter is how many seconds it is from at to the next beginning or end of a span.
func (h Hours) edgeAfter(at int64) int64 {
	for _, s := range h.spans {
		if s.start > at {
			return s.start - at
		}
		if s.end > at {
			return s.end - at
		}
	}
	return weekSeconds - at
}

// weekSecond is t's second of its week.
func weekSecond(t time.Time) int64 {
	hour, minute, second := t.Clock()
	return int64(t.Weekday()+6)%7*daySeconds + int64(hour)*3600 + int64(minute)*60 + int64(second)
}
