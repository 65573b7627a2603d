package api_test

import (
	"testing"

	"oriel/relay/internal/access"
	"oriel/relay/internal/store/storetest"
)

// Rule: while the database is away the API answers 503 with a sentence, not 500.
func TestDatabaseAway(t *testing.T) {
	server, err := storetest.Start()
	if err != nil {
		t.Fatal(err)
	}
	stop := func() { _ = server.Stop(t.Context()) }
	address, err := server.CreateDatabase(t.Context(), "away")
	if err != nil {
		stop()
		t.Fatal(err)
	}
	a, c, _ := setup(t, storetest.Open(t, address), access.Options{})
	token, err := a.NewOwnerToken(t.Context())
	if err != nil {
		stop()
		t.Fatal(err)
	}
	made := c.do("POST", "/api/v1/owner", `{"token":"`+token+`","name":"Ada","email":"ada@example.com","password":"correct horse"}`)
	stop()
	if made.StatusCode != 200 {
		t.Fatal(made.body)
	}
	for range 2 { // on the connections that were there, and on none
		c.problem(c.do("GET", "/api/v1/me", ""), 503, "unavailable")
		c.problem(c.do("POST", "/api/v1/sign-in", `{"login":"ada@example.com","password":"correct horse"}`), 503, "unavailable")
		c.problem(c.do("POST", "/api/v1/sign-out", ""), 503, "unavailable")
	}
}
