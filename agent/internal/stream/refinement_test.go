package stream

import (
	"image"
	"testing"

	"oriel/agent/internal/encode"
)

// What was left as it was is remembered until all of it was looked at and found right.
func TestWhatIsStaleIsRemembered(t *testing.T) {
	all := image.Rect(0, 0, 1920, 1080)
	page, letter := image.Rect(100, 100, 1380, 820), image.Rect(400, 300, 412, 324)
	var s staleness
	for i, step := range []struct {
		dirty      []image.Rectangle
		stale, key bool
		want       bool
	}{
		{nil, false, true, false},
		{[]image.Rectangle{page}, true, false, true},
		{[]image.Rectangle{letter}, false, false, true}, // which says nothing of the page
		{[]image.Rectangle{page}, false, false, false},
		{[]image.Rectangle{letter}, true, false, true},
		{[]image.Rectangle{page}, false, false, false},
		{[]image.Rectangle{letter}, true, false, true},
		{[]image.Rectangle{page.Add(image.Pt(0, 220))}, false, false, true}, // the letter lies above
		{[]image.Rectangle{image.Rect(0, 0, 1920, 310), image.Rect(0, 310, 1920, 400)}, false, false, false},
		{[]image.Rectangle{page, letter}, true, false, true},
		{nil, false, true, false},
	} {
		s.after(all, encode.Params{Dirty: step.dirty}, encode.Packet{Stale: step.stale, Key: step.key})
		if s.any() != step.want {
			t.Errorf("step %d: %v", i, s.where)
		}
	}
}
