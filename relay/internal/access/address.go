package access

import (
	"net/http"
	"net/netip"
	"slices"

	"oriel/protocol/sanitize"
)

// Proxies are the networks whose word about a client's address is believed.
type Proxies []netip.Prefix

func (p Proxies) trust(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// Trusts reports whether a is a trusted proxy's address.
func (a *Access) Trusts(addr netip.Addr) bool { return a.o.Proxies.trust(addr) }

// Client of r.
func (a *Access) Client(r *http.Request) Client {
	c := Client{Address: a.o.Proxies.Address(r), Browser: sanitize.Line(r.UserAgent(), 256)}
	if device, err := r.Cookie(a.cookieName(deviceCookie)); err == nil && len(device.Value) <= maxToken {
		c.Device = device.Value
	}
	return c
}

// IP is the address; the zero one where it is not known.
func (c Client) IP() netip.Addr {
	ip, _ := netip.ParseAddr(c.Address)
	return ip
}
