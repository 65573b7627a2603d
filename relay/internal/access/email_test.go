package access_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/notify/mail"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// added are a person's addresses, those that wait with a question mark.
func (u *signingUp) added(who access.Identity) string {
	u.t.Helper()
	all, err := u.a.EmailAddresses(u.t.Context(), who)
	u.must(err)
	var said []string
	for _, e := range all {
		if e.ExpiresAt != 0 {
			e.Email += "?"
		}
		said = append(said, e.Email)
	}
	return strings.Join(said, " ")
}

// mailed is the kind of the one mail that was sent since, and the token in it.
func (u *signingUp) mailed() (kind mail.Kind, token string) {
	u.t.Helper()
	all := u.sent()
	if len(all) != 1 {
		u.t.Fatalf("sent %+v", all)
	}
	_, token, _ = strings.Cut(all[0].Link, "#")
	return mail.Kind(all[0].Kind), token
}

// adding are the owner, who is of the staff, and a member of another organization.
func (u *signingUp) adding() (ada, bea access.Identity) {
	u.t.Helper()
	m := newMembersOf(u.t, u)
	p, its := m.person("bea")
	u.must(u.store.Members("third").AddPerson(u.t.Context(), by, store.Member{Role: store.RoleMember, State: store.Active}, p, its))
	bea, _ = m.signIn("third", "bea")
	ada, _, err := u.a.SignIn(u.t.Context(), email, password, home)
	u.must(err)
	return ada, bea
}

// Rule: an address that a person adds signs nobody in until that person, and nobody else,
// confirms it with its link, which is good once and for an hour; then it does, and it is
// audited.
func TestAnAddedAddressIsConfirmedByWhoAddedIt(t *testing.T) {
	eachSigningUp(t, func(t *testing.T, u *signingUp) {
		ctx := t.Context()
		ada, bea := u.adding()
		before := u.added(bea)
		u.must(u.a.AskEmailAddress(ctx, bea, " Second@Example.org "))
		kind, token := u.mailed()
		if kind != mail.EmailConfirmKind || u.added(bea) != strings.TrimSpace(before+" Second@Example.org?") {
			t.Errorf("%s, %s", kind, u.added(bea))
		}
		if _, _, err := u.a.SignIn(ctx, "second@example.org", password, home); !errors.Is(err, access.ErrCredentials) {
			t.Errorf("signed in by what waits: %v", err)
		}
		for what, c := range map[string]struct {
			who   access.Identity
			token string
		}{"another person": {ada, token}, "an invented token": {bea, "x"}} {
			if _, err := u.a.ConfirmEmailAddress(ctx, c.who, c.token); !errors.Is(err, access.ErrEmailLink) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := u.a.SigningUp(ctx, token, home); !errors.Is(err, access.ErrSignUpLink) {
			t.Errorf("an account by it: %v", err)
		}
		u.must(u.a.AskEmailAddress(ctx, bea, "second@example.org"))
		_, newest := u.mailed()
		u.clock.pass(access.ConfirmationLifetime - 1e6)
		if _, err := u.a.ConfirmEmailAddress(ctx, bea, token); !errors.Is(err, access.ErrEmailLink) {
			t.Errorf("a link that was replaced: %v", err)
		}
		got, err := u.a.ConfirmEmailAddress(ctx, bea, newest)
		if err != nil || got.Email != "second@example.org" || got.ExpiresAt != 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		if who, _, err := u.a.SignIn(ctx, "second@example.org", password, home); err != nil || who.PersonID != bea.PersonID {
			t.Errorf("signed in by what is confirmed: %+v, %v", who, err)
		}
		if _, err := u.a.ConfirmEmailAddress(ctx, bea, newest); !errors.Is(err, access.ErrEmailLink) {
			t.Errorf("a link that was used: %v", err)
		}
		if err := u.a.AskEmailAddress(ctx, bea, "SECOND@example.org"); err == nil || !strings.Contains(err.Error(), "your addresses already") {
			t.Errorf("one's own: %v", err)
		}
		u.must(u.a.AskEmailAddress(ctx, bea, "late@example.org"))
		_, late := u.mailed()
		u.clock.pass(access.ConfirmationLifetime)
		if _, err := u.a.ConfirmEmailAddress(ctx, bea, late); !errors.Is(err, access.ErrEmailLink) || strings.Contains(u.added(bea), "?") {
			t.Errorf("a link that expired: %v, %s", err, u.added(bea))
		}
		u.must(u.a.AskEmailAddress(ctx, bea, "back@example.org"))
		_, back := u.mailed()
		all, err := u.a.EmailAddresses(ctx, bea)
		u.must(err)
		waits := all[len(all)-1].ID
		if err := u.a.RemoveEmailAddress(ctx, ada, waits); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("taken back by another person: %v", err)
		}
		u.must(u.a.RemoveEmailAddress(ctx, bea, waits))
		if _, err := u.a.ConfirmEmailAddress(ctx, bea, back); !errors.Is(err, access.ErrEmailLink) {
			t.Errorf("a link that was taken back: %v", err)
		}
		entries, err := u.store.Audit(store.FirstOrganization).After(ctx, 0, 1000)
		u.must(err)
		did := map[string]int{}
		for _, e := range entries {
			if e.ActorID == bea.PersonID {
				did[e.Action]++
			}
		}
		if did[string(audit.EmailAsked)] != 4 || did[string(audit.IdentifierAdded)] != 1 || did[string(audit.EmailTakenBack)] != 1 {
			t.Errorf("in the audit %v", did)
		}
	})
}

// Rule: a person removes a confirmed address of their own, and nobody else's: nobody signs in
// with it any more, it is told so by mail, and mails go to another one from then on. Who is
// signed in stays so. The last that somebody can sign in with stays.
func TestAConfirmedAddressIsRemoved(t *testing.T) {
	eachSigningUp(t, func(t *testing.T, u *signingUp) {
		ctx := t.Context()
		ada, bea := u.adding()
		u.must(u.a.AskEmailAddress(ctx, ada, "second@example.org"))
		_, token := u.mailed()
		if _, err := u.a.ConfirmEmailAddress(ctx, ada, token); err != nil {
			t.Fatal(err)
		}
		all, err := u.a.EmailAddresses(ctx, ada)
		u.must(err)
		if len(all) != 2 || all[0].Email != email || all[0].Last || all[1].Last || all[0].ID == all[1].ID {
			t.Fatalf("%+v", all)
		}
		old, second := all[0].ID, all[1].ID
		if strings.Contains(old, "ada") {
			t.Errorf("the id %s tells the address", old)
		}
		for what, c := range map[string]struct {
			who access.Identity
			id  string
		}{"another's": {bea, old}, "what is not there": {ada, "x"}} {
			if err := u.a.RemoveEmailAddress(ctx, c.who, c.id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		u.must(u.a.RemoveEmailAddress(ctx, ada, old))
		if sent := u.sent(); len(sent) != 1 || !strings.EqualFold(sent[0].To, email) || mail.Kind(sent[0].Kind) != mail.EmailRemovedKind {
			t.Errorf("sent %+v", sent)
		}
		if _, _, err := u.a.SignIn(ctx, email, password, home); !errors.Is(err, access.ErrCredentials) {
			t.Errorf("signed in by what was removed: %v", err)
		}
		u.must(u.a.May(ctx, ada, rights.Account, access.Person(ada.PersonID)))
		who, _, err := u.a.SignIn(ctx, "second@example.org", password, home)
		if err != nil || who.Email != "second@example.org" {
			t.Errorf("signed in by the other: %+v, %v", who, err)
		}
		if all, err = u.a.EmailAddresses(ctx, ada); err != nil || len(all) != 1 || !all[0].Last {
			t.Errorf("%+v, %v", all, err)
		}
		if err := u.a.RemoveEmailAddress(ctx, ada, second); !errors.Is(err, store.ErrLastIdentifier) {
			t.Errorf("the last: %v", err)
		}
		entries, err := u.store.Audit(store.FirstOrganization).After(ctx, 0, 1000)
		u.must(err)
		if !slices.ContainsFunc(entries, func(e store.Entry) bool {
			return e.Action == string(audit.IdentifierRemoved) && e.ActorID == ada.PersonID && e.Details["key"] == strings.ToLower(email)
		}) {
			t.Errorf("the audit does not say so: %+v", entries)
		}
	})
}

// Rule: who adds an address does not learn by the answer or by what waits whether another
// account has it; its owner gets a mail that says so. Of two for whom one waits the first
// to confirm has it.
func TestWhoAddsAnAddressDoesNotLearnWhoseItIs(t *testing.T) {
	eachSigningUp(t, func(t *testing.T, u *signingUp) {
		ctx := t.Context()
		ada, bea := u.adding()
		before := u.added(bea)
		u.must(u.a.AskEmailAddress(ctx, bea, email))
		if kind, token := u.mailed(); kind != mail.EmailKnownKind || token != "" {
			t.Errorf("%s with %q", kind, token)
		}
		if got := u.added(bea); got != strings.TrimSpace(before+" "+email+"?") {
			t.Errorf("waits as %s", got)
		}
		own, err := u.store.Mails(bea.Organization).Page(ctx, store.MailFilter{}, 99)
		if err != nil || len(own) != 0 {
			t.Errorf("an admin of theirs is shown %+v, %v", own, err)
		}
		var tokens []string
		for _, who := range []access.Identity{ada, bea} {
			u.must(u.a.AskEmailAddress(ctx, who, "both@example.org"))
			_, token := u.mailed()
			tokens = append(tokens, token)
		}
		_, err = u.a.ConfirmEmailAddress(ctx, ada, tokens[0])
		u.must(err)
		if _, err := u.a.ConfirmEmailAddress(ctx, bea, tokens[1]); !errors.Is(err, access.ErrAccount) || !strings.Contains(u.added(bea), "both@example.org?") {
			t.Errorf("the second to confirm: %v, %s", err, u.added(bea))
		}
	})
}

// Rule: only the staff adds addresses of their domains, also where a domain became one
// while an address waited; and nobody adds any where no mail is sent.
func TestStaffAddTheirAddresses(t *testing.T) {
	eachSigningUp(t, func(t *testing.T, u *signingUp) {
		ctx := t.Context()
		ada, bea := u.adding()
		u.must(u.a.AskEmailAddress(ctx, bea, "bea@staff.example"))
		_, token := u.mailed()
		u.set(false, "staff.example")
		if _, err := u.a.ConfirmEmailAddress(ctx, bea, token); !errors.Is(err, access.ErrStaffDomain) {
			t.Errorf("confirmed: %v", err)
		}
		if err := u.a.AskEmailAddress(ctx, bea, "b@STAFF.example"); !errors.Is(err, access.ErrStaffDomain) {
			t.Errorf("added: %v", err)
		}
		u.must(u.a.AskEmailAddress(ctx, ada, "ada@staff.example"))
		_, token = u.mailed()
		_, err := u.a.ConfirmEmailAddress(ctx, ada, token)
		u.must(err)
	})
	u := openTo(t, "sqlite:"+t.TempDir()+"/relay.db", false)
	ada, _, err := u.a.SignIn(t.Context(), email, password, home)
	u.must(err)
	if err := u.a.AskEmailAddress(t.Context(), ada, "ada@example.org"); !errors.Is(err, access.ErrNoMail) {
		t.Errorf("without mail: %v", err)
	}
}
