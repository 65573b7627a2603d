package identity

import (
	"net/netip"
	"slices"
	"strings"

	"oriel/protocol/address"
)

// OnLoopback reports whether a person gave an address of this machine itself:
// relay, agent and viewer are then on one machine. What the relay said does not
// count.
func (s State) OnLoopback() bool {
	for _, r := range s.Relays {
		if address.Loopback(hostOf(r)) {
			return true
		}
	}
	return false
}

// MayLearn reports whether a relay's word is enough for an address: https, and
// neither this machine, its links nor a cloud's metadata service (see Inward).
// Loopback is learned, plain http too, only where a person gave it.
func (s State) MayLearn(relay string) bool {
	host := hostOf(relay)
	if address.Loopback(host) {
		return s.OnLoopback()
	}
	ip, err := netip.ParseAddr(host)
	return strings.HasPrefix(relay, "https://") && (err != nil || !Inward(ip))
}

// Hosts are the names and IP addresses of Addresses, in lower case, without
// ports and brackets.
func (s State) Hosts() []string {
	var hosts []string
	for _, a := range s.Addresses() {
		hosts = append(hosts, hostOf(a))
	}
	return hosts
}

func hostOf(relay string) string {
	a, err := address.Parse(relay)
	if err != nil {
		return ""
	}
	return Host(a.Host)
}

// Host is a host name or IP address in the one form that can be compared: as
// address.Host, without brackets and zone, IPv4 never within IPv6.
func Host(s string) string {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		s = s[1 : len(s)-1]
	}
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Unmap().WithZone("").String()
	}
	if name, ok := address.Host(s); ok {
		return name
	}
	return strings.TrimSuffix(strings.ToLower(s), ".")
}

// metadata are addresses of cloud metadata services.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("168.63.129.16"), netip.MustParseAddr("fd00:ec2::254"),
}

// Metadata reports whether a cloud's metadata service is at ip.
func Metadata(ip netip.Addr) bool { return slices.Contains(metadata, ip.Unmap().WithZone("")) }

// thisNetwork is 0.0.0.0/8, which systems take for the machine itself.
var thisNetwork = netip.MustParsePrefix("0.0.0.0/8")

// translated are the prefixes of IPv6 with an IPv4 address at an offset in bytes:
// NAT64 (RFC 6052), 6to4 (RFC 3056) and compatible (RFC 4291).
var translated = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
	{netip.MustParsePrefix("::/96"), 12},
}

// Inward reports whether an address leads to this machine, its links or a
// cloud's metadata service, where nobody from outside may send an agent:
// loopback, link-local, unspecified, multicast, 168.63.129.16, fd00:ec2::254,
// each also as an IPv4 address within IPv6.
func Inward(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if !ip.IsValid() || Metadata(ip) || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || thisNetwork.Contains(ip) {
		return true
	}
	for _, t := range translated {
		if t.prefix.Contains(ip) {
			b := ip.As16()
			return Inward(netip.AddrFrom4([4]byte(b[t.at : t.at+4])))
		}
	}
	return ip == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
