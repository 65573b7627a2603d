package audit

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
)

// Filter says which entries; its zero value means all. Its own place is not looked at.
type Filter = store.AuditFilter

// Row is an entry as it is shown and exported.
type Row struct {
	Organization string            `json:"organization" doc:"Id of the organization whose audit it is in."`
	Sequence     int64             `json:"sequence" doc:"Number within the organization, without gaps, in the order in which the changes were made."`
	At           time.Time         `json:"at" doc:"When it happened; of several refusals that are one entry, the first."`
	ActorKind    string            `json:"actor_kind" doc:"person, agent (of a computer), command (the relay's command line) or relay (by its own rules)."`
	ActorID      string            `json:"actor_id" doc:"Of the person or the computer; empty where it is not known who."`
	ActorName    string            `json:"actor_name" doc:"As they were called then."`
	SignInID     string            `json:"sign_in_id" doc:"Of a person: the sign-in that they did it with."`
	Address      string            `json:"address" doc:"IP address that they did it from; empty: at the relay itself."`
	Action       Action            `json:"action" doc:"What was done."`
	ObjectKind   string            `json:"object_kind" doc:"What it was done to: person, computer, session, sign_in, token, relay …"`
	ObjectID     string            `json:"object_id"`
	Outcome      string            `json:"outcome" enum:"done,refused" doc:"refused: nothing was changed."`
	Details      map[string]string `json:"details" nullable:"false" doc:"What else there is to say, by name."`
	Hash         string            `json:"hash" doc:"Hexadecimal SHA-256 over this entry and the hash of the one before."`
}

func row(e Entry) Row {
	details := map[string]string(e.Details)
	if details == nil {
		details = map[string]string{}
	}
	return Row{Organization: string(e.Organization), Sequence: e.Sequence, At: time.UnixMilli(e.At).UTC(), ActorKind: e.ActorKind, ActorID: e.ActorID,
		ActorName: e.ActorName, SignInID: e.SignInID, Address: e.Address, Action: Action(e.Action), ObjectKind: e.ObjectKind, ObjectID: e.ObjectID,
		Outcome: e.Outcome, Details: details, Hash: e.Hash}
}

// Page is at most limit entries (0: page.Default) that f names after cursor (empty:
// from the newest, or the oldest where f says so), and the cursor of the next page,
// empty when there is none. Errors: page.ErrCursor.
func (l *Log) Page(ctx context.Context, o store.OrganizationID, f Filter, cursor string, limit int) (rows []Row, next string, err error) {
	r := page.Request{Limit: limit, Cursor: cursor, Sort: "-sequence"}
	if f.OldestFirst {
		r.Sort = "sequence"
	}
	at, err := r.Place()
	if err == nil && at.ID != "" {
		if f.After, err = strconv.ParseInt(at.ID, 10, 64); err != nil || f.After <= 0 {
			err = page.ErrCursor
		}
	}
	if err != nil {
		return nil, "", err
	}
	all, err := l.o.Store.Audit(o).Page(ctx, f, int64(r.Size())+1)
	if err != nil {
		return nil, "", fmt.Errorf("audit: %w", err)
	}
	if len(all) > r.Size() {
		all = all[:r.Size()]
		next = page.Place{Sort: r.Sort, ID: strconv.FormatInt(all[len(all)-1].Sequence, 10)}.Cursor()
	}
	rows = make([]Row, len(all))
	for i, e := range all {
		rows[i] = row(e)
	}
	return rows, next, nil
}

// Format of an export.
type Format string

// Formats.
const (
	CSV       Format = "csv"   // RFC 4180, with a line of names first
	JSONLines Format = "jsonl" // a Row in each line
)

// exportBatch is how many entries of an export are in memory at once.
const exportBatch = 500

// Export writes the entries that f names, the oldest first, batch by batch.
func (l *Log) Export(ctx context.Context, o store.OrganizationID, f Filter, as Format, w io.Writer) error {
	write, flush := lines(w)
	if as == CSV {
		write, flush = cells(w)
	}
	f.OldestFirst, f.After = true, 0
	for {
		all, err := l.o.Store.Audit(o).Page(ctx, f, exportBatch)
		if err != nil {
			return fmt.Errorf("export the audit: %w", err)
		}
		for _, e := range all {
			if err := write(row(e)); err != nil {
				return err
			}
		}
		if len(all) < exportBatch {
			return flush()
		}
		if err := flush(); err != nil {
			return err
		}
		f.After = all[len(all)-1].Sequence
	}
}

// Exported writes down that somebody takes the audit away.
func (l *Log) Exported(ctx context.Context, o store.OrganizationID, by Actor, as Format) error {
	return l.o.Store.Audit(o).Record(ctx, by.Did(AuditExported, "audit", "", "format", string(as)))
}

func lines(w io.Writer) (write func(Row) error, flush func() error) {
	e := json.NewEncoder(w)
	return func(r Row) error { return e.Encode(r) }, func() error { return nil }
}

// columns of a CSV.
var columns = []string{"sequence", "at", "actor_kind", "actor_id", "actor_name", "sign_in_id", "address",
	"action", "object_kind", "object_id", "outcome", "details", "hash", "organization"}

func cells(w io.Writer) (write func(Row) error, flush func() error) {
	c, begun := csv.NewWriter(w), false
	begin := func() error {
		if begun {
			return nil
		}
		begun = true
		return c.Write(columns)
	}
	write = func(r Row) error {
		if err := begin(); err != nil {
			return err
		}
		details, err := json.Marshal(r.Details)
		if err != nil {
			return err
		}
		all := []string{strconv.FormatInt(r.Sequence, 10), r.At.Format(time.RFC3339Nano), r.ActorKind, r.ActorID, r.ActorName, r.SignInID, r.Address,
			string(r.Action), r.ObjectKind, r.ObjectID, r.Outcome, string(details), r.Hash, r.Organization}
		for i, text := range all {
			all[i] = harmless(text)
		}
		return c.Write(all)
	}
	return write, func() error {
		err := begin()
		c.Flush()
		if err == nil {
			err = c.Error()
		}
		return err
	}
}

// harmless is text that no spreadsheet takes for a formula (OWASP, CSV injection).
func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(text)[0]) {
		return "'" + text
	}
	return text
}
