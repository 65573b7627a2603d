package node_test

import (
	"fmt"
	"strings"
	"testing"

	"oriel/relay/internal/notify/mailtest"
)

// mails is the list of the API.
type mails struct {
	Items []struct{ ID, To, Kind, State, Error string }
	Next  string
}

// mailBy are settings that have mail sent by pit.
func mailBy(pit *mailtest.Server) []string {
	return []string{"--smtp-host", pit.Host, "--smtp-port", fmt.Sprint(pit.Port), "--smtp-tls", "none", "--smtp-from", "oriel@example.com"}
}

// linkIn is the secret of the link in a mail.
func linkIn(t *testing.T, text string) string {
	t.Helper()
	_, secret, _ := strings.Cut(text, "#")
	if secret, _, _ = strings.Cut(secret, "\n"); len(secret) < 32 {
		t.Fatalf("no link in %s", text)
	}
	return strings.TrimSpace(secret)
}

// Rule: who changes their password is told by mail, and the list of mails says what
// became of it, also when the mail server refused it.
func TestAChangedPasswordIsTold(t *testing.T) {
	pit := mailtest.Start(t, mailtest.Options{Accept: "^olivia@"})
	r := start(t, settings(t, mailBy(pit)...))
	owner := r.owner()
	owner.do("POST", "/api/v1/password", object{"current": "correct horse battery", "password": "a second long password"}, nil, 204)
	got := pit.Wait(1)[0]
	if got.To[0].Address != "olivia@example.com" || got.From.Name != "Oriel" || got.Subject != "Your password at Oriel was changed" ||
		!strings.Contains(got.Text, "from the address 127.0.0.1") || strings.Contains(got.Text+got.HTML, "http") {
		t.Errorf("%+v", got)
	}
	var list mails
	until(t, "it is noted", func() bool {
		owner.do("GET", "/api/v1/mails?state=sent", nil, &list, 200)
		return len(list.Items) == 1
	})
	if m := list.Items[0]; m.To != "olivia@example.com" || m.Kind != "password.changed" || m.State != "sent" || m.Error != "" || list.Next != "" {
		t.Errorf("%+v", list)
	}
	pit.Refuse(550)
	owner.do("POST", "/api/v1/password", object{"current": "a second long password", "password": "a third long password"}, nil, 204)
	until(t, "it bounced", func() bool {
		owner.do("GET", "/api/v1/mails?state=bounced&q=OLIVIA", nil, &list, 200)
		return len(list.Items) == 1
	})
	if m := list.Items[0]; !strings.HasPrefix(m.Error, "550 ") {
		t.Errorf("%+v", m)
	}
	owner.do("GET", "/api/v1/mails?q=nobody", nil, &list, 200)
	if len(list.Items) != 0 {
		t.Errorf("%+v", list)
	}
	owner.do("GET", "/api/v1/mails?cursor=x", nil, nil, 400)
	r.browser().do("GET", "/api/v1/mails", nil, nil, 401)
}

// Rule: without a mail server a password is changed, and nobody is told.
func TestNobodyIsToldWithoutAMailServer(t *testing.T) {
	r := start(t, settings(t))
	owner := r.owner()
	owner.do("POST", "/api/v1/password", object{"current": "correct horse battery", "password": "a second long password"}, nil, 204)
	var list mails
	owner.do("GET", "/api/v1/mails", nil, &list, 200)
	if len(list.Items) != 0 {
		t.Errorf("%+v", list)
	}
}
