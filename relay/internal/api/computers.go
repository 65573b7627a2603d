package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
	"oriel/relay/internal/access"
	"oriel/relay/internal/fault"
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
	within:  map[protoreflect.Name]*shape{"twins": twinsShape},
	docs: map[protoreflect.Name]string{
		"name":            "The display name, else the host's.",
		"address":         "As the relay sees it.",
		"display_detail":  "Why there is no display.",
		"operators":       "Names of those in session.",
		"permissions":     "What the person who asks may on it, in the words of roles.",
		"preview_at":      "When the preview was taken; absent: there is none.",
		"twins":           "Two machines that use this identity; nobody gets a session.",
		"same_machine_as": "An older computer that is this machine, too.",
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

type computersIn struct {
	ListIn
	Sort   string `query:"sort" enum:"name,-name,added_at,-added_at,last_seen,-last_seen" default:"name"`
	Status string `query:"status" enum:"online,in_session,offline,never_seen,blocked" doc:"Only those that are so."`
}

var computerList = page.List[Computer]{
	ID: func(c Computer) string { return c.message.GetId() },
	Keys: map[string]func(Computer) string{
		"name":      func(c Computer) string { return strings.ToLower(c.message.GetName()) },
		"added_at":  func(c Computer) string { return inTime(when(c.message.GetAddedAt())) },
		"last_seen": func(c Computer) string { return inTime(orNever(maybe(c.message.GetLastSeen()))) },
	},
	Text: func(c Computer) []string {
		s := c.message.GetSummary()
		return append([]string{c.message.GetName(), s.GetHostName(), s.GetOsName(), s.GetUser(), c.message.GetAddress()}, s.GetAddresses()...)
	},
}

type updateComputerIn struct {
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Body struct {
		Name *string `json:"name,omitempty" maxLength:"256" doc:"Empty: the host's name. Absent: as it is."`
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
	operation(a, "GET", "/computers/{id}", "getComputer", "Get one computer.", a.getComputer, of)
	operation(a, "PATCH", "/computers/{id}", "updateComputer", "Change a computer. What the body does not name stays as it is.", a.updateComputer, of)
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
	may, err := a.o.Access.Offers(ctx, callerOf(ctx).who)
	if err != nil {
		return Computer{}, err
	}
	c, err := a.o.Fleet.GetFor(ctx, own(ctx, id), may.On)
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
	all, err := a.o.Fleet.List(ctx, who.Organization, see, may.On)
	if err != nil {
		return nil, err
	}
	var shown []Computer
	for _, c := range all {
		if in.Status == "" || orielv1.Word(c.GetStatus()) == in.Status {
			shown = append(shown, computerOf(c))
		}
	}
	return answer(computerList, shown, in.request(in.Sort))
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
	if in.Body.Name != nil {
		name := strings.TrimSpace(*in.Body.Name)
		if !sanitize.Printable(name) {
			return nil, fault.Field("name", "this name has characters that cannot be shown")
		}
		if err := a.o.Fleet.Rename(ctx, actor(ctx), own(ctx, in.ID), name); err != nil {
			return nil, err
		}
	}
	c, err := a.computer(ctx, in.ID)
	return &computerOut{c}, err
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
