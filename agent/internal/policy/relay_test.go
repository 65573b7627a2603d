package policy

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"oriel/protocol/hours"
	orielv1 "oriel/protocol/oriel/v1"
)

var (
	viewing = orielv1.Scope_SCOPE_VIEW
	typing  = orielv1.Scope_SCOPE_CONTROL
)

// said is a policy of the relay's that says all that one can say.
func said(t *testing.T, change func(*orielv1.ComputerPolicy)) Relay {
	t.Helper()
	p := &orielv1.ComputerPolicy{ComputerId: "c-1", Version: 7, IssuedAt: 1795305600000, Organization: &orielv1.Organization{Name: "Acme\n<b>"},
		LimitsScopes: true, Scopes: []orielv1.Scope{viewing, 31}, NoPreviews: true, PreviewSeconds: 300,
		SessionMinutes: 60, LeaseMinutes: 5, Hours: []string{"mon-fri 08:00-18:00"}}
	if change != nil {
		change(p)
	}
	r, err := FromRelay(p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Rule: the organization's policy forbids besides the computer's own, which it never
// loosens: of each setting the stricter holds, and it is said whose it is.
func TestTheRelayNeverLoosens(t *testing.T) {
	night, _ := hours.Parse("22:00-06:00")
	five, ten, day := 5, 600, 86400
	own := Set{{ViewOnly: true, Previews: new(bool), Hours: []hours.Hours{night}, LeaseMinutes: &five, SessionMinutes: &five, PreviewSeconds: &day, Scopes: []Scope{Scope(viewing)}}}
	loose := said(t, func(p *orielv1.ComputerPolicy) {
		p.LimitsScopes, p.NoPreviews, p.SessionMinutes, p.LeaseMinutes, p.Hours = false, false, 600, 600, []string{"00:00-24:00"}
	})
	both := own.With(loose)
	if both.NoControl() != "this computer's own policy lets it be watched only" || both.Closed(at(t, 1, "12:00")) == "" || both.Previews(at(t, 1, "23:00")) ||
		both.Lease(time.Hour) != 5*time.Minute || both.PreviewSeconds(60) != 86400 {
		t.Errorf("loosened: %s", both)
	}
	if d, _ := both.Longest(); d != 5*time.Minute {
		t.Errorf("sessions of %v", d)
	}
	strict := Set{{LeaseMinutes: &ten}}.With(said(t, nil))
	if strict.NoControl() != "the policy of Acme <b> lets this computer be watched only" || strict.Previews(at(t, 1, "12:00")) ||
		!strings.HasPrefix(strict.Closed(at(t, 1, "20:00")), "the policy of Acme <b> allows sessions mon-fri 08:00-18:00 only") ||
		strict.Lease(time.Hour) != 5*time.Minute || strict.PreviewSeconds(60) != 300 || strict.PreviewSeconds(0) != 0 {
		t.Errorf("not kept: %s", strict)
	}
	if d, why := strict.Longest(); d != time.Hour || !strings.Contains(why, "Acme") {
		t.Errorf("sessions of %v: %s", d, why)
	}
}

// Rule: a session that would see the screen where it may not, or of which nothing is left,
// is refused; of any other the rest is left.
func TestRefuses(t *testing.T) {
	none := said(t, func(p *orielv1.ComputerPolicy) { p.Scopes = []orielv1.Scope{31} })
	blind := said(t, func(p *orielv1.ComputerPolicy) { p.Scopes = []orielv1.Scope{orielv1.Scope_SCOPE_TERMINAL} })
	for name, c := range map[string]struct {
		set     Set
		scopes  []orielv1.Scope
		refused bool
	}{
		"nothing said":         {nil, []orielv1.Scope{viewing, typing}, false},
		"control goes":         {Set{}.With(said(t, nil)), []orielv1.Scope{viewing, typing}, false},
		"nothing is left":      {Set{}.With(said(t, nil)), []orielv1.Scope{orielv1.Scope_SCOPE_FILES_READ}, true},
		"nothing is known":     {Set{}.With(none), []orielv1.Scope{viewing}, true},
		"no screen":            {Set{}.With(blind), []orielv1.Scope{viewing, orielv1.Scope_SCOPE_TERMINAL}, true},
		"a terminal only":      {Set{}.With(blind), []orielv1.Scope{orielv1.Scope_SCOPE_TERMINAL}, false},
		"its own is view only": {Set{{ViewOnly: true}}, []orielv1.Scope{typing}, true},
	} {
		if why := c.set.Refuses(c.scopes); (why != "") != c.refused {
			t.Errorf("%s: %q", name, why)
		}
	}
}

// Rule: the organization's policy lies on the disk, for this computer only, and one that
// was damaged there is an error: the agent does not start without knowing what it says.
func TestRelayPolicyIsKept(t *testing.T) {
	r, dir := said(t, nil), write(t, "{}", 0o600)
	if got, err := LoadRelay(dir, "c-1"); err != nil || got.Version != 0 {
		t.Fatalf("none: %+v, %v", got, err)
	}
	if err := r.Save(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, RelayFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	if got, err := LoadRelay(dir, "c-1"); err != nil || !reflect.DeepEqual(got, r) {
		t.Fatalf("%+v, %v", got, err)
	}
	if got, err := LoadRelay(dir, "c-2"); err != nil || got.Version != 0 {
		t.Fatalf("another computer's: %+v, %v", got, err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]string{
		"empty": "", "cut": string(whole[:len(whole)/2]), "no version": `{"computer_id":"c-1","policy":{"organization":"Acme"}}`,
		"nobody's": `{"computer_id":"c-1","version":1,"issued_at":1,"policy":{}}`, "unknown": strings.Replace(string(whole), `"scopes"`, `"scope"`, 1),
	} {
		if err := os.WriteFile(path, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := LoadRelay(dir, "c-1"); err == nil || !strings.Contains(err.Error(), RelayFile) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// Rule: a policy of which this agent does not understand a word is not taken.
func TestRelayPolicyThatIsNotUnderstood(t *testing.T) {
	for name, p := range map[string]*orielv1.ComputerPolicy{
		"hours":          {Hours: []string{"always"}},
		"a long lease":   {LeaseMinutes: 1 << 30},
		"a short film":   {PreviewSeconds: 1},
		"a long evening": {SessionMinutes: 1 << 31},
	} {
		if r, err := FromRelay(p); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
