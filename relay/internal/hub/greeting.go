package hub

import (
	"context"
	"errors"
	"net/netip"

	"oriel/protocol/wire"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/share"
)

// Why a greeting ends before its agent has proved itself.
var (
	errGaveWay  = fault.New(fault.Greetings, "too many computers connect at once; try again in a moment")
	errAnew     = fault.New(fault.Superseded, "this computer connected anew")
	errTooLong  = errors.New("the greeting took too long")
	errNoPlaces = errors.New("too many connections at once; try again")
)

// greeter is who may greet once at a time.
type greeter struct {
	key  string
	from netip.Prefix
}

// greeting is an agent that is being greeted. Its context ends with it.
type greeting struct {
	place  *share.Place
	end    context.CancelCauseFunc
	forget func() // from here on, others of the same key do not end it
}

// proved keeps the greeting from being ended by others; false: it was already.
func (g *greeting) proved() bool {
	g.forget()
	return g.place.Decide()
}

// greet begins a greeting; one of the same machine key and address ends. nil:
// all places are held by those that the relay is looking at.
func (h *Hub) greet(ctx context.Context, key []byte, from netip.Addr) (context.Context, *greeting, func()) {
	ctx, end := context.WithCancelCause(ctx)
	g := &greeting{end: end}
	who := greeter{string(key), share.Network(from)}
	g.forget = func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.greets[who] == g {
			delete(h.greets, who)
		}
	}
	if g.place = h.greetings.Take(from, func() { end(errGaveWay) }); g.place == nil {
		end(errGaveWay)
		return ctx, nil, nil
	}
	h.mu.Lock()
	before := h.greets[who]
	h.greets[who] = g
	h.mu.Unlock()
	if before != nil {
		before.end(errAnew)
	}
	return ctx, g, func() {
		g.forget()
		g.place.Leave()
	}
}

// socket gives an upgraded connection a place.
func (h *Hub) socket(from netip.Addr, conn *wire.Conn) *share.Place {
	return h.sockets.Take(from, func() {
		h.wait.Go(func() { _ = conn.CloseWith(wire.CloseTryAgain, errNoPlaces.Error()) })
	})
}
