package stream

import (
	"sync"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/encode"
)

// Hub shares streams: one per desktop, codec, format and cap on pictures a second,
// one reader per desktop, however many viewers. A cap is a stream of its own because
// a frame needs the one before it: of another's frames none can be left out.
type Hub struct {
	options Options

	mu      sync.Mutex
	sources map[desktop.Desktop]*shared
}

type shared struct {
	source  *source
	streams map[kind]*place
	users   int
}

// place is a stream and how many viewers it has.
type place struct {
	stream *Stream
	kind   kind
	users  int
}

type kind struct {
	codec  encode.Codec
	format encode.Format
	fps    int // 0: no cap
}

// mostCapped bounds the streams of a desktop that are there for a cap, each of which
// encodes for itself: any three caps have theirs. Who comes with another one watches
// with those of the same codec and format whose cap is the nearest above it, or who
// have none: rather more pictures than asked for than a computer that does nothing
// but encode. Where a place comes free he has it at the next change of what he wants.
const mostCapped = 3

// NewHub makes a hub; o is for all its streams.
func NewHub(o Options) *Hub {
	return &Hub{options: o.filled(), sources: map[desktop.Desktop]*shared{}}
}

// Subscribe starts to send d in codec and format, at most fps pictures a second (0: no
// cap), to sink, sharing what already runs. d must be comparable (a pointer), and
// nobody else may call its Next.
func (h *Hub) Subscribe(d desktop.Desktop, codec encode.Codec, format encode.Format, fps int, sink Sink) (*Subscription, error) {
	return h.subscribe(d, kind{codec, format, h.effective(fps)}, sink, false)
}

// Prepare is Subscribe for a sink that cannot reach anybody yet: see
// Stream.Prepare.
func (h *Hub) Prepare(d desktop.Desktop, codec encode.Codec, format encode.Format, fps int, sink Sink) (*Subscription, error) {
	return h.subscribe(d, kind{codec, format, h.effective(fps)}, sink, true)
}

// Suits reports whether sub is to the stream that Subscribe would give now to who
// wants this format and cap. Who is alone with his stream takes it along to another
// cap, and needs no key frame for that.
func (h *Hub) Suits(sub *Subscription, format encode.Format, fps int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	sh := h.sources[sub.stream.source.desktop]
	if sh == nil {
		return true // it has ended
	}
	for _, p := range sh.streams {
		if p.stream == sub.stream {
			return sh.suit(p, kind{p.kind.codec, format, h.effective(fps)})
		}
	}
	return true
}

// effective is 0 for a cap that changes nothing.
func (h *Hub) effective(fps int) int {
	if fps < 0 || fps >= h.options.FPS {
		return 0
	}
	return fps
}

// suit reports whether p is of the kind that k comes to, if need be by making it so.
func (sh *shared) suit(p *place, k kind) bool {
	to := sh.nearest(k, p)
	if to == p.kind {
		return true
	}
	if p.users > 1 || to.format != p.kind.format || sh.streams[to] != nil {
		return false
	}
	delete(sh.streams, p.kind)
	p.kind, sh.streams[to] = to, p
	p.stream.limit(to.fps)
	return true
}

// nearest is the kind that k comes to within mostCapped; p is the stream of who asks,
// which frees its place where nobody else watches it, or nil.
func (sh *shared) nearest(k kind, p *place) kind {
	capped := 0
	best := kind{k.codec, k.format, 0}
	for other, q := range sh.streams {
		if other.fps == 0 || q == p && p.users == 1 {
			continue
		}
		capped++
		if other.codec == k.codec && other.format == k.format && other.fps >= k.fps && (best.fps == 0 || other.fps < best.fps) {
			best = other
		}
	}
	if k.fps == 0 || capped < mostCapped {
		return k
	}
	return best
}

func (h *Hub) subscribe(d desktop.Desktop, k kind, sink Sink, held bool) (*Subscription, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sh := h.sources[d]
	if sh == nil {
		sh = &shared{source: newSource(d), streams: map[kind]*place{}}
		h.sources[d] = sh
	}
	k = sh.nearest(k, nil)
	p := sh.streams[k]
	if p == nil {
		o := h.options
		o.Format = k.format
		p = &place{stream: newStream(sh.source, k.codec, o), kind: k}
		p.stream.limit(k.fps)
		sh.streams[k] = p
	}
	p.users++
	sh.users++
	sub, err := p.stream.subscribe(sink, held, func() { h.release(d, sh, p) })
	if err != nil {
		h.forget(d, sh, p)
		return nil, err
	}
	return sub, nil
}

func (h *Hub) release(d desktop.Desktop, sh *shared, p *place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget(d, sh, p)
}

// forget has mu, and takes a viewer of p out.
func (h *Hub) forget(d desktop.Desktop, sh *shared, p *place) {
	if p.users--; p.users == 0 {
		delete(sh.streams, p.kind)
	}
	if sh.users--; sh.users == 0 && h.sources[d] == sh {
		delete(h.sources, d)
	}
}
