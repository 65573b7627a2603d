package turn

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

// Rule: TURN relays only to what IANA's registry calls globally reachable,
// with the mapped, translated and compatible forms of IPv6, Azure's
// 168.63.129.16, 192.88.99.0/24 and documentation ranges refused.
func TestPeersAreGloballyReachable(t *testing.T) {
	s := start(t, func(o *Options) {
		o.AllowPeers = []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")}
		o.PublicAddress = netip.MustParseAddr("::ffff:203.0.113.9") // documentation, but its own
	})
	for _, c := range []struct {
		kind string
		want bool
		list []string
	}{
		{"public", true, []string{"8.8.8.8", "1.0.0.1", "11.0.0.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1",
			"168.63.129.15", "168.63.129.17", "192.88.98.1", "192.88.100.1", "192.0.1.1", "198.17.0.1", "198.20.0.1", "223.255.255.255",
			"2606:4700::1111", "2001:200::1", "2001:4860:4860::8888", "2003::1", "3ffd::1", "::ffff:8.8.8.8"}},
		{"named by a person", true, []string{"10.20.3.4", "::ffff:10.20.3.4"}},
		{"the server's own allocations", true, []string{"203.0.113.9"}},
		{"this network", false, []string{"0.0.0.0", "0.1.2.3", "::"}},
		{"loopback", false, []string{"127.0.0.1", "127.255.255.254", "::1"}},
		{"private", false, []string{"10.21.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd00::1", "fc00::1", "fd00:ec2::254"}},
		{"link-local and metadata", false, []string{"169.254.169.254", "fe80::1", "fec0::1", "100.100.100.200", "192.0.0.192", "168.63.129.16"}},
		{"shared", false, []string{"100.64.0.1", "100.127.255.255"}},
		{"protocol assignments", false, []string{"192.0.0.1", "192.0.0.9", "2001:1::1", "2001:10::1", "2001:20::1", "2001:1ff::1"}},
		{"documentation", false, []string{"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1", "3fff:fff::1"}},
		{"benchmarks", false, []string{"198.18.0.1", "198.19.255.255", "2001:2::1"}},
		{"6to4's relays", false, []string{"192.88.99.1", "192.88.99.255"}},
		{"multicast and reserved", false, []string{"224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "ff02::1", "ff0e::1"}},
		{"mapped", false, []string{"::ffff:127.0.0.1", "::ffff:10.21.0.1", "::ffff:169.254.169.254", "::ffff:168.63.129.16", "::ffff:192.0.2.1"}},
		{"mapped, the old way", false, []string{"::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"}},
		{"compatible", false, []string{"::127.0.0.1", "::10.21.0.1", "::169.254.169.254", "::8.8.8.8"}},
		{"translated", false, []string{"64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::8.8.8.8", "64:ff9b:1::10.0.0.1", "64:ff9b:1:ffff::a00:1"}},
		{"6to4", false, []string{"2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1"}},
		{"Teredo", false, []string{"2001::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe"}},
		{"discard, segment routing, not given out", false, []string{"100::1", "100:0:0:1::1", "5f00::1", "4000::1", "1000::1", "e000::1", "3ffe::1"}},
	} {
		for _, text := range c.list {
			ip := net.ParseIP(text)
			if ip == nil {
				t.Fatalf("%s is no address", text)
			}
			// A permission, and each packet under it, in both of Go's lengths.
			forms := []net.IP{ip}
			if four := ip.To4(); four != nil {
				forms = append(forms, four)
			}
			for _, ip := range forms {
				if got := s.permitted(&net.UDPAddr{}, ip); got != c.want {
					t.Errorf("%s: a permission for %s: %t", c.kind, text, got)
				}
				if text == "203.0.113.9" {
					continue // by its ports; see TestTwoAllocationsMeet
				}
				if got := s.sendable(&net.UDPAddr{IP: ip, Port: 9}); got != c.want {
					t.Errorf("%s: a packet to %s: %t", c.kind, text, got)
				}
			}
		}
	}
	if reachable(netip.Addr{}) || reachable(netip.MustParseAddr("2606:4700::1%eth0")) {
		t.Error("no address, or one with a zone, is reachable")
	}
}

// machine is one whose addresses and clock a test sets.
type machine struct {
	mu   sync.Mutex
	now  time.Time
	list []net.Addr
	err  error
}

func (m *machine) set(after time.Duration, err error, list ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now, m.err, m.list = m.now.Add(after), err, nil
	for _, text := range list {
		ip, network, _ := net.ParseCIDR(text)
		m.list = append(m.list, &net.IPNet{IP: ip, Mask: network.Mask})
	}
}

func (m *machine) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *machine) look() ([]net.Addr, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.list), m.err
}

// Rule: the relay's own addresses are looked up again when they change.
func TestOwnAddressesAreLookedUpAgain(t *testing.T) {
	m := &machine{now: time.Now()}
	s := start(t, func(o *Options) { o.Now = m.Now })
	for a := range s.own.known.Load().all {
		if !loopback[0].Contains(a) && s.permitted(&net.UDPAddr{}, a.AsSlice()) {
			t.Errorf("this machine's address %s is permitted", a)
		}
	}
	s.own.look = m.look

	may := func(text string) bool {
		t.Helper()
		ip := net.ParseIP(text)
		permitted := s.permitted(&net.UDPAddr{}, ip)
		if sendable := s.sendable(&net.UDPAddr{IP: ip, Port: 9}); sendable != permitted {
			t.Fatalf("%s: permission %t, packet %t", text, permitted, sendable)
		}
		return permitted
	}
	m.set(ownFor, nil, "8.8.4.4/24", "2606:4700::5/64")
	if may("8.8.4.4") || may("::ffff:8.8.4.4") || may("2606:4700::5") || !may("8.8.4.5") {
		t.Fatal("addresses that came after the start are not known")
	}
	m.set(ownFor, nil, "9.9.9.9/24")
	if !may("8.8.4.4") || may("9.9.9.9") {
		t.Fatal("an address that moved is not known")
	}
	m.set(ownFor, errors.New("too many open files"))
	if may("9.9.9.9") || !may("8.8.4.4") {
		t.Fatal("a look that failed opened the door")
	}
	m.set(-time.Hour, nil, "1.1.1.1/24")
	if may("1.1.1.1") {
		t.Fatal("a clock that was set back kept the old ones")
	}
}
