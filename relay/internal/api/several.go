package api

import (
	"context"
	"slices"

	"oriel/relay/internal/access"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/rights"
)

type updateComputersIn struct {
	Body struct {
		IDs     []string `json:"ids" minItems:"1" maxItems:"100" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
		GroupID *string  `json:"group_id,omitempty" maxLength:"64" doc:"Into this group; empty: into none. Absent: where they are."`
		Tag     []string `json:"tag,omitempty" maxItems:"32" maxLength:"64" doc:"Tags to add."`
		Untag   []string `json:"untag,omitempty" maxItems:"32" maxLength:"64" doc:"Tags to take away."`
		Pinned  *bool    `json:"pinned,omitempty" doc:"Whether the caller has them first in the list."`
		Blocked *bool    `json:"blocked,omitempty" doc:"Whether they are kept out."`
		Remove  bool     `json:"remove,omitempty" doc:"Remove them. Nothing else is changed then."`
	}
}

// ComputerResult is what became of one computer of several.
type ComputerResult struct {
	ID      string         `json:"id"`
	Problem *fault.Problem `json:"problem,omitempty" doc:"Why not all of it was done. Absent: it was."`
}

type resultsOut struct {
	Body struct {
		Results []ComputerResult `json:"results" nullable:"false" doc:"In the order of ids."`
	}
}

// step is one thing to do with a computer.
type step struct {
	needs rights.Permission
	do    func(ctx context.Context, computer string) error
}

// steps are what in asks for, in the order in which they are done.
func (a *API) steps(in *updateComputersIn) (all []step) {
	b := in.Body
	if b.Remove {
		return []step{{rights.ComputersManage, func(ctx context.Context, id string) error {
			return a.o.Fleet.Remove(ctx, actor(ctx), own(ctx, id))
		}}}
	}
	if b.Pinned != nil {
		all = append(all, step{rights.See, func(ctx context.Context, id string) error {
			return a.o.Fleet.Pin(ctx, own(ctx, id), callerOf(ctx).who.PersonID, *b.Pinned)
		}})
	}
	if len(b.Tag)+len(b.Untag) > 0 {
		all = append(all, step{rights.ComputersManage, func(ctx context.Context, id string) error {
			return a.o.Fleet.Describe(ctx, actor(ctx), own(ctx, id), fleet.Description{Tag: b.Tag, Untag: b.Untag})
		}})
	}
	if b.Blocked != nil {
		all = append(all, step{rights.ComputersManage, func(ctx context.Context, id string) error {
			return a.o.Fleet.Block(ctx, actor(ctx), own(ctx, id), *b.Blocked)
		}})
	}
	if b.GroupID != nil {
		all = append(all, step{rights.GroupsManage, func(ctx context.Context, id string) error {
			return a.move(ctx, id, *b.GroupID)
		}})
	}
	return all
}

func (a *API) updateComputers(ctx context.Context, in *updateComputersIn) (*resultsOut, error) {
	steps := a.steps(in)
	if len(steps) == 0 {
		return nil, fault.Field("ids", "say what is to be done with them: group_id, tag, untag, pinned, blocked or remove")
	}
	out := &resultsOut{}
	out.Body.Results = []ComputerResult{}
	for i, id := range in.Body.IDs {
		if slices.Contains(in.Body.IDs[:i], id) {
			continue
		}
		result := ComputerResult{ID: id}
		if err := a.take(ctx, id, steps); err != nil {
			if ctx.Err() != nil {
				return nil, err // nobody waits for the rest
			}
			a.note(ctx, "updateComputers", err)
			result.Problem = fault.ProblemOf(err)
		}
		out.Body.Results = append(out.Body.Results, result)
	}
	return out, nil
}

// take does all steps with a computer, or none that the caller may not do.
func (a *API) take(ctx context.Context, id string, steps []step) error {
	for _, s := range steps {
		if err := a.require(ctx, s.needs, access.Computer(id)); err != nil {
			return err
		}
	}
	for _, s := range steps {
		if err := s.do(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
