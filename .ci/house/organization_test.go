package house

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// firsts are those who may name the organization that a relay begins with, and why.
var firsts = map[string]string{
	"relay/internal/store/":                "makes it, and keeps what is older than organizations in it",
	"relay/internal/access/signin.go":      "no sign-in names another one yet",
	"relay/internal/audit/signins.go":      "wrong passwords of nobody who exists",
	"relay/internal/access/signup.go":      "the relay's staff are members of the first",
	"relay/internal/people/invitations.go": "as signup.go",
	"relay/main.go":                        "the command line's default",
}

// Rule: whose things are shown or changed comes from who asks; nothing takes them for the first
// organization's but what is in firsts.
func TestWhoAsksNamesTheOrganization(t *testing.T) {
	used := map[string]bool{}
	for _, file := range files(t) {
		if !strings.HasSuffix(file, ".go") || strings.Contains(file, "test") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, file))
		if os.IsNotExist(err) {
			continue // deleted, not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "FirstOrganization") {
			continue
		}
		allowed := false
		for where := range firsts {
			if strings.HasPrefix(file, where) {
				allowed, used[where] = true, true
			}
		}
		if !allowed {
			t.Errorf("%s names FirstOrganization: take the organization of who asks (access.Identity), or of the computer", file)
		}
	}
	for where := range firsts {
		if !used[where] {
			t.Errorf("firsts has %s, which does not name it any more", where)
		}
	}
}
