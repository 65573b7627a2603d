package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/store"
)

// Run keeps this node alive in the database, and buries nodes that died, until
// ctx ends. It returns an error only when the first heartbeat fails.
func (f *Fleet) Run(ctx context.Context) error {
	left, err := f.o.Store.ClearNode(ctx, f.run)
	if err == nil {
		err = f.beat(ctx)
	}
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("first heartbeat: %w", err)
	}
	f.changed(left...)
	f.mu.Lock()
	early := slices.Collect(maps.Keys(f.here)) // came before this node counted as alive
	f.mu.Unlock()
	f.changed(early...)
	beat := time.NewTicker(f.o.Lifetime / 4)
	defer beat.Stop()
	seen := time.NewTicker(time.Minute)
	defer seen.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-seen.C:
			if err := f.o.Store.SeenOnNode(ctx, f.run, f.now()); err != nil && ctx.Err() == nil {
				f.o.Log.Warn("last seen not saved", "err", err)
			}
		case <-beat.C:
			if err := f.beat(ctx); err != nil && ctx.Err() == nil {
				f.o.Log.Warn("heartbeat failed", "err", err)
			}
		}
	}
}

func (f *Fleet) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.o.Lifetime/2)
	defer cancel()
	if err := f.o.Store.Heartbeat(ctx, f.run, f.o.Lifetime); err != nil {
		return err
	}
	gone, err := f.o.Store.BuryNodes(ctx)
	if len(gone) > 0 {
		f.o.Log.Warn("another node died", "computers", len(gone))
		f.changed(gone...)
	}
	return errors.Join(err, f.restore(ctx))
}

// restore notes connections again that the database has forgotten.
func (f *Fleet) restore(ctx context.Context) error {
	f.mu.Lock()
	here := maps.Clone(f.here)
	f.mu.Unlock()
	if len(here) == 0 {
		return nil
	}
	known, err := f.o.Store.PresentOn(ctx, f.run)
	if err != nil {
		return err
	}
	for computer, conn := range here {
		if known[computer] != "" {
			continue
		}
		there, err := f.o.Store.RestorePresence(ctx, computer, f.run, conn, f.now())
		if err != nil {
			return err
		}
		if there && !f.isHere(computer, conn) { // it ended just now
			_, err = f.o.Store.DropPresence(ctx, computer, conn, f.now())
		}
		if there {
			f.changed(computer)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *Fleet) isHere(computer, conn string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.here[computer] == conn
}

// Connected notes that a computer is connected to this node now; a connection
// that it had before, here or elsewhere, is closed by whoever holds it.
func (f *Fleet) Connected(ctx context.Context, computer, conn string) error {
	if err := f.o.Store.SetPresence(ctx, computer, f.run, conn, f.now()); err != nil {
		return fmt.Errorf("note connection: %w", err)
	}
	f.mu.Lock()
	f.here[computer] = conn
	f.mu.Unlock()
	f.toAgent(computer, &orielv1.BusMessage{Body: &orielv1.BusMessage_AgentReplaced{
		AgentReplaced: &orielv1.BusAgentReplaced{Connection: conn}}})
	f.changed(computer)
	return nil
}

// Replaced reports whether a computer has another connection than this one,
// which was Connected.
func (f *Fleet) Replaced(ctx context.Context, computer, conn string) (bool, error) {
	now, err := f.o.Store.PresentConn(ctx, computer)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up connection: %w", err)
	}
	return now != conn, nil
}

// Disconnected notes that a connection ended.
func (f *Fleet) Disconnected(ctx context.Context, computer, conn string) error {
	f.mu.Lock()
	if f.here[computer] == conn {
		delete(f.here, computer)
	}
	f.mu.Unlock()
	gone, err := f.o.Store.DropPresence(ctx, computer, conn, f.now())
	if gone {
		f.changed(computer)
	}
	if err != nil {
		return fmt.Errorf("note the end of a connection: %w", err)
	}
	return nil
}
