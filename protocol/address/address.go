// Package address reads how people, settings and programs name a relay:
//
//	http(s)://host[:port][/path]
//
// It is the one reader of agent, relay and installer; the console's is
// console/src/core/address.ts, held to the same protocol/testdata/addresses.json.
//
// A host is a name (IDN is brought into its ASCII form, UTS 46), an IPv4 address
// in its usual form, or an IPv6 address in brackets, with a zone as %25eth0 or
// %eth0. Refused, because programs read them in different ways: other forms of
// IPv4 (0x7f.1, 127.1), users and passwords, queries, fragments, dots as parts of
// a path, and every character that no relay's address needs. What String returns
// is read back as the same address, and needs no quoting in a shell's word.
package address

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// Max is the length of an address in bytes, before and after.
const Max = 512

// ErrAddress is wrapped by what Parse returns.
var ErrAddress = errors.New("not a relay's address")

// Address is a relay's, in the one form that can be compared.
type Address struct {
	Secure bool   // https
	Host   string // ASCII name in lower case, IPv4, or IPv6 without brackets, perhaps with %zone
	Port   uint16 // 0: the scheme's own
	Path   string // empty, or /part without a slash at the end
}

var (
	schemeForm = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://`)
	restForm   = regexp.MustCompile(`^(\[[^\]/]*\]|[^:/\[\]]*)(?::([0-9]{1,5}))?((?:/[0-9A-Za-z._~-]+)*)/*$`)
	nameForm   = regexp.MustCompile(`^[0-9a-z_]([0-9a-z_-]{0,61}[0-9a-z_])?(\.[0-9a-z_]([0-9a-z_-]{0,61}[0-9a-z_])?)*$`)
	zoneForm   = regexp.MustCompile(`^[0-9A-Za-z._~-]{1,32}$`)
	numberForm = regexp.MustCompile(`^([0-9]+|0[xX][0-9A-Fa-f]*)$`)
)

// idn maps a name as browsers do.
var idn = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

// Parse reads an address; one without a scheme is https. Errors: ErrAddress.
func Parse(text string) (Address, error) {
	refused := func(hint string) (Address, error) {
		return Address{}, fmt.Errorf("%w: %.100q (%s)", ErrAddress, text, hint)
	}
	const form = "use https://host, with a port if needed, and nothing after it"
	rest := strings.TrimSpace(text)
	if len(rest) > Max {
		return refused("it is too long")
	}
	a := Address{Secure: true}
	if m := schemeForm.FindStringSubmatch(rest); m != nil {
		switch strings.ToLower(m[1]) {
		case "https":
		case "http":
			a.Secure = false
		default:
			return refused("use https://host")
		}
		rest = rest[len(m[0]):]
	}
	m := restForm.FindStringSubmatch(rest)
	if m == nil {
		return refused(form)
	}
	host, ok := "", false
	if inner, bracketed := strings.CutPrefix(m[1], "["); bracketed {
		host, ok = ip6(strings.TrimSuffix(inner, "]"))
	} else {
		host, ok = Host(m[1])
	}
	if !ok {
		return refused(form)
	}
	a.Host = host
	if m[2] != "" {
		n, err := strconv.ParseUint(m[2], 10, 16)
		if err != nil || n == 0 {
			return refused("a port is a number from 1 to 65535")
		}
		if own := a.own(); uint16(n) != own {
			a.Port = uint16(n)
		}
	}
	for part := range strings.SplitSeq(m[3], "/") {
		if part == "." || part == ".." {
			return refused(form)
		}
	}
	a.Path = m[3]
	if len(a.String()) > Max {
		return refused("it is too long")
	}
	return a, nil
}

// Host is a name or IPv4 address in the one form that can be compared.
func Host(text string) (host string, ok bool) {
	host = strings.ToLower(text)
	if strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 }) {
		ascii, err := idn.ToASCII(text)
		if err != nil {
			return "", false
		}
		host = ascii
	}
	host = strings.TrimSuffix(host, ".")
	if len(host) > 253 || !nameForm.MatchString(host) {
		return "", false
	}
	if last := host[strings.LastIndexByte(host, '.')+1:]; numberForm.MatchString(last) {
		ip, err := netip.ParseAddr(host) // refuses the other forms of IPv4
		return host, err == nil && ip.Is4()
	}
	return host, true
}

// ip6 is IPv6 with or without a zone; IPv4 within it is taken out.
func ip6(text string) (string, bool) {
	bare, zone, zoned := strings.Cut(text, "%")
	if zoned {
		zone = strings.TrimPrefix(zone, "25") // RFC 6874
		if !zoneForm.MatchString(zone) {
			return "", false
		}
	}
	ip, err := netip.ParseAddr(bare)
	if err != nil || !ip.Is6() || zoned && ip.Is4In6() {
		return "", false
	}
	if ip = ip.Unmap(); zoned {
		return ip.String() + "%" + zone, true
	}
	return ip.String(), true
}

func (a Address) own() uint16 {
	if a.Secure {
		return 443
	}
	return 80
}

// Authority is host[:port] as it stands in an address.
func (a Address) Authority() string {
	host := a.Host
	if strings.Contains(host, ":") {
		host = "[" + strings.Replace(host, "%", "%25", 1) + "]"
	}
	if a.Port != 0 {
		host += ":" + strconv.Itoa(int(a.Port))
	}
	return host
}

// String is the address in its one form.
func (a Address) String() string {
	scheme := "http://"
	if a.Secure {
		scheme = "https://"
	}
	return scheme + a.Authority() + a.Path
}

// URL is the address for net/http.
func (a Address) URL() *url.URL {
	u, err := url.Parse(a.String())
	if err != nil {
		return &url.URL{} // cannot be: see FuzzParse
	}
	return u
}

// Loopback reports whether the address is this machine itself by what it is called.
func (a Address) Loopback() bool { return Loopback(a.Host) }

// Loopback is Address.Loopback of a host alone.
func Loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.Unmap().WithZone("").IsLoopback()
}

// Exposed reports whether what goes there can be read and changed on the way:
// http beyond this machine.
func (a Address) Exposed() bool { return !a.Secure && !a.Loopback() }
