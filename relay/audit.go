package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"oriel/relay/internal/audit"
	"oriel/relay/internal/config"
	"oriel/relay/internal/store"
)

// verifyAudit says of each organization's audit, or of one, whether it is whole.
func verifyAudit(ctx context.Context, c *config.Config, stdout io.Writer) (sound bool, err error) {
	s, a, err := openPeople(ctx, c)
	if err != nil {
		return false, err
	}
	defer s.Close()
	all, err := s.Upkeep().Audited(ctx)
	if c.Audit.Organization != "" {
		all, err = one(organization(ctx, s, c.Audit.Organization))
	}
	if err != nil {
		return false, err
	}
	sound = true
	for _, o := range all {
		r, err := audit.Verify(ctx, s, o, a.Signed, time.Now())
		if err != nil {
			return false, fmt.Errorf("read the audit of %s: %w", o, err)
		}
		sound = sound && len(r.Faults) == 0
		if _, err := fmt.Fprintln(stdout, said(r)); err != nil {
			return false, err
		}
	}
	return sound, nil
}

func one(o store.OrganizationID, err error) ([]store.OrganizationID, error) {
	return []store.OrganizationID{o}, err
}

// said is what a report says to a person.
func said(r audit.Report) string {
	text := fmt.Sprintf("%s: entries %d to %d", r.Organization, r.First, r.Last)
	if r.First == 0 {
		text = fmt.Sprintf("%s: no entries", r.Organization)
	}
	if r.Sealed != 0 {
		text += fmt.Sprintf("; signed up to %d at %s", r.Sealed, time.UnixMilli(r.SealedAt).UTC().Format(time.RFC3339))
	}
	if len(r.Faults) == 0 {
		return text + "; nothing was altered or lost"
	}
	text += "; it was altered:"
	for _, fault := range r.Faults {
		text += "\n  " + fault
	}
	return text
}

// exportAudit prints an organization's audit.
func exportAudit(ctx context.Context, c *config.Config, stdout io.Writer) error {
	s, _, err := openPeople(ctx, c)
	if err != nil {
		return err
	}
	defer s.Close()
	o, err := organization(ctx, s, c.Audit.Organization)
	if err != nil {
		return err
	}
	log, as := audit.New(audit.Options{Store: s}), audit.Format(c.Audit.Format)
	if err := log.Exported(ctx, o, audit.Command, as); err != nil {
		return err
	}
	return log.Export(ctx, o, audit.Filter{}, as, stdout)
}
