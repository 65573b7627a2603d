package store_test

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// belongings are the ids of what fill gave to an organization.
type belongings struct{ name, computer, waiting, token, session, person, owner, stranger, invitation, role, team, group, inner, empty, grant, approval, key, field, view string }

// fill gives an organization one of everything, with its name in each text.
func fill(t testing.TB, s *store.Store, o store.OrganizationID) belongings {
	ctx, name := t.Context(), string(o)
	s.AddOrganization(t, o)
	key := func(what string) []byte { return []byte(what + " of " + name) }
	b := belongings{name, "computer of " + name, "waiting of " + name, "token of " + name, "session of " + name, "person of " + name, "owner of " + name,
		"stranger to " + name, "invitation of " + name, "role of " + name, "team of " + name, "group of " + name, "inner group of " + name,
		"empty group of " + name, "grant of " + name, "approval of " + name, "key of " + name, "field of " + name, "view of " + name}
	must(t, s.Tokens(o).Add(ctx, entry("x"), store.EnrollmentToken{ID: b.token, TokenKey: key("token"), Note: name, ExpiresAt: 1 << 50, UsesLeft: 9}))
	c := store.Computer{ID: b.computer, MachineKey: key("machine"), MachineID: "one machine", HostName: name, AddedAt: 1}
	must(t, s.Agents().Enroll(ctx, entry("x"), &c, key("token")))
	if c.Organization != o || c.SameMachineAs != "" {
		t.Fatalf("enrolled in %q with %q's token, the same machine as %q", c.Organization, o, c.SameMachineAs)
	}
	must(t, s.Computers(o).SaveInventory(ctx, c.ID, 1, []byte(name)))
	must(t, s.Computers(o).SaveTwins(ctx, store.Twins{ComputerID: c.ID, First: store.Machine{HostName: name}}))
	if _, err := s.Waiting(o).Save(ctx, store.WaitingComputer{ComputerID: b.waiting, MachineKey: key("waiting"), MachineID: "one machine", HostName: name}); err != nil {
		t.Fatal(err)
	}
	must(t, s.Sessions(o).Add(ctx, entry("x"), store.Session{ID: b.session, ComputerID: c.ID, OperatorName: name, Scopes: "view", ScopesNow: "view", StartedAt: 1, ConnectedAt: 1, SeenAt: 1}))
	gone := store.Computer{ID: "removed from " + name, MachineKey: key("removed"), AddedAt: 1}
	must(t, s.Agents().Enroll(ctx, entry("x"), &gone, key("token")))
	must(t, s.Computers(o).Remove(ctx, entry("x"), gone.ID))
	must(t, s.Audit(o).Record(ctx, entry(name).Sending(store.Mail{ID: "mail of " + name, Recipient: name + "@example.com", Kind: "x", Data: []byte("x"), CreatedAt: 1})))
	if _, began, err := s.Answers(o).Begin(ctx, answerOf(b), 0, 0); err != nil || !began {
		t.Fatal(began, err)
	}
	if _, err := s.Audit(o).Claim(ctx, "reader", "holder", time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Audit(o).PutSeal(ctx, sealOf(b), store.Seal{}); err != nil {
		t.Fatal(err)
	}
	people(t, s, o, b)
	must(t, s.Quotas(o).Set(ctx, entry("x"), map[store.Quota]int64{store.QuotaStorage: 1 << 30}))
	must(t, s.Fields(o).Add(ctx, entry("x"), store.Field{ID: b.field, Name: b.field}))
	must(t, s.Computers(o).Describe(ctx, entry("x"), b.computer, store.Description{Tags: []string{name}, Values: map[string]string{b.field: name}}))
	must(t, s.Computers(o).Pin(ctx, b.person, b.computer, 1))
	must(t, s.Views(o).Add(ctx, store.View{ID: b.view, PersonID: b.person, Name: b.view}))
	return b
}

// sealOf is the seal of an organization's audit.
func sealOf(of belongings) store.Seal {
	return store.Seal{Sequence: 1, Hash: of.person, Key: []byte("k"), Signature: []byte("s")}
}

// people gives an organization an owner and two who are not, and what people have.
func people(t testing.TB, s *store.Store, o store.OrganizationID, b belongings) {
	ctx := t.Context()
	number := func(person string) store.Identifier {
		return store.Identifier{Kind: store.Number, Organization: o, Key: person, Text: person}
	}
	add := func(person, role string, identifiers ...store.Identifier) {
		must(t, s.Members(o).AddPerson(ctx, entry("x"), store.Member{Role: role, State: store.Active}, store.Person{ID: person, Name: person, PasswordHash: "hash"}, identifiers...))
	}
	must(t, s.Roles(o).Add(ctx, entry("x"), store.Role{ID: b.role, Name: b.role, Permissions: "see"}))
	must(t, s.Roles(o).Add(ctx, entry("x"), store.Role{ID: "unused " + b.role, Name: b.role}))
	add(b.owner, store.RoleOwner, number(b.owner))
	add(b.person, b.role, number(b.person))
	add(b.stranger, store.RoleMember)
	if _, err := s.Members(o).Remove(ctx, entry("x"), b.stranger); err != nil {
		t.Fatal(err)
	}
	must(t, s.SignIns().Add(ctx, entry("x"), store.SignIn{TokenHash: []byte("sign-in of " + o), ID: "sign-in of " + string(o), PersonID: b.person, Organization: o}, "hash"))
	must(t, s.MemberInvitations(o).Create(ctx, entry("x"), store.MemberInvitation{ID: b.invitation, Email: b.invitation, EmailKey: b.invitation,
		Name: b.invitation, Role: b.role, TokenHash: []byte(b.invitation), ExpiresAt: 1 << 50}))
	must(t, s.Teams(o).Add(ctx, entry("x"), store.Team{ID: b.team, Name: b.team}))
	must(t, s.Teams(o).AddMember(ctx, entry("x"), b.team, b.person))
	for _, g := range []store.Group{{ID: b.group}, {ID: b.inner, ParentID: b.group}, {ID: b.empty}} {
		g.Name = g.ID
		must(t, s.Groups(o).Add(ctx, entry("x"), g))
	}
	must(t, s.Computers(o).SetGroup(ctx, entry("x"), b.computer, b.inner))
	must(t, s.Grants(o).Add(ctx, entry("x"), grantOf(b, b.grant)))
	must(t, s.Approvals(o).Ask(ctx, entry("x"), approvalOf(b, b.approval)))
	for _, p := range policiesOf(b) {
		if _, err := s.Policies(o).Put(ctx, entry("x"), p); err != nil {
			t.Fatal(err)
		}
	}
	must(t, s.Keys(o).Add(ctx, entry("x"), keyOf(b, b.key)))
}

func grantOf(b belongings, id string) store.Grant {
	return store.Grant{ID: id, SubjectKind: store.SubjectTeam, SubjectID: b.team, Role: b.role, ObjectKind: store.ObjectGroup, ObjectID: b.group, Approval: true}
}

func approvalOf(b belongings, id string) store.Approval {
	return store.Approval{ID: id, GrantID: b.grant, PersonID: b.person, ComputerID: b.computer, Reason: b.name, AskedAt: 1, UntilAt: 1 << 50}
}

func policiesOf(b belongings) []store.Policy {
	return []store.Policy{{ObjectKind: store.ObjectOrganization, Settings: b.name}, {ObjectKind: store.ObjectGroup, ObjectID: b.group, Settings: b.name},
		{ObjectKind: store.ObjectComputer, ObjectID: b.computer, Settings: b.name}}
}

func keyOf(b belongings, id string) store.APIKey {
	return store.APIKey{ID: id, PersonID: b.person, Name: id, TokenHash: []byte(id), Permissions: "see"}
}

// answerOf is the idempotency key of an organization's person.
func answerOf(of belongings) store.IdempotencyKey {
	return store.IdempotencyKey{PersonID: of.person, Name: []byte("key"), Request: []byte("request"), Run: "run", StartedAt: 1}
}

// entry is one of the audit by somebody of that name.
func entry(name string) store.Entry {
	return store.Entry{ActorKind: "person", ActorName: name, Action: "test.done", Outcome: store.Done}
}

// reach calls a method of an organization's handle, with what may be another's.
type reach func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error)

// Rule: what a handle of one organization shows, changes or removes is its own. A new
// handle, or a new method of one, is here or the test fails.
var reaches = map[string]reach{
	"Computers.List": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		all, err := s.Computers(o).List(ctx, store.Everything)
		if err != nil {
			return nil, err
		}
		some, err := s.Computers(o).List(ctx, store.Everything, of.computer)
		return append(all, some...), err
	},
	"Computers.Get": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Computers(o).Get(ctx, of.computer)
	},
	"Computers.Opening": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Computers(o).Opening(ctx, of.computer, "")
	},
	"Computers.SaveGreeting": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Computers(o).SaveGreeting(ctx, &store.Computer{ID: of.computer, HostName: "changed"})
	},
	"Computers.Save": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Computers(o).Save(ctx, store.Computer{ID: of.computer, LastSeen: 7}, store.ColumnsOfSeen)
	},
	"Computers.Rename": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Computers(o).Rename(ctx, entry("x"), of.computer, "changed")
	},
	"Computers.Block": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Computers(o).Block(ctx, entry("x"), of.computer, true)
	},
	"Computers.Split": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Computers(o).Split(ctx, entry("x"), of.computer, "changed")
	},
	"Computers.Remove": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Computers(o).Remove(ctx, entry("x"), of.computer)
	},
	"Computers.SaveInventory": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Computers(o).SaveInventory(ctx, of.computer, 2, []byte("changed"))
	},
	"Computers.Inventory": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		data, err := s.Computers(o).Inventory(ctx, of.computer)
		return string(data), err
	},
	"Computers.Twins": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		all, err := s.Computers(o).Twins(ctx)
		if err != nil {
			return nil, err
		}
		some, err := s.Computers(o).Twins(ctx, of.computer)
		return []any{all, some}, err
	},
	"Computers.SaveTwins": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Computers(o).SaveTwins(ctx, store.Twins{ComputerID: of.computer, Renews: "changed"})
	},
	"Computers.DropTwins": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Computers(o).DropTwins(ctx, entry("x"), of.computer)
	},
	"Computers.SetGroup": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Computers(o).SetGroup(ctx, entry("x"), of.computer, of.empty)
	},
	"Computers.Place": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Computers(o).Place(ctx, of.computer)
	},
	"Members.List": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Members(o).List(ctx, page.Request{Sort: "name"})
	},
	"Members.Get": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Members(o).Get(ctx, of.person)
	},
	"Members.Authority": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Members(o).Authority(ctx, of.person, 5)
	},
	"Members.Authorities": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Members(o).Authorities(ctx, 5, of.person)
	},
	"Members.Add": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Members(o).Add(ctx, entry("x"), store.Member{PersonID: of.stranger, Role: store.RoleMember, State: store.Active})
	},
	"Members.AddPerson": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Members(o).AddPerson(ctx, entry("x"), store.Member{Role: of.role, State: store.Active}, store.Person{ID: "new " + of.person})
	},
	"Members.SetRole": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Members(o).SetRole(ctx, entry("x"), of.person, store.RoleAdmin)
	},
	"Members.SetState": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Members(o).SetState(ctx, entry("x"), of.person, store.Inactive)
	},
	"Members.Remove": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Members(o).Remove(ctx, entry("x"), of.person)
	},
	"MemberInvitations.List": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.MemberInvitations(o).List(ctx, page.Request{Sort: "email"})
	},
	"MemberInvitations.Create": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.MemberInvitations(o).Create(ctx, entry("x"), store.MemberInvitation{ID: "another of " + string(o), Email: of.invitation, EmailKey: of.invitation,
			Role: of.role, TokenHash: []byte("new " + of.invitation + string(o))})
	},
	"MemberInvitations.Revoke": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.MemberInvitations(o).Revoke(ctx, entry("x"), of.invitation)
	},
	"MemberInvitations.TakeUp": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.MemberInvitations(o).TakeUp(ctx, entry("x"), []byte(of.invitation), 1, of.stranger)
	},
	"MemberInvitations.SignUp": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.MemberInvitations(o).SignUp(ctx, entry("x"), []byte(of.invitation), 1, store.Person{ID: "new " + of.person}, true)
	},
	"Roles.List": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Roles(o).List(ctx, page.Request{Sort: "name"})
	},
	"Roles.Get": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Roles(o).Get(ctx, of.role)
	},
	"Roles.Add": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Roles(o).Add(ctx, entry("x"), store.Role{ID: "new " + of.role})
	},
	"Roles.Save": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Roles(o).Save(ctx, entry("x"), store.Role{ID: of.role, Name: "changed"})
	},
	"Roles.Remove": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Roles(o).Remove(ctx, entry("x"), "unused "+of.role)
	},
	"Teams.List": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Teams(o).List(ctx, page.Request{Sort: "name"})
	},
	"Teams.Get": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Teams(o).Get(ctx, of.team)
	},
	"Teams.Of": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Teams(o).Of(ctx, of.person)
	},
	"Teams.Add": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Teams(o).Add(ctx, entry("x"), store.Team{ID: "new " + of.team})
	},
	"Teams.Rename": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Teams(o).Rename(ctx, entry("x"), of.team, "changed")
	},
	"Teams.Remove": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Teams(o).Remove(ctx, entry("x"), of.team)
	},
	"Teams.Members": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Teams(o).Members(ctx, of.team, page.Request{Sort: "name"})
	},
	"Teams.AddMember": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Teams(o).AddMember(ctx, entry("x"), of.team, of.owner)
	},
	"Teams.RemoveMember": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Teams(o).RemoveMember(ctx, entry("x"), of.team, of.person)
	},
	"Groups.List": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Groups(o).List(ctx, store.Everything, page.Request{Sort: "path"})
	},
	"Groups.Get": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Groups(o).Get(ctx, of.inner)
	},
	"Groups.Add": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Groups(o).Add(ctx, entry("x"), store.Group{ID: "new " + of.group, ParentID: of.group})
	},
	"Groups.Rename": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Groups(o).Rename(ctx, entry("x"), of.group, "changed")
	},
	"Groups.Move": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Groups(o).Move(ctx, entry("x"), of.group, of.empty)
	},
	"Groups.Remove": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Groups(o).Remove(ctx, entry("x"), of.empty)
	},
	"Grants.List": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		all, err := s.Grants(o).List(ctx, store.GrantFilter{}, page.Request{Sort: "created_at"})
		if err != nil {
			return nil, err
		}
		some, err := s.Grants(o).List(ctx, store.GrantFilter{Reaches: of.computer}, page.Request{Sort: "created_at"})
		return []any{all, some}, err
	},
	"Grants.Get": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Grants(o).Get(ctx, of.grant)
	},
	"Grants.These": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Grants(o).These(ctx, of.grant)
	},
	"Grants.Add": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Grants(o).Add(ctx, entry("x"), grantOf(of, "new "+of.grant))
	},
	"Grants.Revoke": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Grants(o).Revoke(ctx, entry("x"), of.grant)
	},
	"Approvals.List": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Approvals(o).List(ctx, store.ApprovalFilter{Open: 1}, page.Request{Sort: "asked_at"})
	},
	"Approvals.Get": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Approvals(o).Get(ctx, of.approval)
	},
	"Approvals.Ask": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Approvals(o).Ask(ctx, entry("x"), approvalOf(of, "new "+of.approval))
	},
	"Approvals.Decide": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Approvals(o).Decide(ctx, entry("x"), of.approval, of.owner, store.Approved, 2, 1<<50)
	},
	"Approvals.Withdraw": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Approvals(o).Withdraw(ctx, entry("x"), of.approval, of.person)
	},
	"Policies.List": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Policies(o).List(ctx, page.Request{Sort: "changed_at"})
	},
	"Policies.Get": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Policies(o).Get(ctx, store.ObjectGroup, of.group)
	},
	"Policies.Put": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Policies(o).Put(ctx, entry("x"), store.Policy{ObjectKind: store.ObjectGroup, ObjectID: of.group, Version: 1, Settings: "changed"})
	},
	"Policies.Remove": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Policies(o).Remove(ctx, entry("x"), store.ObjectGroup, of.group, 0)
	},
	"Policies.OnTheWay": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Policies(o).OnTheWay(ctx, of.computer)
	},
	"Keys.List": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Keys(o).List(ctx, of.person, page.Request{Sort: "name"})
	},
	"Keys.Get": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Keys(o).Get(ctx, of.key)
	},
	"Keys.Authority": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Keys(o).Authority(ctx, of.key, 5)
	},
	"Keys.Add": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Keys(o).Add(ctx, entry("x"), keyOf(of, "new "+of.key))
	},
	"Keys.Revoke": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Keys(o).Revoke(ctx, entry("x"), "", of.key)
	},
	"Keys.Touch": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Keys(o).Touch(ctx, of.key, 7)
	},
	"Tokens.Add": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Tokens(o).Add(ctx, entry("x"), store.EnrollmentToken{ID: "new " + of.token + string(o), TokenKey: []byte("new " + of.token + string(o)), SplitFrom: of.computer, CreatedAt: 1 << 60})
	},
	"Tokens.List": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Tokens(o).List(ctx)
	},
	"Tokens.Revoke": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Tokens(o).Revoke(ctx, entry("x"), of.token, 5)
	},
	"Waiting.List": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Waiting(o).List(ctx)
	},
	"Waiting.Save": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Waiting(o).Save(ctx, store.WaitingComputer{ComputerID: of.waiting, MachineKey: []byte(of.waiting), HostName: "changed"})
	},
	"Waiting.TakeBack": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Waiting(o).TakeBack(ctx, entry("x"), of.waiting, 5)
	},
	"Waiting.Forget": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Waiting(o).Forget(ctx, entry("x"), of.waiting, 5)
	},
	"Answers.Begin": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		there, _, err := s.Answers(o).Begin(ctx, answerOf(of), 0, 0)
		return there, err
	},
	"Answers.Keep": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Answers(o).Keep(ctx, answerOf(of), []byte("changed"))
	},
	"Answers.Drop": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Answers(o).Drop(ctx, answerOf(of))
	},
	"Answers.Sweep": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Answers(o).Sweep(ctx, 1<<60)
	},
	"Audit.Record": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Audit(o).Record(ctx, entry("new"))
	},
	"Audit.After": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Audit(o).After(ctx, 0, 9)
	},
	"Audit.Page": func(ctx context.Context, s *store.Store, o store.OrganizationID, _ belongings) (any, error) {
		return s.Audit(o).Page(ctx, store.AuditFilter{}, 9)
	},
	"Audit.Links": func(ctx context.Context, s *store.Store, o store.OrganizationID, _ belongings) (any, error) {
		return s.Audit(o).Links(ctx, 0, 9)
	},
	"Audit.Head": func(ctx context.Context, s *store.Store, o store.OrganizationID, _ belongings) (any, error) {
		return s.Audit(o).Head(ctx)
	},
	"Audit.Expired": func(ctx context.Context, s *store.Store, o store.OrganizationID, _ belongings) (any, error) {
		return s.Audit(o).Expired(ctx, 1<<60)
	},
	"Audit.Seal": func(ctx context.Context, s *store.Store, o store.OrganizationID, _ belongings) (any, error) {
		return s.Audit(o).Seal(ctx)
	},
	"Audit.PutSeal": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Audit(o).PutSeal(ctx, store.Seal{Base: 1, Sequence: 2, Hash: "changed", Key: []byte("k"), Signature: []byte("s")}, sealOf(of))
	},
	"Audit.Claim": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Audit(o).Claim(ctx, "reader", "holder", 2*time.Hour)
	},
	"Audit.Advance": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Audit(o).Advance(ctx, "reader", "holder", 1)
	},
	"Audit.Release": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Audit(o).Release(ctx, "reader", "holder")
	},
	"Mails.Page": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Mails(o).Page(ctx, store.MailFilter{}, 9)
	},
	"Quotas.Use": func(ctx context.Context, s *store.Store, o store.OrganizationID, _ belongings) (any, error) {
		return s.Quotas(o).Use(ctx, 1)
	},
	"Quotas.Set": func(ctx context.Context, s *store.Store, o store.OrganizationID, _ belongings) (any, error) {
		return nil, s.Quotas(o).Set(ctx, entry("x"), map[store.Quota]int64{store.QuotaComputers: 99, store.QuotaStorage: 1 << 30})
	},
	"Computers.HoldPreview": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Computers(o).HoldPreview(ctx, of.computer, 7)
	},
	"Sessions.Add": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Sessions(o).Add(ctx, entry("x"), store.Session{ID: "new " + of.session + string(o)})
	},
	"Sessions.Get": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Sessions(o).Get(ctx, of.session)
	},
	"Sessions.List": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Sessions(o).List(ctx, store.Everything, of.session)
	},
	"Sessions.Report": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Sessions(o).Report(ctx, store.Session{ID: of.session, ComputerID: of.computer, BytesSent: 7}, 0)
	},
	"Sessions.Keep": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		again, _, err := s.Sessions(o).Keep(ctx, store.Kept{ComputerID: of.computer, IDs: []string{of.session}}, 9)
		return again, err
	},
	"Sessions.Carry": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Sessions(o).Carry(ctx, entry("x"), of.session, "changed")
	},
	"Sessions.SetScopes": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Sessions(o).SetScopes(ctx, entry("x"), of.session, "view control", false)
	},
	"Sessions.Attend": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return nil, s.Sessions(o).Attend(ctx, of.session, false)
	},
	"Sessions.End": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		row, _, err := s.Sessions(o).End(ctx, entry("x"), store.Session{ID: of.session, EndedAt: 9})
		return row, err
	},
	"Sessions.EndByAgent": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		row, _, err := s.Sessions(o).EndByAgent(ctx, entry("x"), store.Session{ID: of.session, ComputerID: of.computer, EndedAt: 9}, 9)
		return row, err
	},
	"Sessions.Running": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Sessions(o).Running(ctx, store.Running{CountedFor: of.computer})
	},
	"Sessions.Operators": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		all, err := s.Sessions(o).Operators(ctx)
		if err != nil {
			return nil, err
		}
		some, err := s.Sessions(o).Operators(ctx, of.computer)
		return []any{all, some}, err
	},
	"Sessions.Page": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
		return s.Sessions(o).Page(ctx, store.Everything, store.SessionFilter{ComputerID: of.computer}, 9)
	},
}

func TestOrganizationsDoNotReachEachOther(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		missing := maps.Clone(reaches)
		handles := reflect.TypeFor[*store.Store]()
		for i := range handles.NumMethod() {
			h := handles.Method(i)
			if h.Type.NumIn() != 2 || h.Type.In(1) != reflect.TypeFor[store.OrganizationID]() {
				continue
			}
			for k := range h.Type.Out(0).NumMethod() {
				method := h.Name + "." + h.Type.Out(0).Method(k).Name
				fn, there := reaches[method]
				if !there {
					t.Errorf("%s is not in this test's table: write a call of it that is given another organization's ids", method)
					continue
				}
				delete(missing, method)
				t.Run(method, func(t *testing.T) {
					theirs, mine := store.OrganizationID("theirs "+method), store.OrganizationID("mine "+method)
					things := fill(t, s, theirs)
					fill(t, s, mine)
					before, _ := s.Owned(t, theirs)
					shown, err := fn(t.Context(), s, mine, things)
					if text := fmt.Sprintf("%+v", shown); strings.Contains(text, string(theirs)) {
						t.Errorf("it shows what is not its own (%v): %s", err, text)
					}
					after, _ := s.Owned(t, theirs)
					if !maps.Equal(before, after) {
						t.Errorf("it changed what is not its own (%v):\n%v\n%v", err, before, after)
					}
					// The same call with the owner's handle does something.
					shown, err = fn(t.Context(), s, theirs, things)
					after, _ = s.Owned(t, theirs)
					if err != nil || !strings.Contains(fmt.Sprintf("%+v", shown), string(theirs)) && maps.Equal(before, after) {
						t.Errorf("of its own organization it shows and changes nothing: %+v, %v", shown, err)
					}
				})
			}
		}
		for method := range missing {
			t.Errorf("%s is in this test's table and not in the store", method)
		}
	})
}

// Rule: a table is an organization's, or this test says why it is not.
func TestTablesHaveAnOrganization(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		relays := []string{
			"organizations",
			"people", "known_keys", "one_time_tokens", // a person may be in several organizations
			"tries",                    // of addresses, before it is known who they are
			"secrets", "key_rotations", // the relay's own keys
			"relay_settings",              // of the relay as a whole
			"confirmations",               // of people, or of who is to become one
			"sign_in_ends",                // of people
			"nodes", "presence", "health", // of the relay's processes
		}
		_, others := s.Owned(t, store.FirstOrganization)
		slices.Sort(relays)
		slices.Sort(others)
		if !slices.Equal(relays, others) {
			t.Errorf("tables without an organization: %q, want %q", others, relays)
		}
	})
}
