package api

import (
	"context"
	"net/http"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/people"
	"oriel/relay/internal/rights"
)

type approvalsIn struct {
	ListIn
	Sort string `query:"sort" enum:"asked_at,-asked_at" default:"-asked_at"`
}

type approvalOut struct{ Body people.Approval }

type askIn struct {
	KeyIn
	Body struct {
		Computer string `json:"computer" maxLength:"64"`
		Reason   string `json:"reason,omitempty" maxLength:"512" doc:"Read by who decides."`
	}
}

type approveIn struct {
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Body struct {
		Minutes int `json:"minutes,omitempty" minimum:"15" maximum:"1440" default:"60" doc:"How long it holds."`
	}
}

func (a *API) approvals() {
	of := tag("people")
	operation(a, "GET", "/approvals", "listApprovals", "Who asks to be let in by a second person, and waits for an answer", a.listApprovals, of)
	operation(a, "GET", "/me/approvals", "listOwnApprovals", "What the caller asked for, with the answers", a.listOwnApprovals, of)
	operation(a, "POST", "/approvals", "askApproval", "Ask a second person to be let in to a computer", a.askApproval, of, status(http.StatusCreated))
	operation(a, "POST", "/approvals/{id}/approve", "approve", "Let somebody in for a time", a.approve, of)
	operation(a, "POST", "/approvals/{id}/refuse", "refuseApproval", "Do not let somebody in", a.refuseApproval, of)
}

func (a *API) listApprovals(ctx context.Context, in *approvalsIn) (*listOut[people.Approval], error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return paged(a.o.People.Approvals(ctx, who, false, in.request(in.Sort)))
}

func (a *API) listOwnApprovals(ctx context.Context, in *approvalsIn) (*listOut[people.Approval], error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	return paged(a.o.People.Approvals(ctx, who, true, in.request(in.Sort)))
}

func (a *API) askApproval(ctx context.Context, in *askIn) (*created[people.Approval], error) {
	if err := a.require(ctx, rights.See, access.Computer(in.Body.Computer)); err != nil {
		return nil, err
	}
	who := callerOf(ctx).who
	return once(ctx, a, in.Key, in.Body, func(ctx context.Context) (people.Approval, error) {
		return a.o.People.Ask(ctx, who, in.Body.Computer, in.Body.Reason)
	})
}

// decides asks whether the caller may answer an approval: whoever manages people where
// the computer is.
func (a *API) decides(ctx context.Context, id string) (access.Identity, error) {
	who := callerOf(ctx).who
	one, err := a.o.People.Approval(ctx, who, id)
	on := access.Organization
	if err == nil {
		on = access.Computer(one.Computer.ID)
	}
	if err := a.require(ctx, rights.PeopleManage, on); err != nil {
		return who, err
	}
	return who, err
}

func (a *API) approve(ctx context.Context, in *approveIn) (*approvalOut, error) {
	who, err := a.decides(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	one, err := a.o.People.Decide(ctx, who, in.ID, true, time.Duration(in.Body.Minutes)*time.Minute)
	return &approvalOut{one}, err
}

func (a *API) refuseApproval(ctx context.Context, in *idIn) (*approvalOut, error) {
	who, err := a.decides(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	one, err := a.o.People.Decide(ctx, who, in.ID, false, 0)
	return &approvalOut{one}, err
}
