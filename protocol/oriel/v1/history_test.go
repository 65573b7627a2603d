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
	dated  = regexp.MustCompile(`^(?:version \d+, | {11})\d{4}-\d{2}-\d{2}: `)
	stands = regexp.MustCompile(` \[([0-9a-f]*)\]$`)
)

// historyFile is where the history is.
const historyFile = "HISTORY"

// changes reads the history.
func changes(history string) []change {
	var all []change
	for line := range strings.Lines(history) {
		line = strings.TrimRight(line, "\n")
		switch {
		case dated.MatchString(line):
			all = append(all, change{text: line})
		case strings.HasPrefix(line, " ") && len(all) > 0:
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

// added is the line of a field or a value that says itself since when it is there.
var added = regexp.MustCompile(`(?m)^ +(?:(?:optional|repeated) )?(?:[\w.]+ )?\w+ = \d+(?: \[[^\n]*\])?; // since \d{4}-\d{2}-\d{2}\b[^\n]*\n`)

// undated is the text of a .proto without what says itself when it was added.
func undated(text string) string { return added.ReplaceAllString(text, "") }

// Rule: a field that is only added needs its date and no line of the history; whatever
// else changes does.
func TestAddedFieldsDateThemselves(t *testing.T) {
	const before = "message A {\n  string one = 1; // its name\n}\n"
	with := func(line string) string { return strings.Replace(before, "}", line+"\n}", 1) }
	for line, needs := range map[string]bool{
		"  bool two = 2; // since 2026-12-01":                                        false,
		"  repeated Scope two = 2 [(max_items) = 32]; // since 2026-12-01: what for": false,
		"  CODE_TWO = 2; // since 2026-12-01":                                        false,
		"  bool two = 2;":                                                            true,
		"  bool two = 2; // of 2026-12-01":                                           true,
		"  reserved 2; // since 2026-12-01":                                          true,
		"  // two, since 2026-12-01":                                                 true,
		"message B {} // since 2026-12-01":                                           true,
		"  bool two = 2; } // since 2026-12-01":                                      true,
	} {
		if got := undated(with(line)) != before; got != needs {
			t.Errorf("%q: a line is needed: %v", line, got)
		}
	}
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
		text := undated(string(b))
		fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:4])
}

// Rule: a .proto does not change without its dated line in the history.
func TestHistory(t *testing.T) {
	history, err := os.ReadFile(historyFile)
	if err != nil {
		t.Fatal(err)
	}
	all, now := changes(string(history)), protosNow(t)
	if len(all) == 0 {
		t.Fatal("the history is empty")
	}
	last := all[len(all)-1]
	if *update && last.protos == "" {
		written := strings.Replace(string(history), last.text+" []", last.text+" ["+now+"]", 1)
		if written == string(history) {
			t.Fatalf("write [] at the end of the newest line: %s", last.text)
		}
		if err := os.WriteFile(historyFile, []byte(written), 0o644); err != nil {
			t.Fatal(err)
		}
		last.protos = now
	}
	if last.protos != now {
		t.Errorf("the .proto files have changed since the newest line of HISTORY, which is\n%s [%s]\n"+
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
	history, err := os.ReadFile(historyFile)
	if err != nil {
		t.Fatal(err)
	}
	now := changes(string(history))
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
		before, err := git("show", strings.TrimSpace(commit)+":./"+historyFile)
		if err != nil { // until 2026-11-30 it was in the package's comment
			before, err = git("show", strings.TrimSpace(commit)+":./codec.go")
			before = strings.ReplaceAll(before, "//\t", "")
		}
		if err != nil || !strings.Contains(before, "history_test.go") { // from before this rule
			continue
		}
		compared++
		if len(changes(before)) == len(now) { // no line says that one went
			sameFields(t, git, strings.TrimSpace(commit))
		}
		for i, old := range changes(before) {
			if !slices.Contains(now, old) {
				t.Errorf("line %d of the history was changed or is gone since %s; write a new line instead\n%s [%s]", i+1, name, old.text, old.protos)
			}
		}
	}
	t.Logf("compared with %d commits", compared)
}

// sameFields checks that what dated itself at a commit is as it was.
func sameFields(t *testing.T, git func(...string) (string, error), commit string) {
	t.Helper()
	files, err := filepath.Glob("*.proto")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		before, err := git("show", commit+":./"+name)
		if err != nil {
			continue // it is newer
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range added.FindAllString(before, -1) {
			if !strings.Contains(string(b), line) {
				t.Errorf("%s: changed or gone since %s, and no line of the history says so:\n%s", name, commit, line)
			}
		}
	}
}
