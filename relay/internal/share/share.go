// Package share gives out the places of a bound, so that nobody who takes many
// keeps the others out. The rule, at every bound of the relay:
//
//   - A place is undecided until its holder has said who it is, or done what
//     the bound waits for. Until then others may take it.
//   - Each address has a share: an IPv4 address, and of IPv6 the /64, the /56
//     and the /48 around it, the latter two with twice and four times as much,
//     because one customer of a provider may have all of them.
//   - Where a share or the whole is full, the oldest undecided holder in it
//     goes, and the newcomer has the place; first in the narrowest, so that who
//     fills a share makes place from it, and not from that of others. Silence is what an attack is made
//     of; who is honest decides within a round trip, and is gone from the
//     undecided before it is the oldest.
//   - A newcomer is refused only where everybody in the share or in the whole
//     has decided. Decided places are therefore limited by what deciding costs
//     (a key, a sign-in), and their shares are far larger: several hundred
//     people and computers of one office have one address.
//
// Places waits for others: for a byte, a greeting, a body. Queue is for what
// the relay itself is slow at. There the oldest is the next to be served, so
// that evicting it would serve nobody; instead networks take turns.
//
// The address is that of the connection, or where a trusted proxy made that,
// the one that access.Proxies tells. The zero netip.Addr has no share and counts in
// the whole alone: connections of a trusted proxy.
package share

import (
	"container/list"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bound of places that are held at once.
type Bound struct {
	All     int
	Address int // of one IPv4 address or IPv6 /64
}

// network is a prefix with a share of its own, and how many shares it has.
type network struct {
	prefix netip.Prefix
	shares int
}

// networks of a, from the narrowest.
func networks(a netip.Addr) []network {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return nil
	}
	if a.Is4() {
		return []network{{netip.PrefixFrom(a, 32), 1}}
	}
	of := func(bits int) netip.Prefix { p, _ := a.Prefix(bits); return p } // bits are right for IPv6
	return []network{{of(64), 1}, {of(56), 2}, {of(48), 4}}
}

// Network is the narrowest that a has a share in.
func Network(a netip.Addr) netip.Prefix {
	if all := networks(a); len(all) > 0 {
		return all[0].prefix
	}
	return netip.Prefix{}
}

// Subjects are names of the networks that a has a share in, with the limit of
// each where that of an address is limit. They are for counting elsewhere;
// all who have no address have one name.
func Subjects(a netip.Addr, limit int) map[string]int {
	all := map[string]int{}
	if !a.IsValid() {
		all["unknown"] = limit
	}
	for _, n := range networks(a) {
		all[n.prefix.String()] = n.shares * limit
	}
	return all
}

// sayEvery is how often the log says that a bound is reached.
const sayEvery = 10 * time.Second

// Places of one bound. Its methods may be called from any goroutine.
type Places struct {
	name  string
	bound Bound
	log   *slog.Logger
	say   rate.Sometimes

	mu               sync.Mutex
	all              group                   // protected by mu
	nets             map[netip.Prefix]*group // protected by mu
	evicted, refused uint64                  // protected by mu
}

// group is the holders of a network, or all.
type group struct {
	held      int
	undecided list.List // of *Place, the oldest first
}

// New makes the places of a bound. The log, which may be nil, calls it name.
func New(name string, b Bound, log *slog.Logger) *Places {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Places{name: name, bound: b, log: log, say: rate.Sometimes{First: 1, Interval: sayEvery}, nets: map[netip.Prefix]*group{}}
}

// Place is one that is held. A nil Place is held by nobody; its methods do nothing.
type Place struct {
	p      *Places
	nets   []network
	evict  func()
	held   bool            // protected by Places.mu
	inAll  *list.Element   // protected by Places.mu; nil: decided
	inNets []*list.Element // protected by Places.mu
}

// Take gives a newcomer from a an undecided place. evict is called at most
// once, when another needs it; the place is given up by then. Places must not
// be called from it before it returns. nil: all places are held by decided ones.
func (p *Places) Take(a netip.Addr, evict func()) *Place {
	one := &Place{p: p, nets: networks(a), evict: evict}
	p.mu.Lock()
	full, bound := false, "all"
	for g, limit := range p.groups(one.nets) {
		if g.held < limit {
			continue
		}
		if full = true; limit != p.bound.All {
			bound = "address"
		}
		if g.undecided.Len() == 0 {
			p.refused++
			p.mu.Unlock()
			p.reached(a, bound, true)
			return nil
		}
	}
	var gone []*Place
	for g, limit := range p.groups(one.nets) {
		for g.held >= limit && g.undecided.Len() > 0 {
			old := g.undecided.Front().Value.(*Place)
			p.release(old)
			p.evicted++
			gone = append(gone, old)
		}
	}
	one.held = true
	p.all.held++
	for _, n := range one.nets {
		g := p.nets[n.prefix]
		if g == nil {
			g = &group{}
			p.nets[n.prefix] = g
		}
		g.held++
	}
	p.enlist(one)
	p.mu.Unlock()
	if full {
		p.reached(a, bound, false)
	}
	for _, old := range gone {
		old.evict()
	}
	return one
}

// groups are those that a newcomer of nets would be counted in, with their
// limits: the whole last. Places.mu is held.
func (p *Places) groups(nets []network) func(func(*group, int) bool) {
	return func(yield func(*group, int) bool) {
		for _, n := range nets {
			if g := p.nets[n.prefix]; g != nil && !yield(g, n.shares*p.bound.Address) {
				return
			}
		}
		yield(&p.all, p.bound.All)
	}
}

func (p *Places) reached(a netip.Addr, bound string, refused bool) {
	p.say.Do(func() {
		p.log.Warn("a bound is reached; undecided ones make place for newcomers (raise it if they are honest)",
			"bound", p.name, "of", bound, "client", a, "refused", refused)
	})
}

// enlist makes one the youngest undecided. Places.mu is held.
func (p *Places) enlist(one *Place) {
	one.inAll = p.all.undecided.PushBack(one)
	one.inNets = one.inNets[:0]
	for _, n := range one.nets {
		one.inNets = append(one.inNets, p.nets[n.prefix].undecided.PushBack(one))
	}
}

// delist takes one from the undecided. Places.mu is held.
func (p *Places) delist(one *Place) {
	if one.inAll == nil {
		return
	}
	p.all.undecided.Remove(one.inAll)
	for i, n := range one.nets {
		p.nets[n.prefix].undecided.Remove(one.inNets[i])
	}
	one.inAll = nil
}

// release gives the place of one up. Places.mu is held.
func (p *Places) release(one *Place) {
	if !one.held {
		return
	}
	p.delist(one)
	one.held = false
	p.all.held--
	for _, n := range one.nets {
		g := p.nets[n.prefix]
		if g.held--; g.held == 0 {
			delete(p.nets, n.prefix)
		}
	}
}

// Decide keeps the place from being taken; false: it was taken already.
func (one *Place) Decide() bool {
	if one == nil {
		return false
	}
	one.p.mu.Lock()
	defer one.p.mu.Unlock()
	one.p.delist(one)
	return one.held
}

// Renew makes its holder the youngest of the undecided.
func (one *Place) Renew() {
	if one == nil {
		return
	}
	one.p.mu.Lock()
	defer one.p.mu.Unlock()
	if one.held {
		one.p.delist(one)
		one.p.enlist(one)
	}
}

// Leave gives the place up; twice is once.
func (one *Place) Leave() {
	if one == nil {
		return
	}
	one.p.mu.Lock()
	defer one.p.mu.Unlock()
	one.p.release(one)
}

// Stats of a bound: places held now, and holders that made place and newcomers
// that were refused since the start.
type Stats struct {
	Held             int
	Evicted, Refused uint64
}

// Stats of this moment.
func (p *Places) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{p.all.held, p.evicted, p.refused}
}
