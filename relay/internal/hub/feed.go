package hub

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
)

// feed collects what tabs are to be told. One goroutine (runFeed) looks it up
// and sends it, so that a tab's snapshot and its deltas come in order.
type feed struct {
	wake chan struct{} // there is something to do

	mu       sync.Mutex
	changed  map[string]bool // protected by mu; computers
	sessions map[string]bool // protected by mu
	fresh    map[*tab]bool   // protected by mu; tabs that want a snapshot
}

func newFeed() *feed {
	return &feed{wake: make(chan struct{}, 1), changed: make(map[string]bool), sessions: make(map[string]bool), fresh: make(map[*tab]bool)}
}

func (f *feed) computers(ids ...string) {
	f.add(func() {
		for _, id := range ids {
			f.changed[id] = true
		}
	})
}

func (f *feed) session(id, computer string) {
	f.add(func() { f.sessions[id], f.changed[computer] = true, true }) // "in session" shows at the computer
}

func (f *feed) snapshot(t *tab) { f.add(func() { f.fresh[t] = true }) }

func (f *feed) add(fn func()) {
	f.put(fn)
	f.poke()
}

func (f *feed) put(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
}

func (f *feed) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *feed) takeFresh() map[*tab]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	fresh := f.fresh
	f.fresh = make(map[*tab]bool)
	return fresh
}

func (f *feed) takeChanges() (computers, sessions []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.changed {
		computers = append(computers, id)
	}
	for id := range f.sessions {
		sessions = append(sessions, id)
	}
	clear(f.changed)
	clear(f.sessions)
	return computers, sessions
}

func (h *Hub) runFeed(ctx context.Context) {
	gather := time.NewTimer(0)
	gather.Stop()
	defer gather.Stop()
	gathering := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.feed.wake:
			if fresh := h.feed.takeFresh(); len(fresh) > 0 {
				h.snapshots(ctx, fresh)
			}
			if !gathering {
				gathering = true
				gather.Reset(Gather)
			}
		case <-gather.C:
			gathering = false
			h.deltas(ctx)
		}
	}
}

// snapshots sends each tab all of what it watches. What changed since it was
// read follows as a delta.
func (h *Hub) snapshots(ctx context.Context, tabs map[*tab]bool) {
	ctx, cancel := context.WithTimeout(ctx, dbWithin)
	defer cancel()
	var computers, journals, controls bool
	for t := range tabs {
		c, j, may := t.watches()
		computers, journals, controls = computers || c, journals || j, controls || may
	}
	var list variants
	var entries []*orielv1.JournalEntry
	if computers {
		all, err := h.o.Fleet.List(ctx)
		if err != nil {
			h.retry(ctx, tabs, err)
			return
		}
		list = variantsOf(all, controls)
	}
	if journals {
		var err error
		if entries, _, err = h.o.Journal.Page(ctx, store.SessionFilter{}, "", page.Max); err != nil {
			h.retry(ctx, tabs, err)
			return
		}
	}
	for t := range tabs {
		c, j, may := t.watches()
		if c {
			sendComputers(t, list.of(may))
		}
		if j {
			t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_Journal{Journal: &orielv1.JournalSnapshot{Entries: entries}}})
		}
	}
}

// retryAfter is how long the database is left alone when it did not answer.
const retryAfter = time.Second

// retry leaves a snapshot for later: the database did not answer.
func (h *Hub) retry(ctx context.Context, tabs map[*tab]bool, err error) {
	if ctx.Err() == nil {
		h.o.Log.Warn("snapshot for tabs", "err", err)
	}
	h.feed.put(func() {
		for t := range tabs {
			h.feed.fresh[t] = t.conn.Err() == nil
		}
	})
	time.AfterFunc(retryAfter, h.feed.poke)
}

// maxSnapshot leaves room for the envelope below the wire's bound.
const maxSnapshot = orielv1.MaxMessage - 64<<10

// sendComputers sends a snapshot, and what does not fit into one message as
// computers that were added.
func sendComputers(t *tab, all []*orielv1.Computer) {
	size, n := 0, 0
	for n < len(all) && size < maxSnapshot {
		size += proto.Size(all[n]) + 8
		n++
	}
	if size >= maxSnapshot {
		n--
	}
	t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_Computers{Computers: &orielv1.ComputersSnapshot{Computers: all[:n]}}})
	for _, c := range all[n:] {
		t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_Computer{Computer: c}})
	}
}

// deltas sends what changed to those who watch it.
func (h *Hub) deltas(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, dbWithin)
	defer cancel()
	h.mu.Lock()
	tabs := make([]*tab, 0, len(h.tabs))
	for t := range h.tabs {
		tabs = append(tabs, t)
	}
	h.mu.Unlock()
	var computers, journals, controls bool
	for _, t := range tabs {
		c, j, may := t.watches()
		computers, journals, controls = computers || c, journals || j, controls || may
	}
	changed, sessions := h.feed.takeChanges()
	var list variants
	var removed []string
	if computers && len(changed) > 0 {
		all, err := h.o.Fleet.Lookup(ctx, changed...)
		if err != nil {
			h.later(ctx, changed, sessions, err)
			return
		}
		removed = missing(changed, all)
		list = variantsOf(all, controls)
	}
	var entries []*orielv1.JournalEntry
	if journals && len(sessions) > 0 {
		var err error
		if entries, err = h.o.Journal.Lookup(ctx, sessions...); err != nil {
			h.later(ctx, changed, sessions, err)
			return
		}
	}
	for _, t := range tabs {
		c, j, may := t.watches()
		if c {
			for _, one := range list.of(may) {
				t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_Computer{Computer: one}})
			}
			for _, id := range removed {
				t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_ComputerRemoved{ComputerRemoved: &orielv1.ComputerRemoved{Id: id}}})
			}
		}
		if j {
			for _, e := range entries {
				t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_JournalEntry{JournalEntry: e}})
			}
		}
	}
}

// later puts changes back: the database did not answer.
func (h *Hub) later(ctx context.Context, computers, sessions []string, err error) {
	if ctx.Err() == nil {
		h.o.Log.Warn("changes for tabs", "err", err)
	}
	h.feed.put(func() {
		for _, id := range computers {
			h.feed.changed[id] = true
		}
		for _, id := range sessions {
			h.feed.sessions[id] = true
		}
	})
	time.AfterFunc(retryAfter, h.feed.poke)
}

func missing(asked []string, found []*orielv1.Computer) []string {
	have := make(map[string]bool, len(found))
	for _, c := range found {
		have[c.GetId()] = true
	}
	var gone []string
	for _, id := range asked {
		if !have[id] {
			gone = append(gone, id)
		}
	}
	return gone
}

// variants of a list: as those see it who may control, and the others.
type variants struct{ watch, control []*orielv1.Computer }

// listAddresses that a list shows of a computer.
const listAddresses = 4

func variantsOf(all []*orielv1.Computer, controls bool) variants {
	v := variants{watch: all}
	for _, c := range all {
		if a := c.GetSummary().GetAddresses(); len(a) > listAddresses {
			c.Summary.Addresses = a[:listAddresses]
		}
	}
	if !controls {
		return v
	}
	v.control = make([]*orielv1.Computer, len(all))
	for i, c := range all {
		v.control[i] = proto.CloneOf(c)
		v.control[i].MayControl = true
	}
	return v
}

func (v variants) of(control bool) []*orielv1.Computer {
	if control && v.control != nil {
		return v.control
	}
	return v.watch
}
