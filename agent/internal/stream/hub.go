package stream

import (
	"sync"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/encode"
)

// Hub shares streams: one per desktop, codec and format, one reader per desktop,
// however many viewers.
type Hub struct {
	options Options

	mu      sync.Mutex
	sources map[desktop.Desktop]*shared
}

type shared struct {
	source  *source
	streams map[kind]*Stream
	users   int
}

type kind struct {
	codec  encode.Codec
	format encode.Format
}

// NewHub makes a hub; o is for all its streams.
func NewHub(o Options) *Hub {
	return &Hub{options: o, sources: map[desktop.Desktop]*shared{}}
}

// Subscribe starts to send d in codec and format to sink, sharing what already
// runs. d must be comparable (a pointer), and nobody else may call its Next.
func (h *Hub) Subscribe(d desktop.Desktop, codec encode.Codec, format encode.Format, sink Sink) (*Subscription, error) {
	return h.subscribe(d, kind{codec, format}, sink, false)
}

// Prepare is Subscribe for a sink that cannot reach anybody yet: see
// Stream.Prepare.
func (h *Hub) Prepare(d desktop.Desktop, codec encode.Codec, format encode.Format, sink Sink) (*Subscription, error) {
	return h.subscribe(d, kind{codec, format}, sink, true)
}

func (h *Hub) subscribe(d desktop.Desktop, k kind, sink Sink, held bool) (*Subscription, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sh := h.sources[d]
	if sh == nil {
		sh = &shared{source: newSource(d), streams: map[kind]*Stream{}}
		h.sources[d] = sh
	}
	s := sh.streams[k]
	if s == nil {
		o := h.options
		o.Format = k.format
		s = newStream(sh.source, k.codec, o)
		sh.streams[k] = s
	}
	sub, err := s.subscribe(sink, held, func() { h.release(d, sh) })
	if err != nil {
		if sh.users == 0 {
			delete(h.sources, d)
		}
		return nil, err
	}
	sh.users++
	return sub, nil
}

func (h *Hub) release(d desktop.Desktop, sh *shared) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sh.users--; sh.users == 0 && h.sources[d] == sh {
		delete(h.sources, d)
	}
}
