package identity

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

var (
	// ErrAddress: what was given is no relay's address.
	ErrAddress = errors.New("not a relay's address")
)

// RelayAddress brings an address into the form http(s)://host[:port][/path],
// https where it names no scheme. Errors: ErrAddress.
func RelayAddress(s string) (string, error) {
	given := s
	s = strings.TrimSpace(s)
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil || len(s) > 512 {
		return "", fmt.Errorf("%w: %.100q", ErrAddress, given)
	}
	u.Scheme = strings.ToLower(u.Scheme)
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%w: %.100q (use https://host)", ErrAddress, given)
	}
	if u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return "", fmt.Errorf("%w: %.100q (use https://host, with a port if needed, and nothing after it)", ErrAddress, given)
	}
	clean := url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host), Path: strings.TrimRight(u.Path, "/")}
	if out := clean.String(); len(out) <= 512 {
		if again, err := url.Parse(out); err == nil && again.Host == clean.Host && again.Path == clean.Path {
			return out, nil
		}
	}
	return "", fmt.Errorf("%w: %.100q", ErrAddress, given)
}
