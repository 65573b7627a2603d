package turn

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// refusedIPv4 are what IANA's IPv4 special-purpose address registry does not
// call globally reachable, multicast, and addresses that look public but lead
// to the network of the machine that sends to them.
var refusedIPv4 = prefixes(
	"0.0.0.0/8",        // this network
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // shared; some clouds' metadata
	"127.0.0.0/8",      // loopback
	"168.63.129.16/32", // Azure's own: DNS, DHCP and the machine's secrets
	"169.254.0.0/16",   // link-local; most clouds' metadata
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // protocol assignments; its two anycast servers are the network's own, too
	"192.0.2.0/24",     // documentation
	"192.88.99.0/24",   // 6to4 relays, given up
	"192.168.0.0/16",   // private
	"198.18.0.0/15",    // benchmarks
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved; broadcast
)

// unicastIPv6 is all that IANA has made global unicast. What lies outside is
// loopback, mapped, compatible, translated (64:ff9b::/96, 64:ff9b:1::/48),
// discard-only, segment routing, unique local, link-local, site-local or
// multicast, or is nobody's yet.
var unicastIPv6 = netip.MustParsePrefix("2000::/3")

// refusedIPv6 are the parts of unicastIPv6 that are not globally reachable.
var refusedIPv6 = prefixes(
	"2001::/23",     // protocol assignments, with Teredo (2001::/32), benchmarks and ORCHID
	"2001:db8::/32", // documentation
	"2002::/16",     // 6to4: an IPv4 address inside
	"3ffe::/16",     // the 6bone, given back
	"3fff::/20",     // documentation
)

func prefixes(list ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(list))
	for i, text := range list {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

// reachable reports whether a is globally reachable by IANA's special-purpose
// address registries (RFC 6890). A mapped address is the IPv4 address in it,
// as it is to the kernel; every other form with an IPv4 address inside is not
// reachable, whatever the address inside is: who wants it names it itself.
func reachable(a netip.Addr) bool {
	a = a.Unmap()
	refused := refusedIPv4
	if !a.Is4() {
		if a.Zone() != "" || !unicastIPv6.Contains(a) { // Contains is false for the invalid
			return false
		}
		refused = refusedIPv6
	}
	for _, p := range refused {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// ownFor is how long this machine's addresses are believed to be what they
// were. Asking takes about 0.1 ms.
const ownFor = time.Second

// ownAddresses are those of this machine's interfaces, looked up again while
// they are asked for: a machine gets addresses (DHCP, SLAAC, a VPN, a floating
// one) long after its relay was started.
type ownAddresses struct {
	look func() ([]net.Addr, error)
	log  *slog.Logger

	known   atomic.Pointer[addressesAt]
	looking atomic.Bool
}

type addressesAt struct {
	at  time.Time
	all map[netip.Addr]bool
}

// has reports whether a is one of them, by a list not older than ownFor.
// Safe for use by many goroutines, for each packet.
func (o *ownAddresses) has(a netip.Addr, now time.Time) bool {
	if now.Sub(o.known.Load().at).Abs() >= ownFor && o.looking.CompareAndSwap(false, true) {
		if err := o.refresh(now); err != nil {
			o.log.Warn("turn goes by older addresses", "err", err)
		}
		o.looking.Store(false)
	}
	return o.known.Load().all[a.Unmap()]
}

// refresh asks for them. After an error those known before stay.
func (o *ownAddresses) refresh(now time.Time) error {
	list, err := o.look()
	if err != nil {
		if old := o.known.Load(); old != nil {
			o.known.Store(&addressesAt{at: now, all: old.all})
		}
		return fmt.Errorf("look up this machine's addresses: %w", err)
	}
	all := make(map[netip.Addr]bool, len(list))
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			all[p.Addr().Unmap().WithZone("")] = true
		}
	}
	o.known.Store(&addressesAt{at: now, all: all})
	return nil
}
