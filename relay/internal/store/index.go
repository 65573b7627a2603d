package store

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/uptrace/bun"
	"golang.org/x/text/collate"
	"golang.org/x/text/language"
)

// computerIndex is by what the list of computers is sorted and searched. It is made
// here and not by the databases, so that both sort alike and know the letters of all
// scripts. Whoever writes what it is made from calls index.
type computerIndex struct {
	bun.BaseModel `bun:"table:computer_index,alias:x"`

	Organization OrganizationID
	ComputerID   string
	Version      int64
	AddedAt      int64
	NameKey      []byte // sorts as people do: without case, numbers by their value
	AddressKey   []byte // 1 and the 16 bytes of the address; of none: 2
	OSKey        []byte `bun:"os_key"` // 1 and the system with its name; of none: 2
	AgentKey     []byte // of the agent's version; another one for each
	Words        string // one thing a line, in lower case
}

// indexVersion of the rows that this relay makes. Those of another are made anew at its
// start: raise it with what indexOf does, and with the tables of x/text.
const indexVersion = 1

// maxKey is how many bytes of a name decide its place; the rest of two very long ones
// is as if it were the same.
const maxKey = 512

// collators are not for several goroutines at once.
var collators = sync.Pool{New: func() any { return collate.New(language.Und, collate.IgnoreCase, collate.Numeric) }}

// collated is a key that sorts before what begins with the byte 0xFF.
func collated(s string) []byte {
	c := collators.Get().(*collate.Collator)
	defer collators.Put(c)
	key := c.KeyFromString(&collate.Buffer{}, s)
	return append(make([]byte, 0, maxKey), key[:min(len(key), maxKey)]...)
}

// distinct is collated for what stands together in a list: two that people take for the
// same have keys beside each other.
func distinct(s, id string) []byte { return append(append(collated(s), 0), id...) }

// indexed are the columns of computers that indexOf reads.
var indexed = []string{"id", "organization", "name", "host_name", "os", "os_name", "user_name", "address", "addresses", "tags", "agent_version", "added_at"}

func indexOf(c Computer, values ...string) computerIndex {
	words := append([]string{c.DisplayName(), c.HostName, c.OSName, c.UserName, c.Address, c.Addresses, c.Tags}, values...)
	x := computerIndex{Organization: c.Organization, ComputerID: c.ID, Version: indexVersion, AddedAt: c.AddedAt, NameKey: collated(c.DisplayName()),
		AddressKey: []byte{2}, OSKey: []byte{2}, AgentKey: distinct(c.AgentVersion, c.AgentVersion), Words: strings.ToLower(strings.Join(words, "\n"))}
	if a, err := netip.ParseAddr(c.Address); err == nil {
		bytes := a.As16()
		x.AddressKey = append([]byte{1}, bytes[:]...)
	}
	if c.OS != "" || c.OSName != "" {
		x.OSKey = append([]byte{1}, collated(c.OS+" "+c.OSName)...)
	}
	return x
}

// index brings the rows of these computers into line with what is known of them.
func (s *database) index(ctx context.Context, tx bun.Tx, ids ...string) error {
	rows, err := indexRows(ctx, tx, ids...)
	if err != nil || len(rows) == 0 {
		return err
	}
	q := tx.NewInsert().Model(&rows).On("CONFLICT (computer_id) DO UPDATE")
	var other []string
	for _, column := range []string{"organization", "version", "added_at", "name_key", "address_key", "os_key", "agent_key", "words"} {
		q = q.Set(column + " = EXCLUDED." + column)
		other = append(other, "x."+column+" <> EXCLUDED."+column)
	}
	_, err = q.Where(strings.Join(other, " OR ")).Exec(ctx)
	return err
}

// indexRows are those of the computers of these ids, or of all without any.
func indexRows(ctx context.Context, db bun.IDB, ids ...string) ([]computerIndex, error) {
	var all []Computer
	var values []fieldValue
	computers, noted := db.NewSelect().Model(&all).Column(indexed...).Order("c.id"), db.NewSelect().Model(&values).Order("computer_id", "field_id")
	if len(ids) > 0 {
		computers, noted = computers.Where("c.id IN (?)", bun.List(ids)), noted.Where("computer_id IN (?)", bun.List(ids))
	}
	err := computers.Scan(ctx)
	if err == nil {
		err = noted.Scan(ctx)
	}
	if err != nil {
		return nil, err
	}
	of := map[string][]string{}
	for _, v := range values {
		of[v.ComputerID] = append(of[v.ComputerID], v.Value)
	}
	rows := make([]computerIndex, len(all))
	for i, c := range all {
		rows[i] = indexOf(c, of[c.ID]...)
	}
	return rows, nil
}

// indexAtOnce is how many computers one statement indexes.
const indexAtOnce = 500

// indexAll makes the rows that another version made, or none, and the keys of groups.
func (s *Store) indexAll(ctx context.Context) error {
	whole := s.wholeRelay("the computers of all organizations are indexed alike")
	for left := true; left; {
		err := whole.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
			var ids []string
			err := tx.NewSelect().Model((*Computer)(nil)).Column("c.id").
				Join("LEFT JOIN computer_index AS x ON x.computer_id = c.id").
				Where("x.version IS NULL OR x.version <> ?", indexVersion).Order("c.id").Limit(indexAtOnce).Scan(ctx, &ids)
			if left = len(ids) == indexAtOnce; err != nil || len(ids) == 0 {
				return err
			}
			return whole.index(ctx, tx, ids...)
		})
		if err != nil {
			return err
		}
	}
	return whole.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		var groups []Group
		if err := tx.NewSelect().Model(&groups).Where("length(sort_key) = 0").Scan(ctx); err != nil {
			return err
		}
		for _, g := range groups {
			if _, err := tx.NewUpdate().Model((*Group)(nil)).Set("sort_key = ?", g.sortKey()).Where("organization = ? AND id = ?", g.Organization, g.ID).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// containing keeps the rows of computer_index x whose words have a word in them, whatever
// its case. Three letters and more are found by an index.
func (s *database) containing(q *bun.SelectQuery, word string) *bun.SelectQuery {
	word = strings.ToLower(word)
	if s.kind == SQLite && utf8.RuneCountInString(word) >= 3 {
		return q.Where(`x."number" IN (SELECT rowid FROM computer_words WHERE words MATCH ?)`, `"`+strings.ReplaceAll(word, `"`, `""`)+`"`)
	}
	return q.Where(`x.words LIKE ? ESCAPE '\'`, like(word))
}
