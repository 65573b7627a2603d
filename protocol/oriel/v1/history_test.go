package orielv1

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// change is one dated line of the history, with the lines that go on with it.
type change struct{ text, protos string }

var (
	dated  = regexp.MustCompile(`^//\t(?:version \d+, | {11})\d{4}-\d{2}-\d{2}: `)
	stands = regexp.MustCompile(` \[([0-9a-f]*)\]$`)
)

// changes reads the history in the package comment of codec.go.
func changes(t *testing.T, codec string) []change {
	t.Helper()
	_, history, found := strings.Cut(codec, "// # History\n")
	if !found {
		t.Fatal("codec.go has no history")
	}
	history, _, _ = strings.Cut(history, "\npackage ")
	var all []change
	for line := range strings.Lines(history) {
		line = strings.TrimRight(line, "\n")
		switch {
		case dated.MatchString(line):
			all = append(all, change{text: line})
		case strings.HasPrefix(line, "//\t") && len(all) > 0:
			all[len(all)-1].text += "\n" + line
		}
	}
	for i := range all {
		if m := stands.FindStringSubmatch(all[i].text); m != nil {
			all[i].text, all[i].protos = strings.TrimSuffix(all[i].text, m[0]), m[1]
		}
	}
	return all
}

// protosNow is what the .proto files are: eight digits of a hash over their text,
// comments too, for they say what a number means.
func protosNow(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("*.proto")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	sum := sha256.New()
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(b), b)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:4])
}

// Rule: a .proto does not change without its dated line in the history.
func TestHistory(t *testing.T) {
	codec, err := os.ReadFile("codec.go")
	if err != nil {
		t.Fatal(err)
	}
	all, now := changes(t, string(codec)), protosNow(t)
	if len(all) == 0 {
		t.Fatal("the history is empty")
	}
	last := all[len(all)-1]
	if *update && last.protos == "" {
		written := strings.Replace(string(codec), last.text+" []", last.text+" ["+now+"]", 1)
		if written == string(codec) {
			t.Fatalf("write [] at the end of the newest line: %s", last.text)
		}
		if err := os.WriteFile("codec.go", []byte(written), 0o644); err != nil {
			t.Fatal(err)
		}
		last.protos = now
	}
	if last.protos != now {
		t.Errorf("the .proto files have changed since the newest line of the history in codec.go, which is\n%s [%s]\n"+
			"Write another that says what is new and ends with [], and run go test ./protocol/oriel/v1 -update", last.text, last.protos)
	}
}

// Rule: what the history says is not changed afterwards, so that the new digits cannot
// be written at an old line. It is compared with the main branch as this clone knows it,
// and with the commit before.
func TestHistoryGrows(t *testing.T) {
	git := func(args ...string) (string, error) {
		out, err := exec.Command("git", args...).Output()
		return string(out), err
	}
	codec, err := os.ReadFile("codec.go")
	if err != nil {
		t.Fatal(err)
	}
	now := changes(t, string(codec))
	if _, err := git("rev-parse", "HEAD"); err != nil {
		t.Skip("no git here: ", err)
	}
	landed := "HEAD" // which a clone of one's own may still change
	if _, err := git("rev-parse", "-q", "--verify", "origin/main"); err == nil {
		landed = "origin/main"
	}
	compared := 0
	for _, name := range []string{landed, "HEAD~1"} {
		commit, err := git("merge-base", "HEAD", name)
		if err != nil {
			continue // a clone without it
		}
		before, err := git("show", strings.TrimSpace(commit)+":./codec.go")
		if err != nil || !strings.Contains(before, "history_test.go") { // from before this rule
			continue
		}
		compared++
		for i, old := range changes(t, before) {
			if !slices.Contains(now, old) {
				t.Errorf("line %d of the history was changed or is gone since %s; write a new line instead\n%s [%s]", i+1, name, old.text, old.protos)
			}
		}
	}
	t.Logf("compared with %d commits", compared)
}
