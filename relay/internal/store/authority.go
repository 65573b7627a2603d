package store

import (
	"context"
	"strings"

	"github.com/uptrace/bun"
)

// Authority is all that says what somebody may who comes with a sign-in or a key.
type Authority struct {
	SignIn SignIn // with a key only its PersonID and Organization
	Key    APIKey // zero: there is a sign-in

	Person Person // without the hash of the password
	Email  string // the oldest; empty: none

	Role        string // as a member of the organization; empty: they are none
	State       string // of the membership
	Permissions string // of the role, where it is one of the organization's own
	Policy      string // settings of the organization's own policy; empty: it has none
	Teams       []string
	Grants      []Given // to the person and to the teams
}

// Active reports whether person and membership are.
func (a Authority) Active() bool { return a.Person.State == Active && a.State == Active }

// Given is a grant with what decides what it gives.
type Given struct {
	Grant
	Permissions string // of the role, where it is one of the organization's own
	// Groups are those that the object is in or is, the innermost first.
	Groups   []string
	Approved []Standing
}

// authorityRow is a grant of somebody, or of a team of theirs; without a grant it only
// says who they are.
type authorityRow struct {
	TokenHash               []byte
	SignInID, KeyID         string
	Address, Browser        string
	CreatedAt, SeenAt       int64
	KeyName, KeyPermissions string
	ExpiresAt, UsedAt       int64

	PersonID, Kind, Name, PersonState, Email string
	PersonCreatedAt                          int64
	Organization                             OrganizationID
	Role, State, Permissions, Policy         string

	SubjectKind, SubjectID         string
	GrantID, GrantRole             string
	ObjectKind, ObjectID           string
	Hours                          string
	FromAt, UntilAt, GrantedAt     int64
	Approval                       bool
	MadeBy, GrantPermissions, Path string
	ApprovedComputer               string
	ApprovedUntil                  int64
	ApprovedPath                   string
}

// Standing is an approval that holds, for one computer.
type Standing struct {
	ComputerID string
	Groups     []string // that it is in, the innermost first
	UntilAt    int64
}

// The columns of who comes, from sign-ins, from keys and from members.
const (
	fromSignIns = `SELECT si.token_hash, si.id AS sign_in_id, '' AS key_id, si.address, si.browser, si.created_at, si.seen_at,
	'' AS key_name, '' AS key_permissions, 0 AS expires_at, 0 AS used_at, si.person_id, si.organization FROM sign_ins AS si WHERE `
	fromKeys = `SELECT k.token_hash, '' AS sign_in_id, k.id AS key_id, '' AS address, '' AS browser, k.created_at, 0 AS seen_at,
	k.name AS key_name, k.permissions AS key_permissions, k.expires_at, k.used_at, k.person_id, k.organization FROM api_keys AS k WHERE `
	fromMembers = `SELECT c.person_id AS token_hash, '' AS sign_in_id, '' AS key_id, '' AS address, '' AS browser, c.created_at, 0 AS seen_at,
	'' AS key_name, '' AS key_permissions, 0 AS expires_at, 0 AS used_at, c.person_id, c.organization FROM members AS c WHERE `
)

// authorities is one statement, each step of it by an index: who comes, their person and
// membership, whose grants count for them, and the grants.
const authorities = `WITH came AS (?),
who AS (SELECT came.*, p.kind, p.name, p.state AS person_state, p.created_at AS person_created_at, ` + emailOf + ` AS email,
	COALESCE(m.role, '') AS role, COALESCE(m.state, '') AS state, COALESCE(r.permissions, '') AS permissions,
	COALESCE(po.settings, '') AS policy
	FROM came JOIN people AS p ON p.id = came.person_id
	LEFT JOIN members AS m ON m.organization = came.organization AND m.person_id = came.person_id
	LEFT JOIN roles AS r ON r.organization = m.organization AND r.id = m.role
	LEFT JOIN policies AS po ON po.organization = came.organization AND po.object_kind = 'organization' AND po.object_id = ''),
subjects AS (SELECT token_hash, organization, 'person' AS subject_kind, person_id AS subject_id FROM who
	UNION ALL SELECT who.token_hash, who.organization, 'team', tm.team_id FROM who
	JOIN team_members AS tm ON tm.organization = who.organization AND tm.person_id = who.person_id)
SELECT who.*, s.subject_kind, s.subject_id, gr.id AS grant_id, gr.role AS grant_role, gr.object_kind, gr.object_id, gr.hours,
	gr.from_at, gr.until_at, gr.created_at AS granted_at, gr.approval, gr.made_by, r.permissions AS grant_permissions,
	COALESCE(og.path, cg.path, '') AS path, a.computer_id AS approved_computer, a.until_at AS approved_until,
	COALESCE(ag.path, '') AS approved_path
FROM who JOIN subjects AS s ON s.token_hash = who.token_hash
LEFT JOIN grants AS gr ON gr.organization = s.organization AND gr.subject_kind = s.subject_kind AND gr.subject_id = s.subject_id
	AND who.state = 'active' AND who.person_state = 'active'
LEFT JOIN roles AS r ON r.organization = gr.organization AND r.id = gr.role
LEFT JOIN "groups" AS og ON gr.object_kind = 'group' AND og.organization = gr.organization AND og.id = gr.object_id
LEFT JOIN computers AS oc ON gr.object_kind = 'computer' AND oc.organization = gr.organization AND oc.id = gr.object_id
LEFT JOIN "groups" AS cg ON cg.organization = gr.organization AND cg.id = oc.group_id
LEFT JOIN approvals AS a ON gr.approval AND a.organization = gr.organization AND a.grant_id = gr.id AND a.person_id = who.person_id
	AND a.outcome = 'approved' AND a.until_at > ?
LEFT JOIN computers AS ac ON ac.organization = a.organization AND ac.id = a.computer_id
LEFT JOIN "groups" AS ag ON ag.organization = ac.organization AND ag.id = ac.group_id
ORDER BY who.token_hash, s.subject_kind, s.subject_id, gr.id`

// Authority of a sign-in by the hash of its token, at this time. Errors: ErrNotFound.
func (s SignIns) Authority(ctx context.Context, hash []byte, now int64) (Authority, error) {
	return one(s.authorities(ctx, now, fromSignIns+"si.token_hash = ?", hash))
}

// AuthorityOf is Authority for who does not have the token. Errors: ErrNotFound.
func (s SignIns) AuthorityOf(ctx context.Context, id string, now int64) (Authority, error) {
	return one(s.Authorities(ctx, now, id))
}

// Authorities of those of these sign-ins that exist.
func (s SignIns) Authorities(ctx context.Context, now int64, ids ...string) ([]Authority, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return s.authorities(ctx, now, fromSignIns+"si.id IN (?)", bun.List(ids))
}

// AuthorityIn is AuthorityOf as if the person were in that organization with the sign-in.
// Errors: ErrNotFound.
func (s SignIns) AuthorityIn(ctx context.Context, id string, o OrganizationID, now int64) (Authority, error) {
	return one(s.authorities(ctx, now, strings.Replace(fromSignIns, "si.organization FROM", "? AS organization FROM", 1)+"si.id = ?", string(o), id))
}

// Authority is that of a member, whatever they come with. Errors: ErrNotFound.
func (s Members) Authority(ctx context.Context, person string, now int64) (Authority, error) {
	return one(s.authorities(ctx, now, fromMembers+"c.organization = ? AND c.person_id = ?", s.organization, person))
}

// Authorities of those of these people that are members.
func (s Members) Authorities(ctx context.Context, now int64, people ...string) ([]Authority, error) {
	if len(people) == 0 {
		return nil, nil
	}
	return s.authorities(ctx, now, fromMembers+"c.organization = ? AND c.person_id IN (?)", s.organization, bun.List(people))
}

// Authority is that of an API key that has not expired. Errors: ErrNotFound.
func (s Keys) Authority(ctx context.Context, id string, now int64) (Authority, error) {
	return one(s.authorities(ctx, now, fromKeys+"k.organization = ? AND k.id = ? AND (k.expires_at = 0 OR k.expires_at > ?)", s.organization, id, now))
}

// ByKey is the authority of who comes with an API key of that hash that has not expired.
// Errors: ErrNotFound.
func (s People) ByKey(ctx context.Context, hash []byte, now int64) (Authority, error) {
	whole := s.wholeRelay("a key says whose it is once its row is found")
	return one(whole.authorities(ctx, now, fromKeys+"k.token_hash = ? AND (k.expires_at = 0 OR k.expires_at > ?)", hash, now))
}

func one(all []Authority, err error) (Authority, error) {
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Authority{}, err
	}
	return all[0], nil
}

func (s *database) authorities(ctx context.Context, now int64, came string, args ...any) ([]Authority, error) {
	var rows []authorityRow
	if err := s.db.NewRaw(authorities, bun.SafeQuery(came, args...), now).Scan(ctx, &rows); err != nil {
		return nil, mapped(err)
	}
	var all []Authority
	for i, row := range rows {
		if i == 0 || string(row.TokenHash) != string(rows[i-1].TokenHash) {
			all = append(all, row.who())
		}
		a := &all[len(all)-1]
		if again := i > 0 && row.SubjectID == rows[i-1].SubjectID && row.SubjectKind == rows[i-1].SubjectKind; row.SubjectKind == SubjectTeam && !again {
			a.Teams = append(a.Teams, row.SubjectID)
		}
		if row.GrantID == "" {
			continue
		}
		if n := len(a.Grants); n == 0 || a.Grants[n-1].ID != row.GrantID {
			a.Grants = append(a.Grants, row.given())
		}
		if row.ApprovedComputer != "" {
			last := &a.Grants[len(a.Grants)-1]
			last.Approved = append(last.Approved, Standing{row.ApprovedComputer, upwards(row.ApprovedPath), row.ApprovedUntil})
		}
	}
	return all, nil
}

func (row authorityRow) who() Authority {
	a := Authority{
		Person: Person{ID: row.PersonID, Kind: row.Kind, Name: row.Name, State: row.PersonState, CreatedAt: row.PersonCreatedAt},
		Email:  row.Email, Role: row.Role, State: row.State, Permissions: row.Permissions, Policy: row.Policy,
		SignIn: SignIn{PersonID: row.PersonID, Organization: row.Organization},
	}
	if row.KeyID != "" {
		a.Key = APIKey{Organization: row.Organization, ID: row.KeyID, PersonID: row.PersonID, Name: row.KeyName, TokenHash: row.TokenHash,
			Permissions: row.KeyPermissions, CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt, UsedAt: row.UsedAt, PersonName: row.Name}
		return a
	}
	a.SignIn.TokenHash, a.SignIn.ID, a.SignIn.Address, a.SignIn.Browser = row.TokenHash, row.SignInID, row.Address, row.Browser
	a.SignIn.CreatedAt, a.SignIn.SeenAt = row.CreatedAt, row.SeenAt
	return a
}

func (row authorityRow) given() Given {
	return Given{
		Grant: Grant{Organization: row.Organization, ID: row.GrantID, SubjectKind: row.SubjectKind, SubjectID: row.SubjectID, Role: row.GrantRole,
			ObjectKind: row.ObjectKind, ObjectID: row.ObjectID, Hours: row.Hours, FromAt: row.FromAt, UntilAt: row.UntilAt,
			Approval: row.Approval, MadeBy: row.MadeBy, CreatedAt: row.GrantedAt},
		Permissions: row.GrantPermissions, Groups: upwards(row.Path),
	}
}
