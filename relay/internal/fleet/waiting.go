package fleet

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"oriel/protocol/trust"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/store"
)

// ErrWaiting: the database has lost this computer, which waits to be taken back.
var ErrWaiting = fault.New(fault.Waiting, "this relay has lost what it knew of this computer; it waits in the console to be taken back")

// member reports whether this relay once enrolled the key as the computer that m
// says, and nobody has removed it since.
func (f *Fleet) member(ctx context.Context, key ed25519.PublicKey, m trust.Membership) (bool, error) {
	if m.Computer == "" || m.Verify(f.o.RelayKey, key) != nil {
		return false, nil
	}
	removed, err := f.o.Store.Agents().KeyRemoved(ctx, key)
	if err != nil {
		return false, fmt.Errorf("look up removed key: %w", err)
	}
	return !removed, nil
}

// formerID is the id that a machine gets back: the one it had, unless another
// computer has that.
func (f *Fleet) formerID(ctx context.Context, key ed25519.PublicKey, m trust.Membership) (string, error) {
	if m.Computer == "" || m.Verify(f.o.RelayKey, key) != nil {
		return store.NewID(), nil
	}
	taken, err := f.o.Store.Agents().Taken(ctx, m.Computer)
	switch {
	case err != nil:
		return "", fmt.Errorf("look up computer: %w", err)
	case taken:
		return store.NewID(), nil
	}
	return m.Computer, nil
}

// wait notes that a former computer is there, for the organization that m names. It returns ErrWaiting when that is done.
func (f *Fleet) wait(ctx context.Context, row store.Computer, m trust.Membership) error {
	c, isNew, err := f.o.Store.Agents().Wait(ctx, store.WaitingComputer{ComputerID: m.Computer, Organization: store.OrganizationID(m.Organization), MachineKey: row.MachineKey, MachineID: row.MachineID,
		Fingerprint: row.Fingerprint, HostName: row.HostName, OS: row.OS, OSName: row.OSName, Arch: row.Arch, Address: row.Address,
		AgentVersion: row.AgentVersion, Since: f.now(), SeenAt: f.now()})
	if err != nil {
		return fmt.Errorf("note a computer that waits: %w", err)
	}
	if isNew {
		f.o.Log.Warn("a computer that this relay does not know any more waits to be taken back", "computer", m.Computer, "organization", c.Organization, "address", row.Address)
		f.changed(c) // no computer: whoever watches them looks who waits
	}
	return ErrWaiting
}

// WaitingComputer is one that waits to be taken back.
type WaitingComputer struct {
	ComputerID           string // that it had, and gets back
	HostName, OS, OSName string
	Address              string // as the relay sees it
	MachineKey           []byte
	Since, SeenAt        int64 // Unix milliseconds
}

// Waiting are the computers that wait for an organization to take them back, the longest
// first.
func (f *Fleet) Waiting(ctx context.Context, o store.OrganizationID) ([]WaitingComputer, error) {
	rows, err := f.o.Store.Waiting(o).List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list waiting computers: %w", err)
	}
	all := make([]WaitingComputer, len(rows))
	for i, w := range rows {
		all[i] = WaitingComputer{ComputerID: w.ComputerID, HostName: w.HostName, OS: w.OS, OSName: w.OSName,
			Address: w.Address, MachineKey: w.MachineKey, Since: w.Since, SeenAt: w.SeenAt}
	}
	return all, nil
}

// TakeBack makes a computer of one that waits, with the id and the key that it had.
// Errors: store.ErrNotFound, store.ErrConflict.
func (f *Fleet) TakeBack(ctx context.Context, by audit.Actor, c store.Ref) error {
	if err := f.o.Store.Waiting(c.Organization).TakeBack(ctx, by.Did(audit.ComputerTakenBack, "computer", c.ID), c.ID, f.now()); err != nil {
		return fmt.Errorf("take back: %w", err)
	}
	f.o.Log.Info("computer taken back", "computer", c.ID)
	f.changed(c)
	return nil
}

// ForgetWaiting has a computer wait no longer, and not again. Errors: store.ErrNotFound.
func (f *Fleet) ForgetWaiting(ctx context.Context, by audit.Actor, c store.Ref) error {
	if err := f.o.Store.Waiting(c.Organization).Forget(ctx, by.Did(audit.ComputerForgotten, "computer", c.ID), c.ID, f.now()); err != nil {
		return fmt.Errorf("forget a computer that waits: %w", err)
	}
	f.changed(c)
	return nil
}
