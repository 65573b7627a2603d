package store

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/uptrace/bun"
)

// SignIn is one browser in which a person is signed in.
type SignIn struct {
	bun.BaseModel `bun:"table:sign_ins"`

	TokenHash    []byte `bun:",pk"` // SHA-256 of what the cookie holds
	ID           string // names it without giving the token away
	PersonID     string
	Organization OrganizationID // in which the person is there now
	Address      string
	Browser      string
	CreatedAt    int64
	SeenAt       int64 // not exact: written once a minute at most

	Person *Person `bun:"rel:belongs-to,join:person_id=id"` // nil where it was not asked for
}

// Ended is why a sign-in ended, as the wire's SignOutReason has it.
type Ended string

// Reasons of an end that removes the sign-in.
const (
	EndedHere      Ended = "signed_out" // in its browser
	EndedElsewhere Ended = "elsewhere"  // by the person, from another browser
	EndedPassword  Ended = "password"
	EndedRemoved   Ended = "removed" // the membership, or the person
	EndedBlocked   Ended = "blocked" // likewise
	EndedExpired   Ended = "expired"
)

// For how long it is known why a sign-in ended, and how many one statement notes.
const (
	endsKept   = 24 * time.Hour
	endsAtOnce = 1000
)

type signInEnd struct {
	bun.BaseModel `bun:"table:sign_in_ends"`

	ID      string `bun:",pk"`
	Reason  Ended
	EndedAt int64
}

// noteEnds remembers why these sign-ins end. Whatever removes one calls it.
func (s *database) noteEnds(ctx context.Context, tx bun.Tx, why Ended, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	rows := make([]signInEnd, 0, len(ids))
	for _, id := range ids {
		rows = append(rows, signInEnd{ID: id, Reason: why})
	}
	_, err := tx.NewInsert().Model(&rows).Value("ended_at", s.clock()).Exec(ctx)
	return err
}

// WhyEnded is why a sign-in ended that is not there any more. Errors: ErrNotFound when it
// is there, or that is not known any more.
func (s SignIns) WhyEnded(ctx context.Context, id string) (Ended, error) {
	var row signInEnd
	err := s.db.NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
	return row.Reason, mapped(err)
}

// Add remembers a sign-in by a password of that hash. Errors: ErrNotFound
// when the person has another one by now, which ended the sign-ins by this one, or
// is no active member of the organization.
func (s SignIns) Add(ctx context.Context, by Entry, in SignIn, passwordHash string) error {
	return s.change(ctx, in.Organization, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		// Written, not read: it keeps the row from being changed until the sign-in is there.
		err := changed(tx.NewUpdate().Model((*Person)(nil)).Set("password_hash = password_hash").
			Where("id = ? AND password_hash = ? AND state = ?", in.PersonID, passwordHash, Active).Exec(ctx))
		if err == nil {
			err = owned{s.database, in.Organization}.lets(ctx, tx, in.PersonID)
		}
		if err != nil {
			return err
		}
		_, err = tx.NewInsert().Model(&in).Exec(ctx)
		return err
	})
}

// lets says ErrNotFound of who is no active member, and keeps an active one from being
// changed until tx ends.
func (s owned) lets(ctx context.Context, tx bun.Tx, person string) error {
	return changed(s.update(tx, (*Member)(nil)).Set("state = state").Where("person_id = ? AND state = ?", person, Active).Exec(ctx))
}

// Switch moves a person's sign-in to another organization of theirs. Errors: ErrNotFound,
// also when they are no active member.
func (s SignIns) Switch(ctx context.Context, by Entry, person, id string, o OrganizationID) error {
	return s.change(ctx, o, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if err := (owned{s.database, o}).lets(ctx, tx, person); err != nil {
			return err
		}
		return changed(tx.NewUpdate().Model((*SignIn)(nil)).Set("organization = ?", o).Where("person_id = ? AND id = ?", person, id).Exec(ctx))
	})
}

// ByID finds a sign-in and its person, with the hash of their password. Errors:
// ErrNotFound.
func (s SignIns) ByID(ctx context.Context, id string) (SignIn, Person, error) {
	var in SignIn
	if err := s.db.NewSelect().Model(&in).Relation("Person").Where("?TableAlias.id = ?", id).Scan(ctx); err != nil {
		return SignIn{}, Person{}, mapped(err)
	}
	p := *in.Person
	in.Person = nil
	return in, p, nil
}

// Touch moves the time a sign-in was last seen. Errors: ErrNotFound.
func (s SignIns) Touch(ctx context.Context, hash []byte, now int64) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		return changed(tx.NewUpdate().Model((*SignIn)(nil)).Set("seen_at = ?", now).
			Where("token_hash = ?", hash).Exec(ctx))
	})
}

// Remove ends a sign-in and returns its id. Errors: ErrNotFound.
func (s SignIns) Remove(ctx context.Context, by Entry, hash []byte) (id string, err error) {
	err = s.change(ctx, "", by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		var in SignIn
		if _, err := tx.NewDelete().Model(&in).Where("token_hash = ?", hash).Returning("id, person_id, organization").Exec(ctx); err != nil {
			return err
		}
		if id = in.ID; id == "" {
			return ErrNotFound
		}
		by.ActorID, by.SignInID, by.ObjectID, by.Organization = in.PersonID, id, id, in.Organization
		return s.noteEnds(ctx, tx, EndedHere, id)
	})
	return id, err
}

// Of are the sign-ins of a person, the last seen first.
func (s SignIns) Of(ctx context.Context, person string) ([]SignIn, error) {
	var all []SignIn
	err := s.db.NewSelect().Model(&all).Where("person_id = ?", person).Order("seen_at DESC", "id DESC").Scan(ctx)
	return all, mapped(err)
}

// End ends a sign-in of a person. Errors: ErrNotFound.
func (s SignIns) End(ctx context.Context, by Entry, person, id string) error {
	return s.change(ctx, "", by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		var in SignIn
		if _, err := tx.NewDelete().Model(&in).Where("person_id = ? AND id = ?", person, id).Returning("id, organization").Exec(ctx); err != nil {
			return err
		}
		if in.ID == "" {
			return ErrNotFound
		}
		by.Organization = in.Organization
		return s.noteEnds(ctx, tx, EndedElsewhere, id)
	})
}

// SetPassword gives a person another password and ends all sign-ins of theirs
// but one, both or neither. It returns those that ended. Errors: ErrNotFound.
func (s People) SetPassword(ctx context.Context, by Entry, person, passwordHash, except string) (ended []string, err error) {
	whole := s.wholeRelay("another password ends a person's sign-ins to all organizations")
	err = whole.change(ctx, by.of(), by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		ended, err = s.setPassword(ctx, tx, person, passwordHash, except)
		*by = by.With("sign_ins_ended", strconv.Itoa(len(ended)))
		return err
	})
	return ended, err
}

func (s *database) setPassword(ctx context.Context, tx bun.Tx, person, passwordHash, except string) (ended []string, err error) {
	err = changed(tx.NewUpdate().Model((*Person)(nil)).Set("password_hash = ?", passwordHash).Where("id = ?", person).Exec(ctx))
	if err == nil {
		_, err = tx.NewDelete().Model((*SignIn)(nil)).Where("person_id = ? AND id <> ?", person, except).Returning("id").Exec(ctx, &ended)
	}
	if err == nil {
		err = s.noteEnds(ctx, tx, EndedPassword, ended...)
	}
	return ended, err
}

// Expire ends those made before created or not seen since seen, and forgets why others
// ended long ago.
func (s SignIns) Expire(ctx context.Context, created, seen int64) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		var ended []string
		_, err := tx.NewDelete().Model((*SignIn)(nil)).
			Where("created_at < ? OR seen_at < ?", created, seen).Returning("id").Exec(ctx, &ended)
		if err == nil {
			_, err = tx.NewDelete().Model((*signInEnd)(nil)).Where("ended_at < "+s.clock()+" - ?", endsKept.Milliseconds()).Exec(ctx)
		}
		for some := range slices.Chunk(ended, endsAtOnce) {
			if err == nil {
				err = s.noteEnds(ctx, tx, EndedExpired, some...)
			}
		}
		return err
	})
}

type tries struct {
	bun.BaseModel `bun:"table:tries"`

	Subject   string `bun:",pk"`
	Count     int64
	ExpiresAt int64
}

// Try is how often a subject was tried in its window, and when that ends.
type Try struct{ Count, ExpiresAt int64 }

// Count counts one more try of each subject. A window begins with its
// first try.
func (s Tries) Count(ctx context.Context, subjects []string, now, windowEnd int64) (map[string]Try, error) {
	all := map[string]Try{}
	err := s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, subject := range slices.Sorted(slices.Values(subjects)) { // in one order, so that two do not wait for each other
			one := tries{Subject: subject, Count: 1, ExpiresAt: windowEnd}
			_, err := tx.NewInsert().Model(&one).
				On("CONFLICT (subject) DO UPDATE").
				Set("count = CASE WHEN tries.expires_at <= ? THEN 1 ELSE tries.count + 1 END", now).
				Set("expires_at = CASE WHEN tries.expires_at <= ? THEN EXCLUDED.expires_at ELSE tries.expires_at END", now).
				Returning("*").Exec(ctx)
			if err != nil {
				return err
			}
			all[subject] = Try{one.Count, one.ExpiresAt}
		}
		return nil
	})
	return all, err
}

// TakeBack takes so many tries of each subject back; what falls to none
// is forgotten.
func (s Tries) TakeBack(ctx context.Context, subjects map[string]int64) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, subject := range slices.Sorted(maps.Keys(subjects)) {
			_, err := tx.NewUpdate().Model((*tries)(nil)).Set("count = count - ?", subjects[subject]).
				Where("subject = ?", subject).Exec(ctx)
			if err == nil {
				_, err = tx.NewDelete().Model((*tries)(nil)).Where("subject = ? AND count <= 0", subject).Exec(ctx)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Expire forgets the windows that ended before now.
func (s Tries) Expire(ctx context.Context, now int64) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewDelete().Model((*tries)(nil)).Where("expires_at <= ?", now).Exec(ctx)
		return err
	})
}
