package api

import (
	"context"
	"net/http"

	"oriel/relay/internal/access"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
)

type fieldsIn struct {
	ListIn
	Sort string `query:"sort" enum:"created_at,-created_at,name,-name" default:"created_at"`
}

var fieldList = page.List[fleet.Field]{
	ID: func(f fleet.Field) string { return f.ID },
	Keys: map[string]func(fleet.Field) string{
		"created_at": func(f fleet.Field) string { return inTime(f.CreatedAt) },
		"name":       func(f fleet.Field) string { return f.Name },
	},
	Text: func(f fleet.Field) []string { return []string{f.Name} },
}

type newFieldIn struct {
	KeyIn
	Body nameBody
}

type fieldIn struct {
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Body nameBody
}

type viewsIn struct {
	ListIn
	Sort string `query:"sort" enum:"created_at,-created_at,name,-name" default:"created_at"`
}

var viewList = page.List[fleet.SavedView]{
	ID: func(v fleet.SavedView) string { return v.ID },
	Keys: map[string]func(fleet.SavedView) string{
		"created_at": func(v fleet.SavedView) string { return inTime(v.CreatedAt) },
		"name":       func(v fleet.SavedView) string { return v.Name },
	},
	Text: func(v fleet.SavedView) []string { return []string{v.Name} },
}

type newViewIn struct {
	KeyIn
	Body struct {
		Name  string `json:"name" maxLength:"64"`
		Query string `json:"query" maxLength:"2048" doc:"What stands behind the question mark of the page's address."`
	}
}

type viewIn struct {
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Body struct {
		Name  *string `json:"name,omitempty" maxLength:"64" doc:"Absent: as it is."`
		Query *string `json:"query,omitempty" maxLength:"2048" doc:"Absent: as it is."`
	}
}

type viewOut struct{ Body fleet.SavedView }

// fields are what an organization notes of its computers, and views how people look at them.
func (a *API) fields() {
	of := tag("computers")
	operation(a, "GET", "/computer-fields", "listFields", "List the organization's own fields of computers.", a.listFields, of)
	operation(a, "POST", "/computer-fields", "createField", "Make a field that each computer of the organization can have a value in.", a.createField, of, status(http.StatusCreated))
	operation(a, "PATCH", "/computer-fields/{id}", "renameField", "Give a field another name.", a.renameField, of, status(http.StatusNoContent))
	operation(a, "DELETE", "/computer-fields/{id}", "removeField", "Remove a field with what is noted in it of all computers.", a.removeField, of, status(http.StatusNoContent))
	operation(a, "GET", "/me/views", "listViews", "List the ways to look at the list of computers that the caller keeps, in this organization.", a.listViews, of)
	operation(a, "POST", "/me/views", "createView", "Keep a way to look at the list of computers.", a.createView, of, status(http.StatusCreated))
	operation(a, "PATCH", "/me/views/{id}", "updateView", "Change a way to look at the list. What the body does not name stays as it is.", a.updateView, of)
	operation(a, "DELETE", "/me/views/{id}", "removeView", "Forget a way to look at the list.", a.removeView, of, status(http.StatusNoContent))
}

func (a *API) listFields(ctx context.Context, in *fieldsIn) (*listOut[fleet.Field], error) {
	if err := a.require(ctx, rights.About, access.Organization); err != nil {
		return nil, err
	}
	all, err := a.o.Fleet.Fields(ctx, organization(ctx))
	if err != nil {
		return nil, err
	}
	return answer(fieldList, all, in.request(in.Sort))
}

func (a *API) createField(ctx context.Context, in *newFieldIn) (*created[fleet.Field], error) {
	if err := a.require(ctx, rights.ComputersManage, access.Organization); err != nil {
		return nil, err
	}
	return once(ctx, a, in.Key, in.Body, func(ctx context.Context) (fleet.Field, error) {
		return a.o.Fleet.AddField(ctx, actor(ctx), organization(ctx), in.Body.Name)
	})
}

func (a *API) renameField(ctx context.Context, in *fieldIn) (*struct{}, error) {
	if err := a.require(ctx, rights.ComputersManage, access.Organization); err != nil {
		return nil, err
	}
	return nil, a.o.Fleet.RenameField(ctx, actor(ctx), own(ctx, in.ID), in.Body.Name)
}

func (a *API) removeField(ctx context.Context, in *idIn) (*struct{}, error) {
	if err := a.require(ctx, rights.ComputersManage, access.Organization); err != nil {
		return nil, err
	}
	return nil, a.o.Fleet.RemoveField(ctx, actor(ctx), own(ctx, in.ID))
}

func (a *API) listViews(ctx context.Context, in *viewsIn) (*listOut[fleet.SavedView], error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	all, err := a.o.Fleet.Views(ctx, who.Of(who.PersonID))
	if err != nil {
		return nil, err
	}
	return answer(viewList, all, in.request(in.Sort))
}

func (a *API) createView(ctx context.Context, in *newViewIn) (*created[fleet.SavedView], error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	return once(ctx, a, in.Key, in.Body, func(ctx context.Context) (fleet.SavedView, error) {
		return a.o.Fleet.AddView(ctx, who.Of(who.PersonID), in.Body.Name, in.Body.Query)
	})
}

func (a *API) updateView(ctx context.Context, in *viewIn) (*viewOut, error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	v, err := a.o.Fleet.SaveView(ctx, who.Of(who.PersonID), in.ID, in.Body.Name, in.Body.Query)
	return &viewOut{v}, err
}

func (a *API) removeView(ctx context.Context, in *idIn) (*struct{}, error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.o.Fleet.RemoveView(ctx, who.Of(who.PersonID), in.ID)
}
