package store

import (
	"strings"

	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
)

// The dialects write text into queries. Text from agents and browsers may hold
// a NUL, which protobuf and JSON allow and which neither database can keep (bun
// fails the query with a syntax error): it becomes U+FFFD, as invalid UTF-8 does.

type liteDialect struct{ *sqlitedialect.Dialect }

func (d liteDialect) AppendString(b []byte, s string) []byte {
	return d.Dialect.AppendString(b, storable(s))
}

type pgDialect struct{ *pgdialect.Dialect }

func (d pgDialect) AppendString(b []byte, s string) []byte {
	return d.Dialect.AppendString(b, storable(s))
}

func storable(s string) string { return strings.ReplaceAll(s, "\x00", "\uFFFD") }
