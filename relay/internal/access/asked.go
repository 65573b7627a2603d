package access

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Asked is what a client asked for, as it wrote it before any proxy.
type Asked struct {
	Address string // the client's IP address; empty: unknown
	Scheme  string // http or https
	Host    string // host[:port] in lower case, without the scheme's own port
	// Proxy is the address of a proxy that adds its word to the request and is
	// not trusted, so that nothing of it is believed; empty: there is none.
	Proxy string
}

// Origin as browsers write it.
func (a Asked) Origin() string { return a.Scheme + "://" + a.Host }

// maxHops bounds how much of a header is looked at.
const maxHops = 32

// Asked reads r: from the connection, or, when a trusted proxy made that, from
// what the proxy adds. X-Forwarded-For, -Proto and -Host are each read where
// they are there, else the same of Forwarded (RFC 7239): many proxies write
// only the former and pass the latter on as a client sent it. Of several
// values the last is believed; an address is the last that is no trusted
// proxy's. What stands before is the client's own claim.
func (p Proxies) Asked(r *http.Request) Asked {
	a := Asked{Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		a.Scheme = "https"
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err == nil {
		addr := peer.Addr().Unmap().WithZone("")
		switch {
		case p.trust(addr):
			forwarded := elements(strings.Join(r.Header.Values("Forwarded"), ","))
			addr = p.client(addr, said(r, "X-Forwarded-For", forwarded, "for"))
			if s := strings.ToLower(last(said(r, "X-Forwarded-Proto", forwarded, "proto"))); s == "http" || s == "https" {
				a.Scheme = s
			}
			if h := last(said(r, "X-Forwarded-Host", forwarded, "host")); h != "" {
				a.Host = h
			}
		case slices.ContainsFunc([]string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"},
			func(name string) bool { return r.Header.Get(name) != "" }):
			a.Proxy = addr.String()
		}
		a.Address = addr.String()
	}
	a.Host = plainHost(a.Scheme, a.Host)
	return a
}

// Asked reads r with the trusted proxies of this relay.
func (a *Access) Asked(r *http.Request) Asked { return a.o.Proxies.Asked(r) }

// Address of the client that sends r.
func (p Proxies) Address(r *http.Request) string { return p.Asked(r).Address }

// client walks the hops from the last, as long as they are trusted proxies.
func (p Proxies) client(addr netip.Addr, hops []string) netip.Addr {
	for i, hop := range slices.Backward(hops) {
		if len(hops)-i > maxHops {
			break
		}
		next, ok := hopAddress(hop)
		if !ok {
			break
		}
		if addr = next; !p.trust(addr) {
			break
		}
	}
	return addr
}

// hopAddress reads 192.0.2.1, 192.0.2.1:80, 2001:db8::1 or [2001:db8::1]:80.
func hopAddress(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if one, err := netip.ParseAddrPort(text); err == nil {
		return one.Addr().Unmap().WithZone(""), true
	}
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		text = text[1 : len(text)-1]
	}
	one, err := netip.ParseAddr(text)
	return one.Unmap().WithZone(""), err == nil
}

// said are the values of a header where it is there, else those of Forwarded.
func said(r *http.Request, header string, forwarded []map[string]string, name string) []string {
	if all := r.Header.Values(header); len(all) > 0 {
		return strings.Split(strings.Join(all, ","), ",")
	}
	var all []string
	for _, e := range forwarded {
		if v, ok := e[name]; ok {
			all = append(all, v)
		}
	}
	return all
}

func last(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return strings.TrimSpace(list[len(list)-1])
}

// elements of a Forwarded header, at most the last maxHops.
func elements(text string) []map[string]string {
	parts := outside(text, ',')
	parts = parts[max(0, len(parts)-maxHops):]
	var all []map[string]string
	for _, part := range parts {
		e := map[string]string{}
		for _, pair := range outside(part, ';') {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1] // no address, scheme or host has an escape in it
			}
			e[strings.ToLower(name)] = value
		}
		all = append(all, e)
	}
	return all
}

// outside splits at sep where it is not in a quoted string.
func outside(text string, sep rune) []string {
	quoted, escaped := false, false
	return strings.FieldsFunc(text, func(r rune) bool {
		switch {
		case escaped:
			escaped = false
		case quoted && r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		default:
			return r == sep && !quoted
		}
		return false
	})
}

// plainHost is host as an origin has it.
func plainHost(scheme, host string) string {
	host = strings.ToLower(host)
	if name, port, err := net.SplitHostPort(host); err == nil && (scheme == "https" && port == "443" || scheme == "http" && port == "80") {
		host = name
		if strings.Contains(name, ":") {
			host = "[" + name + "]"
		}
	}
	return host
}
