package doctor

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"oriel/relay/internal/config"
)

// Rule: an untrusted proxy in front of the relay is named by doctor.
func TestNamesAnUntrustedProxy(t *testing.T) {
	untrusted := true
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if untrusted && r.URL.Path == "/healthz" {
			w.Header().Set("X-Oriel-Proxy", "untrusted")
		}
	}))
	defer relay.Close()
	public, err := url.Parse(relay.URL)
	if err != nil {
		t.Fatal(err)
	}
	d := &doctor{c: &config.Config{}, public: public}
	if _, err := d.proxy(t.Context()); err == nil || !strings.Contains(err.Error(), "trusted-proxies") {
		t.Errorf("doctor says %v", err)
	}
	untrusted = false
	if text, err := d.proxy(t.Context()); err != nil || text != "" {
		t.Errorf("without a proxy doctor says %q, %v", text, err)
	}
}
