package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oriel/agent/internal/link/linktest"
)

// Rule: the agent has a local policy (file and command line); where that cannot
// be kept, nothing starts.
func TestNothingStartsWithoutItsPolicy(t *testing.T) {
	relay := linktest.Start(t)
	for name, c := range map[string]struct {
		file string
		mode os.FileMode
		args []string
		code int
		say  string
	}{
		"cut short":                 {`{"view_only": tr`, 0o600, nil, 1, "policy.json"},
		"unknown key":               {`{"view-only": true}`, 0o600, nil, 1, "view-only"},
		"others may write it":       {`{"view_only": true}`, 0o666, nil, 1, "chmod 600"},
		"the relay is not pinned":   {`{"relay_hosts": ["relay.example"]}`, 0o600, nil, 1, "relay.example"},
		"nor on the command line":   {`{}`, 0o600, []string{"--relay-hosts=relay.example"}, 1, "relay.example"},
		"pins with none in common":  {`{"relay_hosts": ["127.0.0.1"]}`, 0o600, []string{"--relay-hosts=relay.example"}, 1, "none in common"},
		"hours that are none":       {`{}`, 0o600, []string{"--hours=always"}, 2, "always"},
		"a host that is an address": {`{}`, 0o600, []string{"--relay-hosts=https://relay.example"}, 2, "is not a host"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "policy.json")
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			code, out := agent(t, append([]string{"run", "--demo", "--data", dir, "--relay", relay.URL(), "--token", relay.Token()}, c.args...)...)
			if code != c.code || !strings.Contains(out, c.say) {
				t.Errorf("code %d, %s", code, out)
			}
			if len(relay.Headers()) > 0 {
				t.Error("connected all the same")
			}
		})
	}
}
