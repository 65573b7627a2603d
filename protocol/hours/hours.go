// Package hours is times of the week as policies for computers say them, by the clock on
// the wall of the computer; agent and relay read them alike.
package hours

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Hours are times of the week, written "mon-fri 08:00-18:00", "sat,sun 10:00-12:00"
// or, for every day, "08:00-18:00". They end before the second time; one that is
// not after the first is of the next day, and 24:00 is the day's end.
type Hours struct {
	text     string
	days     [7]bool // by time.Weekday, on which they begin
	from, to int     // minutes of the day
}

var (
	hoursForm = regexp.MustCompile(`^(?:([a-z,-]+) +)?(\d\d):(\d\d)-(\d\d):(\d\d)$`)
	dayNames  = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
)

// Parse reads one line of hours. Errors say how it is written.
func Parse(text string) (Hours, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	wrong := fmt.Errorf(`%.50q are no hours; write them as "mon-fri 08:00-18:00"`, text)
	m := hoursForm.FindStringSubmatch(text)
	if m == nil {
		return Hours{}, wrong
	}
	h := Hours{text: text}
	minutes := func(hour, minute string) int {
		a, _ := strconv.Atoi(hour)
		b, _ := strconv.Atoi(minute)
		if b > 59 || a*60+b > 24*60 {
			return -1
		}
		return a*60 + b
	}
	h.from, h.to = minutes(m[2], m[3]), minutes(m[4], m[5])
	if h.from < 0 || h.to < 0 || h.from == h.to || h.from == 24*60 {
		return Hours{}, wrong
	}
	if m[1] == "" {
		h.days = [7]bool{true, true, true, true, true, true, true}
		return h, nil
	}
	for _, part := range strings.Split(m[1], ",") {
		first, last, is := strings.Cut(part, "-")
		if !is {
			last = first
		}
		a, b := slices.Index(dayNames, first), slices.Index(dayNames, last)
		if a < 0 || b < 0 {
			return Hours{}, wrong
		}
		for d := a; ; d = (d + 1) % 7 {
			h.days[d] = true
			if d == b {
				break
			}
		}
	}
	return h, nil
}

// Has reports whether now, by the clock on the wall, is within the hours.
func (h Hours) Has(now time.Time) bool {
	at, today := now.Hour()*60+now.Minute(), now.Weekday()
	if h.from < h.to {
		return h.days[today] && h.from <= at && at < h.to
	}
	return h.days[today] && h.from <= at || h.days[(today+6)%7] && at < h.to
}

// String returns the hours as they were written.
func (h Hours) String() string { return h.text }

// MarshalText is String.
func (h Hours) MarshalText() ([]byte, error) { return []byte(h.text), nil }

// UnmarshalText is Parse.
func (h *Hours) UnmarshalText(b []byte) (err error) {
	*h, err = Parse(string(b))
	return err
}
