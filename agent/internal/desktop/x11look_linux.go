package desktop

import (
	"image"
	"sync/atomic"
	"time"
)

// lookout finds changes that the server does not tell of. A server without the
// DAMAGE extension tells of none; one with it may be silent of what is drawn past
// it, by a graphics driver for instance, so a sample of the picture is read
// now and then. Where that shows a change that nobody told of, all of the
// picture is looked at often, for as long as such changes come.
type lookout struct {
	polls atomic.Bool // the whole picture is looked at

	// The rest is protected by capture.mu.
	looked time.Time // last
	active time.Time // something changed last
	untold time.Time // something changed last that nobody had told of
	offset int       // of the next sample's first row

	acted atomic.Int64 // when input was given last, in Unix ms
}

const (
	pollBusy = 50 * time.Millisecond
	pollCalm = 500 * time.Millisecond
	// activeFor is how long something counts as going on.
	activeFor = 2 * time.Second
	// A sample is every sampleRows-th row, others each time.
	sampleEvery = 3 * time.Second
	sampleRows  = 16
	// trustAfter is how long all changes must have been told until samples do.
	trustAfter = time.Minute
)

// busy notes that something changed.
func (l *lookout) busy(at time.Time) { l.active = at }

// wait is how long nothing need be looked at.
func (l *lookout) wait(now time.Time) time.Duration {
	every := sampleEvery
	if l.polls.Load() {
		every = pollCalm
		if now.Sub(l.active) < activeFor || now.Sub(time.UnixMilli(l.acted.Load())) < activeFor {
			every = pollBusy
		}
	}
	return every - now.Sub(l.looked)
}

// act notes input: something will change soon.
func (d *x11) act() {
	l := &d.capture.lookout
	if l.polls.Load() {
		l.acted.Store(time.Now().UnixMilli())
		d.poke()
	}
}

// look looks for changes that the server does not tell of.
func (d *x11) look(now time.Time) ([]image.Rectangle, error) {
	k := &d.capture
	l := &k.lookout
	l.looked = now
	if !l.polls.Load() {
		dirty, err := d.compare(l.sample(k.size))
		if err != nil || len(dirty) == 0 || d.told() {
			return dirty, err
		}
	}
	dirty, err := d.compare([]image.Rectangle{{Max: k.size}})
	if err != nil {
		return nil, err
	}
	if len(dirty) > 0 {
		d.pointer.stir()
	}
	if k.damage == 0 {
		return dirty, nil
	}
	was := l.polls.Load()
	if !was || len(dirty) > 0 && !d.told() {
		l.untold = now
		if !was {
			d.log.Info("the x server does not tell of all changes; they are looked for", "desktop", d.name)
			// Rows of it are in the frame already.
			dirty = []image.Rectangle{{Max: k.size}}
		}
	}
	if l.polls.Store(now.Sub(l.untold) < trustAfter); l.polls.Load() != was {
		d.pointer.tell()
	}
	return dirty, nil
}

// told reports that the server has told of changes which are not read yet. It
// tells of what is drawn before it answers whoever reads that.
func (d *x11) told() bool { return d.damaged.Load() || d.all.Load() || d.resized.Load() }

// sample is the rows that are looked at now.
func (l *lookout) sample(size image.Point) (rows []image.Rectangle) {
	for y := l.offset; y < size.Y; y += sampleRows {
		rows = append(rows, image.Rect(0, y, size.X, y+1))
	}
	l.offset = (l.offset + 5) % sampleRows // apart from those before
	return rows
}
