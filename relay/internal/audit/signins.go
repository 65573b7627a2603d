package audit

import (
	"context"
	"strconv"
	"time"

	"oriel/relay/internal/store"
)

// Why a sign-in was refused.
const (
	Wrong   = "password" // it was wrong, or there is no such account
	TooMany = "tries"    // there were too many before, and it was not looked at
)

// Bounds of what strangers can have written: each entry that says who and from where
// takes one of a budget, which fills up again by one in signInsRefill. What comes
// beyond it becomes one entry a minute that tells its number. All the world at once
// thus makes at most some 4,000 entries a day of a node, about 2 MB.
const (
	signInsEvery  = time.Minute
	signInsBudget = 64
	signInsRefill = 30 * time.Second
	// Each entry is written for so many organizations of its person at most.
	signInsOrganizations = 8
)

// signIns are those that were refused.
type signIns struct {
	refused map[signInRefusal]times
	spent   float64   // of the budget
	at      time.Time // when spent was counted
}

// signInRefusal is of one account from one address; the zero person is nobody who
// exists, without why it is all those beyond the budget.
type signInRefusal struct {
	organization         store.OrganizationID // empty: not looked up yet
	person, address, why string
}

// SignInRefused counts that a password was refused, of the person of that id or of
// nobody there is. Whose audit says so is looked up when it is written, so that it takes
// no time of who tries: the person's organizations, of very many the first ones, or
// else the relay's first. It does not block.
func (l *Log) SignInRefused(person, address, why string) {
	now := l.o.Now()
	l.countSignIn(signInRefusal{"", person, address, why}, times{now.UnixMilli(), 1}, now)
}

func (l *Log) countSignIn(key signInRefusal, t times, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.sign
	if before, there := s.refused[key]; there {
		s.refused[key] = times{min(before.first, t.first), before.n + t.n}
		return
	}
	s.spent = max(0, s.spent-float64(max(0, now.Sub(s.at)))/float64(signInsRefill))
	s.at = now
	if s.spent+1 > signInsBudget {
		key = signInRefusal{organization: store.FirstOrganization}
		if before, there := s.refused[key]; there {
			t = times{min(before.first, t.first), before.n + t.n}
		}
	} else {
		s.spent++
	}
	s.refused[key] = t
}

// flushSignIns writes the refused sign-ins that were counted. What cannot be written
// counts on.
func (l *Log) flushSignIns(ctx context.Context) error {
	l.mu.Lock()
	all := l.sign.refused
	l.sign.refused = map[signInRefusal]times{}
	l.mu.Unlock()
	var failed error
	for key, t := range all {
		var in []store.OrganizationID
		if failed == nil {
			in, failed = l.organizationsOf(ctx, key)
		}
		if len(in) == 0 { // they could not be looked up
			l.countSignIn(key, t, l.o.Now())
		}
		for _, key.organization = range in {
			if failed == nil {
				failed = l.o.Store.Audit(key.organization).Record(ctx, key.entry(t))
			}
			if failed != nil {
				l.countSignIn(key, t, l.o.Now())
			}
		}
	}
	return failed
}

// organizationsOf are those whose audit says what was refused.
func (l *Log) organizationsOf(ctx context.Context, key signInRefusal) (all []store.OrganizationID, err error) {
	switch {
	case key.organization != "": // could not be written there before
		return []store.OrganizationID{key.organization}, nil
	case key.person == "":
		return []store.OrganizationID{store.FirstOrganization}, nil
	}
	in, err := l.o.Store.People().Memberships(ctx, key.person)
	for _, m := range in[:min(len(in), signInsOrganizations)] {
		all = append(all, m.Organization)
	}
	if err == nil && len(all) == 0 { // a member of none, or gone
		all = append(all, store.FirstOrganization)
	}
	return all, err
}

func (key signInRefusal) entry(t times) Entry {
	e := Person("", "", "", key.address).entry(store.Refused, SignInRefused, "person", key.person, []string{"times", strconv.Itoa(t.n), "why", key.why})
	if key.why == "" { // those beyond the budget
		e = Relay.entry(store.Refused, SignInRefused, "relay", "", []string{"times", strconv.Itoa(t.n)})
	}
	e.At = t.first
	return e
}
