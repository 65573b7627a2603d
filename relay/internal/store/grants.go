package store

import (
	"context"

	"github.com/uptrace/bun"

	"oriel/relay/internal/page"
)

// Kinds of who has a grant.
const (
	SubjectPerson = "person"
	SubjectTeam   = "team"
)

// Kinds of what a grant or a policy is on.
const (
	ObjectOrganization = "organization" // its id is empty
	ObjectGroup        = "group"
	ObjectComputer     = "computer"
)

// Grant gives a role to a person or a team, on an object.
type Grant struct {
	bun.BaseModel `bun:"table:grants,alias:gr"`

	Organization OrganizationID `bun:",pk"`
	ID           string         `bun:",pk"`
	SubjectKind  string
	SubjectID    string
	Role         string // a built-in one or the id of one of the organization's
	ObjectKind   string
	ObjectID     string // empty: the organization
	Hours        string // of the week, as package rights writes them; empty: all
	FromAt       int64  // 0: since ever
	UntilAt      int64  // 0: for ever
	Approval     bool   // a second person has to agree, each time
	MadeBy       string // person's id
	CreatedAt    int64

	SubjectName string `bun:",scanonly"`
	ObjectName  string `bun:",scanonly"` // of a group or a computer
	RoleName    string `bun:",scanonly"` // of one of the organization's
}

func (g Grant) bounded() error {
	if err := oneOf("subject", g.SubjectKind, SubjectPerson, SubjectTeam); err != nil {
		return err
	}
	return bounded(text{"id", g.ID, MaxID}, text{"hours", g.Hours, MaxHours}, text{"made_by", g.MadeBy, MaxID})
}

// hasObject says ErrNotFound where the organization has no such object.
func (s owned) hasObject(ctx context.Context, tx bun.Tx, kind, id string) error {
	if err := oneOf("object", kind, ObjectOrganization, ObjectGroup, ObjectComputer); err != nil {
		return err
	}
	switch kind {
	case ObjectGroup:
		return s.needs(ctx, tx, (*Group)(nil), id)
	case ObjectComputer:
		return s.needs(ctx, tx, (*Computer)(nil), id)
	}
	if id != "" {
		return ErrNotFound
	}
	return nil
}

// forgetObject removes what is on a group or a computer that goes.
func (s owned) forgetObject(ctx context.Context, tx bun.Tx, kind, id string) error {
	for _, model := range []any{(*Grant)(nil), (*Policy)(nil)} {
		if _, err := s.remove(tx, model).Where("object_kind = ? AND object_id = ?", kind, id).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// GrantFilter says which grants; its zero value means all.
type GrantFilter struct {
	SubjectKind, SubjectID string // of a subject; empty: of all
	ObjectKind, ObjectID   string // on an object itself; empty: on all
	Reaches                string // a computer: on it, on its groups and on the organization
}

var grantList = list[Grant]{id: "gr.id", text: "gr.role",
	idOf: func(g Grant) string { return g.ID },
	keys: map[string]listKey[Grant]{
		"created_at": {column: "gr.created_at", number: func(g Grant) int64 { return g.CreatedAt }},
	}}

func (s Grants) grants(db bun.IDB, into any) *bun.SelectQuery {
	return s.rows(db, into).ColumnExpr("gr.*").
		ColumnExpr("COALESCE(p.name, t.name, '') AS subject_name").
		ColumnExpr("COALESCE(g.name, NULLIF(c.name, ''), c.host_name, '') AS object_name").
		ColumnExpr("COALESCE(r.name, '') AS role_name").
		Join("LEFT JOIN roles AS r ON r.organization = gr.organization AND r.id = gr.role").
		Join("LEFT JOIN people AS p ON gr.subject_kind = ? AND p.id = gr.subject_id", SubjectPerson).
		Join("LEFT JOIN teams AS t ON gr.subject_kind = ? AND t.organization = gr.organization AND t.id = gr.subject_id", SubjectTeam).
		Join(`LEFT JOIN "groups" AS g ON gr.object_kind = ? AND g.organization = gr.organization AND g.id = gr.object_id`, ObjectGroup).
		Join("LEFT JOIN computers AS c ON gr.object_kind = ? AND c.organization = gr.organization AND c.id = gr.object_id", ObjectComputer)
}

// List is a page of those, by created_at. Errors: ErrNotFound when there is no computer
// that they could reach.
func (s Grants) List(ctx context.Context, f GrantFilter, r page.Request) (page.Page[Grant], error) {
	var all []Grant
	q := s.grants(s.db, &all)
	if f.SubjectKind != "" {
		q = q.Where("gr.subject_kind = ? AND gr.subject_id = ?", f.SubjectKind, f.SubjectID)
	}
	if f.ObjectKind != "" {
		q = q.Where("gr.object_kind = ? AND gr.object_id = ?", f.ObjectKind, f.ObjectID)
	}
	if f.Reaches != "" {
		path, err := s.place(ctx, s.db, f.Reaches)
		if err != nil {
			return page.Page[Grant]{}, mapped(err)
		}
		q = onTheWay(q, "gr", f.Reaches, upwards(path))
	}
	return grantList.page(ctx, q, &all, r)
}

// onTheWay keeps what is on a computer, on its groups or on the organization.
func onTheWay(q *bun.SelectQuery, alias, computer string, groups []string) *bun.SelectQuery {
	kind, id := bun.Safe(alias+".object_kind"), bun.Safe(alias+".object_id")
	return q.Where("(? = ? OR ? = ? AND ? IN (?) OR ? = ? AND ? = ?)", kind, ObjectOrganization,
		kind, ObjectGroup, id, bun.List(append([]string{""}, groups...)), kind, ObjectComputer, id, computer)
}

// Get is one. Errors: ErrNotFound.
func (s Grants) Get(ctx context.Context, id string) (Grant, error) {
	var g Grant
	return g, mapped(s.grants(s.db, &g).Where("gr.id = ?", id).Scan(ctx))
}

// These are those of these ids that exist.
func (s Grants) These(ctx context.Context, ids ...string) ([]Grant, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var all []Grant
	return all, mapped(s.grants(s.db, &all).Where("gr.id IN (?)", bun.List(ids)).Scan(ctx))
}

// Add makes one. Errors: ErrNotFound when the organization has no such subject, role or
// object; ErrConflict, ErrLimit, fault.Field.
func (s Grants) Add(ctx context.Context, by Entry, g Grant) error {
	if err := g.bounded(); err != nil {
		return err
	}
	g.Organization = s.organization
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if err := s.hasRole(ctx, tx, g.Role); err != nil {
			return err
		}
		if err := s.hasObject(ctx, tx, g.ObjectKind, g.ObjectID); err != nil {
			return err
		}
		if g.SubjectKind == SubjectPerson {
			if _, err := Members(s).find(ctx, tx, g.SubjectID); err != nil {
				return err
			}
		} else if err := s.needs(ctx, tx, (*Team)(nil), g.SubjectID); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(&g).Exec(ctx); err != nil {
			return err
		}
		n, err := s.rows(tx, (*Grant)(nil)).Count(ctx)
		if err = limit(n, MaxGrants, err); err != nil {
			return err
		}
		return s.fewGrants(ctx, tx, g.SubjectKind, g.SubjectID)
	})
}

// fewGrants says ErrLimit where a person, or one of a team, has more than
// MaxGrantsOfPerson, those of their teams included.
func (s owned) fewGrants(ctx context.Context, tx bun.Tx, kind, id string) error {
	teams := "gr.subject_id IN (SELECT tm.team_id FROM team_members AS tm WHERE tm.organization = m.organization AND tm.person_id = m.person_id)"
	each := tx.NewSelect().TableExpr("members AS m").ColumnExpr("count(*) AS n").
		Join("JOIN grants AS gr ON gr.organization = m.organization AND (gr.subject_kind = ? AND gr.subject_id = m.person_id OR gr.subject_kind = ? AND "+teams+")",
			SubjectPerson, SubjectTeam).
		Where("m.organization = ?", s.organization).GroupExpr("m.person_id")
	team := s.rows(tx, (*teamMember)(nil)).Column("person_id").Where("team_id = ?", id)
	if kind == SubjectPerson {
		each = each.Where("m.person_id = ?", id)
	} else {
		each = each.Where("m.person_id IN (?)", team)
	}
	var most int64
	err := tx.NewSelect().TableExpr("(?) AS each", each).ColumnExpr("COALESCE(MAX(n), 0)").Scan(ctx, &most)
	if err == nil && kind == SubjectTeam && most == 0 { // of a team without members
		most, err = s.rows(tx, (*Grant)(nil)).Where("subject_kind = ? AND subject_id = ?", kind, id).Count(ctx)
	}
	return limit(most, MaxGrantsOfPerson, err)
}

// Revoke takes one back. Errors: ErrNotFound.
func (s Grants) Revoke(ctx context.Context, by Entry, id string) error {
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		return changed(s.remove(tx, (*Grant)(nil)).Where("id = ?", id).Exec(ctx))
	})
}
