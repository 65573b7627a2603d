package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/store"
)

// connection is one computer's to this node.
type connection struct {
	id      string
	since   int64
	unknown bool // to the database: the disk was full
}

// leaveWithin bounds how long a node that ends tries to say so.
const leaveWithin = 2 * time.Second

// Run keeps this node alive in the database, and buries nodes that died, until
// ctx ends; then it takes itself out. It returns an error only when the first heartbeat fails, but a full
// disk is none: the node does what needs no writing until there is room.
func (f *Fleet) Run(ctx context.Context) error {
	cleared := false
	next := func() error {
		if !cleared {
			left, err := f.o.Store.Nodes().Clear(ctx, f.run)
			if err != nil {
				return err
			}
			cleared = true
			f.changed(left...)
		}
		return f.beat(ctx)
	}
	err := f.noted(next())
	if ctx.Err() != nil {
		return nil
	}
	if err != nil && !store.DiskFull(err) {
		return fmt.Errorf("first heartbeat: %w", err)
	}
	f.mu.Lock()
	early := slices.Collect(maps.Keys(f.here)) // came before this node counted as alive
	f.mu.Unlock()
	f.changed(early...)
	defer f.leave(ctx)
	beat := time.NewTicker(f.o.Lifetime / 4)
	defer beat.Stop()
	seen := time.NewTicker(time.Minute)
	defer seen.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-seen.C:
			if err := f.o.Store.Nodes().Seen(ctx, f.run, f.now()); err != nil && ctx.Err() == nil {
				f.o.Log.Warn("last seen not saved", "err", err)
			}
		case <-beat.C:
			if err := f.noted(next()); err != nil && ctx.Err() == nil {
				f.o.Log.Warn("heartbeat failed", "err", err)
			}
		}
	}
}

// leave takes this run out of the database, so that nobody waits for its
// heartbeat to run out.
func (f *Fleet) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	left, err := f.o.Store.Nodes().Leave(ctx, f.run)
	if err != nil {
		f.o.Log.Warn("this node's end is not in the database", "err", err)
	}
	f.changed(left...)
}

// noted keeps whether err says that the disk is full.
func (f *Fleet) noted(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full = store.DiskFull(err)
	return err
}

// online reports whether a computer is connected: to this node by its own
// memory, to another by the database. While the disk is full no node can say
// there that it lives, and those that did last are believed.
func (f *Fleet) online(row store.Computer) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, here := f.here[row.Ref()]; here {
		return true
	}
	if !f.o.Store.Shared() || strings.HasPrefix(row.Node, f.o.Node+"/") {
		return false // nobody else holds connections, or it was an earlier run of this node
	}
	return row.Online || f.full && row.Node != ""
}

func (f *Fleet) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.o.Lifetime/2)
	defer cancel()
	if err := f.o.Store.Nodes().Heartbeat(ctx, f.run, f.o.Lifetime); err != nil {
		return err
	}
	gone, err := f.o.Store.Nodes().Bury(ctx)
	if len(gone) > 0 {
		f.o.Log.Warn("another node died", "computers", len(gone))
		f.changed(gone...)
	}
	known, failed := f.o.Store.Nodes().PresentOn(ctx, f.run)
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	return errors.Join(f.depart(ctx, known), f.restore(ctx, known), f.repay(ctx))
}

// depart notes ends of connections that could not be noted before.
func (f *Fleet) depart(ctx context.Context, known map[string]string) error {
	f.mu.Lock()
	gone := maps.Clone(f.gone)
	f.mu.Unlock()
	for computer, at := range gone {
		if conn := known[computer.ID]; conn != "" && !f.isHere(computer, conn) {
			dropped, err := f.o.Store.Nodes().Disconnect(ctx, computer.ID, conn, at)
			if err != nil {
				return err
			}
			if dropped {
				f.changed(computer)
			}
		}
		f.mu.Lock()
		if f.gone[computer] == at {
			delete(f.gone, computer)
		}
		f.mu.Unlock()
	}
	return nil
}

// restore notes connections again that the database has forgotten, or never
// had room for.
func (f *Fleet) restore(ctx context.Context, known map[string]string) error {
	f.mu.Lock()
	here := maps.Clone(f.here)
	f.mu.Unlock()
	for computer, conn := range here {
		if known[computer.ID] != "" && !conn.unknown {
			continue
		}
		there, err := f.o.Store.Nodes().Restore(ctx, store.Restore{ComputerID: computer.ID, Run: f.run, ConnID: conn.id,
			Since: conn.since, Unknown: conn.unknown})
		if err != nil {
			return err
		}
		if conn.unknown {
			f.mu.Lock()
			if f.here[computer] == conn {
				f.here[computer] = connection{id: conn.id, since: conn.since}
			}
			f.mu.Unlock()
			f.replace(computer.ID, conn.id) // or this one is replaced: whoever has one looks
		}
		if there && !f.isHere(computer, conn.id) { // it ended just now
			_, err = f.o.Store.Nodes().Disconnect(ctx, computer.ID, conn.id, f.now())
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

func (f *Fleet) isHere(computer store.Ref, conn string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.here[computer].id == conn
}

// Connected notes that a computer is connected to this node now; a connection
// that it had before, here or elsewhere, is closed by whoever holds it. With a
// full disk only this node knows, until there is room.
func (f *Fleet) Connected(ctx context.Context, computer store.Ref, conn string) error {
	c := connection{id: conn, since: f.now()}
	f.mu.Lock()
	older, had := f.here[computer]
	f.here[computer] = c // before the database has it, so that depart does not take it for one that ended
	f.mu.Unlock()
	err := f.o.Store.Nodes().Connect(ctx, computer.ID, f.run, conn, c.since)
	f.mu.Lock()
	switch mine := f.here[computer] == c; {
	case mine && store.DiskFull(err):
		f.here[computer] = connection{id: conn, since: c.since, unknown: true}
	case mine && err != nil && had:
		f.here[computer] = older
	case mine && err != nil:
		delete(f.here, computer)
	}
	f.mu.Unlock()
	if store.DiskFull(err) {
		f.o.Log.Warn("connection not noted yet", "computer", computer.ID, "err", err)
	} else if err != nil {
		return fmt.Errorf("note connection: %w", err)
	}
	f.replace(computer.ID, conn)
	f.changed(computer)
	return nil
}

// replace has whoever holds another connection of a computer look which counts.
func (f *Fleet) replace(computer, conn string) {
	f.toAgent(computer, &orielv1.BusMessage{Body: &orielv1.BusMessage_AgentReplaced{
		AgentReplaced: &orielv1.BusAgentReplaced{Connection: conn}}})
}

// Replaced reports whether a computer has another connection than this one,
// which was Connected.
func (f *Fleet) Replaced(ctx context.Context, computer store.Ref, conn string) (bool, error) {
	f.mu.Lock()
	here := f.here[computer]
	f.mu.Unlock()
	if here.unknown && here.id != conn {
		return true, nil // by one that only this node knows of
	}
	now, since, err := f.o.Store.Nodes().Connection(ctx, computer.ID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up connection: %w", err)
	}
	if here.unknown && since <= here.since {
		return false, nil // that was before
	}
	return now != conn, nil
}

// Disconnected notes that a connection ended.
func (f *Fleet) Disconnected(ctx context.Context, computer store.Ref, conn string) error {
	f.mu.Lock()
	was := f.here[computer]
	if was.id == conn {
		delete(f.here, computer)
	}
	f.mu.Unlock()
	at := f.now()
	gone, err := f.o.Store.Nodes().Disconnect(ctx, computer.ID, conn, at)
	if err != nil {
		f.mu.Lock()
		f.gone[computer] = at
		f.mu.Unlock()
		err = fmt.Errorf("note the end of a connection: %w", err)
	}
	if gone || err != nil && was.id == conn {
		f.changed(computer)
	}
	return err
}

// unwritten is what a computer said of itself, until the disk has room for it.
type unwritten struct {
	what  string // of a computer only the newest word of a kind counts
	write func(context.Context) error
}

// save writes what a computer says of itself; with a full disk, later.
func (f *Fleet) save(ctx context.Context, computer store.Ref, what string, write func(context.Context) error) error {
	err := write(ctx)
	if err != nil && !store.DiskFull(err) {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	// Either way it is newer than what was kept.
	kept := slices.DeleteFunc(slices.Clone(f.owed[computer]), func(u *unwritten) bool { return u.what == what })
	if err != nil {
		f.o.Log.Warn("word of a computer not saved yet", "computer", computer.ID, "what", what, "err", err)
		kept = append(kept, &unwritten{what, write})
	}
	if f.owed[computer] = kept; len(kept) == 0 {
		delete(f.owed, computer)
	}
	return nil
}

// repay writes what save could not.
func (f *Fleet) repay(ctx context.Context) error {
	f.mu.Lock()
	owed := maps.Clone(f.owed)
	f.mu.Unlock()
	for computer, all := range owed {
		for _, u := range all {
			err := u.write(ctx)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			f.mu.Lock()
			kept := slices.DeleteFunc(slices.Clone(f.owed[computer]), func(now *unwritten) bool { return now == u })
			if f.owed[computer] = kept; len(kept) == 0 {
				delete(f.owed, computer)
			}
			f.mu.Unlock()
		}
		f.changed(computer)
	}
	return nil
}
