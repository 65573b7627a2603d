package api

import (
	"context"
	"net/http"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/policy"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// PolicySettings are what one says.
type PolicySettings policy.Settings

// PolicyOrigin is whose policy says something.
type PolicyOrigin policy.Origin

// Policy is what agents and people keep to, on one object and on what is in it.
type Policy struct {
	PolicyOrigin
	Version   int64          `json:"version" doc:"Rises with each change; 0: there is none yet."`
	Settings  PolicySettings `json:"settings"`
	ChangedAt *time.Time     `json:"changed_at,omitempty"`
}

// ObjectPolicy is one with what its object inherits.
type ObjectPolicy struct {
	Policy
	Inherited EffectivePolicy `json:"inherited" doc:"What holds there without it."`
}

// EffectivePolicy is what holds, and whose it is.
type EffectivePolicy struct {
	Settings PolicySettings          `json:"settings"`
	Origins  map[string]PolicyOrigin `json:"origins" doc:"Whose policy says it, by the name of each setting that is said."`
}

type policiesIn struct {
	ListIn
	Sort string `query:"sort" enum:"changed_at,-changed_at" default:"-changed_at"`
}

// ObjectIn names an object that can have a policy.
type ObjectIn struct {
	Object string `path:"object" enum:"organization,group,computer" doc:"What kind of object the policy is of."`
	ID     string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id" doc:"Of the group or computer; - for the organization."`
}

type policyIn struct {
	ObjectIn
	Body struct {
		Version  int64          `json:"version" minimum:"0" doc:"Of the policy that is changed; 0: there is none yet."`
		Settings PolicySettings `json:"settings" doc:"All that it is to say. What is absent is inherited."`
	}
}

type noPolicyIn struct {
	ObjectIn
	Version int64 `query:"version" minimum:"0" doc:"Of the policy that is removed; absent: whatever it says by now."`
}

type policyOut struct{ Body Policy }

type objectPolicyOut struct{ Body ObjectPolicy }

type effectivePolicyOut struct{ Body EffectivePolicy }

func (a *API) policies() {
	of := tag("policies")
	operation(a, "GET", "/policies", "listPolicies", "List the policies of the organization, its groups and computers", a.listPolicies, of)
	operation(a, "GET", "/policies/{object}/{id}", "getPolicy", "Show the policy of an object, and what it inherits", a.getPolicy, of)
	operation(a, "PUT", "/policies/{object}/{id}", "savePolicy", "Replace the policy of an object, or make it. It holds at once, also for sessions that run.", a.savePolicy, of)
	operation(a, "DELETE", "/policies/{object}/{id}", "removePolicy", "Remove the policy of an object, which then inherits all", a.removePolicy, of, status(http.StatusNoContent))
	operation(a, "GET", "/computers/{id}/policy", "getComputerPolicy", "Show what holds for a computer, and whose each setting is", a.computerPolicy, of)
}

func (a *API) listPolicies(ctx context.Context, in *policiesIn) (*listOut[Policy], error) {
	if err := a.require(ctx, rights.Policies, access.Organization); err != nil {
		return nil, err
	}
	p, err := a.o.Policies.List(ctx, organization(ctx), in.request(in.Sort))
	if err != nil {
		return nil, err
	}
	out := &listOut[Policy]{}
	out.Body.Items, out.Body.Next = each(p.Items, policyOf), p.Next
	return out, nil
}

func policyOf(p policy.Policy) Policy {
	return Policy{PolicyOrigin: PolicyOrigin(p.Origin), Version: p.Version, Settings: PolicySettings(p.Settings), ChangedAt: maybe(p.ChangedAt)}
}

func effectiveOf(e policy.Effective) EffectivePolicy {
	out := EffectivePolicy{PolicySettings(e.Settings), make(map[string]PolicyOrigin, len(e.Origins))}
	for name, of := range e.Origins {
		out.Origins[name] = PolicyOrigin(of)
	}
	return out
}

// on is the object, where the caller may set its policy.
func (a *API) on(ctx context.Context, in ObjectIn) (policy.Origin, error) {
	on, object := policy.Origin{Kind: in.Object, ID: in.ID}, access.Object{Kind: in.Object, ID: in.ID}
	if in.Object == store.ObjectOrganization {
		if in.ID != "-" {
			return on, store.ErrNotFound
		}
		on.ID, object = "", access.Organization
	}
	return on, a.require(ctx, rights.Policies, object)
}

func (a *API) getPolicy(ctx context.Context, in *ObjectIn) (*objectPolicyOut, error) {
	on, err := a.on(ctx, *in)
	if err != nil {
		return nil, err
	}
	above, err := a.o.Policies.Above(ctx, organization(ctx), on) // says that there is no such object
	if err != nil {
		return nil, err
	}
	p, err := a.o.Policies.Get(ctx, organization(ctx), on)
	return &objectPolicyOut{ObjectPolicy{policyOf(p), effectiveOf(above)}}, err
}

func (a *API) savePolicy(ctx context.Context, in *policyIn) (*policyOut, error) {
	on, err := a.on(ctx, in.ObjectIn)
	if err != nil {
		return nil, err
	}
	if s, who := policy.Settings(in.Body.Settings), callerOf(ctx).who; on.Kind == store.ObjectOrganization && who.SignInID != "" && !s.Allows(who.IP()) && s.Check(on.Kind) == nil {
		return nil, fault.Field("settings/allowed_addresses", "you would lock yourself out: your own address, "+who.Address+", is in none of these networks; add it")
	}
	p, err := a.o.Policies.Save(ctx, actor(ctx), organization(ctx), on, in.Body.Version, policy.Settings(in.Body.Settings))
	return &policyOut{policyOf(p)}, err
}

func (a *API) removePolicy(ctx context.Context, in *noPolicyIn) (*struct{}, error) {
	on, err := a.on(ctx, in.ObjectIn)
	if err != nil {
		return nil, err
	}
	return nil, a.o.Policies.Remove(ctx, actor(ctx), organization(ctx), on, in.Version)
}

func (a *API) computerPolicy(ctx context.Context, in *idIn) (*effectivePolicyOut, error) {
	if err := a.require(ctx, rights.Policies, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	e, err := a.o.Policies.For(ctx, own(ctx, in.ID))
	return &effectivePolicyOut{effectiveOf(e)}, err
}
