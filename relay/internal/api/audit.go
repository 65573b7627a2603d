package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// Audit is who did what to what.
type Audit interface {
	Page(ctx context.Context, o store.OrganizationID, f audit.Filter, cursor string, limit int) ([]audit.Row, string, error)
	Export(ctx context.Context, o store.OrganizationID, f audit.Filter, as audit.Format, w io.Writer) error
	Exported(ctx context.Context, o store.OrganizationID, by audit.Actor, as audit.Format) error
	State(o store.OrganizationID) audit.State
}

// AuditEntry is one of the audit.
type AuditEntry audit.Row

// AuditState is what the relay knows of the audit as a whole.
type AuditState struct {
	Verified   int64      `json:"verified" doc:"Number up to which the relay has found nothing altered or lost; 0: it has not looked yet."`
	VerifiedAt *time.Time `json:"verified_at,omitempty"`
	Signed     int64      `json:"signed" doc:"Number up to which the relay has signed; 0: not yet."`
	SignedAt   *time.Time `json:"signed_at,omitempty"`
	Fault      string     `json:"fault" doc:"What is wrong with it, in a sentence; empty: nothing."`
}

// AuditFilterIn says which entries; each empty one is any.
type AuditFilterIn struct {
	ActorKind  string    `query:"actor_kind" enum:"person,agent,command,relay" doc:"What kind of actor did it."`
	Actor      string    `query:"actor" maxLength:"256" doc:"Id of the person or computer that did it."`
	Action     string    `query:"action" maxLength:"64" doc:"What was done, such as session.opened."`
	ObjectKind string    `query:"object_kind" maxLength:"64" doc:"What kind of object it was done to."`
	Object     string    `query:"object" maxLength:"256" doc:"Id of what it was done to."`
	Outcome    string    `query:"outcome" enum:"done,refused" doc:"Whether it was done or refused."`
	From       time.Time `query:"from" doc:"Not before this time."`
	Until      time.Time `query:"until" doc:"Before this time."`
}

func (in AuditFilterIn) filter(words string) (audit.Filter, error) {
	f := audit.Filter{ActorKind: in.ActorKind, ActorID: in.Actor, Action: in.Action, ObjectKind: in.ObjectKind, ObjectID: in.Object, Outcome: in.Outcome, Words: words}
	if !in.From.IsZero() {
		f.From = in.From.UnixMilli()
	}
	if !in.Until.IsZero() {
		f.Until = in.Until.UnixMilli()
	}
	if f.From != 0 && f.Until != 0 && f.From >= f.Until {
		return f, fault.Field("until", "this is not after from; choose a later time")
	}
	return f, nil
}

type auditIn struct {
	ListIn
	AuditFilterIn
	Sort string `query:"sort" enum:"sequence,-sequence" default:"-sequence"`
}

type auditExportIn struct {
	AuditFilterIn
	Words  string `query:"q" maxLength:"256" doc:"Words that each item has to have, whatever their case."`
	Format string `query:"format" enum:"csv,jsonl" default:"csv" doc:"csv: for spreadsheets; jsonl: an entry of the list in each line, which is exact."`
}

type auditStateOut struct{ Body AuditState }

func (a *API) auditing() {
	of := tag("audit")
	operation(a, "GET", "/audit", "listAudit", "Lists who did what to what. The newest entries come first.", a.listAudit, of)
	operation(a, "GET", "/audit/state", "getAuditState", "Says whether the audit is whole. The relay signs it every few seconds, and reads all of it once a day.", a.auditState, of)
	operation(a, "GET", "/audit/export", "exportAudit", "Exports the audit as a file. The oldest entries come first, and that it was exported is an entry of its own.", a.exportAudit, of, exported)
	entry := a.huma.OpenAPI().Components.Schemas.Map()["AuditEntry"]
	for _, action := range audit.Actions {
		entry.Properties["action"].Enum = append(entry.Properties["action"].Enum, string(action))
	}
}

// exported describes the answers of an export, which are files.
func exported(op *huma.Operation) {
	text := map[string]*huma.MediaType{}
	for _, kind := range auditKinds {
		text[kind] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	op.Responses = map[string]*huma.Response{"200": {Description: "The entries", Content: text}}
}

var auditKinds = map[audit.Format]string{audit.CSV: "text/csv; charset=utf-8", audit.JSONLines: "application/jsonl"}

// requireAudit is the question of whoever reads the audit, and whose it is.
func (a *API) requireAudit(ctx context.Context) (store.OrganizationID, error) {
	return organization(ctx), a.require(ctx, rights.Audit, access.Organization)
}

func (a *API) listAudit(ctx context.Context, in *auditIn) (*listOut[AuditEntry], error) {
	o, err := a.requireAudit(ctx)
	if err != nil {
		return nil, err
	}
	f, err := in.filter(in.Words)
	if err != nil {
		return nil, err
	}
	f.OldestFirst = in.Sort == "sequence"
	rows, next, err := a.o.Audit.Page(ctx, o, f, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return &listOut[AuditEntry]{page.Page[AuditEntry]{Items: each(rows, func(r audit.Row) AuditEntry { return AuditEntry(r) }), Next: next}}, nil
}

func (a *API) auditState(ctx context.Context, _ *struct{}) (*auditStateOut, error) {
	o, err := a.requireAudit(ctx)
	if err != nil {
		return nil, err
	}
	s := a.o.Audit.State(o)
	return &auditStateOut{AuditState{Verified: s.Verified, VerifiedAt: maybe(s.VerifiedAt), Signed: s.Sealed, SignedAt: maybe(s.SealedAt), Fault: s.Fault}}, nil
}

func (a *API) exportAudit(ctx context.Context, in *auditExportIn) (*huma.StreamResponse, error) {
	o, err := a.requireAudit(ctx)
	if err != nil {
		return nil, err
	}
	f, err := in.filter(in.Words)
	if err != nil {
		return nil, err
	}
	as := audit.Format(in.Format)
	if err := a.o.Audit.Exported(ctx, o, actor(ctx), as); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		hc.SetHeader("Content-Type", auditKinds[as])
		hc.SetHeader("Content-Disposition", `attachment; filename="audit.`+in.Format+`"`)
		if err := a.o.Audit.Export(ctx, o, f, as, exportWriter{hc.BodyWriter(), http.NewResponseController(w)}); err != nil {
			a.note(ctx, "exportAudit", err)
			panic(http.ErrAbortHandler) // so that whoever reads sees that it is not whole
		}
	}}, nil
}

// exportWithin is how long one part of an export may take to be read. An export as a
// whole takes as long as it is read.
const exportWithin = time.Minute

type exportWriter struct {
	io.Writer
	c *http.ResponseController
}

func (w exportWriter) Write(b []byte) (int, error) {
	_ = w.c.SetWriteDeadline(time.Now().Add(exportWithin)) // a test's recorder has none
	return w.Writer.Write(b)
}
