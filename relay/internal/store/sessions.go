package store

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"

	"oriel/relay/internal/fault"
)

// ErrEnded: the session has ended, and not in a way that can be taken back.
var ErrEnded = fault.New(fault.Ended, "this session has ended")

// Lost is the one end reason that an agent may correct afterwards.
const Lost = "lost"

// Session is one row of the journal.
type Session struct {
	bun.BaseModel `bun:"table:sessions,alias:s"`

	ID              string `bun:",pk"`
	Organization    OrganizationID
	ComputerID      string
	ComputerName    string // as it was called then
	OperatorID      string
	OperatorName    string
	OperatorAddress string
	Browser         string
	SignInID        string
	Scopes          string // all that it had, also what was taken away; words with spaces between
	ScopesNow       string // those that it has, or had at its end
	StartedAt       int64
	ConnectedAt     int64  // 0: not yet
	EndedAt         int64  // 0: running
	SeenAt          int64  // last sign of life from the agent about it
	EndReason       string // empty: running
	EndCode         string
	EndDetail       string
	Path            string // "", direct, relayed
	BytesSent       int64
	BytesReceived   int64
	Codec           string
	Delays          []byte // a serialized Delays; nil: none
	Unattended      bool   // no tab has it, as far as is known: only its computer says that it runs
}

// sessionTable is how bun reads a Session.
var sessionTable = sqlitedialect.New().Tables().Get(reflect.TypeFor[*Session]())

// Column is what row has in a column, as a string, int64, bool or []byte; nil: there
// is none of that name.
func (row Session) Column(name string) any {
	f := sessionTable.LookupField(name)
	if f == nil {
		return nil
	}
	switch v := f.Value(reflect.ValueOf(&row).Elem()); v.Kind() {
	case reflect.String:
		return v.String()
	default:
		return v.Interface()
	}
}

// told are the columns that an agent's word on row changes: Delays only if it
// has any.
func (row Session) told(columns ...string) []string {
	if row.Delays != nil {
		columns = append(columns, "delays")
	}
	return columns
}

// Add writes a new row. Errors: ErrQuota.
func (s Sessions) Add(ctx context.Context, by Entry, row Session) error {
	row.Organization = s.organization
	started, args := s.vacancy(QuotaSessions, 0, row.StartedAt)
	return s.changeAtOnce(ctx, s.organization, by, s.inOrderOf(QuotaSessions)+s.db.NewInsert().Model(&row).Value("started_at", started, args...).String())
}

// Get is the row with that id. Errors: ErrNotFound.
func (s Sessions) Get(ctx context.Context, id string) (Session, error) {
	var row Session
	return row, mapped(s.rows(s.db, &row).Where("id = ?", id).Scan(ctx))
}

// List are the visible rows with those ids, newest first.
func (s Sessions) List(ctx context.Context, v Visibility, ids ...string) ([]Session, error) {
	var rows []Session
	if len(ids) == 0 {
		return nil, nil
	}
	return rows, mapped(v.sessions(s.rows(s.db, &rows), s.owned).Where("id IN (?)", bun.List(ids)).
		Order("started_at DESC", "id DESC").Scan(ctx))
}

// Report saves the path, counts, codec, Delays, SeenAt and (the first time)
// ConnectedAt of row, found by its ID and ComputerID, and returns it as it is
// now. A row that was given up as Lost, and of which something was heard at since
// or later, runs again, unattended. Errors: ErrNotFound, ErrEnded.
func (s Sessions) Report(ctx context.Context, row Session, since int64) (now Session, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		r, err := s.update(tx, &row).Column(row.told("path", "bytes_sent", "bytes_received", "codec", "seen_at")...).
			Set("connected_at = CASE WHEN connected_at <> 0 THEN connected_at WHEN ? < started_at THEN started_at ELSE ? END", row.ConnectedAt, row.ConnectedAt).
			Set("unattended = CASE WHEN ended_at <> 0 THEN ? ELSE unattended END", true).
			Set("ended_at = 0").Set("end_reason = ''").Set("end_code = ''").Set("end_detail = ''").
			Where("id = ? AND computer_id = ?", row.ID, row.ComputerID).
			Where("ended_at = 0 OR end_reason = ? AND seen_at >= ?", Lost, since).Exec(ctx)
		if err == nil {
			err = changed(r, nil)
		}
		return s.after(ctx, tx, row, err, &now)
	})
	return now, err
}

// Kept is which sessions a computer says that it runs.
type Kept struct {
	ComputerID string
	IDs        []string
	Attended   []string // those of them that a tab is known to have; the others are not
	Since      int64    // what was heard of before runs no more
}

// Keep moves SeenAt of a computer's sessions, and lets those of them
// that were given up as Lost run again. It returns those that ran again, and
// those of the ids that have ended otherwise or are none of this computer's.
func (s Sessions) Keep(ctx context.Context, k Kept, now int64) (again, over []string, err error) {
	computer, ids := k.ComputerID, k.IDs
	if len(ids) == 0 {
		return nil, nil, nil
	}
	err = s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		err := s.update(tx, (*Session)(nil)).
			Set("ended_at = 0").Set("end_reason = ''").Set("end_code = ''").Set("end_detail = ''").
			Where("id IN (?) AND computer_id = ?", bun.List(ids), computer).
			Where("ended_at <> 0 AND end_reason = ? AND seen_at >= ?", Lost, k.Since).Returning("id").Scan(ctx, &again)
		if err != nil {
			return err
		}
		var running []string
		err = s.update(tx, (*Session)(nil)).Set("seen_at = ?", now).
			Where("id IN (?) AND computer_id = ? AND ended_at = 0", bun.List(ids), computer).
			Returning("id").Scan(ctx, &running)
		if err != nil {
			return err
		}
		// bun writes an empty list as NULL, of which nothing is known to be outside.
		unattended := s.update(tx, (*Session)(nil)).Set("unattended = ?", true).
			Where("id IN (?) AND computer_id = ? AND ended_at = 0", bun.List(ids), computer)
		if len(k.Attended) > 0 {
			unattended = unattended.Where("id NOT IN (?)", bun.List(k.Attended))
		}
		if _, err := unattended.Exec(ctx); err != nil {
			return err
		}
		have := make(map[string]bool, len(running))
		for _, id := range running {
			have[id] = true
		}
		for _, id := range ids {
			if !have[id] {
				over = append(over, id)
			}
		}
		return nil
	})
	return again, over, err
}

// running reads a row for a change, and keeps others from changing it meanwhile.
// Errors: ErrNotFound, ErrEnded.
func (s Sessions) running(ctx context.Context, tx bun.Tx, id string) (row Session, err error) {
	q := s.rows(tx, &row).Where("id = ?", id)
	if s.kind == PostgreSQL { // SQLite has one writer at a time
		q = q.For("UPDATE")
	}
	if err = q.Scan(ctx); err == nil && row.EndedAt != 0 {
		err = ErrEnded
	}
	return row, err
}

// Carry binds a running row to another sign-in. Errors: ErrNotFound,
// ErrEnded.
func (s Sessions) Carry(ctx context.Context, by Entry, id, signIn string) error {
	return s.change(ctx, s.organization, by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		row, err := s.running(ctx, tx, id)
		if err != nil {
			return err
		}
		if row.SignInID == signIn {
			return errUnchanged
		}
		*by = by.With("computer", row.ComputerID).With("sign_in_before", row.SignInID)
		row.SignInID = signIn
		_, err = s.update(tx, &row).Column("sign_in_id").Where("id = ?", id).Exec(ctx)
		return err
	})
}

// SetScopes notes what a running session may do from now on; add: beside what it may do
// already. What it could do before stays in Scopes. Errors: ErrNotFound, ErrEnded.
func (s Sessions) SetScopes(ctx context.Context, by Entry, id, scopes string, add bool) (now Session, err error) {
	err = s.change(ctx, s.organization, by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		if now, err = s.running(ctx, tx, id); err != nil {
			return err
		}
		wanted := scopes
		if add {
			wanted = strings.TrimSpace(now.ScopesNow + " " + without(scopes, now.ScopesNow))
		}
		added, taken := without(wanted, now.ScopesNow), without(now.ScopesNow, wanted)
		if added == "" && taken == "" {
			return errUnchanged
		}
		*by = by.With("computer", now.ComputerID).With("added", added).With("taken", taken)
		now.ScopesNow = wanted
		now.Scopes = strings.TrimSpace(now.Scopes + " " + without(wanted, now.Scopes))
		_, err := s.update(tx, &now).Column("scopes", "scopes_now").Where("id = ?", id).Exec(ctx)
		return err
	})
	return now, err
}

// without are the words of all that others do not have.
func without(all, others string) string {
	there := strings.Fields(others)
	return strings.Join(slices.DeleteFunc(strings.Fields(all), func(word string) bool { return slices.Contains(there, word) }), " ")
}

// Attend notes whether a tab has a running session. One that has ended is
// left as it is.
func (s Sessions) Attend(ctx context.Context, id string, attended bool) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := s.update(tx, (*Session)(nil)).Set("unattended = ?", !attended).
			Where("id = ? AND ended_at = 0 AND unattended = ?", id, attended).Exec(ctx)
		return err
	})
}

// End ends a running row: EndedAt and how it ended are taken from row.
// first is false when it had ended before, which is no error. Errors:
// ErrNotFound.
func (s Sessions) End(ctx context.Context, by Entry, row Session) (now Session, first bool, err error) {
	err = s.change(ctx, s.organization, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		r, err := s.update(tx, &row).Column("ended_at", "end_reason", "end_code", "end_detail").
			Where("id = ? AND ended_at = 0", row.ID).Exec(ctx)
		if err == nil {
			err = changed(r, nil)
		}
		first = err == nil
		row.ComputerID = ""
		if err = s.after(ctx, tx, row, err, &now); errors.Is(err, ErrEnded) {
			err = errUnchanged
		}
		return err
	})
	return now, first, err
}

// EndByAgent is End on the word of the computer named in row: it
// also corrects an end that was only assumed (Lost), and counts and Delays of a
// session that had ended otherwise. It is brought within what is known: not before
// the session began, and at most silence after it was heard of. Errors: ErrNotFound.
func (s Sessions) EndByAgent(ctx context.Context, by Entry, row Session, silence int64) (now Session, first bool, err error) {
	err = s.change(ctx, s.organization, by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		var known Session
		err := s.rows(tx, &known).Where("id = ? AND computer_id = ?", row.ID, row.ComputerID).Scan(ctx)
		if err != nil {
			return err
		}
		by.ActorName = known.ComputerName
		row.EndedAt = max(min(row.EndedAt, known.SeenAt+silence), known.StartedAt, known.ConnectedAt)
		err = changed(s.update(tx, &row).
			Column(row.told("ended_at", "end_reason", "end_code", "end_detail", "bytes_sent", "bytes_received", "seen_at")...).
			Where("id = ? AND computer_id = ?", row.ID, row.ComputerID).
			Where("ended_at = 0 OR end_reason = ?", Lost).Exec(ctx))
		if errors.Is(err, ErrNotFound) {
			return errUnchanged
		}
		first = err == nil
		return s.after(ctx, tx, row, err, &now)
	})
	if err != nil || first {
		return now, first && err == nil, err
	}
	err = s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := s.update(tx, &row).Column(row.told("bytes_sent", "bytes_received")...).
			Where("id = ? AND computer_id = ?", row.ID, row.ComputerID).
			Where("bytes_sent < ?", row.BytesSent).Exec(ctx)
		if err != nil {
			return err
		}
		return s.after(ctx, tx, row, nil, &now)
	})
	return now, false, err
}

// after reads the row that an update of row was meant for, and tells the one
// that has ended from the one that does not exist (for that computer).
func (s Sessions) after(ctx context.Context, tx bun.Tx, row Session, err error, now *Session) error {
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	q := s.rows(tx, now).Where("id = ?", row.ID)
	if row.ComputerID != "" {
		q = q.Where("computer_id = ?", row.ComputerID)
	}
	if serr := q.Scan(ctx); serr != nil {
		return serr
	}
	if err != nil {
		return ErrEnded
	}
	return nil
}

// Running says which sessions: those of a computer, of a sign-in, those that
// nothing was heard of since, those that never connected.
type Running struct {
	ComputerID  string
	SignInID    string
	OperatorID  string
	SeenBefore  int64  // 0: whenever
	Unconnected bool   // never connected
	Before      int64  // started before; 0: whenever
	CountedFor  string // a computer: all of its, but only attended ones of others; empty: all
	Except      []string
}

func (r Running) where(q *bun.SelectQuery) *bun.SelectQuery {
	q = q.Where("ended_at = 0")
	for _, eq := range []struct{ column, value string }{
		{"computer_id", r.ComputerID}, {"sign_in_id", r.SignInID}, {"operator_id", r.OperatorID},
	} {
		if eq.value != "" {
			q = q.Where("? = ?", bun.Ident(eq.column), eq.value)
		}
	}
	if r.SeenBefore != 0 {
		q = q.Where("seen_at < ?", r.SeenBefore)
	}
	if r.Unconnected {
		q = q.Where("connected_at = 0")
	}
	if r.Before != 0 {
		q = q.Where("started_at < ?", r.Before)
	}
	if r.CountedFor != "" {
		q = q.Where("unattended = ? OR computer_id = ?", false, r.CountedFor)
	}
	if len(r.Except) > 0 {
		q = q.Where("id NOT IN (?)", bun.List(r.Except))
	}
	return q
}

// Running are the running rows that r names.
func (s Sessions) Running(ctx context.Context, r Running) ([]Session, error) {
	var rows []Session
	return rows, mapped(r.where(s.rows(s.db, &rows)).Order("started_at", "id").Scan(ctx))
}

// Operators are the names of those in a running, connected session, by
// computer; of all computers without ids.
func (s Sessions) Operators(ctx context.Context, computers ...string) (map[string][]string, error) {
	var rows []Session
	q := s.rows(s.db, &rows).Column("computer_id", "operator_name").
		Where("ended_at = 0 AND connected_at <> 0").Order("started_at", "id")
	if len(computers) > 0 {
		q = q.Where("computer_id IN (?)", bun.List(computers))
	}
	if err := q.Scan(ctx); err != nil {
		return nil, mapped(err)
	}
	all := make(map[string][]string)
	for _, r := range rows {
		all[r.ComputerID] = append(all[r.ComputerID], r.OperatorName)
	}
	return all, nil
}

// SessionFilter says which rows of the journal; its zero value means all.
type SessionFilter struct {
	ComputerID string
	OperatorID string
	Running    *bool
	// Words that the computer's or the operator's name must have, each; letters
	// beyond ASCII in their own case.
	Words       string
	OldestFirst bool
	// Rows after this one in the order of the journal; 0 and "": from the top. A place, not a count: rows that arrive do not move it.
	AfterStarted int64
	AfterID      string
}

// like is a pattern of a text that has the word.
func like(word string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(strings.ToLower(word)) + "%"
}

// Page is at most limit rows of visible computers, newest first unless f says otherwise.
func (s Sessions) Page(ctx context.Context, v Visibility, f SessionFilter, limit int64) ([]Session, error) {
	var rows []Session
	q, after := v.sessions(s.rows(s.db, &rows).Limit(limit), s.owned), ""
	if f.OldestFirst {
		q, after = q.Order("started_at", "id"), "(started_at, id) > (?, ?)"
	} else {
		q, after = q.Order("started_at DESC", "id DESC"), "(started_at, id) < (?, ?)"
	}
	for _, word := range strings.Fields(f.Words) {
		q = q.Where(`LOWER(computer_name || ' ' || operator_name) LIKE ? ESCAPE '\'`, like(word))
	}
	if f.ComputerID != "" {
		q = q.Where("computer_id = ?", f.ComputerID)
	}
	if f.OperatorID != "" {
		q = q.Where("operator_id = ?", f.OperatorID)
	}
	if f.Running != nil && *f.Running {
		q = q.Where("ended_at = 0")
	} else if f.Running != nil {
		q = q.Where("ended_at <> 0")
	}
	if f.AfterID != "" {
		q = q.Where(after, f.AfterStarted, f.AfterID)
	}
	return rows, mapped(q.Scan(ctx))
}
