package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"
)

// Computer is an enrolled machine as it was last known.
type Computer struct {
	bun.BaseModel `bun:"table:computers,alias:c"`

	ID           string         `bun:",pk"`
	Organization OrganizationID // whose it is
	MachineKey   []byte         // Ed25519, 32 bytes; never changes
	MachineID    string         // the operating system's, may be empty; not proof of anything
	// SHA-256 in hex over what stays with the machine when its disk is copied away;
	// may be empty, and is not proof of anything.
	Fingerprint string
	// Another computer, older than this one, that is the same machine as far as
	// fingerprints, or without those machine ids, tell. Empty: none.
	SameMachineAs string
	// The computer whose identity this machine had before it got its own. They are
	// two, whatever their fingerprints say. Empty: none.
	SplitFrom string
	Name      string // given by people; empty: none
	GroupID   string // empty: in none
	Tags      string // given by people, one a line, in lower case
	Comment   string // Markdown, by people

	HostName  string
	OS        string `bun:"os"`
	OSName    string `bun:"os_name"`
	Arch      string
	UserName  string
	Addresses string // one a line
	Address   string // as the relay saw it

	AgentVersion  string
	Capabilities  string // of the agent, words with spaces between; empty: from before there were any
	Display       string // "", none, ready, demo
	DisplayDetail string
	Blocked       bool
	AddedAt       int64
	AddedWith     string // id of the enrollment token
	LastSeen      int64  // at most a minute old while online; 0: never
	PreviewAt     int64  // 0: none
	PreviewType   string
	PreviewTag    string // changes with the picture
	PreviewSize   int64  // bytes

	Online bool   `bun:",scanonly"` // connected to a node that is alive
	Node   string `bun:",scanonly"` // run of the node that has its connection, alive or not; empty: none
	// GroupPath is that of its group, by which Visibility knows it; empty: in none.
	GroupPath string `bun:",scanonly"`
	GroupName string `bun:",scanonly"`
}

// DisplayName is what people call it.
func (c Computer) DisplayName() string {
	switch {
	case c.Name != "":
		return c.Name
	case c.HostName != "":
		return c.HostName
	}
	return "computer " + c.ID[max(0, len(c.ID)-8):]
}

// clock is the database's time in Unix milliseconds, as SQL, so that nodes
// whose clocks differ agree on who is alive.
func (s *database) clock() string {
	if s.kind == PostgreSQL {
		return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
	}
	return "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
}

func (s *database) computers(db bun.IDB, into any) *bun.SelectQuery {
	return s.joined(db.NewSelect().Model(into)).
		ColumnExpr("c.*").
		ColumnExpr("n.id IS NOT NULL AS online").
		ColumnExpr("COALESCE(p.node_id, '') AS node").
		ColumnExpr("COALESCE(g.path, '') AS group_path").
		ColumnExpr("COALESCE(g.name, '') AS group_name")
}

// joined adds to computers c their group g, connection p and, if that is alive, node n.
func (s *database) joined(q *bun.SelectQuery) *bun.SelectQuery {
	return q.Join(`LEFT JOIN "groups" AS g ON g.organization = c.organization AND g.id = c.group_id`).
		Join("LEFT JOIN presence AS p ON p.computer_id = c.id").
		Join("LEFT JOIN nodes AS n ON n.id = p.node_id AND n.alive_until > " + s.clock())
}

// List are the visible ones with the given ids, or all of them without any, oldest
// first. Ids that do not exist are left out.
func (s Computers) List(ctx context.Context, v Visibility, ids ...string) ([]Computer, error) {
	var all []Computer
	q := v.computers(s.computers(s.db, &all), s.owned).Where(ours, s.organization).OrderExpr("c.id")
	if len(ids) > 0 {
		q = q.Where("c.id IN (?)", bun.List(ids))
	}
	return all, mapped(q.Scan(ctx))
}

// Get is the one with that id. Errors: ErrNotFound.
func (s Computers) Get(ctx context.Context, id string) (Computer, error) {
	var c Computer
	return c, mapped(s.computers(s.db, &c).Where(ours, s.organization).Where("c.id = ?", id).Scan(ctx))
}

// Opening is a computer as it is for a person who would open a session with it.
type Opening struct {
	Computer `bun:",extend"`

	TwoMachines bool   `bun:",scanonly"` // have its identity
	KnownKey    []byte `bun:",scanonly"` // as the person's account remembers it; empty: it does not
	Running     int64  `bun:",scanonly"` // sessions of the person that count against one with it
	Policies    bool   `bun:",scanonly"` // its organization has some
}

// Opening is all that the opening of a session has to know, in one statement.
// Errors: ErrNotFound.
func (s Computers) Opening(ctx context.Context, id, person string) (Opening, error) {
	var o Opening
	twins := s.rows(s.db, (*Twins)(nil)).ColumnExpr("1").Where("computer_id = c.id")
	known := s.db.NewSelect().Model((*KnownKey)(nil)).Column("machine_key").Where("person_id = ? AND computer_id = c.id", person)
	running := Running{OperatorID: person, CountedFor: id}.where(s.rows(s.db, (*Session)(nil)).ColumnExpr("count(*)"))
	err := s.computers(s.db, &o).ColumnExpr("EXISTS (?) AS two_machines", twins).ColumnExpr("(?) AS known_key", known).
		ColumnExpr("(?) AS running", running).ColumnExpr("EXISTS (?) AS policies", s.rows(s.db, (*Policy)(nil)).ColumnExpr("1")).Where(ours, s.organization).Where("c.id = ?", id).Scan(ctx)
	return o, mapped(err)
}

// ByKey is the one with that machine key. Errors: ErrNotFound.
func (s Agents) ByKey(ctx context.Context, key []byte) (Computer, error) {
	var c Computer
	return c, mapped(s.computers(s.db, &c).Where("c.machine_key = ?", key).Scan(ctx))
}

// Taken reports whether a computer of any organization has that id.
func (s Agents) Taken(ctx context.Context, id string) (bool, error) {
	yes, err := s.db.NewSelect().Model((*Computer)(nil)).Where("id = ?", id).Exists(ctx)
	return yes, mapped(err)
}

// Enroll adds c to the organization of the token of that key, and uses the token
// once, both or neither. It fills in c.Organization, c.AddedWith, c.SameMachineAs
// and, where the token is for the second of two machines, c.SplitFrom; it is then
// settled that they are two. Errors: ErrNotFound when the token is unknown,
// revoked, expired or used up; ErrConflict when the machine key is enrolled already;
// ErrQuota, and the token is as it was.
func (s Agents) Enroll(ctx context.Context, by Entry, c *Computer, tokenKey []byte) error {
	return s.change(ctx, "", by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		token, err := useToken(ctx, tx, tokenKey, c.AddedAt)
		if err != nil {
			return err
		}
		c.Organization, c.AddedWith, c.SplitFrom = token.Organization, token.ID, token.SplitFrom
		*by = by.With("token", token.ID)
		by.Organization = token.Organization
		its := owned{s.database, token.Organization}
		if c.SplitFrom != "" {
			if _, err := its.remove(tx, (*Twins)(nil)).Where("computer_id = ?", c.SplitFrom).Exec(ctx); err != nil {
				return err
			}
			if _, err := its.unusedSplit(tx, c.SplitFrom).Exec(ctx); err != nil { // one split lets one machine in
				return err
			}
		}
		if c.SameMachineAs, err = its.sameMachine(ctx, tx, *c); err != nil {
			return err
		}
		// Whoever's it was: a key is one machine's.
		for _, model := range []any{(*WaitingComputer)(nil), (*removedKey)(nil)} {
			if _, err := tx.NewDelete().Model(model).Where("machine_key = ?", c.MachineKey).Exec(ctx); err != nil {
				return err
			}
		}
		if err := its.insert(ctx, tx, QuotaComputers, 0, c, "added_at", c.AddedAt); err != nil {
			return err
		}
		return its.index(ctx, tx, c.ID)
	})
}

// sameMachine is the oldest of those before c that are the same machine.
func (s owned) sameMachine(ctx context.Context, tx bun.Tx, c Computer) (id string, err error) {
	var older []string
	err = s.rows(tx, (*Computer)(nil)).Column("id").
		Where("id < ? AND id <> ?", c.ID, c.SplitFrom).
		WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
			return q.Where("fingerprint <> '' AND fingerprint = ?", c.Fingerprint).
				WhereOr("(fingerprint = '' OR ? = '') AND machine_id <> '' AND machine_id = ?", c.Fingerprint, c.MachineID)
		}).Order("id").Limit(1).Scan(ctx, &older)
	if err != nil || len(older) == 0 {
		return "", err
	}
	return older[0], nil
}

// SaveGreeting writes what a computer said of its machine as it connected, and
// fills in SameMachineAs. Errors: ErrNotFound.
func (s Computers) SaveGreeting(ctx context.Context, c *Computer) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		err := s.rows(tx, (*Computer)(nil)).Column("split_from").Where("id = ?", c.ID).Scan(ctx, &c.SplitFrom)
		if err != nil {
			return err
		}
		if c.SameMachineAs, err = s.sameMachine(ctx, tx, *c); err != nil {
			return err
		}
		_, err = s.update(tx, c).WherePK().
			Column("host_name", "os", "os_name", "arch", "user_name", "addresses", "address", "agent_version", "capabilities",
				"machine_id", "fingerprint", "same_machine_as").Exec(ctx)
		if err != nil {
			return err
		}
		return s.index(ctx, tx, c.ID)
	})
}

// ComputerColumn names what Computers.Save writes.
type ComputerColumn string

// Columns by what changes together.
var (
	ColumnsOfDisplay = []ComputerColumn{"display", "display_detail", "user_name"}
	ColumnsOfPreview = []ComputerColumn{"preview_at", "preview_type", "preview_tag", "preview_size"}
	ColumnsOfSeen    = []ComputerColumn{"last_seen"}
)

// Rename gives a computer a name. Errors: ErrNotFound.
func (s Computers) Rename(ctx context.Context, by Entry, id, name string) error {
	return s.change(ctx, s.organization, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if err := changed(s.update(tx, (*Computer)(nil)).Set("name = ?", name).Where("id = ?", id).Exec(ctx)); err != nil {
			return err
		}
		return s.index(ctx, tx, id)
	})
}

// Block keeps a computer out, or lets it in again. Errors: ErrNotFound.
func (s Computers) Block(ctx context.Context, by Entry, id string, blocked bool) error {
	return s.change(ctx, s.organization, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		return changed(s.update(tx, (*Computer)(nil)).Set("blocked = ?", blocked).Where("id = ?", id).Exec(ctx))
	})
}

// Save writes the named columns of c. Errors: ErrNotFound.
func (s Computers) Save(ctx context.Context, c Computer, columns ...[]ComputerColumn) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		q, read := s.update(tx, &c).WherePK(), false
		for _, group := range columns {
			for _, name := range group {
				q = q.Column(string(name))
				read = read || slices.Contains(indexed, string(name))
			}
		}
		if err := changed(q.Exec(ctx)); err != nil || !read {
			return err
		}
		return s.index(ctx, tx, c.ID)
	})
}

// HoldPreview takes the place of a preview of so many bytes, where there is a quota of
// storage, before its picture is kept and Save says so. Errors: ErrQuota.
func (s Computers) HoldPreview(ctx context.Context, id string, size int64) error {
	return s.explained(ctx, s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := s.wait(ctx, tx, QuotaStorage); err != nil {
			return err
		}
		value, args := s.growth(size, size, "preview_size")
		_, err := s.update(tx, (*Computer)(nil)).Set("preview_size = "+value, args...).Where("id = ? AND preview_size < ?", id, size).
			Where("NOT "+noQuota, s.organization, QuotaStorage).Exec(ctx)
		return err
	}))
}

// Remove forgets a computer; its sessions stay in the journal. The one
// who was flagged as the same machine is no longer. Errors: ErrNotFound.
func (s Computers) Remove(ctx context.Context, by Entry, id string) error {
	return s.change(ctx, s.organization, by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		var c Computer
		if err := s.rows(tx, &c).Column("machine_key", "name", "host_name").Where("id = ?", id).Scan(ctx); err != nil {
			return err
		}
		*by = by.With("name", c.Name).With("host_name", c.HostName)
		if err := changed(s.remove(tx, (*Computer)(nil)).Where("id = ?", id).Exec(ctx)); err != nil {
			return err
		}
		if err := s.leaves(ctx, tx, c.MachineKey, time.Now().UnixMilli()); err != nil {
			return err
		}
		if _, err := s.unusedSplit(tx, id).Exec(ctx); err != nil {
			return err
		}
		if err := s.forgetObject(ctx, tx, ObjectComputer, id); err != nil {
			return err
		}
		if _, err := s.remove(tx, (*Approval)(nil)).Where("computer_id = ?", id).Exec(ctx); err != nil {
			return err
		}
		_, err := s.update(tx, (*Computer)(nil)).
			Set("same_machine_as = ''").Where("same_machine_as = ?", id).Exec(ctx)
		return err
	})
}

// has says ErrConflict where the organization has no such computer, as a reference
// to nothing does.
func (s Computers) has(ctx context.Context, tx bun.Tx, id string) error {
	yes, err := s.rows(tx, (*Computer)(nil)).Where("id = ?", id).Exists(ctx)
	return conflictIf(!yes, err)
}

// inventory is what a computer told of itself, as it was encoded.
type inventory struct {
	bun.BaseModel `bun:"table:inventories"`

	ComputerID   string `bun:",pk"`
	Organization OrganizationID
	TakenAt      int64
	Data         []byte
	Size         int64 // of Data
}

// SaveInventory replaces what is known of a computer. Errors: ErrConflict when
// there is no such computer; ErrQuota.
func (s Computers) SaveInventory(ctx context.Context, computer string, takenAt int64, data []byte) error {
	return s.explained(ctx, s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := s.has(ctx, tx, computer); err != nil {
			return err
		}
		if err := s.wait(ctx, tx, QuotaStorage); err != nil {
			return err
		}
		size, args := s.growth(len(data), int64(len(data)), "COALESCE((SELECT size FROM inventories WHERE computer_id = ?), 0)", computer)
		_, err := tx.NewInsert().Model(&inventory{ComputerID: computer, Organization: s.organization, TakenAt: takenAt, Data: data}).
			Value("size", size, args...).On("CONFLICT (computer_id) DO UPDATE").
			Set("taken_at = EXCLUDED.taken_at").Set("data = EXCLUDED.data").Set("size = EXCLUDED.size").Exec(ctx)
		return err
	}))
}

// Inventory is what SaveInventory saved last. Errors: ErrNotFound.
func (s Computers) Inventory(ctx context.Context, computer string) (data []byte, err error) {
	var i inventory
	if err := s.rows(s.db, &i).Where("computer_id = ?", computer).Scan(ctx); err != nil {
		return nil, fmt.Errorf("inventory of %s: %w", computer, mapped(err))
	}
	return i.Data, nil
}
