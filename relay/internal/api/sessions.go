package api

import (
	"context"
	"net/http"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// Session is one row of the journal.
type Session struct {
	ID              string     `json:"id"`
	ComputerID      string     `json:"computer_id"`
	ComputerName    string     `json:"computer_name" doc:"As it was called then."`
	OperatorID      string     `json:"operator_id"`
	OperatorName    string     `json:"operator_name"`
	OperatorAddress string     `json:"operator_address"`
	Browser         string     `json:"browser"`
	Scopes          []string   `json:"scopes" nullable:"false" doc:"All that it was allowed, such as view and control, also what was taken away meanwhile."`
	StartedAt       time.Time  `json:"started_at"`
	ConnectedAt     *time.Time `json:"connected_at,omitempty"`
	EndedAt         *time.Time `json:"ended_at,omitempty" doc:"Absent: it runs."`
	EndReason       string     `json:"end_reason" doc:"Empty while it runs."`
	EndCode         string     `json:"end_code" doc:"Empty without a fault."`
	EndDetail       string     `json:"end_detail"`
	Path            string     `json:"path" doc:"direct, relayed; empty: not known"`
	Bytes           uint64     `json:"bytes" doc:"Both ways."`
	Codec           string     `json:"codec"`
	Delays          *Delays    `json:"delays,omitempty" doc:"Absent: nobody measured, or there was no picture."`
}

// Delays is how long a session's pictures took, stage by stage, in the mean.
type Delays struct {
	Frames      uint64 `json:"frames" doc:"Sent."`
	CaptureUS   uint32 `json:"capture_us,omitempty" doc:"Microseconds, as all of these; absent: not measured."`
	ConvertUS   uint32 `json:"convert_us,omitempty"`
	EncodeUS    uint32 `json:"encode_us,omitempty"`
	QueueUS     uint32 `json:"queue_us,omitempty" doc:"In the network's queues."`
	RoundTripUS uint32 `json:"round_trip_us,omitempty"`
	LossPPM     uint32 `json:"loss_ppm" doc:"Lost of a million packets."`
	WaitUS      uint32 `json:"wait_us,omitempty" doc:"At the viewer, from the first packet until the picture is decoded."`
	DecodeUS    uint32 `json:"decode_us,omitempty"`
	ShownUS     uint32 `json:"shown_us,omitempty" doc:"From there to the screen."`
}

func delaysOf(d *orielv1.Delays) *Delays {
	if d == nil {
		return nil
	}
	return &Delays{
		Frames: d.GetFrames(), CaptureUS: d.GetCaptureUs(), ConvertUS: d.GetConvertUs(), EncodeUS: d.GetEncodeUs(),
		QueueUS: d.GetQueueUs(), RoundTripUS: d.GetRoundTripUs(), LossPPM: d.GetLossPpm(),
		WaitUS: d.GetWaitUs(), DecodeUS: d.GetDecodeUs(), ShownUS: d.GetShownUs(),
	}
}

func sessionOf(e *orielv1.JournalEntry) Session {
	s := Session{
		ID: e.GetSessionId(), ComputerID: e.GetComputerId(), ComputerName: e.GetComputerName(), OperatorID: e.GetOperatorId(),
		OperatorName: e.GetOperatorName(), OperatorAddress: e.GetOperatorAddress(), Browser: e.GetBrowser(),
		Scopes: each(e.GetScopes(), func(s orielv1.Scope) string { return orielv1.Word(s) }), StartedAt: when(e.GetStartedAt()), ConnectedAt: maybe(e.GetConnectedAt()),
		EndedAt: maybe(e.GetEndedAt()), EndDetail: e.GetEndDetail(), Bytes: e.GetBytes(), Codec: e.GetCodec(), Delays: delaysOf(e.GetDelays()),
	}
	if e.GetEndReason() != orielv1.EndReason_END_REASON_UNSPECIFIED {
		s.EndReason = word(e.GetEndReason(), "END_REASON_")
	}
	if e.GetEndCode() != orielv1.Code_CODE_UNSPECIFIED {
		s.EndCode = word(e.GetEndCode(), "CODE_")
	}
	if e.GetPath() != orielv1.Path_PATH_UNSPECIFIED {
		s.Path = word(e.GetPath(), "PATH_")
	}
	return s
}

type sessionsIn struct {
	ListIn
	Sort     string `query:"sort" enum:"started_at,-started_at" default:"-started_at"`
	Computer string `query:"computer" maxLength:"64"`
	Operator string `query:"operator" maxLength:"64"`
	Running  string `query:"running" enum:"true,false"`
}

type sessionOut struct{ Body Session }

func (a *API) sessions() {
	of := tag("sessions")
	operation(a, "GET", "/sessions", "listSessions", "The journal of sessions", a.listSessions, of)
	operation(a, "GET", "/sessions/{id}", "getSession", "One session", a.getSession, of)
	operation(a, "POST", "/sessions/{id}/end", "endSession", "End a session on both sides", a.endSession, of, status(http.StatusNoContent))
}

func (a *API) listSessions(ctx context.Context, in *sessionsIn) (*listOut[Session], error) {
	if err := a.require(ctx, rights.Journal, access.Relay); err != nil {
		return nil, err
	}
	f := store.SessionFilter{ComputerID: in.Computer, OperatorID: in.Operator, Words: in.Words, OldestFirst: in.Sort == "started_at"}
	if in.Running != "" {
		running := in.Running == "true"
		f.Running = &running
	}
	rows, next, err := a.o.Journal.Page(ctx, organization(ctx), f, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return &listOut[Session]{page.Page[Session]{Items: each(rows, sessionOf), Next: next}}, nil
}

func (a *API) getSession(ctx context.Context, in *idIn) (*sessionOut, error) {
	if err := a.require(ctx, rights.Journal, access.Session(in.ID)); err != nil {
		return nil, err
	}
	e, err := a.o.Journal.Get(ctx, own(ctx, in.ID))
	if err != nil {
		return nil, err
	}
	return &sessionOut{sessionOf(e)}, nil
}

func (a *API) endSession(ctx context.Context, in *idIn) (*struct{}, error) {
	// The broker asks access at its own door, and knows whose session it is.
	return nil, a.o.Broker.End(ctx, callerOf(ctx).who, in.ID)
}
