package store

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/uptrace/bun"
	"modernc.org/sqlite"
)

// # Chain
//
// An entry's digest is the SHA-256, in hexadecimal, of its texts in the order of
// Link.texts, each as a netstring ("5:hello,"). Its hash is that of
//
//	HASH OF THE ENTRY BEFORE:SEQUENCE:DIGEST
//
// in which the first entry of all has nothing before the first colon. The database
// computes it while it holds the row of audit_heads, where the hash before is, so that
// a change with its entry stays one trip (PostgreSQL has sha256, SQLite is given it).
// Reading the hash first would be one more trip of every change; chaining a moment
// later would leave what is not chained yet open to whoever can write.
//
// A Seal is signed by the relay now and then, and says how far the audit went, and
// after which entry it begins since old ones were swept. Who can write to the
// database, and no more, can append entries, and rewrite those that are not sealed
// yet. What package audit does about it is said there.

// sqliteHash is what SQLite is given.
const sqliteHash = "sha256_hex"

func init() {
	sqlite.MustRegisterDeterministicScalarFunction(sqliteHash, 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		text, ok := args[0].(string)
		if !ok {
			return nil, fmt.Errorf("%s of %T, want text", sqliteHash, args[0])
		}
		return hexHash(text), nil
	})
}

func hexHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// hashOf is the SQL for the hash of an SQL text.
func (s *database) hashOf(text string) string {
	if s.kind == PostgreSQL {
		return "encode(sha256(convert_to(" + text + ", 'UTF8')), 'hex')"
	}
	return sqliteHash + "(" + text + ")"
}

// Link is an entry in the chain, as the database has it.
type Link struct {
	bun.BaseModel `bun:"table:audit"`

	Sequence int64
	Hash     string
	// The texts of the digest, in its order. They are read as texts, so that one
	// that somebody made nonsense is a broken link and no error.
	Organization, At, ActorKind, ActorID, ActorName, SignInID, Address string
	Action, ObjectKind, ObjectID, Outcome, Details                     string
}

func (l *Link) texts() []*string {
	return []*string{&l.Organization, &l.At, &l.ActorKind, &l.ActorID, &l.ActorName, &l.SignInID, &l.Address,
		&l.Action, &l.ObjectKind, &l.ObjectID, &l.Outcome, &l.Details}
}

// digest is that of all texts.
func (l Link) digest() string {
	var b strings.Builder
	for _, text := range l.texts() {
		b.WriteString(strconv.Itoa(len(*text)))
		b.WriteByte(':')
		b.WriteString(*text)
		b.WriteByte(',')
	}
	return hexHash(b.String())
}

// After is the hash that l has to have after an entry of that hash.
func (l Link) After(before string) string { return chained(before, l.Sequence, l.digest()) }

func chained(before string, sequence int64, digest string) string {
	return hexHash(before + ":" + strconv.FormatInt(sequence, 10) + ":" + digest)
}

// link is e as the database will have it: without what it cannot keep.
func (e Entry) link() (Link, error) {
	details := Details{}
	for name, value := range e.Details {
		details[keepable(name)] = keepable(value)
	}
	text, err := json.Marshal(details)
	if err != nil {
		return Link{}, fmt.Errorf("entry of the audit: %w", err)
	}
	l := Link{Organization: string(e.Organization), At: strconv.FormatInt(e.At, 10), ActorKind: e.ActorKind, ActorID: e.ActorID, ActorName: e.ActorName,
		SignInID: e.SignInID, Address: e.Address, Action: e.Action, ObjectKind: e.ObjectKind, ObjectID: e.ObjectID, Outcome: e.Outcome, Details: string(text)}
	for _, text := range l.texts() {
		*text = keepable(*text)
	}
	return l, nil
}

// keepable is text that both databases keep as it is: what is no UTF-8 is U+FFFD.
func keepable(text string) string { return storable(string([]rune(text))) }

// Links are at most limit entries that follow the one of that number, in order.
func (s Audit) Links(ctx context.Context, sequence, limit int64) ([]Link, error) {
	var all []Link
	return all, mapped(links(s.rows(s.db, &all), sequence, limit).Scan(ctx))
}

func links(q *bun.SelectQuery, sequence, limit int64) *bun.SelectQuery {
	q = q.Column("sequence", "hash", "organization")
	for _, column := range []string{"at", "actor_kind", "actor_id", "actor_name", "sign_in_id", "address",
		"action", "object_kind", "object_id", "outcome", "details"} {
		q = q.ColumnExpr("CAST(?TableAlias.? AS TEXT) AS ?", bun.Ident(column), bun.Ident(column))
	}
	return q.Where("sequence > ?", sequence).Order("sequence").Limit(limit)
}

// Head is the newest entry of an organization's audit; its zero value: there is none.
type Head struct {
	bun.BaseModel `bun:"table:audit_heads"`

	Organization OrganizationID `bun:",pk"`
	Sequence     int64
	Hash         string
}

// Head of the audit.
func (s Audit) Head(ctx context.Context) (Head, error) {
	var all []Head
	err := mapped(s.rows(s.db, &all).Scan(ctx))
	if err != nil || len(all) == 0 {
		return Head{Organization: s.organization}, err
	}
	return all[0], nil
}

// Seal is the relay's word on an organization's audit: what is in it follows the
// entry Base, which was swept with all before it, and went up to Sequence when it
// was signed.
type Seal struct {
	bun.BaseModel `bun:"table:audit_seals"`

	Organization OrganizationID `bun:",pk"`
	Base         int64          // 0: nothing was swept
	BaseHash     string
	Sequence     int64
	Hash         string
	SignedAt     int64
	Key          []byte // of the relay
	Signature    []byte
}

// Seal of the audit. Errors: ErrNotFound.
func (s Audit) Seal(ctx context.Context) (Seal, error) {
	var seal Seal
	return seal, mapped(s.rows(s.db, &seal).Scan(ctx))
}

// PutSeal puts seal in the place of the one before, which has no Sequence when there
// was none, and forgets the entries up to its Base. Errors: ErrConflict when there
// is another one by now.
func (s Audit) PutSeal(ctx context.Context, seal, before Seal) (swept int64, err error) {
	seal.Organization = s.organization
	err = s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		r, err := tx.NewInsert().Model(&seal).On("CONFLICT (organization) DO UPDATE").
			Set("base = EXCLUDED.base, base_hash = EXCLUDED.base_hash, sequence = EXCLUDED.sequence, hash = EXCLUDED.hash").
			Set("signed_at = EXCLUDED.signed_at, key = EXCLUDED.key, signature = EXCLUDED.signature").
			Where("seal.base = ? AND seal.sequence = ? AND seal.hash = ?", before.Base, before.Sequence, before.Hash).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return conflictIf(n == 0, err)
		}
		if seal.Base == before.Base {
			return nil
		}
		r, err = s.remove(tx, (*Entry)(nil)).Where("sequence <= ?", seal.Base).Exec(ctx)
		if err == nil {
			swept, err = r.RowsAffected()
		}
		return err
	})
	return swept, err
}

// Expired is the newest entry of those at the beginning of the audit that all are
// older than that; the zero Link when there is none.
func (s Audit) Expired(ctx context.Context, before int64) (Link, error) {
	first := s.rows(s.db, (*Entry)(nil)).ColumnExpr("MIN(sequence)").Where("at >= ?", before)
	var all []Link
	err := s.rows(s.db, &all).Column("sequence", "hash", "organization").Where("at < ?", before).
		Where("sequence < COALESCE((?), ?)", first, int64(1)<<62).Order("sequence DESC").Limit(1).Scan(ctx)
	if err != nil || len(all) == 0 {
		return Link{}, mapped(err)
	}
	return all[0], nil
}

// Sealing is how far an organization's audit goes, and how far it is sealed.
type Sealing struct {
	Organization OrganizationID
	Sequence     int64
	Hash         string
	Sealed       int64 // 0: not at all
	SealedHash   string
}

// Sealings are those of all organizations that have an audit.
func (s Upkeep) Sealings(ctx context.Context) ([]Sealing, error) {
	var all []Sealing
	err := s.db.NewSelect().TableExpr("audit_heads AS head").Column("head.organization", "head.sequence", "head.hash").
		ColumnExpr("COALESCE(seal.sequence, 0) AS sealed").ColumnExpr("COALESCE(seal.hash, '') AS sealed_hash").
		Join("LEFT JOIN audit_seals AS seal ON seal.organization = head.organization").
		Order("head.organization").Scan(ctx, &all)
	return all, mapped(err)
}

// Audited are the organizations of which anything of an audit is there.
func (s Upkeep) Audited(ctx context.Context) ([]OrganizationID, error) {
	var all []OrganizationID
	err := s.db.NewRaw("SELECT organization FROM audit_heads UNION SELECT organization FROM audit_seals UNION SELECT organization FROM audit ORDER BY 1").
		Scan(ctx, &all)
	return all, mapped(err)
}
