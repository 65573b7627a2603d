package mail

import (
	"encoding/json"
	"fmt"
	"net"
	netmail "net/mail"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"oriel/protocol/sanitize"
	"oriel/relay/internal/fault"
)

// Bounds of what a mail says, in bytes.
const (
	maxName    = 128
	maxLink    = 2048
	maxAddress = 254 // RFC 5321, with the brackets
	maxLocal   = 64
)

// Kind of a mail, as the store and the words call it.
type Kind string

// Kinds.
const (
	MemberInvitedKind   Kind = "member.invited"
	SignUpConfirmKind   Kind = "sign_up.confirm"
	SignUpKnownKind     Kind = "sign_up.known"
	EmailConfirmKind    Kind = "email.confirm"
	EmailKnownKind      Kind = "email.known"
	EmailRemovedKind    Kind = "email.removed"
	PasswordChangedKind Kind = "password.changed"
)

// Message is what a mail says: one of the types below.
type Message interface {
	kind() Kind
	link() string     // empty: it has none
	until() time.Time // after which the link is no good; zero: it has none
	plain() Message   // with text that can be shown
	values(w *words) map[string]string
}

// MemberInvited asks somebody to become a member of an organization.
type MemberInvited struct {
	Link         string    `json:"link"`
	By           string    `json:"by"` // name of who invites
	Organization string    `json:"organization"`
	Until        time.Time `json:"until"`
}

// SignUpConfirm has somebody who signs up show that the address is theirs.
type SignUpConfirm struct {
	Link  string    `json:"link"`
	Until time.Time `json:"until"`
}

// SignUpKnown tells somebody who signs up that they have an account.
type SignUpKnown struct {
	Link string `json:"link"` // to sign in
}

// EmailConfirm has a person show that another address is theirs, too.
type EmailConfirm struct {
	Link  string    `json:"link"`
	Until time.Time `json:"until"`
}

// EmailKnown tells somebody that an address, which a person wants to sign in with, is
// that of another account.
type EmailKnown struct{}

// EmailRemoved tells a person, at that address, that they do not sign in with it any more.
type EmailRemoved struct {
	At   time.Time `json:"at"`
	From string    `json:"from"` // IP address of who removed it
}

// PasswordChanged tells a person afterwards.
type PasswordChanged struct {
	At   time.Time `json:"at"`
	From string    `json:"from"` // IP address of who changed it
}

func (MemberInvited) kind() Kind   { return MemberInvitedKind }
func (SignUpConfirm) kind() Kind   { return SignUpConfirmKind }
func (SignUpKnown) kind() Kind     { return SignUpKnownKind }
func (EmailConfirm) kind() Kind    { return EmailConfirmKind }
func (EmailKnown) kind() Kind      { return EmailKnownKind }
func (EmailRemoved) kind() Kind    { return EmailRemovedKind }
func (PasswordChanged) kind() Kind { return PasswordChangedKind }

func (m MemberInvited) link() string { return m.Link }
func (m SignUpConfirm) link() string { return m.Link }
func (m SignUpKnown) link() string   { return m.Link }
func (m EmailConfirm) link() string  { return m.Link }
func (EmailKnown) link() string      { return "" }
func (EmailRemoved) link() string    { return "" }
func (PasswordChanged) link() string { return "" }

func (m MemberInvited) until() time.Time { return m.Until }
func (m SignUpConfirm) until() time.Time { return m.Until }
func (SignUpKnown) until() time.Time     { return time.Time{} }
func (m EmailConfirm) until() time.Time  { return m.Until }
func (EmailKnown) until() time.Time      { return time.Time{} }
func (EmailRemoved) until() time.Time    { return time.Time{} }
func (PasswordChanged) until() time.Time { return time.Time{} }

func (m MemberInvited) plain() Message {
	m.By, m.Organization = plainName(m.By), plainName(m.Organization)
	return m
}
func (m SignUpConfirm) plain() Message { return m }
func (m SignUpKnown) plain() Message   { return m }
func (m EmailConfirm) plain() Message  { return m }
func (m EmailKnown) plain() Message    { return m }
func (m EmailRemoved) plain() Message {
	m.From = sanitize.Line(m.From, 64)
	return m
}
func (m PasswordChanged) plain() Message {
	m.From = sanitize.Line(m.From, 64)
	return m
}

func (m MemberInvited) values(w *words) map[string]string {
	return map[string]string{"By": m.By, "Organization": m.Organization, "Until": w.date(m.Until)}
}
func (m SignUpConfirm) values(w *words) map[string]string {
	return map[string]string{"Until": w.date(m.Until)}
}
func (SignUpKnown) values(*words) map[string]string { return map[string]string{} }
func (m EmailConfirm) values(w *words) map[string]string {
	return map[string]string{"Until": w.date(m.Until)}
}
func (EmailKnown) values(*words) map[string]string { return map[string]string{} }
func (m EmailRemoved) values(w *words) map[string]string {
	return map[string]string{"At": w.date(m.At), "From": m.From}
}
func (m PasswordChanged) values(w *words) map[string]string {
	return map[string]string{"At": w.date(m.At), "From": m.From}
}

// decode is the message of that kind.
func decode(k Kind, data []byte) (Message, error) {
	switch k {
	case MemberInvitedKind:
		return read[MemberInvited](data)
	case SignUpConfirmKind:
		return read[SignUpConfirm](data)
	case SignUpKnownKind:
		return read[SignUpKnown](data)
	case EmailConfirmKind:
		return read[EmailConfirm](data)
	case EmailKnownKind:
		return read[EmailKnown](data)
	case EmailRemovedKind:
		return read[EmailRemoved](data)
	case PasswordChangedKind:
		return read[PasswordChanged](data)
	}
	return nil, fmt.Errorf("this relay knows no mail of kind %q", k)
}

func read[M Message](data []byte) (Message, error) {
	var m M
	err := json.Unmarshal(data, &m)
	return m, err
}

// checkAddress is an address as a mail server takes it: its domain in ASCII and lower
// case. There is no way in it to say anything but one address, whatever a room let
// through. Errors: fault.Field("email").
func checkAddress(text string) (string, error) {
	wrong := fault.Field("email", "this is not an e-mail address; write it as name@example.com")
	local, domain, found := cutLast(text, "@")
	if !found || local == "" || len(text) > maxAddress || len(local) > maxLocal || !plainLocal(local) {
		return "", wrong
	}
	domain, err := idna.Lookup.ToASCII(domain)
	if err != nil || !strings.Contains(domain, ".") && domain != "localhost" || net.ParseIP(domain) != nil {
		return "", wrong
	}
	address := local + "@" + strings.ToLower(domain)
	if a, err := netmail.ParseAddress(address); err != nil || a.Address != address || len(address) > maxAddress {
		return "", wrong
	}
	return address, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// plainLocal reports whether s is a dot-atom (RFC 5322), or one with letters beyond
// ASCII (RFC 6531): nothing quoted, nothing that ends a command or a header.
func plainLocal(s string) bool {
	if !sanitize.Printable(s) || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	return !strings.ContainsAny(s, " \t\"(),:;<>@[\\]")
}

func loopback(host string) bool {
	a := net.ParseIP(host)
	return host == "localhost" || a != nil && a.IsLoopback()
}
