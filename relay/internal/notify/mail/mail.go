// Package mail tells people things by e-mail: that they are invited, which address
// to confirm, that their password was changed.
//
// # A mail and its change
//
// A room that changes something asks Compose for the message, and hands it to the store
// with the entry of the change (Entry.Sending): the mail is queued in the change's
// own transaction, so that neither is there without the other. Where no mail server
// is set, Enabled says no and nothing is queued: the room then shows the link to who
// made the change.
//
// # Sending
//
// Each node takes the mails that are due one by one; the store gives a mail to one
// node at a time, for hold. A mail server that is away, or says that it cannot now
// (4xx), is asked again after a pause that doubles, up to an hour, until the mail is a
// day old or what it links to has run out. What it refuses for good (5xx) ends at
// once as bounced, with its sentence. A node that dies between the server's yes and
// its own note sends again: the Message-ID is the same, by which mail programs know
// a copy.
//
// What a mail says is sealed in the database while it waits, and gone afterwards. The
// row stays for Keep, for the admins' list.
//
// # Hostile text
//
// A header is never made of text that was not checked: the recipient is one plain
// address, names are one line and short, and the library encodes what is not ASCII.
// A link is of the relay's own public address, by https or to loopback. What the mail
// server says is bounded, made plain and cut before it is kept.
//
// # Words
//
// words/LANGUAGE.json has all texts of a language, in the same keys; the templates
// have none. The plain and the HTML part are made of the same texts. Nothing in a
// mail is loaded from elsewhere.
//
// This package is the only door to go-mail.
package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"time"

	"oriel/protocol/sanitize"
	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
)

// Times of a Mailer.
const (
	Keep    = 30 * 24 * time.Hour // of what became of a mail
	TryFor  = 24 * time.Hour
	Poll    = 15 * time.Second
	Pace    = 100 * time.Millisecond // between two mails of a node, at least
	hold    = 3 * time.Minute        // more than one mail may take
	firstIn = 30 * time.Second       // second try
	mostIn  = time.Hour              // between two tries
)

// ErrOff: this relay has no mail server.
var ErrOff = errors.New("this relay has no mail server")

// Options of New; all but Server, Log, Now, Poll and Pace are needed.
type Options struct {
	Store     *store.Store
	Server    Server // zero: no mail is sent
	PublicURL *url.URL
	Name      string // the relay's, as people know it
	Node      string // run of this node, told from all others; empty: a new one
	Log       *slog.Logger
	Now       func() time.Time
	Poll      time.Duration
	Pace      time.Duration
}

// Mailer makes mails for changes to carry, and sends them.
type Mailer struct {
	o    Options
	due  chan struct{}
	page *layout
}

// New makes a Mailer. What it queues is sent while Run runs, here or on another node.
func New(o Options) *Mailer {
	if o.Node == "" {
		o.Node = store.NewID()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Poll == 0 {
		o.Poll = Poll
	}
	if o.Pace == 0 {
		o.Pace = Pace
	}
	m := &Mailer{o: o, due: make(chan struct{}, 1), page: newLayout()}
	o.Store.OnMail(m.wake)
	return m
}

// Enabled reports whether mail is sent. Where it is not, whoever changed something
// hands its link over.
func (m *Mailer) Enabled() bool { return m.o.Server.Host != "" }

// To is who gets a mail.
type To struct {
	Address  string
	Language string // as BCP 47 has it; empty, or one without words here: English
}

// Compose is a message for a change to carry. Errors: ErrOff, fault.Field("email").
func (m *Mailer) Compose(to To, what Message) (store.Mail, error) {
	if !m.Enabled() {
		return store.Mail{}, ErrOff
	}
	address, err := checkAddress(to.Address)
	if err != nil {
		return store.Mail{}, err
	}
	what = what.plain()
	if link := what.link(); link != "" {
		if err := m.checkLink(link); err != nil {
			return store.Mail{}, err
		}
	}
	data, err := json.Marshal(what)
	if err != nil {
		return store.Mail{}, fmt.Errorf("write down a mail: %w", err)
	}
	return store.Mail{ID: store.NewID(), Recipient: address, Kind: string(what.kind()), Language: choose(to.Language), Data: data,
		CreatedAt: m.o.Now().UnixMilli()}, nil
}

// Link is the address of a page of this relay, with a secret behind the # where there is
// one: no browser sends it on, and no log keeps it.
func (m *Mailer) Link(page, secret string) string {
	u := m.o.PublicURL.JoinPath(page)
	u.Fragment = secret
	return u.String()
}

// checkLink reports whether link leads to this relay, where nobody reads it on the way.
func (m *Mailer) checkLink(link string) error {
	own := m.o.PublicURL
	u, err := url.Parse(link)
	switch {
	case err != nil || u.User != nil || u.Host != own.Host || u.Scheme != own.Scheme || len(link) > maxLink:
		return fmt.Errorf("a link in a mail has to be one of %s", own)
	case u.Scheme != "https" && !loopback(u.Hostname()):
		return fmt.Errorf("a link in a mail has to be https; set public-url to an address that begins with it")
	}
	return nil
}

// Mail is one of the list.
type Mail struct {
	ID        string
	To        string
	Kind      Kind
	Language  string
	State     string // Queued …
	Attempts  int64
	Error     string // why it was not sent; empty: nothing went wrong
	CreatedAt int64  // Unix milliseconds, as all of these
	NextAt    int64  // of one that is queued
	SentAt    int64  // 0: it was not
}

// States of a Mail.
const (
	Queued  = store.MailQueued
	Sent    = store.MailSent
	Failed  = store.MailFailed
	Bounced = store.MailBounced
)

// Filter says which mails; its zero value means all.
type Filter struct {
	State       string // empty: any
	Words       string // that the recipient must have, each
	OldestFirst bool
}

// Page is at most limit mails of an organization, newest first unless f says
// otherwise, after cursor; next is empty at the end. Errors: page.ErrCursor.
func (m *Mailer) Page(ctx context.Context, o store.OrganizationID, f Filter, cursor string, limit int) (_ []Mail, next string, err error) {
	r := page.Request{Limit: limit, Cursor: cursor, Sort: "-created_at"}
	if f.OldestFirst {
		r.Sort = "created_at"
	}
	which := store.MailFilter{State: f.State, Words: f.Words, OldestFirst: f.OldestFirst}
	at, err := r.Place()
	if err == nil && at.ID != "" {
		which.AfterID = at.ID
		if which.AfterCreated, err = strconv.ParseInt(at.Key, 10, 64); err != nil {
			err = page.ErrCursor
		}
	}
	if err != nil {
		return nil, "", err
	}
	rows, err := m.o.Store.Mails(o).Page(ctx, which, int64(r.Size())+1)
	if err != nil {
		return nil, "", fmt.Errorf("list mails: %w", err)
	}
	if len(rows) > r.Size() {
		rows = rows[:r.Size()]
		last := rows[len(rows)-1]
		next = page.Place{Sort: r.Sort, Key: strconv.FormatInt(last.CreatedAt, 10), ID: last.ID}.Cursor()
	}
	all := make([]Mail, len(rows))
	for i, row := range rows {
		all[i] = Mail{ID: row.ID, To: row.Recipient, Kind: Kind(row.Kind), Language: row.Language, State: row.State, Attempts: row.Attempts,
			Error: row.LastError, CreatedAt: row.CreatedAt, NextAt: row.NextAt, SentAt: row.SentAt}
	}
	return all, next, nil
}

// plainName is somebody's name as it stands in a mail.
func plainName(s string) string { return sanitize.Line(s, maxName) }
