package node

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"oriel/agent/internal/host"
	orielv1 "oriel/protocol/oriel/v1"
)

// inventory is the last one that was sent.
type inventory struct {
	digest [32]byte
	at     time.Time // zero: the relay has none
}

// inventories sends what is known about this machine: at start, when it
// changed, daily, and to every ask.
func (n *Node) inventories(ctx context.Context) {
	check := time.NewTicker(n.o.CheckEvery)
	defer check.Stop()
	for {
		var asks []uint64
		select {
		case <-ctx.Done():
			return
		case id := <-n.asks:
			asks = n.moreAsks(id)
		case <-n.due:
		case <-check.C:
		}
		inv := host.Inventory(ctx, n.o.Version)
		if ctx.Err() != nil {
			return
		}
		inv.TakenAt = n.link.Now().UnixMilli()
		n.sendInventory(inv, asks)
	}
}

// sendInventory answers the asks, or sends inv unasked when it is due.
func (n *Node) sendInventory(inv *orielv1.Inventory, asks []uint64) {
	digest := host.Digest(inv)
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(asks) == 0 {
		if !n.taken.at.IsZero() && digest == n.taken.digest && time.Since(n.taken.at) < n.o.RepeatEvery {
			return
		}
		asks = []uint64{0}
	}
	for _, id := range asks {
		if n.send(&orielv1.FromAgent{ReplyTo: id, Body: &orielv1.FromAgent_Inventory{Inventory: inv}}) {
			n.taken = inventory{digest, time.Now()}
		}
	}
}

// moreAsks are all asks that wait: one look at the machine answers them all.
func (n *Node) moreAsks(first uint64) []uint64 {
	all := []uint64{first}
	for {
		select {
		case id := <-n.asks:
			all = append(all, id)
		default:
			return all
		}
	}
}

// users says who is signed in at the screen, when that changes.
func (n *Node) users(ctx context.Context) {
	look := time.NewTicker(n.o.LookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		user := host.User(ctx)
		n.mu.Lock()
		if user != n.status.GetUser() {
			n.status = proto.CloneOf(n.status)
			n.status.User = user
			n.send(&orielv1.FromAgent{Body: &orielv1.FromAgent_Status{Status: n.status}})
		}
		n.mu.Unlock()
	}
}

// saves writes what enrollment and the relay said, once the disk has room for it.
func (n *Node) saves(ctx context.Context) {
	again := time.NewTicker(n.o.SaveEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		n.savePolicy()
		if did, err := n.id.Save(); err != nil {
			n.log.Warn("what this agent was told cannot be saved yet", "error", err)
		} else if did {
			n.log.Info("what this agent was told is saved now")
		}
	}
}
