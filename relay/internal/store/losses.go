package store

import (
	"context"
	"errors"
	"strings"

	"github.com/uptrace/bun"
)

// losses are those of the down migrations that refuse, with a sentence, a database that
// holds what the older schema cannot.
var losses = map[string]func(ctx context.Context, db *bun.DB) error{"0021": lossesOf0021, "0024": lossesOf0024, "0027": lossesOf0027}

// ErrLoss: what the older schema cannot hold would be lost.
var ErrLoss = errors.New("the older relay cannot hold what is in this database")

// loss is a query that finds what would be lost, and what is said then.
type loss struct{ found, sentence string }

func lossesOf0024(ctx context.Context, db *bun.DB) error {
	return lost(ctx, db, loss{`SELECT 1 FROM quotas`, "it keeps to no quotas; set all to unlimited first"})
}

func lossesOf0027(ctx context.Context, db *bun.DB) error {
	return lost(ctx, db, []loss{
		{`SELECT 1 FROM computers WHERE tags <> '' OR comment <> ''`, "it knows no tags and no comments of computers; remove them first"},
		{`SELECT 1 FROM fields`, "it knows no fields of an organization's own; remove them first"},
		{`SELECT 1 FROM pins UNION ALL SELECT 1 FROM views`, "it knows no pinned computers and no saved views; remove them first"},
	}...)
}

func lossesOf0021(ctx context.Context, db *bun.DB) error {
	return lost(ctx, db, []loss{
		{`SELECT 1 FROM organizations WHERE id <> '00000000-0000-7000-8000-000000000001'`, "it knows one organization, and there are more; remove the others first"},
		{`SELECT 1 FROM organizations WHERE settings <> '{}' OR code <> 'main'`, "it knows no settings and no code of an organization; set the code to main and the settings to nothing first"},
		{`SELECT 1 FROM people WHERE kind <> 'person'`, "it knows no service accounts; remove them first"},
		{`SELECT 1 FROM people WHERE state <> 'active' UNION ALL SELECT 1 FROM members WHERE state <> 'active'`, "it knows no inactive people; remove them first"},
		{`SELECT 1 FROM people AS p WHERE (SELECT count(*) FROM identifiers AS i WHERE i.person_id = p.id AND i.kind = 'email') <> 1`,
			"it knows people with one e-mail address each, and somebody has none or several; change that first"},
		{`SELECT 1 FROM identifiers WHERE kind <> 'email'`, "it knows no user names and numbers; remove them first"},
		{`SELECT 1 FROM identifiers WHERE verified_at = 0`, "it knows no unconfirmed e-mail addresses; confirm or remove them first"},
		{`SELECT 1 FROM people AS p WHERE NOT EXISTS (SELECT 1 FROM members AS m WHERE m.person_id = p.id AND m.role = 'owner')`,
			"it knows owners only, and there are people with another role or none; make them owners or remove them first"},
		{`SELECT 1 FROM member_invitations`, "it knows no invitations; revoke them first"},
		{`SELECT 1 FROM roles`, "it knows no roles of an organization's own; remove them first"},
		{`SELECT 1 FROM teams`, "it knows no teams; remove them first"},
		{`SELECT 1 FROM "groups"`, "it knows no groups; remove them first"},
		{`SELECT 1 FROM grants`, "it knows no grants; revoke them first"},
		{`SELECT 1 FROM policies`, "it knows no policies; it cannot keep to them"},
		{`SELECT 1 FROM api_keys`, "it knows no API keys; revoke them first"},
	}...)
}

func lost(ctx context.Context, db *bun.DB, all ...loss) error {
	var said []string
	for _, loss := range all {
		var there bool
		if err := db.NewRaw("SELECT EXISTS ("+loss.found+")").Scan(ctx, &there); err != nil {
			return mapped(err)
		}
		if there {
			said = append(said, loss.sentence)
		}
	}
	if len(said) > 0 {
		return errors.Join(ErrLoss, errors.New(strings.Join(said, "; ")))
	}
	return nil
}
