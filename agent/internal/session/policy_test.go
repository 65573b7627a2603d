package session

import (
	"image"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"oriel/agent/internal/policy"
	"oriel/protocol/hours"
	orielv1 "oriel/protocol/oriel/v1"
)

// Rule: view only, and no control without consent, by the agent's local policy,
// which no grant loosens: refused at the last door, in a sentence.
func TestPolicyRefusesControlThatWasGranted(t *testing.T) {
	for name, p := range map[string]policy.Policy{"view only": {ViewOnly: true}, "consent": {Consent: true}} {
		t.Run(name, func(t *testing.T) {
			desk := newFakeDesktop(t)
			r := start(t, Options{Policy: policy.Set{p, {}}}, on(desk))
			v := r.ready(look{}) // granted VIEW and CONTROL
			ready := v.wait("ready", func(m *orielv1.FromDesktop) bool { return m.GetReady() != nil }).GetReady()
			if len(ready.GetScopes()) != 1 || ready.GetScopes()[0] != orielv1.Scope_SCOPE_VIEW {
				t.Errorf("in force are %v", ready.GetScopes())
			}
			v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Key{Key: &orielv1.Key{Usage: 4, Down: true}}})
			v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Text{Text: &orielv1.Text{Text: "x"}}})
			v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Wheel{Wheel: &orielv1.Wheel{Dy: 120}}})
			v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Ping{Ping: &orielv1.Ping{Id: 7}}}) // comes after them
			v.wait("pong", func(m *orielv1.FromDesktop) bool { return m.GetPong().GetId() == 7 })
			denied := v.wait("denied", func(m *orielv1.FromDesktop) bool { return m.GetDenied() != nil }).GetDenied()
			if !strings.Contains(denied.GetDetail(), "this computer's own policy") {
				t.Errorf("denied in these words: %q", denied.GetDetail())
			}
			eventually(t, "the picture", func() bool { return v.luma(image.Rect(0, 0, 99, 99)) > 0 })
			desk.mu.Lock()
			defer desk.mu.Unlock()
			if desk.acts != 0 {
				t.Errorf("%d acts in spite of the policy", desk.acts)
			}
		})
	}
}

// Rule: previews are off where the local policy says so, whatever the settings.
func TestPolicySwitchesPreviewsOff(t *testing.T) {
	r := start(t, Options{Policy: policy.Set{{Previews: new(bool)}}, timing: timing{previewIn: 1, previewMin: 1}}, on(newFakeDesktop(t)))
	r.host.Apply(&orielv1.Settings{PreviewSeconds: 1})
	if every, _, _ := r.host.previewing(); every != 0 {
		t.Errorf("previews every %v", every)
	}
	r.ready(look{}) // the display is there and was read
	r.host.sendPreview(image.NewRGBA(image.Rect(0, 0, 4, 4)), time.Now())
	if r.shots() != 0 {
		t.Error("a preview in spite of the policy")
	}
}

// Rule: outside the local policy's hours there is no session and no preview, a
// running one ends, and the relay's time does not count.
func TestPolicyKeepsHours(t *testing.T) {
	h, err := hours.Parse("mon-fri 08:00-18:00")
	if err != nil {
		t.Fatal(err)
	}
	var now atomic.Pointer[time.Time]
	set := func(day, hour int) { at := time.Date(2026, 3, day, hour, 0, 0, 0, time.UTC); now.Store(&at) }
	set(2, 9) // Monday
	r := start(t, Options{Policy: policy.Set{{Hours: []hours.Hours{h}}}, timing: timing{
		clock: func() time.Time { return *now.Load() }, closing: time.Millisecond, previewIn: time.Microsecond, previewMin: 1,
	}}, on(newFakeDesktop(t)))
	r.host.Apply(&orielv1.Settings{PreviewSeconds: 1})
	eventually(t, "a preview in the hours", func() bool { return r.shots() > 0 })
	r.ready(look{id: "day"})
	refused := func(id string) {
		t.Helper()
		var e *orielv1.SessionEnded
		eventually(t, "the end of "+id, func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, end := range r.ends {
				if end.GetSessionId() == id {
					e = end
				}
			}
			return e != nil
		})
		if e.GetReason() != orielv1.EndReason_END_REASON_REFUSED || e.GetCode() != orielv1.Code_CODE_FORBIDDEN ||
			!strings.Contains(e.GetDetail(), "mon-fri 08:00-18:00") {
			t.Errorf("%s ended with %v", id, e)
		}
	}
	set(2, 18)
	refused("day")
	r.join(look{id: "night"})
	refused("night")
	if every, _, _ := r.host.previewing(); every != 0 {
		t.Errorf("previews at night every %v", every)
	}
	before := r.shots()
	set(3, 8)
	eventually(t, "previews again", func() bool { return r.shots() > before })
	r.ready(look{id: "next day"})
}
