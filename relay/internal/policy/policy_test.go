package policy

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// full says everything, each differently from what nothing says.
func full() Settings {
	yes, no, n := true, false, 90
	return Settings{Scopes: []string{"view"}, Consent: &yes, Previews: &no, PreviewSeconds: &n, SessionMinutes: &n, LeaseMinutes: &n,
		Hours: []string{"mon-fri 08:00-18:00"}, AllowedAddresses: []string{"192.0.2.0/24"}, SignInIdleMinutes: &n, SignInHours: &n}
}

// Rule: no setting is forgotten by what reads, inherits and checks them.
func TestEachSettingIsKnown(t *testing.T) {
	s, of := full(), reflect.TypeFor[Settings]()
	if got := s.Says(); len(got) != of.NumField() {
		t.Fatalf("%v of %d", got, of.NumField())
	}
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		if settings[i].name != name {
			t.Errorf("%s is %s", settings[i].name, name)
		}
		var one Settings
		settings[i].take(&one, &s)
		if got := one.Says(); !slices.Equal(got, []string{name}) {
			t.Errorf("%s takes %v", name, got)
		}
	}
	text, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Parse(text); err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("%s is read as %+v, %v", text, got, err)
	}
}

// Rule: of a change of a policy, however long, the audit keeps all that changed, from what
// to what, and nothing else; of a removal, what the policy said.
func TestAuditKeepsWhatChanges(t *testing.T) {
	fullest := func(days string, network int) Settings {
		s := full()
		s.Scopes, s.Hours, s.AllowedAddresses = nil, nil, nil
		for _, one := range slices.Sorted(maps.Keys(orielv1.Scope_name)) {
			if one != 0 {
				s.Scopes = append(s.Scopes, orielv1.Word(orielv1.Scope(one)))
			}
		}
		for range maxHours {
			s.Hours = append(s.Hours, strings.Repeat(days+",", 12)+days+" 08:00-18:00")
		}
		for i := range maxAddresses {
			s.AllowedAddresses = append(s.AllowedAddresses, fmt.Sprintf("2001:1111:2222:3333:4444:5555:%x:%x/128", network, 0x7000+i))
		}
		return s
	}
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		p := New(Options{Store: s, Announce: func(store.OrganizationID) {}})
		o, on := store.FirstOrganization, Origin{Kind: store.ObjectOrganization}
		first, second, yes := fullest("mon", 0x6000), fullest("sun", 0x7000), true
		third := second
		third.Previews = &yes
		for i, next := range []Settings{first, second, third} {
			if _, err := p.Save(t.Context(), audit.Command, o, on, int64(i), next); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Remove(t.Context(), audit.Command, o, on, 0); err != nil {
			t.Fatal(err)
		}
		all, err := s.Audit(o).After(t.Context(), 0, 9)
		if err != nil || len(all) != 4 {
			t.Fatal(all, err)
		}
		kept := func(i int, name string) Settings {
			got, err := Parse(all[i].Details[name])
			if err != nil {
				t.Errorf("entry %d, %s: %v", i, name, err)
			}
			return got
		}
		for i, want := range []struct {
			before, after []string
		}{
			{nil, first.Says()},
			{[]string{"hours", "allowed_addresses"}, []string{"hours", "allowed_addresses"}},
			{[]string{"previews"}, []string{"previews"}},
		} {
			before, after := kept(i, "settings_before"), kept(i, "settings")
			if !slices.Equal(before.Says(), want.before) || !slices.Equal(after.Says(), want.after) {
				t.Errorf("change %d: from %v to %v", i, before.Says(), after.Says())
			}
		}
		if was, is := kept(1, "settings_before"), kept(1, "settings"); !reflect.DeepEqual(was.Hours, first.Hours) || !reflect.DeepEqual(is.AllowedAddresses, second.AllowedAddresses) {
			t.Errorf("from %.99q to %.99q", was.Hours, is.AllowedAddresses)
		}
		if was := kept(3, "settings_before"); !reflect.DeepEqual(was, third) {
			t.Errorf("removed: %+v", was)
		}
	})
}

// Rule: what a policy cannot say is refused at its field, and a key that this relay does
// not know is not passed over.
func TestWrongSettings(t *testing.T) {
	low, high := 0, 1<<30
	for name, c := range map[string]struct {
		s     Settings
		kind  string
		field string
	}{
		"no scopes":               {Settings{Scopes: []string{}}, store.ObjectGroup, "scopes"},
		"unknown scope":           {Settings{Scopes: []string{"fly"}}, store.ObjectGroup, "scopes"},
		"scope twice":             {Settings{Scopes: []string{"view", "view"}}, store.ObjectGroup, "scopes"},
		"a film":                  {Settings{PreviewSeconds: &low}, store.ObjectGroup, "preview_seconds"},
		"no session":              {Settings{SessionMinutes: &low}, store.ObjectGroup, "session_minutes"},
		"long lease":              {Settings{LeaseMinutes: &high}, store.ObjectGroup, "lease_minutes"},
		"hours":                   {Settings{Hours: []string{"always"}}, store.ObjectComputer, "hours"},
		"many hours":              {Settings{Hours: slices.Repeat([]string{"08:00-09:00"}, 33)}, store.ObjectComputer, "hours"},
		"people of a group":       {Settings{SignInHours: &high}, store.ObjectGroup, "sign_in_hours"},
		"idle":                    {Settings{SignInIdleMinutes: &low}, store.ObjectOrganization, "sign_in_idle_minutes"},
		"an address":              {Settings{AllowedAddresses: []string{"192.0.2.1"}}, store.ObjectOrganization, "allowed_addresses"},
		"not a network's":         {Settings{AllowedAddresses: []string{"192.0.2.1/24"}}, store.ObjectOrganization, "allowed_addresses"},
		"addresses of a computer": {Settings{AllowedAddresses: []string{"192.0.2.0/24"}}, store.ObjectComputer, "allowed_addresses"},
	} {
		err := c.s.Check(c.kind)
		if !errors.Is(err, fault.ErrInvalid) || !strings.Contains(fault.ProblemOf(err).Errors[0].Pointer, c.field) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "[]", `{"scope":["view"]}`, `{} {}`, `{"session_minutes":"1"}`, `{"session_minutes":0}`} {
		if s, err := Parse(text); err == nil {
			t.Errorf("%q is %+v", text, s)
		}
	}
	s := full()
	if err := s.Check(store.ObjectOrganization); err != nil {
		t.Error(err)
	}
}

// Rule: of each setting the nearest counts, and it is said whose it is; a group may also
// allow what the organization forbids.
func TestNearestCounts(t *testing.T) {
	e, err := Merge([]store.Policy{
		{ObjectKind: store.ObjectOrganization, Settings: `{"scopes":["view"],"session_minutes":60,"hours":["08:00-18:00"]}`},
		{ObjectKind: store.ObjectGroup, ObjectID: "g", Settings: `{"session_minutes":30,"hours":[]}`},
		{ObjectKind: store.ObjectComputer, ObjectID: "c", Settings: `{"scopes":["view","control"]}`},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Origin{"scopes": {"computer", "c"}, "session_minutes": {"group", "g"}, "hours": {"group", "g"}}
	if *e.SessionMinutes != 30 || len(e.Scopes) != 2 || len(e.Hours) != 0 || !reflect.DeepEqual(e.Origins, want) {
		t.Errorf("%+v", e)
	}
}

// Rule: what is not allowed is known before a session begins.
func TestForbiddenScopes(t *testing.T) {
	view, control, yes := orielv1.Scope_SCOPE_VIEW, orielv1.Scope_SCOPE_CONTROL, true
	for name, c := range map[string]struct {
		s    Settings
		want orielv1.Scope
	}{
		"nothing said": {Settings{}, 0}, "watch only": {Settings{Scopes: []string{"view"}}, control},
		"no screen": {Settings{Scopes: []string{"control"}}, view}, "consent": {Settings{Consent: &yes}, control},
		"both": {Settings{Scopes: []string{"view", "control"}}, 0},
	} {
		if got := c.s.ForbiddenScope([]orielv1.Scope{view, control}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Rule: members may be signed in from the networks that are named, and from anywhere
// where none is.
func TestAllowedAddresses(t *testing.T) {
	s := Settings{AllowedAddresses: []string{"192.0.2.0/24", "2001:db8::/32"}}
	for text, want := range map[string]bool{"192.0.2.7": true, "::ffff:192.0.2.7": true, "2001:db8::1": true, "2001:db8::1%eth0": true,
		"192.0.3.1": false, "2001:db9::1": false, "127.0.0.1": false} {
		if s.Allows(netip.MustParseAddr(text)) != want {
			t.Errorf("%s: %v", text, !want)
		}
	}
	if s.Allows(netip.Addr{}) || !(&Settings{}).Allows(netip.Addr{}) {
		t.Error("who has no address")
	}
}

// Rule: a policy is changed by who knows what it says: of two changes at once the second
// is told, and nothing is lost; each is announced, and written in the audit.
func TestPoliciesAreChangedInTurn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		told := 0
		p := New(Options{Store: s, Announce: func(store.OrganizationID) { told++ }})
		on, o := Origin{Kind: store.ObjectOrganization}, store.FirstOrganization
		save := func(version int64, s Settings) (Policy, error) {
			return p.Save(t.Context(), audit.Command, o, on, version, s)
		}
		n := 60
		first, err := save(0, Settings{SessionMinutes: &n})
		if err != nil || first.Version != 1 || told != 1 {
			t.Fatalf("%+v, %v, told %d", first, err, told)
		}
		for _, version := range []int64{0, 7} {
			if _, err := save(version, Settings{}); !errors.Is(err, ErrMoved) {
				t.Errorf("version %d: %v", version, err)
			}
		}
		if err := p.Remove(t.Context(), audit.Command, o, on, 7); !errors.Is(err, ErrMoved) {
			t.Errorf("removed: %v", err)
		}
		if _, err := save(1, Settings{SessionMinutes: &n, Scopes: []string{"view"}}); err != nil {
			t.Fatal(err)
		}
		if got, err := p.Get(t.Context(), o, on); err != nil || got.Version != 2 || !slices.Equal(got.Settings.Says(), []string{"scopes", "session_minutes"}) {
			t.Errorf("%+v, %v", got, err)
		}
		if err := p.Remove(t.Context(), audit.Command, o, on, 2); err != nil {
			t.Fatal(err)
		}
		if err := p.Remove(t.Context(), audit.Command, o, on, 2); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("removed twice: %v", err)
		}
		if some, err := p.Any(t.Context(), o); err != nil || some || told != 3 {
			t.Errorf("%v, %v, told %d", some, err, told)
		}
	})
}
