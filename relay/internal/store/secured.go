package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
)

// securing opens connections to PostgreSQL that run each statement in the scope of its
// context, or else in the scope here. The scope travels in the statement's message and
// ends with it, so that it costs no round trip, that a connection in the pool has none,
// and that PgBouncer may hand it to others between transactions.
type securing struct {
	driver.Connector
	otherwise scope
}

// Connect is for database/sql.
func (s securing) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &secured{Conn: c.(*stdlib.Conn), otherwise: s.otherwise}, nil
}

// secured is one connection; database/sql uses it for one thing at a time.
type secured struct {
	*stdlib.Conn
	otherwise scope
	tx        scope // of the transaction that runs
}

// set is the statement that begins a scope, until the transaction ends.
func (s scope) set() string {
	return "SET LOCAL oriel.organization = '" + strings.ReplaceAll(storable(string(s)), "'", "''") + "'"
}

// scope of a statement; set is false where it has it already.
func (c *secured) scope(ctx context.Context) (s scope, set bool) {
	s, ok := ctx.Value(scopeKey{}).(scope)
	if c.inTx() {
		return s, ok && s != c.tx
	}
	if !ok {
		s = c.otherwise
	}
	return s, s != noOrganization
}

func (c *secured) inTx() bool { return c.Conn.Conn().PgConn().TxStatus() != 'I' }

// BeginTx is for database/sql.
func (c *secured) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	s, set := c.scope(ctx)
	if !set {
		return c.Conn.BeginTx(ctx, o)
	}
	switch {
	case o != driver.TxOptions{}:
		return nil, errors.New("a transaction with options has no scope")
	case c.Conn.Conn().IsClosed():
		return nil, driver.ErrBadConn
	}
	tx, err := c.Conn.Conn().BeginTx(ctx, pgx.TxOptions{BeginQuery: "begin; " + s.set()})
	if err != nil {
		return nil, err
	}
	c.tx = s
	return securedTx{ctx, tx, c}, nil
}

type securedTx struct {
	ctx  context.Context
	tx   pgx.Tx
	conn *secured
}

func (t securedTx) Commit() error {
	t.conn.tx = noOrganization
	return t.tx.Commit(t.ctx)
}

func (t securedTx) Rollback() error {
	t.conn.tx = noOrganization
	return t.tx.Rollback(t.ctx)
}

// send sends a statement in scope s; a transaction has its own again afterwards.
func (c *secured) send(ctx context.Context, s scope, query string, args []driver.NamedValue) (pgx.BatchResults, error) {
	values := make([]any, len(args))
	for i, arg := range args {
		values[i] = arg.Value
	}
	b := &pgx.Batch{}
	b.Queue(s.set())
	b.Queue(query, values...)
	if c.inTx() {
		b.Queue(c.tx.set())
	}
	r := c.Conn.Conn().SendBatch(ctx, b)
	if _, err := r.Exec(); err != nil {
		_ = r.Close()
		return nil, retry(err)
	}
	return r, nil
}

// retry is err, or what has database/sql take another connection.
func retry(err error) error {
	if pgconn.SafeToRetry(err) {
		return driver.ErrBadConn
	}
	return err
}

// ExecContext is for database/sql. The rows affected are those of the last statement, or
// of the first where a transaction is in another scope.
func (c *secured) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, set := c.scope(ctx)
	switch {
	case !set:
		return c.Conn.ExecContext(ctx, query, args)
	case !c.inTx():
		return c.Conn.ExecContext(ctx, s.set()+"; "+query, args)
	}
	r, err := c.send(ctx, s, query, args)
	if err != nil {
		return nil, err
	}
	tag, err := r.Exec()
	return driver.RowsAffected(tag.RowsAffected()), errors.Join(err, r.Close())
}

// QueryContext is for database/sql.
func (c *secured) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, set := c.scope(ctx)
	if !set {
		return c.Conn.QueryContext(ctx, query, args)
	}
	if c.Conn.Conn().IsClosed() {
		return nil, driver.ErrBadConn
	}
	r, err := c.send(ctx, s, query, args)
	if err != nil {
		return nil, err
	}
	rows, err := r.Query()
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	all := &securedRows{rows: rows, results: r, types: c.Conn.Conn().TypeMap()}
	all.more = rows.Next() // for an error that comes in the place of the first row
	if rows.Err() != nil {
		return nil, all.Close()
	}
	return all, nil
}

// securedRows are what a statement in a scope returns, with the values that
// stdlib.Rows has.
type securedRows struct {
	rows    pgx.Rows
	results pgx.BatchResults
	types   *pgtype.Map
	more    bool // the row that rows is at was not asked for yet
}

// Columns is for database/sql.
func (r *securedRows) Columns() []string {
	fields := r.rows.FieldDescriptions()
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}

// Next is for database/sql.
func (r *securedRows) Next(dest []driver.Value) error {
	if !r.more && !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return io.EOF
	}
	r.more = false
	fields := r.rows.FieldDescriptions()
	for i, text := range r.rows.RawValues() {
		if text == nil {
			dest[i] = nil
			continue
		}
		t, known := r.types.TypeForOID(fields[i].DataTypeOID)
		if !known {
			dest[i] = string(text)
			continue
		}
		var err error
		if dest[i], err = t.Codec.DecodeDatabaseSQLValue(r.types, t.OID, fields[i].Format, text); err != nil {
			return err
		}
	}
	return nil
}

// Close is for database/sql.
func (r *securedRows) Close() error {
	r.rows.Close()
	err := r.results.Close()
	if r.rows.Err() != nil {
		err = r.rows.Err()
	}
	return err
}
