package people

import (
	"context"
	"errors"
	"fmt"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/identifier"
	"oriel/relay/internal/store"
)

// RelaySettings hold for the whole relay.
type RelaySettings struct {
	SignUp       bool     `json:"sign_up" doc:"Anybody may make an account, with an organization of its own."`
	StaffDomains []string `json:"staff_domains" nullable:"false" doc:"Domains of e-mail addresses that only members of the first organization sign in with."`
	Mail         bool     `json:"mail" doc:"The relay sends mail; nobody can sign up where it does not."`
}

// RelaySettings are those that who operates the relay set.
func (p *People) RelaySettings(ctx context.Context) (RelaySettings, error) {
	s, err := p.o.Store.Relay().Settings(ctx)
	if err != nil {
		return RelaySettings{}, fmt.Errorf("look up the relay's settings: %w", err)
	}
	return RelaySettings{SignUp: s.SignUp, StaffDomains: append([]string{}, s.StaffDomains...), Mail: p.mails()}, nil
}

// ChangeRelay changes what is not nil. Errors: access.ErrNoMail, fault.Field (several joined).
func (p *People) ChangeRelay(ctx context.Context, who access.Identity, signUp *bool, staffDomains []string) (RelaySettings, error) {
	if signUp != nil && *signUp && !p.mails() {
		return RelaySettings{}, access.ErrNoMail
	}
	var wrong []error
	var domains []string
	if staffDomains != nil {
		domains = []string{}
	}
	for i, text := range staffDomains {
		domain, err := identifier.CheckDomain(fmt.Sprintf("staff_domains/%d", i), text)
		domains, wrong = append(domains, domain), append(wrong, err)
	}
	if len(domains) > store.MaxStaffDomains {
		wrong = append(wrong, fault.Field("staff_domains", fmt.Sprintf("there can be at most %d domains", store.MaxStaffDomains)))
	}
	if err := errors.Join(wrong...); err != nil {
		return RelaySettings{}, err
	}
	if err := p.o.Store.Relay().SetSettings(ctx, who.Actor().Did(audit.RelayChanged, "relay", "settings"), signUp, domains); err != nil {
		return RelaySettings{}, fmt.Errorf("change the relay's settings: %w", err)
	}
	return p.RelaySettings(ctx)
}

// mails reports whether this relay sends mail.
func (p *People) mails() bool { return p.o.Mailer != nil && p.o.Mailer.Enabled() }
