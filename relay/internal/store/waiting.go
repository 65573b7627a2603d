package store

import (
	"context"

	"github.com/uptrace/bun"
)

// MaxWaiting computers wait to be taken back; who was not seen for longest goes.
const MaxWaiting = 1000

// WaitingComputer is a machine that this relay once enrolled, by its own signature,
// and that its database does not know any more.
type WaitingComputer struct {
	bun.BaseModel `bun:"table:waiting_computers"`

	ComputerID   string `bun:",pk"` // that it had, and gets back
	Organization OrganizationID
	MachineKey   []byte
	MachineID    string
	Fingerprint  string
	HostName     string
	OS           string `bun:"os"`
	OSName       string `bun:"os_name"`
	Arch         string
	Address      string
	AgentVersion string
	Since        int64
	SeenAt       int64
}

type removedKey struct {
	bun.BaseModel `bun:"table:removed_keys"`

	MachineKey   []byte `bun:",pk"`
	Organization OrganizationID
	RemovedAt    int64
}

// List are the computers that wait, the longest first.
func (s Waiting) List(ctx context.Context) ([]WaitingComputer, error) {
	var all []WaitingComputer
	return all, mapped(s.rows(s.db, &all).Order("since", "computer_id").Scan(ctx))
}

// KeyRemoved reports whether people removed the computer with that key.
func (s Agents) KeyRemoved(ctx context.Context, key []byte) (bool, error) {
	yes, err := s.db.NewSelect().Model((*removedKey)(nil)).Where("machine_key = ?", key).Exists(ctx)
	return yes, mapped(err)
}

// Save notes that a machine waits, or that it still does. It is new when it
// did not before.
func (s Waiting) Save(ctx context.Context, w WaitingComputer) (isNew bool, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		r, err := s.update(tx, &w).WherePK().Where("machine_key = ?", w.MachineKey).
			ExcludeColumn("computer_id", "organization", "machine_key", "since").Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n > 0 {
			return err
		}
		_, err = s.remove(tx, (*WaitingComputer)(nil)).Where("computer_id IN (?)",
			s.rows(tx, (*WaitingComputer)(nil)).Column("computer_id").Order("seen_at DESC").Offset(MaxWaiting-1).Limit(MaxWaiting)).Exec(ctx)
		if err != nil {
			return err
		}
		isNew, w.Organization = true, s.organization
		_, err = tx.NewInsert().Model(&w).Exec(ctx)
		return err
	})
	return isNew, err
}

// Wait is Waiting.Save for a machine of which the database has nothing that says whose
// it was. Its organization is that of w, by the relay's own word; where there is no word,
// or that organization is lost as well, the first, whose people look after the relay, is to
// know it.
func (s Agents) Wait(ctx context.Context, w WaitingComputer) (computer Ref, isNew bool, err error) {
	there, err := s.db.NewSelect().Model((*Organization)(nil)).Where("id = ?", w.Organization).Exists(ctx)
	if err != nil {
		return Ref{}, false, mapped(err)
	}
	if !there {
		w.Organization = FirstOrganization
	}
	// It waited elsewhere while its agent knew no organization, or that was lost.
	err = s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewDelete().Model((*WaitingComputer)(nil)).Where("computer_id = ? AND machine_key = ? AND organization <> ?", w.ComputerID, w.MachineKey, w.Organization).Exec(ctx)
		return err
	})
	if err != nil {
		return Ref{}, false, err
	}
	isNew, err = Waiting{owned{s.database, w.Organization}}.Save(ctx, w)
	return w.Organization.Ref(w.ComputerID), isNew, err
}

// TakeBack makes a computer of one that waits, with the id and the key that it had.
// Errors: ErrNotFound; ErrConflict when there is a computer with that id or key; ErrQuota.
func (s Waiting) TakeBack(ctx context.Context, by Entry, computer string, now int64) error {
	return s.change(ctx, s.organization, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		var w WaitingComputer
		if err := s.rows(tx, &w).Where("computer_id = ?", computer).Scan(ctx); err != nil {
			return err
		}
		c := Computer{ID: w.ComputerID, Organization: s.organization, MachineKey: w.MachineKey, MachineID: w.MachineID, Fingerprint: w.Fingerprint, HostName: w.HostName,
			OS: w.OS, OSName: w.OSName, Arch: w.Arch, Address: w.Address, AgentVersion: w.AgentVersion, AddedAt: now}
		var err error
		if c.SameMachineAs, err = s.sameMachine(ctx, tx, c); err != nil {
			return err
		}
		if err := s.insert(ctx, tx, QuotaComputers, 0, &c, "added_at", c.AddedAt); err != nil {
			return err
		}
		if err := s.index(ctx, tx, c.ID); err != nil {
			return err
		}
		for _, model := range []any{(*WaitingComputer)(nil), (*removedKey)(nil)} {
			if _, err := s.remove(tx, model).Where("machine_key = ?", w.MachineKey).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// leaves notes that people do not want this key.
func (s owned) leaves(ctx context.Context, tx bun.Tx, key []byte, now int64) error {
	_, err := tx.NewInsert().Model(&removedKey{MachineKey: key, Organization: s.organization, RemovedAt: now}).On("CONFLICT (machine_key) DO NOTHING").Exec(ctx)
	return err
}

// Forget has a computer wait no longer, and not again. Errors: ErrNotFound.
func (s Waiting) Forget(ctx context.Context, by Entry, computer string, now int64) error {
	return s.change(ctx, s.organization, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		var w WaitingComputer
		if err := s.rows(tx, &w).Where("computer_id = ?", computer).Scan(ctx); err != nil {
			return err
		}
		if err := s.leaves(ctx, tx, w.MachineKey, now); err != nil {
			return err
		}
		_, err := s.remove(tx, &w).WherePK().Exec(ctx)
		return err
	})
}
