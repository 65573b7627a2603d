// Package house holds the tree to its own rules: what lies at the top, which
// room may know which other, where a library comes in, how long a file may be.
// Each rule is a test with the rule's name; `make lint` runs them.
//
// A room is one package directly under agent/internal, relay/internal or
// protocol together with the packages below it; agent, relay, console and
// installer are rooms of their own. Files of tests are held to the rules about
// rooms, not to the ones about libraries.
package house

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// The names that may lie at the top, besides dot files and what make builds.
var top = []string{
	"agent", "relay", "console", "protocol", "installer",
	"go.mod", "go.sum", "Makefile", "LICENSE", "README.md",
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	built := []string{"build", "dist", "data"} // in .gitignore
	var found []string
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") || slices.Contains(built, name) {
			continue
		}
		found = append(found, name)
	}
	want := slices.Sorted(slices.Values(top))
	if !slices.Equal(found, want) {
		t.Errorf("at the top lies %v\nit should be      %v", found, want)
	}
}

// leaves know no other room: they could be lifted out and used elsewhere. The
// messages of protocol are no room but the language of all, and bedrock are rules
// that have to be the same in all rooms; they are leaves themselves.
var bedrock = []string{"protocol/sanitize", "relay/internal/fault", "relay/internal/page", "relay/internal/share"}

var leaves = append([]string{
	"agent/internal/bwe", "agent/internal/desktop", "agent/internal/encode", "agent/internal/host",
	"relay/internal/blob", "relay/internal/rights", "relay/internal/store", "relay/internal/turn",
}, bedrock...)

// walls says what the packages under a folder must not import, beyond what the
// compiler refuses (internal). The arrows of the house go down only.
var walls = []struct{ from, to, why string }{
	{"agent", "relay", "agent and relay share nothing but protocol"},
	{"relay", "agent", "agent and relay share nothing but protocol"},
	{"agent", "console", "the agent serves no page"},
	{"agent", "installer", "the agent is what is installed"},
	{"protocol", "agent", "the language does not know who speaks it"},
	{"protocol", "relay", "the language does not know who speaks it"},
	{"protocol", "console", "the language does not know who speaks it"},
	{"protocol", "installer", "the language does not know who speaks it"},
	{"installer", "agent", "the installer packs binaries, whatever they are made of"},
	{"installer", "relay", "the installer packs binaries, whatever they are made of"},
	{"installer", "console", "the installer packs binaries, whatever they are made of"},
	{"console", "agent", "the console's Go is an embedded folder"},
	{"console", "relay", "the console's Go is an embedded folder"},
}

func TestWalls(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			to, ours := strings.CutPrefix(imported, "oriel/")
			if !ours {
				continue
			}
			for _, wall := range walls {
				if under(p.dir, wall.from) && under(to, wall.to) {
					t.Errorf("%s imports %s: %s", p.dir, to, wall.why)
				}
			}
			for _, leaf := range leaves {
				if under(p.dir, leaf) && !under(to, leaf) && to != "protocol/oriel/v1" && !slices.Contains(bedrock, to) {
					t.Errorf("%s imports %s: a leaf imports no other room", p.dir, to)
				}
			}
		}
	}
}

// everywhere may be imported by any room: they are vocabulary, not machinery.
var everywhere = []string{
	"google.golang.org/protobuf", // the messages themselves
	"golang.org/x",               // what the standard library has not taken in yet
	"github.com/google/uuid",     // ids
}

// doors lists the libraries with more than one door in one program, and why.
var doors = map[string]struct {
	rooms []string
	why   string
}{
	"github.com/pion/webrtc": {[]string{"agent/internal/session", "agent/internal/stream"},
		"a session owns the peer connection, a stream writes to its tracks"},
	"github.com/pion/rtcp": {[]string{"agent/internal/bwe", "agent/internal/stream"},
		"bandwidth estimation reads transport-wide feedback, a stream all other reports"},
}

func TestOneDoorPerLibrary(t *testing.T) {
	type key struct{ program, library string }
	found := map[key][]string{}
	for _, p := range packages(t) {
		if strings.HasSuffix(p.dir, "test") {
			continue // the other side, for tests
		}
		program, _, _ := strings.Cut(p.dir, "/")
		for _, imported := range p.Imports {
			library := library(imported)
			if library == "" || slices.Contains(everywhere, library) {
				continue
			}
			k := key{program, library}
			if r := room(p.dir); !slices.Contains(found[k], r) {
				found[k] = append(found[k], r)
			}
		}
	}
	seen := map[string]bool{}
	for k, rooms := range found {
		slices.Sort(rooms)
		door, more := doors[k.library]
		seen[k.library] = true
		if !more && len(rooms) > 1 {
			t.Errorf("%s comes into %s by %d doors: %s", k.library, k.program, len(rooms), strings.Join(rooms, ", "))
		}
		for _, r := range rooms {
			if more && !slices.Contains(door.rooms, r) {
				t.Errorf("%s comes in by %s; its doors are %s (%s)", k.library, r, strings.Join(door.rooms, ", "), door.why)
			}
		}
	}
	for library := range doors {
		if !seen[library] {
			t.Errorf("doors has %s, which nothing imports any more", library)
		}
	}
}

// Names that say nothing about what is inside.
var empty = regexp.MustCompile(`(^|/)(utils?|common|managers?|helpers?|types|misc|lib|base)$`)

func TestPackageNames(t *testing.T) {
	for _, p := range packages(t) {
		if empty.MatchString(p.dir) {
			t.Errorf("%s: a package is named for the thing it is", p.dir)
		}
	}
}

// Words that have no place in a finished file.
var banned = []struct {
	word *regexp.Regexp
	in   string // suffix of the files it concerns
	why  string
}{
	{regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`), "", "finish it, or open an issue"},
	{regexp.MustCompile(`(^|[\s"'(=])/(work|tmp/o)/`), "", "a path of one machine"},
	{regexp.MustCompile(`\bpurego\b`), "", "the tag also takes the assembly out of Go's own crypto; robotgo's x11, win or mac does"},
	{regexp.MustCompile(`<<<<<<< |>>>>>>> `), "", "an unfinished merge"},
	{regexp.MustCompile(`\btime\.Sleep\(`), ".go", "wait for a condition with a deadline"},
	{regexp.MustCompile(`\bruntime\.GOOS\b`), ".go", "one file for each OS, by suffix"},
	{regexp.MustCompile(`\bToValidUTF8\(|\bunicode\.(IsPrint|IsGraphic|Cf)\b`), ".go", "package sanitize makes text safe, by one rule"},
	{regexp.MustCompile(`: any\b|as any\b|@ts-ignore`), ".ts", "say what it is"},
	{regexp.MustCompile(`\b(debugger|console\.log\()`), ".svelte", "left over"},
}

// allowed are the uses of banned words that have a reason.
var allowed = map[string]string{ // file and word: why
	"agent/internal/host/host.go runtime.GOOS": "reported, not asked",
	"agent/main.go runtime.GOOS":               "printed, not asked",

	"protocol/sanitize/sanitize.go unicode.Cf": "the rule itself",

	"relay/internal/doctor/processor.go purego":      "seen in a program, and warned of",
	"relay/internal/doctor/processor_test.go purego": "seen in a program, and warned of",
}

const long = 600 // lines; about 400 is a good length

func TestFiles(t *testing.T) {
	used := map[string]bool{}
	for _, file := range files(t) {
		if generated(file) {
			continue
		}
		f, err := os.Open(filepath.Join(root, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := 0
		test := strings.Contains(file, "test")
		for in := bufio.NewScanner(f); in.Scan(); {
			lines++
			for _, b := range banned {
				word := b.word.FindString(in.Text())
				if word == "" || !strings.HasSuffix(file, b.in) {
					continue
				}
				use := file + " " + strings.TrimSpace(word)
				used[use] = true
				if _, ok := allowed[use]; ok || b.in == ".go" && test {
					continue
				}
				t.Errorf("%s:%d: %s: %s", file, lines, word, b.why)
			}
		}
		f.Close()
		if code := regexp.MustCompile(`\.(go|ts|svelte|css|proto)$`); lines > long && code.MatchString(file) {
			t.Errorf("%s has %d lines; split it, %d is the limit", file, lines, long)
		}
	}
	for use := range allowed {
		if !used[use] {
			t.Errorf("allowed has %s, which is not there any more", use)
		}
	}
}

// Rule: a flag means one thing: the house refuses the tag purego, set for
// robotgo, which also turns off the assembly of Go's own crypto.
//
// TestFiles refuses the word; this looks at what the flags of this very build,
// wherever they came from, make of the packages that TLS and SRTP stand on.
func TestCryptoKeepsItsAssembly(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("Go has no assembly for all of them on " + runtime.GOARCH)
	}
	cmd := exec.Command("go", "list", "-f", "{{.ImportPath}} {{.SFiles}}",
		"crypto/internal/fips140/aes", "crypto/internal/fips140/aes/gcm", "crypto/internal/fips140/sha256", "crypto/internal/fips140/nistec")
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if name, without := strings.CutSuffix(line, " []\n"); without {
			t.Errorf("%s is built without its assembly: GOFLAGS is %q", name, os.Getenv("GOFLAGS"))
		}
	}
}

// files lists what git keeps or would keep, without pictures and other data.
func files(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-co", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	text := regexp.MustCompile(`(\.(go|ts|js|mjs|svelte|css|html|proto|yaml|md|sh|c|h)|Makefile|^\.ci/[a-z]+)$`)
	var list []string
	for _, file := range strings.Split(string(out), "\n") {
		if text.MatchString(file) && !strings.HasPrefix(file, ".ci/house/") { // which names the words
			list = append(list, file)
		}
	}
	if len(list) < 20 {
		t.Fatalf("only %d files found", len(list))
	}
	return list
}

func generated(file string) bool {
	return strings.HasSuffix(file, ".pb.go") || strings.HasPrefix(file, "console/src/core/wire/") ||
		file == "protocol/openapi.yaml" || file == "console/src/core/relay/api.gen.ts"
}

type goPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
	dir                                string // below root
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []goPackage
	for in := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		err := in.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		p.dir = strings.TrimPrefix(p.ImportPath, "oriel/")
		list = append(list, p)
	}
	if len(list) < 4 {
		t.Fatalf("only %d packages found", len(list))
	}
	return list
}

// library is what one door lets in: github.com/pion/webrtc, gocloud.dev/blob;
// empty for the standard library, this module and cgo.
func library(path string) string {
	elements := strings.Split(path, "/")
	if !strings.Contains(elements[0], ".") {
		return ""
	}
	n := 2
	if elements[0] == "github.com" {
		n = 3
	}
	return strings.Join(elements[:min(n, len(elements))], "/")
}

func room(dir string) string {
	elements := strings.Split(dir, "/")
	n := 1
	switch {
	case len(elements) > 1 && elements[1] == "internal":
		n = 3
	case elements[0] == "protocol":
		n = 2
	}
	return strings.Join(elements[:min(n, len(elements))], "/")
}

func under(dir, folder string) bool { return dir == folder || strings.HasPrefix(dir, folder+"/") }
