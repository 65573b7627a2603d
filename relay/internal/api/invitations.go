package api

import (
	"context"
	"net/http"

	"oriel/relay/internal/people"
)

type invitationsIn struct {
	ListIn
	Sort string `query:"sort" enum:"email,-email,created_at,-created_at" default:"-created_at"`
}

type inviteIn struct {
	KeyIn
	Body struct {
		Email string `json:"email" maxLength:"254"`
		Name  string `json:"name,omitempty" maxLength:"128" doc:"How to address them."`
		Role  string `json:"role" maxLength:"64" doc:"Id of the role that they get."`
	}
}

type tokenIn struct {
	Body struct {
		Token string `json:"token" maxLength:"128" format:"password" doc:"From the invitation's link."`
	}
}

type joinIn struct {
	Body struct {
		Token    string `json:"token" maxLength:"128" format:"password" doc:"From the invitation's link."`
		Name     string `json:"name" maxLength:"128"`
		Password string `json:"password" maxLength:"1024" format:"password" doc:"At least 10 characters."`
	}
}

// Invited is what an invitation says to who has its link.
type Invited struct {
	Organization string `json:"organization" doc:"Its name; may be empty."`
	InvitedBy    string `json:"invited_by" doc:"Name of who invites; may be empty."`
	Email        string `json:"email"`
	Name         string `json:"name"`
}

type invitedOut struct{ Body Invited }

func (a *API) invitations() {
	of := tag("people")
	operation(a, "GET", "/member-invitations", "listMemberInvitations", "Lists who was invited to become a member and has not taken it up.", a.listInvitations, of)
	operation(a, "POST", "/member-invitations", "inviteMember", "Invites somebody to become a member. The link is sent by mail where the relay has a mail server, and told here where it has none.", a.invite, of, status(http.StatusCreated))
	operation(a, "DELETE", "/member-invitations/{id}", "revokeMemberInvitation", "Makes an invitation's link useless.", a.revokeInvitation, of, status(http.StatusNoContent))
	operation(a, "POST", "/join/invitation", "readInvitation", "Says who invites, without using the invitation up.", a.readInvitation, of, open)
	operation(a, "POST", "/join", "join", "Makes a person of who was invited, and signs them in.", a.join, of, open)
	operation(a, "POST", "/me/organizations", "joinOrganization", "Makes a member of the caller, who was invited and has an account.", a.joinOrganization, of)
}

func (a *API) listInvitations(ctx context.Context, in *invitationsIn) (*listOut[people.Invitation], error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return paged(a.o.People.Invitations(ctx, who, in.request(in.Sort)))
}

func (a *API) invite(ctx context.Context, in *inviteIn) (*created[people.NewInvitation], error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return once(ctx, a, in.Key, in.Body, func(ctx context.Context) (people.NewInvitation, error) {
		return a.o.People.Invite(ctx, who, in.Body.Email, in.Body.Name, in.Body.Role)
	})
}

func (a *API) revokeInvitation(ctx context.Context, in *idIn) (*struct{}, error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.o.People.RevokeInvitation(ctx, who, in.ID)
}

func (a *API) readInvitation(ctx context.Context, in *tokenIn) (*invitedOut, error) {
	i, err := a.o.Access.Invitation(ctx, in.Body.Token, a.o.Access.Client(callerOf(ctx).r))
	return &invitedOut{Invited{i.Organization, i.By, i.Email, i.Name}}, err
}

func (a *API) join(ctx context.Context, in *joinIn) (*signedInOut, error) {
	b := in.Body
	who, c, err := a.o.Access.Join(ctx, b.Token, b.Name, b.Password, a.o.Access.Client(callerOf(ctx).r))
	return a.signedIn(ctx, who, c, err)
}

func (a *API) joinOrganization(ctx context.Context, in *tokenIn) (*personOut, error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.o.Access.JoinAs(ctx, who, in.Body.Token); err != nil {
		return nil, err
	}
	if who, err = a.o.Access.Identify(callerOf(ctx).r); err != nil {
		return nil, err
	}
	return a.person(ctx, who)
}
