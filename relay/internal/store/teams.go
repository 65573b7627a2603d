package store

import (
	"context"

	"github.com/uptrace/bun"

	"oriel/relay/internal/page"
)

// Team is a named set of members.
type Team struct {
	bun.BaseModel `bun:"table:teams,alias:t"`

	Organization OrganizationID `bun:",pk"`
	ID           string         `bun:",pk"`
	Name         string
	CreatedAt    int64

	Members int64 `bun:",scanonly"` // how many
}

type teamMember struct {
	bun.BaseModel `bun:"table:team_members,alias:tm"`

	Organization OrganizationID `bun:",pk"`
	TeamID       string         `bun:",pk"`
	PersonID     string         `bun:",pk"`
}

var teamList = list[Team]{id: "t.id", text: "t.name",
	idOf: func(t Team) string { return t.ID },
	keys: map[string]listKey[Team]{
		"name":       {column: "t.name", text: func(t Team) string { return t.Name }},
		"created_at": {column: "t.created_at", number: func(t Team) int64 { return t.CreatedAt }},
	}}

func (s Teams) teams(db bun.IDB, into any) *bun.SelectQuery {
	return s.rows(db, into).ColumnExpr("t.*").
		ColumnExpr("(SELECT count(*) FROM team_members AS tm WHERE tm.organization = t.organization AND tm.team_id = t.id) AS members")
}

// List is a page of them, by name or created_at.
func (s Teams) List(ctx context.Context, r page.Request) (page.Page[Team], error) {
	var all []Team
	return teamList.page(ctx, s.teams(s.db, &all), &all, r)
}

// Get is one. Errors: ErrNotFound.
func (s Teams) Get(ctx context.Context, id string) (Team, error) {
	var t Team
	return t, mapped(s.teams(s.db, &t).Where("t.id = ?", id).Scan(ctx))
}

// Of are the teams of a member, by name.
func (s Teams) Of(ctx context.Context, person string) ([]Team, error) {
	var all []Team
	return all, mapped(s.teams(s.db, &all).Join("JOIN team_members AS x ON x.organization = t.organization AND x.team_id = t.id").
		Where("x.person_id = ?", person).OrderExpr("LOWER(t.name), t.id").Scan(ctx))
}

// Add makes one. Errors: ErrConflict, ErrLimit, fault.Field.
func (s Teams) Add(ctx context.Context, by Entry, t Team) error {
	if err := bounded(text{"id", t.ID, MaxID}, text{"name", t.Name, MaxNameText}); err != nil {
		return err
	}
	t.Organization = s.organization
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if _, err := tx.NewInsert().Model(&t).Exec(ctx); err != nil {
			return err
		}
		n, err := s.rows(tx, (*Team)(nil)).Count(ctx)
		return limit(n, MaxTeams, err)
	})
}

// Rename gives one another name. Errors: ErrNotFound, fault.Field.
func (s Teams) Rename(ctx context.Context, by Entry, id, name string) error {
	if err := bounded(text{"name", name, MaxNameText}); err != nil {
		return err
	}
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		return changed(s.update(tx, (*Team)(nil)).Set("name = ?", name).Where("id = ?", id).Exec(ctx))
	})
}

// Remove forgets one, with its grants. Errors: ErrNotFound.
func (s Teams) Remove(ctx context.Context, by Entry, id string) error {
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if _, err := s.remove(tx, (*Grant)(nil)).Where("subject_kind = ? AND subject_id = ?", SubjectTeam, id).Exec(ctx); err != nil {
			return err
		}
		return changed(s.remove(tx, (*Team)(nil)).Where("id = ?", id).Exec(ctx))
	})
}

// Members is a page of a team's, by name or created_at.
func (s Teams) Members(ctx context.Context, team string, r page.Request) (page.Page[Member], error) {
	var all []Member
	q := s.members(s.db, &all).Join("JOIN team_members AS x ON x.organization = m.organization AND x.person_id = m.person_id").Where("x.team_id = ?", team)
	return memberList.page(ctx, q, &all, r)
}

// AddMember has a member be in a team. Errors: ErrNotFound when there is no such team or
// member, ErrConflict when they are in it, ErrLimit.
func (s Teams) AddMember(ctx context.Context, by Entry, team, person string) error {
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if err := s.needs(ctx, tx, (*Team)(nil), team); err != nil {
			return err
		}
		if _, err := Members(s).find(ctx, tx, person); err != nil {
			return err
		}
		row := teamMember{Organization: s.organization, TeamID: team, PersonID: person}
		if _, err := tx.NewInsert().Model(&row).Exec(ctx); err != nil {
			return err
		}
		n, err := s.rows(tx, (*teamMember)(nil)).Where("person_id = ?", person).Count(ctx)
		if err = limit(n, MaxTeamsOfMember, err); err != nil {
			return err
		}
		return s.fewGrants(ctx, tx, SubjectPerson, person)
	})
}

// RemoveMember has a member be in a team no longer. Errors: ErrNotFound.
func (s Teams) RemoveMember(ctx context.Context, by Entry, team, person string) error {
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		return changed(s.remove(tx, (*teamMember)(nil)).Where("team_id = ? AND person_id = ?", team, person).Exec(ctx))
	})
}
