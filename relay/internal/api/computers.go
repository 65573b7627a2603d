package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
	"oriel/relay/internal/access"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
)

// Computer is one row of the list, as a Computer of the wire has it: a field of that is
// here without a word.
type Computer struct {
	message *orielv1.Computer
	said    json.RawMessage // before, instead of message (once); nil: not
}

// MarshalJSON is for huma.
func (c Computer) MarshalJSON() ([]byte, error) {
	if c.said != nil {
		return c.said, nil
	}
	return computerShape.encode(c.message.ProtoReflect())
}

// UnmarshalJSON takes what MarshalJSON wrote.
func (c *Computer) UnmarshalJSON(b []byte) error {
	c.said = bytes.Clone(b)
	return nil
}

// Schema is for huma.
func (Computer) Schema(r huma.Registry) *huma.Schema { return computerShape.schema(r) }

func computerOf(c *orielv1.Computer) Computer { return Computer{message: c} }

func descriptor(m proto.Message) protoreflect.MessageDescriptor { return m.ProtoReflect().Descriptor() }

var computerShape = &shape{
	name:    "Computer",
	of:      descriptor(&orielv1.Computer{}),
	without: []protoreflect.Name{"capabilities"}, // of its agent's protocol, which programs do not speak
	always:  []protoreflect.Name{"added_at"},
	absent:  []protoreflect.Name{"same_machine_as"},
	times:   []protoreflect.Name{"last_seen"},
	words:   map[protoreflect.Name]string{"status": "", "display": "unknown"},
	beside:  map[protoreflect.Name]*shape{"summary": summaryShape},
	within:  map[protoreflect.Name]*shape{"twins": twinsShape, "fields": fieldShape},
	docs: map[protoreflect.Name]string{
		"name":            "The display name, else the host's.",
		"address":         "As the relay sees it.",
		"display_detail":  "Why there is no display.",
		"operators":       "Names of those in session.",
		"permissions":     "What the person who asks may on it, in the words of roles.",
		"preview_at":      "When the preview was taken; absent: there is none.",
		"twins":           "Two machines that use this identity; nobody gets a session.",
		"same_machine_as": "An older computer that is this machine, too.",
		"group_id":        "Empty: it is in no group.",
		"group":           "The group's name.",
		"comment":         "Markdown. Empty in lists.",
		"pinned":          "Who asks has it first in the list.",
		"fields":          "What is noted in the organization's fields; those without a value are left out.",
	},
}

// summaryShape is what of a machine stands in its row.
var summaryShape = &shape{
	of: descriptor(&orielv1.Summary{}),
	docs: map[protoreflect.Name]string{
		"os":        "linux, windows, darwin",
		"user":      "Signed in at the screen; may be empty.",
		"addresses": "The computer's own.",
	},
}

// fieldShape is the value of one of the organization's fields.
var fieldShape = &shape{name: "NotedField", of: descriptor(&orielv1.FieldValue{})}

// twinsShape is two machines that were connected with one identity at once.
var twinsShape = &shape{
	name:   "Twins",
	of:     descriptor(&orielv1.Twins{}),
	always: []protoreflect.Name{"seen_at"},
	within: map[protoreflect.Name]*shape{"machines": {
		name: "Twin",
		of:   descriptor(&orielv1.Twins_Machine{}),
		docs: map[protoreflect.Name]string{
			"mark":    "Names it to splitComputer.",
			"address": "As the relay sees it.",
			"renews":  "It makes an identity of its own when it connects next.",
		},
	}},
}

func when(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func maybe(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := when(ms)
	return &t
}

type idIn struct {
	ID string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
}

type computerOut struct{ Body Computer }

// ComputerFilter is what lists and counts of computers take.
type ComputerFilter struct {
	Words    string   `query:"q" maxLength:"256" doc:"Words that each has to have in its name, group, addresses, system, user, tags or fields, whatever their case."`
	Statuses []string `query:"status" maxItems:"5" enum:"online,in_session,offline,never_seen,blocked" doc:"Only those that are so, or so."`
	OS       []string `query:"os" maxItems:"16" maxLength:"32" doc:"Only those of these systems: linux, windows, darwin."`
	Groups   []string `query:"group" maxItems:"100" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id, or none" doc:"Only those in these groups or in groups within them; none: those in no group."`
	Tags     []string `query:"tag" maxItems:"16" maxLength:"64" doc:"Only those with one of these tags."`
	Pinned   bool     `query:"pinned" doc:"Only those that the caller pinned."`
	Versions []string `query:"version" maxItems:"16" maxLength:"64" doc:"Only those with these versions of the agent."`
	Enrolled []string `query:"enrolled_by" maxItems:"16" maxLength:"64" doc:"Only those that came with enrollment tokens of these people."`
}

func (in ComputerFilter) filter() fleet.Filter {
	f := fleet.Filter{Words: in.Words, Statuses: in.Statuses, OS: in.OS, Versions: in.Versions, EnrolledBy: in.Enrolled, Pinned: in.Pinned}
	for _, tag := range in.Tags {
		f.Tags = append(f.Tags, strings.ToLower(tag))
	}
	for _, g := range in.Groups {
		if g == "none" {
			g = ""
		}
		f.Groups = append(f.Groups, g)
	}
	return f
}

type computersIn struct {
	ComputerFilter
	Limit   int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
	Cursor  string `query:"cursor" maxLength:"6144" doc:"next of the page before, which was asked with the same sort, group_by and filters."`
	Sort    string `query:"sort" enum:"name,-name,status,-status,last_seen,-last_seen,added_at,-added_at,address,-address,version,-version,os,-os,group,-group" default:"name" doc:"By status those come first that can be connected to."`
	GroupBy string `query:"group_by" enum:"status,group,os,version" doc:"Computers that have this in common stand together."`
}

type countsIn struct {
	ComputerFilter
	GroupBy string `query:"group_by" enum:"status,group,os,version" doc:"What the counts of groups are of; absent: there are none."`
}

// ComputerCounts is how many computers there are.
type ComputerCounts struct {
	All     ComputerCount   `json:"all" doc:"That the caller may see."`
	Found   ComputerCount   `json:"found" doc:"That the filter finds."`
	Groups  []CountedGroup  `json:"groups" nullable:"false" doc:"Those that it finds, as group_by puts them together in the list; empty without."`
	Choices ComputerChoices `json:"choices" doc:"What the filter would find with another value: the counts of statuses heed all of it but its statuses, and so do the others. What there is none of is left out."`
}

// ComputerChoices are values that a filter could have.
type ComputerChoices struct {
	Statuses []CountedGroup `json:"statuses" nullable:"false"`
	Groups   []CountedGroup `json:"groups" nullable:"false" doc:"By the group that a computer is in itself."`
	OS       []CountedGroup `json:"os" nullable:"false"`
	Versions []CountedGroup `json:"versions" nullable:"false" doc:"Of agents."`
	Tags     []CountedGroup `json:"tags" nullable:"false" doc:"Those of most computers first; 500 at most."`
}

// ComputerCount is how many, and how many of them are online.
type ComputerCount struct {
	Count  int64 `json:"count"`
	Online int64 `json:"online"`
}

// CountedGroup are computers that have something in common.
type CountedGroup struct {
	Value string `json:"value" doc:"What they have in common: a status, the id of a group, a system or a version. Empty: none."`
	Name  string `json:"name" doc:"Of the group of computers."`
	ComputerCount
}

type countsOut struct{ Body ComputerCounts }

type updateComputerIn struct {
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Body struct {
		Name    *string      `json:"name,omitempty" maxLength:"256" doc:"Empty: the host's name. Absent: as it is."`
		Tags    []string     `json:"tags,omitempty" maxItems:"32" maxLength:"64" doc:"All of them; absent: as they are."`
		Comment *string      `json:"comment,omitempty" maxLength:"4096" doc:"Markdown. Absent: as it is."`
		Fields  []FieldValue `json:"fields,omitempty" maxItems:"50" doc:"Values of the organization's fields; those that are not named stay."`
	}
}

type splitIn struct {
	KeyIn
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Body struct {
		Mark string `json:"mark" minLength:"1" maxLength:"80" doc:"Of the machine that gets an identity of its own."`
	}
}

type previewIn struct {
	ID          string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	At          string `query:"at" maxLength:"32" doc:"Has no effect; a page puts the picture's time here, so that an address has one picture."`
	IfNoneMatch string `header:"If-None-Match" maxLength:"1024" doc:"The ETag of the picture that is at hand."`
}

// FieldValue is the value of one of the organization's fields, for a computer.
type FieldValue struct {
	ID    string `json:"id" maxLength:"64" doc:"Of the field."`
	Value string `json:"value" maxLength:"256" doc:"Empty: none any more."`
}

type previewOut struct {
	Status          int
	ContentType     string `header:"Content-Type"`
	CacheControl    string `header:"Cache-Control"`
	ETag            string `header:"ETag"`
	ContentSecurity string `header:"Content-Security-Policy"`
	Body            []byte
}

func (a *API) computers() {
	of := tag("computers")
	operation(a, "GET", "/computers", "listComputers", "List the computers that the caller may see.", a.listComputers, of)
	operation(a, "GET", "/computer-counts", "countComputers", "Count the computers that the caller may see, and those that a filter finds.", a.countComputers, of)
	operation(a, "GET", "/computers/{id}", "getComputer", "Get one computer.", a.getComputer, of)
	operation(a, "PATCH", "/computers/{id}", "updateComputer", "Change a computer. What the body does not name stays as it is.", a.updateComputer, of)
	operation(a, "PATCH", "/computers", "updateComputers", "Change up to 100 computers at once, each as the operation for one would. What of it could not be done is said for each.", a.updateComputers, of)
	operation(a, "PUT", "/computers/{id}/pin", "pinComputer", "Put a computer first in one's own list.", a.pinComputer, of, status(http.StatusNoContent))
	operation(a, "DELETE", "/computers/{id}/pin", "unpinComputer", "Put a computer back among the others.", a.unpinComputer, of, status(http.StatusNoContent))
	operation(a, "DELETE", "/computers/{id}", "removeComputer", "Remove a computer. Its sessions end, and its agent is refused from then on until it enrolls anew.", a.removeComputer, of, status(http.StatusNoContent))
	operation(a, "POST", "/computers/{id}/split", "splitComputer", "Say that two machines with one identity are two. The named one gets an identity of its own when it connects next, and is a computer of its own from then on.", a.splitComputer, of)
	operation(a, "DELETE", "/computers/{id}/twins", "settleComputer", "Say that only one of two machines with one identity is left. The mark goes, and comes back when both do.", a.settleComputer, of, status(http.StatusNoContent))
	operation(a, "GET", "/computers/{id}/inventory", "getInventory", "Get what is known of the machine. It is what the agent sent last.", a.inventory, of)
	operation(a, "POST", "/computers/{id}/refresh", "refreshInventory", "Ask the agent for its inventory. The answer comes when the new one is there, or 504 when the agent does not send it in time.", a.refresh, of)
	operation(a, "GET", "/computers/{id}/preview", "getPreview", "Get the newest picture of the screen. Ask again with If-None-Match to be sent it only when it has changed.", a.preview, of, picture)
}

// picture describes an answer that is no JSON.
func picture(op *huma.Operation) {
	op.Responses = map[string]*huma.Response{
		"200": {Description: "The picture", Content: map[string]*huma.MediaType{"image/jpeg": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}},
		"304": {Description: "The picture has not changed"},
	}
}

// computer is one as the caller sees it.
func (a *API) computer(ctx context.Context, id string) (Computer, error) {
	who := callerOf(ctx).who
	may, err := a.o.Access.Offers(ctx, who)
	if err != nil {
		return Computer{}, err
	}
	c, err := a.o.Fleet.Details(ctx, own(ctx, id), who.PersonID, may.On)
	return computerOf(c), err
}

func (a *API) listComputers(ctx context.Context, in *computersIn) (*listOut[Computer], error) {
	who := callerOf(ctx).who
	see, err := a.o.Access.Visible(ctx, who, rights.See)
	if err != nil {
		return nil, err
	}
	may, err := a.o.Access.Offers(ctx, who)
	if err != nil {
		return nil, err
	}
	view := fleet.View{ComputerFilter: in.filter(), Person: who.PersonID, Sort: in.Sort, Group: in.GroupBy}
	found, err := a.o.Fleet.Page(ctx, who.Organization, see, may.On, view, page.Request{Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return nil, err
	}
	out := page.Page[Computer]{Items: make([]Computer, len(found.Items)), Next: found.Next}
	for i, c := range found.Items {
		out.Items[i] = computerOf(c)
	}
	return &listOut[Computer]{out}, nil
}

func (a *API) countComputers(ctx context.Context, in *countsIn) (*countsOut, error) {
	who := callerOf(ctx).who
	see, err := a.o.Access.Visible(ctx, who, rights.See)
	if err != nil {
		return nil, err
	}
	t, err := a.o.Fleet.Tally(ctx, who.Organization, see, in.filter(), who.PersonID, in.GroupBy)
	all := t
	if err == nil && !reflect.DeepEqual(in.ComputerFilter, ComputerFilter{}) {
		all, err = a.o.Fleet.Tally(ctx, who.Organization, see, fleet.Filter{}, "", "")
	}
	if err != nil {
		return nil, err
	}
	return &countsOut{ComputerCounts{All: countOf(all.Found), Found: countOf(t.Found), Groups: countsOf(t.By),
		Choices: ComputerChoices{countsOf(t.Statuses), countsOf(t.Groups), countsOf(t.OS), countsOf(t.Versions), countsOf(t.Tags)}}}, nil
}

func countOf(n fleet.Count) ComputerCount { return ComputerCount{n.Count, n.Online} }

func countsOf(all []fleet.Count) []CountedGroup {
	groups := make([]CountedGroup, len(all))
	for i, n := range all {
		groups[i] = CountedGroup{Value: n.Value, Name: n.Name, ComputerCount: countOf(n)}
	}
	return groups
}

func (a *API) getComputer(ctx context.Context, in *idIn) (*computerOut, error) {
	if err := a.require(ctx, rights.See, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	c, err := a.computer(ctx, in.ID)
	return &computerOut{c}, err
}

func (a *API) updateComputer(ctx context.Context, in *updateComputerIn) (*computerOut, error) {
	if err := a.require(ctx, rights.ComputersManage, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	name := ""
	if in.Body.Name != nil {
		if name = strings.TrimSpace(*in.Body.Name); !sanitize.Printable(name) {
			return nil, fault.Field("name", "this name has characters that cannot be shown")
		}
	}
	if in.Body.Tags != nil || in.Body.Comment != nil || in.Body.Fields != nil { // first, as it may be refused
		d := fleet.Description{Tags: in.Body.Tags, Comment: in.Body.Comment, Values: map[string]string{}}
		for _, f := range in.Body.Fields {
			d.Values[f.ID] = f.Value
		}
		if err := a.o.Fleet.Describe(ctx, actor(ctx), own(ctx, in.ID), d); err != nil {
			return nil, err
		}
	}
	if in.Body.Name != nil {
		if err := a.o.Fleet.Rename(ctx, actor(ctx), own(ctx, in.ID), name); err != nil {
			return nil, err
		}
	}
	c, err := a.computer(ctx, in.ID)
	return &computerOut{c}, err
}

func (a *API) pinComputer(ctx context.Context, in *idIn) (*struct{}, error) {
	if err := a.require(ctx, rights.See, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	return nil, a.o.Fleet.Pin(ctx, own(ctx, in.ID), callerOf(ctx).who.PersonID, true)
}

func (a *API) unpinComputer(ctx context.Context, in *idIn) (*struct{}, error) {
	if err := a.require(ctx, rights.See, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	return nil, a.o.Fleet.Pin(ctx, own(ctx, in.ID), callerOf(ctx).who.PersonID, false)
}

func (a *API) removeComputer(ctx context.Context, in *idIn) (*struct{}, error) {
	if err := a.require(ctx, rights.ComputersManage, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	return nil, a.o.Fleet.Remove(ctx, actor(ctx), own(ctx, in.ID))
}

func (a *API) splitComputer(ctx context.Context, in *splitIn) (*created[Computer], error) {
	if err := a.require(ctx, rights.ComputersManage, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	return once(ctx, a, in.Key, in.Body, func(ctx context.Context) (Computer, error) {
		if err := a.o.Fleet.Split(ctx, actor(ctx), own(ctx, in.ID), in.Body.Mark); err != nil {
			return Computer{}, err
		}
		return a.computer(ctx, in.ID)
	})
}

func (a *API) settleComputer(ctx context.Context, in *idIn) (*struct{}, error) {
	if err := a.require(ctx, rights.ComputersManage, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	return nil, a.o.Fleet.Settle(ctx, actor(ctx), own(ctx, in.ID))
}

func (a *API) preview(ctx context.Context, in *previewIn) (*previewOut, error) {
	// Never shown to who may not connect.
	if err := a.require(ctx, rights.Connect, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	data, kind, tag, err := a.o.Fleet.Preview(ctx, own(ctx, in.ID))
	if err != nil {
		return nil, err
	}
	// What an agent calls a picture is shown as a picture or not at all.
	if kind != "image/jpeg" {
		return nil, errPreview
	}
	out := &previewOut{Status: http.StatusOK, ContentType: kind, CacheControl: "private, no-cache", ETag: `"` + tag + `"`,
		ContentSecurity: "default-src 'none'; sandbox", Body: data}
	if in.IfNoneMatch == out.ETag {
		out.Status, out.Body = http.StatusNotModified, nil
	}
	return out, nil
}
