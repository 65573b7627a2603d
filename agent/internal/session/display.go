package session

import (
	"context"
	"errors"
	"image"
	"sync"
	"time"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

// display is one open desktop. It is a desktop.Desktop itself, the one that is
// given to the stream, because a Desktop has one caller of Next at a time: the
// stream while somebody watches, else idle. Previews are taken from whatever
// picture passes.
type display struct {
	desktop.Desktop
	number uint64 // of those the Host opened
	news   func() // the cursor or the size changed
	every  time.Duration
	dead   chan struct{} // closed when the desktop died
	end    sync.Once

	turn   sync.Mutex    // held while in the desktop's Next
	wanted chan struct{} // capacity 1: somebody wants a preview

	mu       sync.Mutex
	watchers map[any]int          // by who watches: pictures a second that each wants at most; 0: no cap
	calm     chan struct{}        // closed and replaced when the last watcher left
	stopIdle context.CancelFunc   // nil while idle is not reading
	size     image.Point          // of the last picture
	last     time.Time            // when it was returned
	changed  bool                 // since the last preview
	want     chan<- *image.RGBA   // who waits for a preview; capacity 1
	shape    *orielv1.CursorShape // of serial
	serial   uint64               // of shape, once shaped
	shaped   bool
}

func newDisplay(d desktop.Desktop, number uint64, every time.Duration, news func()) *display {
	return &display{
		Desktop: d, number: number, news: news, every: every,
		dead:     make(chan struct{}),
		calm:     make(chan struct{}),
		wanted:   make(chan struct{}, 1),
		watchers: make(map[any]int),
	}
}

// Next is the stream's. It waits for idle to get out of the way (watch has told
// it to) and keeps to the highest cap of those who watch.
func (s *display) Next(ctx context.Context) (desktop.Picture, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	if wait := s.pause(); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return desktop.Picture{}, ctx.Err()
		case <-s.dead:
		case <-timer.C:
		}
	}
	return s.next(ctx)
}

// pause is how long the highest cap makes the next picture wait.
func (s *display) pause() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	fps := 0
	for _, most := range s.watchers {
		if most == 0 {
			return 0
		}
		fps = max(fps, most)
	}
	if fps == 0 {
		return 0
	}
	return time.Until(s.last.Add(time.Second / time.Duration(fps)))
}

// next has turn.
func (s *display) next(ctx context.Context) (desktop.Picture, error) {
	p, err := s.Desktop.Next(ctx)
	if err != nil {
		if errors.Is(err, desktop.ErrClosed) {
			s.die()
		}
		return p, err
	}
	s.mu.Lock()
	resized := p.Size != s.size
	s.size, s.last, s.changed = p.Size, time.Now(), true
	want := s.want
	if want != nil {
		s.want, s.changed = nil, false
	}
	s.mu.Unlock()
	if want != nil {
		want <- reduce(p)
	}
	if resized {
		s.news()
	}
	return p, nil
}

func (s *display) die() { s.end.Do(func() { close(s.dead) }) }

// watch makes room for the stream; unwatch, once the stream has let go of the
// desktop, gives the room back.
func (s *display) watch(who any, fps int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[who] = fps
	if s.stopIdle != nil {
		s.stopIdle()
	}
}

func (s *display) unwatch(who any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, who)
	if len(s.watchers) == 0 {
		close(s.calm)
		s.calm = make(chan struct{})
	}
}

// idle reads the desktop while nobody watches: it notices its end, and keeps
// account of whether anything changed. It looks at most every few seconds, and
// not at all while nothing changes.
func (s *display) idle(ctx context.Context) {
	for ctx.Err() == nil {
		reading, stop := context.WithCancel(ctx)
		s.mu.Lock()
		calm := s.calm
		watched := len(s.watchers) > 0
		if !watched {
			s.stopIdle = stop
		}
		s.mu.Unlock()
		if watched {
			stop()
			select {
			case <-ctx.Done():
			case <-s.dead:
				return
			case <-calm:
			}
			continue
		}
		s.turn.Lock()
		_, err := s.next(reading)
		s.turn.Unlock()
		if err == nil {
			s.rest(reading)
		} else if reading.Err() == nil {
			// The desktop is broken in a way of its own.
			s.die()
		}
		s.mu.Lock()
		s.stopIdle = nil
		s.mu.Unlock()
		stop()
		select {
		case <-s.dead:
			return
		default:
		}
	}
}

// rest lasts until idle should look again.
func (s *display) rest(ctx context.Context) {
	timer := time.NewTimer(s.every)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-s.wanted:
	case <-timer.C:
	}
}

// preview waits until the picture has changed since the last one and returns
// it, reduced. A change that was seen already is asked for again.
func (s *display) preview(ctx context.Context) (*image.RGBA, error) {
	out := make(chan *image.RGBA, 1)
	s.mu.Lock()
	s.want = out
	s.mu.Unlock()
	select {
	case s.wanted <- struct{}{}:
	default:
	}
	// While pictures flow the next one will do, and costs nothing more.
	flowing := time.NewTimer(300 * time.Millisecond)
	defer flowing.Stop()
	for {
		select {
		case img := <-out:
			return img, nil
		case <-flowing.C:
			s.mu.Lock()
			again := s.changed && s.want != nil
			s.mu.Unlock()
			if again {
				s.Refresh()
			}
		case <-s.dead:
			return nil, desktop.ErrClosed
		case <-ctx.Done():
			s.mu.Lock()
			s.want = nil
			s.mu.Unlock()
			return nil, ctx.Err()
		}
	}
}

// again makes the picture count as changed.
func (s *display) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = true
}

// cursors passes on that the pointer changed, until the desktop is gone.
func (s *display) cursors(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.dead:
			return
		case _, more := <-s.CursorChanged():
			if !more {
				return
			}
			s.news()
		}
	}
}

// cursorShape is c's shape for the viewers, converted once.
func (s *display) cursorShape(c desktop.Cursor) *orielv1.CursorShape {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shaped || s.serial != c.Serial {
		s.shape, s.serial, s.shaped = shapeOf(c), c.Serial, true
	}
	return s.shape
}
