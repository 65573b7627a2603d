//go:build cgo

package session

import (
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
)

func refresh(v *viewer) {
	v.t.Helper()
	v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Refresh{Refresh: &orielv1.Refresh{}}})
}

// Rule: a viewer that has shown no picture gets the picture anew, as often as it says
// so, though everything that was sent arrived and nothing on the screen changes.
func TestViewerWithoutPictureGetsItAnew(t *testing.T) {
	p := newFakeDesktop(t)
	v := start(t, Options{}, on(p)).ready(look{})
	settled := func(m *orielv1.FromDesktop) bool { return m.GetStats().GetSettled() }
	v.wait("a picture that stands still", settled)
	for range 3 {
		_, before := v.seen()
		refresh(v)
		eventually(t, "the picture anew", func() bool { _, n := v.seen(); return n > before })
	}
}

// Rule: the same door as for the rest of the picture: no scope, no picture.
func TestRefreshNeedsItsScope(t *testing.T) {
	p := newFakeDesktop(t)
	v := start(t, Options{}, on(p)).ready(look{scopes: []orielv1.Scope{orielv1.Scope_SCOPE_CONTROL}})
	refresh(v)
	v.wait("refusal", func(m *orielv1.FromDesktop) bool { return m.GetDenied().GetScope() == orielv1.Scope_SCOPE_VIEW })
	if _, n := v.seen(); n > 0 {
		t.Errorf("%d pictures", n)
	}
}
