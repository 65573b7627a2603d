package people

import (
	"context"
	"fmt"
	"slices"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/identifier"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// Member is a person or a service account in an organization.
type Member struct {
	ID        string    `json:"id" doc:"Of the person."`
	Kind      string    `json:"kind" enum:"person,service"`
	Name      string    `json:"name"`
	Email     string    `json:"email" doc:"Empty where there is none."`
	Role      string    `json:"role" doc:"Id of a role."`
	State     string    `json:"state" enum:"active,inactive"`
	CreatedAt time.Time `json:"created_at"`
}

func memberOf(m store.Member) Member {
	state := m.State
	if m.PersonState != store.Active {
		state = m.PersonState // of all their organizations
	}
	return Member{ID: m.PersonID, Kind: m.Kind, Name: m.Name, Email: m.Email, Role: m.Role, State: state, CreatedAt: at(m.CreatedAt)}
}

// Identifier is what somebody types to sign in.
type Identifier struct {
	Kind     string `json:"kind" enum:"email,user_name,number"`
	Key      string `json:"key" doc:"What is compared; names it in addresses."`
	Text     string `json:"text" doc:"As it was written."`
	Verified bool   `json:"verified"`
}

// Details is a member with what belongs to one.
type Details struct {
	Member
	Identifiers []Identifier `json:"identifiers" nullable:"false" doc:"E-mail addresses, and those of this organization."`
	Teams       []Team       `json:"teams" nullable:"false"`
}

// Members are a page of them.
func (p *People) Members(ctx context.Context, who access.Identity, r page.Request) (page.Page[Member], error) {
	rows, err := p.o.Store.Members(who.Organization).List(ctx, r)
	return each(rows, err, memberOf)
}

// Member is one, with details. Errors: store.ErrNotFound.
func (p *People) Member(ctx context.Context, who access.Identity, person string) (Details, error) {
	m, err := p.o.Store.Members(who.Organization).Get(ctx, person)
	if err != nil {
		return Details{}, fmt.Errorf("look up a member: %w", err)
	}
	ids, err := p.o.Store.People().Identifiers(ctx, person)
	if err != nil {
		return Details{}, fmt.Errorf("look up a member's identifiers: %w", err)
	}
	teams, err := p.o.Store.Teams(who.Organization).Of(ctx, person)
	if err != nil {
		return Details{}, fmt.Errorf("look up a member's teams: %w", err)
	}
	d := Details{Member: memberOf(m), Identifiers: []Identifier{}, Teams: []Team{}}
	for _, id := range ids {
		if id.Organization == "" || id.Organization == who.Organization {
			d.Identifiers = append(d.Identifiers, identifierOf(id))
		}
	}
	for _, t := range teams {
		d.Teams = append(d.Teams, teamOf(t))
	}
	return d, nil
}

func identifierOf(id store.Identifier) Identifier {
	return Identifier{Kind: id.Kind, Key: id.Key, Text: id.Text, Verified: id.VerifiedAt != 0}
}

// touch says ErrOwn or ErrGives where who may not change that member: nobody
// themselves, and one who may change the organization only who may that, too.
func (p *People) touch(ctx context.Context, who access.Identity, person string) (store.Member, error) {
	m, err := p.o.Store.Members(who.Organization).Get(ctx, person)
	if err != nil {
		return m, fmt.Errorf("look up a member: %w", err)
	}
	if person == who.PersonID {
		return m, ErrOwn
	}
	r, err := p.role(ctx, who.Organization, "role", m.Role)
	if err == nil {
		err = p.mayGive(ctx, who, r.Permissions&rights.Organization, access.Organization)
	}
	return m, err
}

// SetRole gives a member another role. Errors: ErrGives, ErrOwn, store.ErrNotFound,
// store.ErrLastOwner, fault.Field.
func (p *People) SetRole(ctx context.Context, who access.Identity, person, role string) error {
	if _, err := p.touch(ctx, who, person); err != nil {
		return err
	}
	r, err := p.role(ctx, who.Organization, "role", role)
	if err == nil {
		err = p.mayGive(ctx, who, r.Permissions, access.Organization)
	}
	if err != nil {
		return err
	}
	if err := p.o.Store.Members(who.Organization).SetRole(ctx, who.Actor().Did(audit.RoleGiven, "person", person), person, role); err != nil {
		return fmt.Errorf("give a role: %w", err)
	}
	p.done(who, person, audit.RoleGiven)
	return nil
}

// SetActive lets a member sign in to the organization, or no longer: then their sign-ins
// to it end. Errors: as SetRole.
func (p *People) SetActive(ctx context.Context, who access.Identity, person string, active bool) error {
	if _, err := p.touch(ctx, who, person); err != nil {
		return err
	}
	state, what := store.Active, audit.MemberActivated
	if !active {
		state, what = store.Inactive, audit.MemberDeactivated
	}
	if _, err := p.o.Store.Members(who.Organization).SetState(ctx, who.Actor().Did(what, "person", person), person, state); err != nil {
		return fmt.Errorf("change a member's state: %w", err)
	}
	p.done(who, person, what)
	return nil
}

// Remove ends a membership with all that came with it. Errors: as SetRole.
func (p *People) Remove(ctx context.Context, who access.Identity, person string) error {
	if _, err := p.touch(ctx, who, person); err != nil {
		return err
	}
	if _, err := p.o.Store.Members(who.Organization).Remove(ctx, who.Actor().Did(audit.MemberRemoved, "person", person), person); err != nil {
		return fmt.Errorf("remove a member: %w", err)
	}
	p.done(who, person, audit.MemberRemoved)
	return nil
}

// Leave ends one's own membership. An organization that who is no member of is not asked
// for: neither the time nor a lock tells that it is there. Errors: store.ErrNotFound,
// store.ErrLastOwner.
func (p *People) Leave(ctx context.Context, who access.Identity, o store.OrganizationID) error {
	own, err := p.o.Store.People().Memberships(ctx, who.PersonID)
	if err == nil && !slices.ContainsFunc(own, func(m store.Membership) bool { return m.Organization == o }) {
		err = store.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("leave an organization: %w", err)
	}
	if _, err := p.o.Store.Members(o).Remove(ctx, who.Actor().Did(audit.MemberLeft, "organization", string(o)), who.PersonID); err != nil {
		return fmt.Errorf("leave an organization: %w", err)
	}
	p.o.Access.Announce(access.Change{PersonID: who.PersonID, Organization: o})
	return nil
}

// CreateService makes a service account. Errors: ErrGives, store.ErrLimit, fault.Field.
func (p *People) CreateService(ctx context.Context, who access.Identity, name, role string) (Member, error) {
	name, err := nameOf("name", name)
	if err != nil {
		return Member{}, err
	}
	r, err := p.role(ctx, who.Organization, "role", role)
	if err == nil {
		err = p.mayGive(ctx, who, r.Permissions, access.Organization)
	}
	if err != nil {
		return Member{}, err
	}
	row := store.Person{ID: store.NewID(), Kind: store.ServiceKind, Name: name, State: store.Active, CreatedAt: p.now()}
	m := store.Member{Organization: who.Organization, PersonID: row.ID, Role: role, State: store.Active, CreatedAt: row.CreatedAt,
		Kind: row.Kind, Name: name, PersonState: store.Active}
	by := who.Actor().Did(audit.ServiceMade, "person", row.ID, "name", name, "role", role)
	if err := p.o.Store.Members(who.Organization).AddPerson(ctx, by, m, row); err != nil {
		return Member{}, fmt.Errorf("make a service account: %w", err)
	}
	return memberOf(m), nil
}

// AddIdentifier gives a member a user name or a number of this organization. An e-mail
// address is its owner's to confirm. Errors: store.ErrConflict, store.ErrNotFound,
// store.ErrLimit, fault.Field.
func (p *People) AddIdentifier(ctx context.Context, who access.Identity, person, kind, text string) (Identifier, error) {
	if kind == string(identifier.Email) {
		return Identifier{}, fault.Field("kind", "who an e-mail address belongs to adds it on their own account page")
	}
	key, err := identifier.Check(identifier.Kind(kind), "text", text)
	if err != nil {
		return Identifier{}, err
	}
	if err := p.reaches(ctx, who, person); err != nil {
		return Identifier{}, err
	}
	id := store.Identifier{PersonID: person, Kind: kind, Organization: who.Organization, Key: key, Text: text, VerifiedAt: p.now(), CreatedAt: p.now()}
	if err := p.o.Store.People().AddIdentifier(ctx, who.Actor().Did(audit.IdentifierAdded, "person", person, "kind", kind, "text", text), id); err != nil {
		return Identifier{}, fmt.Errorf("add an identifier: %w", err)
	}
	return identifierOf(id), nil
}

// RemoveIdentifier takes a user name or a number away. Errors: store.ErrNotFound,
// store.ErrLastIdentifier.
func (p *People) RemoveIdentifier(ctx context.Context, who access.Identity, person, kind, key string) error {
	if kind == string(identifier.Email) {
		return fault.Field("kind", "who an e-mail address belongs to removes it on their own account page")
	}
	if err := p.reaches(ctx, who, person); err != nil {
		return err
	}
	id := store.Identifier{PersonID: person, Kind: kind, Organization: who.Organization, Key: key}
	if err := p.o.Store.People().RemoveIdentifier(ctx, who.Actor().Did(audit.IdentifierRemoved, "person", person, "kind", kind, "key", key), id); err != nil {
		return fmt.Errorf("remove an identifier: %w", err)
	}
	return nil
}

// reaches is touch that lets everybody name themselves.
func (p *People) reaches(ctx context.Context, who access.Identity, person string) error {
	if person == who.PersonID {
		return nil
	}
	_, err := p.touch(ctx, who, person)
	return err
}
