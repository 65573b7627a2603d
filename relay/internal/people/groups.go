package people

import (
	"context"
	"fmt"
	"strings"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// Group is a named set of computers, in a tree.
type Group struct {
	ID        string    `json:"id"`
	ParentID  string    `json:"parent_id" doc:"Empty: at the top."`
	Name      string    `json:"name"`
	Path      []string  `json:"path" nullable:"false" doc:"Ids from the top to its own."`
	Computers int64     `json:"computers" doc:"How many are in it that the caller may know of, without those of its own groups."`
	Manages   bool      `json:"manages" doc:"The caller manages it: names, moves and removes it, and puts computers and groups into it."`
	CreatedAt time.Time `json:"created_at"`
}

func groupOf(g store.Group, manages bool) Group {
	path := g.Upwards()
	for i, j := 0, len(path)-1; i < j; i, j = i+1, j-1 {
		path[i], path[j] = path[j], path[i]
	}
	return Group{ID: g.ID, ParentID: g.ParentID, Name: g.Name, Path: path, Computers: g.Computers, Manages: manages, CreatedAt: at(g.CreatedAt)}
}

// Groups are a page of those of which who sees something, and of the groups around them,
// without which there is no tree; managed are those whose groups who manages.
func (p *People) Groups(ctx context.Context, who access.Identity, seen, managed access.Visibility, r page.Request) (page.Page[Group], error) {
	rows, err := p.o.Store.Groups(who.Organization).List(ctx, seen, r)
	return each(rows, err, func(g store.Group) Group { return groupOf(g, managed.Includes("", g.Path)) })
}

// Group is one that who manages. Errors: store.ErrNotFound.
func (p *People) Group(ctx context.Context, who access.Identity, id string) (Group, error) {
	g, err := p.o.Store.Groups(who.Organization).Get(ctx, id)
	if err != nil {
		return Group{}, fmt.Errorf("look up a group: %w", err)
	}
	return groupOf(g, true), nil
}

// CreateGroup makes one in another; of "", at the top. Errors: store.ErrNotFound,
// store.ErrGroupTree, store.ErrLimit, fault.Field.
func (p *People) CreateGroup(ctx context.Context, who access.Identity, parent, name string) (Group, error) {
	name, err := nameOf("name", name)
	if err != nil {
		return Group{}, err
	}
	row := store.Group{ID: store.NewID(), ParentID: parent, Name: name, CreatedAt: p.now()}
	groups := p.o.Store.Groups(who.Organization)
	if err := groups.Add(ctx, who.Actor().Did(audit.GroupMade, "group", row.ID, "name", name, "parent", parent), row); err != nil {
		return Group{}, fmt.Errorf("make a group: %w", err)
	}
	return p.Group(ctx, who, row.ID)
}

// SaveGroup gives one another name, another place, or both; nil: as it is. What is moved
// gets the grants of its new place: who lacks what they give cannot move it there. Errors: ErrGives, store.ErrNotFound,
// store.ErrGroupTree, fault.Field.
func (p *People) SaveGroup(ctx context.Context, who access.Identity, id string, name, parent *string) (Group, error) {
	groups := p.o.Store.Groups(who.Organization)
	g, err := groups.Get(ctx, id)
	if err != nil {
		return Group{}, fmt.Errorf("look up a group: %w", err)
	}
	if parent != nil { // before anything is changed
		if err := p.mayMove(ctx, who, access.Group(id), g.Path, *parent); err != nil {
			return Group{}, err
		}
	}
	if name != nil {
		text, err := nameOf("name", *name)
		if err != nil {
			return Group{}, err
		}
		if err := groups.Rename(ctx, who.Actor().Did(audit.GroupRenamed, "group", id, "name", text), id, text); err != nil {
			return Group{}, fmt.Errorf("rename a group: %w", err)
		}
	}
	if parent != nil {
		if err := groups.Move(ctx, who.Actor().Did(audit.GroupMoved, "group", id, "parent", *parent), id, *parent); err != nil {
			return Group{}, fmt.Errorf("move a group: %w", err)
		}
		p.done(who, "", audit.GroupMoved)
	}
	return p.Group(ctx, who, id)
}

// mayMove says ErrGives where who does not manage groups at both ends, or lacks what grants
// of the new place give: they reach what is moved from then on, and nobody gives what they
// do not have. old is the path of the group that it is in.
func (p *People) mayMove(ctx context.Context, who access.Identity, what access.Object, old, parent string) error {
	to, gained := access.Organization, []string(nil)
	if parent != "" {
		g, err := p.o.Store.Groups(who.Organization).Get(ctx, parent)
		if err != nil {
			return fmt.Errorf("look up a group: %w", err)
		}
		to = access.Group(parent)
		for _, id := range g.Upwards() {
			if !strings.Contains(old, "/"+id+"/") {
				gained = append(gained, id)
			}
		}
	}
	err := p.mayGive(ctx, who, rights.GroupsManage, what)
	if err == nil {
		err = p.mayGive(ctx, who, rights.GroupsManage, to)
	}
	for _, id := range gained {
		if err == nil {
			err = p.mayGiveAll(ctx, who, store.GrantFilter{ObjectKind: store.ObjectGroup, ObjectID: id}, &what)
		}
	}
	return err
}

// RemoveGroup forgets an empty one with its grants and policy. Errors:
// store.ErrNotFound, store.ErrInUse.
func (p *People) RemoveGroup(ctx context.Context, who access.Identity, id string) error {
	if err := p.o.Store.Groups(who.Organization).Remove(ctx, who.Actor().Did(audit.GroupRemoved, "group", id), id); err != nil {
		return fmt.Errorf("remove a group: %w", err)
	}
	p.done(who, "", audit.GroupRemoved)
	return nil
}

// GroupOf is a computer's group; the zero one, where it is in none. Errors: store.ErrNotFound.
func (p *People) GroupOf(ctx context.Context, who access.Identity, computer string) (Group, error) {
	c, err := p.o.Store.Computers(who.Organization).Get(ctx, computer)
	if err != nil {
		return Group{}, fmt.Errorf("look up a computer: %w", err)
	}
	if c.GroupID == "" {
		return Group{}, nil
	}
	return p.Group(ctx, who, c.GroupID)
}

// MoveComputer puts a computer into a group; of "", into none. Errors: ErrGives,
// store.ErrNotFound.
func (p *People) MoveComputer(ctx context.Context, who access.Identity, computer, group string) error {
	c, err := p.o.Store.Computers(who.Organization).Get(ctx, computer)
	if err != nil {
		return fmt.Errorf("look up a computer: %w", err)
	}
	if err := p.mayMove(ctx, who, access.Computer(computer), c.GroupPath, group); err != nil {
		return err
	}
	err = p.o.Store.Computers(who.Organization).SetGroup(ctx, who.Actor().Did(audit.ComputerMoved, "computer", computer, "group", group), computer, group)
	if err != nil {
		return fmt.Errorf("move a computer: %w", err)
	}
	p.done(who, "", audit.ComputerMoved)
	return nil
}
