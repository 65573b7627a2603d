package store

import (
	"context"
	"slices"

	"github.com/uptrace/bun"

	"oriel/relay/internal/fault"
)

// Kinds of Identifier.
const (
	Email    = "email"     // unique in the relay
	UserName = "user_name" // unique in an organization
	Number   = "number"    // tax or employee number; unique in an organization
)

// Identifier is what a person types to sign in.
type Identifier struct {
	bun.BaseModel `bun:"table:identifiers,alias:i"`

	PersonID     string
	Kind         string         `bun:",pk"`
	Organization OrganizationID `bun:",pk"` // empty: an e-mail address
	Key          string         `bun:",pk"` // what is compared
	Text         string         // as its owner writes it
	VerifiedAt   int64          // 0: not
	CreatedAt    int64
}

func (id Identifier) bounded() error {
	if err := oneOf("kind", id.Kind, Email, UserName, Number); err != nil {
		return err
	}
	if id.Key == "" || (id.Kind == Email) != (id.Organization == "") {
		return fault.Field("identifier", "an e-mail address is of no organization, a user name or number is of one")
	}
	return bounded(text{"identifier", id.Key, MaxIdentifier}, text{"identifier", id.Text, MaxIdentifier})
}

// oneOf says that a word is none of these.
func oneOf(field, word string, words ...string) error {
	if !slices.Contains(words, word) {
		return fault.Field(field, "this is none of the words that can be here")
	}
	return nil
}

// addIdentifier gives a person one more. One of an organization is a member's.
func (s *database) addIdentifier(ctx context.Context, tx bun.Tx, id Identifier) error {
	if err := id.bounded(); err != nil {
		return err
	}
	all := s.wholeRelay("an e-mail address is of no organization, and a person's are counted in all").db.on(tx)
	if _, err := tx.NewInsert().Conn(all).Model(&id).Exec(ctx); err != nil {
		return err
	}
	n, err := tx.NewSelect().Conn(all).Model((*Identifier)(nil)).Where("person_id = ?", id.PersonID).Count(ctx)
	return limit(n, MaxIdentifiers, err)
}

// ByIdentifier finds a person by what was typed, normalized. The organization of an
// e-mail address is empty. Errors: ErrNotFound.
func (s People) ByIdentifier(ctx context.Context, kind string, o OrganizationID, key string) (Person, error) {
	var p Person
	err := s.wholeRelay("who signs in is known before their organization is").db.NewSelect().Model(&p).Join("JOIN identifiers AS i ON i.person_id = p.id").
		Where(`i.kind = ? AND i.organization = ? AND i."key" = ?`, kind, o, key).Scan(ctx)
	return p, mapped(err)
}

// Login is one whom somebody may mean by what they typed.
type Login struct {
	Person           Person     `bun:"embed:person_"`
	Identifier       Identifier `bun:"embed:identifier_"`
	OrganizationName string     // of the identifier; empty for an e-mail address
	OrganizationCode string
}

// LoginKey is a kind, and what was typed as that kind is compared.
type LoginKey struct{ Kind, Key string }

// Logins are those who have one of these identifiers: of e-mail addresses and, where o
// is empty, in all organizations. There are MaxLogins at most.
func (s People) Logins(ctx context.Context, o OrganizationID, keys ...LoginKey) ([]Login, error) {
	var all []Login
	if len(keys) == 0 {
		return nil, nil
	}
	q := s.wholeRelay("who signs in is known before their organization is").db.NewSelect().TableExpr("identifiers AS i").Join("JOIN people AS p ON p.id = i.person_id").
		Join("LEFT JOIN organizations AS o ON o.id = i.organization").
		ColumnExpr("COALESCE(o.name, '') AS organization_name, COALESCE(o.code, '') AS organization_code").
		OrderExpr("LOWER(o.name), i.organization, i.kind").Limit(MaxLogins)
	for _, name := range []string{"id", "kind", "name", "password_hash", "state", "created_at"} {
		q = q.ColumnExpr("p.? AS ?", bun.Ident(name), bun.Ident("person_"+name))
	}
	for _, name := range []string{"person_id", "kind", "organization", "key", "text", "verified_at", "created_at"} {
		q = q.ColumnExpr("i.? AS ?", bun.Ident(name), bun.Ident("identifier_"+name))
	}
	q = q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
		for _, k := range keys {
			q = q.WhereOr(`i.kind = ? AND i."key" = ?`, k.Kind, k.Key)
		}
		return q
	})
	if o != "" {
		q = q.Where("i.organization IN ('', ?)", o)
	}
	return all, mapped(q.Scan(ctx, &all))
}

// Identifiers are all of a person's, the oldest first.
func (s People) Identifiers(ctx context.Context, person string) ([]Identifier, error) {
	var all []Identifier
	whole := s.wholeRelay("a person has identifiers in several organizations")
	return all, mapped(whole.db.NewSelect().Model(&all).Where("person_id = ?", person).Order("created_at", "kind", "organization", "key").Scan(ctx))
}

// AddIdentifier gives a person one more. Errors: ErrConflict when it is taken or the
// person is not there, ErrNotFound when it is of an organization that the person is no
// member of, ErrLimit, fault.Field.
func (s People) AddIdentifier(ctx context.Context, by Entry, id Identifier) error {
	return s.change(ctx, id.of(by), by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if id.Organization != "" {
			if _, err := (Members{owned{s.database, id.Organization}}).find(ctx, tx, id.PersonID); err != nil {
				return err
			}
		}
		return s.addIdentifier(ctx, tx, id)
	})
}

// ErrLastIdentifier: without one a person signs in no more.
var ErrLastIdentifier = fault.New(fault.LastIdentifier, "this is the last that this person can sign in with; add another one first")

// RemoveIdentifier takes one of a person's away. Errors: ErrNotFound, ErrLastIdentifier.
func (s People) RemoveIdentifier(ctx context.Context, by Entry, id Identifier) error {
	return s.wholeRelay("an e-mail address is of no organization").change(ctx, id.of(by), by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		var p Person
		q := tx.NewSelect().Model(&p).Where("p.id = ?", id.PersonID)
		if s.kind == PostgreSQL { // two at once must not take the last two
			q = q.For("UPDATE")
		}
		if err := q.Scan(ctx); err != nil {
			return err
		}
		if err := removeIdentifier(ctx, tx, id); err != nil || p.Kind != PersonKind {
			return err
		}
		// A user name or number of an organization that lets them in no more is of no use.
		left, err := tx.NewSelect().Model((*Identifier)(nil)).Where("i.person_id = ?", id.PersonID).
			Where("i.organization = '' OR i.organization IN (SELECT m.organization FROM members AS m WHERE m.person_id = i.person_id AND m.state = ?)", Active).Exists(ctx)
		if err == nil && !left {
			return ErrLastIdentifier
		}
		return err
	})
}

func removeIdentifier(ctx context.Context, tx bun.Tx, id Identifier) error {
	return changed(tx.NewDelete().Model((*Identifier)(nil)).Where(`person_id = ? AND kind = ? AND organization = ? AND "key" = ?`,
		id.PersonID, id.Kind, id.Organization, id.Key).Exec(ctx))
}

// of is whose audit records a change of id.
func (id Identifier) of(by Entry) OrganizationID {
	if id.Organization != "" {
		return id.Organization
	}
	return by.of()
}
