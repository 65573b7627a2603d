package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

const first = store.FirstOrganization

// lock is a sealing key that keeps nobody out, but cannot be read at a glance.
type lock struct{}

func (lock) ID() string { return "lock 1" }

func (lock) Seal(name string, value []byte) []byte {
	closed := []byte(name + "|")
	for _, b := range value {
		closed = append(closed, ^b)
	}
	return closed
}

func (k lock) Open(name string, closed []byte) ([]byte, error) {
	value, ours := bytes.CutPrefix(closed, []byte(name+"|"))
	if !ours {
		return nil, errors.New("it is another's")
	}
	return k.Seal("", value)[1:], nil
}

func mailTo(recipient string) store.Mail {
	return store.Mail{ID: store.NewID(), Recipient: recipient, Kind: "test", Language: "en", Data: []byte(`{"link":"https://a.example/#secret"}`), CreatedAt: 1000}
}

func queue(t *testing.T, s *store.Store, mails ...store.Mail) {
	t.Helper()
	must(t, s.Audit(first).Record(t.Context(), entry("x").Sending(mails...)))
}

func claim(t *testing.T, s *store.Store, holder string) store.Mail {
	t.Helper()
	m, err := s.Outbox().Claim(t.Context(), holder, 1<<50, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func only(t *testing.T, s *store.Store) store.Mail {
	t.Helper()
	all, err := s.Mails(first).Page(t.Context(), store.MailFilter{}, 9)
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	return all[0]
}

// Rule: a change and the mails that it carries are there together or not at all, and
// who sends is told after the commit only.
func TestAMailIsThereWithItsChange(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var told atomic.Int64
		s.OnMail(func() { told.Add(1) })
		things := fill(t, s, "theirs")
		told.Store(0)
		rename := func(e store.Entry) error {
			return s.Computers("theirs").Rename(t.Context(), e, things.computer, "new name")
		}
		m := mailTo("ann@example.com")
		before := s.Everything(t)
		mend := s.Break(t, "mails")
		if err := rename(entry("x").Sending(m)); err == nil {
			t.Error("changed, although its mail could not be queued")
		}
		mend()
		mend = s.Break(t, "audit")
		if err := rename(entry("x").Sending(m)); err == nil {
			t.Error("changed, although its entry could not be written")
		}
		mend()
		if err := s.Computers("theirs").Rename(t.Context(), entry("x").Sending(m), "no computer", "new name"); err == nil {
			t.Error("what does not exist is renamed")
		}
		if after := s.Everything(t); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("it left\n%v\nof\n%v", after, before)
		}
		if told.Load() != 0 {
			t.Error("the sender was told of a mail that is not there")
		}
		must(t, rename(entry("x").Sending(m, mailTo("bob@example.com"))))
		all, err := s.Mails("theirs").Page(t.Context(), store.MailFilter{Words: "example.com"}, 9)
		if err != nil || len(all) != 3 || told.Load() != 1 {
			t.Errorf("%d mails, told %d times, %v", len(all), told.Load(), err)
		}
		if rename(entry("x")); told.Load() != 1 {
			t.Error("the sender was told of a change without mail")
		}
	})
}

// Rule: what a mail says cannot be read in the database while it waits, and is not
// there any more once it was sent or given up.
func TestWhatAMailSaysIsSealedAndThenGone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		key := lock{}
		must(t, s.Secrets().UseSealingKey(t.Context(), key))
		ends := map[string]func(holder, id string) error{
			store.MailSent: func(holder, id string) error { return s.Outbox().Sent(t.Context(), holder, id, 7) },
			store.MailBounced: func(holder, id string) error {
				return s.Outbox().End(t.Context(), holder, id, store.MailBounced, "550 nobody here")
			},
			store.MailFailed: func(string, string) error {
				_, err := s.Outbox().GiveUp(t.Context(), 1<<50, "too late")
				return err
			},
		}
		for state, end := range ends {
			m := mailTo("ann@example.com")
			queue(t, s, m)
			numbers := strings.Trim(fmt.Sprint([]byte("secret")), "[]") // as bytes are printed
			if text := s.Everything(t)["mails"]; strings.Contains(text, "secret") || strings.Contains(text, numbers) || !strings.Contains(text, key.ID()) {
				t.Fatalf("it can be read: %s", text)
			}
			got := claim(t, s, "one")
			if data, err := s.Outbox().Opened(got); err != nil || string(data) != string(m.Data) {
				t.Errorf("it says %q, %v", data, err)
			}
			other := got
			other.ID = "another"
			if _, err := s.Outbox().Opened(other); err == nil {
				t.Error("what one mail says opens as another's")
			}
			got.Data, got.SealedBy = m.Data, ""
			if _, err := s.Outbox().Opened(got); !errors.Is(err, store.ErrUnsealed) {
				t.Errorf("what is plain beside sealed ones is taken: %v", err)
			}
			if state == store.MailFailed {
				must(t, s.Outbox().Retry(t.Context(), "one", m.ID, "", 1<<49))
			}
			must(t, end("one", m.ID))
			if text := s.Everything(t)["mails"]; strings.Contains(text, key.ID()) || !strings.Contains(text, "data:[]") {
				t.Errorf("%s: it is still there: %s", state, text)
			}
			if row := only(t, s); row.State != state {
				t.Errorf("it is %s, not %s", row.State, state)
			}
			if n, err := s.Outbox().Sweep(t.Context(), 1<<50); n != 1 || err != nil {
				t.Error(n, err)
			}
		}
	})
}

// Rule: of many nodes one sends a mail at a time; one that dies makes place after its
// time, and has no say any more.
func TestOneNodeHasAMailAtATime(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		stores := []*store.Store{storetest.Open(t, address), storetest.Open(t, address)}
		const n = 12
		for i := range n {
			queue(t, stores[0], mailTo(fmt.Sprintf("p%d@example.com", i)))
		}
		var mu sync.Mutex
		had := map[string]int{}
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				for {
					m, err := stores[i%2].Outbox().Claim(context.Background(), fmt.Sprint(i), 1<<50, time.Hour)
					if errors.Is(err, store.ErrNotFound) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					had[m.ID]++
					twice := had[m.ID] > 1
					mu.Unlock()
					if twice {
						return // which is said below
					}
				}
			})
		}
		all.Wait()
		for id, times := range had {
			if times != 1 {
				t.Errorf("%s was given to %d", id, times)
			}
		}
		if len(had) != n {
			t.Errorf("%d of %d mails were taken", len(had), n)
		}

		s := stores[0]
		if _, err := s.Outbox().Sweep(t.Context(), 1<<50); err != nil {
			t.Fatal(err)
		}
		m := mailTo("ann@example.com")
		queue(t, s, m)
		if _, err := s.Outbox().Claim(t.Context(), "dies", 1<<50, 0); err != nil {
			t.Fatal(err)
		}
		got := claim(t, s, "lives")
		if got.ID != m.ID || got.Attempts != 2 {
			t.Errorf("%+v", got)
		}
		if err := s.Outbox().Sent(t.Context(), "dies", m.ID, 7); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("who does not have it any more says that it was sent: %v", err)
		}
		must(t, s.Outbox().Sent(t.Context(), "lives", m.ID, 7))
		if _, err := s.Outbox().Claim(t.Context(), "another", 1<<50, 0); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("what was sent is due: %v", err)
		}
	})
}

// Rule: what is to be tried again is not due before its time, and what was made first
// goes first.
func TestMailsAreDueInOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		later, earlier := mailTo("b@example.com"), mailTo("a@example.com")
		later.CreatedAt = 2000
		queue(t, s, later, earlier)
		if m := claim(t, s, "x"); m.ID != earlier.ID {
			t.Errorf("first %s", m.Recipient)
		}
		must(t, s.Outbox().Retry(t.Context(), "x", earlier.ID, "451 not now", 5000))
		if m, err := s.Outbox().Claim(t.Context(), "x", 4999, time.Hour); err != nil || m.ID != later.ID {
			t.Errorf("then %s, %v", m.Recipient, err)
		}
		if m, err := s.Outbox().Claim(t.Context(), "x", 4999, time.Hour); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("before its time %s, %v", m.Recipient, err)
		}
		m, err := s.Outbox().Claim(t.Context(), "x", 5000, time.Hour)
		if err != nil || m.ID != earlier.ID || m.LastError != "451 not now" {
			t.Errorf("%+v, %v", m, err)
		}
	})
}

// Rule: nobody is sent more than so many mails within an hour, however the address is
// written; the change goes on, and the list says why nothing was sent.
func TestAnAddressGetsSoManyMails(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for i := range store.MaxMailsRecipient {
			queue(t, s, mailTo([]string{"ann@example.com", "Ann@Example.com"}[i%2]))
		}
		over := mailTo("ANN@example.com")
		queue(t, s, over)
		other := mailTo("bob@example.com")
		queue(t, s, other)
		hourLater := mailTo("ann@example.com")
		hourLater.CreatedAt += store.MailsRecipientIn.Milliseconds()
		queue(t, s, hourLater)
		all, err := s.Mails(first).Page(t.Context(), store.MailFilter{State: store.MailFailed}, 99)
		if err != nil || len(all) != 1 || all[0].ID != over.ID || !strings.Contains(all[0].LastError, "too many") {
			t.Errorf("%+v, %v", all, err)
		}
		if strings.Count(s.Everything(t)["mails"], "data:[]") != 1 {
			t.Error("what it says is kept although it is not sent")
		}
	})
}

// Rule: a mail without what it needs, or with too much, is a fault of its maker's, and
// its change is not made.
func TestAMailIsWhole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for _, wrong := range []func(*store.Mail){
			func(m *store.Mail) { m.ID = "" }, func(m *store.Mail) { m.Recipient = "" }, func(m *store.Mail) { m.Kind = "" },
			func(m *store.Mail) { m.CreatedAt = 0 }, func(m *store.Mail) { m.Data = make([]byte, 1<<20) },
		} {
			m := mailTo("ann@example.com")
			wrong(&m)
			if err := s.Audit(first).Record(t.Context(), entry("x").Sending(m)); err == nil {
				t.Errorf("%+v is queued", m)
			}
		}
	})
}

// Rule: pages of mails go on where the last one ended, whichever come meanwhile.
func TestPagesOfMails(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var made []string
		for i := range 5 {
			m := mailTo(fmt.Sprintf("p%d@example.com", i))
			m.CreatedAt = int64(1000 + i/2) // some at one time
			queue(t, s, m)
			made = append(made, m.ID)
		}
		for _, oldest := range []bool{true, false} {
			var got []string
			f := store.MailFilter{OldestFirst: oldest}
			for {
				page, err := s.Mails(first).Page(t.Context(), f, 3) // ends between two of one time
				must(t, err)
				if len(page) == 0 {
					break
				}
				for _, m := range page {
					got = append(got, m.ID)
					if m.Data != nil {
						t.Error("the list has what a mail says")
					}
				}
				last := page[len(page)-1]
				f.AfterCreated, f.AfterID = last.CreatedAt, last.ID
			}
			for i, id := range got {
				want := made[i]
				if !oldest {
					want = made[len(made)-1-i]
				}
				if id != want {
					t.Errorf("oldest first %v: %v of %v", oldest, got, made)
					break
				}
			}
			if len(got) != len(made) {
				t.Errorf("%d of %d", len(got), len(made))
			}
		}
	})
}
