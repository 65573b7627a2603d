package access_test

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// members is a relay with two organizations. Ada owns the first, Bob is a member of it
// without any right, and Eve owns the second. Each has a computer, the first's in a group
// within another one.
type members struct {
	t     *testing.T
	store *store.Store
	a     *access.Access
	ada   access.Identity
	hash  string // of everybody's password
	now   func() int64
}

const (
	first  = store.FirstOrganization
	second = store.OrganizationID("second")
)

var by = audit.Command.Did("test", "test", "")

func newMembers(t *testing.T, s *store.Store, a *access.Access, now func() time.Time) *members {
	t.Helper()
	m := &members{t: t, store: s, a: a, now: func() int64 { return now().UnixMilli() }}
	m.ada, _ = own(t, a)
	_, p, err := s.SignIns().ByID(t.Context(), m.ada.SignInID)
	m.must(err)
	m.hash = p.PasswordHash
	bob, its := m.person("bob")
	m.must(s.Members(first).AddPerson(t.Context(), by, store.Member{Role: store.RoleMember, State: store.Active}, bob, its))
	eve, hers := m.person("eve")
	m.must(s.Organizations().Create(t.Context(), by, store.Organization{ID: second, Name: "Second", Code: "second"}, eve, hers))
	for _, g := range []store.Group{{ID: "offices", Name: "Offices"}, {ID: "berlin", ParentID: "offices", Name: "Berlin"}, {ID: "other", Name: "Other"}} {
		m.must(s.Groups(first).Add(t.Context(), by, g))
	}
	m.computer(first, "desk")
	m.computer(first, "apart")
	m.computer(second, "foreign")
	m.must(s.Computers(first).SetGroup(t.Context(), by, "desk", "berlin"))
	return m
}

func (m *members) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *members) person(id string) (store.Person, store.Identifier) {
	return store.Person{ID: id, Kind: store.PersonKind, Name: id, PasswordHash: m.hash, State: store.Active},
		store.Identifier{Kind: store.Email, Key: id + "@example.com", Text: id + "@example.com", VerifiedAt: 1}
}

func (m *members) computer(o store.OrganizationID, id string) {
	m.t.Helper()
	m.must(m.store.Tokens(o).Add(m.t.Context(), by, store.EnrollmentToken{ID: "token-" + id, TokenKey: []byte(id), ExpiresAt: 1 << 50, UsesLeft: 1}))
	m.must(m.store.Agents().Enroll(m.t.Context(), by, &store.Computer{ID: id, MachineKey: []byte(id), AddedAt: 1}, []byte(id)))
}

// signIn is a browser of somebody, in an organization of theirs.
func (m *members) signIn(o store.OrganizationID, person string) (access.Identity, *http.Cookie) {
	m.t.Helper()
	cookie := &http.Cookie{Name: access.SessionCookie, Value: "token of " + person}
	hash := sha256.Sum256([]byte(cookie.Value))
	m.must(m.store.SignIns().Add(m.t.Context(), by, store.SignIn{TokenHash: hash[:], ID: "of " + person, PersonID: person,
		Organization: o, CreatedAt: m.now(), SeenAt: m.now()}, m.hash))
	who, err := m.a.Identify(request(cookie))
	m.must(err)
	return who, cookie
}

// grant is operator for a person or team, on an object.
func (m *members) grant(id, subject, name, object, on string) store.Grant {
	return store.Grant{ID: id, SubjectKind: subject, SubjectID: name, Role: store.RoleOperator, ObjectKind: object, ObjectID: on, MadeBy: m.ada.PersonID}
}

// Rule: whatever changes what somebody may holds at once, where it was changed and on every other node.
func TestWhatPeopleMayIsRightAtOnceOnEveryNode(t *testing.T) {
	p := newPair(t)
	here, there, ctx := p.nodes[0], p.nodes[1], t.Context()
	m := newMembers(t, p.store, here, p.clock.now)
	bob, cookie := m.signIn(first, "bob")
	desk := access.Computer("desk")
	expect := func(what string, c access.Change, want error) {
		t.Helper()
		here.Announce(c)
		if err := here.May(ctx, bob, rights.Control, desk); !errors.Is(err, want) {
			t.Errorf("%s: where it was made: %v, want %v", what, err, want)
		}
		relaytest.Until(t, what+": on the other node", func() bool {
			_, err := there.Identify(request(cookie))
			if !errors.Is(want, access.ErrSignedOut) && err != nil {
				return false
			}
			return errors.Is(there.May(ctx, bob, rights.Control, desk), want)
		})
	}
	his, all := access.Change{PersonID: "bob", Organization: first}, access.Change{Organization: first}
	expect("nothing given", access.Change{}, access.ErrForbidden)

	m.must(p.store.Members(first).SetRole(ctx, by, "bob", store.RoleOperator))
	expect("role given", his, nil)
	m.must(p.store.Members(first).SetRole(ctx, by, "bob", store.RoleViewer))
	expect("role taken", his, access.ErrForbidden)

	role := store.Role{ID: "watching", Name: "Watching", Permissions: rights.Connect.String()}
	m.must(p.store.Roles(first).Add(ctx, by, role))
	m.must(p.store.Members(first).SetRole(ctx, by, "bob", role.ID))
	expect("role of one's own", his, access.ErrForbidden)
	role.Permissions = (rights.Connect | rights.Control).String()
	m.must(p.store.Roles(first).Save(ctx, by, role))
	expect("role that means more", all, nil)
	m.must(p.store.Members(first).SetRole(ctx, by, "bob", store.RoleMember))
	expect("no role", his, access.ErrForbidden)

	m.must(p.store.Grants(first).Add(ctx, by, m.grant("g1", store.SubjectPerson, "bob", store.ObjectGroup, "offices")))
	expect("grant added", his, nil)
	m.must(p.store.Groups(first).Move(ctx, by, "berlin", "other"))
	expect("group moved away", all, access.ErrForbidden)
	m.must(p.store.Groups(first).Move(ctx, by, "berlin", "offices"))
	expect("group moved back", all, nil)
	m.must(p.store.Computers(first).SetGroup(ctx, by, "desk", ""))
	expect("computer moved away", all, access.ErrForbidden)
	m.must(p.store.Computers(first).SetGroup(ctx, by, "desk", "offices"))
	expect("computer moved back", all, nil)
	m.must(p.store.Grants(first).Revoke(ctx, by, "g1"))
	expect("grant revoked", his, access.ErrForbidden)

	m.must(p.store.Teams(first).Add(ctx, by, store.Team{ID: "support", Name: "Support"}))
	m.must(p.store.Grants(first).Add(ctx, by, m.grant("g2", store.SubjectTeam, "support", store.ObjectComputer, "desk")))
	m.must(p.store.Teams(first).AddMember(ctx, by, "support", "bob"))
	expect("team joined", his, nil)
	m.must(p.store.Teams(first).RemoveMember(ctx, by, "support", "bob"))
	expect("team left", his, access.ErrForbidden)
	m.must(p.store.Teams(first).AddMember(ctx, by, "support", "bob"))
	expect("team joined again", his, nil)

	_, err := p.store.Members(first).SetState(ctx, by, "bob", store.Inactive)
	m.must(err)
	expect("member inactive", his, access.ErrSignedOut)
	if _, _, err := here.SignIn(ctx, "bob@example.com", password, home); !errors.Is(err, access.ErrCredentials) {
		t.Error("an inactive member signs in:", err)
	}
}

// Rule: an API key may what it holds of what its person may, in its own organization, until it expires; a key
// that was revoked is nobody's at once, on every node.
func TestAPIKeys(t *testing.T) {
	p := newPair(t)
	here, there, ctx := p.nodes[0], p.nodes[1], t.Context()
	m := newMembers(t, p.store, here, p.clock.now)
	m.must(p.store.Members(first).SetRole(ctx, by, "bob", store.RoleOperator))
	key := func(id, person string, may rights.Permission, expires int64) *http.Request {
		t.Helper()
		text, hash := access.NewKey()
		m.must(p.store.Keys(first).Add(ctx, by, store.APIKey{ID: id, PersonID: person, Name: id, TokenHash: hash, Permissions: may.String(), ExpiresAt: expires}))
		r := request(nil)
		r.Header.Set("Authorization", "Bearer "+text)
		return r
	}
	expires := p.clock.now().Add(time.Hour).UnixMilli()
	r := key("k1", "bob", rights.Connect|rights.ComputersManage|rights.API, expires)
	who, err := here.Identify(r)
	m.must(err)
	if who.KeyID != "k1" || who.SignInID != "" || who.PersonID != "bob" || who.Organization != first {
		t.Errorf("the key is %+v", who)
	}
	desk := access.Computer("desk")
	for _, c := range []struct {
		what rights.Permission
		on   access.Object
		want error
	}{
		{rights.Connect, desk, nil},
		{rights.See, desk, nil},
		{rights.Control, desk, access.ErrForbidden},         // the person may, the key does not hold it
		{rights.ComputersManage, desk, access.ErrForbidden}, // the key holds it, the person may not
		{rights.Account, access.Person("bob"), access.ErrForbidden},
		{rights.About, access.Organization, nil},
	} {
		for _, a := range p.nodes {
			if err := a.May(ctx, who, c.what, c.on); !errors.Is(err, c.want) {
				t.Errorf("%s on %v: %v, want %v", c.what, c.on, err, c.want)
			}
		}
	}
	// As nodes that have forgotten who it is ask for it again.
	for _, a := range p.nodes {
		a.Announce(access.Change{})
		m.must(a.May(ctx, who, rights.Connect, desk))
	}
	m.must(here.MayGive(ctx, who, rights.Connect, access.Organization))
	if err := here.MayGive(ctx, who, rights.Control, access.Organization); !errors.Is(err, access.ErrForbidden) {
		t.Error("a key gives what it does not hold:", err)
	}
	if err := here.SwitchOrganization(ctx, who, second); !errors.Is(err, access.ErrSignedOut) {
		t.Error("a key goes to another organization:", err)
	}
	if err := here.ChangePassword(ctx, who, password, "another long password"); !errors.Is(err, access.ErrSignedOut) {
		t.Error("a key changes the password:", err)
	}
	used := func() int64 {
		t.Helper()
		k, err := p.store.Keys(first).Get(ctx, "k1")
		m.must(err)
		return k.UsedAt
	}
	if used() != p.clock.now().UnixMilli() {
		t.Error("the use was not noted")
	}
	p.clock.pass(time.Minute)
	_, err = here.Identify(r)
	m.must(err)
	if used() == p.clock.now().UnixMilli() {
		t.Error("the use was noted twice in a minute")
	}
	p.clock.pass(time.Millisecond)
	_, err = here.Identify(r)
	m.must(err)
	if used() != p.clock.now().UnixMilli() {
		t.Error("the use was not noted after a minute")
	}
	gone := func(what string, r *http.Request) {
		t.Helper()
		if _, err := here.Identify(r); !errors.Is(err, access.ErrSignedOut) {
			t.Errorf("%s: where it was made: %v", what, err)
		}
		relaytest.Until(t, what+": on the other node", func() bool {
			_, err := there.Identify(r)
			return errors.Is(err, access.ErrSignedOut)
		})
	}
	p.clock.pass(time.Hour)
	gone("expired", r)

	hers := key("k2", m.ada.PersonID, rights.Everything, 0)
	for _, a := range p.nodes {
		_, err = a.Identify(hers)
		m.must(err)
	}
	m.must(p.store.Keys(first).Revoke(ctx, by, "", "k2"))
	here.Announce(access.Change{PersonID: m.ada.PersonID, Organization: first})
	gone("revoked", hers)

	his := key("k3", "bob", rights.See, 0)
	for _, a := range p.nodes {
		_, err = a.Identify(his)
		m.must(err)
	}
	_, err = p.store.Members(first).SetState(ctx, by, "bob", store.Inactive)
	m.must(err)
	here.Announce(access.Change{PersonID: "bob", Organization: first})
	gone("its person is inactive", his)
}

// Rule: what authorizes is a key that is ours or the cookie; a wrong key is no way back to the cookie.
func TestWhatComesWithARequest(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	a := open(t, s, access.Options{})
	m := newMembers(t, s, a, time.Now)
	_, cookie := m.signIn(first, "bob")
	unknown, _ := access.NewKey()
	for header, want := range map[string]error{
		"":                           nil,
		"Basic b3JpZWw6b3JpZWw=":     nil, // a proxy's
		"Bearer of-a-proxy":          nil,
		"Bearer " + unknown:          access.ErrSignedOut,
		"bearer  " + unknown + " ":   access.ErrSignedOut,
		"Bearer " + access.KeyPrefix: access.ErrSignedOut,
		"Bearer oriel_" + string(make([]byte, 1<<16)): access.ErrSignedOut,
	} {
		r := request(cookie)
		r.Header.Set("Authorization", header)
		if who, err := a.Identify(r); !errors.Is(err, want) || err == nil && who.PersonID != "bob" {
			t.Errorf("%.40q: %v, %v", header, who.PersonID, err)
		}
	}
}

// Rule: what another organization has is answered as what does not exist.
func TestWhatAnotherOrganizationHasDoesNotExist(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, a := t.Context(), open(t, s, access.Options{})
		m := newMembers(t, s, a, time.Now)
		m.must(s.Grants(first).Add(ctx, by, m.grant("g1", store.SubjectPerson, "bob", store.ObjectGroup, "offices")))
		bob, _ := m.signIn(first, "bob")
		eve, _ := m.signIn(second, "eve")
		if eve.Organization != second || eve.Role != store.RoleOwner {
			t.Errorf("Eve signs in to %s, as %s", eve.Organization, eve.Role)
		}
		text := func(err error) string {
			if err == nil {
				return ""
			}
			return err.Error()
		}
		for _, who := range []access.Identity{m.ada, bob} {
			for _, what := range []rights.Permission{rights.See, rights.Control, rights.ComputersManage} {
				for _, on := range []func(string) access.Object{access.Computer, access.Session, access.Group, access.Person} {
					foreign, unknown := a.May(ctx, who, what, on("foreign")), a.May(ctx, who, what, on("unknown"))
					if text(foreign) != text(unknown) {
						t.Errorf("%s, %s on %v: %v; of what does not exist %v", who.Name, what, on("foreign"), foreign, unknown)
					}
				}
			}
		}
		for what, on := range map[rights.Permission]access.Object{rights.Control: access.Computer("desk"), rights.See: access.Computer("desk")} {
			m.must(a.May(ctx, bob, what, on))
			// Eve owns hers, and nothing elsewhere.
			stolen := eve
			stolen.Organization = first
			if err := a.May(ctx, stolen, what, on); !errors.Is(err, access.ErrSignedOut) {
				t.Errorf("an owner elsewhere, %s: %v", what, err)
			}
		}
		v, err := a.Visible(ctx, bob, rights.See)
		m.must(err)
		all, err := s.Computers(first).List(ctx, v)
		m.must(err)
		if len(all) != 1 || all[0].ID != "desk" {
			t.Errorf("Bob sees %v", all)
		}
		if err := a.May(ctx, eve, rights.RelayOperate, access.Organization); !errors.Is(err, access.ErrForbidden) {
			t.Error("an owner elsewhere operates the relay:", err)
		}
		m.must(a.May(ctx, m.ada, rights.RelayOperate, access.Organization))
		if why, err := a.Explain(ctx, m.ada, "bob", rights.Control, access.Computer("desk")); err != nil || !why.Allowed || len(why.By) != 1 || why.By[0].Grant.ID != "g1" {
			t.Errorf("why: %+v, %v", why, err)
		}
		if _, err := a.Explain(ctx, m.ada, "eve", rights.Control, access.Computer("desk")); !errors.Is(err, store.ErrNotFound) {
			t.Error("of somebody of another organization it is told why:", err)
		}
	})
}

// Rule: somebody in two organizations has in each what they were given there; what runs in one goes on after
// they went to the other, until they are no member of it any more.
func TestOnePersonInTwoOrganizations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, a := t.Context(), open(t, s, access.Options{})
		m := newMembers(t, s, a, time.Now)
		m.must(s.Members(first).SetRole(ctx, by, "bob", store.RoleOperator))
		m.must(s.Members(second).Add(ctx, by, store.Member{PersonID: "bob", Role: store.RoleViewer, State: store.Active}))
		here, cookie := m.signIn(first, "bob")
		if here.Organization != first {
			t.Fatal("signed in to", here.Organization)
		}
		for _, to := range []store.OrganizationID{"unknown", second + "x"} {
			if err := a.SwitchOrganization(ctx, here, to); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("goes to %s: %v", to, err)
			}
		}
		if err := a.SwitchOrganization(ctx, m.ada, second); !errors.Is(err, store.ErrNotFound) {
			t.Error("goes to an organization that is not theirs:", err)
		}
		m.must(a.SwitchOrganization(ctx, here, second))
		there, err := a.Identify(request(cookie))
		m.must(err)
		if there.Organization != second || there.Role != store.RoleViewer || there.SignInID != here.SignInID {
			t.Errorf("went to the other organization as %+v", there)
		}
		ask := func(who access.Identity, want error) {
			t.Helper()
			for _, fresh := range []bool{false, true} {
				if fresh {
					m.must(a.Recheck(ctx, here, there))
				}
				if err := a.May(ctx, who, rights.Control, access.Organization); !errors.Is(err, want) {
					t.Errorf("in %s: %v, want %v", who.Organization, err, want)
				}
			}
		}
		ask(here, nil)
		ask(there, access.ErrForbidden)
		_, err = s.Members(first).SetState(ctx, by, "bob", store.Inactive)
		m.must(err)
		a.Announce(access.Change{PersonID: "bob", Organization: first})
		ask(here, access.ErrSignedOut)
		ask(there, access.ErrForbidden)
	})
}

// Rule: what a second person can lift is refused with a code of its own, to who has such a
// grant and to nobody else, and is forbidden like everything that is.
func TestNeedsApproval(t *testing.T) {
	s, c := storetest.Open(t, storetest.SQLite(t)), newClock()
	ctx, a := t.Context(), open(t, s, access.Options{Now: c.now})
	m := newMembers(t, s, a, c.now)
	g := m.grant("g1", store.SubjectPerson, "bob", store.ObjectComputer, "desk")
	g.Approval = true
	m.must(s.Grants(first).Add(ctx, by, g))
	bob, _ := m.signIn(first, "bob")
	for what, want := range map[rights.Permission]fault.Code{rights.Control: fault.NeedsApproval, rights.ComputersManage: fault.Forbidden} {
		err := a.Require(ctx, bob, what, access.Computer("desk"))
		if !errors.Is(err, access.ErrForbidden) || fault.Of(err).Code() != want {
			t.Errorf("%s: %v, code %s", what, err, fault.Of(err).Code())
		}
	}
}

// Rule: what hours and ends allow is told with the moment at which it ends, and a refusal says when it begins again.
func TestUntilWhen(t *testing.T) {
	s, c := storetest.Open(t, storetest.SQLite(t)), newClock()
	ctx, a := t.Context(), open(t, s, access.Options{Now: c.now})
	m := newMembers(t, s, a, c.now)
	g := m.grant("g1", store.SubjectPerson, "bob", store.ObjectComputer, "desk")
	g.Hours = `{"zone":"Europe/Berlin","windows":[{"days":["sun"],"from":"09:00","to":"11:00"}]}`
	m.must(s.Grants(first).Add(ctx, by, g)) // it is Sunday, ten o'clock in Berlin
	bob, _ := m.signIn(first, "bob")
	until, err := a.MayUntil(ctx, bob, rights.Control, access.Computer("desk"))
	if err != nil || !until.Equal(c.now().Add(time.Hour)) {
		t.Error("until", until, err)
	}
	c.pass(time.Hour)
	_, err = a.MayUntil(ctx, bob, rights.Control, access.Computer("desk"))
	const want = "you may do this within certain hours only; they begin again on 29 November 2026 at 09:00 CET (control)"
	if !errors.Is(err, access.ErrForbidden) || !access.TimeIsUp(err) || err.Error() != want {
		t.Errorf("after hours: %v", err)
	}
	m.must(a.May(ctx, bob, rights.See, access.Computer("desk")))
	if err := a.May(ctx, bob, rights.ComputersManage, access.Computer("desk")); !errors.Is(err, access.ErrForbidden) || access.TimeIsUp(err) {
		t.Error("what was never given:", err)
	}
}

// Rule: who is signed in no more can be told why: whatever ended it, also where the sign-in
// goes on in another organization of theirs.
func TestWhySomebodyIsSignedOut(t *testing.T) {
	const none, here, elsewhere, changed, removed, blocked, expired, address = orielv1.SignOutReason_SIGN_OUT_REASON_UNSPECIFIED,
		orielv1.SignOutReason_SIGN_OUT_REASON_SIGNED_OUT, orielv1.SignOutReason_SIGN_OUT_REASON_ELSEWHERE, orielv1.SignOutReason_SIGN_OUT_REASON_PASSWORD,
		orielv1.SignOutReason_SIGN_OUT_REASON_REMOVED, orielv1.SignOutReason_SIGN_OUT_REASON_BLOCKED, orielv1.SignOutReason_SIGN_OUT_REASON_EXPIRED,
		orielv1.SignOutReason_SIGN_OUT_REASON_ADDRESS
	hour := time.Hour.Milliseconds()
	for name, c := range map[string]struct {
		end  func(m *members, c *clock, who access.Identity) error
		want orielv1.SignOutReason
	}{
		"signed out": {func(m *members, _ *clock, _ access.Identity) error {
			hash := sha256.Sum256([]byte("token of bob"))
			_, err := m.store.SignIns().Remove(m.t.Context(), by, hash[:])
			return err
		}, here},
		"ended by themselves": {func(m *members, _ *clock, who access.Identity) error {
			return m.store.SignIns().End(m.t.Context(), by, "bob", who.SignInID)
		}, elsewhere},
		"another password": {func(m *members, _ *clock, _ access.Identity) error {
			_, err := m.store.People().SetPassword(m.t.Context(), by, "bob", "another", "")
			return err
		}, changed},
		"removed": {func(m *members, _ *clock, _ access.Identity) error {
			_, err := m.store.Members(first).Remove(m.t.Context(), by, "bob")
			return err
		}, removed},
		"removed, and at work in another organization now": {func(m *members, _ *clock, who access.Identity) error {
			m.must(m.store.Members(second).Add(m.t.Context(), by, store.Member{PersonID: "bob", Role: store.RoleViewer, State: store.Active}))
			m.must(m.store.SignIns().Switch(m.t.Context(), by, "bob", who.SignInID, second))
			_, err := m.store.Members(first).Remove(m.t.Context(), by, "bob")
			return err
		}, removed},
		"made inactive there, and at work in another organization now": {func(m *members, _ *clock, who access.Identity) error {
			m.must(m.store.Members(second).Add(m.t.Context(), by, store.Member{PersonID: "bob", Role: store.RoleViewer, State: store.Active}))
			m.must(m.store.SignIns().Switch(m.t.Context(), by, "bob", who.SignInID, second))
			_, err := m.store.Members(first).SetState(m.t.Context(), by, "bob", store.Inactive)
			return err
		}, blocked},
		"gone": {func(m *members, _ *clock, _ access.Identity) error {
			_, err := m.store.People().Delete(m.t.Context(), by, "bob")
			return err
		}, removed},
		"made inactive there": {func(m *members, _ *clock, _ access.Identity) error {
			_, err := m.store.Members(first).SetState(m.t.Context(), by, "bob", store.Inactive)
			return err
		}, blocked},
		"made inactive": {func(m *members, _ *clock, _ access.Identity) error {
			_, err := m.store.People().SetState(m.t.Context(), by, "bob", store.Inactive)
			return err
		}, blocked},
		"too old": {func(_ *members, c *clock, _ access.Identity) error {
			c.pass(365 * 24 * time.Hour)
			return nil
		}, expired},
		"too old, and swept": {func(m *members, c *clock, _ access.Identity) error {
			c.pass(365 * 24 * time.Hour)
			return m.a.Sweep(m.t.Context())
		}, expired},
		"older than the organization allows": {func(m *members, c *clock, _ access.Identity) error {
			demand(m.t, m.store, m.a, 0, `{"sign_in_hours":1}`)
			c.ms.Add(2 * hour)
			return nil
		}, expired},
		"from where nobody is let in": {func(m *members, _ *clock, _ access.Identity) error {
			demand(m.t, m.store, m.a, 0, `{"allowed_addresses":["203.0.113.0/24"]}`)
			return nil
		}, address},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				clock := newClock()
				a := open(t, s, access.Options{Now: clock.now})
				m := newMembers(t, s, a, clock.now)
				bob, _ := m.signIn(first, "bob")
				m.must(c.end(m, clock, bob))
				a.Announce(access.Change{})
				if err := a.May(t.Context(), bob, rights.Account, access.Person("bob")); !errors.Is(err, access.ErrSignedOut) {
					t.Fatalf("still signed in: %v", err)
				}
				if got := a.WhySignedOut(t.Context(), bob); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
				if got := a.WhySignedOut(t.Context(), access.Identity{SignInID: "?", Organization: first}); got != none {
					t.Errorf("of a sign-in that never was: %s", got)
				}
			})
		})
	}
}
