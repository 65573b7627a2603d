package access_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/alexedwards/argon2id"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/identifier"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// company is an organization with people who are known by other things than an e-mail
// address.
type company struct {
	t    *testing.T
	s    *store.Store
	id   store.OrganizationID
	code string
}

func newCompany(t *testing.T, s *store.Store, code string) company {
	t.Helper()
	c := company{t, s, store.OrganizationID(store.NewID()), code}
	boss := store.Person{ID: store.NewID(), Kind: store.PersonKind, Name: "Boss", State: store.Active}
	its := store.Identifier{Kind: store.Email, Key: "boss@" + code + ".example", Text: "boss@" + code + ".example", VerifiedAt: 1}
	err := s.Organizations().Create(t.Context(), audit.Command.Did(audit.OrganizationMade, "organization", string(c.id)),
		store.Organization{ID: c.id, Name: "The " + code, Code: code, CreatedAt: 1}, boss, its)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// with adds somebody with that password and those identifiers.
func (c company) with(password string, names map[string]string) string {
	c.t.Helper()
	hash, err := argon2id.CreateHash(password, &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		c.t.Fatal(err)
	}
	p := store.Person{ID: store.NewID(), Kind: store.PersonKind, Name: "Somebody", PasswordHash: hash, State: store.Active}
	var its []store.Identifier
	for kind, text := range names {
		id := store.Identifier{Kind: kind, Key: identifier.Key(identifier.Kind(kind), text), Text: text, VerifiedAt: 1}
		if kind != store.Email {
			id.Organization = c.id
		}
		its = append(its, id)
	}
	by := audit.Command.Did(audit.ServiceMade, "person", p.ID)
	if err := c.s.Members(c.id).AddPerson(c.t.Context(), by, store.Member{Role: store.RoleViewer, State: store.Active}, p, its...); err != nil {
		c.t.Fatal(err)
	}
	return p.ID
}

// Rule: a person signs in with all that names them, however it is typed, and is then in
// the organization that it is of.
func TestEveryWayOfNamingOneself(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a := open(t, s, access.Options{})
		acme, other := newCompany(t, s, "acme"), newCompany(t, s, "other")
		ada := acme.with(password, map[string]string{store.Email: "ada@acme.example", store.UserName: "Ada", store.Number: "123.456.789-09"})
		eve := other.with("another long password", map[string]string{store.UserName: "ada", store.Number: "4711"})
		for _, tc := range []struct {
			login, password, person string
			in                      store.OrganizationID
		}{
			{"ADA@acme.example ", password, ada, acme.id},
			{"ada@acme.example:acme", password, ada, acme.id},
			{"ada", password, ada, acme.id}, // the password decides
			{"ada", "another long password", eve, other.id},
			{"ada:acme", password, ada, acme.id},
			{"Ada:OTHER", "another long password", eve, other.id},
			{"12345678909", password, ada, acme.id},
			{"123 456 789-09", password, ada, acme.id},
			{"47-11", "another long password", eve, other.id},
		} {
			who, _, err := a.SignIn(t.Context(), tc.login, tc.password, home)
			if err != nil || who.PersonID != tc.person || who.Organization != tc.in {
				t.Errorf("%q: %v in %s, %v", tc.login, who.PersonID, who.Organization, err)
			}
		}
		for _, login := range []string{"ada:other", "ada@acme.example:other", "ada:nowhere", "4711:acme", "nobody", "", "a:b:c"} {
			if who, c, err := a.SignIn(t.Context(), login, password, home); !errors.Is(err, access.ErrCredentials) || c != nil {
				t.Errorf("%q: %v, %v", login, who, err)
			}
		}
	})
}

// Rule: whose password is right in several organizations is asked which one is meant; who
// does not know it learns nothing of that.
func TestWhichOrganization(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	a := open(t, s, access.Options{})
	acme, other := newCompany(t, s, "acme"), newCompany(t, s, "other")
	acme.with(password, map[string]string{store.Number: "4711"})
	second := other.with(password, map[string]string{store.Number: "4711"})
	_, c, err := a.SignIn(t.Context(), "4711", password, home)
	p := fault.ProblemOf(err)
	if c != nil || !errors.Is(err, access.ErrWhichOrganization) || !slices.Equal(p.Choices, []fault.Choice{{Value: "acme", Label: "The acme"}, {Value: "other", Label: "The other"}}) {
		t.Fatalf("%v with %v", err, p.Choices)
	}
	who, _, err := a.SignIn(t.Context(), identifier.In("4711", "other"), password, home)
	if err != nil || who.PersonID != second || who.Organization != other.id {
		t.Fatalf("the chosen one: %v, %v", who, err)
	}
	if _, _, err := a.SignIn(t.Context(), "4711", "a wrong password", home); !errors.Is(err, access.ErrCredentials) {
		t.Fatalf("a wrong password: %v", err)
	}
}

// Rule: people and memberships that are inactive are refused in the words of a wrong
// password.
func TestInactivePeopleAreRefused(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	a := open(t, s, access.Options{})
	acme := newCompany(t, s, "acme")
	ada := acme.with(password, map[string]string{store.Email: "ada@acme.example", store.UserName: "ada"})
	bob := acme.with(password, map[string]string{store.Email: "bob@acme.example"})
	by := audit.Command.Did(audit.MemberDeactivated, "person", ada)
	if _, err := s.Members(acme.id).SetState(t.Context(), by, ada, store.Inactive); err != nil {
		t.Fatal(err)
	}
	if _, err := s.People().SetState(t.Context(), by, bob, store.Inactive); err != nil {
		t.Fatal(err)
	}
	_, _, wrong := a.SignIn(t.Context(), "ada@acme.example", "a wrong password", home)
	for _, login := range []string{"ada@acme.example", "ada", "ada:acme", "bob@acme.example"} {
		if _, c, err := a.SignIn(t.Context(), login, password, home); c != nil || err == nil || err.Error() != wrong.Error() {
			t.Errorf("%q: %v", login, err)
		}
	}
}

// Rule: with an e-mail address somebody of several organizations is where they were last.
func TestAnAddressLeadsToTheLastOrganization(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	a := open(t, s, access.Options{})
	acme, other := newCompany(t, s, "acme"), newCompany(t, s, "other")
	ada := acme.with(password, map[string]string{store.Email: "ada@acme.example"})
	by := audit.Command.Did(audit.RoleGiven, "person", ada)
	if err := s.Members(other.id).Add(t.Context(), by, store.Member{PersonID: ada, Role: store.RoleMember, State: store.Active}); err != nil {
		t.Fatal(err)
	}
	who, _, err := a.SignIn(t.Context(), "ada@acme.example:other", password, home)
	if err != nil || who.Organization != other.id {
		t.Fatalf("by its code: %v, %v", who, err)
	}
	if who, _, err = a.SignIn(t.Context(), "ada@acme.example", password, home); err != nil || who.Organization != other.id {
		t.Fatalf("where they were last: %v, %v", who, err)
	}
}

// Rule: a sign-in of nobody, one with a wrong password, and one with the right password of who is a member no more, or an
// inactive one, ask the database the same number of statements.
func TestSignInsOfNobodyAskTheSame(t *testing.T) {
	asked := 0
	s, err := store.Open(t.Context(), storetest.SQLite(t), store.Options{Statement: func(context.Context, string) { asked++ }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, c := open(t, s, access.Options{}), newCompany(t, s, "acme")
	c.with("correct horse", map[string]string{store.Email: "active@example.com"})
	inactive := c.with("correct horse", map[string]string{store.Email: "inactive@example.com"})
	if _, err := c.s.Members(c.id).SetState(t.Context(), audit.Command.Did(audit.MemberDeactivated, "person", inactive), inactive, store.Inactive); err != nil {
		t.Fatal(err)
	}
	signIn := func(login, password string) int {
		asked = 0
		if _, _, err := a.SignIn(t.Context(), login, password, access.Client{Address: "192.0.2.9"}); !errors.Is(err, access.ErrCredentials) {
			t.Errorf("%s: %v", login, err)
		}
		return asked
	}
	want := signIn("nobody@example.com", "correct horse")
	for login, password := range map[string]string{"active@example.com": "a wrong one", "inactive@example.com": "correct horse"} {
		if got := signIn(login, password); got != want || want == 0 {
			t.Errorf("%s: %d statements, of nobody %d", login, got, want)
		}
	}
}
