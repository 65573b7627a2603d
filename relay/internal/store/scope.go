package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
)

// # Row-level security
//
// Every query of an organization's handle names the organization. On PostgreSQL a
// policy of each table with a column organization is a second wall behind that: a
// statement sees, changes and adds rows of the organization in the setting
// oriel.organization only, and none without one.
//
// A handle has a scope, and each of its statements and transactions goes to the
// database with it, in the same message (secured.go): a connection by itself has
// none. An organization's handle has that organization's. wholeRelay is the door to
// the scope of all, for what no organization does; rowsecurity_test.go lists its uses.
//
// The wall is against a forgotten condition. It is none against who can write SQL of
// their own, who can set the setting as well, nor against a superuser or a role with
// BYPASSRLS (Unbound).

// scope is whose rows statements reach on PostgreSQL: an organization's id, or one of
// the words below.
type scope string

const (
	noOrganization   scope = "" // rows of tables without an organization only
	allOrganizations scope = "*"
)

// database is what a handle has of the store: all of it, in a scope.
type database struct {
	*engine
	db scoped
}

func (e *engine) in(s scope) *database { return &database{e, scoped{e.pool, s}} }

// within is the store for rows of that organization.
func (e *engine) within(o OrganizationID) *database {
	if scope(o) == allOrganizations { // an id that nobody has, whoever wrote it
		return e.in(noOrganization)
	}
	return e.in(scope(o))
}

// wholeRelay is the store for rows of all organizations, and why they are needed.
func (e *engine) wholeRelay(string) *database { return e.in(allOrganizations) }

// scoped is the pool of connections for one scope: its queries, and those of the
// transactions that it begins, are in it.
type scoped struct {
	*bun.DB
	scope scope
}

type scopeKey struct{}

// within is ctx that tells secured connections the scope.
func (s scope) within(ctx context.Context) context.Context {
	if s == noOrganization {
		return ctx
	}
	return context.WithValue(ctx, scopeKey{}, s)
}

func (s scoped) conn() bun.IConn { return inScope{s.DB.DB, s.scope} }

func (s scoped) NewSelect() *bun.SelectQuery { return s.DB.NewSelect().Conn(s.conn()) }
func (s scoped) NewInsert() *bun.InsertQuery { return s.DB.NewInsert().Conn(s.conn()) }
func (s scoped) NewUpdate() *bun.UpdateQuery { return s.DB.NewUpdate().Conn(s.conn()) }
func (s scoped) NewDelete() *bun.DeleteQuery { return s.DB.NewDelete().Conn(s.conn()) }
func (s scoped) NewMerge() *bun.MergeQuery   { return s.DB.NewMerge().Conn(s.conn()) }
func (s scoped) NewValues(model any) *bun.ValuesQuery {
	return s.DB.NewValues(model).Conn(s.conn())
}

func (s scoped) NewRaw(query string, args ...any) *bun.RawQuery {
	return s.DB.NewRaw(query, args...).Conn(s.conn())
}

func (s scoped) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return s.DB.ExecContext(s.scope.within(ctx), query, args...)
}

func (s scoped) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.DB.QueryContext(s.scope.within(ctx), query, args...)
}

func (s scoped) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return s.DB.QueryRowContext(s.scope.within(ctx), query, args...)
}

func (s scoped) BeginTx(ctx context.Context, o *sql.TxOptions) (bun.Tx, error) {
	return s.DB.BeginTx(s.scope.within(ctx), o)
}

func (s scoped) RunInTx(ctx context.Context, o *sql.TxOptions, fn func(ctx context.Context, tx bun.Tx) error) error {
	// fn's statements get ctx as it was: the transaction has the scope.
	return s.DB.RunInTx(s.scope.within(ctx), o, func(_ context.Context, tx bun.Tx) error { return fn(ctx, tx) })
}

// on is a transaction of any scope for single statements in this one: a query's Conn.
func (s scoped) on(tx bun.Tx) bun.IConn { return inScope{tx.Tx, s.scope} }

// text is SQL that runs in this scope, as a part of a message in another.
func (s scoped) text(sql string, around scope) string {
	if s.DB.Dialect().Name() != dialect.PG {
		return sql
	}
	return s.scope.set() + "; " + sql + "; " + around.set()
}

// inScope is a connection, pool or transaction for queries in a scope.
type inScope struct {
	conn  bun.IConn
	scope scope
}

func (c inScope) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return c.conn.ExecContext(c.scope.within(ctx), query, args...)
}

func (c inScope) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return c.conn.QueryContext(c.scope.within(ctx), query, args...)
}

func (c inScope) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return c.conn.QueryRowContext(c.scope.within(ctx), query, args...)
}

// Unbound says what to do where row-level security does not hold the relay's role to the
// rows of one organization; empty: it does, or the database is SQLite, which has none.
func (s *Store) Unbound(ctx context.Context) (string, error) {
	if s.kind != PostgreSQL {
		return "", nil
	}
	var role string
	err := mapped(s.db.NewRaw("SELECT rolname FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)").Scan(ctx, &role))
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return fmt.Sprintf("PostgreSQL's row-level security, the second wall between organizations, does not apply to the role %q, "+
		"which is a superuser or has BYPASSRLS; make a role of the relay's own (CREATE ROLE … LOGIN), give it the database "+
		"and the relay's tables (ALTER … OWNER TO …), and name it in the setting database", role), err
}
