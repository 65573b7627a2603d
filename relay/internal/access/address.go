package access

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// Proxies are the networks whose word about a client's address is believed.
type Proxies []netip.Prefix

func (p Proxies) trust(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// Client of r.
func (a *Access) Client(r *http.Request) Client {
	browser := strings.ToValidUTF8(r.UserAgent(), "?")
	if len(browser) > 256 {
		browser = browser[:256]
		for !utf8.ValidString(browser) {
			browser = browser[:len(browser)-1]
		}
	}
	return Client{Address: a.o.Proxies.Address(r), Browser: browser}
}

// network is what one customer of an Internet provider can vary at will: one
// IPv4 address, or an IPv6 /64.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Is4() {
		return address
	}
	p, err := a.Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}
