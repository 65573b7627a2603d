package session

import "testing"

// Rule: one viewer's frame cap is that viewer's alone, also where the screen is read.
func TestScreenKeepsToTheHighestCap(t *testing.T) {
	for name, test := range map[string]struct {
		caps  []int
		waits bool
	}{
		"nobody":                 {nil, false},
		"one with a cap":         {[]int{1}, true},
		"two with caps":          {[]int{1, 2}, true},
		"one with, one without":  {[]int{1, 0}, false},
		"one of a thousand each": {[]int{1, 1_000_000_000}, false},
	} {
		t.Run(name, func(t *testing.T) {
			paper := newFakeDesktop(t)
			h, _ := quiet(t, paper)
			defer h.Close(0)
			s := h.current()
			for i, most := range test.caps {
				s.watch(i, most)
			}
			eventually(t, "a picture was read", func() bool {
				if s.pause() > 0 == test.waits {
					return true
				}
				paper.paint(paper.next())
				_, _ = s.Next(t.Context())
				return false
			})
		})
	}
}
