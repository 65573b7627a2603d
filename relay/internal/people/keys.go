package people

import (
	"context"
	"fmt"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// MaxKeyLifetime is the longest time for which a key is good.
const MaxKeyLifetime = 2 * 365 * 24 * time.Hour

// APIKey is one of a person or a service account.
type APIKey struct {
	ID          string     `json:"id"`
	Person      Ref        `json:"person"`
	Name        string     `json:"name"`
	Permissions []string   `json:"permissions" nullable:"false" doc:"It is good for what is here and its owner has."`
	CreatedAt   time.Time  `json:"created_at"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	UsedAt      *time.Time `json:"used_at,omitempty" doc:"Exact to a minute."`
}

// NewAPIKey has what is told only once.
type NewAPIKey struct {
	APIKey
	Key string `json:"key" doc:"Told this once. Sent as Authorization: Bearer KEY."`
}

func keyOf(k store.APIKey) APIKey {
	may, _ := rights.Parse(k.Permissions)
	return APIKey{ID: k.ID, Person: Ref{"person", k.PersonID, k.PersonName}, Name: k.Name, Permissions: may.Words(),
		CreatedAt: at(k.CreatedAt), ExpiresAt: when(k.ExpiresAt), UsedAt: when(k.UsedAt)}
}

// Keys are a page of a person's or, without one, of the organization's.
func (p *People) Keys(ctx context.Context, who access.Identity, person string, r page.Request) (page.Page[APIKey], error) {
	rows, err := p.o.Store.Keys(who.Organization).List(ctx, person, r)
	return each(rows, err, keyOf)
}

// CreateKey makes one for a person: oneself, or a service account. Errors: ErrGives,
// store.ErrNotFound, store.ErrLimit, fault.Field.
func (p *People) CreateKey(ctx context.Context, who access.Identity, person, name string, words []string, lifetime time.Duration) (NewAPIKey, error) {
	name, err := nameOf("name", name)
	if err != nil {
		return NewAPIKey{}, err
	}
	may, err := permissions("permissions", words)
	if err != nil {
		return NewAPIKey{}, err
	}
	if may == 0 {
		return NewAPIKey{}, fault.Field("permissions", "choose what the key is good for")
	}
	if lifetime < 0 || lifetime > MaxKeyLifetime {
		return NewAPIKey{}, fault.Field("expires_in_hours", "a key is good for two years at most")
	}
	if person != who.PersonID {
		m, err := p.touch(ctx, who, person)
		if err != nil {
			return NewAPIKey{}, err
		}
		if m.Kind != store.ServiceKind {
			return NewAPIKey{}, fault.Field("person", "people make their keys themselves; choose a service account")
		}
	}
	if person != who.PersonID || who.KeyID != "" {
		if err := p.mayGive(ctx, who, may, access.Organization); err != nil {
			return NewAPIKey{}, err
		}
	}
	if err := p.noLongerThan(ctx, who, lifetime); err != nil {
		return NewAPIKey{}, err
	}
	text, hash := access.NewKey()
	row := store.APIKey{ID: store.NewID(), PersonID: person, PersonName: "", Name: name, TokenHash: hash, Permissions: may.String(), CreatedAt: p.now()}
	if lifetime > 0 {
		row.ExpiresAt = p.o.Now().Add(lifetime).UnixMilli()
	}
	by := who.Actor().Did(audit.KeyMade, "api_key", row.ID, "person", person, "name", name, "permissions", row.Permissions)
	keys := p.o.Store.Keys(who.Organization)
	if err := keys.Add(ctx, by, row); err != nil {
		return NewAPIKey{}, fmt.Errorf("make a key: %w", err)
	}
	if row, err = keys.Get(ctx, row.ID); err != nil {
		return NewAPIKey{}, fmt.Errorf("look up a key: %w", err)
	}
	return NewAPIKey{keyOf(row), text}, nil
}

// noLongerThan says a fault where a key would outlive the one that makes it.
func (p *People) noLongerThan(ctx context.Context, who access.Identity, lifetime time.Duration) error {
	if who.KeyID == "" {
		return nil
	}
	own, err := p.o.Store.Keys(who.Organization).Get(ctx, who.KeyID)
	if err != nil {
		return fmt.Errorf("look up a key: %w", err)
	}
	if own.ExpiresAt != 0 && (lifetime == 0 || p.o.Now().Add(lifetime).UnixMilli() > own.ExpiresAt) {
		return fault.Field("expires_in_hours", "a key that is made with a key ends no later than that one")
	}
	return nil
}

// RevokeKey makes a person's or, without one, anybody's key worthless. Errors:
// store.ErrNotFound, ErrGives.
func (p *People) RevokeKey(ctx context.Context, who access.Identity, person, id string) error {
	k, err := p.o.Store.Keys(who.Organization).Get(ctx, id)
	if err == nil && person != "" && k.PersonID != person {
		err = store.ErrNotFound
	}
	if err == nil {
		err = p.o.Store.Keys(who.Organization).Revoke(ctx, who.Actor().Did(audit.KeyRevoked, "api_key", id, "person", k.PersonID, "name", k.Name), person, id)
	}
	if err != nil {
		return fmt.Errorf("revoke a key: %w", err)
	}
	p.done(who, k.PersonID, audit.KeyRevoked)
	return nil
}
