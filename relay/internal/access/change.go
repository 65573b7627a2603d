package access

import (
	"context"
	"slices"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/store"
)

// Change is what holds no longer: what a sign-in was, or all of a person, or all of
// everybody in an organization, where its computers are too. A person's is of all
// organizations, whichever is named beside. Of nothing, it is anything.
type Change struct {
	SignInID, PersonID string
	Organization       store.OrganizationID
}

// concerns reports whether g may be another after c.
func (c Change) concerns(g authority) bool {
	switch {
	case c == Change{}:
		return true
	case c.SignInID != "" || c.PersonID != "":
		return c.SignInID != "" && g.signIn == c.SignInID || c.PersonID != "" && g.rights.Person == c.PersonID
	}
	return g.organization == c.Organization
}

// OnChange has fn called on this node after each change, wherever it was made.
// fn must not block.
func (a *Access) OnChange(fn func(Change)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.listeners = append(a.listeners, fn)
}

// hear forgets what c concerns, and tells this node's rooms.
func (a *Access) hear(c Change) {
	a.forget(c)
	a.mu.Lock()
	listeners := slices.Clone(a.listeners)
	a.mu.Unlock()
	for _, fn := range listeners {
		fn(c)
	}
}

func (a *Access) forget(c Change) {
	a.known.forget(c.concerns)
	if c.SignInID == "" && c.PersonID == "" {
		a.known.forgetPlaces(c.Organization)
	}
}

// Announce tells all nodes of a change that the database has: whoever changes what people
// may, or where computers are, calls it then.
func (a *Access) Announce(c Change) {
	a.forget(c) // here at once, before whoever made the change asks again
	var err error = bus.ErrUnavailable
	if a.o.Bus != nil {
		err = a.o.Bus.Publish(bus.AccessChanged, &orielv1.BusMessage{Body: &orielv1.BusMessage_AccessChanged{
			AccessChanged: &orielv1.BusAccessChanged{SignInId: c.SignInID, PersonId: c.PersonID, Organization: string(c.Organization)}}})
		if err != nil {
			a.o.Log.Warn("change of access not announced", "err", err)
		}
	}
	if err != nil {
		a.hear(c)
	}
}

// Run hears what other nodes announce, until ctx ends.
func (a *Access) Run(ctx context.Context) error {
	sub, err := a.o.Bus.Subscribe(bus.AccessChanged, func(m *orielv1.BusMessage, _ bus.Reply) {
		c := m.GetAccessChanged()
		a.hear(Change{c.GetSignInId(), c.GetPersonId(), store.OrganizationID(c.GetOrganization())})
	})
	if err != nil {
		return err
	}
	defer sub.Close()
	a.o.Bus.OnReconnect(func() { a.hear(Change{}) }) // what was announced meanwhile is lost
	<-ctx.Done()
	return nil
}
