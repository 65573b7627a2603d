//go:build linux && x11

package desktop

import (
	"testing"

	"oriel/agent/internal/desktop/xvfbtest"
)

func init() {
	backends = append(backends, backend{
		name: "portable", x: true, alone: true, start: startPortable,
	})
}

func startPortable(t *testing.T) *rig {
	s := xvfbtest.Start(t, xvfbtest.Options{Width: rigSize.X, Height: rigSize.Y})
	t.Setenv("DISPLAY", s.Display)
	p := newPainter(t, s)
	d, err := Open(Options{Portable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return rigX(t, s, p, d)
}
