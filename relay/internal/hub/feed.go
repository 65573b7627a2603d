package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
)

// feed collects what tabs are to be told. One goroutine (runFeed) looks it up
// and sends it, so that a tab's snapshot and its deltas come in order.
type feed struct {
	wake chan struct{} // there is something to do

	mu      sync.Mutex
	changed map[store.OrganizationID]news // protected by mu
	fresh   map[*tab]bool                 // protected by mu; tabs that want a snapshot
}

// news are the ids of what changed in one organization.
type news struct {
	computers map[string]change
	sessions  map[string]bool
}

// change is what became of a computer; the greater one holds.
type change int

const (
	pictured change = iota // it has another preview
	changed
	removed
)

func newFeed() *feed {
	return &feed{wake: make(chan struct{}, 1), changed: make(map[store.OrganizationID]news), fresh: make(map[*tab]bool)}
}

// of is what changed in an organization; mu is held.
func (f *feed) of(o store.OrganizationID) news {
	n, known := f.changed[o]
	if !known {
		n = news{make(map[string]change), make(map[string]bool)}
		f.changed[o] = n
	}
	return n
}

func (f *feed) computers(o store.OrganizationID, what change, ids ...string) {
	f.add(func() {
		for _, id := range ids {
			f.of(o).computers[id] = max(f.of(o).computers[id], what)
		}
	})
}

func (f *feed) session(o store.OrganizationID, id, computer string) {
	f.computers(o, changed, computer) // "in session" shows there
	f.add(func() { f.of(o).sessions[id] = true })
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

func (f *feed) takeChanges() map[store.OrganizationID]news {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.changed
	f.changed = make(map[store.OrganizationID]news)
	return all
}

func (h *Hub) runFeed(ctx context.Context) {
	gather := time.NewTimer(0)
	gather.Stop()
	defer gather.Stop()
	tally := time.NewTimer(0)
	tally.Stop()
	defer tally.Stop()
	gathering, counting := false, false
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
		case <-tally.C:
			counting = false
			h.tallies(ctx)
		}
		if !counting && h.anyDue() {
			counting = true
			tally.Reset(TallyEvery)
		}
	}
}

// snapshots sends each tab all of what it watches and may see, after saying that what
// it may see no more is gone. What changed since it was read follows as a delta.
func (h *Hub) snapshots(ctx context.Context, tabs map[*tab]bool) {
	ctx, cancel := context.WithTimeout(ctx, dbWithin)
	defer cancel()
	lists := h.listed()
	entries := map[reader][]*orielv1.JournalEntry{}
	for t := range tabs {
		a := t.audience()
		if !a.shown || a.computers {
			t.tally = tallied{}
		}
		if a.computers {
			list, err := lists(ctx, a)
			before := slices.Collect(maps.Keys(t.has))
			if err == nil && t.shown.All && !a.see.All {
				var all []*orielv1.Computer
				all, err = lists(ctx, audience{organization: a.organization, see: t.shown})
				before = idsOf(all)
			}
			if err != nil {
				h.retry(ctx, tabs, err)
				return
			}
			t.removed(missing(before, list))
			t.shown, t.has = a.see, nil
			t.knows(list)
			sendComputers(t, list)
		} else if a.shown {
			if err := h.show(ctx, t, a); err != nil {
				h.retry(ctx, tabs, err)
				return
			}
		}
		if !a.journal {
			continue
		}
		newest, known := entries[a.reader()]
		if !known {
			var err error
			if newest, _, err = h.o.Journal.Page(ctx, a.organization, a.read, journal.Filter{}, "", page.Max); err != nil {
				h.retry(ctx, tabs, err)
				return
			}
			entries[a.reader()] = newest
		}
		t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_Journal{Journal: &orielv1.JournalSnapshot{Entries: newest, Audience: a.reader().name(t.gone)}}})
	}
}

// reader is one of those who read the same sessions.
type reader struct {
	organization store.OrganizationID
	read         string
}

func (a audience) reader() reader { return reader{a.organization, a.read.Key()} }

// name is the same for those who read the same; gone is how often sessions went out of
// their sight otherwise.
func (r reader) name(gone int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %d", r.organization, r.read, gone))
	return hex.EncodeToString(sum[:8])
}

// listed looks computers up as audiences see them, once for each audience.
func (h *Hub) listed(ids ...string) func(context.Context, audience) ([]*orielv1.Computer, error) {
	type key struct {
		organization store.OrganizationID
		see, may     string
	}
	known := map[key][]*orielv1.Computer{}
	return func(ctx context.Context, a audience) ([]*orielv1.Computer, error) {
		k := key{a.organization, a.see.Key(), a.may.Key()}
		if all, ok := known[k]; ok || a.see.None() {
			return all, nil
		}
		all, err := h.o.Fleet.Lookup(ctx, a.organization, a.see, a.may.On, ids...)
		if err != nil {
			return nil, err
		}
		brief(all)
		known[k] = all
		return all, nil
	}
}

// brief leaves out what no list shows.
func brief(all []*orielv1.Computer) {
	for _, c := range all {
		if addresses := c.GetSummary().GetAddresses(); len(addresses) > listAddresses {
			c.Summary.Addresses = addresses[:listAddresses]
		}
	}
}

// listAddresses that a list shows of a computer.
const listAddresses = 4

// knows remembers that it was told of these, if it may not know of all.
func (t *tab) knows(all []*orielv1.Computer) {
	if t.shown.All {
		return
	}
	if t.has == nil {
		t.has = make(map[string]bool, len(all))
	}
	for _, c := range all {
		t.has[c.GetId()] = true
	}
}

func (t *tab) removed(ids []string) {
	for _, id := range ids {
		delete(t.has, id)
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
	tabs := make(map[store.OrganizationID][]*tab)
	h.mu.Lock()
	for t := range h.tabs {
		tabs[t.who.Organization] = append(tabs[t.who.Organization], t)
	}
	h.mu.Unlock()
	for o, news := range h.feed.takeChanges() {
		if err := h.tell(ctx, o, news, tabs[o]); err != nil {
			h.later(ctx, o, news, err)
		}
	}
}

// tell tells tabs of one organization what changed there. Its error is the database's,
// which did not answer.
func (h *Hub) tell(ctx context.Context, o store.OrganizationID, news news, tabs []*tab) error {
	computers, sessions := slices.Collect(maps.Keys(news.computers)), slices.Collect(maps.Keys(news.sessions))
	lists := h.listed(computers...)
	known := map[reader][]*orielv1.JournalEntry{}
	entries := func(a audience) (all []*orielv1.JournalEntry, err error) {
		all, found := known[a.reader()]
		if !found {
			if all, err = h.o.Journal.Lookup(ctx, o, a.read, sessions...); err == nil {
				known[a.reader()] = all
			}
		}
		return all, err
	}
	gone := slices.Contains(slices.Collect(maps.Values(news.computers)), removed)
	shown := h.shownOf(o, news)
	for _, t := range tabs { // all is read before anybody is told
		a := t.audience()
		err := shown.read(ctx, a)
		if a.computers && len(computers) > 0 && err == nil {
			_, err = lists(ctx, a)
		}
		if a.journal && len(sessions) > 0 && err == nil {
			_, err = entries(a)
		}
		if err != nil {
			return err
		}
	}
	for _, t := range tabs {
		a := t.audience()
		if a.computers && len(computers) > 0 {
			all, err := lists(ctx, a) // known, unless what it may see has just changed
			if err != nil {
				return err
			}
			for _, one := range all {
				t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_Computer{Computer: one}})
			}
			// Of what it never might see it is not told that it is gone.
			t.removed(slices.DeleteFunc(missing(computers, all), func(id string) bool { return !t.shown.All && !t.has[id] }))
			t.knows(all)
		}
		if err := shown.tell(ctx, t, a); err != nil {
			return err
		}
		if a.journal && len(sessions) > 0 {
			all, err := entries(a)
			if err != nil {
				return err
			}
			for _, e := range all {
				t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_JournalEntry{JournalEntry: e}})
			}
		}
		if a.journal && gone && !a.read.All { // with its computer a session went out of sight
			t.gone++
			h.feed.snapshot(t)
		}
	}
	return nil
}

// later puts changes back: the database did not answer.
func (h *Hub) later(ctx context.Context, o store.OrganizationID, news news, err error) {
	if ctx.Err() == nil {
		h.o.Log.Warn("changes for tabs", "err", err)
	}
	h.feed.put(func() {
		n := h.feed.of(o)
		for id, what := range news.computers {
			n.computers[id] = max(n.computers[id], what)
		}
		maps.Copy(n.sessions, news.sessions)
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
