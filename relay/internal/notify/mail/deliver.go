package mail

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/textproto"
	"time"

	"oriel/relay/internal/store"
)

// Why a mail was given up, as the list shows it.
const (
	tooLate    = "it could not be sent within a day"
	ranOut     = "its link ran out before it could be sent"
	unreadable = "what it says cannot be read; do what it was about again"
)

// wake has Run look at once.
func (m *Mailer) wake() {
	select {
	case m.due <- struct{}{}:
	default:
	}
}

// Run sends what is due until ctx ends, and forgets what is old. One Run at a time.
func (m *Mailer) Run(ctx context.Context) error {
	poll, sweep := time.NewTicker(m.o.Poll), time.NewTicker(time.Hour)
	defer poll.Stop()
	defer sweep.Stop()
	m.said(ctx, "sweep", m.Sweep(ctx))
	for {
		if m.Enabled() {
			m.said(ctx, "send", m.send(ctx))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.due:
		case <-poll.C:
		case <-sweep.C:
			m.said(ctx, "sweep", m.Sweep(ctx))
		}
	}
}

func (m *Mailer) said(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		m.o.Log.Warn("mail", "what", what, "err", err)
	}
}

// Sweep gives up what is queued for too long, and forgets mails older than Keep.
func (m *Mailer) Sweep(ctx context.Context) error {
	now := m.o.Now()
	n, err := m.o.Store.Outbox().GiveUp(ctx, now.Add(-TryFor).UnixMilli(), tooLate)
	if n > 0 {
		m.o.Log.Warn("mails given up", "mails", n)
	}
	_, err2 := m.o.Store.Outbox().Sweep(ctx, now.Add(-Keep).UnixMilli())
	return errors.Join(err, err2)
}

// send sends what is due, one mail after the other, on one connection.
func (m *Mailer) send(ctx context.Context) error {
	var s *session
	defer func() { s.close() }()
	pace := time.NewTicker(m.o.Pace)
	defer pace.Stop()
	for ctx.Err() == nil {
		mail, err := m.o.Store.Outbox().Claim(ctx, m.o.Node, m.o.Now().UnixMilli(), hold)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("take a mail: %w", err)
		}
		var goOn bool
		if s, goOn, err = m.one(ctx, s, mail); err != nil || !goOn {
			return err
		}
		select {
		case <-ctx.Done():
		case <-pace.C:
		}
	}
	return nil
}

// one sends a mail that was claimed, on s or a new session, and notes what became of
// it. It returns the session that the next can use, and whether there should be one now.
func (m *Mailer) one(ctx context.Context, s *session, mail store.Mail) (_ *session, goOn bool, err error) {
	message, dead := m.message(mail)
	if dead != "" {
		return s, true, m.end(ctx, mail, store.MailFailed, dead)
	}
	if s == nil {
		if s, err = m.o.Server.connect(ctx, greeting(m.o.PublicURL.Hostname())); err != nil {
			m.o.Log.Warn("mail server", "err", err)
			return nil, false, m.retry(ctx, mail, public(err))
		}
	}
	// Who stops the relay waits for the answer to what is under way, a little.
	within, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(3*time.Second, cancel) })()
	err = s.send(within, m.o.Server.From, mail.Recipient, message)
	var said *textproto.Error
	switch {
	case err == nil:
		m.o.Log.Info("mail sent", "mail", mail.ID, "kind", mail.Kind, "attempts", mail.Attempts)
		return s, true, m.note(ctx, func(ctx context.Context) error {
			return m.o.Store.Outbox().Sent(ctx, m.o.Node, mail.ID, m.o.Now().UnixMilli())
		})
	case errors.As(err, &said) && said.Code/100 == 5:
		return s, true, m.end(ctx, mail, store.MailBounced, sentence(said))
	case errors.As(err, &said) && said.Code != 421:
		return s, true, m.retry(ctx, mail, sentence(said))
	case errors.As(err, &said):
		s.close()
		return nil, false, m.retry(ctx, mail, sentence(said))
	}
	m.o.Log.Warn("mail server", "err", err)
	s.close()
	return nil, false, m.retry(ctx, mail, errNoWords.Error())
}

// public is the part of an error of connect that says nothing of the relay's network.
func public(err error) string {
	for _, known := range []error{errAway, errNoTLS, errSignIn, errNoWords} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return errAway.Error()
}

// message is the mail as it goes out; dead says why it cannot any more.
func (m *Mailer) message(mail store.Mail) (_ []byte, dead string) {
	now := m.o.Now()
	if now.Sub(time.UnixMilli(mail.CreatedAt)) > TryFor {
		return nil, tooLate
	}
	fail := func(err error) ([]byte, string) {
		m.o.Log.Error("mail cannot be written", "mail", mail.ID, "kind", mail.Kind, "err", err)
		return nil, unreadable
	}
	data, err := m.o.Store.Outbox().Opened(mail)
	if err != nil {
		return fail(err)
	}
	what, err := decode(Kind(mail.Kind), data)
	if err != nil {
		return fail(err)
	}
	if until := what.until(); !until.IsZero() && now.After(until) {
		return nil, ranOut
	}
	text, err := m.page.render(what, mail.Language, m.o.Name, m.o.PublicURL.Host)
	if err != nil {
		return fail(err)
	}
	message, err := m.o.Server.compose(headers{mail.ID, mail.Language, now}, mail.Recipient, text)
	if err != nil {
		return fail(err)
	}
	return message, ""
}

func (m *Mailer) end(ctx context.Context, mail store.Mail, state, why string) error {
	m.o.Log.Warn("mail not sent", "mail", mail.ID, "kind", mail.Kind, "state", state, "why", why)
	return m.note(ctx, func(ctx context.Context) error {
		return m.o.Store.Outbox().End(ctx, m.o.Node, mail.ID, state, why)
	})
}

// retry has the mail tried later, unless that would be too late.
func (m *Mailer) retry(ctx context.Context, mail store.Mail, why string) error {
	next := m.o.Now().Add(pause(mail.Attempts, rand.Float64()))
	if next.Sub(time.UnixMilli(mail.CreatedAt)) > TryFor {
		return m.end(ctx, mail, store.MailFailed, tooLate+": "+why)
	}
	m.o.Log.Info("mail waits", "mail", mail.ID, "kind", mail.Kind, "attempts", mail.Attempts, "next", next, "why", why)
	return m.note(ctx, func(ctx context.Context) error {
		return m.o.Store.Outbox().Retry(ctx, m.o.Node, mail.ID, why, next.UnixMilli())
	})
}

// pause after so many attempts: it doubles, and is spread by a quarter both ways so
// that nodes and mails do not come at once. spread is from 0 to 1.
func pause(attempts int64, spread float64) time.Duration {
	p := firstIn << min(max(attempts, 1)-1, 10)
	return time.Duration(float64(min(p, mostIn)) * (0.75 + spread/2))
}

// note writes down what became of a mail, also when ctx has ended meanwhile. That
// another node has the mail by now is no error.
func (m *Mailer) note(ctx context.Context, write func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := write(ctx)
	if errors.Is(err, store.ErrNotFound) {
		m.o.Log.Warn("another node has a mail that this one held")
		return nil
	}
	return err
}
