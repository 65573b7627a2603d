package node_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// within answers requests without a network, at whatever address they name.
type within struct{ handler http.Handler }

func (w within) RoundTrip(r *http.Request) (*http.Response, error) {
	r.RemoteAddr = netip.AddrPortFrom(netip.IPv6LinkLocalAllNodes(), 1).String()
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	return answer.Result(), nil
}

// Rule: http beyond loopback is refused when a computer is added, unless a switch
// says so; the command then says so to the agent.
func TestAddingComputersOverHTTP(t *testing.T) {
	for address, exposed := range map[string]bool{"http://oriel.lan:8080": true, "http://localhost:8080": false} {
		r := start(t, settings(t, "--public-url", address))
		p := r.browser()
		p.client = &http.Client{Transport: within{r.node.Handler()}}
		p = r.ownerAt(p)
		var token struct{ Token, Command string }
		if exposed {
			p.do("POST", "/api/v1/enrollment-tokens", object{}, nil, 422)
		} else {
			p.do("POST", "/api/v1/enrollment-tokens", object{}, &token, 201)
			if strings.Contains(token.Command, "allow-http") {
				t.Errorf("%s: command %q", address, token.Command)
			}
		}
		p.do("POST", "/api/v1/enrollment-tokens", object{"allow_http": true}, &token, 201)
		if strings.Contains(token.Command, " --allow-http") != exposed {
			t.Errorf("%s: command %q", address, token.Command)
		}
	}
}
