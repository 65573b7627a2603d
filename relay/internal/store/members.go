package store

import (
	"context"

	"github.com/uptrace/bun"

	"oriel/relay/internal/fault"
	"oriel/relay/internal/page"
)

// Roles that are built in. Others are rows of their organization.
const (
	RoleOwner    = "owner"
	RoleAdmin    = "admin"
	RoleOperator = "operator"
	RoleViewer   = "viewer"
	RoleMember   = "member" // nothing but what grants give
)

var builtIn = []string{RoleOwner, RoleAdmin, RoleOperator, RoleViewer, RoleMember}

// ErrLastOwner: an organization keeps an active owner.
var ErrLastOwner = fault.New(fault.LastOwner, "this is the last active owner of the organization; make somebody else an owner first")

// Member is a person in an organization.
type Member struct {
	bun.BaseModel `bun:"table:members,alias:m"`

	Organization OrganizationID `bun:",pk"`
	PersonID     string         `bun:",pk"`
	Role         string         // a built-in one or the id of one of the organization's
	State        string
	CreatedAt    int64

	Kind        string `bun:",scanonly"` // of the person, as what follows
	Name        string `bun:",scanonly"`
	Email       string `bun:",scanonly"` // the oldest; empty: none
	PersonState string `bun:",scanonly"`
	RoleName    string `bun:",scanonly"` // of one of the organization's
}

func (s owned) members(db bun.IDB, into any) *bun.SelectQuery {
	return s.rows(db, into).ColumnExpr("m.*").ColumnExpr("p.kind, p.name, p.state AS person_state").ColumnExpr(emailOf + " AS email").
		ColumnExpr("COALESCE(r.name, '') AS role_name").Join("LEFT JOIN roles AS r ON r.organization = m.organization AND r.id = m.role").
		Join("JOIN people AS p ON p.id = m.person_id")
}

// activeOwners are those of all organizations.
func activeOwners(db bun.IDB) *bun.SelectQuery {
	return db.NewSelect().TableExpr("members AS m").Join("JOIN people AS p ON p.id = m.person_id").
		Where("m.role = ? AND m.state = ? AND p.state = ? AND p.kind = ?", RoleOwner, Active, Active, PersonKind)
}

// owners are the organization's active ones.
func (s owned) owners(db bun.IDB) *bun.SelectQuery {
	return activeOwners(db).Where("m.organization = ?", s.organization)
}

// keepsOwner says ErrLastOwner where the organization has none any more.
func (s owned) keepsOwner(ctx context.Context, tx bun.Tx) error {
	there, err := s.owners(tx).Exists(ctx)
	if err == nil && !there {
		return ErrLastOwner
	}
	return err
}

// hasRole says ErrNotFound where the organization has no such role.
func (s owned) hasRole(ctx context.Context, tx bun.Tx, role string) error {
	for _, one := range builtIn {
		if role == one {
			return nil
		}
	}
	return s.needs(ctx, tx, (*Role)(nil), role)
}

var memberList = list[Member]{id: "m.person_id", text: "p.name || ' ' || " + emailOf,
	idOf: func(m Member) string { return m.PersonID },
	keys: map[string]listKey[Member]{
		"name":       {column: "p.name", text: func(m Member) string { return m.Name }},
		"created_at": {column: "m.created_at", number: func(m Member) int64 { return m.CreatedAt }},
	}}

// List is a page of them, by name or created_at.
func (s Members) List(ctx context.Context, r page.Request) (page.Page[Member], error) {
	var all []Member
	return memberList.page(ctx, s.members(s.db, &all), &all, r)
}

// Get is one member. Errors: ErrNotFound.
func (s Members) Get(ctx context.Context, person string) (Member, error) {
	return s.find(ctx, s.db, person)
}

func (s Members) find(ctx context.Context, db bun.IDB, person string) (Member, error) {
	var m Member
	return m, mapped(s.members(db, &m).Where("m.person_id = ?", person).Scan(ctx))
}

// Add makes a member of a person who is there. Errors: ErrNotFound when there is no such
// person or role, ErrConflict when they are a member already, ErrLimit, ErrQuota.
func (s Members) Add(ctx context.Context, by Entry, m Member) error {
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error { return s.add(ctx, tx, m) })
}

// AddPerson makes a member of a new person, such as a service account. Errors:
// ErrNotFound when there is no such role, ErrConflict when an identifier is taken,
// ErrLimit, ErrQuota, fault.Field.
func (s Members) AddPerson(ctx context.Context, by Entry, m Member, p Person, identifiers ...Identifier) error {
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		m.PersonID = p.ID
		if err := s.addPerson(ctx, tx, p, identifiers...); err != nil {
			return err
		}
		return s.add(ctx, tx, m)
	})
}

func (s Members) add(ctx context.Context, tx bun.Tx, m Member) error {
	if err := oneOf("state", m.State, Active, Inactive); err != nil {
		return err
	}
	if err := s.hasRole(ctx, tx, m.Role); err != nil {
		return err
	}
	there, err := tx.NewSelect().Model((*Person)(nil)).Where("id = ?", m.PersonID).Exists(ctx)
	if err == nil && !there {
		err = ErrNotFound
	}
	if err != nil {
		return err
	}
	m.Organization = s.organization
	if err := s.insert(ctx, tx, QuotaPeople, 0, &m, "created_at", m.CreatedAt); err != nil {
		return err
	}
	all := s.wholeRelay("a person's memberships are counted in all organizations").db.on(tx)
	n, err := tx.NewSelect().Conn(all).Model((*Member)(nil)).Where("person_id = ?", m.PersonID).Count(ctx)
	return limit(n, MaxMemberships, err)
}

// SetRole gives a member another role. Errors: ErrNotFound, also when there is no such
// role; ErrLastOwner.
func (s Members) SetRole(ctx context.Context, by Entry, person, role string) error {
	return s.keeping(ctx, by, person, func(ctx context.Context, tx bun.Tx, by *Entry, m Member) error {
		if err := s.hasRole(ctx, tx, role); err != nil {
			return err
		}
		*by = by.With("role", role).With("role_before", m.Role)
		_, err := s.update(tx, (*Member)(nil)).Set("role = ?", role).Where("person_id = ?", person).Exec(ctx)
		return err
	})
}

// SetState makes a member active or inactive; an inactive one's sign-ins to this
// organization end. It returns those. Errors: ErrNotFound, ErrLastOwner, fault.Field.
func (s Members) SetState(ctx context.Context, by Entry, person, state string) (ended []string, err error) {
	if err := oneOf("state", state, Active, Inactive); err != nil {
		return nil, err
	}
	err = s.keeping(ctx, by, person, func(ctx context.Context, tx bun.Tx, _ *Entry, _ Member) error {
		_, err := s.update(tx, (*Member)(nil)).Set("state = ?", state).Where("person_id = ?", person).Exec(ctx)
		if err == nil && state != Active {
			ended, err = s.endSignIns(ctx, tx, EndedBlocked, person, s.organization)
		}
		return err
	})
	return ended, err
}

// Remove ends a membership, and with it the person's grants, teams, keys, identifiers
// and sign-ins in this organization. A service account is then gone. It returns the
// sign-ins that ended. Errors: ErrNotFound, ErrLastOwner.
func (s Members) Remove(ctx context.Context, by Entry, person string) (ended []string, err error) {
	err = s.keeping(ctx, by, person, func(ctx context.Context, tx bun.Tx, by *Entry, m Member) error {
		*by = by.With("name", m.Name)
		if ended, err = s.endSignIns(ctx, tx, EndedRemoved, person, s.organization); err != nil {
			return err
		}
		if err := s.leave(ctx, tx, person); err != nil || m.Kind != ServiceKind {
			return err
		}
		_, err := tx.NewDelete().Model((*Person)(nil)).Where("id = ?", person).Exec(ctx)
		return err
	})
	return ended, err
}

// leave removes a member and what refers to one. Teams, approvals and keys go with the
// row.
func (s Members) leave(ctx context.Context, tx bun.Tx, person string) error {
	_, err := s.remove(tx, (*Grant)(nil)).Where("subject_kind = ? AND subject_id = ?", SubjectPerson, person).Exec(ctx)
	if err == nil {
		_, err = s.remove(tx, (*Identifier)(nil)).Where("person_id = ?", person).Exec(ctx)
	}
	if err == nil {
		_, err = s.remove(tx, (*Member)(nil)).Where("person_id = ?", person).Exec(ctx)
	}
	return err
}

// keeping is inTurn of one member, after whom the organization still has an owner if it
// was one.
func (s Members) keeping(ctx context.Context, by Entry, person string, fn func(ctx context.Context, tx bun.Tx, by *Entry, m Member) error) error {
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		m, err := s.find(ctx, tx, person)
		if err == nil {
			err = fn(ctx, tx, by, m)
		}
		if err == nil && m.Role == RoleOwner && m.State == Active && m.PersonState == Active {
			err = s.keepsOwner(ctx, tx)
		}
		return err
	})
}
