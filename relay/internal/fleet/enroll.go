package fleet

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
	"oriel/protocol/trust"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/store"
)

// Bounds of an enrollment token.
const (
	MaxTokenUses     = 100_000
	MaxTokenLifetime = 365 * 24 * time.Hour
)

// Token lets computers in; its text is told only by CreateToken.
type Token struct {
	ID, Note             string
	CreatedAt, ExpiresAt int64 // Unix milliseconds
	UsesLeft, Used       int64
	RevokedAt            int64 // 0: not
}

func tokenOf(t store.EnrollmentToken) Token {
	return Token{ID: t.ID, Note: t.Note, CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, UsesLeft: t.UsesLeft, Used: t.Used, RevokedAt: t.RevokedAt}
}

// CreateToken makes a token that lets computers into an organization, so often and so
// long, both clamped to the bounds. Its text is returned here and never again.
func (f *Fleet) CreateToken(ctx context.Context, o store.OrganizationID, by audit.Actor, note string, uses int, lifetime time.Duration) (text string, t Token, err error) {
	made := trust.NewToken(f.o.RelayKey)
	now := f.o.Now()
	row := store.EnrollmentToken{ID: store.NewID(), TokenKey: made.Public(), Note: sanitize.Line(note, 256), CreatedBy: by.ID,
		CreatedAt: now.UnixMilli(), ExpiresAt: now.Add(min(lifetime, MaxTokenLifetime)).UnixMilli(),
		UsesLeft: int64(min(max(uses, 1), MaxTokenUses))}
	if err := f.o.Store.Tokens(o).Add(ctx, by.Did(audit.TokenMade, "token", row.ID, "note", row.Note, "uses", strconv.FormatInt(row.UsesLeft, 10)), row); err != nil {
		return "", Token{}, fmt.Errorf("create enrollment token: %w", err)
	}
	f.o.Log.Info("enrollment token made", "token", row.ID, "person", by.ID, "uses", row.UsesLeft)
	return made.String(), tokenOf(row), nil
}

// Tokens are all of an organization, newest first.
func (f *Fleet) Tokens(ctx context.Context, o store.OrganizationID) ([]Token, error) {
	rows, err := f.o.Store.Tokens(o).List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list enrollment tokens: %w", err)
	}
	all := make([]Token, len(rows))
	for i, row := range rows {
		all[i] = tokenOf(row)
	}
	return all, nil
}

// RevokeToken makes a token useless. Errors: store.ErrNotFound.
func (f *Fleet) RevokeToken(ctx context.Context, by audit.Actor, token store.Ref) error {
	if err := f.o.Store.Tokens(token.Organization).Revoke(ctx, by.Did(audit.TokenRevoked, "token", token.ID), token.ID, f.now()); err != nil {
		return fmt.Errorf("revoke enrollment token: %w", err)
	}
	return nil
}

// Authenticate says whether an agent that claims a machine key may try to
// prove it: the key is known, or the token of that public key (nil: none) is
// good. It uses nothing up. Errors: ErrUnauthorized, ErrBlocked.
func (f *Fleet) Authenticate(ctx context.Context, key, token ed25519.PublicKey, m trust.Membership) error {
	if len(key) != ed25519.PublicKeySize {
		return ErrUnauthorized
	}
	row, err := f.o.Store.Agents().ByKey(ctx, key)
	switch {
	case err == nil && row.Blocked:
		return ErrBlocked
	case err == nil:
		return nil
	case !errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("look up machine key: %w", err)
	}
	if former, err := f.member(ctx, key, m); former || err != nil {
		return err
	}
	if token == nil {
		return ErrUnauthorized
	}
	err = f.o.Store.Agents().TokenUsable(ctx, token, f.now())
	if errors.Is(err, store.ErrNotFound) {
		return ErrUnauthorized
	}
	return err
}

// Admit takes in an agent that has proved its machine key. A key that is not
// known is enrolled with one use of the token of that public key, which it has
// proved too (nil: none); a former computer (m) gets the id back that it had.
// Errors: ErrUnauthorized, ErrBlocked, ErrWaiting for a former one without a token.
func (f *Fleet) Admit(ctx context.Context, hello *orielv1.Hello, token ed25519.PublicKey, m trust.Membership, address string) (r Record, enrolled bool, err error) {
	row := store.Computer{MachineKey: hello.GetMachineKey(), MachineID: sanitize.Line(hello.GetMachineId(), 128),
		Fingerprint:  hex.EncodeToString(hello.GetFingerprint()),
		Capabilities: orielv1.Words(hello.GetCapabilities()),
		AgentVersion: sanitize.Line(hello.GetAgentVersion(), 64), Address: sanitize.Line(address, 64)}
	summarize(&row, hello.GetSummary())
	known, err := f.o.Store.Agents().ByKey(ctx, row.MachineKey)
	if errors.Is(err, store.ErrNotFound) {
		if row.ID, err = f.formerID(ctx, row.MachineKey, m); err != nil {
			return Record{}, false, err
		}
		row.AddedAt, err = f.now(), store.ErrNotFound
		if token != nil {
			err = f.o.Store.Agents().Enroll(ctx, audit.Agent(row.ID, row.Address).Did(audit.ComputerEnrolled, "computer", row.ID, "host_name", row.HostName), &row, token)
		}
		switch {
		case err == nil:
			f.o.Log.Info("computer enrolled", "computer", row.ID, "token", row.AddedWith, "address", row.Address)
			if row.SameMachineAs != "" {
				f.o.Log.Warn("this machine is enrolled already", "computer", row.ID, "older", row.SameMachineAs)
			}
			f.changed(row.Ref())
			if row.SplitFrom != "" {
				f.changed(row.Organization.Ref(row.SplitFrom))
			}
			return Record{Ref: row.Ref(), Name: row.DisplayName(), Key: row.MachineKey}, true, nil
		case errors.Is(err, store.ErrNotFound):
			former, err := f.member(ctx, row.MachineKey, m)
			if former {
				err = f.wait(ctx, row, m)
			} else if err == nil {
				err = ErrUnauthorized
			}
			return Record{}, false, err
		case errors.Is(err, store.ErrConflict): // the same agent, twice at once
			known, err = f.o.Store.Agents().ByKey(ctx, row.MachineKey)
		}
	}
	if err != nil {
		return Record{}, false, fmt.Errorf("admit computer: %w", err)
	}
	if known.Blocked {
		return Record{}, false, ErrBlocked
	}
	row.ID, row.Organization = known.ID, known.Organization
	if err := f.save(ctx, row.Ref(), "greeting", func(ctx context.Context) error { return f.of(row.Ref()).SaveGreeting(ctx, &row) }); err != nil {
		return Record{}, false, fmt.Errorf("admit computer: %w", err)
	}
	row.Name = known.Name
	return Record{Ref: row.Ref(), Name: row.DisplayName(), Key: row.MachineKey}, false, nil
}
