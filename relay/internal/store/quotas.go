package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/uptrace/bun"

	"oriel/relay/internal/fault"
)

// Quota is a kind of what an organization may have so much of. What creates one of a
// kind takes its place in the statement that writes it (vacancy, growth): of any number at
// once, on any number of nodes, none gets in that is too many. What is there already
// stays when a quota is lowered.
type Quota string

// Kinds of quotas.
const (
	QuotaComputers   Quota = "computers"
	QuotaPeople      Quota = "people"      // members, active or not, and service accounts
	QuotaSessions    Quota = "sessions"    // that run
	QuotaStorage     Quota = "storage"     // bytes of previews and inventories
	QuotaInvitations Quota = "invitations" // of members, that can be taken up
)

// AllQuotas are the kinds, in the order in which people read them.
var AllQuotas = []Quota{QuotaComputers, QuotaPeople, QuotaSessions, QuotaStorage, QuotaInvitations}

// MaxQuota is more than anybody has.
const MaxQuota = 1 << 50

// ErrQuota: an organization has as much of something as its quota allows. What callers
// get says how much.
var ErrQuota = fault.New(fault.Quota, "this organization has as many of these as its quota allows; its admins can remove some, or ask who operates this relay for more")

// used is the SQL of how much of a kind there is, and its arguments.
func (s owned) used(kind Quota, now int64) (text string, args []any) {
	switch kind {
	case QuotaComputers:
		return "SELECT count(*) FROM computers WHERE organization = ?", []any{s.organization}
	case QuotaPeople:
		return "SELECT count(*) FROM members WHERE organization = ?", []any{s.organization}
	case QuotaSessions:
		return "SELECT count(*) FROM sessions WHERE organization = ? AND ended_at = 0", []any{s.organization}
	case QuotaStorage:
		return "SELECT CAST(COALESCE((SELECT SUM(preview_size) FROM computers WHERE organization = ?), 0) + " +
			"COALESCE((SELECT SUM(size) FROM inventories WHERE organization = ?), 0) AS BIGINT)", []any{s.organization, s.organization}
	default:
		return "SELECT count(*) FROM member_invitations WHERE organization = ? AND expires_at > ?", []any{s.organization, now}
	}
}

const (
	noQuota   = "NOT EXISTS (SELECT 1 FROM quotas WHERE organization = ? AND kind = ?)"
	mostOf    = "(SELECT most FROM quotas WHERE organization = ? AND kind = ?)"
	quotaLock = 0x71756f74 // "quot", a number of our own for PostgreSQL's advisory locks
)

// vacancy is value for a column of a new row that counts: NULL, which the column refuses,
// where there is no place left. The lock goes before it (inOrderOf).
func (s owned) vacancy(kind Quota, now, value int64) (expression string, args []any) {
	used, of := s.used(kind, now)
	args = slices.Concat([]any{s.organization, kind, value}, of, []any{s.organization, kind, value})
	return "CASE WHEN " + noQuota + " THEN ? WHEN (" + used + ") < " + mostOf + " THEN ? END", args
}

// growth is vacancy for value, where size bytes come for as many as old says, an
// expression with its arguments. What does not grow is let in however much there is.
func (s owned) growth(value any, size int64, old string, oldArgs ...any) (expression string, args []any) {
	used, of := s.used(QuotaStorage, 0)
	args = slices.Concat([]any{s.organization, QuotaStorage, value, size}, oldArgs, []any{value}, of, oldArgs,
		[]any{size, s.organization, QuotaStorage, value})
	return "CASE WHEN " + noQuota + " THEN ? WHEN ? <= " + old + " THEN ? WHEN (" + used + ") - " + old + " + ? <= " + mostOf + " THEN ? END", args
}

// inOrderOf is SQL that has those who create of a kind follow one another where there
// is a quota of it, until their transactions end; empty where they do anyhow. Each
// statement after it sees what those before have created. A quota that is being set
// waits for all of them.
func (s owned) inOrderOf(kind Quota) string {
	if s.kind != PostgreSQL { // SQLite has one writer at a time
		return ""
	}
	return s.db.QueryGen().FormatQuery("SELECT pg_advisory_xact_lock_shared(?, hashtext(?)); "+
		"SELECT most FROM quotas WHERE organization = ? AND kind = ? FOR UPDATE; ", quotaLock, s.organization, s.organization, kind)
}

// insert adds a row that counts, with value in that column (quotaOfColumn).
func (s owned) insert(ctx context.Context, tx bun.Tx, kind Quota, now int64, model any, column string, value int64) error {
	if err := s.wait(ctx, tx, kind); err != nil {
		return err
	}
	vacancy, args := s.vacancy(kind, now, value)
	_, err := tx.NewInsert().Model(model).Value(column, vacancy, args...).Exec(ctx)
	return err
}

// wait is inOrderOf by itself.
func (s owned) wait(ctx context.Context, tx bun.Tx, kind Quota) error {
	text := s.inOrderOf(kind)
	if text == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, text)
	return err
}

// quotaOfColumn is which quota a column that may not be NULL holds.
var quotaOfColumn = map[string]Quota{
	"computers.added_at":            QuotaComputers,
	"members.created_at":            QuotaPeople,
	"sessions.started_at":           QuotaSessions,
	"member_invitations.created_at": QuotaInvitations,
	"inventories.size":              QuotaStorage,
	"computers.preview_size":        QuotaStorage,
}

// overQuota is a database's refusal of a row that has no place.
type overQuota struct{ kind Quota }

func (e *overQuota) Error() string { return "no place is left of " + string(e.kind) }

// Unwrap is the fault as it is without its figure.
func (e *overQuota) Unwrap() error { return ErrQuota }

// sentences say which quota, with its figure in the place of %s.
var sentences = map[Quota]string{
	QuotaComputers:   "this organization has all the computers that its quota allows (%s); its admins can remove one, or ask who operates this relay for more",
	QuotaPeople:      "this organization has all the people that its quota allows (%s, service accounts among them); its admins can remove one, or ask who operates this relay for more",
	QuotaSessions:    "this organization has all the sessions at once that its quota allows (%s); end one or wait until one ends, or ask who operates this relay for more",
	QuotaStorage:     "the previews and inventories of this organization's computers fill its quota (%s); its admins can remove computers, or ask who operates this relay for more",
	QuotaInvitations: "this organization has all the open invitations that its quota allows (%s); its admins can revoke one, or ask who operates this relay for more",
}

// explained is err, with the figure where it is about a quota.
func (s owned) explained(ctx context.Context, err error) error {
	var over *overQuota
	if !errors.As(err, &over) {
		return err
	}
	var most int64
	if s.db.NewRaw("SELECT most FROM quotas WHERE organization = ? AND kind = ?", s.organization, over.kind).Scan(ctx, &most) != nil {
		return err // it was lifted just now, or the database is away
	}
	figure := strconv.FormatInt(most, 10)
	if over.kind == QuotaStorage {
		figure = Bytes(most)
	}
	return fmt.Errorf("%w: %w", ErrQuota.Saying(fmt.Sprintf(sentences[over.kind], figure)), err)
}

// Bytes is a size for people, in the largest unit of which there is one.
func Bytes(n int64) string {
	units, i, v := []string{"bytes", "kB", "MB", "GB", "TB"}, 0, float64(n)
	for ; v >= 1000 && i < len(units)-1; i++ {
		v /= 1000
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', min(i, 1), 64), ".0") + " " + units[i]
}

// quota is a row. What has none has no limit.
type quota struct {
	bun.BaseModel `bun:"table:quotas,alias:q"`

	Organization OrganizationID `bun:",pk"`
	Kind         Quota          `bun:",pk"`
	Most         int64
}

// Use is how much of a kind an organization has.
type Use struct {
	Organization OrganizationID
	Kind         Quota
	Used         int64
	Most         *int64 // nil: no limit
}

// Use is how much the organization has of each kind, and may have, as it is at one
// moment. Errors: ErrNotFound when there is no such organization.
func (s Quotas) Use(ctx context.Context, now int64) ([]Use, error) {
	return s.counted(ctx, s.db, now)
}

func (s Quotas) counted(ctx context.Context, db bun.IDB, now int64) ([]Use, error) {
	var parts []string
	var args []any
	for i, kind := range AllQuotas {
		used, of := s.used(kind, now)
		parts = append(parts, "SELECT o.id AS organization, ? AS kind, ("+used+") AS used, "+mostOf+" AS most, ? AS place FROM organizations AS o WHERE o.id = ?")
		args = slices.Concat(args, []any{kind}, of, []any{s.organization, kind, i, s.organization})
	}
	var all []Use
	err := db.NewRaw("SELECT organization, kind, used, most FROM ("+strings.Join(parts, " UNION ALL ")+") AS u ORDER BY place", args...).Scan(ctx, &all)
	if err == nil && len(all) == 0 {
		return nil, ErrNotFound
	}
	return all, mapped(err)
}

// Set replaces the quotas: what most does not name has no limit. The organization's
// audit says what changed and who did it, but not from where; the audit of another
// organization that by names says that too. Errors: ErrNotFound when there is no such
// organization, fault.Field.
func (s Quotas) Set(ctx context.Context, by Entry, most map[Quota]int64) error {
	for kind, n := range most {
		if !slices.Contains(AllQuotas, kind) {
			return fault.Field(string(kind), "there is no such quota")
		}
		if n < 0 || n > MaxQuota {
			return fault.Field(string(kind), "write a number from 0 to "+strconv.FormatInt(MaxQuota, 10))
		}
	}
	operators, also := by.Organization, Entry{}
	err := s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		if s.kind == PostgreSQL {
			if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(?, hashtext(?))", quotaLock, s.organization); err != nil {
				return err
			}
		}
		before, err := s.counted(ctx, tx, 0)
		if err != nil {
			return err
		}
		changes := false
		for _, was := range before {
			n, limited := most[was.Kind]
			if limited == (was.Most != nil) && (!limited || n == *was.Most) {
				continue
			}
			changes = true
			*by = by.With(string(was.Kind), limitText(was.Most)+" → "+limitText(map[bool]*int64{true: &n}[limited]))
			if _, err := s.remove(tx, (*quota)(nil)).Where("kind = ?", was.Kind).Exec(ctx); err != nil {
				return err
			}
			if limited {
				if _, err := tx.NewInsert().Model(&quota{Organization: s.organization, Kind: was.Kind, Most: n}).Exec(ctx); err != nil {
					return err
				}
			}
		}
		if !changes {
			return errUnchanged
		}
		if operators == "" || operators == s.organization {
			return nil
		}
		also = *by
		also.Organization = operators
		by.SignInID, by.Address = "", ""
		text, err := s.recording(also)
		text = s.within(operators).db.text(text, s.db.scope)
		if err == nil {
			_, err = tx.ExecContext(ctx, text)
		}
		return err
	})
	if err == nil && also.Organization != "" {
		s.announce(also)
	}
	return err
}

func limitText(most *int64) string {
	if most == nil {
		return "unlimited"
	}
	return strconv.FormatInt(*most, 10)
}
