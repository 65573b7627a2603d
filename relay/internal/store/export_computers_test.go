package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"
)

// Indexed says which computers are not indexed as they are.
func Indexed(ctx context.Context, s *Store) error {
	want, err := indexRows(ctx, s.all())
	if err != nil {
		return err
	}
	var rows []computerIndex
	if err := s.all().NewSelect().Model(&rows).Order("computer_id").Scan(ctx); err != nil {
		return err
	}
	if a, b := fmt.Sprint(want), fmt.Sprint(rows); a != b {
		return fmt.Errorf("indexed is %s, want %s", b, a)
	}
	return nil
}

// Unindex makes some rows of the index those of another version, and takes others away.
func Unindex(ctx context.Context, s *Store) error {
	_, err := s.all().NewUpdate().Model((*computerIndex)(nil)).Set("version = 0").Set("name_key = ?", []byte{1}).Where("1 = 1").Exec(ctx)
	if err == nil {
		_, err = s.all().NewDelete().Model((*computerIndex)(nil)).Where(`"number" % 3 = 0`).Exec(ctx)
	}
	return err
}

// IndexAll is what a relay does at its start.
func IndexAll(ctx context.Context, s *Store) error { return s.indexAll(ctx) }

// AddComputers adds so many, half of them connected, in ten groups.
func AddComputers(ctx context.Context, s *Store, n int) error {
	return s.in(allOrganizations).tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewInsert().Model(&node{ID: "node/1", AliveUntil: 1 << 50}).Exec(ctx); err != nil {
			return err
		}
		for i := range 10 {
			g := Group{Organization: FirstOrganization, ID: fmt.Sprint("g", i), Name: fmt.Sprint("Group ", i), Path: fmt.Sprintf("/g%d/", i)}
			g.SortKey = g.sortKey()
			if _, err := tx.NewInsert().Model(&g).Exec(ctx); err != nil {
				return err
			}
		}
		for i := 0; i < n; i += indexAtOnce {
			var all []Computer
			var online []presence
			var ids []string
			var sessions []Session
			for j := i; j < min(n, i+indexAtOnce); j++ {
				c := Computer{ID: NewID(), Organization: FirstOrganization, MachineKey: fmt.Appendf(nil, "%032d", j), HostName: fmt.Sprint("pc-", j*7919%n),
					OS: []string{"linux", "windows"}[j%2], OSName: []string{"Debian GNU/Linux 12", "Windows 11 Pro"}[j%2], AgentVersion: "1.0", GroupID: fmt.Sprint("g", j%10),
					Address: fmt.Sprintf("10.0.%d.%d", j/250, j%250), LastSeen: int64(j%1000 + 1), AddedAt: int64(j)}
				if j%10 == 7 {
					c.Tags = "desk"
				}
				if j%100 == 0 {
					sessions = append(sessions, Session{ID: c.ID, Organization: FirstOrganization, ComputerID: c.ID, StartedAt: 1, ConnectedAt: 1})
				}
				all, ids = append(all, c), append(ids, c.ID)
				if j%2 == 0 {
					online = append(online, presence{ComputerID: c.ID, NodeID: "node/1", ConnID: "c", Since: 1})
				}
			}
			if _, err := tx.NewInsert().Model(&all).Exec(ctx); err != nil {
				return err
			}
			if _, err := tx.NewInsert().Model(&online).Exec(ctx); err != nil {
				return err
			}
			if _, err := tx.NewInsert().Model(&sessions).Exec(ctx); err != nil {
				return err
			}
			if err := s.index(ctx, tx, ids...); err != nil {
				return err
			}
		}
		return nil
	})
}

// PageQuery is the text of what Page asks for the first page of all that is not pinned.
func PageQuery(s *Store, v ComputerView) (string, error) {
	o, err := v.order()
	if err != nil {
		return "", err
	}
	of := s.Computers(FirstOrganization)
	q, err := o.after(of.filtered(of.listing(), Everything, v.ComputerFilter, ""), of.database, placed{})
	if err != nil {
		return "", err
	}
	return q.Limit(101).String(), nil
}
