package api

import (
	"context"
	"net/http"

	"oriel/relay/internal/access"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/people"
	"oriel/relay/internal/rights"
)

type groupsIn struct {
	ListIn
	Sort string `query:"sort" enum:"name,-name,path,-path,created_at,-created_at" default:"path" doc:"By path a group comes before those within it."`
}

type groupOut struct{ Body people.Group }

type newGroupIn struct {
	KeyIn
	Body struct {
		Name     string `json:"name" maxLength:"128"`
		ParentID string `json:"parent_id,omitempty" maxLength:"64" doc:"Absent: at the top."`
	}
}

type groupIn struct {
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Body struct {
		Name     *string `json:"name,omitempty" maxLength:"128"`
		ParentID *string `json:"parent_id,omitempty" maxLength:"64" doc:"Empty: to the top; absent: where it is."`
	}
}

// ComputerGroup is where a computer is.
type ComputerGroup struct {
	GroupID string `json:"group_id" doc:"Empty: in no group."`
	Name    string `json:"name" doc:"The group's."`
}

type computerGroupIn struct {
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Body struct {
		GroupID string `json:"group_id" maxLength:"64" doc:"Empty: into no group."`
	}
}

type computerGroupOut struct{ Body ComputerGroup }

func (a *API) groups() {
	of := tag("computers")
	operation(a, "GET", "/groups", "listGroups", "List the groups in which the caller sees computers or manages something, and the groups around them", a.listGroups, of)
	operation(a, "POST", "/groups", "createGroup", "Make a group", a.createGroup, of, status(http.StatusCreated))
	operation(a, "PATCH", "/groups/{id}", "updateGroup", "Give a group another name or place", a.updateGroup, of)
	operation(a, "DELETE", "/groups/{id}", "removeGroup", "Remove an empty group with its grants and policy", a.removeGroup, of, status(http.StatusNoContent))
	operation(a, "GET", "/computers/{id}/group", "getComputerGroup", "Get the group that a computer is in.", a.computerGroup, of)
	operation(a, "PUT", "/computers/{id}/group", "moveComputer", "Put a computer into a group, or into none. It gets the grants of its new place: that needs groups.manage at both, and what these grants give.", a.moveComputer, of, status(http.StatusNoContent))
}

func (a *API) listGroups(ctx context.Context, in *groupsIn) (*listOut[people.Group], error) {
	who := callerOf(ctx).who
	var seen access.Visibility
	for what := range ofGroups.Each() {
		v, err := a.o.Access.Visible(ctx, who, what)
		if err != nil {
			return nil, err
		}
		seen = seen.Or(v)
	}
	managed, err := a.o.Access.Visible(ctx, who, rights.GroupsManage)
	if err != nil {
		return nil, err
	}
	return paged(a.o.People.Groups(ctx, who, seen, managed, in.request(in.Sort)))
}

// ofGroups are the permissions of which each shows the groups that it is given in: their
// computers are seen, or they are chosen on a page that sets something for them.
const ofGroups = rights.See | rights.GroupsManage | rights.PeopleManage | rights.Policies

// group is the object of one; of "", the organization.
func group(id string) access.Object {
	if id == "" {
		return access.Organization
	}
	return access.Group(id)
}

func (a *API) createGroup(ctx context.Context, in *newGroupIn) (*created[people.Group], error) {
	if err := a.require(ctx, rights.GroupsManage, group(in.Body.ParentID)); err != nil {
		return nil, err
	}
	who := callerOf(ctx).who
	return once(ctx, a, in.Key, in.Body, func(ctx context.Context) (people.Group, error) {
		return a.o.People.CreateGroup(ctx, who, in.Body.ParentID, in.Body.Name)
	})
}

func (a *API) updateGroup(ctx context.Context, in *groupIn) (*groupOut, error) {
	if err := a.require(ctx, rights.GroupsManage, access.Group(in.ID)); err != nil {
		return nil, err
	}
	if in.Body.Name == nil && in.Body.ParentID == nil {
		return nil, fault.Field("name", "say what is to change: name, parent_id or both")
	}
	g, err := a.o.People.SaveGroup(ctx, callerOf(ctx).who, in.ID, in.Body.Name, in.Body.ParentID)
	if err == nil && in.Body.Name != nil {
		err = a.o.Fleet.Renamed(ctx, own(ctx, in.ID))
	}
	return &groupOut{g}, err
}

func (a *API) removeGroup(ctx context.Context, in *idIn) (*struct{}, error) {
	if err := a.require(ctx, rights.GroupsManage, access.Group(in.ID)); err != nil {
		return nil, err
	}
	return nil, a.o.People.RemoveGroup(ctx, callerOf(ctx).who, in.ID)
}

func (a *API) computerGroup(ctx context.Context, in *idIn) (*computerGroupOut, error) {
	if err := a.require(ctx, rights.GroupsManage, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	g, err := a.o.People.GroupOf(ctx, callerOf(ctx).who, in.ID)
	return &computerGroupOut{ComputerGroup{g.ID, g.Name}}, err
}

func (a *API) moveComputer(ctx context.Context, in *computerGroupIn) (*struct{}, error) {
	if err := a.require(ctx, rights.GroupsManage, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	return nil, a.move(ctx, in.ID, in.Body.GroupID)
}

// move puts a computer into a group, and has those told who look at it.
func (a *API) move(ctx context.Context, id, group string) error {
	if err := a.o.People.MoveComputer(ctx, callerOf(ctx).who, id, group); err != nil {
		return err
	}
	a.o.Fleet.Moved(own(ctx, id))
	return nil
}
