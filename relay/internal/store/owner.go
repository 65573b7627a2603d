package store

import (
	"context"
	"errors"
	"strconv"

	"github.com/uptrace/bun"
)

// HasOwner reports whether the relay has an owner yet: an active one of the first
// organization.
func (s People) HasOwner(ctx context.Context) (bool, error) {
	return s.hasOwner(ctx, s.within(FirstOrganization).db)
}

func (s *database) hasOwner(ctx context.Context, db bun.IDB) (bool, error) {
	found, err := owned{s, FirstOrganization}.owners(db).Exists(ctx)
	return found, mapped(err)
}

// The one token that makes the first owner, and the one that gives the owner a
// new password; there is never more than one of each, so that two of them
// cannot be used side by side.
const (
	ownerToken    = "owner"
	recoveryToken = "recovery"
)

type oneTimeToken struct {
	bun.BaseModel `bun:"table:one_time_tokens"`

	Kind      string `bun:",pk"`
	TokenHash []byte
	CreatedAt int64
	ExpiresAt int64
}

// PutOwnerToken replaces the token that makes the first owner. Errors:
// ErrConflict when there is an owner.
func (s People) PutOwnerToken(ctx context.Context, by Entry, hash []byte, now, expires int64) error {
	return s.change(ctx, FirstOrganization, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if found, err := s.hasOwner(ctx, tx); err != nil || found {
			return conflictIf(found, err)
		}
		return putToken(ctx, tx, oneTimeToken{Kind: ownerToken, TokenHash: hash, CreatedAt: now, ExpiresAt: expires})
	})
}

func putToken(ctx context.Context, tx bun.Tx, t oneTimeToken) error {
	_, err := tx.NewInsert().Model(&t).
		On("CONFLICT (kind) DO UPDATE").
		Set("token_hash = EXCLUDED.token_hash, created_at = EXCLUDED.created_at, expires_at = EXCLUDED.expires_at").
		Exec(ctx)
	return err
}

// PutRecoveryToken replaces the token that gives the owner a new password.
// Errors: ErrNotFound when there is no owner.
func (s People) PutRecoveryToken(ctx context.Context, by Entry, hash []byte, now, expires int64) error {
	return s.change(ctx, FirstOrganization, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if found, err := s.hasOwner(ctx, tx); err != nil {
			return err
		} else if !found {
			return ErrNotFound
		}
		return putToken(ctx, tx, oneTimeToken{Kind: recoveryToken, TokenHash: hash, CreatedAt: now, ExpiresAt: expires})
	})
}

// CheckRecoveryToken reports whether Recover would take the token now. Errors:
// ErrNotFound for a wrong, used or expired one.
func (s People) CheckRecoveryToken(ctx context.Context, hash []byte, now int64) error {
	found, err := s.db.NewSelect().Model((*oneTimeToken)(nil)).
		Where("kind = ? AND token_hash = ? AND expires_at > ?", recoveryToken, hash, now).Exists(ctx)
	if err == nil && !found {
		return ErrNotFound
	}
	return mapped(err)
}

// Recover uses the token up, gives the owner (the first of several) another
// password and ends all their sign-ins, all or nothing. It returns the owner
// and the sign-ins that ended. Errors as CheckRecoveryToken.
func (s People) Recover(ctx context.Context, by Entry, hash []byte, now int64, passwordHash string) (p Person, ended []string, err error) {
	whole := s.wholeRelay("another password ends a person's sign-ins to all organizations")
	err = whole.change(ctx, FirstOrganization, by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		if err := changed(tx.NewDelete().Model((*oneTimeToken)(nil)).
			Where("kind = ? AND token_hash = ? AND expires_at > ?", recoveryToken, hash, now).Exec(ctx)); err != nil {
			return err
		}
		p = Person{}
		its := owned{s.database, FirstOrganization}
		first := its.owners(tx).Column("m.person_id").Order("m.created_at", "m.person_id").Limit(1)
		if err := tx.NewSelect().Model(&p).Where("p.id = (?)", first).Scan(ctx); err != nil {
			return mapped(err)
		}
		p.PasswordHash = passwordHash
		ended, err = s.setPassword(ctx, tx, p.ID, passwordHash, "")
		by.ActorID, by.ActorName, by.ObjectID = p.ID, p.Name, p.ID
		*by = by.With("sign_ins_ended", strconv.Itoa(len(ended)))
		return err
	})
	return p, ended, err
}

// CheckOwnerToken reports whether CreateOwner would take the token now, so
// that no password is hashed for a token that is no good. Errors: ErrNotFound
// for a wrong, used or expired token, ErrConflict when there is an owner.
func (s People) CheckOwnerToken(ctx context.Context, hash []byte, now int64) error {
	if found, err := s.HasOwner(ctx); err != nil || found {
		return conflictIf(found, err)
	}
	found, err := s.db.NewSelect().Model((*oneTimeToken)(nil)).
		Where("kind = ? AND token_hash = ? AND expires_at > ?", ownerToken, hash, now).Exists(ctx)
	if err == nil && !found {
		return ErrNotFound
	}
	return mapped(err)
}

// CreateOwner uses the token up and adds the first person, the first organization's
// owner with that confirmed e-mail address, all or nothing. The organization is called
// so from then on; empty: as it was. Errors as CheckOwnerToken, fault.Field;
// of many at once exactly one succeeds, because the first to delete the token holds its
// row until the owner is there.
func (s People) CreateOwner(ctx context.Context, by Entry, hash []byte, now int64, p Person, email Identifier, called string) error {
	if err := bounded(text{"organization", called, MaxNameText}); err != nil {
		return err
	}
	return s.change(ctx, FirstOrganization, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		used := changed(tx.NewDelete().Model((*oneTimeToken)(nil)).
			Where("kind = ? AND token_hash = ? AND expires_at > ?", ownerToken, hash, now).Exec(ctx))
		if used != nil && !errors.Is(used, ErrNotFound) {
			return used
		}
		if found, err := s.hasOwner(ctx, tx); err != nil || found {
			return conflictIf(found, err)
		}
		if used != nil {
			return used
		}
		if err := s.addPerson(ctx, tx, p, email); err != nil {
			return err
		}
		if called != "" {
			named := tx.NewUpdate().Model((*Organization)(nil)).Set("name = ?", called).Where("id = ?", FirstOrganization)
			if err := changed(named.Exec(ctx)); err != nil {
				return err
			}
		}
		its := Members{owned{s.database, FirstOrganization}}
		return its.add(ctx, tx, Member{PersonID: p.ID, Role: RoleOwner, State: Active, CreatedAt: p.CreatedAt})
	})
}
