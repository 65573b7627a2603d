package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"oriel/protocol/hours"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/store"
)

// Settings are what one policy says. What is absent it says nothing about.
type Settings struct {
	// For agents:

	Scopes         []string `json:"scopes,omitzero" nullable:"false" maxItems:"32" doc:"What sessions may do at most: view, control, clipboard_read, clipboard_write, files_read, files_write, terminal, sound, power, recording, forward."`
	Consent        *bool    `json:"consent,omitempty" doc:"No control without consent of who sits at the computer. An agent that cannot ask for it refuses control."`
	Previews       *bool    `json:"previews,omitempty" doc:"Whether the list shows pictures of the screen."`
	PreviewSeconds *int     `json:"preview_seconds,omitempty" minimum:"60" maximum:"86400" doc:"At least between two of them."`
	SessionMinutes *int     `json:"session_minutes,omitempty" minimum:"1" maximum:"10080" doc:"The longest session."`
	LeaseMinutes   *int     `json:"lease_minutes,omitempty" minimum:"1" maximum:"1440" doc:"For how long a session goes on at most when the relay cannot be reached."`
	Hours          []string `json:"hours,omitzero" nullable:"false" maxItems:"32" doc:"When there are sessions and previews, by the computer's own clock and time zone, as in: mon-fri 08:00-18:00. Empty: always."`

	// For people, of the organization alone:

	AllowedAddresses  []string `json:"allowed_addresses,omitzero" nullable:"false" maxItems:"64" doc:"Networks from which members may be signed in, as in 192.0.2.0/24 or 2001:db8::/32. Empty: all."`
	SignInIdleMinutes *int     `json:"sign_in_idle_minutes,omitempty" minimum:"5" maximum:"43200" doc:"A sign-in ends when it was not used for so long. It cannot be longer than the relay's own."`
	SignInHours       *int     `json:"sign_in_hours,omitempty" minimum:"1" maximum:"8760" doc:"A sign-in ends after so long in any case. It cannot be longer than the relay's own."`
}

// SessionEnd is when a session that began then, in Unix milliseconds, ends at the latest;
// zero: nothing is said of that.
func (s *Settings) SessionEnd(began int64) time.Time {
	if s.SessionMinutes == nil {
		return time.Time{}
	}
	return time.UnixMilli(began).Add(time.Duration(*s.SessionMinutes) * time.Minute)
}

// setting is one of Settings.
type setting struct {
	name   string
	people bool // of the organization alone
	said   func(*Settings) bool
	take   func(to, from *Settings)
	same   func(a, b *Settings) bool
}

func of[T any](name string, people bool, at func(*Settings) *T, said func(T) bool) setting {
	return setting{name, people, func(s *Settings) bool { return said(*at(s)) }, func(to, from *Settings) { *at(to) = *at(from) },
		func(a, b *Settings) bool { return reflect.DeepEqual(*at(a), *at(b)) }}
}

func list(name string, people bool, at func(*Settings) *[]string) setting {
	return of(name, people, at, func(v []string) bool { return v != nil })
}

func number(name string, people bool, at func(*Settings) **int) setting {
	return of(name, people, at, func(v *int) bool { return v != nil })
}

func choice(name string, at func(*Settings) **bool) setting {
	return of(name, false, at, func(v *bool) bool { return v != nil })
}

// settings are all that there are. That it has each field of Settings is a test.
var settings = []setting{
	list("scopes", false, func(s *Settings) *[]string { return &s.Scopes }),
	choice("consent", func(s *Settings) **bool { return &s.Consent }),
	choice("previews", func(s *Settings) **bool { return &s.Previews }),
	number("preview_seconds", false, func(s *Settings) **int { return &s.PreviewSeconds }),
	number("session_minutes", false, func(s *Settings) **int { return &s.SessionMinutes }),
	number("lease_minutes", false, func(s *Settings) **int { return &s.LeaseMinutes }),
	list("hours", false, func(s *Settings) *[]string { return &s.Hours }),
	list("allowed_addresses", true, func(s *Settings) *[]string { return &s.AllowedAddresses }),
	number("sign_in_idle_minutes", true, func(s *Settings) **int { return &s.SignInIdleMinutes }),
	number("sign_in_hours", true, func(s *Settings) **int { return &s.SignInHours }),
}

// Bounds of settings; those of lists are of their items.
const (
	minPreview, maxPreview = 60, 86_400
	maxSession             = 7 * 24 * 60
	maxLease               = 24 * 60
	minIdle, maxIdle       = 5, 30 * 24 * 60
	maxSignIn              = 365 * 24
	maxHours               = 32
	maxAddresses           = 64
)

// Check says what of s cannot be a policy on an object of that kind: an error for each
// field (fault.Field), joined.
func (s *Settings) Check(kind string) error {
	var all []error
	wrong := func(field, format string, args ...any) {
		all = append(all, fault.Field("settings/"+field, fmt.Sprintf(format, args...)))
	}
	for _, one := range settings {
		if one.people && kind != store.ObjectOrganization && one.said(s) {
			wrong(one.name, "this is for the whole organization; set it there")
		}
	}
	if s.Scopes != nil && len(s.Scopes) == 0 {
		wrong("scopes", "name what sessions may do, or leave it out")
	}
	for i, word := range s.Scopes {
		if orielv1.FromWord[orielv1.Scope](word) == 0 || slices.Contains(s.Scopes[:i], word) {
			wrong("scopes", "%.32q is nothing that a session does, or is named twice", word)
			break
		}
	}
	for _, n := range []struct {
		name      string
		value     *int
		low, high int
	}{
		{"preview_seconds", s.PreviewSeconds, minPreview, maxPreview},
		{"session_minutes", s.SessionMinutes, 1, maxSession},
		{"lease_minutes", s.LeaseMinutes, 1, maxLease},
		{"sign_in_idle_minutes", s.SignInIdleMinutes, minIdle, maxIdle},
		{"sign_in_hours", s.SignInHours, 1, maxSignIn},
	} {
		if n.value != nil && (*n.value < n.low || *n.value > n.high) {
			wrong(n.name, "give a number from %d to %d", n.low, n.high)
		}
	}
	if len(s.Hours) > maxHours {
		wrong("hours", "there can be at most %d lines of hours", maxHours)
	}
	for _, text := range s.Hours {
		if _, err := hours.Parse(text); err != nil || len(text) > 64 {
			wrong("hours", `write hours as in "mon-fri 08:00-18:00"; %.50q is not`, text)
			break
		}
	}
	if len(s.AllowedAddresses) > maxAddresses {
		wrong("allowed_addresses", "there can be at most %d networks", maxAddresses)
	}
	for _, text := range s.AllowedAddresses {
		if _, err := parseNetwork(text); err != nil {
			wrong("allowed_addresses", "%v", err)
			break
		}
	}
	return errors.Join(all...)
}

// parseNetwork reads one of AllowedAddresses; its error says how one is written.
func parseNetwork(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil || p != p.Masked() || p.Addr().Is4In6() {
		return p, fmt.Errorf("write networks as in 192.0.2.0/24 or 2001:db8::/32; %.50q is not", text)
	}
	return p, nil
}

// Parse reads what Encode wrote. A key that this relay does not know is an error: what
// cannot be kept is not passed over.
func Parse(text string) (s Settings, err error) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err = d.Decode(&s); err == nil {
		if _, rest := d.Token(); !errors.Is(rest, io.EOF) {
			err = errors.New("something follows it")
		}
	}
	if err == nil {
		err = s.Check(store.ObjectOrganization)
	}
	if err != nil {
		return Settings{}, fmt.Errorf("read the settings of a policy: %w", err)
	}
	return s, nil
}

// Encode is s as the database keeps it.
func (s *Settings) Encode() (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}

// Says are the names of the settings that s says.
func (s *Settings) Says() (names []string) {
	for _, one := range settings {
		if one.said(s) {
			names = append(names, one.name)
		}
	}
	return names
}

// changed is what is not the same in both, as each says it.
func changed(before, after Settings) (was, is Settings) {
	for _, one := range settings {
		if !one.same(&before, &after) {
			one.take(&was, &before)
			one.take(&is, &after)
		}
	}
	return was, is
}

// ForbiddenScope is the first of some that s does not allow; 0: it allows them all. Where
// consent has to be asked for there is no control.
func (s *Settings) ForbiddenScope(scopes []orielv1.Scope) orielv1.Scope {
	for _, scope := range scopes {
		if s.Scopes != nil && !slices.Contains(s.Scopes, orielv1.Word(scope)) ||
			scope == orielv1.Scope_SCOPE_CONTROL && s.Consent != nil && *s.Consent {
			return scope
		}
	}
	return 0
}

// Allows reports whether members may be signed in from an address.
func (s *Settings) Allows(address netip.Addr) bool {
	return len(s.AllowedAddresses) == 0 || slices.ContainsFunc(s.AllowedAddresses, func(text string) bool {
		p, err := netip.ParsePrefix(text)
		return err == nil && p.Contains(address.Unmap().WithZone(""))
	})
}

// allowsAll reports whether a network is within one of AllowedAddresses.
func (s *Settings) allowsAll(n netip.Prefix) bool {
	return slices.ContainsFunc(s.AllowedAddresses, func(text string) bool {
		p, err := netip.ParsePrefix(text)
		return err == nil && p.Bits() <= n.Bits() && p.Contains(n.Addr())
	})
}
