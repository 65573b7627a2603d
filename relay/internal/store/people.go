package store

import (
	"context"

	"github.com/uptrace/bun"
)

// Kinds of Person.
const (
	PersonKind  = "person"
	ServiceKind = "service" // has keys, and no sign-in
)

// States of a Person and of a Member.
const (
	Active   = "active"
	Inactive = "inactive"
)

// Person is an account: somebody who can sign in, or a service account.
type Person struct {
	bun.BaseModel `bun:"table:people,alias:p"`

	ID           string `bun:",pk"`
	Kind         string
	Name         string
	PasswordHash string // Argon2id, encoded with its parameters; empty: none
	State        string
	CreatedAt    int64
}

// emailOf is the oldest e-mail address of the person p, as SQL; empty: none.
const emailOf = `COALESCE((SELECT i."text" FROM identifiers AS i WHERE i.person_id = p.id AND i.kind = 'email' ORDER BY i.created_at, i."key" LIMIT 1), '')`

// Get is the one with that id. Errors: ErrNotFound.
func (s People) Get(ctx context.Context, id string) (Person, error) {
	var p Person
	return p, mapped(s.db.NewSelect().Model(&p).Where("p.id = ?", id).Scan(ctx))
}

// addPerson adds one with identifiers. Errors: ErrConflict when an identifier is
// taken, ErrLimit, fault.Field.
func (s *database) addPerson(ctx context.Context, tx bun.Tx, p Person, identifiers ...Identifier) error {
	if p.Kind == "" {
		p.Kind = PersonKind
	}
	if p.State == "" {
		p.State = Active
	}
	err := bounded(text{"id", p.ID, MaxID}, text{"kind", p.Kind, maxWord}, text{"state", p.State, maxWord},
		text{"name", p.Name, MaxNameText}, text{"password", p.PasswordHash, maxPassword})
	if err == nil {
		_, err = tx.NewInsert().Model(&p).Exec(ctx)
	}
	for _, id := range identifiers {
		if err == nil {
			id.PersonID = p.ID
			err = s.addIdentifier(ctx, tx, id)
		}
	}
	return err
}

// Rename gives a person another name. The entry is of the organization that it names,
// or else of the first; so it is for all changes of a person. Errors: ErrNotFound,
// fault.Field.
func (s People) Rename(ctx context.Context, by Entry, person, name string) error {
	if err := bounded(text{"name", name, MaxNameText}); err != nil {
		return err
	}
	return s.change(ctx, by.of(), by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		return changed(tx.NewUpdate().Model((*Person)(nil)).Set("name = ?", name).Where("id = ?", person).Exec(ctx))
	})
}

// SetState makes a person active or inactive, in all organizations; an inactive one's
// sign-ins end. It returns those. Errors: ErrNotFound, ErrLastOwner.
func (s People) SetState(ctx context.Context, by Entry, person, state string) (ended []string, err error) {
	if err := oneOf("state", state, Active, Inactive); err != nil {
		return nil, err
	}
	err = s.ofPerson(ctx, by, person, func(ctx context.Context, tx bun.Tx) error {
		err := changed(tx.NewUpdate().Model((*Person)(nil)).Set("state = ?", state).Where("id = ?", person).Exec(ctx))
		if err == nil && state != Active {
			ended, err = s.endSignIns(ctx, tx, EndedBlocked, person, "")
		}
		return err
	})
	return ended, err
}

// Delete forgets a person with all that is theirs. It returns the sign-ins that ended.
// Errors: ErrNotFound, ErrLastOwner.
func (s People) Delete(ctx context.Context, by Entry, person string) (ended []string, err error) {
	err = s.ofPerson(ctx, by, person, func(ctx context.Context, tx bun.Tx) error {
		var in []OrganizationID
		if err := tx.NewSelect().Model((*Member)(nil)).Column("organization").Where("person_id = ?", person).Scan(ctx, &in); err != nil {
			return err
		}
		for _, o := range in {
			if err := (Members{owned{s.database, o}}).leave(ctx, tx, person); err != nil {
				return err
			}
		}
		if ended, err = s.endSignIns(ctx, tx, EndedRemoved, person, ""); err != nil {
			return err
		}
		return changed(tx.NewDelete().Model((*Person)(nil)).Where("id = ?", person).Exec(ctx))
	})
	return ended, err
}

// ofPerson is change of a person as a whole: each organization that the person owns
// keeps an owner.
func (s People) ofPerson(ctx context.Context, by Entry, person string, fn func(ctx context.Context, tx bun.Tx) error) error {
	whole := s.wholeRelay("a person is changed in all organizations of theirs")
	return whole.change(ctx, by.of(), by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		var in []OrganizationID
		err := tx.NewSelect().Model((*Member)(nil)).Column("organization").Where("person_id = ?", person).Scan(ctx, &in)
		if err == nil && len(in) > 0 {
			err = s.hold(ctx, tx, in...)
		}
		if err != nil {
			return err
		}
		var owner []OrganizationID // that were active: the rule is about no others
		err = activeOwners(tx).Column("m.organization").Where("m.person_id = ?", person).Scan(ctx, &owner)
		if err == nil {
			err = fn(ctx, tx)
		}
		for _, o := range owner {
			if err == nil {
				err = owned{s.database, o}.keepsOwner(ctx, tx)
			}
		}
		return err
	})
}

// endSignIns ends those of a person, in one organization or in all.
func (s *database) endSignIns(ctx context.Context, tx bun.Tx, why Ended, person string, o OrganizationID) (ended []string, err error) {
	q := tx.NewDelete().Model((*SignIn)(nil)).Where("person_id = ?", person)
	if o != "" {
		q = q.Where("organization = ?", o)
	}
	if _, err = q.Returning("id").Exec(ctx, &ended); err == nil {
		err = s.noteEnds(ctx, tx, why, ended...)
	}
	return ended, err
}

// Membership is one of a person's organizations.
type Membership struct {
	Organization OrganizationID
	Name         string
	Code         string
	Role         string
	State        string
	CreatedAt    int64
}

// Memberships are all of a person's, by the organizations' names.
func (s People) Memberships(ctx context.Context, person string) ([]Membership, error) {
	var all []Membership
	err := s.wholeRelay("a person is a member of several organizations").db.NewSelect().TableExpr("members AS m").Join("JOIN organizations AS o ON o.id = m.organization").
		ColumnExpr("m.organization, o.name, o.code, m.role, m.state, m.created_at").
		Where("m.person_id = ?", person).OrderExpr("LOWER(o.name), o.id").Limit(MaxMemberships).Scan(ctx, &all)
	return all, mapped(err)
}

func conflictIf(found bool, err error) error {
	if err == nil && found {
		return ErrConflict
	}
	return err
}
