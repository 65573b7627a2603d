package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// Outcomes of an Entry.
const (
	Done    = "done"
	Refused = "refused"
)

// Entry is who did what to what. Package audit makes them; the change that one is
// about writes it, in its own transaction.
type Entry struct {
	bun.BaseModel `bun:"table:audit"`

	Organization OrganizationID `bun:",pk"`
	Sequence     int64          `bun:",pk"` // within the organization, without gaps
	At           int64
	ActorKind    string
	ActorID      string
	ActorName    string
	SignInID     string
	Address      string
	Action       string
	ObjectKind   string
	ObjectID     string
	Outcome      string
	Details      Details
	Hash         string // of it and all before it, see Link; written by the database

	mails []Mail // queued with it
}

// Details are few and small.
type Details map[string]string

// Bounds of an Entry.
const (
	maxEntryText = 256      // bytes of each text
	maxWhole     = 16 << 10 // bytes of a detail of whole
	maxDetails   = 8
)

// whole are the details that the relay wrote itself, of what it had validated. Cut, they
// would not say what changed.
var whole = map[string]bool{"settings": true, "settings_before": true, "permissions": true, "permissions_before": true,
	"staff_domains_added": true, "staff_domains_removed": true}

// MaxDetail is how many bytes a detail of that name may have.
func MaxDetail(name string) int {
	if whole[name] {
		return maxWhole
	}
	return maxEntryText
}

// With is e with one more detail.
func (e Entry) With(name, value string) Entry {
	more := Details{name: value}
	for k, v := range e.Details {
		more[k] = v
	}
	e.Details = more
	return e
}

// of is the organization that e names, or else the first: whose audit records a change
// of what no organization owns.
func (e Entry) of() OrganizationID {
	if e.Organization == "" {
		return FirstOrganization
	}
	return e.Organization
}

// bounded says what is too large. The text was cut where it came in.
func (e Entry) bounded() error {
	texts := []string{e.ActorKind, e.ActorID, e.ActorName, e.SignInID, e.Address, e.Action, e.ObjectKind, e.ObjectID, e.Outcome}
	for name, value := range e.Details {
		texts = append(texts, name)
		if len(value) > MaxDetail(name) {
			return fmt.Errorf("entry %s of the audit: its %.64q has %d bytes", e.Action, name, len(value))
		}
	}
	for _, text := range texts {
		if len(text) > maxEntryText {
			return fmt.Errorf("entry %s of the audit: %.64q has %d bytes", e.Action, text, len(text))
		}
	}
	if e.Action == "" || e.Outcome == "" || e.ActorKind == "" || len(e.Details) > maxDetails {
		return fmt.Errorf("entry %q of the audit is not complete, or has too many details", e.Action)
	}
	return nil
}

// errUnchanged ends a change that changes nothing, and leaves no entry.
var errUnchanged = errors.New("nothing changes")

// change is tx for what the audit of an organization records: e is written with what
// fn does, or neither. fn may add to e. errUnchanged of fn takes it back, and is
// no error of change.
func (s *database) change(ctx context.Context, o OrganizationID, e Entry, fn func(ctx context.Context, tx bun.Tx, e *Entry) error) error {
	e.Organization = o
	if s.db.scope == noOrganization { // the entry is a row of an organization
		s = s.within(o)
	}
	err := s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := fn(ctx, tx, &e); err != nil {
			return err
		}
		text, err := s.recording(e)
		if err == nil {
			// Last, because who writes for the same organization waits from here.
			_, err = tx.ExecContext(ctx, text)
		}
		return err
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if err == nil {
		s.announce(e)
	}
	return s.owned(e.Organization).explained(ctx, err)
}

// changeAtOnce is change where text is all of it, and needs no look before: with its
// entry it is one trip to the database.
func (s *database) changeAtOnce(ctx context.Context, o OrganizationID, e Entry, text string) error {
	e.Organization = o
	if s.db.scope == noOrganization {
		s = s.within(o)
	}
	entry, err := s.recording(e)
	if err != nil {
		return err
	}
	err = s.inLine(ctx, func() error { return s.together(ctx, text+"; "+entry) })
	if err == nil {
		s.announce(e)
		err = mapped(s.log.wait())
	}
	return s.owned(o).explained(ctx, err)
}

// together runs the statements of text in a transaction of their own.
func (s *database) together(ctx context.Context, text string) error {
	if s.kind == PostgreSQL { // for which what comes as one message is one
		_, err := s.db.ExecContext(ctx, text)
		return err
	}
	conn, err := s.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.ExecContext(ctx, "BEGIN IMMEDIATE; "+text+"; COMMIT")
	if err != nil {
		// It may be in the middle: closed, it takes back what was not committed.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	return err
}

// recording is the SQL that writes e and queues its mails: it takes the next number
// and the hash before, and holds both until the transaction ends. It is one round trip.
func (s *database) recording(e Entry) (string, error) {
	if err := e.bounded(); err != nil {
		return "", err
	}
	if e.At == 0 {
		e.At = time.Now().UnixMilli()
	}
	l, err := e.link()
	if err != nil {
		return "", err
	}
	digest, f := l.digest(), s.db.QueryGen()
	next := f.FormatQuery("INSERT INTO audit_heads (organization, sequence, hash) VALUES (?, 1, ?) "+
		"ON CONFLICT (organization) DO UPDATE SET sequence = audit_heads.sequence + 1, hash = "+
		s.hashOf("audit_heads.hash || ':' || (audit_heads.sequence + 1) || ?"), l.Organization, chained("", 1, digest), ":"+digest)
	row := f.FormatQuery("INSERT INTO audit (organization, sequence, hash, at, actor_kind, actor_id, actor_name, sign_in_id, address, "+
		"action, object_kind, object_id, outcome, details) SELECT organization, sequence, hash, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? "+
		"FROM audit_heads WHERE organization = ?", e.At, l.ActorKind, l.ActorID, l.ActorName, l.SignInID, l.Address,
		l.Action, l.ObjectKind, l.ObjectID, l.Outcome, l.Details, l.Organization)
	text := next + "; " + row
	for _, m := range e.mails {
		m.Organization = e.Organization
		queued, err := s.queueing(m)
		if err != nil {
			return "", err
		}
		text = queued + "; " + text
	}
	return text, nil
}

// announce says that an organization's audit has grown, and that mails wait.
func (s *database) announce(e Entry) {
	if fn := s.recorded.Load(); fn != nil {
		(*fn)(e.Organization)
	}
	if fn := s.mailed.Load(); fn != nil && len(e.mails) > 0 {
		(*fn)()
	}
}

// OnEntry has fn called after each commit that wrote an entry. It must not block.
func (s *Store) OnEntry(fn func(OrganizationID)) { s.recorded.Store(&fn) }

// Record writes an entry that is about no change, such as a refusal.
func (s Audit) Record(ctx context.Context, e Entry) error {
	return s.change(ctx, s.organization, e, func(context.Context, bun.Tx, *Entry) error { return nil })
}

// After are at most limit entries that follow the one of that number, in order.
func (s Audit) After(ctx context.Context, sequence, limit int64) ([]Entry, error) {
	var all []Entry
	return all, mapped(s.rows(s.db, &all).Where("sequence > ?", sequence).Order("sequence").Limit(limit).Scan(ctx))
}

// AuditFilter says which entries; its zero value means all.
type AuditFilter struct {
	ActorKind  string
	ActorID    string
	Action     string
	ObjectKind string
	ObjectID   string
	Outcome    string
	From       int64 // not before; 0: whenever
	Until      int64 // before; 0: whenever
	// Words that the names and ids of the actor and the object, the address or the
	// details must have, each.
	Words       string
	OldestFirst bool
	After       int64 // entries that follow the one of that number in the order asked for; 0: from the beginning
}

// Page is at most limit entries that f names.
func (s Audit) Page(ctx context.Context, f AuditFilter, limit int64) ([]Entry, error) {
	var all []Entry
	q := s.rows(s.db, &all).Limit(limit)
	for _, eq := range []struct{ column, value string }{
		{"actor_kind", f.ActorKind}, {"actor_id", f.ActorID}, {"action", f.Action}, {"object_kind", f.ObjectKind}, {"object_id", f.ObjectID}, {"outcome", f.Outcome},
	} {
		if eq.value != "" {
			q = q.Where("? = ?", bun.Ident(eq.column), eq.value)
		}
	}
	if f.From != 0 {
		q = q.Where("at >= ?", f.From)
	}
	if f.Until != 0 {
		q = q.Where("at < ?", f.Until)
	}
	for _, word := range strings.Fields(f.Words) {
		q = q.Where(`LOWER(actor_name || ' ' || actor_id || ' ' || address || ' ' || object_id || ' ' || details) LIKE ? ESCAPE '\'`, like(word))
	}
	switch {
	case f.OldestFirst:
		q = q.Where("sequence > ?", f.After).Order("sequence")
	case f.After != 0:
		q = q.Where("sequence < ?", f.After).Order("sequence DESC")
	default:
		q = q.Order("sequence DESC")
	}
	return all, mapped(q.Scan(ctx))
}

type auditReader struct {
	bun.BaseModel `bun:"table:audit_readers"`

	Organization OrganizationID `bun:",pk"`
	Name         string         `bun:",pk"`
	Sequence     int64
	Holder       string
	HeldUntil    int64
}

// Claim has holder read for the reader of that name, for so long, if nobody else
// does. It returns how far the reader has come. Errors: ErrConflict when somebody
// else reads.
func (s Audit) Claim(ctx context.Context, reader, holder string, lifetime time.Duration) (sequence int64, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		row := auditReader{Organization: s.organization, Name: reader, Holder: holder}
		var at []int64
		err := tx.NewInsert().Model(&row).Value("held_until", s.clock()+" + ?", lifetime.Milliseconds()).
			On("CONFLICT (organization, name) DO UPDATE").Set("holder = EXCLUDED.holder").Set("held_until = EXCLUDED.held_until").
			Where("audit_reader.holder = EXCLUDED.holder OR audit_reader.held_until <= "+s.clock()).
			Returning("sequence").Scan(ctx, &at)
		if err == nil && len(at) == 0 {
			return ErrConflict
		}
		if err == nil {
			sequence = at[0]
		}
		return err
	})
	return sequence, err
}

// Advance notes how far a reader has come. Errors: ErrConflict when holder does not
// read for it any more.
func (s Audit) Advance(ctx context.Context, reader, holder string, sequence int64) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		err := changed(s.update(tx, (*auditReader)(nil)).Set("sequence = ?", sequence).
			Where("name = ? AND holder = ? AND held_until > "+s.clock(), reader, holder).Exec(ctx))
		if errors.Is(err, ErrNotFound) {
			return ErrConflict
		}
		return err
	})
}

// Release lets somebody else read for the reader at once.
func (s Audit) Release(ctx context.Context, reader, holder string) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := s.update(tx, (*auditReader)(nil)).Set("held_until = 0").Where("name = ? AND holder = ?", reader, holder).Exec(ctx)
		return err
	})
}
