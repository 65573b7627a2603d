package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// States of a Mail.
const (
	MailQueued  = "queued"
	MailSent    = "sent"
	MailFailed  = "failed"  // given up
	MailBounced = "bounced" // the mail server refused it for good
)

// Bounds of mails.
const (
	MaxMailsQueued    = 2000 // of an organization
	MaxMailsRecipient = 20   // made for one address in MailsRecipientIn
	MailsRecipientIn  = time.Hour
	maxMailData       = 16 << 10
)

// Mail is a message to one address. Package mail makes them; an Entry carries them to
// the change that they are about (Sending).
type Mail struct {
	bun.BaseModel `bun:"table:mails"`

	ID           string `bun:",pk"`
	Organization OrganizationID
	Recipient    string
	Kind         string
	Language     string
	Data         []byte // sealed in the database; empty once the mail waits no longer
	SealedBy     string // id of the sealing key; empty: Data is plain
	State        string
	Attempts     int64
	NextAt       int64
	Holder       string // run of the node that sends it
	HeldUntil    int64
	LastError    string
	CreatedAt    int64
	SentAt       int64 // 0: it was not
}

// Sending is e with mails that are queued with its change, or not at all.
func (e Entry) Sending(mails ...Mail) Entry {
	e.mails = append(e.mails[:len(e.mails):len(e.mails)], mails...)
	return e
}

// sealedAs is the name under which the sealing key closes a mail's data.
func (m Mail) sealedAs() string { return "mail " + m.ID }

// queueing is the SQL that queues m. What is too much for its recipient or its
// organization is there as failed: the change goes on, and an admin sees why.
func (s *database) queueing(m Mail) (string, error) {
	if m.ID == "" || m.Recipient == "" || m.Kind == "" || m.CreatedAt == 0 || len(m.Data) > maxMailData {
		return "", fmt.Errorf("mail %s is not complete, or too large", m.Kind)
	}
	m.State, m.NextAt = MailQueued, m.CreatedAt
	if s.seal != nil {
		m.Data, m.SealedBy = s.seal.Seal(m.sealedAs(), m.Data), s.seal.ID()
	}
	f := s.db.QueryGen()
	row := f.FormatQuery("INSERT INTO mails (id, organization, recipient, kind, language, data, sealed_by, state, attempts, next_at, holder, "+
		"held_until, last_error, created_at, sent_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, '', 0, '', ?, 0)",
		m.ID, m.Organization, m.Recipient, m.Kind, m.Language, m.Data, m.SealedBy, m.State, m.NextAt, m.CreatedAt)
	var bounds []string
	for _, bound := range []struct{ where, sentence string }{
		{f.FormatQuery("SELECT count(*) > ? FROM mails WHERE LOWER(recipient) = LOWER(?) AND created_at > ?",
			MaxMailsRecipient, m.Recipient, m.CreatedAt-MailsRecipientIn.Milliseconds()), "too many mails were made for this address within an hour"},
		{f.FormatQuery("SELECT count(*) > ? FROM mails WHERE organization = ? AND state = ?",
			MaxMailsQueued, m.Organization, MailQueued), "too many mails of this organization wait"},
	} {
		bounds = append(bounds, f.FormatQuery("UPDATE mails SET state = ?, data = ?, last_error = ? WHERE id = ? AND state = ? AND (", MailFailed, []byte{}, bound.sentence, m.ID, MailQueued)+
			bound.where+")")
	}
	all := s.wholeRelay("a recipient's mails are counted in all organizations").db
	return row + "; " + all.text(strings.Join(bounds, "; "), s.db.scope), nil
}

// OnMail has fn called after each commit that queued a mail. It must not block.
func (s *Store) OnMail(fn func()) { s.mailed.Store(&fn) }

// Claim has holder send the mail that is due for the longest, for so long. Nobody
// else gets it meanwhile. Errors: ErrNotFound when none is due.
func (s Outbox) Claim(ctx context.Context, holder string, now int64, lifetime time.Duration) (m Mail, err error) {
	lock := ""
	if s.kind == PostgreSQL {
		lock = " FOR UPDATE SKIP LOCKED" // two nodes take two mails
	}
	err = s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		return tx.NewRaw("UPDATE mails SET holder = ?, held_until = "+s.clock()+" + ?, attempts = attempts + 1 WHERE id = ("+
			"SELECT id FROM mails WHERE state = ? AND next_at <= ? AND held_until <= "+s.clock()+" ORDER BY next_at, id LIMIT 1"+lock+
			") RETURNING *", holder, lifetime.Milliseconds(), MailQueued, now).Scan(ctx, &m)
	})
	return m, mapped(err)
}

// Opened is the data of a mail that was claimed.
func (s Outbox) Opened(m Mail) ([]byte, error) {
	return opened(s.seal, secret{Name: m.sealedAs(), Value: m.Data, SealedBy: m.SealedBy})
}

// Sent notes that holder sent the mail; what it said is forgotten. Errors: ErrNotFound
// when another has it meanwhile.
func (s Outbox) Sent(ctx context.Context, holder, id string, now int64) error {
	return s.done(ctx, holder, id, MailSent, "", now)
}

// End notes that the mail is not sent: state is MailFailed or MailBounced. Errors as Sent.
func (s Outbox) End(ctx context.Context, holder, id, state, why string) error {
	return s.done(ctx, holder, id, state, why, 0)
}

func (s Outbox) done(ctx context.Context, holder, id, state, why string, sent int64) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		return changed(tx.NewUpdate().Model((*Mail)(nil)).Set("state = ?", state).Set("data = ?", []byte{}).Set("sealed_by = ''").
			Set("last_error = ?", why).Set("sent_at = ?", sent).Set("held_until = 0").
			Where("id = ? AND holder = ? AND state = ?", id, holder, MailQueued).Exec(ctx))
	})
}

// Retry has the mail tried again from then on. Errors as Sent.
func (s Outbox) Retry(ctx context.Context, holder, id, why string, next int64) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		return changed(tx.NewUpdate().Model((*Mail)(nil)).Set("last_error = ?", why).Set("next_at = ?", next).Set("held_until = 0").
			Where("id = ? AND holder = ? AND state = ?", id, holder, MailQueued).Exec(ctx))
	})
}

// GiveUp ends what was queued before then and nobody sends now.
func (s Outbox) GiveUp(ctx context.Context, before int64, why string) (n int64, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		r, err := tx.NewUpdate().Model((*Mail)(nil)).Set("state = ?", MailFailed).Set("data = ?", []byte{}).Set("sealed_by = ''").
			Set("last_error = CASE last_error WHEN '' THEN ? ELSE last_error END", why).
			Where("state = ? AND created_at < ? AND held_until <= "+s.clock(), MailQueued, before).Exec(ctx)
		if err == nil {
			n, err = r.RowsAffected()
		}
		return err
	})
	return n, err
}

// Sweep forgets mails that were made before then.
func (s Outbox) Sweep(ctx context.Context, before int64) (n int64, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		r, err := tx.NewDelete().Model((*Mail)(nil)).Where("created_at < ?", before).Exec(ctx)
		if err == nil {
			n, err = r.RowsAffected()
		}
		return err
	})
	return n, err
}

// MailFilter says which mails; its zero value means all.
type MailFilter struct {
	State       string // empty: any
	Words       string // that the recipient must have, each
	OldestFirst bool
	// Mails after this one in the order of the list; 0 and "": from the top.
	AfterCreated int64
	AfterID      string
}

// Page is at most limit mails without their data, newest first unless f says otherwise.
func (s Mails) Page(ctx context.Context, f MailFilter, limit int64) ([]Mail, error) {
	var all []Mail
	q, after := s.rows(s.db, &all).ExcludeColumn("data").Limit(limit), ""
	if f.OldestFirst {
		q, after = q.Order("created_at", "id"), "(created_at, id) > (?, ?)"
	} else {
		q, after = q.Order("created_at DESC", "id DESC"), "(created_at, id) < (?, ?)"
	}
	if f.State != "" {
		q = q.Where("state = ?", f.State)
	}
	for _, word := range strings.Fields(f.Words) {
		q = q.Where(`LOWER(recipient) LIKE ? ESCAPE '\'`, like(word))
	}
	if f.AfterID != "" {
		q = q.Where(after, f.AfterCreated, f.AfterID)
	}
	return all, mapped(q.Scan(ctx))
}
