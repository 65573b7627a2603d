package node_test

import (
	"oriel/relay/internal/audit"
	"oriel/relay/internal/notify/mailtest"
	"oriel/relay/internal/store"
)

// Changes of people and of what they may, for TestEachChangeIsAudited.
func init() {
	for name, c := range map[string]change{
		"POST /people": {func(*changing) (string, any) { return "", object{"name": "robot", "role": "viewer"} }, 201, audit.ServiceMade, "person"},
		"PATCH /people/{id}": {func(w *changing) (string, any) {
			return w.mate(), object{"state": "inactive"}
		}, 200, audit.MemberDeactivated, "person"},
		"DELETE /people/{id}": {func(w *changing) (string, any) { return w.mate(), nil }, 204, audit.MemberRemoved, "person"},
		"POST /people/{id}/identifiers": {func(w *changing) (string, any) {
			return w.mate(), object{"kind": "number", "text": "47-11"}
		}, 201, audit.IdentifierAdded, "person"},
		"DELETE /people/{id}/identifiers/{kind}/{key}": {func(w *changing) (string, any) {
			id := w.mate()
			w.owner.do("POST", "/api/v1/people/"+id+"/identifiers", object{"kind": "number", "text": "4711"}, nil, 201)
			return id, nil
		}, 204, audit.IdentifierRemoved, "person"},

		"POST /member-invitations":        {func(*changing) (string, any) { return "", invitation }, 201, audit.MemberInvited, "invitation"},
		"DELETE /member-invitations/{id}": {func(w *changing) (string, any) { return w.make("/member-invitations", invitation), nil }, 204, audit.InvitationRevoked, "invitation"},
		"POST /join": {func(w *changing) (string, any) {
			w.as = anybody
			return "", object{"token": w.invited(), "name": "Ada", "password": password}
		}, 200, audit.MemberJoined, "person"},
		"POST /me/organizations": {func(w *changing) (string, any) {
			second := w.make("/organizations", object{"name": "Acme", "code": "acme"})
			w.mate()
			token := w.invited()
			w.colleague, _ = w.member(store.OrganizationID(second), store.RoleMember)
			var me struct{ ID string }
			w.colleague.do("GET", "/api/v1/me", nil, &me, 200)
			w.owner, w.as = w.colleague, me.ID
			return "", object{"token": token}
		}, 200, audit.MemberJoined, "person"},

		"POST /roles":        {func(*changing) (string, any) { return "", role }, 201, audit.RoleMade, "role"},
		"PATCH /roles/{id}":  {func(w *changing) (string, any) { return w.make("/roles", role), object{"name": "other"} }, 200, audit.RoleChanged, "role"},
		"DELETE /roles/{id}": {func(w *changing) (string, any) { return w.make("/roles", role), nil }, 204, audit.RoleRemoved, "role"},

		"POST /teams":        {func(*changing) (string, any) { return "", named }, 201, audit.TeamMade, "team"},
		"PATCH /teams/{id}":  {func(w *changing) (string, any) { return w.make("/teams", named), object{"name": "other"} }, 204, audit.TeamRenamed, "team"},
		"DELETE /teams/{id}": {func(w *changing) (string, any) { return w.make("/teams", named), nil }, 204, audit.TeamRemoved, "team"},
		"PUT /teams/{id}/members/{person}": {func(w *changing) (string, any) {
			w.mate()
			return w.make("/teams", named), nil
		}, 204, audit.TeamJoined, "team"},
		"DELETE /teams/{id}/members/{person}": {func(w *changing) (string, any) {
			id := w.make("/teams", named)
			w.owner.do("PUT", "/api/v1/teams/"+id+"/members/"+w.mate(), nil, nil, 204)
			return id, nil
		}, 204, audit.TeamLeft, "team"},

		"POST /groups":        {func(*changing) (string, any) { return "", named }, 201, audit.GroupMade, "group"},
		"PATCH /groups/{id}":  {func(w *changing) (string, any) { return w.make("/groups", named), object{"name": "other"} }, 200, audit.GroupRenamed, "group"},
		"DELETE /groups/{id}": {func(w *changing) (string, any) { return w.make("/groups", named), nil }, 204, audit.GroupRemoved, "group"},
		"PUT /computers/{id}/group": {func(w *changing) (string, any) {
			return w.computer(), object{"group_id": w.make("/groups", named)}
		}, 204, audit.ComputerMoved, "computer"},

		"PUT /policies/{object}/{id}": {func(w *changing) (string, any) { return w.make("/groups", named), short }, 200, audit.PolicyChanged, "group"},
		"DELETE /policies/{object}/{id}": {func(w *changing) (string, any) {
			id := w.make("/groups", named)
			w.owner.do("PUT", "/api/v1/policies/group/"+id, short, nil, 200)
			return id, nil
		}, 204, audit.PolicyRemoved, "group"},

		"POST /grants":        {func(w *changing) (string, any) { return "", w.grant() }, 201, audit.GrantMade, "grant"},
		"DELETE /grants/{id}": {func(w *changing) (string, any) { return w.make("/grants", w.grant()), nil }, 204, audit.GrantRevoked, "grant"},

		"POST /approvals": {func(w *changing) (string, any) {
			computer := w.mayAsk()
			w.owner, w.as = w.colleague, w.mateID
			return "", object{"computer": computer}
		}, 201, audit.ApprovalAsked, "approval"},
		"POST /approvals/{id}/approve": {func(w *changing) (string, any) { return w.asked(), object{"minutes": 60} }, 200, audit.ApprovalGiven, "approval"},
		"POST /approvals/{id}/refuse":  {func(w *changing) (string, any) { return w.asked(), nil }, 200, audit.ApprovalRefused, "approval"},

		"POST /me/api-keys":        {func(*changing) (string, any) { return "", key }, 201, audit.KeyMade, "api_key"},
		"DELETE /me/api-keys/{id}": {func(w *changing) (string, any) { return w.make("/me/api-keys", key), nil }, 204, audit.KeyRevoked, "api_key"},
		"POST /api-keys":           {func(w *changing) (string, any) { return "", w.robotKey() }, 201, audit.KeyMade, "api_key"},
		"DELETE /api-keys/{id}":    {func(w *changing) (string, any) { return w.make("/api-keys", w.robotKey()), nil }, 204, audit.KeyRevoked, "api_key"},

		"POST /me/organization": {func(w *changing) (string, any) {
			second := w.make("/organizations", object{"name": "Acme", "code": "acme"})
			w.owner.do("POST", "/api/v1/me/organization", object{"id": second}, nil, 200)
			return "", object{"id": store.FirstOrganization}
		}, 200, audit.SignInSwitched, "sign_in"},
		"DELETE /me/organizations/{id}": {func(w *changing) (string, any) {
			w.mate()
			w.owner, w.as = w.colleague, w.mateID
			return string(store.FirstOrganization), nil
		}, 204, audit.MemberLeft, "organization"},
		"PATCH /organization":   {func(*changing) (string, any) { return "", object{"name": "Ours"} }, 200, audit.OrganizationRenamed, "organization"},
		"PATCH /relay/settings": {func(*changing) (string, any) { return "settings", object{"staff_domains": []string{"example.com"}} }, 200, audit.RelayChanged, "relay"},
		"POST /sign-up": {func(w *changing) (string, any) {
			w.mailing()
			return "", signUp
		}, 202, audit.SignUpAsked, "sign_up"},
		"POST /sign-up/account": {func(w *changing) (string, any) {
			pit := w.mailing()
			w.browser().do("POST", "/api/v1/sign-up", signUp, nil, 202)
			return "", object{"token": linkIn(w.T, pit.Wait(1)[0].Text), "name": "Ada", "password": password}
		}, 200, audit.SignedUp, "person"},
		"POST /me/email-addresses": {func(w *changing) (string, any) {
			w.mailing()
			return "", address
		}, 202, audit.EmailAsked, "email_address"},
		"POST /me/email-addresses/confirm": {func(w *changing) (string, any) {
			pit := w.mailing()
			w.owner.do("POST", "/api/v1/me/email-addresses", address, nil, 202)
			return "", object{"token": linkIn(w.T, pit.Wait(1)[0].Text)}
		}, 200, audit.IdentifierAdded, "person"},
		"DELETE /me/email-addresses/{id}": {func(w *changing) (string, any) {
			w.mailing()
			w.owner.do("POST", "/api/v1/me/email-addresses", address, nil, 202)
			var list struct{ Items []struct{ ID string } }
			w.owner.do("GET", "/api/v1/me/email-addresses?q=ada", nil, &list, 200)
			return list.Items[0].ID, nil
		}, 204, audit.EmailTakenBack, "email_address"},
		"POST /organizations":            {func(*changing) (string, any) { return "", object{"name": "Acme", "code": "acme"} }, 201, audit.OrganizationMade, "organization"},
		"PUT /organizations/{id}/quotas": {func(*changing) (string, any) { return string(store.FirstOrganization), object{"computers": 5} }, 200, audit.QuotasSet, "organization"},
	} {
		changes[name] = c
	}
}

// What is sent to make one of a kind.
var (
	invitation = object{"email": "ada@example.org", "role": "viewer"}

	address = object{"email": "ada@example.org"}

	signUp = object{"email": "ada@example.org", "organization": "Ada's"}

	short = object{"version": 0, "settings": object{"session_minutes": 60}}
	named = object{"name": "Munich"}
	role  = object{"name": "helper", "permissions": []string{"connect"}}
	key   = object{"name": "report", "permissions": []string{"see"}}
)

// make makes something and returns its id.
func (w *changing) make(path string, body any) string {
	w.Helper()
	var made struct{ ID string }
	w.owner.do("POST", "/api/v1"+path, body, &made, 201)
	return made.ID
}

// mate has a colleague with nothing but grants be there, and returns their id.
func (w *changing) mate() string {
	w.Helper()
	if w.mateID == "" {
		w.colleague, _ = w.member(store.FirstOrganization, store.RoleMember)
		var me struct{ ID string }
		w.colleague.do("GET", "/api/v1/me", nil, &me, 200)
		w.mateID = me.ID
	}
	return w.mateID
}

// mailing has the relay be one that sends mail and where anybody may sign up.
func (w *changing) mailing() *mailtest.Server {
	w.Helper()
	pit := mailtest.Start(w.T, mailtest.Options{})
	w.relay = start(w.T, settings(w.T, mailBy(pit)...))
	w.owner = w.relay.owner()
	w.owner.do("PATCH", "/api/v1/relay/settings", object{"sign_up": true}, nil, 200)
	w.as = anybody
	return pit
}

// anybody is who changes where that is somebody new.
const anybody = "anybody"

// invited is the token of an invitation.
func (w *changing) invited() string {
	w.Helper()
	var made struct{ Link string }
	w.owner.do("POST", "/api/v1/member-invitations", invitation, &made, 201)
	return fragment(w.T, made.Link, nil)
}

// grant is what is asked for one.
func (w *changing) grant() object {
	return object{"subject": object{"kind": "person", "id": w.mate()}, "role": "viewer", "object": object{"kind": "organization"}}
}

// mayAsk is a computer that the colleague may ask to be let in to.
func (w *changing) mayAsk() string {
	computer := w.computer()
	w.make("/grants", object{"subject": object{"kind": "person", "id": w.mate()}, "role": "operator", "object": object{"kind": "computer", "id": computer}, "approval": true})
	return computer
}

// asked is an approval that the colleague asked for.
func (w *changing) asked() string {
	var made struct{ ID string }
	computer := w.mayAsk()
	w.colleague.do("POST", "/api/v1/approvals", object{"computer": computer}, &made, 201)
	return made.ID
}

// robotKey is what is asked for a key of a service account.
func (w *changing) robotKey() object {
	return object{"person": w.make("/people", object{"name": "robot", "role": "viewer"}), "name": "report", "permissions": []string{"see"}}
}
