package store

import (
	"context"
	"slices"
	"strings"

	"github.com/uptrace/bun"
)

// RelaySettings hold for the whole relay. The zero value is a new relay's.
type RelaySettings struct {
	// SignUp lets anybody make an account with an organization of its own.
	SignUp bool
	// StaffDomains are of the e-mail addresses that only members of the first
	// organization sign in with; as identifier.CheckDomain has them.
	StaffDomains []string
}

// Bounds of RelaySettings.
const (
	MaxStaffDomains = 64
	maxSetting      = 32 << 10
)

// Names of the rows.
const (
	signUpSetting       = "sign_up"
	staffDomainsSetting = "staff_domains"
)

type relaySetting struct {
	bun.BaseModel `bun:"table:relay_settings"`

	Name  string `bun:",pk"`
	Value string
}

// Settings are those of the relay.
func (s Relay) Settings(ctx context.Context) (RelaySettings, error) {
	r, err := readSettings(ctx, s.db)
	return r, mapped(err)
}

func readSettings(ctx context.Context, db bun.IDB) (r RelaySettings, err error) {
	var rows []relaySetting
	err = db.NewSelect().Model(&rows).Scan(ctx)
	for _, row := range rows {
		switch row.Name {
		case signUpSetting:
			r.SignUp = row.Value == "open"
		case staffDomainsSetting:
			r.StaffDomains = strings.Fields(row.Value)
		}
	}
	return r, err
}

// SetSettings changes those that are not nil. Errors: fault.Field.
func (s Relay) SetSettings(ctx context.Context, by Entry, signUp *bool, staffDomains []string) error {
	var rows []relaySetting
	if signUp != nil {
		word := map[bool]string{true: "open", false: "closed"}[*signUp]
		rows, by = append(rows, relaySetting{Name: signUpSetting, Value: word}), by.With("sign_up", word)
	}
	if staffDomains != nil {
		staffDomains = slices.Compact(slices.Sorted(slices.Values(staffDomains)))
		rows = append(rows, relaySetting{Name: staffDomainsSetting, Value: strings.Join(staffDomains, " ")})
	}
	for _, row := range rows {
		if err := bounded(text{row.Name, row.Value, maxSetting}); err != nil {
			return err
		}
	}
	return s.change(ctx, FirstOrganization, by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		if len(rows) == 0 {
			return errUnchanged
		}
		before, err := readSettings(ctx, tx)
		if err != nil {
			return err
		}
		if last := rows[len(rows)-1]; last.Name == staffDomainsSetting {
			old := strings.Join(before.StaffDomains, " ")
			*by = by.With("staff_domains_added", without(last.Value, old)).With("staff_domains_removed", without(old, last.Value))
		}
		_, err = tx.NewInsert().Model(&rows).On("CONFLICT (name) DO UPDATE").Set("value = EXCLUDED.value").Exec(ctx)
		return err
	})
}
