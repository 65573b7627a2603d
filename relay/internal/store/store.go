// Package store is what the relay remembers, in SQL: one set of queries and
// migrations for SQLite (the embedded default) and PostgreSQL.
//
// It is the only door to bun and to both drivers. Other rooms call methods of a
// handle, one for each aggregate (handles.go), and get plain structs; no room
// above sees a query.
//
// # Conventions
//
//   - Ids are UUIDv7 strings (NewID), so that they sort by the time of making.
//   - Times are Unix milliseconds in BIGINT columns, int64 in Go; 0 is never.
//   - Enumerations are short words in TEXT columns, flags are BOOLEAN, bytes
//     are {{.Bytes}} in a migration (BLOB or BYTEA).
//   - A secret is stored as its SHA-256, never as itself. The exceptions are the
//     table of the relay's own keys, secrets, and what mails that wait will say:
//     both are sealed with a key that is not in the database (UseSealingKey).
//   - Errors: ErrNotFound, ErrConflict and ErrUnavailable can be told apart by errors.Is;
//     everything else is a fault of the database.
//   - A change is on the disk before its method returns, so that what somebody
//     was told survives a power cut. Presence and heartbeats are the exception:
//     they say what is now, and a relay that starts forgets them anyway.
//
// # Migrations
//
// migrations/NNNN_what.tx.up.sql and .tx.down.sql, each run in a transaction,
// with text/template's {{.Bytes}} for the one type the two databases call
// differently. Open brings the schema up to date; a database that was written
// by a newer relay is refused (ErrNewerSchema) rather than guessed at.
// Several nodes may start on one PostgreSQL at once: an advisory lock lets one
// of them migrate.
package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"oriel/relay/internal/fault"
)

// Errors that a caller can act on.
var (
	ErrNotFound = fault.New(fault.NotFound, "this is not here, or not here any more; reload the page")
	ErrConflict = fault.New(fault.Conflict, "something else is there already; reload the page")
	// ErrUnavailable: the database cannot be reached now; the same may work in a moment.
	ErrUnavailable = fault.New(fault.Unavailable, "the relay cannot reach its database; it goes on trying, and so may you in a moment")
	// ErrDiskFull is of a change that found no room; a database may also call it unavailable.
	ErrDiskFull    = fault.New(fault.DiskFull, "the relay's disk is full, so that nothing can be changed; make room on it and try again")
	ErrNewerSchema = errors.New("the database was written by a newer relay; install that version or a newer one, or restore a backup")
)

// Kind of database.
type Kind string

// The two databases that the relay speaks.
const (
	SQLite     Kind = "sqlite"
	PostgreSQL Kind = "postgres"
)

// Options of Open. The zero value is right for a relay.
type Options struct {
	// NoMigrate leaves the schema alone, for a look from outside (doctor).
	NoMigrate bool
	// Connections to PostgreSQL at most; 0: 20. SQLite has its own measure.
	Connections int
	// Timeout of the first contact; 0: 10 s.
	Timeout time.Duration
	// Statement is told of each statement before it runs; nil: nobody is. It is for
	// tests that count them.
	Statement func(ctx context.Context, text string)
}

// Store is an open database. Its methods, and those of its handles, may be called
// from any goroutine.
type Store struct{ *database }

// engine is what all handles share.
type engine struct {
	pool *bun.DB
	// Connects to PostgreSQL; nil on SQLite.
	connector driver.Connector
	kind      Kind

	// One writer at a time on SQLite, in order and with the caller's deadline,
	// instead of leaving it to SQLite's sleeping retries. nil on PostgreSQL.
	writer chan struct{}
	// What has the write-ahead log synced. nil on PostgreSQL, which does so itself.
	log *logSync
	// Closes and opens secrets; nil: they are plain (tests, and a look from outside).
	seal SealingKey
	// Called after each commit that wrote an entry of the audit; nil: nobody listens.
	recorded atomic.Pointer[func(OrganizationID)]
	// Called after each commit that queued a mail; nil: nobody listens.
	mailed atomic.Pointer[func()]
}

// Open connects to the database at address, makes it if it is a new file, and
// brings its schema up to date. An address is one of
//
//	sqlite:path, or a path    a file; its folder must exist
//	postgres://user:password@host/database?sslmode=…
func Open(ctx context.Context, address string, o Options) (*Store, error) {
	kind, rest, err := ParseAddress(address)
	if err != nil {
		return nil, err
	}
	e := &engine{kind: kind}
	if kind == SQLite {
		err = e.openSQLite(rest)
	} else {
		err = e.openPostgreSQL(rest, o)
	}
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if o.Statement != nil {
		e.pool = e.pool.WithQueryHook(statements(o.Statement))
	}
	s := &Store{e.in(noOrganization)}
	timeout := o.Timeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	first, cancel := context.WithTimeout(ctx, timeout)
	err = s.pool.PingContext(first)
	cancel()
	if err == nil && !o.NoMigrate {
		if err = s.Migrate(ctx); err == nil {
			err = s.indexAll(ctx)
		}
		if err == nil {
			err = s.log.wait()
		}
	}
	if err != nil {
		_ = s.pool.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	return s, nil
}

// statements is a hook of bun's.
type statements func(ctx context.Context, text string)

func (fn statements) BeforeQuery(ctx context.Context, e *bun.QueryEvent) context.Context {
	fn(ctx, e.Query)
	return ctx
}

func (statements) AfterQuery(context.Context, *bun.QueryEvent) {}

// ParseAddress tells the kind of database that address names, and the rest
// that its driver wants: a file's path or the whole URL.
func ParseAddress(address string) (kind Kind, rest string, err error) {
	scheme, path, found := strings.Cut(address, ":")
	switch {
	case address == "":
		return "", "", errors.New("no database address: give sqlite:PATH or postgres://…")
	case scheme == "postgres" || scheme == "postgresql":
		if _, err := pgx.ParseConfig(address); err != nil {
			return "", "", errors.New("this is not an address of a PostgreSQL database: write postgres://user:password@host/database")
		}
		return PostgreSQL, address, nil
	case found && scheme == "sqlite":
		path = strings.TrimPrefix(path, "//")
	case found && strings.HasPrefix(path, "//"):
		return "", "", fmt.Errorf("no database is called %q: give sqlite:PATH or postgres://…", scheme)
	default:
		path = address
	}
	if path == "" {
		return "", "", errors.New("the database address names no file: give sqlite:PATH")
	}
	return SQLite, path, nil
}

func (e *engine) openSQLite(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	// The file holds password hashes and the relay's key: nobody else reads it.
	f, err := os.OpenFile(abs, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	// NORMAL syncs at checkpoints only; logSync does it for each group of commits.
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)", "secure_delete(FAST)", "temp_store(MEMORY)",
	}}
	db := sql.OpenDB(lasting("file:" + (&url.URL{Path: filepath.ToSlash(abs)}).EscapedPath() + "?" + q.Encode()))
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	e.writer = make(chan struct{}, 1)
	e.log = newLogSync(abs + "-wal")
	e.pool = bun.NewDB(db, liteDialect{sqlitedialect.New()})
	return nil
}

func (e *engine) openPostgreSQL(address string, o Options) error {
	c, err := pgx.ParseConfig(address)
	if err != nil {
		return err
	}
	// bun writes the arguments into the text, so that preparing each statement
	// would only fill the server's cache.
	c.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "oriel-relay"
	}
	e.connector = stdlib.GetConnector(*c)
	db := sql.OpenDB(securing{e.connector, noOrganization})
	n := o.Connections
	if n == 0 {
		n = 20
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxIdleTime(5 * time.Minute)
	e.pool = bun.NewDB(db, pgDialect{pgdialect.New()})
	return nil
}

// Close ends all connections.
func (s *Store) Close() error { return s.pool.Close() }

// Kind of database this is.
func (s *Store) Kind() Kind { return s.kind }

// Shared reports whether several nodes may use this database at once.
func (s *Store) Shared() bool { return s.kind == PostgreSQL }

// Ping asks the database for a sign of life.
func (s *Store) Ping(ctx context.Context) error { return s.pool.PingContext(ctx) }

// NewID makes an id.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// tx runs fn in a transaction that is committed when fn returns nil. fn must
// use its argument for every query, must not call tx again and may run again
// after an error only if the caller asks for it. On SQLite writers wait in
// line here; what only reads needs no transaction. The change is on the disk
// when tx returns nil.
func (s *database) tx(ctx context.Context, fn func(ctx context.Context, tx bun.Tx) error) error {
	if err := s.volatileTx(ctx, fn); err != nil {
		return err
	}
	return mapped(s.log.wait())
}

// volatileTx is tx, but a power cut may take the change back.
func (s *database) volatileTx(ctx context.Context, fn func(ctx context.Context, tx bun.Tx) error) error {
	return s.inLine(ctx, func() error { return s.db.RunInTx(ctx, nil, fn) })
}

// inLine runs what writes when it is its turn.
func (s *database) inLine(ctx context.Context, write func() error) error {
	if s.writer != nil {
		select {
		case s.writer <- struct{}{}:
			defer func() { <-s.writer }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return mapped(write())
}

// mapped turns the drivers' errors into this package's faults, keeping the original
// behind them.
func mapped(err error) error {
	var pg *pgconn.PgError
	var lite *sqlite.Error
	switch {
	case err == nil, errors.Is(err, ErrNotFound), errors.Is(err, ErrConflict), errors.Is(err, ErrUnavailable), errors.Is(err, ErrDiskFull), errors.Is(err, ErrQuota):
		return err
	case DiskFull(err):
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case errors.As(err, &pg):
		if pg.Code == "23505" || pg.Code == "23503" { // unique, foreign key
			return fmt.Errorf("%w: %w", ErrConflict, err)
		}
		if kind, ok := quotaOfColumn[pg.TableName+"."+pg.ColumnName]; ok && pg.Code == "23502" { // not null
			return fmt.Errorf("%w: %w", &overQuota{kind}, err)
		}
		if away(pg.Code) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	case errors.As(err, &lite):
		switch lite.Code() {
		case sqlite3.SQLITE_CONSTRAINT_NOTNULL:
			_, column, _ := strings.Cut(lite.Error(), "NOT NULL constraint failed: ")
			if kind, ok := quotaOfColumn[strings.TrimRight(column, " ()0123456789")]; ok {
				return fmt.Errorf("%w: %w", &overQuota{kind}, err)
			}
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
			return fmt.Errorf("%w: %w", ErrConflict, err)
		case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	case unreachable(err):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// away reports whether PostgreSQL's code says that the server, or a place at it,
// is not there for now: class 08 is connections, class 53 resources, class 57 the
// operator's intervention (PostgreSQL's documentation, appendix A).
func away(code string) bool {
	return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "53") || strings.HasPrefix(code, "57P")
}

// unreachable reports whether err is of the way to the database and not its answer.
func unreachable(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) && !errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// changed is mapped, and ErrNotFound when the statement touched no row.
func changed(r sql.Result, err error) error {
	if err != nil {
		return mapped(err)
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// Now is the database's own time, which all nodes share.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var ms int64
	err := s.db.NewRaw("SELECT "+s.clock()).Scan(ctx, &ms)
	return time.UnixMilli(ms), mapped(err)
}
