package link

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
	"oriel/protocol/wire"
)

var (
	// ErrRefused: trying again will not help until a person does something.
	ErrRefused = errors.New("refused")
	// ErrClone: the same machine key is in use elsewhere.
	ErrClone = errors.New("used twice")

	errUnknown = errors.New("unknown machine")
	// errFull: the organization has as many computers as it may; that may change.
	errFull = errors.New("no place")
)

// Error is one failure in one line, for people: which relay, what is wrong,
// what to do.
type Error struct {
	Relay string
	Text  string
	cause []error
}

func (e *Error) Error() string   { return e.Relay + " " + e.Text }
func (e *Error) Unwrap() []error { return e.cause }

func fail(address, text string, cause error) error { return &Error{address, text, []error{cause}} }

func refuse(address, text string, cause error) error {
	return &Error{address, text, []error{ErrRefused, cause}}
}

func unknown(err error) bool { return errors.Is(err, errUnknown) }

// explainDial says why there was no WebSocket.
func explainDial(address string, resp *http.Response, err error) error {
	if resp != nil {
		return explainStatus(address, resp, err)
	}
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		dns       *net.DNSError
		timeout   net.Error
	)
	switch {
	case errors.As(err, &authority):
		return fail(address, "has a certificate that this computer does not trust; if it is from your own CA, give that with --ca FILE", err)
	case errors.As(err, &host):
		return fail(address, "has a certificate for another name: "+clean(host.Error()), err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fail(address, fmt.Sprintf("has a certificate that is not valid now; renew it, or set this computer's clock (%s)",
			time.Now().Format(time.RFC3339)), err)
	case errors.As(err, &record):
		return fail(address, "does not speak TLS on this port; is it meant to be http://?", err)
	case errors.As(err, &dns) && dns.IsNotFound:
		return fail(address, "is unknown: no such host; check the address and this computer's DNS", err)
	case errors.As(err, &dns):
		return fail(address, "cannot be looked up; check this computer's network and DNS", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fail(address, "refuses connections on this port; is the relay running there?", err)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return fail(address, "cannot be reached; check this computer's network", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return fail(address, "does not answer; check the address and firewalls in between", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fail(address, "closed the connection at once; is this an Oriel relay?", err)
	}
	return fail(address, "cannot be reached: "+clean(err.Error()), err)
}

// explainStatus says what an HTTP answer other than an upgrade means.
func explainStatus(address string, resp *http.Response, err error) error {
	var said struct {
		Detail  string // of a problem (RFC 9457)
		Message string // of relays before 2026-11-30
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	_ = json.Unmarshal(body, &said) // whatever it is: a proxy's page has no code
	detail := ""
	if text := cmp.Or(said.Detail, said.Message); text != "" {
		detail = " (" + clean(text) + ")"
	}
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized:
		e := refuse(address, "does not take this computer in; the enrollment token is wrong, used up or expired, or the computer was removed"+detail, err)
		e.(*Error).cause = append(e.(*Error).cause, errUnknown)
		return e
	case code == http.StatusForbidden:
		return refuse(address, "has blocked this computer"+detail, err)
	case code == http.StatusNotFound:
		return fail(address, "has no /agent/v1; is this an Oriel relay?", err)
	case code == http.StatusProxyAuthRequired:
		return fail(address, "cannot be reached: the proxy asks for a password; put it into HTTPS_PROXY", err)
	case code == http.StatusTooManyRequests, code >= 500:
		return fail(address, fmt.Sprintf("is not ready (HTTP %d)%s", code, detail), err)
	default:
		return fail(address, fmt.Sprintf("does not answer as an Oriel relay does (HTTP %d)%s", code, detail), err)
	}
}

// renewal is a refusal that asks for a new identity.
type renewal struct{ asked *orielv1.NewIdentity }

func (r *renewal) Error() string { return "a new identity is asked for" }

func explainRefused(address string, r *orielv1.Refused) error {
	if asked := r.GetNewIdentity(); asked != nil {
		return fail(address, "refused this computer", &renewal{asked})
	}
	if r.GetCode() == orielv1.Code_CODE_TWO_MACHINES {
		return fail(address, "has another computer with this one's identity, which works there now; open the computer's page in the console and say which is to get its own", nil)
	}
	if r.GetCode() == orielv1.Code_CODE_NOT_FOUND && !r.GetFinal() {
		return fail(address, "has lost what it knew of this computer, as after an older back-up was restored; take it back in the console (Computers). Its identity is kept", errUnknown)
	}
	if r.GetCode() == orielv1.Code_CODE_QUOTA {
		return fail(address, "has no place for this computer now: "+clean(r.GetDetail())+" (the enrollment token is not used up)", errFull)
	}
	text := "refused this computer: " + strings.ToLower(strings.TrimPrefix(r.GetCode().String(), "CODE_"))
	if r.GetDetail() != "" {
		text += ": " + clean(r.GetDetail())
	}
	if r.GetFinal() {
		return refuse(address, text, nil)
	}
	return fail(address, text, nil)
}

// explainEnd says why a connection that stood has ended.
func explainEnd(address string, err error) error {
	var closed *wire.CloseError
	switch {
	case errors.As(err, &closed) && closed.Code == wire.CloseSuperseded:
		return &Error{address, "has another agent with this computer's key; if they are two machines, the computer's page in the console says what to do",
			[]error{ErrClone, err}}
	case errors.As(err, &closed) && closed.Code == wire.CloseGoingAway:
		return fail(address, "is shutting down", err)
	case errors.As(err, &closed):
		return fail(address, fmt.Sprintf("closed the connection (%d): %s", closed.Code, clean(closed.Reason)), err)
	case errors.Is(err, wire.ErrSilent):
		return fail(address, "fell silent", err)
	case errors.Is(err, wire.ErrSlow):
		return fail(address, "does not take messages in time", err)
	case errors.Is(err, wire.ErrMalformed):
		return fail(address, "sent something that is no message; is the relay much newer than this agent?", err)
	}
	return fail(address, "is gone: "+clean(err.Error()), err)
}

// clean makes one short line of text that others wrote.
func clean(s string) string { return sanitize.Line(s, 300) }
