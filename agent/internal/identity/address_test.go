package identity

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
)

// Rule: addresses from the relay come after those a person gave, https only
// (loopback excepted for itself), never widen what is allowed.
func TestLearnedAddressesLowerNothing(t *testing.T) {
	for name, c := range map[string]struct {
		given, said []string
		want        string
		loopback    bool
	}{
		"they come after the given": {[]string{"https://relay.example"},
			[]string{"https://thief.example", "https://relay.example"},
			"https://relay.example https://thief.example", false},
		"http does not replace https": {[]string{"https://relay.example"},
			[]string{"http://relay.example", "http://thief.example", "HTTP://thief.example:80/x"},
			"https://relay.example", false},
		"http that a person gave gives no right to more of it": {[]string{"http://relay.lan"},
			[]string{"http://thief.lan", "https://node.lan"},
			"http://relay.lan https://node.lan", false},
		"neither this machine, its links nor metadata": {[]string{"https://relay.example"},
			[]string{"https://127.0.0.1:8443", "https://localhost", "https://LOCALHOST.", "https://a.localhost", "https://[::1]",
				"https://[::ffff:127.0.0.1]", "https://[64:ff9b::7f00:1]", "https://[2002:7f00:1::]", "https://0.0.0.0", "https://0.1.2.3", "https://[::]", "https://169.254.169.254",
				"https://[fe80::1]", "https://168.63.129.16", "https://[fd00:ec2::254]", "https://224.0.0.1", "https://[ff02::1]", "http://127.0.0.1"},
			"https://relay.example", false},
		"a private network may be where the relay is": {[]string{"https://relay.example"},
			[]string{"https://192.168.1.2", "https://[fd12::1]:8443"},
			"https://relay.example https://192.168.1.2 https://[fd12::1]:8443", false},
		"loopback where a person gave it": {[]string{"http://127.0.0.1:8080"},
			[]string{"http://127.0.0.1:8081", "http://[::1]:8080", "http://192.168.1.2"},
			"http://127.0.0.1:8080 http://127.0.0.1:8081 http://[::1]:8080", true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			i := open(t, dir)
			key := relayKey('a')
			if err := i.Configure(Given{Relays: c.given, Token: tokenFor(key), AllowHTTP: true}); err != nil {
				t.Fatal(err)
			}
			if err := i.Welcomed(key, nil, "computer-1", c.said); err != nil {
				t.Fatal(err)
			}
			check := func(s State) {
				t.Helper()
				if got := strings.Join(s.Addresses(), " "); got != c.want {
					t.Errorf("addresses %q, want %q", got, c.want)
				}
				if s.OnLoopback() != c.loopback {
					t.Errorf("OnLoopback is %v", s.OnLoopback())
				}
			}
			check(i.State())
			// Addresses that an earlier version learned count no more than that.
			s := i.State()
			s.Learned = c.said[:min(len(c.said), MaxRelays)]
			check(s)

			if err := i.Configure(Given{Relays: []string{"https://new.example"}}); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(i.State().Addresses(), " "); got != "https://new.example" {
				t.Errorf("a new --relay left %q", got)
			}
		})
	}
}

// Rule: never loopback, link-local or metadata addresses.
func TestInward(t *testing.T) {
	for _, a := range []string{"127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "0.0.0.1", "::", "169.254.169.254", "fe80::1%eth0", "224.0.0.251",
		"ff02::fb", "168.63.129.16", "fd00:ec2::254", "::ffff:168.63.129.16", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::127.0.0.1", "255.255.255.255"} {
		if !Inward(netip.MustParseAddr(a)) {
			t.Errorf("%s is taken for one outside", a)
		}
	}
	for _, a := range []string{"192.0.2.1", "10.0.0.1", "fd12::1", "2001:db8::1", "64:ff9b::c000:201", "2002:c000:201::1"} {
		if Inward(netip.MustParseAddr(a)) {
			t.Errorf("%s is taken for one inside", a)
		}
	}
	if !Inward(netip.Addr{}) {
		t.Error("no address is taken for one outside")
	}
}

// Rule: hosts pinned by the local policy are the only ones connected to, and
// nothing from outside loosens that.
func TestPinnedHosts(t *testing.T) {
	i := open(t, filepath.Join(t.TempDir(), "data"))
	key := relayKey('a')
	if err := i.Configure(Given{Relays: []string{"https://relay.example", "https://old.example"}, Token: tokenFor(key)}); err != nil {
		t.Fatal(err)
	}
	if err := i.Pin([]string{"elsewhere.example"}); err == nil || !strings.Contains(err.Error(), "elsewhere.example") {
		t.Fatalf("pinned to nothing: %v", err)
	}
	if err := i.Pin([]string{"relay.example", "node.example"}); err != nil {
		t.Fatal(err)
	}
	if err := i.Welcomed(key, nil, "computer-1", []string{"https://thief.example", "https://node.example:8443", "https://relay.example.thief.example"}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(i.State().Addresses(), " "); got != "https://relay.example https://node.example:8443" {
		t.Errorf("addresses %q", got)
	}
	if got := strings.Join(i.State().Hosts(), " "); got != "relay.example node.example" {
		t.Errorf("hosts %q", got)
	}
}
