package stream

import (
	"context"
	"image"
	"slices"
	"sync"
	"time"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/encode"
)

// source reads one desktop for all streams of it. It has the only caller of
// Next, asks only while a stream wants a picture, and converts what changed
// once for each format, however many codecs are watching.
type source struct {
	desktop desktop.Desktop

	mu        sync.Mutex
	takers    map[*subscriber]struct{}
	images    map[encode.Format]*encode.Image // the newest picture, in the formats of the subscribers; none before the first
	at        time.Time
	captured  time.Duration // reading it from the screen
	converted time.Duration
	why       error // ended with
	wanted    chan struct{}
	stop      context.CancelFunc // nil while there are no subscribers
	stopped   chan struct{}
}

func newSource(d desktop.Desktop) *source {
	done := make(chan struct{})
	close(done)
	return &source{desktop: d, takers: map[*subscriber]struct{}{}, images: map[encode.Format]*encode.Image{}, wanted: make(chan struct{}, 1), stopped: done}
}

// subscriber is one stream's view of a source.
type subscriber struct {
	src    *source
	format encode.Format
	ready  chan struct{} // capacity 1: there is something to take
	ended  chan struct{} // closed when the source is

	// protected by src.mu
	dirty []image.Rectangle
	asks  bool
	asked time.Time // since when it asks
}

func (s *source) attach(format encode.Format) (*subscriber, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why != nil {
		return nil, s.why
	}
	t := &subscriber{src: s, format: format, ready: make(chan struct{}, 1), ended: make(chan struct{})}
	if s.stop == nil {
		clear(s.images) // what happened since was not seen
		before, done := s.stopped, make(chan struct{})
		ctx, cancel := context.WithCancel(context.Background())
		s.stop, s.stopped = cancel, done
		go func() {
			defer close(done)
			<-before
			s.desktop.Refresh()
			s.run(ctx)
		}()
	} else if img := s.images[format]; img != nil {
		t.dirty = []image.Rectangle{img.Bounds()}
	} else if len(s.images) > 0 {
		// The first of its format needs a picture though nothing may change.
		s.desktop.Refresh()
	}
	s.takers[t] = struct{}{}
	return t, nil
}

// detach waits for the reader when t was the last.
func (s *source) detach(t *subscriber) {
	s.mu.Lock()
	delete(s.takers, t)
	wanted := false
	for other := range s.takers {
		wanted = wanted || other.format == t.format
	}
	if !wanted {
		delete(s.images, t.format)
	}
	var wait chan struct{}
	if len(s.takers) == 0 && s.stop != nil {
		s.stop()
		s.stop = nil
		wait = s.stopped
	}
	s.mu.Unlock()
	if wait != nil {
		<-wait
	}
}

func (s *source) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wanted:
		}
		pic, err := s.desktop.Next(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = s.accept(pic)
		}
		if err != nil {
			s.mu.Lock()
			s.why = err
			for t := range s.takers {
				close(t.ended)
			}
			s.mu.Unlock()
			return
		}
	}
}

// accept converts a picture and tells everybody what changed.
func (s *source) accept(pic desktop.Picture) error {
	captured := time.Since(pic.At) // which is when reading began
	s.mu.Lock()
	defer s.mu.Unlock()
	begun := time.Now()
	changed := map[encode.Format][]image.Rectangle{}
	for t := range s.takers {
		if changed[t.format] != nil {
			continue
		}
		img, dirty := s.images[t.format], pic.Dirty
		if img == nil || img.Size != pic.Size {
			img = encode.NewImage(t.format, pic.Size)
			s.images[t.format] = img
			dirty = []image.Rectangle{img.Bounds()}
		}
		if err := encode.Convert(img, encode.Picture{Pix: pic.Pix, Stride: pic.Stride, Size: pic.Size}, dirty); err != nil {
			return err
		}
		changed[t.format] = dirty
	}
	s.at, s.captured, s.converted = pic.At, captured, time.Since(begun)
	for t := range s.takers {
		t.dirty = merge(t.dirty, changed[t.format], image.Rectangle{Max: pic.Size})
		t.asks = false
		t.poke()
	}
	return nil
}

// merge adds rectangles to a list that stays short and holds nothing twice.
func merge(have, more []image.Rectangle, all image.Rectangle) []image.Rectangle {
	for _, r := range more {
		if r = r.Intersect(all); r.Empty() || slices.ContainsFunc(have, r.In) {
			continue
		}
		have = append(slices.DeleteFunc(have, func(h image.Rectangle) bool { return h.In(r) }), r)
	}
	if len(have) > 32 {
		have = []image.Rectangle{union(have)}
	}
	return have
}

func (t *subscriber) poke() {
	select {
	case t.ready <- struct{}{}:
	default:
	}
}

// want asks for the next change, unless there is one, and returns since when it
// has been asked for in vain.
func (t *subscriber) want(now time.Time) (since time.Time) {
	t.src.mu.Lock()
	defer t.src.mu.Unlock()
	if t.asks || len(t.dirty) > 0 {
		return t.asked
	}
	t.asks, t.asked = true, now
	select {
	case t.src.wanted <- struct{}{}:
	default:
	}
	return now
}

func (t *subscriber) pending() bool {
	t.src.mu.Lock()
	defer t.src.mu.Unlock()
	return len(t.dirty) > 0
}

func (t *subscriber) failed() <-chan struct{} { return t.ended }

func (t *subscriber) err() error {
	t.src.mu.Lock()
	defer t.src.mu.Unlock()
	return t.src.why
}

// snapshot is what changed since the last take.
type snapshot struct {
	dirty     []image.Rectangle
	fresh     float64   // how much of it was nowhere in the picture before, as detail
	moved     int       // by how many rows the rest moved up
	at        time.Time // zero: nothing changed
	captured  time.Duration
	converted time.Duration
}

// snapshot brings img up to date.
func (t *subscriber) snapshot(img **encode.Image) snapshot {
	s := t.src
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := s.images[t.format]
	if newest == nil || len(t.dirty) == 0 {
		return snapshot{}
	}
	if *img == nil || (*img).Size != newest.Size {
		*img = encode.NewImage(newest.Format, newest.Size)
		t.dirty = []image.Rectangle{newest.Bounds()}
	} else if slices.Contains(t.dirty, newest.Bounds()) {
		// Somebody else asked for all of the picture, such as each minute's thumbnail.
		t.dirty = nil
		if changed := newest.Changed(*img); !changed.Empty() {
			t.dirty = []image.Rectangle{changed}
		}
	}
	if len(t.dirty) == 0 {
		return snapshot{}
	}
	fresh, moved := newest.Fresh(*img, t.dirty)
	(*img).Copy(newest, t.dirty)
	got := snapshot{t.dirty, fresh, moved, s.at, s.captured, s.converted}
	t.dirty = nil
	return got
}
