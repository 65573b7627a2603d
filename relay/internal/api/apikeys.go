package api

import (
	"context"
	"net/http"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/people"
	"oriel/relay/internal/rights"
)

type apiKeysIn struct {
	ListIn
	Sort string `query:"sort" enum:"name,-name,created_at,-created_at,used_at,-used_at" default:"-created_at"`
}

// APIKeyWish is what is asked for a key.
type APIKeyWish struct {
	Name           string   `json:"name" maxLength:"128"`
	Permissions    []string `json:"permissions" minItems:"1" maxItems:"64" doc:"What it is good for, as far as its owner has it."`
	ExpiresInHours int      `json:"expires_in_hours,omitempty" minimum:"0" maximum:"17520" default:"2160" doc:"0: never."`
}

func (b APIKeyWish) lifetime() time.Duration { return time.Duration(b.ExpiresInHours) * time.Hour }

type ownAPIKeyIn struct {
	KeyIn
	Body APIKeyWish
}

type serviceAPIKeyIn struct {
	KeyIn
	Body struct {
		APIKeyWish
		Person string `json:"person" maxLength:"64" doc:"Id of a service account."`
	}
}

func (a *API) apiKeys() {
	of := tag("keys")
	operation(a, "GET", "/me/api-keys", "listOwnAPIKeys", "The caller's keys for this API, in this organization", a.listOwnAPIKeys, of)
	operation(a, "POST", "/me/api-keys", "createOwnAPIKey", "Make a key of one's own", a.createOwnAPIKey, of, status(http.StatusCreated))
	operation(a, "DELETE", "/me/api-keys/{id}", "revokeOwnAPIKey", "Make a key of one's own worthless at once", a.revokeOwnAPIKey, of, status(http.StatusNoContent))
	operation(a, "GET", "/api-keys", "listAPIKeys", "All keys of the organization", a.listAPIKeys, of)
	operation(a, "POST", "/api-keys", "createAPIKey", "Make a key for a service account", a.createAPIKey, of, status(http.StatusCreated))
	operation(a, "DELETE", "/api-keys/{id}", "revokeAPIKey", "Make anybody's key worthless at once", a.revokeAPIKey, of, status(http.StatusNoContent))
}

func (a *API) listOwnAPIKeys(ctx context.Context, in *apiKeysIn) (*listOut[people.APIKey], error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	return paged(a.o.People.Keys(ctx, who, who.PersonID, in.request(in.Sort)))
}

func (a *API) createOwnAPIKey(ctx context.Context, in *ownAPIKeyIn) (*created[people.NewAPIKey], error) {
	if err := a.require(ctx, rights.API, access.Organization); err != nil {
		return nil, err
	}
	who := callerOf(ctx).who
	return once(ctx, a, in.Key, in.Body, func(ctx context.Context) (people.NewAPIKey, error) {
		return a.o.People.CreateKey(ctx, who, who.PersonID, in.Body.Name, in.Body.Permissions, in.Body.lifetime())
	})
}

func (a *API) revokeOwnAPIKey(ctx context.Context, in *idIn) (*struct{}, error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.o.People.RevokeKey(ctx, who, who.PersonID, in.ID)
}

func (a *API) listAPIKeys(ctx context.Context, in *apiKeysIn) (*listOut[people.APIKey], error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return paged(a.o.People.Keys(ctx, who, "", in.request(in.Sort)))
}

func (a *API) createAPIKey(ctx context.Context, in *serviceAPIKeyIn) (*created[people.NewAPIKey], error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return once(ctx, a, in.Key, in.Body, func(ctx context.Context) (people.NewAPIKey, error) {
		return a.o.People.CreateKey(ctx, who, in.Body.Person, in.Body.Name, in.Body.Permissions, in.Body.lifetime())
	})
}

func (a *API) revokeAPIKey(ctx context.Context, in *idIn) (*struct{}, error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.o.People.RevokeKey(ctx, who, "", in.ID)
}
