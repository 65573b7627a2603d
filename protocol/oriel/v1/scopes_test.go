package orielv1

import (
	"slices"
	"testing"
)

// Rule: a mode of an older tab is read as the scopes that it stood for, and a grant or
// an entry of the journal says in the old word what its scopes come nearest to.
func TestModesAreScopes(t *testing.T) {
	view, control := Scope_SCOPE_VIEW, Scope_SCOPE_CONTROL
	for _, tc := range []struct {
		name string
		m    *OpenSession
		want []Scope
	}{
		{"nothing", &OpenSession{}, nil},
		{"an older tab that controls", &OpenSession{Mode: Mode_MODE_CONTROL}, []Scope{view, control}},
		{"an older tab that looks on", &OpenSession{Mode: Mode_MODE_VIEW}, []Scope{view}},
		{"a mode that nobody knows", &OpenSession{Mode: 9}, nil},
		{"both: what is wanted counts", &OpenSession{Mode: Mode_MODE_CONTROL, Wanted: []Scope{view}}, []Scope{view}},
		{"twice and in disorder", &OpenSession{Wanted: []Scope{control, view, control}}, []Scope{view, control}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.m.Asks(); !slices.Equal(got, tc.want) {
				t.Errorf("asks %v, want %v", got, tc.want)
			}
		})
	}
	for mode, scopes := range map[Mode][]Scope{
		Mode_MODE_UNSPECIFIED: nil, Mode_MODE_VIEW: {view}, Mode_MODE_CONTROL: {control, view},
	} {
		g, e := &Grant{}, &JournalEntry{}
		g.SetScopes(scopes)
		e.SetScopes(scopes)
		if g.GetMode() != mode || e.GetMode() != mode || !slices.Equal(g.GetScopes(), SortScopes(scopes)) || !slices.Equal(e.GetScopes(), SortScopes(scopes)) {
			t.Errorf("%v: %v and %v", mode, g, e)
		}
	}
}

// Rule: an agent from before capabilities can do what it could; one that names them,
// what it names, and a capability that is no scope is none.
func TestServes(t *testing.T) {
	for _, tc := range []struct {
		name  string
		can   []Capability
		scope Scope
		want  bool
	}{
		{"older, view", nil, Scope_SCOPE_VIEW, true},
		{"older, control", nil, Scope_SCOPE_CONTROL, true},
		{"older, terminal", nil, Scope_SCOPE_TERMINAL, false},
		{"named", []Capability{Capability_CAPABILITY_TERMINAL}, Scope_SCOPE_TERMINAL, true},
		{"not named", []Capability{Capability_CAPABILITY_TERMINAL}, Scope_SCOPE_VIEW, false},
		{"no scope", []Capability{0}, 0, false},
		{"not a scope's number", []Capability{Capability_CAPABILITY_SUPPLEMENTS}, Scope(Capability_CAPABILITY_SUPPLEMENTS), false},
	} {
		if got := Serves(tc.can, tc.scope); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	for n, name := range Scope_name { // the two lists keep step
		if want := "CAPABILITY_" + name[len("SCOPE_"):]; Capability_name[n] != want {
			t.Errorf("scope %d is %s, and the capability of that number %s", n, name, Capability_name[n])
		}
	}
}
