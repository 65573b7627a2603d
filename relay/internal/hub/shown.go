package hub

import (
	"context"
	"slices"
	"strings"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/store"
)

// A page of a long list names the computers that it shows. Its tab is told of those, and
// how many computers there are of each status: what a message costs does not grow with
// the fleet. Of the others it hears only how many changed, so that the page can say so or
// ask for its list again.

// tallied is what a tab was last told of how many computers there are.
type tallied struct {
	see     string // Visibility.Key of what it may see; empty: nothing yet
	changed int    // computers since, that the page does not show
	due     bool
}

// show sends the computers that a tab's page shows.
func (h *Hub) show(ctx context.Context, t *tab, a audience) error {
	var list []*orielv1.Computer
	if len(a.ids) > 0 {
		var err error
		if list, err = h.listed(a.ids...)(ctx, a); err != nil {
			return err
		}
	}
	counts := []*orielv1.ComputerTally_Count(nil)
	fresh := t.tally.see != a.see.Key()
	if fresh {
		var err error
		if counts, err = h.counts(ctx, a); err != nil {
			return err
		}
	}
	t.removed(slices.DeleteFunc(missing(a.ids, list), func(id string) bool { return !t.has[id] }))
	t.shown, t.has = access.Visibility{}, nil // it knows of those that it is told of
	t.knows(list)
	t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_Computers{Computers: &orielv1.ComputersSnapshot{Computers: list}}})
	if fresh {
		t.sendTally(a, counts)
	}
	return nil
}

// counts are how many computers of each status an audience may see.
func (h *Hub) counts(ctx context.Context, a audience) ([]*orielv1.ComputerTally_Count, error) {
	all, err := h.o.Fleet.Statuses(ctx, a.organization, a.see)
	if err != nil {
		return nil, err
	}
	var counts []*orielv1.ComputerTally_Count
	for status := range orielv1.Computer_Status_name {
		if n := all[orielv1.Computer_Status(status)]; n > 0 {
			counts = append(counts, &orielv1.ComputerTally_Count{Status: orielv1.Computer_Status(status), Count: n})
		}
	}
	slices.SortFunc(counts, func(a, b *orielv1.ComputerTally_Count) int { return int(a.Status) - int(b.Status) })
	return counts, nil
}

func (t *tab) sendTally(a audience, counts []*orielv1.ComputerTally_Count) {
	t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_ComputerTally{ComputerTally: &orielv1.ComputerTally{Counts: counts, Changed: uint32(t.tally.changed)}}})
	t.tally = tallied{see: a.see.Key()}
}

// anyDue reports whether a tab is to be told how many computers there are.
func (h *Hub) anyDue() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for t := range h.tabs {
		if t.tally.due {
			return true
		}
	}
	return false
}

// tallies tells the tabs that are due how many computers there are.
func (h *Hub) tallies(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, dbWithin)
	defer cancel()
	var due []*tab
	h.mu.Lock()
	for t := range h.tabs {
		if t.tally.due {
			due = append(due, t)
		}
	}
	h.mu.Unlock()
	known := map[reader][]*orielv1.ComputerTally_Count{} // by what is seen
	for _, t := range due {
		a := t.audience()
		if !a.shown {
			t.tally.due = false // its snapshot is on the way
			continue
		}
		k := reader{a.organization, a.see.Key()}
		counts, there := known[k]
		if !there {
			var err error
			if counts, err = h.counts(ctx, a); err != nil {
				if ctx.Err() == nil {
					h.o.Log.Warn("computers not counted for tabs", "err", err)
				}
				return // they stay due
			}
			known[k] = counts
		}
		t.sendTally(a, counts)
	}
}

// shownNews is what changed, for tabs that name what they show.
type shownNews struct {
	h       *Hub
	o       store.OrganizationID
	news    news
	others  []string                                                                // that changed in more than their pictures
	lists   map[string]func(context.Context, audience) ([]*orielv1.Computer, error) // by the ids that are looked up
	visible map[string]map[string]bool                                              // of others, by Visibility.Key
}

func (h *Hub) shownOf(o store.OrganizationID, n news) *shownNews {
	s := &shownNews{h: h, o: o, news: n, lists: map[string]func(context.Context, audience) ([]*orielv1.Computer, error){}, visible: map[string]map[string]bool{}}
	for id, what := range n.computers {
		if what != pictured {
			s.others = append(s.others, id)
		}
	}
	return s
}

// of are the ids of what changed of the computers that a page shows, and they as they are.
func (s *shownNews) of(ctx context.Context, a audience) (ids []string, all []*orielv1.Computer, err error) {
	for _, id := range a.ids {
		if _, is := s.news.computers[id]; is {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil, nil
	}
	k := strings.Join(ids, ",")
	if s.lists[k] == nil {
		s.lists[k] = s.h.listed(ids...)
	}
	all, err = s.lists[k](ctx, a)
	return ids, all, err
}

// seen are those of others that an audience may see. What is gone is seen by who sees all.
func (s *shownNews) seen(ctx context.Context, a audience) (map[string]bool, error) {
	k := a.see.Key()
	if all, known := s.visible[k]; known || len(s.others) == 0 {
		return all, nil
	}
	ids := s.others
	if !a.see.All {
		var err error
		if ids, err = s.h.o.Fleet.Visible(ctx, s.o, a.see, s.others...); err != nil {
			return nil, err
		}
	}
	all := make(map[string]bool, len(ids))
	for _, id := range ids {
		all[id] = true
	}
	s.visible[k] = all
	return all, nil
}

// read looks up what tell tells.
func (s *shownNews) read(ctx context.Context, a audience) error {
	if !a.shown || a.computers {
		return nil
	}
	_, _, err := s.of(ctx, a)
	if err == nil {
		_, err = s.seen(ctx, a)
	}
	return err
}

// tell tells a tab what changed of what its page shows, and counts the others.
func (s *shownNews) tell(ctx context.Context, t *tab, a audience) error {
	if !a.shown || a.computers {
		return nil
	}
	ids, all, err := s.of(ctx, a)
	if err != nil {
		return err
	}
	seen, err := s.seen(ctx, a)
	if err != nil {
		return err
	}
	for _, one := range all {
		t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_Computer{Computer: one}})
	}
	left := slices.DeleteFunc(missing(ids, all), func(id string) bool { return !t.has[id] })
	t.removed(left)
	t.knows(all)
	shown := make(map[string]bool, len(a.ids))
	for _, id := range a.ids {
		shown[id] = true
	}
	for id := range seen {
		if !shown[id] {
			t.tally.changed++
		}
	}
	t.tally.due = t.tally.due || len(left)+len(seen) > 0
	return nil
}
