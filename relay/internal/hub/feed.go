package hub

import (
	"context"
	"slices"
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

// snapshots sends each tab all of what it watches and may see, after saying that what
// it may see no more is gone. What changed since it was read follows as a delta.
func (h *Hub) snapshots(ctx context.Context, tabs map[*tab]bool) {
	ctx, cancel := context.WithTimeout(ctx, dbWithin)
	defer cancel()
	lists := h.listed()
	var entries []*orielv1.JournalEntry
	for t := range tabs {
		a := t.audience()
		if a.computers {
			list, err := lists(ctx, a)
			if err == nil && t.shown.Key() != a.see.Key() {
				var before []*orielv1.Computer
				if before, err = lists(ctx, audience{see: t.shown}); err == nil {
					t.removed(missing(idsOf(before), list))
				}
			}
			if err != nil {
				h.retry(ctx, tabs, err)
				return
			}
			t.shown = a.see
			sendComputers(t, list)
		}
		if a.journal && entries == nil {
			newest, _, err := h.o.Journal.Page(ctx, store.SessionFilter{}, "", page.Max)
			if err != nil {
				h.retry(ctx, tabs, err)
				return
			}
			entries = append([]*orielv1.JournalEntry{}, newest...)
		}
		if a.journal {
			t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_Journal{Journal: &orielv1.JournalSnapshot{Entries: entries}}})
		}
	}
}

// listed looks computers up as audiences see them, once for each audience.
func (h *Hub) listed(ids ...string) func(context.Context, audience) ([]*orielv1.Computer, error) {
	type key struct{ see, control string }
	known := map[key][]*orielv1.Computer{}
	return func(ctx context.Context, a audience) ([]*orielv1.Computer, error) {
		k := key{a.see.Key(), a.control.Key()}
		if all, ok := known[k]; ok || a.see.None() {
			return all, nil
		}
		all, err := h.o.Fleet.Lookup(ctx, a.see, ids...)
		if err != nil {
			return nil, err
		}
		for _, c := range all {
			c.MayControl = a.control.Includes(c.GetId())
			if addresses := c.GetSummary().GetAddresses(); len(addresses) > listAddresses {
				c.Summary.Addresses = addresses[:listAddresses]
			}
		}
		known[k] = all
		return all, nil
	}
}

// listAddresses that a list shows of a computer.
const listAddresses = 4

func (t *tab) removed(ids []string) {
	for _, id := range ids {
		t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_ComputerRemoved{ComputerRemoved: &orielv1.ComputerRemoved{Id: id}}})
	}
}

func idsOf(all []*orielv1.Computer) []string {
	ids := make([]string, len(all))
	for i, c := range all {
		ids[i] = c.GetId()
	}
	return ids
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
			if t.conn.Err() == nil {
				h.feed.fresh[t] = true
			}
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
	changed, sessions := h.feed.takeChanges()
	lists := h.listed(changed...)
	var entries []*orielv1.JournalEntry
	for _, t := range tabs { // all is read before anybody is told
		a := t.audience()
		var err error
		if a.computers && len(changed) > 0 {
			_, err = lists(ctx, a)
		}
		if a.journal && len(sessions) > 0 && entries == nil && err == nil {
			entries, err = h.o.Journal.Lookup(ctx, sessions...)
		}
		if err != nil {
			h.later(ctx, changed, sessions, err)
			return
		}
	}
	for _, t := range tabs {
		a := t.audience()
		if a.computers && len(changed) > 0 {
			all, err := lists(ctx, a) // known, unless what it may see has just changed
			if err != nil {
				h.later(ctx, changed, sessions, err)
				return
			}
			for _, one := range all {
				t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_Computer{Computer: one}})
			}
			// Of what it never might see it is not told that it is gone.
			t.removed(slices.DeleteFunc(missing(changed, all), func(id string) bool { return !a.see.Includes(id) }))
		}
		if a.journal {
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
