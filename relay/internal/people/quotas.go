package people

import (
	"context"
	"fmt"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/store"
)

// Use is how much of something an organization has, and may have.
type Use struct {
	Used  int64  `json:"used"`
	Limit *int64 `json:"limit,omitempty" doc:"That its quota allows; absent: any number."`
}

// Quotas of an organization; the store says what counts. The rooms that create are
// refused by the store (store.ErrQuota), so that nothing asks here before.
type Quotas struct {
	Computers   *Use `json:"computers,omitempty" doc:"Enrolled ones."`
	People      *Use `json:"people,omitempty" doc:"Members, active or not, and service accounts."`
	Sessions    *Use `json:"sessions,omitempty" doc:"That run."`
	Storage     *Use `json:"storage,omitempty" doc:"Bytes of previews and inventories. Journal and audit are never refused, and do not count."`
	Invitations *Use `json:"invitations,omitempty" doc:"Of members, that can be taken up."`
}

// Limits are the quotas as they are set.
type Limits struct {
	Computers   *int64 `json:"computers,omitempty" minimum:"0" maximum:"1125899906842624" doc:"Absent, as each of these: any number."`
	People      *int64 `json:"people,omitempty" minimum:"0" maximum:"1125899906842624" doc:"With service accounts."`
	Sessions    *int64 `json:"sessions,omitempty" minimum:"0" maximum:"1125899906842624" doc:"That run at once."`
	Storage     *int64 `json:"storage,omitempty" minimum:"0" maximum:"1125899906842624" doc:"Bytes."`
	Invitations *int64 `json:"invitations,omitempty" minimum:"0" maximum:"1125899906842624" doc:"That can be taken up."`
}

// Of is the limit of a kind, to be set.
func (l *Limits) Of(kind store.Quota) **int64 {
	return map[store.Quota]**int64{store.QuotaComputers: &l.Computers, store.QuotaPeople: &l.People, store.QuotaSessions: &l.Sessions,
		store.QuotaStorage: &l.Storage, store.QuotaInvitations: &l.Invitations}[kind]
}

// Of is the use of a kind, to be set.
func (q *Quotas) Of(kind store.Quota) **Use {
	return map[store.Quota]**Use{store.QuotaComputers: &q.Computers, store.QuotaPeople: &q.People, store.QuotaSessions: &q.Sessions,
		store.QuotaStorage: &q.Storage, store.QuotaInvitations: &q.Invitations}[kind]
}

// Quotas are those of an organization, and what it uses of them. Errors: store.ErrNotFound.
func (p *People) Quotas(ctx context.Context, o store.OrganizationID) (Quotas, error) {
	rows, err := p.o.Store.Quotas(o).Use(ctx, p.now())
	if err != nil {
		return Quotas{}, fmt.Errorf("look up quotas: %w", err)
	}
	var q Quotas
	for _, row := range rows {
		*q.Of(row.Kind) = &Use{row.Used, row.Most}
	}
	return q, nil
}

// SetQuotas replaces those of an organization; who operates the relay. What is there
// already stays. Errors: store.ErrNotFound, fault.Field.
func (p *People) SetQuotas(ctx context.Context, who access.Identity, o store.OrganizationID, l Limits) (Quotas, error) {
	most := map[store.Quota]int64{}
	for _, kind := range store.AllQuotas {
		if n := *l.Of(kind); n != nil {
			most[kind] = *n
		}
	}
	by := who.Actor().Did(audit.QuotasSet, "organization", string(o))
	by.Organization = who.Organization
	if err := p.o.Store.Quotas(o).Set(ctx, by, most); err != nil {
		return Quotas{}, fmt.Errorf("set quotas: %w", err)
	}
	return p.Quotas(ctx, o)
}
