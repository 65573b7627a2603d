package access_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Rule: scheme, host and address behind a trusted proxy are read by one rule,
// from X-Forwarded-* and from Forwarded; of an untrusted one nothing is
// believed, and it is named.
func TestAsked(t *testing.T) {
	proxies := networks("10.0.0.0/8")
	for _, c := range []struct {
		peer   string
		tls    bool
		header http.Header
		origin string
		from   string
		proxy  string
	}{
		{"192.0.2.1:5", false, nil, "http://relay.test", "192.0.2.1", ""},
		{"192.0.2.1:5", true, nil, "https://relay.test", "192.0.2.1", ""},
		{"192.0.2.1:5", false, http.Header{"X-Forwarded-Proto": {"https"}}, "http://relay.test", "192.0.2.1", "192.0.2.1"},
		{"192.0.2.1:5", false, http.Header{"Forwarded": {"for=1.1.1.1;proto=https;host=other.test"}}, "http://relay.test", "192.0.2.1", "192.0.2.1"},
		{"10.0.0.1:5", false, http.Header{"X-Forwarded-Proto": {"https"}}, "https://relay.test", "10.0.0.1", ""},
		{"10.0.0.1:5", false, http.Header{"X-Forwarded-Proto": {"http, HTTPS"}, "X-Forwarded-Host": {"Other.test:443"}}, "https://other.test", "10.0.0.1", ""},
		{"10.0.0.1:5", true, http.Header{"X-Forwarded-Proto": {"gopher"}}, "https://relay.test", "10.0.0.1", ""},
		{"10.0.0.1:5", false, http.Header{"X-Forwarded-For": {"198.51.100.9:4711"}}, "http://relay.test", "198.51.100.9", ""},
		{"10.0.0.1:5", false, http.Header{"Forwarded": {`for=1.1.1.1, For="[2001:db8::1]:4711";Proto=https;host="other.test:8443"`}}, "https://other.test:8443", "2001:db8::1", ""},
		{"10.0.0.1:5", false, http.Header{"Forwarded": {"for=1.1.1.1, for=unknown"}}, "http://relay.test", "10.0.0.1", ""},
		{"10.0.0.1:5", false, http.Header{"Forwarded": {`for="1.1.1.1, for=2.2.2.2`, "for=198.51.100.9"}}, "http://relay.test", "10.0.0.1", ""},
		// A client sent Forwarded through a proxy that does not know it.
		{"10.0.0.1:5", false, http.Header{"X-Forwarded-For": {"198.51.100.9"}, "Forwarded": {"for=1.1.1.1"}}, "http://relay.test", "198.51.100.9", ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Host = c.peer, "relay.test"
		if c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		for name, values := range c.header {
			r.Header[name] = values
		}
		got := proxies.Asked(r)
		if got.Origin() != c.origin || got.Address != c.from || got.Proxy != c.proxy {
			t.Errorf("%s with %v: origin %s, address %s, proxy %q; want %s, %s, %q", c.peer, c.header, got.Origin(), got.Address, got.Proxy, c.origin, c.from, c.proxy)
		}
	}
}
