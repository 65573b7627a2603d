package access

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// # Authorities
//
// What a sign-in may is resolved once and remembered for Believed at most, in one
// place for all rooms of a node. A change is announced on the bus (access.changed):
// every node forgets what it remembers of that sign-in or person, and then tells its
// rooms, so that what they ask next is read anew. What was being read as the
// announcement came is not remembered. A node that hears no announcements, because
// its bus is away or somebody changed the database by hand, is wrong for Believed at
// most; what sessions rest on is read anew each time (Recheck).

// Bounds of what is remembered.
const (
	Believed       = 5 * time.Second
	maxAuthorities = 4096
)

// authority is a sign-in, resolved: who it is, what they may, and until when.
type authority struct {
	signIn, token       string // ids: the sign-in's, and the hash of its token
	organization        store.OrganizationID
	person, name, email string
	role                string
	may                 rights.Permission // on everything
	created, seen       int64
	read                time.Time
}

func authorityOf(a store.Authority, read time.Time) authority {
	g := authority{signIn: a.SignIn.ID, token: string(a.SignIn.TokenHash), organization: a.SignIn.Organization,
		person: a.Person.ID, name: a.Person.Name, email: a.Email,
		may: rights.About, created: a.SignIn.CreatedAt, seen: a.SignIn.SeenAt, read: read}
	if a.Active() {
		g.role, g.may = a.Role, permissions(a.Role)
	}
	return g
}

// permissions of a role on everything the relay has.
func permissions(role string) rights.Permission {
	r, _ := rights.BuiltIn(role)
	return r.Permissions&^rights.Account | rights.About
}

// allows reports whether g may do all of what on it.
func (g authority) allows(what rights.Permission, on Object) bool {
	may := g.may
	if on == Person(g.person) {
		may |= rights.Account
	}
	return what != 0 && what&^may == 0
}

func (g authority) identity(c Client) Identity {
	return Identity{Organization: g.organization, PersonID: g.person, Name: g.name, Email: g.email, Role: g.role, SignInID: g.signIn, Client: c}
}

// authorities are those that are remembered.
type authorities struct {
	mu      sync.Mutex
	signIns map[string]authority // protected by mu; by sign-in
	tokens  map[string]string    // protected by mu; sign-ins by the hash of their token
	version uint64               // protected by mu; counts what was forgotten
}

// find is the authority of a sign-in or, without one, of a token. The version is
// for put, if there is none.
func (c *authorities) find(signIn, token string, now time.Time) (g authority, version uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if signIn == "" {
		signIn = c.tokens[token]
	}
	g, ok = c.signIns[signIn]
	return g, c.version, ok && g.believed(now)
}

func (g authority) believed(now time.Time) bool {
	age := now.Sub(g.read)
	return age >= 0 && age < Believed
}

// put remembers g, unless something was forgotten since that version.
func (c *authorities) put(g authority, version uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version != version {
		return
	}
	if len(c.signIns) >= maxAuthorities {
		c.drop(func(old authority) bool { return !old.believed(g.read) })
	}
	for id := range c.signIns { // any: it is only read again
		if len(c.signIns) < maxAuthorities {
			break
		}
		c.drop(func(old authority) bool { return old.signIn == id })
	}
	c.signIns[g.signIn], c.tokens[g.token] = g, g.signIn
}

// forget forgets those for which is holds.
func (c *authorities) forget(is func(authority) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	c.drop(is)
}

// drop takes authorities out; mu is held.
func (c *authorities) drop(is func(authority) bool) {
	for id, g := range c.signIns {
		if is(g) {
			delete(c.signIns, id)
			delete(c.tokens, g.token)
		}
	}
}

// touch notes that a sign-in was seen.
func (c *authorities) touch(signIn string, seen int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g, ok := c.signIns[signIn]; ok {
		g.seen = max(g.seen, seen)
		c.signIns[signIn] = g
	}
}

// resolve is the authority of a sign-in or, without one, of a token that is not
// over. Errors: ErrSignedOut.
func (a *Access) resolve(ctx context.Context, signIn, token string) (authority, error) {
	now := a.o.Now()
	g, version, ok := a.known.find(signIn, token, now)
	if !ok {
		var read store.Authority
		var err error
		if signIn != "" {
			read, err = a.store.SignIns().AuthorityOf(ctx, signIn, now.UnixMilli())
		} else {
			read, err = a.store.SignIns().Authority(ctx, []byte(token), now.UnixMilli())
		}
		if errors.Is(err, store.ErrNotFound) {
			return authority{}, ErrSignedOut
		}
		if err != nil {
			return authority{}, fmt.Errorf("look up a sign-in: %w", err)
		}
		g = authorityOf(read, now)
		a.known.put(g, version)
	}
	if a.over(g.created, g.seen) {
		return authority{}, ErrSignedOut
	}
	return g, nil
}

// recheckAtOnce is how many sign-ins one statement reads.
const recheckAtOnce = 500

// Recheck reads anew what these sign-ins may, so that the questions that follow are
// answered by what holds now, whatever was remembered.
func (a *Access) Recheck(ctx context.Context, signIns ...string) error {
	ids := make(map[string]bool, len(signIns))
	for _, id := range signIns {
		ids[id] = true
	}
	for some := range slices.Chunk(slices.Collect(maps.Keys(ids)), recheckAtOnce) {
		now := a.o.Now()
		// Forgotten first: of what cannot be read nothing is believed.
		a.known.forget(func(g authority) bool { return ids[g.signIn] })
		_, version, _ := a.known.find("", "", now)
		all, err := a.store.SignIns().Authorities(ctx, now.UnixMilli(), some...)
		if err != nil {
			return fmt.Errorf("look up sign-ins: %w", err)
		}
		for _, one := range all {
			a.known.put(authorityOf(one, now), version)
		}
	}
	return nil
}

// Change is what holds no longer: what a sign-in was, or all of a person; of
// neither, anything.
type Change struct{ SignInID, PersonID string }

// OnChange has fn called on this node after each change, wherever it was made.
// fn must not block.
func (a *Access) OnChange(fn func(Change)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.listeners = append(a.listeners, fn)
}

// hear forgets what c concerns, and tells this node's rooms.
func (a *Access) hear(c Change) {
	a.forgetChanged(c)
	a.mu.Lock()
	listeners := slices.Clone(a.listeners)
	a.mu.Unlock()
	for _, fn := range listeners {
		fn(c)
	}
}

func (a *Access) forgetChanged(c Change) {
	a.known.forget(func(g authority) bool {
		return c == (Change{}) || c.SignInID != "" && g.signIn == c.SignInID || c.PersonID != "" && g.person == c.PersonID
	})
}

// announce tells all nodes of a change that the database has.
func (a *Access) announce(c Change) {
	a.forgetChanged(c) // here at once, before whoever made the change asks again
	var err error = bus.ErrUnavailable
	if a.o.Bus != nil {
		err = a.o.Bus.Publish(bus.AccessChanged, &orielv1.BusMessage{Body: &orielv1.BusMessage_AccessChanged{
			AccessChanged: &orielv1.BusAccessChanged{SignInId: c.SignInID, PersonId: c.PersonID}}})
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
		a.hear(Change{m.GetAccessChanged().GetSignInId(), m.GetAccessChanged().GetPersonId()})
	})
	if err != nil {
		return err
	}
	defer sub.Close()
	a.o.Bus.OnReconnect(func() { a.hear(Change{}) }) // what was announced meanwhile is lost
	<-ctx.Done()
	return nil
}
