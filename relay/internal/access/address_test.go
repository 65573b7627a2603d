package access_test

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"oriel/relay/internal/access"
	"oriel/relay/internal/store/storetest"
)

func networks(list ...string) (p access.Proxies) {
	for _, text := range list {
		p = append(p, netip.MustParsePrefix(text))
	}
	return p
}

func TestAddress(t *testing.T) {
	proxies := networks("10.0.0.0/8", "127.0.0.1/32", "::1/128", "fd00::/8")
	for _, c := range []struct {
		peer string
		xff  []string
		want string
	}{
		{"192.0.2.1:5", nil, "192.0.2.1"},
		{"192.0.2.1:5", []string{"198.51.100.9"}, "192.0.2.1"}, // not trusted: its word is nothing
		{"127.0.0.1:5", nil, "127.0.0.1"},
		{"127.0.0.1:5", []string{"198.51.100.9"}, "198.51.100.9"},
		{"127.0.0.1:5", []string{"1.1.1.1, 198.51.100.9"}, "198.51.100.9"}, // 1.1.1.1 is the client's claim
		{"127.0.0.1:5", []string{"1.1.1.1", "198.51.100.9, 10.1.2.3"}, "198.51.100.9"},
		{"127.0.0.1:5", []string{"10.1.2.3, 10.1.2.4"}, "10.1.2.3"},
		{"127.0.0.1:5", []string{"nonsense"}, "127.0.0.1"},
		{"127.0.0.1:5", []string{"1.1.1.1, nonsense, 10.1.2.3"}, "10.1.2.3"},
		{"127.0.0.1:5", []string{strings.Repeat("10.1.1.1,", 10000) + "10.9.9.9"}, "10.1.1.1"},
		{"[::1]:5", []string{"2001:db8::1"}, "2001:db8::1"},
		{"[::ffff:10.0.0.1]:5", []string{"::ffff:198.51.100.9"}, "198.51.100.9"},
		{"[fe80::1%eth0]:5", nil, "fe80::1"},
		{"nonsense", nil, ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		for _, h := range c.xff {
			r.Header.Add("X-Forwarded-For", h)
		}
		if got := proxies.Address(r); got != c.want {
			t.Errorf("%s with %.60q is %q, want %q", c.peer, c.xff, got, c.want)
		}
	}
}

func TestBrowserIsBounded(t *testing.T) {
	a := open(t, storetest.Open(t, storetest.SQLite(t)), access.Options{})
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("User-Agent", "\xff"+strings.Repeat("ж", 5000))
	got := a.Client(r).Browser
	if len(got) > 256 || len(got) < 250 || !utf8.ValidString(got) {
		t.Fatalf("%d bytes, valid %v", len(got), utf8.ValidString(got))
	}
}

// Whatever a client claims, the result is an address or nothing, and a client
// that is no trusted proxy is never believed.
func FuzzAddress(f *testing.F) {
	f.Add("127.0.0.1:5", "1.1.1.1, 2.2.2.2")
	f.Add("[::1]:5", "fe80::1%eth0,,,")
	f.Add("192.0.2.1:80", "")
	proxies := networks("127.0.0.0/8", "::1/128")
	f.Fuzz(func(t *testing.T, peer, xff string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = peer
		r.Header["X-Forwarded-For"] = []string{xff}
		got := proxies.Address(r)
		from, err := netip.ParseAddrPort(peer)
		if err != nil {
			if got != "" {
				t.Fatalf("%q from no address", got)
			}
			return
		}
		a, err := netip.ParseAddr(got)
		if err != nil || a.Zone() != "" || a.Is4In6() {
			t.Fatalf("%q is no plain address: %v", got, err)
		}
		if p := from.Addr().Unmap(); !p.IsLoopback() && a != p.WithZone("") {
			t.Fatalf("%s was believed to be %s", p, a)
		}
	})
}
