package store

import (
	"context"

	"github.com/uptrace/bun"
)

// Machine is one of those who hold a computer's key, as it described itself.
type Machine struct {
	Instance    string // hex; of one run of the agent
	Fingerprint string // hex; may be empty
	HostName    string
	Address     string // as the relay saw it
}

// Twins are two machines that were connected with one computer's key at once.
type Twins struct {
	bun.BaseModel `bun:"table:twins"`

	ComputerID   string `bun:",pk"`
	Organization OrganizationID
	SeenAt       int64
	First        Machine `bun:"embed:first_"` // had the key when the second came
	Second       Machine `bun:"embed:second_"`
	Renews       string  // the Mark of the one that is to make its own identity; empty: undecided
}

// Marks tell the two apart: by what stays with the machine where that differs,
// else by the run of the agent.
func (t Twins) Marks() (first, second string) { return t.Mark(t.First), t.Mark(t.Second) }

// Mark is m's, who may be either of the two or a third.
func (t Twins) Mark(m Machine) string {
	if t.First.Fingerprint != "" && t.Second.Fingerprint != "" && t.First.Fingerprint != t.Second.Fingerprint {
		return "f:" + m.Fingerprint
	}
	return "i:" + m.Instance
}

// SaveTwins notes two machines, in the place of what was known of the computer's.
// Errors: ErrConflict when there is no such computer.
func (s Computers) SaveTwins(ctx context.Context, t Twins) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := s.has(ctx, tx, t.ComputerID); err != nil {
			return err
		}
		t.Organization = s.organization
		q := tx.NewInsert().Model(&t).On("CONFLICT (computer_id) DO UPDATE")
		for _, column := range []string{"seen_at", "first_instance", "first_fingerprint", "first_host_name", "first_address",
			"second_instance", "second_fingerprint", "second_host_name", "second_address", "renews"} {
			q = q.Set(column + " = EXCLUDED." + column)
		}
		_, err := q.Exec(ctx)
		return err
	})
}

// Split notes which of a computer's two machines makes an identity of its own.
// Errors: ErrNotFound.
func (s Computers) Split(ctx context.Context, by Entry, computer, renews string) error {
	return s.change(ctx, s.organization, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		return changed(s.update(tx, (*Twins)(nil)).Set("renews = ?", renews).Where("computer_id = ?", computer).Exec(ctx))
	})
}

// DropTwins forgets them, and with them the tokens for the second that nobody
// used. Errors: ErrNotFound.
func (s Computers) DropTwins(ctx context.Context, by Entry, computer string) error {
	return s.change(ctx, s.organization, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if err := changed(s.remove(tx, (*Twins)(nil)).Where("computer_id = ?", computer).Exec(ctx)); err != nil {
			return err
		}
		_, err := s.unusedSplit(tx, computer).Exec(ctx)
		return err
	})
}

// Twins of these computers, or of all without any.
func (s Computers) Twins(ctx context.Context, computers ...string) (map[string]Twins, error) {
	var rows []Twins
	q := s.rows(s.db, &rows)
	if len(computers) > 0 {
		q = q.Where("computer_id IN (?)", bun.List(computers))
	}
	if err := q.Scan(ctx); err != nil {
		return nil, mapped(err)
	}
	all := make(map[string]Twins, len(rows))
	for _, row := range rows {
		all[row.ComputerID] = row
	}
	return all, nil
}
