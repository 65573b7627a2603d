package store

import (
	"context"

	"github.com/uptrace/bun"
)

type secret struct {
	bun.BaseModel `bun:"table:secrets"`

	Name      string `bun:",pk"`
	Value     []byte
	CreatedAt int64
}

// Secret is a key of the relay's own that all its nodes share. The first to
// ask stores what fresh makes; everybody gets that.
func (s *Store) Secret(ctx context.Context, name string, now int64, fresh func() ([]byte, error)) ([]byte, error) {
	got := secret{}
	find := func(ctx context.Context, db bun.IDB) error {
		return mapped(db.NewSelect().Model(&got).Where("name = ?", name).Scan(ctx))
	}
	if err := find(ctx, s.db); err == nil {
		return got.Value, nil
	} else if err != ErrNotFound {
		return nil, err
	}
	value, err := fresh()
	if err != nil {
		return nil, err
	}
	err = s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewInsert().Model(&secret{Name: name, Value: value, CreatedAt: now}).
			On("CONFLICT (name) DO NOTHING").Exec(ctx)
		if err != nil {
			return err
		}
		return find(ctx, tx)
	})
	return got.Value, err
}
