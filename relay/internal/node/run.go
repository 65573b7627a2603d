package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/broker"
	"oriel/relay/internal/share"
	"oriel/relay/internal/store"
	"oriel/relay/internal/turn"
)

// Run serves until ctx ends, then drains. It returns an error when something
// broke before, or when draining took too long.
func (n *Node) Run(ctx context.Context) error {
	// The rooms outlive ctx by the time of draining.
	rooms, stop := context.WithCancel(context.WithoutCancel(ctx))
	broken := make(chan error, 1)
	var wg sync.WaitGroup
	run := func(name string, fn func() error) {
		wg.Go(func() {
			if err := fn(); err != nil && rooms.Err() == nil {
				select {
				case broken <- fmt.Errorf("%s: %w", name, err):
				default:
				}
			}
		})
	}
	run("fleet", func() error { return n.fleet.Run(rooms) })
	run("broker", func() error { return n.broker.Run(rooms) })
	run("hub", func() error { return n.hub.Run(rooms) })
	run("health", func() error { return n.watchHealth(rooms) })
	run("audit", func() error { return n.audit.Run(rooms) })
	run("mail", func() error { return n.mail.Run(rooms) })
	run("keeper of the audit", func() error { return n.keeper.Run(rooms) })
	run("access", func() error { return n.Access.Run(rooms) })
	run("turn", func() error { return n.announceTURN(rooms) })
	run("sweep", func() error { return n.sweep(rooms) })
	run("server", func() error { return n.server.Serve(n.listener) })
	watcher := &http.Server{Handler: n.server.MetricsHandler(), ReadHeaderTimeout: 10 * time.Second}
	if n.metrics != nil {
		run("metrics", func() error {
			if err := watcher.Serve(n.metrics); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}

	var err error
	select {
	case <-ctx.Done():
	case err = <-broken:
	}
	err = errors.Join(err, n.drain(rooms))
	n.broker.Close()
	err = errors.Join(err, watcher.Close())
	stop()
	wg.Wait()
	return err
}

// drain lets go of everybody in an orderly way.
func (n *Node) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, DrainWithin)
	defer cancel()
	n.server.Drain()
	n.o.Log.Info("draining")
	var wg sync.WaitGroup
	var err1, err2 error
	wg.Go(func() { err1 = n.server.Shutdown(ctx) })
	wg.Go(func() { err2 = n.hub.Drain(ctx) })
	wg.Wait()
	return errors.Join(err1, err2)
}

// sweep forgets expired sign-ins, tries and kept answers every hour.
func (n *Node) sweep(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := errors.Join(n.Access.Sweep(ctx), n.answers.Sweep(ctx)); err != nil && ctx.Err() == nil {
			n.o.Log.Warn("sweep", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// healthEvery is how often the relay asks itself whether it is well.
const healthEvery = 5 * time.Second

// watchHealth tells who operates the relay what it lacks.
func (n *Node) watchHealth(ctx context.Context) error {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		failed := n.server.Failing(ctx)
		health := &orielv1.RelayHealth{Node: n.nodeName}
		for _, part := range slices.Sorted(maps.Keys(failed)) {
			health.Failing = append(health.Failing, &orielv1.Failing{Part: part, DiskFull: store.DiskFull(failed[part])})
		}
		if ctx.Err() == nil {
			n.hub.SetHealth(health)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// ice are the STUN and TURN addresses, this node's first, with credentials for id that
// die with scope and are good at every node: the secret is the relay's.
func (n *Node) ice(id, scope string, expires time.Time) []*orielv1.IceServer {
	if n.turn == nil {
		return nil
	}
	user, password := n.turn.Credentials(turn.Holder{ID: id, Scope: scope}, expires)
	own := n.turnURLs()
	var servers []*orielv1.IceServer
	for _, urls := range append([][]string{own}, n.others.get(n.nodeName, own)...) {
		servers = append(servers, &orielv1.IceServer{Urls: urls, Username: user, Credential: password})
	}
	return servers
}

// turnURLs are the addresses of this node's own STUN and TURN.
func (n *Node) turnURLs() []string {
	urls := n.turn.URLs(n.turnHost(), 0)
	if n.c.TLS.On() {
		all := n.turn.URLs(n.publicURL.Hostname(), port(n.publicURL))
		urls = append(urls, all[len(all)-1])
	}
	return urls
}

// ended are the holders whose scope is over for TURN, on whichever node.
func (n *Node) ended(ctx context.Context, all []turn.Holder) ([]turn.Holder, error) {
	given := make([]broker.Credit, len(all))
	for i, h := range all {
		given[i] = broker.Credit(h)
	}
	over, err := n.broker.Over(ctx, given)
	holders := make([]turn.Holder, len(over))
	for i, c := range over {
		holders[i] = turn.Holder(c)
	}
	return holders, err
}

// measure registers what the rooms count.
func (n *Node) measure() {
	gauge, counter := n.server.Gauge, n.server.Counter
	gauge("oriel_agents", "Agents connected to this node.", func() float64 { return float64(n.hub.Stats().Agents) })
	gauge("oriel_tabs", "Tabs of the console connected to this node.", func() float64 { return float64(n.hub.Stats().Tabs) })
	counter("oriel_accept_failures_total", "Connections that no listener could accept, for want of files or memory.", func() float64 { return float64(n.shortage.Failed()) })
	gauge("oriel_accept_waiting", "Listeners that wait for files or memory.", func() float64 { return float64(n.shortage.Waiting()) })
	for _, places := range []map[string]*share.Places{n.server.Places(), n.hub.Places(), n.Access.Places()} {
		for bound, one := range places {
			n.server.Bound(bound, one.Stats)
		}
	}
	if n.turn == nil {
		return
	}
	n.server.Bound("turn-connections", n.turn.Places().Stats)
	gauge("oriel_turn_allocations", "TURN allocations.", func() float64 { return float64(n.turn.Stats().Allocations) })
	gauge("oriel_turn_connections", "TCP and TLS connections to TURN.", func() float64 { return float64(n.turn.Stats().Connections) })
	counter("oriel_turn_sent_bytes_total", "Bytes relayed to peers.", func() float64 { return float64(n.turn.Stats().BytesSent) })
	counter("oriel_turn_received_bytes_total", "Bytes relayed from peers.", func() float64 { return float64(n.turn.Stats().BytesReceived) })
	counter("oriel_turn_dropped_packets_total", "Packets over the rate or to where nobody may send.", func() float64 { return float64(n.turn.Stats().Dropped) })
	counter("oriel_turn_refused_total", "Allocations and permissions refused.", func() float64 { return float64(n.turn.Stats().Refused) })
}
