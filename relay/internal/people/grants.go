package people

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// Ref names a thing, with what a page calls it.
type Ref struct {
	Kind string `json:"kind"`
	ID   string `json:"id" maxLength:"64"`
	Name string `json:"name,omitempty" readOnly:"true"`
}

// Grant gives a role on an object.
type Grant struct {
	ID        string     `json:"id"`
	Subject   Ref        `json:"subject" doc:"A person or a team."`
	Role      string     `json:"role" doc:"Id of a role."`
	RoleName  string     `json:"role_name" doc:"Empty for a built-in one, which each language calls its own name."`
	Object    Ref        `json:"object" doc:"An organization (without id), a group or a computer."`
	Hours     *Hours     `json:"hours,omitempty" doc:"Of the week; absent: always."`
	From      *time.Time `json:"from,omitempty"`
	Until     *time.Time `json:"until,omitempty" doc:"It is over then."`
	Approval  bool       `json:"approval" doc:"A second person has to agree each time."`
	MadeBy    string     `json:"made_by"`
	CreatedAt time.Time  `json:"created_at"`
}

func grantOf(g store.Grant) Grant {
	out := Grant{ID: g.ID, Subject: Ref{g.SubjectKind, g.SubjectID, g.SubjectName}, Role: g.Role, RoleName: g.RoleName, Object: Ref{g.ObjectKind, g.ObjectID, g.ObjectName},
		From: when(g.FromAt), Until: when(g.UntilAt), Approval: g.Approval, MadeBy: g.MadeBy, CreatedAt: at(g.CreatedAt)}
	out.Hours = hoursOf(g.Hours)
	return out
}

// Hours are windows of the week by the clock on a wall.
type Hours struct {
	Zone    string          `json:"zone" maxLength:"64" doc:"Of the IANA: Europe/Berlin."`
	Windows []rights.Window `json:"windows" nullable:"false" maxItems:"32"`
}

// hoursOf reads what the database has; nil: always.
func hoursOf(text string) *Hours {
	if text == "" {
		return nil
	}
	h := &Hours{}
	if json.Unmarshal([]byte(text), h) != nil {
		return nil
	}
	return h
}

// check is h as package rights keeps it. Errors: fault.Field.
func (h *Hours) check() (rights.Hours, error) {
	if h == nil {
		return rights.Hours{}, nil
	}
	hours, err := rights.NewHours(h.Zone, h.Windows)
	if err != nil {
		return rights.Hours{}, fault.Field("hours", err.Error())
	}
	return hours, nil
}

// NewGrant is what is asked for one.
type NewGrant struct {
	Subject, Object Ref
	Role            string
	Hours           *Hours
	From, Until     *time.Time
	Approval        bool
}

// object of the store's words.
func object(kind, id string) access.Object {
	switch kind {
	case store.ObjectGroup:
		return access.Group(id)
	case store.ObjectComputer:
		return access.Computer(id)
	}
	return access.Organization
}

// Object is what a reference names; the zero Object where it can be on none.
func (r Ref) Object() access.Object { return object(r.Kind, r.ID) }

// GrantFilter says which grants, by ids; its zero value means all.
type GrantFilter struct {
	Person, Team string // that has it itself; one of both
	Group        string // on that group itself
	Reaches      string // on that computer, its groups or everything
}

// Grants are a page of those. Errors: store.ErrNotFound when there is no computer that
// they could reach.
func (p *People) Grants(ctx context.Context, who access.Identity, f GrantFilter, r page.Request) (page.Page[Grant], error) {
	q := store.GrantFilter{Reaches: f.Reaches}
	switch {
	case f.Person != "":
		q.SubjectKind, q.SubjectID = store.SubjectPerson, f.Person
	case f.Team != "":
		q.SubjectKind, q.SubjectID = store.SubjectTeam, f.Team
	}
	if f.Group != "" {
		q.ObjectKind, q.ObjectID = store.ObjectGroup, f.Group
	}
	rows, err := p.o.Store.Grants(who.Organization).List(ctx, q, r)
	return each(rows, err, grantOf)
}

// Grant is one. Errors: store.ErrNotFound.
func (p *People) Grant(ctx context.Context, who access.Identity, id string) (Grant, error) {
	g, err := p.o.Store.Grants(who.Organization).Get(ctx, id)
	if err != nil {
		return Grant{}, fmt.Errorf("look up a grant: %w", err)
	}
	return grantOf(g), nil
}

// CreateGrant makes one. Errors: ErrGives, store.ErrNotFound, store.ErrLimit, fault.Field.
func (p *People) CreateGrant(ctx context.Context, who access.Identity, n NewGrant) (Grant, error) {
	role, err := p.role(ctx, who.Organization, "role", n.Role)
	if err != nil {
		return Grant{}, err
	}
	hours, err := n.Hours.check()
	if err != nil {
		return Grant{}, err
	}
	from, until := millis(n.From), millis(n.Until)
	switch now := p.now(); {
	case until != 0 && until <= now:
		return Grant{}, fault.Field("until", "this is over already; choose a later time")
	case until != 0 && from >= until:
		return Grant{}, fault.Field("until", "it ends before it begins; choose a later end")
	case n.Approval && role.Permissions&^rights.See == 0:
		return Grant{}, fault.Field("approval", "this role gives nothing that could be approved of")
	}
	if err := p.mayGive(ctx, who, role.Permissions, n.Object.Object()); err != nil {
		return Grant{}, err
	}
	row := store.Grant{ID: store.NewID(), SubjectKind: n.Subject.Kind, SubjectID: n.Subject.ID, Role: n.Role, ObjectKind: n.Object.Kind, ObjectID: n.Object.ID,
		Hours: hours.String(), FromAt: from, UntilAt: until, Approval: n.Approval, MadeBy: who.PersonID, CreatedAt: p.now()}
	by := who.Actor().Did(audit.GrantMade, "grant", row.ID, "subject", row.SubjectKind+" "+row.SubjectID, "role", row.Role, "object", row.ObjectKind+" "+row.ObjectID)
	if err := p.o.Store.Grants(who.Organization).Add(ctx, by, row); err != nil {
		return Grant{}, fmt.Errorf("make a grant: %w", err)
	}
	p.done(who, "", audit.GrantMade)
	return p.Grant(ctx, who, row.ID)
}

// RevokeGrant takes one back. Errors: store.ErrNotFound.
func (p *People) RevokeGrant(ctx context.Context, who access.Identity, id string) error {
	g, err := p.o.Store.Grants(who.Organization).Get(ctx, id)
	if err == nil {
		by := who.Actor().Did(audit.GrantRevoked, "grant", id, "subject", g.SubjectKind+" "+g.SubjectID, "role", g.Role, "object", g.ObjectKind+" "+g.ObjectID)
		err = p.o.Store.Grants(who.Organization).Revoke(ctx, by, id)
	}
	if err != nil {
		return fmt.Errorf("take back a grant: %w", err)
	}
	p.done(who, "", audit.GrantRevoked)
	return nil
}
