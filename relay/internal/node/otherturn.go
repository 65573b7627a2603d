package node

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/config"
)

// # TURN of the other nodes
//
// A session relayed by one node only stands still when that node dies. So each node says
// on the bus where its TURN is, and browsers and agents are named that of two others
// beside the own. A node that says nothing for a while is forgotten, one that stops says
// so. What another node says is checked like a setting: a browser refuses all servers for
// one address that it cannot read.

const (
	turnEvery    = 2 * time.Second
	turnLifetime = 3 * turnEvery
	maxTURNNodes = 64 // that are remembered
	maxOtherTURN = 2  // that are named; each costs browser and agent an allocation
)

// otherTURN is what other nodes said of their TURN.
type otherTURN struct {
	now   func() time.Time
	mu    sync.Mutex
	nodes map[string]saidTURN // protected by mu; by name
}

type saidTURN struct {
	urls []string
	at   time.Time
}

func newOtherTURN(now func() time.Time) *otherTURN {
	return &otherTURN{now: now, nodes: make(map[string]saidTURN)}
}

// note remembers what a node said. Addresses that are none are left out.
func (o *otherTURN) note(m *orielv1.BusTURN) {
	var urls []string
	for _, u := range m.GetUrls() {
		if isTURN(u) {
			urls = append(urls, u)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forget()
	_, known := o.nodes[m.GetNode()]
	switch {
	case m.GetNode() == "" || len(urls) == 0:
		delete(o.nodes, m.GetNode())
	case known || len(o.nodes) < maxTURNNodes:
		o.nodes[m.GetNode()] = saidTURN{urls, o.now()}
	}
}

// get is the TURN of two nodes at most, those that follow the one of that name in the
// order of names, so that all are named as often. What own has is left out, as of nodes
// behind one address.
func (o *otherTURN) get(name string, own []string) (all [][]string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forget()
	var names []string
	for other := range o.nodes {
		if other != name {
			names = append(names, other)
		}
	}
	slices.Sort(names)
	first, _ := slices.BinarySearch(names, name)
	seen := slices.Clone(own)
	for i := range names {
		var urls []string
		for _, u := range o.nodes[names[(first+i)%len(names)]].urls {
			if !slices.Contains(seen, u) {
				urls, seen = append(urls, u), append(seen, u)
			}
		}
		if len(urls) > 0 {
			all = append(all, urls)
		}
		if len(all) == maxOtherTURN {
			break
		}
	}
	return all
}

// forget drops the nodes that were silent for too long; mu is held.
func (o *otherTURN) forget() {
	for name, said := range o.nodes {
		if o.now().Sub(said.at) > turnLifetime {
			delete(o.nodes, name)
		}
	}
}

// isTURN reports whether u is an address as turn.URLs writes it. STUN of others is of no
// use: their TURN answers the same.
func isTURN(u string) bool {
	scheme, rest, _ := strings.Cut(u, ":")
	address, transport, _ := strings.Cut(rest, "?transport=")
	host, text, err := net.SplitHostPort(address)
	if err != nil || scheme != "turn" && scheme != "turns" || transport != "udp" && transport != "tcp" {
		return false
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return !ip.IsUnspecified() && !ip.IsMulticast() && ip.Zone() == ""
	}
	return config.IsHost(host)
}

// announceTURN says where this node's TURN is until ctx ends, and hears the others.
func (n *Node) announceTURN(ctx context.Context) error {
	if n.turn == nil {
		return nil
	}
	say := func(urls []string) error {
		return n.bus.Publish(bus.TURN, &orielv1.BusMessage{Body: &orielv1.BusMessage_Turn{Turn: &orielv1.BusTURN{Node: n.nodeName, Urls: urls}}})
	}
	sub, err := n.bus.Subscribe(bus.TURN, func(m *orielv1.BusMessage, _ bus.Reply) { n.others.note(m.GetTurn()) })
	if err != nil {
		return err
	}
	defer sub.Close()
	tick := time.NewTicker(turnEvery)
	defer tick.Stop()
	urls := n.turnURLs()
	for {
		if err := say(urls); err != nil {
			n.o.Log.Debug("TURN not announced", "error", err) // health says that the bus is away
		}
		select {
		case <-ctx.Done():
			_ = say(nil)
			return nil
		case <-tick.C:
		}
	}
}
