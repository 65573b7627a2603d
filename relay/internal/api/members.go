package api

import (
	"context"
	"net/http"

	"oriel/relay/internal/access"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/page"
	"oriel/relay/internal/people"
	"oriel/relay/internal/rights"
)

type membersIn struct {
	ListIn
	Sort string `query:"sort" enum:"name,-name,created_at,-created_at" default:"name"`
}

type memberOut struct{ Body people.Details }

type newServiceIn struct {
	KeyIn
	Body struct {
		Name string `json:"name" maxLength:"128"`
		Role string `json:"role" maxLength:"64" doc:"Id of a role."`
	}
}

type memberIn struct {
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Body struct {
		Role  *string `json:"role,omitempty" maxLength:"64" doc:"Id of a role; absent: as it is."`
		State *string `json:"state,omitempty" enum:"active,inactive" doc:"Absent: as it is. Who becomes inactive is signed out of the organization at once."`
	}
}

type identifierIn struct {
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Kind string `path:"kind" enum:"user_name,number" doc:"What kind of identifier it is."`
	Key  string `path:"key" maxLength:"254" pattern:"^[^\\x00-\\x1f/]+$" patternDescription:"one line, without slashes" doc:"As listed with the member."`
}

type newIdentifierIn struct {
	KeyIn
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Body struct {
		Kind string `json:"kind" enum:"user_name,number"`
		Text string `json:"text" maxLength:"128" doc:"A user name, or a number that the organization gave, such as a tax or employee number."`
	}
}

func (a *API) members() {
	of := tag("people")
	operation(a, "GET", "/people", "listPeople", "Members of the organization", a.listMembers, of)
	operation(a, "POST", "/people", "createServiceAccount", "Make a service account, which has keys and no sign-in", a.createService, of, status(http.StatusCreated))
	operation(a, "GET", "/people/{id}", "getPerson", "One member", a.getMember, of)
	operation(a, "PATCH", "/people/{id}", "updatePerson", "Give a member another role, or another state", a.updateMember, of)
	operation(a, "DELETE", "/people/{id}", "removePerson", "End a membership with its grants, teams and keys", a.removeMember, of, status(http.StatusNoContent))
	operation(a, "POST", "/people/{id}/identifiers", "addIdentifier", "Give a member a user name or a number to sign in with", a.addIdentifier, of, status(http.StatusCreated))
	operation(a, "DELETE", "/people/{id}/identifiers/{kind}/{key}", "removeIdentifier", "Take a user name or a number away", a.removeIdentifier, of, status(http.StatusNoContent))
}

func (a *API) managesPeople(ctx context.Context) (access.Identity, error) {
	return callerOf(ctx).who, a.require(ctx, rights.PeopleManage, access.Organization)
}

func (a *API) listMembers(ctx context.Context, in *membersIn) (*listOut[people.Member], error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return paged(a.o.People.Members(ctx, who, in.request(in.Sort)))
}

// paged is a page that a room made.
func paged[T any](p page.Page[T], err error) (*listOut[T], error) {
	if err != nil {
		return nil, err
	}
	return &listOut[T]{p}, nil
}

func (a *API) createService(ctx context.Context, in *newServiceIn) (*created[people.Member], error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return once(ctx, a, in.Key, in.Body, func(ctx context.Context) (people.Member, error) {
		return a.o.People.CreateService(ctx, who, in.Body.Name, in.Body.Role)
	})
}

func (a *API) getMember(ctx context.Context, in *idIn) (*memberOut, error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	m, err := a.o.People.Member(ctx, who, in.ID)
	return &memberOut{m}, err
}

func (a *API) updateMember(ctx context.Context, in *memberIn) (*memberOut, error) {
	who, err := a.managesPeople(ctx)
	if err == nil && in.Body.Role == nil && in.Body.State == nil {
		err = fault.Field("role", "say what is to change: role, state or both")
	}
	if err == nil && in.Body.Role != nil {
		err = a.o.People.SetRole(ctx, who, in.ID, *in.Body.Role)
	}
	if err == nil && in.Body.State != nil {
		err = a.o.People.SetActive(ctx, who, in.ID, *in.Body.State == "active")
	}
	if err != nil {
		return nil, err
	}
	m, err := a.o.People.Member(ctx, who, in.ID)
	return &memberOut{m}, err
}

func (a *API) removeMember(ctx context.Context, in *idIn) (*struct{}, error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.o.People.Remove(ctx, who, in.ID)
}

func (a *API) addIdentifier(ctx context.Context, in *newIdentifierIn) (*created[people.Identifier], error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return once(ctx, a, in.Key, in.Body, func(ctx context.Context) (people.Identifier, error) {
		return a.o.People.AddIdentifier(ctx, who, in.ID, in.Body.Kind, in.Body.Text)
	})
}

func (a *API) removeIdentifier(ctx context.Context, in *identifierIn) (*struct{}, error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.o.People.RemoveIdentifier(ctx, who, in.ID, in.Kind, in.Key)
}
