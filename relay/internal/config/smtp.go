package config

import (
	"net"
	"net/mail"
	"net/netip"
	"os"
	"strings"

	"oriel/protocol/private"
	"oriel/protocol/sanitize"
)

const maxSecret = 1024 // bytes of a password

func (f *flags) checkSMTP(c *Config, p *Problems, loopback bool) {
	if f.SMTPHost == "" {
		for _, one := range []struct{ name, text string }{{"smtp-user", f.SMTPUser}, {"smtp-from", f.SMTPFrom}, {"smtp-password-file", f.SMTPPasswordFile}} {
			if one.text != "" {
				p.add("%s: there is no mail server; name it with smtp-host", one.name)
			}
		}
		return
	}
	c.SMTP = SMTP{Host: f.SMTPHost, TLS: f.SMTPTLS, CA: f.SMTPCA, User: f.SMTPUser, From: f.SMTPFrom, FromName: f.SMTPFromName}
	s := &c.SMTP
	if _, err := netip.ParseAddr(s.Host); err != nil && !IsHost(s.Host) {
		p.add("smtp-host: %q is not a host's name; the port is smtp-port", s.Host)
	}
	port := 587
	switch s.TLS {
	case StartTLS:
	case ImplicitTLS:
		port = 465
	case "insecure":
		s.TLS, port = NoTLS, 25
	case NoTLS:
		port = 25
		if !isLoopback(s.Host) {
			p.add("smtp-tls: without TLS others can read the links in mails to %s; use starttls or tls, or say insecure if nobody can listen on the way", s.Host)
		}
	default:
		p.add("smtp-tls: %q is none of starttls, tls, none, insecure", s.TLS)
	}
	if s.Port = int(p.number("smtp-port", f.SMTPPort, 65535)); s.Port == 0 {
		s.Port = port
	}
	f.checkSMTPSecret(s, p)
	if a, err := mail.ParseAddress(s.From); err != nil || a.Address != s.From {
		p.add("smtp-from: give the address that mails come from, such as oriel@example.com")
	}
	if s.FromName == "" {
		s.FromName = c.Name
	}
	if len(s.FromName) > 64 || !sanitize.Printable(s.FromName) {
		p.add("smtp-from-name: give a plain name of at most 64 bytes")
	}
	if s.CA != "" {
		if r, err := os.Open(s.CA); err != nil {
			p.add("smtp-ca: %v", err)
		} else {
			_ = r.Close()
		}
	}
	if u := c.PublicURL; u != nil && u.Scheme != "https" && !isLoopback(u.Hostname()) || u == nil && !loopback {
		p.add("smtp-host: mails carry links that are secret, so that public-url has to begin with https://")
	}
}

// checkSMTPSecret reads the password from where it is.
func (f *flags) checkSMTPSecret(s *SMTP, p *Problems) {
	s.Password = f.SMTPPassword
	if f.SMTPPasswordFile != "" {
		b, err := private.ReadFile(f.SMTPPasswordFile, maxSecret)
		switch {
		case err != nil:
			p.add("smtp-password-file: %v", err)
			return
		case s.Password != "":
			p.add("smtp-password, smtp-password-file: give one of them")
		default:
			s.Password = strings.TrimRight(string(b), "\r\n")
		}
	}
	switch {
	case (s.User == "") != (s.Password == ""):
		p.add("smtp-user, smtp-password: give both or none")
	case s.User != "" && s.TLS == NoTLS && !isLoopback(s.Host):
		p.add("smtp-user: without TLS others can read the password; use starttls or tls")
	case len(s.User) > maxSecret || len(s.Password) > maxSecret || strings.ContainsAny(s.User+s.Password, "\x00\r\n"):
		p.add("smtp-user, smtp-password: have %d bytes at most, and no line breaks", maxSecret)
	}
}

func isLoopback(host string) bool {
	a := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || a != nil && a.IsLoopback()
}
