package people_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/notify/mail"
	"oriel/relay/internal/page"
	"oriel/relay/internal/people"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// office is a relay with its owner.
type office struct {
	*testing.T
	*relaytest.Node
	*people.People
	owner access.Identity
}

func open(t *testing.T) office {
	t.Helper()
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	owner, _ := n.Owner(t)
	return office{t, n, people.New(people.Options{Store: n.Store, Access: n.Access}), owner}
}

func (o office) fails(what string, err, want error) {
	o.Helper()
	if !errors.Is(err, want) {
		o.Errorf("%s: %v, want %v", what, err, want)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Rule: nobody gives what they lack, by a role, a member's role, a grant, a team or a key.
func TestNobodyGivesWhatTheyLack(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	admin, _ := o.Node.Member(t, store.RoleAdmin)
	viewer, _ := o.Node.Member(t, store.RoleViewer)
	_, err := o.CreateRole(ctx, admin, "boss", []string{"organization"})
	o.fails("a role with what an admin lacks", err, people.ErrGives)
	o.fails("owner, by an admin", o.SetRole(ctx, admin, viewer.PersonID, store.RoleOwner), people.ErrGives)
	o.fails("from an owner, by an admin", o.SetRole(ctx, admin, o.owner.PersonID, store.RoleViewer), people.ErrGives)
	o.fails("an owner made inactive by an admin", o.SetActive(ctx, admin, o.owner.PersonID, false), people.ErrGives)
	o.fails("an owner removed by an admin", o.Remove(ctx, admin, o.owner.PersonID), people.ErrGives)
	_, err = o.CreateService(ctx, admin, "robot", store.RoleOwner)
	o.fails("a service account that owns", err, people.ErrGives)
	boss := must[people.Role](t)(o.CreateRole(ctx, o.owner, "boss", []string{"organization", "see"}))
	_, err = o.SaveRole(ctx, admin, boss.ID, nil, &[]string{"see"})
	o.fails("a role of more than an admin has, made less", err, people.ErrGives)
	team := must[people.Team](t)(o.CreateTeam(ctx, o.owner, "bosses"))
	must[people.Grant](t)(o.CreateGrant(ctx, o.owner, people.NewGrant{Subject: people.Ref{Kind: "team", ID: team.ID}, Object: people.Ref{Kind: "organization"}, Role: boss.ID}))
	o.fails("into a team that has more", o.JoinTeam(ctx, admin, team.ID, viewer.PersonID), people.ErrGives)
	robot := must[people.Member](t)(o.CreateService(ctx, admin, "robot", store.RoleViewer))
	_, err = o.CreateKey(ctx, admin, robot.ID, "k", []string{"organization"}, time.Hour)
	o.fails("a key of more than its maker has", err, people.ErrGives)
	if err := o.SetRole(ctx, admin, viewer.PersonID, store.RoleOperator); err != nil {
		t.Errorf("what an admin has: %v", err)
	}
}

// Rule: a key makes no key that may more than it, or is good for longer.
func TestAKeyMakesNoStrongerKey(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	day := must[people.NewAPIKey](t)(o.CreateKey(ctx, o.owner, o.owner.PersonID, "day", []string{"see", "api"}, 24*time.Hour))
	key := o.owner
	key.SignInID, key.KeyID = "", day.ID
	_, err := o.CreateKey(ctx, key, key.PersonID, "more", []string{"see", "control"}, time.Hour)
	o.fails("that may more", err, people.ErrGives)
	for _, long := range []time.Duration{0, 25 * time.Hour} {
		if _, err := o.CreateKey(ctx, key, key.PersonID, "longer", []string{"see"}, long); fault.Of(err) == nil || fault.Of(err).Field() != "expires_in_hours" {
			t.Errorf("that is good for %s: %v", long, err)
		}
	}
	must[people.NewAPIKey](t)(o.CreateKey(ctx, key, key.PersonID, "less", []string{"see"}, time.Hour))
}

// Rule: who moves a computer or a group gives those who have grants at its new place what
// these give; so they need that themselves.
func TestNobodyMovesToWhereTheyHaveMore(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	role := must[people.Role](t)(o.CreateRole(ctx, o.owner, "sorter", []string{"see", "groups.manage"}))
	site := must[people.Group](t)(o.CreateGroup(ctx, o.owner, "", "site"))
	mine := must[people.Group](t)(o.CreateGroup(ctx, o.owner, site.ID, "mine"))
	plain := must[people.Group](t)(o.CreateGroup(ctx, o.owner, "", "plain"))
	computer := relaytest.NewMachine("safe").Connect(t, o.Node, o.Token(t, 1)).Welcome.GetComputerId()
	sorter, _ := o.Node.Member(t, store.RoleMember, store.Grant{Role: role.ID, ObjectKind: store.ObjectOrganization},
		store.Grant{Role: store.RoleOperator, ObjectKind: store.ObjectGroup, ObjectID: site.ID})
	o.fails("a computer, to where they operate", o.MoveComputer(ctx, sorter, computer, mine.ID), people.ErrGives)
	_, err := o.SaveGroup(ctx, sorter, plain.ID, new("other"), &mine.ID)
	o.fails("a group, to where they operate", err, people.ErrGives)
	if g := must[people.Group](t)(o.Group(ctx, o.owner, plain.ID)); g.Name != "plain" {
		t.Errorf("renamed to %q, and then refused", g.Name)
	}
	if err := o.MoveComputer(ctx, sorter, computer, plain.ID); err != nil {
		t.Errorf("where nobody has a grant: %v", err)
	}
	if err := o.MoveComputer(ctx, o.owner, computer, site.ID); err != nil {
		t.Errorf("by who has it all: %v", err)
	}
	if err := o.MoveComputer(ctx, sorter, computer, mine.ID); err != nil {
		t.Errorf("within what reaches it already: %v", err)
	}
}

// Rule: who manages people in a group gives there what they have there, and nothing
// anywhere else.
func TestAGroupsAdminGivesInTheGroup(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	role := must[people.Role](t)(o.CreateRole(ctx, o.owner, "site admin", []string{"people.manage", "see", "connect", "control"}))
	site := must[people.Group](t)(o.CreateGroup(ctx, o.owner, "", "site"))
	inner := must[people.Group](t)(o.CreateGroup(ctx, o.owner, site.ID, "floor"))
	other := must[people.Group](t)(o.CreateGroup(ctx, o.owner, "", "other"))
	admin, _ := o.Node.Member(t, store.RoleMember, store.Grant{Role: role.ID, ObjectKind: store.ObjectGroup, ObjectID: site.ID})
	guest, _ := o.Node.Member(t, store.RoleMember)
	give := func(group, role string) error {
		object := people.Ref{Kind: "organization"}
		if group != "" {
			object = people.Ref{Kind: "group", ID: group}
		}
		_, err := o.CreateGrant(ctx, admin, people.NewGrant{Subject: people.Ref{Kind: "person", ID: guest.PersonID}, Object: object, Role: role})
		return err
	}
	if err := errors.Join(give(site.ID, store.RoleViewer), give(inner.ID, store.RoleViewer)); err != nil {
		t.Errorf("within: %v", err)
	}
	o.fails("more than they have", give(site.ID, store.RoleOperator), people.ErrGives)
	o.fails("in another group", give(other.ID, store.RoleViewer), people.ErrGives)
	o.fails("on everything", give("", store.RoleViewer), people.ErrGives)
}

// Rule: who manages groups in one is shown that and those within as theirs, the groups around
// by their names, and no others.
func TestAGroupsManagerSeesTheGroups(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	role := must[people.Role](t)(o.CreateRole(ctx, o.owner, "caretaker", []string{"groups.manage"}))
	site := must[people.Group](t)(o.CreateGroup(ctx, o.owner, "", "site"))
	floor := must[people.Group](t)(o.CreateGroup(ctx, o.owner, site.ID, "floor"))
	room := must[people.Group](t)(o.CreateGroup(ctx, o.owner, floor.ID, "room"))
	must[people.Group](t)(o.CreateGroup(ctx, o.owner, "", "other"))
	keeper, _ := o.Node.Member(t, store.RoleMember, store.Grant{Role: role.ID, ObjectKind: store.ObjectGroup, ObjectID: floor.ID})
	managed := must[access.Visibility](t)(o.Access.Visible(ctx, keeper, rights.GroupsManage))
	p := must[page.Page[people.Group]](t)(o.Groups(ctx, keeper, managed, managed, page.Request{Sort: "path"}))
	got := map[string]bool{}
	for _, g := range p.Items {
		got[g.Name] = g.Manages
	}
	if want := map[string]bool{"site": false, "floor": true, "room": true}; !maps.Equal(got, want) || p.Items[2].ID != room.ID {
		t.Errorf("shown are %v, want %v", got, want)
	}
}

// Rule: an invitation by mail names the organization, and where that has no name, where it
// is: never something that is not so.
func TestAnInvitationNamesTheOrganization(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	m := mail.New(mail.Options{Store: o.Store, Server: mail.Server{Host: "127.0.0.1", Port: 1, From: "relay@example.org"},
		PublicURL: &url.URL{Scheme: "https", Host: "relay.example"}, Name: "Oriel"})
	p := people.New(people.Options{Store: o.Store, Access: o.Access, Mailer: m, PublicURL: "https://relay.example"})
	invites := func(email string) string {
		must[people.NewInvitation](t)(p.Invite(ctx, o.owner, email, "", store.RoleViewer))
		row := must[store.Mail](t)(o.Store.Outbox().Claim(ctx, "test", time.Now().Add(time.Hour).UnixMilli(), time.Hour))
		var said struct{ Organization string }
		if err := json.Unmarshal(must[[]byte](t)(o.Store.Outbox().Opened(row)), &said); err != nil {
			t.Fatal(err)
		}
		return said.Organization
	}
	if got := invites("a@example.com"); got != "relay.example" {
		t.Errorf("without a name it is %q", got)
	}
	name := "Acme Works"
	must[people.Organization](t)(p.RenameOrganization(ctx, o.owner, &name, nil))
	if got := invites("b@example.com"); got != name {
		t.Errorf("with a name it is %q", got)
	}
}

// Rule: nobody changes their own access, and the last owner stays.
func TestTheLastOwnerStays(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	o.fails("one's own role", o.SetRole(ctx, o.owner, o.owner.PersonID, store.RoleViewer), people.ErrOwn)
	o.fails("leaving as the last owner", o.Leave(ctx, o.owner, store.FirstOrganization), store.ErrLastOwner)
	second, _ := o.Node.Member(t, store.RoleOwner)
	if err := o.SetRole(ctx, second, o.owner.PersonID, store.RoleViewer); err != nil {
		t.Fatal(err)
	}
	o.fails("the other one", o.Leave(ctx, second, store.FirstOrganization), store.ErrLastOwner)
}

// Rule: an approval lets in for its time, on the computer that was asked for, and is given
// by somebody else who manages people there.
func TestApprovals(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	agent := relaytest.NewMachine("pc").Connect(t, o.Node, o.Token(t, 1))
	computer := agent.Welcome.GetComputerId()
	guest, _ := o.Node.Member(t, store.RoleMember, store.Grant{Role: store.RoleOperator, ObjectKind: store.ObjectComputer, ObjectID: computer, Approval: true})
	may := func() error { return o.Access.May(ctx, guest, rights.Connect, access.Computer(computer)) }
	o.fails("before", may(), access.ErrForbidden)
	asked := must[people.Approval](t)(o.Ask(ctx, guest, computer, "the printer\nagain"))
	if asked.Reason != "the printer again" || asked.Outcome != "asked" {
		t.Errorf("asked: %+v", asked)
	}
	o.fails("while it is open", may(), access.ErrForbidden)
	_, err := o.Decide(ctx, guest, asked.ID, true, time.Hour)
	o.fails("by oneself", err, people.ErrOwn)
	key := o.owner
	key.SignInID, key.KeyID = "", must[people.NewAPIKey](t)(o.CreateKey(ctx, o.owner, o.owner.PersonID, "k", []string{"people.manage", "api"}, time.Hour)).ID
	_, err = o.Decide(ctx, key, asked.ID, true, time.Hour)
	o.fails("by a key", err, people.ErrOwn)
	_, err = o.Decide(ctx, o.owner, asked.ID, true, 48*time.Hour)
	o.fails("for two days", err, fault.ErrInvalid)
	if given := must[people.Approval](t)(o.Decide(ctx, o.owner, asked.ID, true, time.Hour)); given.Outcome != "approved" {
		t.Errorf("given: %+v", given)
	}
	if err := may(); err != nil {
		t.Errorf("after: %v", err)
	}
	_, err = o.Decide(ctx, o.owner, asked.ID, false, 0)
	o.fails("answered twice", err, store.ErrConflict)
	other, _ := o.Node.Member(t, store.RoleMember)
	_, err = o.Ask(ctx, other, computer, "")
	o.fails("who has no grant", err, people.ErrNoApproval)
}

// Rule: a key is good for what it holds and its owner has, until it is revoked.
func TestKeys(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	robot := must[people.Member](t)(o.CreateService(ctx, o.owner, "nightly report", store.RoleViewer))
	made := must[people.NewAPIKey](t)(o.CreateKey(ctx, o.owner, robot.ID, "report", []string{"connect", "journal"}, time.Hour))
	come := func(key string) (access.Identity, error) {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		return o.Access.Identify(r)
	}
	who, err := come(made.Key)
	if err != nil || who.PersonID != robot.ID {
		t.Fatalf("%+v, %v", who, err)
	}
	if may := must[rights.Permission](t)(o.Access.Permissions(ctx, who)); may&^rights.About != rights.See|rights.Connect {
		t.Errorf("it may %s", may)
	}
	list := must[page.Page[people.APIKey]](t)(o.Keys(ctx, o.owner, "", page.Request{Sort: "name"}))
	if len(list.Items) != 1 || list.Items[0].Person.Name != "nightly report" {
		t.Errorf("listed: %+v", list.Items)
	}
	if err := o.RevokeKey(ctx, o.owner, "", made.ID); err != nil {
		t.Fatal(err)
	}
	_, err = come(made.Key)
	o.fails("revoked", err, access.ErrSignedOut)
	_, err = come(access.KeyPrefix + "nonsense")
	o.fails("made up", err, access.ErrSignedOut)
	_, err = o.CreateKey(ctx, o.owner, o.owner.PersonID, "never", []string{"sea"}, 0)
	o.fails("a permission that does not exist", err, fault.ErrInvalid)
}

// Rule: what is of another organization is as what does not exist.
func TestOthersAreNotThere(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	theirs := store.OrganizationID(store.NewID())
	boss := store.Person{ID: store.NewID(), Kind: store.PersonKind, Name: "Boss", State: store.Active}
	err := o.Store.Organizations().Create(ctx, audit.Command.Did(audit.OrganizationMade, "organization", string(theirs)),
		store.Organization{ID: theirs, Name: "Theirs", Code: "theirs", CreatedAt: 1}, boss, store.Identifier{Kind: store.Email, Key: "b@x.example", Text: "b@x.example", VerifiedAt: 1})
	if err != nil {
		t.Fatal(err)
	}
	them := access.CommandLine(theirs)
	group := store.Group{ID: store.NewID(), Name: "g", CreatedAt: 1}
	team := store.Team{ID: store.NewID(), Name: "t", CreatedAt: 1}
	by := them.Actor().Did(audit.TeamMade, "team", team.ID)
	if err := errors.Join(o.Store.Groups(theirs).Add(ctx, by, group), o.Store.Teams(theirs).Add(ctx, by, team)); err != nil {
		t.Fatal(err)
	}
	grant := func(subject, object people.Ref) error {
		_, err := o.CreateGrant(ctx, o.owner, people.NewGrant{Subject: subject, Object: object, Role: store.RoleViewer})
		return err
	}
	own := people.Ref{Kind: "person", ID: o.owner.PersonID}
	for what, err := range map[string]error{
		"a role for their boss":  o.SetRole(ctx, o.owner, boss.ID, store.RoleViewer),
		"their boss removed":     o.Remove(ctx, o.owner, boss.ID),
		"their team renamed":     o.RenameTeam(ctx, o.owner, team.ID, "ours"),
		"into their team":        o.JoinTeam(ctx, o.owner, team.ID, o.owner.PersonID),
		"a grant to their team":  grant(people.Ref{Kind: "team", ID: team.ID}, people.Ref{Kind: "organization"}),
		"a grant to their boss":  grant(people.Ref{Kind: "person", ID: boss.ID}, people.Ref{Kind: "organization"}),
		"their group removed":    o.RemoveGroup(ctx, o.owner, group.ID),
		"an identifier for them": second(o.AddIdentifier(ctx, o.owner, boss.ID, "number", "1")),
		"a key for their boss":   second(o.CreateKey(ctx, o.owner, boss.ID, "k", []string{"see"}, 0)),
		"a group within theirs":  second(o.CreateGroup(ctx, o.owner, group.ID, "g")),
	} {
		o.fails(what, err, store.ErrNotFound)
	}
	if err := grant(own, people.Ref{Kind: "group", ID: group.ID}); !errors.Is(err, store.ErrNotFound) && !errors.Is(err, people.ErrGives) {
		t.Errorf("a grant on their group: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// Rule: to leave an organization that is another's asks the database just what it asks for one that does not exist.
func TestLeavingAnothersOrganizationTellsNothing(t *testing.T) {
	asked := 0
	s := must[*store.Store](t)(store.Open(t.Context(), storetest.SQLite(t), store.Options{Statement: func(context.Context, string) { asked++ }}))
	defer s.Close()
	p := people.New(people.Options{Store: s})
	who := access.Identity{Organization: store.FirstOrganization, PersonID: store.NewID()}
	leaves := func(o store.OrganizationID) int {
		asked = 0
		if err := p.Leave(t.Context(), who, o); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		return asked
	}
	if foreign, none := leaves(store.FirstOrganization), leaves(store.OrganizationID(store.NewID())); foreign != none || none == 0 {
		t.Errorf("%d statements about another's organization, %d about one that does not exist", foreign, none)
	}
}

// Rule: nobody is invited to another organization than the first with an address of the
// relay's staff.
func TestStaffAreInvitedToTheFirstOrganizationOnly(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	by := audit.Command.Did("test", "test", "")
	if err := o.Store.Relay().SetSettings(ctx, by, nil, []string{"staff.example"}); err != nil {
		t.Fatal(err)
	}
	second := store.OrganizationID(store.NewID())
	if err := o.Store.Organizations().Create(ctx, by, store.Organization{ID: second, Name: "Second", Code: "second"}, store.Person{ID: o.owner.PersonID}); err != nil {
		t.Fatal(err)
	}
	there, _ := o.Node.MemberOf(t, second, store.RoleOwner)
	_, err := o.Invite(ctx, there, "new@staff.example", "", store.RoleViewer)
	o.fails("to the second", err, access.ErrStaffDomain)
	_, err = o.Invite(ctx, there, "new@example.org", "", store.RoleViewer)
	o.fails("another address", err, nil)
	_, err = o.Invite(ctx, o.owner, "new@staff.example", "", store.RoleViewer)
	o.fails("to the first", err, nil)
}

// Rule: without a mail server sign-up cannot be opened, and domains are domains.
func TestTheRelaysSettingsAreChecked(t *testing.T) {
	o := open(t)
	ctx, yes := t.Context(), true
	_, err := o.ChangeRelay(ctx, o.owner, &yes, nil)
	o.fails("opened without mail", err, access.ErrNoMail)
	for _, domain := range []string{"", "staff", "@staff.example", "a b.example"} {
		_, err = o.ChangeRelay(ctx, o.owner, nil, []string{domain})
		o.fails("domain "+domain, err, fault.ErrInvalid)
	}
	s, err := o.ChangeRelay(ctx, o.owner, new(bool), []string{" Bücher.Example. "})
	if err != nil || s.SignUp || s.Mail || len(s.StaffDomains) != 1 || s.StaffDomains[0] != "xn--bcher-kva.example" {
		t.Errorf("%+v, %v", s, err)
	}
}

// Rule: an organization has a name once it was given one; the first one's cannot be emptied.
func TestANameCannotBeEmptied(t *testing.T) {
	o := open(t)
	for _, name := range []string{"", "  ", "\t"} {
		_, err := o.RenameOrganization(t.Context(), o.owner, &name, nil)
		o.fails("the first organization's name", err, fault.ErrInvalid)
	}
}
