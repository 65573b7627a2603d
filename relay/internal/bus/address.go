package bus

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Errors of CheckURL.
var (
	ErrURL    = errors.New("write an address such as tls://user:password@nats.example.com:4222")
	ErrInOpen = errors.New("beyond loopback the bus needs TLS, a user and a password, or a token: who reads it reads every session, and who writes to it opens them; write tls:// (or wss://) and user:password@ before the host")
)

// CheckURL says whether an external bus may be reached by a setting: URLs of
// nats, tls, ws or wss with commas. Other than on loopback each must have TLS
// and credentials. Errors, which name the host but no password: ErrURL, ErrInOpen.
func CheckURL(setting string) error {
	_, err := servers(setting)
	return err
}

// servers reads a setting, and reports whether all of it has TLS and credentials.
func servers(setting string) (sealed bool, err error) {
	sealed = true
	for text := range strings.SplitSeq(setting, ",") {
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" {
			return false, ErrURL
		}
		one := u.Scheme == "tls" || u.Scheme == "wss"
		if !one && u.Scheme != "nats" && u.Scheme != "ws" {
			return false, ErrURL
		}
		one = one && credentials(u.User)
		if !one && !loopback(u.Hostname()) {
			return false, fmt.Errorf("%s: %w", u.Host, ErrInOpen)
		}
		sealed = sealed && one
	}
	return sealed, nil
}

// credentials are user:password, or a token in the place of the user.
func credentials(u *url.Userinfo) bool {
	password, both := u.Password()
	return u.Username() != "" && (!both || password != "")
}

// loopback is what no name server decides about.
func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// redacted are the addresses without their passwords and tokens.
func redacted(setting string) string {
	var all []string
	for text := range strings.SplitSeq(setting, ",") {
		u, err := url.Parse(text)
		if err != nil {
			return "the configured address"
		}
		all = append(all, u.Scheme+"://"+u.Host)
	}
	return strings.Join(all, ",")
}

// withoutURL keeps the address, which may hold a password, out of an error.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
