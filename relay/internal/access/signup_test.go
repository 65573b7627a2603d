package access_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/notify/mail"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// signingUp is a relay that sends mail, with an owner, where anybody may sign up.
type signingUp struct {
	t     *testing.T
	store *store.Store
	a     *access.Access
	clock *clock

	mu         sync.Mutex
	statements []string // protected by mu; nil: they are not noted
}

// openTo opens a relay that sends mail to somebody who writes it down, or none.
func openTo(t *testing.T, address string, mails bool) *signingUp {
	t.Helper()
	u := &signingUp{t: t, clock: newClock()}
	s, err := store.Open(t.Context(), address, store.Options{Statement: func(_ context.Context, text string) {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.statements != nil {
			u.statements = append(u.statements, text)
		}
	}})
	u.must(err)
	t.Cleanup(func() { _ = s.Close() })
	server := mail.Server{}
	if mails {
		server = mail.Server{Host: "mail.example.com", Port: 25, From: "oriel@example.com"}
	}
	u.store = s
	m := mail.New(mail.Options{Store: s, Server: server, PublicURL: &url.URL{Scheme: "https", Host: "relay.example"}, Name: "Oriel", Now: u.clock.now})
	u.a = open(t, s, access.Options{Now: u.clock.now, Mailer: m})
	own(t, u.a)
	return u
}

func eachSigningUp(t *testing.T, fn func(t *testing.T, u *signingUp)) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		u := openTo(t, address, true)
		u.set(true)
		fn(t, u)
	})
}

func (u *signingUp) must(err error) {
	u.t.Helper()
	if err != nil {
		u.t.Fatal(err)
	}
}

func (u *signingUp) set(open bool, staff ...string) {
	u.t.Helper()
	u.must(u.store.Relay().SetSettings(u.t.Context(), by, &open, append([]string{}, staff...)))
}

func (u *signingUp) ask(email string) error {
	return u.a.AskSignUp(u.t.Context(), email, "Acme GmbH", home)
}

// sent are the mails that were queued since, by kind and link, the oldest first.
func (u *signingUp) sent() (all []struct{ To, Kind, Link string }) {
	u.t.Helper()
	for {
		m, err := u.store.Outbox().Claim(u.t.Context(), "test", u.clock.now().UnixMilli(), time.Minute)
		if errors.Is(err, store.ErrNotFound) {
			return all
		}
		u.must(err)
		data, err := u.store.Outbox().Opened(m)
		u.must(err)
		var said struct{ Link string }
		u.must(json.Unmarshal(data, &said))
		all = append(all, struct{ To, Kind, Link string }{m.Recipient, m.Kind, said.Link})
		u.must(u.store.Outbox().Sent(u.t.Context(), "test", m.ID, 1))
	}
}

// link is the token of the one link that was sent since.
func (u *signingUp) link() string {
	u.t.Helper()
	all := u.sent()
	if len(all) != 1 || all[0].Kind != string(mail.SignUpConfirmKind) || !strings.HasPrefix(all[0].Link, "https://relay.example/sign-up#") {
		u.t.Fatalf("sent %+v", all)
	}
	_, token, _ := strings.Cut(all[0].Link, "#")
	return token
}

// Rule: who follows the link within its hour becomes a person with that address, confirmed,
// who owns an organization of their own and nothing else. It is good once.
func TestWhoSignsUpOwnsAnOrganizationOfTheirOwn(t *testing.T) {
	eachSigningUp(t, func(t *testing.T, u *signingUp) {
		ctx := t.Context()
		u.must(u.ask(" Bea@Example.org "))
		u.must(u.ask("bea@example.org"))
		all := u.sent()
		if len(all) != 2 || all[0].To != "Bea@example.org" {
			t.Fatalf("sent %+v", all)
		}
		_, token, _ := strings.Cut(all[0].Link, "#")
		_, second, _ := strings.Cut(all[1].Link, "#")
		u.clock.pass(access.ConfirmationLifetime - time.Millisecond)
		said, err := u.a.SigningUp(ctx, token, home)
		if err != nil || said != (access.SigningUp{Email: "Bea@Example.org", Organization: "Acme GmbH"}) {
			t.Fatalf("%+v, %v", said, err)
		}
		who, cookie, err := u.a.SignUp(ctx, token, " Bea ", password, home)
		u.must(err)
		o, err := u.store.Organizations().Get(ctx, who.Organization)
		u.must(err)
		if who.Name != "Bea" || who.Role != store.RoleOwner || o.Name != "Acme GmbH" || !regexp.MustCompile(`^acme-gmbh-[a-z2-7]{6}$`).MatchString(o.Code) {
			t.Errorf("%+v of %+v", who, o)
		}
		in, err := u.store.People().Memberships(ctx, who.PersonID)
		if err != nil || len(in) != 1 || in[0].Organization != who.Organization {
			t.Errorf("member of %+v, %v", in, err)
		}
		ids, err := u.store.People().Identifiers(ctx, who.PersonID)
		if err != nil || len(ids) != 1 || ids[0].Key != "bea@example.org" || ids[0].VerifiedAt == 0 {
			t.Errorf("known by %+v, %v", ids, err)
		}
		if _, err := u.a.Identify(request(cookie)); err != nil {
			t.Errorf("the sign-in: %v", err)
		}
		for what, token := range map[string]string{"the same link": token, "another one of that address": second} {
			if _, _, err := u.a.SignUp(ctx, token, "Bea", password, home); !errors.Is(err, access.ErrSignUpLink) {
				t.Errorf("%s again: %v", what, err)
			}
		}
		if _, _, err := u.a.SignIn(ctx, "bea@example.org", password, home); err != nil {
			t.Errorf("signing in: %v", err)
		}
	})
}

// Rule: a link that is invented, expired or of an address that somebody has meanwhile makes nobody.
func TestLinksThatAreNoGood(t *testing.T) {
	eachSigningUp(t, func(t *testing.T, u *signingUp) {
		ctx := t.Context()
		try := func(what, token string, want error) {
			t.Helper()
			_, read := u.a.SigningUp(ctx, token, home)
			_, _, err := u.a.SignUp(ctx, token, "Bea", password, home)
			if !errors.Is(err, want) || !errors.Is(want, access.ErrAccount) && !errors.Is(read, want) {
				t.Errorf("%s: read %v, used %v; want %v", what, read, err, want)
			}
		}
		try("an invented one", "invented", access.ErrSignUpLink)
		u.must(u.ask("bea@example.org"))
		token := u.link()
		u.set(false)
		try("one when it was closed", token, access.ErrSignUpClosed)
		u.set(true, "example.org")
		try("one of what is now a staff domain", token, access.ErrStaffDomain)
		u.set(true)
		u.must(u.store.Members(first).AddPerson(ctx, by, store.Member{Role: store.RoleMember, State: store.Active}, store.Person{ID: "bea", Name: "Bea"},
			store.Identifier{Kind: store.Email, Key: "bea@example.org", Text: "bea@example.org"}))
		try("one of an address that somebody has", token, access.ErrAccount)
		u.clock.pass(access.ConfirmationLifetime)
		try("an expired one", token, access.ErrSignUpLink)
	})
}

// Rule: whether an address has an account shows neither in the answer nor in what is
// done for it: the same statements, in the same order. Only the mail says it.
func TestSigningUpTellsNobodyWhoHasAnAccount(t *testing.T) {
	eachSigningUp(t, func(t *testing.T, u *signingUp) {
		texts := regexp.MustCompile(`'(?:[^']|'')*'|\\x[0-9a-f]+|[xX]'[0-9a-fA-F]*'|\b\d+\b`)
		said := func(email string) (statements []string) {
			t.Helper()
			u.mu.Lock()
			u.statements = []string{}
			u.mu.Unlock()
			if err := u.ask(email); err != nil {
				t.Errorf("%s: %v", email, err)
			}
			u.mu.Lock()
			defer u.mu.Unlock()
			for _, text := range u.statements {
				statements = append(statements, texts.ReplaceAllString(text, "?"))
			}
			u.statements = nil
			return statements
		}
		said("first@example.org") // counters are there from now on
		stranger, known := said("none@example.com"), said("ada@example.com")
		if len(stranger) < 5 || !slices.Equal(stranger, known) {
			t.Errorf("of a stranger\n%s\nof who has an account\n%s", strings.Join(stranger, "\n"), strings.Join(known, "\n"))
		}
		all := u.sent()
		if len(all) != 3 || all[1].Kind != "sign_up.confirm" || all[2].Kind != "sign_up.known" || all[2].Link != "https://relay.example/sign-in" {
			t.Errorf("sent %+v", all)
		}
	})
}

// Rule: a relay is closed until it is opened, and without a mail server also then.
func TestSignUpIsClosedAtFirst(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		for _, mails := range []bool{true, false} {
			u := openTo(t, address, mails)
			for _, open := range []bool{false, true} {
				if open {
					u.set(true)
				}
				yes, err := u.a.SignUpOpen(t.Context())
				if want := open && mails; err != nil || yes != want {
					t.Errorf("mails %v, opened %v: open %v, %v", mails, open, yes, err)
				} else if err := u.ask("bea@example.org"); errors.Is(err, access.ErrSignUpClosed) == want {
					t.Errorf("mails %v, opened %v: %v", mails, open, err)
				}
			}
			u.must(u.store.Relay().SetSettings(t.Context(), by, new(bool), nil))
			u.must(u.store.Rollback(t.Context()))
		}
	})
}

// Rule: one address asks ten times in a quarter of an hour, all together a hundred times;
// to one e-mail address go three mails, whoever asks, and the answer stays the same.
func TestSigningUpIsLimited(t *testing.T) {
	eachSigningUp(t, func(t *testing.T, u *signingUp) {
		ctx, n := t.Context(), 0
		ask := func(email, from string) error {
			n++
			return u.a.AskSignUp(ctx, email, "Acme", access.Client{Address: from})
		}
		for range 5 {
			u.must(ask("bea@example.org", "192.0.2.7"))
		}
		if sent := u.sent(); len(sent) != 3 {
			t.Errorf("%d mails to one address", len(sent))
		}
		for i := range 5 {
			u.must(ask(fmt.Sprintf("b%d@example.org", i), "192.0.2.7"))
		}
		if err := ask("c@example.org", "192.0.2.7"); !errors.Is(err, access.ErrTries) {
			t.Errorf("the eleventh of an address: %v", err)
		}
		n = 10 // the refused one counts for its own address alone
		for n < 100 {
			u.must(ask(fmt.Sprintf("n%d@example.org", n), fmt.Sprintf("198.51.100.%d", n)))
		}
		if err := ask("late@example.org", "203.0.113.1"); !errors.Is(err, access.ErrTries) {
			t.Errorf("the hundred and first: %v", err)
		}
		u.clock.pass(16 * time.Minute)
		u.must(ask("late@example.org", "203.0.113.1"))
	})
}

// Rule: an address of the relay's staff is nobody's in another organization than the
// first: nobody signs up with it, takes up an invitation to it there, or brings it with
// them, except who is a member of the first.
func TestStaffStayOutOfOtherOrganizations(t *testing.T) {
	eachSigningUp(t, func(t *testing.T, u *signingUp) {
		ctx, n := t.Context(), 0
		m := newMembersOf(t, u)
		invited := func(o store.OrganizationID, email string) string {
			n++
			token, hash := access.NewInvitationToken()
			u.must(u.store.MemberInvitations(o).Create(ctx, by, store.MemberInvitation{ID: fmt.Sprint("i", n), Email: email, EmailKey: email, Role: store.RoleViewer,
				TokenHash: hash, ExpiresAt: 1 << 50}))
			return token
		}
		stranger, its := m.person("stan")
		its.Key, its.Text = "stan@staff.example", "stan@staff.example"
		u.must(u.store.Members("third").AddPerson(ctx, by, store.Member{Role: store.RoleMember, State: store.Active}, stranger, its))
		stan, _ := m.signIn("third", "stan")
		u.set(true, "staff.example", "xn--bcher-kva.example")
		for _, email := range []string{"new@staff.example", "new@STAFF.example", "new@bücher.example"} {
			if err := u.ask(email); !errors.Is(err, access.ErrStaffDomain) {
				t.Errorf("signing up with %s: %v", email, err)
			}
		}
		u.must(u.ask("new@below.staff.example"))
		if _, _, err := u.a.Join(ctx, invited(second, "new@staff.example"), "New", password, home); !errors.Is(err, access.ErrStaffDomain) {
			t.Errorf("somebody new, to the second: %v", err)
		}
		if err := u.a.JoinAs(ctx, stan, invited(second, "other@example.org")); !errors.Is(err, access.ErrStaffDomain) {
			t.Errorf("who has such an address, to the second: %v", err)
		}
		_, _, err := u.a.Join(ctx, invited(first, "new@staff.example"), "New", password, home)
		u.must(err)
		u.must(u.a.JoinAs(ctx, stan, invited(first, "other@example.org")))
		u.must(u.a.JoinAs(ctx, stan, invited(second, "other@example.org")))
	})
}

// newMembersOf are two more organizations beside the relay's first.
func newMembersOf(t *testing.T, u *signingUp) *members {
	t.Helper()
	m := &members{t: t, store: u.store, a: u.a, now: func() int64 { return u.clock.now().UnixMilli() }}
	p, err := u.store.People().ByIdentifier(t.Context(), store.Email, "", "ada@example.com")
	u.must(err)
	m.hash = p.PasswordHash
	for _, o := range []store.OrganizationID{second, "third"} {
		eve, hers := m.person("owner-of-" + string(o))
		u.must(u.store.Organizations().Create(t.Context(), by, store.Organization{ID: o, Name: string(o), Code: string(o)}, eve, hers))
	}
	return m
}
