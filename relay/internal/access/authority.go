package access

import (
	"sync"
	"time"

	"oriel/relay/internal/policy"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// # Authorities
//
// What somebody may is resolved once and remembered for Believed at most, in one place
// for all rooms of a node: for each sign-in or API key, in each organization that it is
// used in. So are the groups that a computer is in. A change is announced on the bus
// (access.changed): every node forgets what it remembers of that sign-in, person or
// organization, and then tells its rooms, so that what they ask next is read anew. What
// was being read as the announcement came is not remembered. A node that hears no
// announcements, because its bus is away or somebody changed the database by hand, is
// wrong for Believed at most; what sessions rest on is read anew each time (Recheck).

// Bounds of what is remembered.
const (
	Believed       = 5 * time.Second
	maxAuthorities = 4096
	maxPlaces      = 16384
)

// claim is what somebody comes with, and where they are at work. Its zero value is none.
type claim struct {
	signIn, key  string // one of them; ids
	organization store.OrganizationID
}

// authority is a claim, resolved: who it is, what they may, and until when.
type authority struct {
	claim
	token         string // kind and hash of the token that names it; empty: none does
	name, email   string
	role          string
	created, seen int64 // of a key seen is its last use
	expires       int64 // of a key; 0: never
	rights        *rights.Authority
	demands       *policy.Settings // of the organization, to its people; nil: what it has cannot be read
	read          time.Time
}

// authorityOf is what the database says, in terms of rights. What cannot be read there
// gives nothing.
func authorityOf(a store.Authority, read time.Time) authority {
	o := a.SignIn.Organization
	g := authority{claim: claim{signIn: a.SignIn.ID, organization: o}, token: string(signInHash) + string(a.SignIn.TokenHash),
		name: a.Person.Name, email: a.Email, role: a.Role, created: a.SignIn.CreatedAt, seen: a.SignIn.SeenAt, read: read}
	bound := rights.Everything
	if k := a.Key; k.ID != "" {
		g.claim, g.token = claim{key: k.ID, organization: o}, string(keyHash)+string(k.TokenHash)
		g.created, g.seen, g.expires = k.CreatedAt, k.UsedAt, k.ExpiresAt
		bound, _ = rights.Parse(k.Permissions)
	}
	g.rights = &rights.Authority{Organization: string(o), First: o.First(), Person: a.Person.ID,
		Active: a.Active(), Role: roleOf(a.Role, a.Permissions), Bound: bound, Grants: make([]rights.Grant, 0, len(a.Grants))}
	g.demands = demandsOf(a.Policy)
	for _, given := range a.Grants {
		if one, ok := grantOf(given); ok {
			g.rights.Grants = append(g.rights.Grants, one)
		}
	}
	return g
}

// roleOf is a role that every organization has, or one of an organization's own.
func roleOf(id, permissions string) rights.Role {
	if r, ok := rights.BuiltIn(id); ok {
		return r
	}
	may, _ := rights.Parse(permissions) // words of a newer relay's give nothing here
	return rights.Role{ID: id, Permissions: may}
}

// grantOf is false for a grant whose hours this relay cannot read.
func grantOf(g store.Given) (rights.Grant, bool) {
	hours, err := rights.ParseHours(g.Hours)
	one := rights.Grant{ID: g.ID, Role: roleOf(g.Role, g.Permissions), On: rights.Object{Kind: rights.Kind(g.ObjectKind), ID: g.ObjectID},
		Hours: hours, From: moment(g.FromAt), Until: moment(g.UntilAt), Approval: g.Approval}
	if g.SubjectKind == store.SubjectTeam {
		one.Team = g.SubjectID
	}
	for _, a := range g.Approved {
		one.Approvals = append(one.Approvals, rights.Approval{Until: moment(a.UntilAt),
			On: rights.Place{Organization: string(g.Organization), Object: rights.Object{Kind: rights.KindComputer, ID: a.ComputerID}, Groups: a.Groups}})
	}
	return one, err == nil
}

// moment of the database; 0 is none.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func (g authority) identity(c Client) Identity {
	return Identity{Organization: g.organization, PersonID: g.rights.Person, Name: g.name, Email: g.email, Role: g.role,
		SignInID: g.signIn, KeyID: g.key, Client: c}
}

// authorities are those that are remembered, with the places of computers.
type authorities struct {
	mu      sync.Mutex
	all     map[claim]authority      // protected by mu
	named   map[string]claim         // protected by mu; by the hash of a token, and by a sign-in's id its own organization's
	places  map[store.Ref]remembered // protected by mu
	version uint64                   // protected by mu; counts what was forgotten
}

// remembered is the groups that a computer is in.
type remembered struct {
	groups []string
	read   time.Time
}

func newAuthorities() *authorities {
	return &authorities{all: make(map[claim]authority), named: make(map[string]claim), places: make(map[store.Ref]remembered)}
}

// find is the authority of a claim or, where that has no organization, of a name: the
// hash of a token, or the id of a sign-in. The version is for put, if there is none.
func (c *authorities) find(of claim, name string, now time.Time) (g authority, version uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if of.organization == "" {
		of = c.named[name]
	}
	g, ok = c.all[of]
	return g, c.version, ok && believed(g.read, now)
}

// place is the groups of a computer.
func (c *authorities) place(of store.Ref, now time.Time) (groups []string, version uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.places[of]
	return p.groups, c.version, ok && believed(p.read, now)
}

func believed(read, now time.Time) bool {
	age := now.Sub(read)
	return age >= 0 && age < Believed
}

// put remembers g, unless something was forgotten since that version.
func (c *authorities) put(g authority, version uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version != version {
		return
	}
	if len(c.all) >= maxAuthorities {
		c.drop(func(old authority) bool { return !believed(old.read, g.read) })
	}
	for of := range c.all { // any: it is only read again
		if len(c.all) < maxAuthorities {
			break
		}
		c.drop(func(old authority) bool { return old.claim == of })
	}
	c.all[g.claim] = g
	if g.token != "" {
		c.named[g.token] = g.claim
	}
	if g.token != "" && g.signIn != "" {
		c.named[g.signIn] = g.claim
	}
}

// putPlace likewise remembers the groups of a computer.
func (c *authorities) putPlace(of store.Ref, groups []string, now time.Time, version uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version != version {
		return
	}
	if len(c.places) >= maxPlaces {
		clear(c.places) // they are only read again
	}
	c.places[of] = remembered{groups, now}
}

// forget forgets those for which is holds.
func (c *authorities) forget(is func(authority) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	c.drop(is)
}

// forgetPlaces forgets where the computers of an organization are; of "" all.
func (c *authorities) forgetPlaces(o store.OrganizationID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	for of := range c.places {
		if o == "" || of.Organization == o {
			delete(c.places, of)
		}
	}
}

// drop takes authorities out; mu is held.
func (c *authorities) drop(is func(authority) bool) {
	for of, g := range c.all {
		if is(g) {
			delete(c.all, of)
			for _, name := range []string{g.token, g.signIn} {
				if c.named[name] == of {
					delete(c.named, name)
				}
			}
		}
	}
}

// touch notes that a sign-in or key was seen, and reports whether it was not for a minute.
func (c *authorities) touch(of claim, now int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, ok := c.all[of]
	if !ok || now-g.seen <= time.Minute.Milliseconds() {
		return false
	}
	g.seen = now
	c.all[of] = g
	return true
}
