package node_test

import "testing"

// Rule: how many requests there may be is a setting of the relay, and is said in each answer.
func TestLimitsOfRequestsAreSettings(t *testing.T) {
	r := start(t, settings(t, "--address-requests", "700", "--sign-in-requests", "70"))
	owner := r.owner()
	res := owner.do("GET", "/api/v1/me", nil, nil, 200)
	if got := res.Header.Get("RateLimit-Policy"); got != `"address";q=700;w=60, "sign-in";q=70;w=60` {
		t.Fatal(got)
	}
}
