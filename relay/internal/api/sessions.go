package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"google.golang.org/protobuf/reflect/protoreflect"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// Session is one row of the journal, as a JournalEntry has it: a field of that is
// here without a word. What is said of one is optional.
type Session struct{ entry *orielv1.JournalEntry }

// MarshalJSON is for huma.
func (s Session) MarshalJSON() ([]byte, error) {
	return sessionShape.encode(s.entry.ProtoReflect())
}

// Schema is for huma.
func (Session) Schema(r huma.Registry) *huma.Schema { return sessionShape.schema(r) }

func sessionOf(e *orielv1.JournalEntry) Session { return Session{e} }

var sessionShape = &shape{
	name:    "Session",
	of:      (*orielv1.JournalEntry)(nil).ProtoReflect().Descriptor(),
	renamed: map[protoreflect.Name]string{"session_id": "id"},
	without: []protoreflect.Name{"mode"}, // scopes say it
	always:  []protoreflect.Name{"started_at"},
	within:  map[protoreflect.Name]*shape{"delays": delaysShape},
	docs: map[protoreflect.Name]string{
		"computer_name": "As it was called then.",
		"scopes":        "All that it was allowed, such as view and control, also what was taken away meanwhile.",
		"ended_at":      "Absent: it runs.",
		"end_reason":    "Empty while it runs.",
		"end_code":      "Empty without a fault.",
		"path":          "direct, relayed; empty: not known",
		"bytes":         "Both ways.",
		"delays":        "Absent: nobody measured, or there was no picture.",
	},
}

// delaysShape is how long a session's pictures took, stage by stage, in the mean.
var delaysShape = &shape{
	name:   "Delays",
	of:     (*orielv1.Delays)(nil).ProtoReflect().Descriptor(),
	sparse: true,
	always: []protoreflect.Name{"loss_ppm"},
	docs: map[protoreflect.Name]string{
		"frames":     "Sent.",
		"capture_us": "Microseconds, as all of these; absent: not measured.",
		"queue_us":   "In the network's queues.",
		"loss_ppm":   "Lost of a million packets.",
		"wait_us":    "At the viewer, from the first packet until the picture is decoded.",
		"shown_us":   "From there to the screen.",
	},
}

type sessionsIn struct {
	ListIn
	Sort     string `query:"sort" enum:"started_at,-started_at" default:"-started_at"`
	Computer string `query:"computer" maxLength:"64" doc:"Only those with this computer, by its id."`
	Operator string `query:"operator" maxLength:"64" doc:"Only those of this person, by their id."`
	Running  string `query:"running" enum:"true,false" doc:"true: only those that run; false: only those that have ended."`
}

type sessionOut struct{ Body Session }

func (a *API) sessions() {
	of := tag("sessions")
	operation(a, "GET", "/sessions", "listSessions", "List the journal of sessions. Those that run are in it as well.", a.listSessions, of)
	operation(a, "GET", "/sessions/{id}", "getSession", "Get one session of the journal.", a.getSession, of)
	operation(a, "POST", "/sessions/{id}/end", "endSession", "End a session on both sides. One that has ended already is no error.", a.endSession, of, status(http.StatusNoContent))
}

func (a *API) listSessions(ctx context.Context, in *sessionsIn) (*listOut[Session], error) {
	read, err := a.o.Access.Visible(ctx, callerOf(ctx).who, rights.Journal)
	if err != nil {
		return nil, err
	}
	f := journal.Filter{ComputerID: in.Computer, OperatorID: in.Operator, Words: in.Words, OldestFirst: in.Sort == "started_at"}
	if in.Running != "" {
		running := in.Running == "true"
		f.Running = &running
	}
	rows, next, err := a.o.Journal.Page(ctx, organization(ctx), read, f, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return &listOut[Session]{page.Page[Session]{Items: each(rows, sessionOf), Next: next}}, nil
}

func (a *API) getSession(ctx context.Context, in *idIn) (*sessionOut, error) {
	e, err := a.o.Journal.Get(ctx, own(ctx, in.ID))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	// Who may not read of all computers is refused also what does not exist.
	if refused := a.require(ctx, rights.Journal, access.Computer(e.GetComputerId())); refused != nil || err != nil {
		return nil, errors.Join(refused, err)
	}
	return &sessionOut{sessionOf(e)}, nil
}

func (a *API) endSession(ctx context.Context, in *idIn) (*struct{}, error) {
	// The broker asks access at its own door, and knows whose session it is.
	return nil, a.o.Broker.End(ctx, callerOf(ctx).who, in.ID)
}
