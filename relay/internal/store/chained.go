package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/migrate"
)

// chaining is the migration that chains the audit. It is in Go, because it hashes
// the entries that are there already, in the same transaction.
var chaining = migrate.Migration{
	Name: "0023", Comment: "audit_chain",
	Up: func(ctx context.Context, m *migrate.Migrator, _ *migrate.Migration) error {
		return m.DB().RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
			if err := inOrder(ctx, tx, chainUp); err != nil {
				return err
			}
			var heads []Head
			if err := tx.NewSelect().Model(&heads).Scan(ctx); err != nil {
				return err
			}
			for _, head := range heads {
				if err := chainAll(ctx, tx, head); err != nil {
					return fmt.Errorf("chain the audit of %s: %w", head.Organization, err)
				}
			}
			return nil
		})
	},
	Down: func(ctx context.Context, m *migrate.Migrator, _ *migrate.Migration) error {
		return m.DB().RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error { return inOrder(ctx, tx, chainDown) })
	},
}

var chainUp = []string{
	// Hashes are hexadecimal SHA-256: see Link.
	"ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT ''",
	"ALTER TABLE audit_heads ADD COLUMN hash TEXT NOT NULL DEFAULT ''",
	// The relay's word on how far each audit went, and where it begins.
	`CREATE TABLE audit_seals (
		organization TEXT PRIMARY KEY,
		base         BIGINT NOT NULL,
		base_hash    TEXT NOT NULL,
		sequence     BIGINT NOT NULL,
		hash         TEXT NOT NULL,
		signed_at    BIGINT NOT NULL,
		key          BYTES NOT NULL,
		signature    BYTES NOT NULL
	)`,
	// What the page of the audit looks for.
	"CREATE INDEX audit_actor ON audit (organization, actor_id, sequence)",
	"CREATE INDEX audit_object ON audit (organization, object_id, sequence)",
}

var chainDown = []string{
	"DROP INDEX audit_object",
	"DROP INDEX audit_actor",
	"DROP TABLE audit_seals",
	"ALTER TABLE audit_heads DROP COLUMN hash",
	"ALTER TABLE audit DROP COLUMN hash",
}

func inOrder(ctx context.Context, tx bun.Tx, texts []string) error {
	bytes := "BLOB"
	if tx.Dialect().Name() == dialect.PG {
		bytes = "BYTEA"
	}
	for _, text := range texts {
		if _, err := tx.ExecContext(ctx, strings.ReplaceAll(text, "BYTES", bytes)); err != nil {
			return err
		}
	}
	return nil
}

// chainAtOnce is how many entries one statement chains.
const chainAtOnce = 500

// chainAll chains the entries of an organization, of which old ones may have been
// swept: the first that is there follows nothing that is known.
func chainAll(ctx context.Context, tx bun.Tx, head Head) error {
	var at int64
	for {
		var all []Link
		if err := links(tx.NewSelect().Model(&all).Where(ours, head.Organization), at, chainAtOnce).Scan(ctx); err != nil {
			return err
		}
		if len(all) == 0 {
			break
		}
		values := make([]string, len(all))
		for i, l := range all {
			head.Hash = l.After(head.Hash)
			values[i] = fmt.Sprintf("(%d, '%s')", l.Sequence, head.Hash)
		}
		at = all[len(all)-1].Sequence
		_, err := tx.ExecContext(ctx, "UPDATE audit SET hash = v.column2 FROM (VALUES "+strings.Join(values, ", ")+
			") AS v WHERE audit.organization = ? AND audit.sequence = v.column1", head.Organization)
		if err != nil {
			return err
		}
	}
	_, err := tx.NewUpdate().Model(&head).Column("hash").WherePK().Exec(ctx)
	return err
}
