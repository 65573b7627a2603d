package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/config"
	"oriel/relay/internal/identifier"
	"oriel/relay/internal/node"
	"oriel/relay/internal/notify/mail"
	"oriel/relay/internal/page"
	"oriel/relay/internal/people"
	"oriel/relay/internal/policy"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// administration is the commands about people, on a relay that runs or one that does
// not: they change the database. A node that runs believes what it knew for
// access.Believed at most.
type administration struct {
	store  *store.Store
	people *people.People
	who    access.Identity // the command line, in the organization that was named
	said   config.Admin
	out    io.Writer
}

// commandLine is the people.Access of whoever may run the relay's command line: that is
// somebody who could change the database.
type commandLine struct{ *access.Access }

func (commandLine) MayGive(context.Context, access.Identity, rights.Permission, access.Object) error {
	return nil
}

// administrations are the commands.
var administrations = map[string]func(*administration, context.Context) error{
	config.OrgList:          (*administration).listOrganizations,
	config.OrgCreate:        (*administration).createOrganization,
	config.OrgRename:        (*administration).renameOrganization,
	config.OrgAllow:         (*administration).allowNetwork,
	config.RelaySettings:    (*administration).relaySettings,
	config.RelaySet:         (*administration).setRelay,
	config.QuotaShow:        (*administration).showQuotas,
	config.QuotaSet:         (*administration).setQuotas,
	config.PersonList:       (*administration).listPeople,
	config.PersonInvite:     (*administration).invite,
	config.PersonService:    (*administration).createService,
	config.PersonRole:       (*administration).setRole,
	config.PersonActivate:   func(a *administration, ctx context.Context) error { return a.setActive(ctx, true) },
	config.PersonDeactivate: func(a *administration, ctx context.Context) error { return a.setActive(ctx, false) },
	config.PersonRemove:     (*administration).removePerson,
	config.TeamList:         (*administration).listTeams,
	config.TeamCreate:       (*administration).createTeam,
	config.TeamRename:       (*administration).renameTeam,
	config.TeamRemove:       (*administration).removeTeam,
	config.TeamMembers:      (*administration).listTeamMembers,
	config.TeamJoin:         (*administration).joinTeam,
	config.TeamLeave:        (*administration).leaveTeam,
	config.GroupList:        (*administration).listGroups,
	config.GroupCreate:      (*administration).createGroup,
	config.GroupRename:      (*administration).renameGroup,
	config.GroupMove:        (*administration).moveGroup,
	config.GroupRemove:      (*administration).removeGroup,
	config.GroupPut:         (*administration).putComputer,
	config.RoleList:         (*administration).listRoles,
	config.RoleCreate:       (*administration).createRole,
	config.RoleRemove:       func(a *administration, ctx context.Context) error { return a.people.RemoveRole(ctx, a.who, a.said.ID) },
	config.GrantList:        (*administration).listGrants,
	config.GrantCreate:      (*administration).createGrant,
	config.GrantRevoke:      func(a *administration, ctx context.Context) error { return a.people.RevokeGrant(ctx, a.who, a.said.ID) },
	config.APIKeyList:       (*administration).listKeys,
	config.APIKeyCreate:     (*administration).createKey,
	config.APIKeyRevoke: func(a *administration, ctx context.Context) error {
		return a.people.RevokeKey(ctx, a.who, "", a.said.ID)
	},
}

// administer runs one of them.
func administer(ctx context.Context, command string, c *config.Config, stdout io.Writer) error {
	s, acc, err := openPeople(ctx, c)
	if err != nil {
		return err
	}
	defer s.Close()
	public := node.PublicURL(c, c.Listen)
	options := people.Options{Store: s, Access: commandLine{acc}, PublicURL: public.String()}
	if command == config.RelaySet || command == config.RelaySettings { // the others print links
		options.Mailer = mail.New(mail.Options{Store: s, Server: mail.Server(c.SMTP), PublicURL: public, Name: c.Name})
	}
	a := &administration{store: s, said: c.Admin, out: stdout, people: people.New(options)}
	o, err := organization(ctx, s, c.Admin.Organization)
	if err != nil {
		return err
	}
	a.who = access.CommandLine(o)
	return administrations[command](a, ctx)
}

// line prints fields with tabs between, for scripts. Nobody's text has tabs in it.
func (a *administration) line(fields ...string) error {
	_, err := fmt.Fprintln(a.out, strings.Join(fields, "\t"))
	return err
}

// pages calls fn with each item of a list.
func pages[T any](ask func(page.Request) (page.Page[T], error), sort string, fn func(T) error) error {
	r := page.Request{Limit: page.Max, Sort: sort}
	for {
		p, err := ask(r)
		if err != nil {
			return err
		}
		for _, one := range p.Items {
			if err := fn(one); err != nil {
				return err
			}
		}
		if r.Cursor = p.Next; r.Cursor == "" {
			return nil
		}
	}
}

func (a *administration) listOrganizations(ctx context.Context) error {
	return pages(func(r page.Request) (page.Page[people.Organization], error) { return a.people.Organizations(ctx, r) }, "code",
		func(o people.Organization) error { return a.line(o.Code, o.Name) })
}

func (a *administration) createOrganization(ctx context.Context) error {
	owner, err := a.anybody(ctx, a.said.Owner)
	if err != nil {
		return err
	}
	o, err := a.people.CreateOrganization(ctx, a.who, owner, a.said.Name, a.said.Code)
	if err != nil {
		return err
	}
	return a.line(o.Code, o.Name)
}

func (a *administration) renameOrganization(ctx context.Context) error {
	o, err := organizationByCode(ctx, a.store, strings.ToLower(a.said.Code))
	if err != nil {
		return err
	}
	var name, code *string
	if a.said.Name != "" {
		name = &a.said.Name
	}
	if a.said.NewCode != "" {
		code = &a.said.NewCode
	}
	if name == nil && code == nil {
		return errors.New("say what is to change: --title, --code or both")
	}
	_, err = a.people.RenameOrganization(ctx, access.CommandLine(o), name, code)
	return err
}

// allowNetwork lets members of an organization in from one more network.
func (a *administration) allowNetwork(ctx context.Context) error {
	o, err := a.store.Organizations().ByCode(ctx, strings.ToLower(a.said.Code))
	if err != nil {
		return err
	}
	all, added, err := policies(a.store).Allow(ctx, audit.Command, o.ID, a.said.Network)
	switch {
	case err != nil:
		return err
	case added:
		return a.line(fmt.Sprintf("%s now lets its members in from %s too. On a relay that runs this takes effect within seconds. All its networks: %s", o.Code, a.said.Network, strings.Join(all, " ")))
	case len(all) == 0:
		return a.line(o.Code + " lets its members in from everywhere. Nothing was changed.")
	}
	return a.line(fmt.Sprintf("%s lets its members in from %s already. Nothing was changed. All its networks: %s", o.Code, a.said.Network, strings.Join(all, " ")))
}

// policies is the room, for a command: nodes that run see a change when they look again.
func policies(s *store.Store) *policy.Policies {
	return policy.New(policy.Options{Store: s, Announce: func(store.OrganizationID) {}})
}

func (a *administration) relaySettings(ctx context.Context) error {
	s, err := a.people.RelaySettings(ctx)
	if err != nil {
		return err
	}
	signUp := "closed"
	switch {
	case s.SignUp && s.Mail:
		signUp = "open"
	case s.SignUp:
		signUp = "closed: there is no mail server"
	}
	return errors.Join(a.line("sign-up", signUp), a.line("staff-domains", strings.Join(s.StaffDomains, ",")))
}

func (a *administration) setRelay(ctx context.Context) error {
	_, err := a.people.ChangeRelay(ctx, a.who, a.said.SignUp, a.said.StaffDomains)
	return err
}

// showQuotas prints what an organization has of each kind, and may have.
func (a *administration) showQuotas(ctx context.Context) error {
	o, err := organizationByCode(ctx, a.store, strings.ToLower(a.said.Code))
	if err != nil {
		return err
	}
	q, err := a.people.Quotas(ctx, o)
	if err != nil {
		return err
	}
	return a.quotas(q)
}

func (a *administration) quotas(q people.Quotas) error {
	for _, kind := range store.AllQuotas {
		use, limit := *q.Of(kind), "unlimited"
		if use.Limit != nil {
			limit = strconv.FormatInt(*use.Limit, 10)
		}
		if err := a.line(string(kind), strconv.FormatInt(use.Used, 10), limit); err != nil {
			return err
		}
	}
	return nil
}

// setQuotas changes those that are named.
func (a *administration) setQuotas(ctx context.Context) error {
	o, err := organizationByCode(ctx, a.store, strings.ToLower(a.said.Code))
	if err != nil {
		return err
	}
	q, err := a.people.Quotas(ctx, o)
	if err != nil {
		return err
	}
	var l people.Limits
	for _, kind := range store.AllQuotas {
		*l.Of(kind) = (*q.Of(kind)).Limit
		if n, said := a.said.Quotas[string(kind)]; said {
			*l.Of(kind) = &n
			if n == config.Unlimited {
				*l.Of(kind) = nil
			}
		}
	}
	if q, err = a.people.SetQuotas(ctx, a.who, o, l); err != nil {
		return err
	}
	return a.quotas(q)
}

func (a *administration) listPeople(ctx context.Context) error {
	return pages(func(r page.Request) (page.Page[people.Member], error) { return a.people.Members(ctx, a.who, r) }, "name",
		a.memberLine)
}

// memberLine prints one of the organization.
func (a *administration) memberLine(m people.Member) error {
	return a.line(m.ID, m.Kind, m.State, m.Role, m.Name, m.Email)
}

// anybody is the person whom a login names, whatever their organization.
func (a *administration) anybody(ctx context.Context, login string) (string, error) {
	l := identifier.ParseLogin(login)
	var keys []store.LoginKey
	for kind, key := range l.Keys() {
		keys = append(keys, store.LoginKey{Kind: string(kind), Key: key})
	}
	found, err := a.store.People().Logins(ctx, "", keys...)
	if err != nil {
		return "", err
	}
	ids := map[string]bool{}
	for _, one := range found {
		if l.Code == "" || l.Code == one.OrganizationCode || one.Identifier.Organization == "" {
			ids[one.Person.ID] = true
		}
	}
	switch {
	case len(ids) > 1:
		return "", fmt.Errorf("%q may be one of %d people; write login:organization", login, len(ids))
	case len(ids) == 0:
		return "", fmt.Errorf("nobody signs in with %q", login)
	}
	for id := range ids {
		return id, nil
	}
	return "", nil
}

// member is one of the organization: a login, an id, or the name of a service account.
func (a *administration) member(ctx context.Context, login string) (string, error) {
	members := a.store.Members(a.who.Organization)
	if id, err := a.anybody(ctx, login); err == nil {
		if _, err := members.Get(ctx, id); err == nil {
			return id, nil
		}
	}
	var found []string
	err := pages(func(r page.Request) (page.Page[store.Member], error) { return members.List(ctx, r) }, "name", func(m store.Member) error {
		if m.PersonID == login || m.Kind == store.ServiceKind && m.Name == login {
			found = append(found, m.PersonID)
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fmt.Errorf("%d service accounts are called %q; give an id, which person list has", len(found), login)
	}
	return "", fmt.Errorf("this organization has no member %q; oriel-relay person list has them", login)
}

// invite prints the link, alone on standard output: the command line sends no mail.
func (a *administration) invite(ctx context.Context) error {
	role, err := a.role(ctx, a.said.Role)
	if err != nil {
		return err
	}
	i, err := a.people.Invite(ctx, a.who, a.said.Email, a.said.Name, role)
	if err != nil {
		return err
	}
	return a.line(i.Link)
}

func (a *administration) createService(ctx context.Context) error {
	role, err := a.role(ctx, a.said.Role)
	if err != nil {
		return err
	}
	m, err := a.people.CreateService(ctx, a.who, a.said.Name, role)
	if err != nil {
		return err
	}
	return a.line(m.ID, m.Name)
}

func (a *administration) setRole(ctx context.Context) error {
	person, err := a.member(ctx, a.said.Login)
	if err != nil {
		return err
	}
	role, err := a.role(ctx, a.said.Role)
	if err != nil {
		return err
	}
	return a.people.SetRole(ctx, a.who, person, role)
}

// role is one by id or name.
func (a *administration) role(ctx context.Context, text string) (string, error) {
	if _, ok := rights.BuiltIn(text); ok {
		return text, nil
	}
	var found []string
	err := pages(func(r page.Request) (page.Page[people.Role], error) { return a.people.Roles(ctx, a.who, r) }, "name", func(r people.Role) error {
		if r.ID == text || r.Name == text {
			found = append(found, r.ID)
		}
		return nil
	})
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%d roles are called %q; oriel-relay role list has all", len(found), text)
	}
	if err != nil {
		return "", err
	}
	return found[0], nil
}

func (a *administration) setActive(ctx context.Context, active bool) error {
	person, err := a.member(ctx, a.said.Login)
	if err != nil {
		return err
	}
	return a.people.SetActive(ctx, a.who, person, active)
}

func (a *administration) removePerson(ctx context.Context) error {
	person, err := a.member(ctx, a.said.Login)
	if err != nil {
		return err
	}
	return a.people.Remove(ctx, a.who, person)
}

func (a *administration) listRoles(ctx context.Context) error {
	for _, r := range people.BuiltInRoles() {
		if err := a.line(r.ID, r.ID, strings.Join(r.Permissions, " ")); err != nil {
			return err
		}
	}
	return pages(func(r page.Request) (page.Page[people.Role], error) { return a.people.Roles(ctx, a.who, r) }, "name",
		func(r people.Role) error { return a.line(r.ID, r.Name, strings.Join(r.Permissions, " ")) })
}

func (a *administration) createRole(ctx context.Context) error {
	r, err := a.people.CreateRole(ctx, a.who, a.said.Name, a.said.Permissions)
	if err != nil {
		return err
	}
	return a.line(r.ID, r.Name)
}

func (a *administration) listGrants(ctx context.Context) error {
	return pages(func(r page.Request) (page.Page[people.Grant], error) {
		return a.people.Grants(ctx, a.who, people.GrantFilter{}, r)
	}, "created_at", func(g people.Grant) error {
		return a.line(g.ID, g.Subject.Kind, g.Subject.Name, g.Role, g.Object.Kind, g.Object.Name)
	})
}

func (a *administration) createGrant(ctx context.Context) (err error) {
	n := people.NewGrant{Object: people.Ref{Kind: store.ObjectOrganization}, Until: a.said.Until, Approval: a.said.Approval}
	if n.Role, err = a.role(ctx, a.said.Role); err != nil {
		return err
	}
	if a.said.Team != "" {
		n.Subject.Kind = store.SubjectTeam
		n.Subject.ID, err = a.named(ctx, "team", a.said.Team)
	} else {
		n.Subject.Kind = store.SubjectPerson
		n.Subject.ID, err = a.member(ctx, a.said.Login)
	}
	switch {
	case err != nil:
		return err
	case a.said.Group != "":
		n.Object.Kind = store.ObjectGroup
		n.Object.ID, err = a.named(ctx, "group", a.said.Group)
	case a.said.Computer != "":
		n.Object.Kind = store.ObjectComputer
		n.Object.ID, err = a.named(ctx, "computer", a.said.Computer)
	}
	if err != nil {
		return err
	}
	g, err := a.people.CreateGrant(ctx, a.who, n)
	if err != nil {
		return err
	}
	return a.line(g.ID)
}

func (a *administration) listKeys(ctx context.Context) error {
	return pages(func(r page.Request) (page.Page[people.APIKey], error) { return a.people.Keys(ctx, a.who, "", r) }, "name",
		func(k people.APIKey) error {
			return a.line(k.ID, k.Person.Name, k.Name, strings.Join(k.Permissions, " "))
		})
}

func (a *administration) createKey(ctx context.Context) error {
	person, err := a.member(ctx, a.said.Login)
	if err != nil {
		return err
	}
	k, err := a.people.CreateKey(ctx, a.who, person, a.said.Name, a.said.Permissions, a.said.Lifetime)
	if err != nil {
		return err
	}
	return a.line(k.Key)
}
