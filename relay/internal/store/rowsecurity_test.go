package store_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/uptrace/bun"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: on PostgreSQL each table with a column organization has row-level security, also
// for its owner; one that a later migration makes gets it, too.
func TestEachTableOfAnOrganizationIsSecured(t *testing.T) {
	s := storetest.Open(t, storetest.PostgreSQL(t))
	secured := func() []string {
		t.Helper()
		var tables []string
		err := s.Unscoped().NewRaw("SELECT table_name FROM information_schema.columns WHERE table_schema = current_schema() AND column_name = 'organization'").Scan(t.Context(), &tables)
		must(t, err)
		for _, table := range tables {
			var well bool
			must(t, s.Unscoped().NewRaw(`SELECT c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (SELECT 1 FROM pg_policies AS p
				WHERE p.schemaname = current_schema() AND p.tablename = c.relname AND p.policyname = 'organization' AND p.cmd = 'ALL'
				AND p.permissive = 'PERMISSIVE' AND p.roles = '{public}') FROM pg_class AS c WHERE c.oid = CAST(? AS regclass)`, `"`+table+`"`).Scan(t.Context(), &well))
			if !well {
				t.Errorf("table %s has no row-level security", table)
			}
		}
		return tables
	}
	before := secured()
	if len(before) < 20 {
		t.Errorf("only %q have an organization", before)
	}
	s.Run(t, "CREATE TABLE later (organization TEXT NOT NULL)")
	must(t, s.Migrate(t.Context()))
	if after := secured(); len(after) != len(before)+1 {
		t.Errorf("%q have an organization, want one more than %q", after, before)
	}
}

// Rule: an organization sees the e-mail addresses of its members, and of nobody else.
func TestEmailsAreOfMembers(t *testing.T) {
	s := storetest.Open(t, storetest.PostgreSQL(t))
	for _, o := range []store.OrganizationID{"mine", "theirs"} {
		s.AddOrganization(t, o)
		person := "person of " + string(o)
		must(t, s.Members(o).AddPerson(t.Context(), entry("x"), store.Member{Role: store.RoleOwner, State: store.Active}, store.Person{ID: person, Name: person},
			store.Identifier{Kind: store.Email, Key: person, Text: person}))
	}
	for o, sees := range map[store.OrganizationID]string{"mine": "person of mine", "theirs": "person of theirs", "": "", "neither": ""} {
		var keys []string
		must(t, store.Within(s, o).NewRaw("SELECT key FROM identifiers").Scan(t.Context(), &keys))
		if strings.Join(keys, " ") != sees {
			t.Errorf("%q sees %q", o, keys)
		}
	}
	r, err := store.Within(s, "mine").NewRaw("UPDATE identifiers SET verified_at = 9").Exec(t.Context())
	must(t, err)
	if n, err := r.RowsAffected(); n != 0 || err != nil {
		t.Errorf("it changed %d, %v: they are of the relay", n, err)
	}
}

// Rule: pg_dump by the relay's own role, as the relay says to call it, saves all rows, and
// what it saved comes back with row-level security on it.
func TestDumpHasTheRowsOfAll(t *testing.T) {
	address, again := storetest.PostgreSQL(t), storetest.EmptyPostgreSQL(t)
	s := storetest.Open(t, address)
	fill(t, s, "mine")
	fill(t, s, "theirs")
	file := filepath.Join(t.TempDir(), "dump")
	for _, c := range []*exec.Cmd{
		exec.Command("pg_dump", "--enable-row-security", "-Fc", "-f", file, address),
		exec.Command("pg_restore", "--exit-on-error", "--no-owner", "-d", again, file),
	} {
		c.Env = append(os.Environ(), "PGOPTIONS=-c oriel.organization=*")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", c.Args, err, out)
		}
	}
	if before, after := s.Everything(t), storetest.Open(t, again).Everything(t); !maps.Equal(before, after) {
		t.Errorf("there is\n%v\nwant\n%v", after, before)
	}
	var n int
	must(t, storetest.Open(t, again).Unscoped().NewRaw("SELECT count(*) FROM sessions").Scan(t.Context(), &n))
	if n != 0 {
		t.Errorf("without an organization there are %d rows", n)
	}
}

// Rule: under row-level security the mails of an address are counted by an index.
func TestMailsAreCountedByAnIndex(t *testing.T) {
	s := storetest.Open(t, storetest.PostgreSQL(t))
	var plan []string
	must(t, s.Everybody().RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.ExecContext(ctx, "SET LOCAL enable_seqscan = off"); err != nil { // there are no rows
			return err
		}
		return tx.NewRaw("EXPLAIN SELECT count(*) FROM mails WHERE LOWER(recipient) = LOWER('x') AND created_at > 1").Scan(ctx, &plan)
	}))
	if text := strings.Join(plan, "\n"); !strings.Contains(text, "mails_created") || !strings.Contains(text, "Index Cond: (created_at") {
		t.Error(text)
	}
}

var errTakenBack = errors.New("taken back")

// Rule: without any condition, statements of a handle of one organization see and change
// its own rows only, and add none to another; those of no handle see none at all.
func TestRowSecurityIsASecondWall(t *testing.T) {
	s := storetest.Open(t, storetest.PostgreSQL(t))
	if unbound, err := s.Unbound(t.Context()); err != nil || unbound != "" {
		t.Fatal(unbound, err)
	}
	fill(t, s, "mine")
	fill(t, s, "theirs")
	mine, _ := s.Owned(t, "mine")
	theirs, _ := s.Owned(t, "theirs")
	for table, rows := range theirs {
		t.Run(table, func(t *testing.T) {
			name, ctx := bun.Ident(table), t.Context()
			if rows == "[]" || mine[table] == "[]" {
				t.Fatal("nothing is in it: let fill write a row")
			}
			for o, sees := range map[store.OrganizationID]string{"mine": "mine", "theirs": "theirs", "neither": "", "": "", "*": "", "mine' OR 'x' = 'x": ""} {
				var organizations []string
				must(t, store.Within(s, o).NewRaw("SELECT DISTINCT organization FROM ? WHERE organization <> ''", name).Scan(ctx, &organizations))
				if strings.Join(organizations, " ") != sees {
					t.Errorf("%q sees rows of %q", o, organizations)
				}
			}
			for _, change := range []string{"UPDATE ? SET organization = organization", "DELETE FROM ?"} {
				var n, left int64
				err := store.Within(s, "mine").RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
					r, err := tx.NewRaw(change, name).Exec(ctx)
					if err != nil {
						return err
					}
					n, err = r.RowsAffected()
					if err == nil {
						err = s.Everybody().NewRaw("SELECT count(*) FROM ? WHERE organization = 'mine'", name).Scan(ctx, &left)
					}
					return errors.Join(err, errTakenBack)
				})
				if !errors.Is(err, errTakenBack) || n != left {
					t.Errorf("%s: %d of the %d own rows, %v", change, n, left, err)
				}
			}
			_, err := store.Within(s, "mine").NewRaw("UPDATE ? SET organization = 'theirs'", name).Exec(ctx)
			refused(t, "giving a row to another", err)
			var columns []string
			must(t, s.Unscoped().NewRaw("SELECT quote_ident(column_name) FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = ? ORDER BY ordinal_position", table).Scan(ctx, &columns))
			as := slices.Clone(columns)
			as[slices.Index(as, "organization")] = "'theirs'"
			_, err = store.Within(s, "mine").NewRaw(fmt.Sprintf("INSERT INTO ? (%s) SELECT %s FROM ?", strings.Join(columns, ", "), strings.Join(as, ", ")), name, name).Exec(ctx)
			refused(t, "adding a row to another", err)
			now, _ := s.Owned(t, "theirs")
			if now[table] != rows {
				t.Errorf("changed to %s from %s", now[table], rows)
			}
		})
	}
}

func refused(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "row-level security") {
		t.Errorf("%s: %v", what, err)
	}
}

// Rule: a connection that goes back to the pool is in no organization's scope, whether its
// transaction was committed, taken back or failed, and a transaction is in its own again
// after a statement in another.
func TestScopeEndsWithItsStatement(t *testing.T) {
	s, err := store.Open(t.Context(), storetest.PostgreSQL(t), store.Options{Connections: 1})
	must(t, err)
	defer s.Close()
	ctx := t.Context()
	s.AddOrganization(t, "mine")
	s.AddOrganization(t, "theirs")
	must(t, s.Roles("mine").Add(ctx, entry("x"), store.Role{ID: "a role"}))
	must(t, s.Roles("theirs").Add(ctx, entry("x"), store.Role{ID: "a role"}))
	count := func(db bun.IConn) (n int) {
		t.Helper()
		must(t, s.Unscoped().NewRaw("SELECT count(*) FROM roles").Conn(db).Scan(ctx, &n))
		return n
	}
	none := func(after string) {
		t.Helper()
		if n := count(s.Unscoped()); n != 0 {
			t.Errorf("after %s no organization's connection sees %d rows", after, n)
		}
	}
	if n := count(store.Within(s, "mine")); n != 1 {
		t.Errorf("a statement sees %d rows", n)
	}
	none("a statement")
	for _, end := range []string{"SELECT 1", "SELECT 1/0"} {
		_ = store.Within(s, "mine").RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
			if mine, all, again := count(tx), count(s.EverybodyOn(tx)), count(tx); mine != 1 || all != 2 || again != 1 {
				t.Errorf("a transaction sees %d rows, in the scope of all %d, and then %d", mine, all, again)
			}
			r, err := s.Unscoped().NewRaw("UPDATE roles SET name = 'x'").Conn(s.EverybodyOn(tx)).Exec(ctx)
			must(t, err)
			if n, err := r.RowsAffected(); n != 2 || err != nil {
				t.Errorf("%d rows changed, %v", n, err)
			}
			_, err = tx.ExecContext(ctx, end)
			return err
		})
		none("a transaction with " + end)
	}
	if _, err := store.Within(s, "mine").NewRaw("SELECT 1/0").Exec(ctx); err == nil {
		t.Error("no error")
	}
	none("a statement that fails")
}

// Rule: what reaches the rows of all organizations is in this list, with its reason in the
// code.
func TestWholeRelayIsAskedForHere(t *testing.T) {
	want := map[string]int{
		"Store.SignIns": 1, "Store.Nodes": 1, "Store.Agents": 1, "Store.Upkeep": 1, "Store.Outbox": 1, "Store.indexAll": 1,
		"People.ByIdentifier": 1, "People.Logins": 1, "People.Identifiers": 1, "People.RemoveIdentifier": 1,
		"People.ByKey": 1, "People.Invitation": 1, "People.Memberships": 1, "People.ofPerson": 1, "People.Recover": 1, "People.SetPassword": 1,
		"Organizations.Create": 1, "Confirmations.SignUp": 1, "Secrets.Rotate": 1,
		"database.addIdentifier": 1, "Members.add": 1, "database.queueing": 1,
	}
	got := map[string]int{}
	set := gotoken.NewFileSet()
	names, err := filepath.Glob("*.go")
	must(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, 0)
		must(t, err)
		for _, d := range file.Decls {
			fn, is := d.(*ast.FuncDecl)
			if !is {
				continue
			}
			name := fn.Name.Name
			if fn.Recv != nil {
				on := fn.Recv.List[0].Type
				if star, is := on.(*ast.StarExpr); is {
					on = star.X
				}
				name = fmt.Sprint(on) + "." + name
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if door, is := n.Fun.(*ast.SelectorExpr); is && door.Sel.Name == "wholeRelay" {
						got[name]++
						why, is := n.Args[0].(*ast.BasicLit)
						if !is || len(strings.Fields(why.Value)) < 4 {
							t.Errorf("%s: say why, in words", set.Position(n.Pos()))
						}
					}
				case *ast.Ident: // the scope itself, past the door
					if n.Name == "allOrganizations" && !slices.Contains([]string{"engine.within", "engine.wholeRelay", "Store.migrating"}, name) {
						t.Errorf("%s: only the door and the migrations name this scope", set.Position(n.Pos()))
					}
				}
				return true
			})
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("the whole relay is asked for in %v,\nwant %v", got, want)
	}
}

// Rule: the store tells who connects as a role that row-level security does not bind, and
// what to do.
func TestUnbound(t *testing.T) {
	address := storetest.PostgreSQL(t)
	s, err := store.Open(t.Context(), storetest.AsSuperuser(address), store.Options{NoMigrate: true})
	must(t, err)
	defer s.Close()
	if said, err := s.Unbound(t.Context()); !strings.Contains(said, `role "postgres"`) || !strings.Contains(said, "make a role") || err != nil {
		t.Errorf("of a superuser it says %q, %v", said, err)
	}
	if said, err := storetest.Open(t, storetest.SQLite(t)).Unbound(t.Context()); said != "" || err != nil {
		t.Errorf("of SQLite it says %q, %v", said, err)
	}
}
