package store_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"strings"
	"testing"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// filled is a database as the relay of the schema 0020 wrote it: rows in every table.
func filled(t *testing.T) map[string][]map[string]any {
	t.Helper()
	text, err := os.ReadFile("testdata/0020.json")
	must(t, err)
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var all map[string][]map[string]any
	must(t, d.Decode(&all))
	for table, rows := range all {
		if len(rows) == 0 {
			t.Fatalf("no rows of %s", table)
		}
		for _, row := range rows {
			for name, value := range row {
				switch v := value.(type) {
				case map[string]any:
					if row[name], err = hex.DecodeString(v["bytes"].(string)); err != nil {
						t.Fatal(err)
					}
				case json.Number:
					if row[name], err = v.Int64(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	return all
}

// Rule: the migrations lose nothing of a filled database, up, down and up again; who
// owned the relay owns the first organization and signs in as before.
func TestMigrateAFilledDatabase(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		must(t, s.MigrateTo(t, "0020"))
		s.Load(t, filled(t))
		before := s.Everything(t)
		must(t, s.Migrate(t.Context()))
		people := func() {
			t.Helper()
			p, err := s.People().ByIdentifier(t.Context(), store.Email, "", "olivia@example.com")
			if err != nil || p.Kind != store.PersonKind || p.State != store.Active || p.PasswordHash != "$argon2id$x" {
				t.Fatalf("%+v, %v", p, err)
			}
			m, err := s.Members(store.FirstOrganization).Get(t.Context(), p.ID)
			if err != nil || m.Role != store.RoleOwner || m.State != store.Active || m.Email != "Olivia@Example.com" {
				t.Fatalf("%+v, %v", m, err)
			}
			if has, err := s.People().HasOwner(t.Context()); err != nil || !has {
				t.Fatal(has, err)
			}
			in, err := s.SignIns().Of(t.Context(), p.ID)
			if err != nil || len(in) != 2 || in[0].Organization != store.FirstOrganization {
				t.Fatalf("%+v, %v", in, err)
			}
			keys, err := s.People().KnownKeys(t.Context(), p.ID)
			if err != nil || len(keys) != 1 {
				t.Fatalf("%+v, %v", keys, err)
			}
		}
		people()
		up := s.Everything(t)
		must(t, s.MigrateTo(t, "0020"))
		if down := s.Everything(t); !maps.Equal(before, down) {
			t.Errorf("down again there is another database:\n%v\n%v", before, down)
		}
		must(t, s.Migrate(t.Context()))
		if again := s.Everything(t); !maps.Equal(up, again) {
			t.Errorf("up again there is another database:\n%v\n%v", up, again)
		}
		people()
		// From before scopes and organizations, too; there was no audit.
		must(t, s.MigrateTo(t, "0017"))
		must(t, s.Migrate(t.Context()))
		people()
		for table, rows := range s.Everything(t) {
			if !strings.HasPrefix(table, "audit") && strings.Count(rows, "\n") != strings.Count(up[table], "\n") {
				t.Errorf("from 0017 there are other rows of %s:\n%s\n%s", table, up[table], rows)
			}
		}
	})
}

// Rule: a relay of the schema before refuses a database of this one.
func TestThePreviousRelayRefuses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		if _, err := s.PendingOf(t, "0020"); !errors.Is(err, store.ErrNewerSchema) {
			t.Fatal(err)
		}
	})
}

// Rule: the way down is refused, with a sentence, while there is what the older schema
// cannot hold, and nothing of it is lost.
func TestTheWayDownIsRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for _, c := range []struct{ make, undo, says string }{
			{"INSERT INTO organizations (id, name, code, created_at) VALUES ('x', 'x', 'x', 1)", "DELETE FROM organizations WHERE id = 'x'", "one organization"},
			{"INSERT INTO people (id, kind, name, password_hash, state, created_at) VALUES ('x', 'person', 'x', '', 'active', 1)", "DELETE FROM people WHERE id = 'x'", "one e-mail address each"},
			{"INSERT INTO teams (organization, id, name, created_at) VALUES ('x', 'x', 'x', 1)", "DELETE FROM teams", "no teams"},
			{`INSERT INTO "groups" (organization, id, parent_id, name, path, created_at) VALUES ('x', 'x', '', 'x', '/x/', 1)`, `DELETE FROM "groups"`, "no groups"},
			{"INSERT INTO quotas (organization, kind, most) VALUES ('x', 'people', 1)", "DELETE FROM quotas", "no quotas"},
			{"INSERT INTO fields (organization, id, name, created_at) VALUES ('x', 'x', 'x', 1)", "DELETE FROM fields", "no fields"},
		} {
			s.Run(t, c.make)
			before := s.Everything(t)
			err := s.MigrateTo(t, "0020")
			if !errors.Is(err, store.ErrLoss) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("with what %q says: %v", c.says, err)
			}
			if strings.Compare(before["people"], s.Everything(t)["people"]) != 0 || before["teams"] != s.Everything(t)["teams"] {
				t.Error("it changed something")
			}
			s.Run(t, c.undo)
			must(t, s.Migrate(t.Context()))
		}
		must(t, s.MigrateTo(t, "0020"))
	})
}
