package access

import (
	"time"

	"oriel/relay/internal/fault"
	"oriel/relay/internal/policy"
)

// # Policies for people
//
// An organization's policy says from which networks its members may be signed in, and
// how long a sign-in lasts at most there. It is read with what somebody may, so that it
// counts at once for each request, tab and session of theirs, and at the sign-in itself.
// A sign-in that is used from elsewhere is refused there, and goes on where it may be.
// API keys are for programs, and are bound by neither.

// ErrAddress: the organization does not let its members in from there.
var ErrAddress = fault.New(fault.Address, "your organization lets its members in from its own networks only; connect from one of them, or ask one of its admins to add yours; if none of them gets in either, ask whoever runs this relay (oriel-relay org allow)")

// notFrom is ErrAddress with what an admin needs to know.
func notFrom(from Client) error {
	return ErrAddress.Saying("you come from " + from.Address + ", and " + ErrAddress.Error())
}

// demandsOf reads the settings of an organization's policy. What cannot be read lets
// nobody in: it may be a newer relay's.
func demandsOf(text string) *policy.Settings {
	if text == "" {
		return &policy.Settings{}
	}
	s, err := policy.Parse(text)
	if err != nil {
		return nil
	}
	return &s
}

// admits reports whether g's organization lets it in from there.
func (g authority) admits(from Client) bool {
	return g.key != "" || g.demands != nil && g.demands.Allows(from.IP())
}

// overdue reports whether a sign-in is too old for its organization.
func (a *Access) overdue(g authority) bool {
	if g.demands == nil {
		return true
	}
	now := a.now()
	ended := func(limit *int, unit time.Duration, since int64) bool {
		return limit != nil && now-since > int64(*limit)*unit.Milliseconds()
	}
	return ended(g.demands.SignInIdleMinutes, time.Minute, g.seen) || ended(g.demands.SignInHours, time.Hour, g.created)
}
