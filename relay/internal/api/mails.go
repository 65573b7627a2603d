package api

import (
	"context"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/notify/mail"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
)

// Mail is one that a change of the organization sent, and what became of it.
type Mail struct {
	ID        string     `json:"id"`
	To        string     `json:"to" doc:"The recipient's address."`
	Kind      string     `json:"kind" doc:"What it is about, such as member.invited."`
	Language  string     `json:"language" doc:"As BCP 47 has it."`
	State     string     `json:"state" enum:"queued,sent,failed,bounced" doc:"failed: given up. bounced: the mail server refused it for good."`
	Attempts  int64      `json:"attempts" doc:"To hand it to the mail server."`
	Error     string     `json:"error" doc:"Why it was not sent, in the mail server's words where it said something; empty: nothing went wrong."`
	CreatedAt time.Time  `json:"created_at"`
	NextAt    *time.Time `json:"next_at,omitempty" doc:"Next attempt of one that is queued."`
	SentAt    *time.Time `json:"sent_at,omitempty" doc:"When the mail server took it."`
}

func mailOf(m mail.Mail) Mail {
	out := Mail{ID: m.ID, To: m.To, Kind: string(m.Kind), Language: m.Language, State: m.State, Attempts: m.Attempts, Error: m.Error,
		CreatedAt: when(m.CreatedAt), SentAt: maybe(m.SentAt)}
	if m.State == mail.Queued {
		out.NextAt = maybe(m.NextAt)
	}
	return out
}

type mailsIn struct {
	ListIn
	Sort  string `query:"sort" enum:"created_at,-created_at" default:"-created_at"`
	State string `query:"state" enum:"queued,sent,failed,bounced" doc:"Only those."`
}

func (a *API) mails() {
	operation(a, "GET", "/mails", "listMails", "List the mails that the organization's changes sent. They are kept for 30 days.", a.listMails, tag("people"))
}

func (a *API) listMails(ctx context.Context, in *mailsIn) (*listOut[Mail], error) {
	if err := a.require(ctx, rights.PeopleManage, access.Organization); err != nil {
		return nil, err
	}
	f := mail.Filter{State: in.State, Words: in.Words, OldestFirst: in.Sort == "created_at"}
	rows, next, err := a.o.Mails.Page(ctx, organization(ctx), f, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return &listOut[Mail]{page.Page[Mail]{Items: each(rows, mailOf), Next: next}}, nil
}
