package store

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/uptrace/bun"
)

// presence is one computer's connection. There is at most one: the newest.
type presence struct {
	bun.BaseModel `bun:"table:presence"`

	ComputerID string `bun:",pk"`
	NodeID     string
	ConnID     string
	Since      int64
}

type node struct {
	bun.BaseModel `bun:"table:nodes"`

	ID         string `bun:",pk"`
	AliveUntil int64
}

// NodeRun is the id of one run of a node, so that what an earlier run left can
// be told from what this one has.
func NodeRun(node string) string { return node + "/" + NewID() }

// Clear forgets what earlier runs of this node left behind; on SQLite,
// where there is one node only, what any left. It returns the computers that
// were connected.
func (s Nodes) Clear(ctx context.Context, run string) (computers []Ref, err error) {
	earlier := func(column string) (string, []any) {
		if s.kind != PostgreSQL {
			return column + " <> ?", []any{run}
		}
		name := run[:strings.LastIndexByte(run, '/')+1]
		return column + " <> ? AND length(" + column + ") = ? AND substr(" + column + ", 1, ?) = ?",
			[]any{run, utf8.RuneCountInString(run), utf8.RuneCountInString(name), name}
	}
	err = s.volatileTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		where, args := earlier("node_id")
		var ids []string
		err := tx.NewDelete().Model((*presence)(nil)).Where(where, args...).Returning("computer_id").Scan(ctx, &ids)
		if err == nil {
			computers, err = refs(ctx, tx, ids)
		}
		if err != nil {
			return err
		}
		where, args = earlier("id")
		_, err = tx.NewDelete().Model((*node)(nil)).Where(where, args...).Exec(ctx)
		return err
	})
	return computers, err
}

// Heartbeat says that a node is alive for so long from now.
func (s Nodes) Heartbeat(ctx context.Context, id string, lifetime time.Duration) error {
	return s.volatileTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewInsert().Model(&node{ID: id}).
			Value("alive_until", s.clock()+" + ?", lifetime.Milliseconds()).
			On("CONFLICT (id) DO UPDATE").Set("alive_until = EXCLUDED.alive_until").Exec(ctx)
		return err
	})
}

// Bury forgets nodes whose heartbeat stopped, and returns the computers
// that were connected to them.
func (s Nodes) Bury(ctx context.Context) (computers []Ref, err error) {
	err = s.volatileTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		dead := "alive_until <= " + s.clock()
		var ids []string
		err := tx.NewDelete().Model((*presence)(nil)).
			Where("node_id IN (SELECT id FROM nodes WHERE "+dead+")").
			Returning("computer_id").Scan(ctx, &ids)
		if err == nil {
			computers, err = refs(ctx, tx, ids)
		}
		if err != nil {
			return err
		}
		_, err = tx.NewDelete().Model((*node)(nil)).Where(dead).Exec(ctx)
		return err
	})
	return computers, err
}

// Leave forgets a run of a node that ends in good order, and returns the
// computers that were still connected to it.
func (s Nodes) Leave(ctx context.Context, run string) (computers []Ref, err error) {
	err = s.volatileTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		var ids []string
		err := tx.NewDelete().Model((*presence)(nil)).Where("node_id = ?", run).Returning("computer_id").Scan(ctx, &ids)
		if err == nil {
			computers, err = refs(ctx, tx, ids)
		}
		if err != nil {
			return err
		}
		_, err = tx.NewDelete().Model((*node)(nil)).Where("id = ?", run).Exec(ctx)
		return err
	})
	return computers, err
}

// Connect notes a computer's new connection, in the place of any other.
func (s Nodes) Connect(ctx context.Context, computer, node, conn string, now int64) error {
	return s.volatileTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewInsert().Model(&presence{ComputerID: computer, NodeID: node, ConnID: conn, Since: now}).
			On("CONFLICT (computer_id) DO UPDATE").
			Set("node_id = EXCLUDED.node_id").Set("conn_id = EXCLUDED.conn_id").Set("since = EXCLUDED.since").
			Exec(ctx)
		if err != nil {
			return err
		}
		return changed(tx.NewUpdate().Model((*Computer)(nil)).Set("last_seen = ?", now).
			Where("id = ?", computer).Exec(ctx))
	})
}

// PresentOn is the connections, by computer, that a run of a node has.
func (s Nodes) PresentOn(ctx context.Context, run string) (map[string]string, error) {
	var rows []presence
	if err := s.db.NewSelect().Model(&rows).Where("node_id = ?", run).Scan(ctx); err != nil {
		return nil, mapped(err)
	}
	all := make(map[string]string, len(rows))
	for _, row := range rows {
		all[row.ComputerID] = row.ConnID
	}
	return all, nil
}

// Restore is a connection that stands, and that the database does not know.
type Restore struct {
	ComputerID, Run, ConnID string
	Since                   int64
	// Unknown: it never did, so that this one counts if the computer's other
	// one is older. Else it was forgotten, and any other is newer.
	Unknown bool
}

// Restore notes r; there is false when the computer has another
// connection that counts, or is gone.
func (s Nodes) Restore(ctx context.Context, r Restore) (there bool, err error) {
	err = s.volatileTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		n, err := tx.NewSelect().Model((*Computer)(nil)).Where("id = ?", r.ComputerID).Count(ctx)
		if err != nil || n == 0 {
			return err
		}
		q := tx.NewInsert().Model(&presence{ComputerID: r.ComputerID, NodeID: r.Run, ConnID: r.ConnID, Since: r.Since})
		if r.Unknown {
			q = q.On("CONFLICT (computer_id) DO UPDATE").
				Set("node_id = EXCLUDED.node_id").Set("conn_id = EXCLUDED.conn_id").Set("since = EXCLUDED.since").
				Where("presence.since <= EXCLUDED.since")
		} else {
			q = q.On("CONFLICT (computer_id) DO NOTHING")
		}
		result, err := q.Exec(ctx)
		if err != nil {
			return err
		}
		rows, err := result.RowsAffected()
		there = rows > 0
		return err
	})
	return there, err
}

// Connection is the connection that a computer has now, and since when.
// Errors: ErrNotFound.
func (s Nodes) Connection(ctx context.Context, computer string) (conn string, since int64, err error) {
	var p presence
	err = s.db.NewSelect().Model(&p).Where("computer_id = ?", computer).Scan(ctx)
	return p.ConnID, p.Since, mapped(err)
}

// Disconnect notes that a connection ended; gone is false when the computer
// has another one by now.
func (s Nodes) Disconnect(ctx context.Context, computer, conn string, now int64) (gone bool, err error) {
	err = s.volatileTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		r, err := tx.NewDelete().Model((*presence)(nil)).
			Where("computer_id = ? AND conn_id = ?", computer, conn).Exec(ctx)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if gone = n > 0; err != nil || !gone {
			return err
		}
		_, err = tx.NewUpdate().Model((*Computer)(nil)).Set("last_seen = ?", now).
			Where("id = ?", computer).Exec(ctx)
		return err
	})
	return gone, err
}

// Seen moves the last_seen of all computers connected to a node.
func (s Nodes) Seen(ctx context.Context, node string, now int64) error {
	return s.volatileTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*Computer)(nil)).Set("last_seen = ?", now).
			Where("id IN (SELECT computer_id FROM presence WHERE node_id = ?)", node).Exec(ctx)
		return err
	})
}
