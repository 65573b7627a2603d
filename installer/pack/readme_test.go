package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"oriel/installer"
)

const repository = "../.."

// elsewhere are the commands of README.md that this test cannot run, why, and the
// file with the words that do what they do.
var elsewhere = map[string]struct{ why, file, words string }{
	"make run":       {"it runs until Ctrl-C", ".ci/try.test.mjs", "begin("},
	"make lint test": {"this test is part of it", ".ci/run", "exec make lint test"},
	"make dist":      {"it compresses for minutes", "installer/pack/pack_test.go", "TestReleaseIsWhatItsManifestSays"},
}

// Rule: every command that README.md shows does what it says, in the order in
// which it shows them: on a machine with systemd, from the packages to nothing left.
func TestREADMERuns(t *testing.T) {
	var lines []string
	for _, line := range blocks(t, "README.md") {
		test, ok := elsewhere[line]
		if !ok {
			lines = append(lines, line)
			continue
		}
		if !strings.Contains(read(t, test.file), test.words) {
			t.Errorf("%s: %s has no %q any more", line, test.file, test.words)
		}
		try(t, "README.md", "make", append([]string{"-n"}, strings.Fields(line)[1:]...)...)
	}
	for line := range elsewhere {
		if !slices.Contains(blocks(t, "README.md"), line) {
			t.Errorf("elsewhere has %q, which README.md does not show", line)
		}
	}

	shared := t.TempDir()
	here := newBootedMachine(t, shared)
	packBuilt(t, shared+"/dist", installer.Debian, installer.Agent, installer.Relay)
	// Who sits there says yes to apt, and writes a name into the settings.
	here.must(t, `echo 'APT::Get::Assume-Yes "true";' >/etc/apt/apt.conf.d/99yes
		rm -f /usr/bin/editor
		printf '#!/bin/sh\necho "name: Workshop" >>"$1"\n' >/usr/bin/editor
		chmod +x /usr/bin/editor`)
	const ours = `find /etc /usr /var /run -xdev -maxdepth 4 -name '*oriel*' | sort`
	before := here.must(t, ours)

	var ada *owner
	enrollment := ""
	after := map[string]func(told string){
		"journalctl -u oriel-relay": func(told string) {
			ada = newOwner(t, here, ownerLink.FindString(told))
			enrollment, _ = ada.token(t)
		},
		"runuser -u oriel -- oriel-relay key succession": func(told string) {
			if !strings.Contains(told, "oriel-succession-") {
				t.Errorf("no succession key:\n%s", told)
			}
		},
		"oriel-agent install --relay https://relay.example.com --token TOKEN": func(string) { ada.wait(t, "online") },
		"systemctl stop oriel-relay": func(string) { // the disk that breaks; sealing key and back-up were kept
			here.must(t, `find /var/lib/oriel-relay -mindepth 1 ! -name oriel.backup ! -name sealing.key -delete`)
		},
		"systemctl start oriel-relay": func(string) { ada.wait(t, "online") },
		"runuser -u oriel -- oriel-relay owner recover": func(told string) {
			if !strings.Contains(told, ada.url+"/recover#") {
				t.Errorf("no link:\n%s", told)
			}
		},
		"oriel-agent uninstall --purge": func(string) { ada.wait(t, "offline") },
	}
	for _, line := range lines {
		if strings.HasPrefix(line, "journalctl") {
			waitFor(t, "the link in the journal", func() bool { return ownerLink.MatchString(here.must(t, line)) })
		}
		script := strings.ReplaceAll(line, "linux_amd64", "linux_"+runtime.GOARCH)
		if ada != nil {
			script = strings.NewReplacer("https://relay.example.com", ada.url, "TOKEN", enrollment).Replace(script)
		}
		told := here.must(t, "cd /shared && "+script)
		if then := after[line]; then != nil {
			then(told)
			delete(after, line)
		}
	}
	for line := range after {
		t.Errorf("README.md does not show %q", line)
	}
	if left := here.must(t, ours); left != before {
		t.Errorf("left behind: there was\n%s\nand now there is\n%s", before, left)
	}
}

// A command in a line of text: `make bench`, “oriel-relay owner link”.
var (
	span       = regexp.MustCompile("`([^`\n]+)`")
	said       = regexp.MustCompile("[`“'](oriel-(?:relay|agent) [^`”'\n]+)[`”']")
	assignment = regexp.MustCompile(`^([A-Z]+=\S* )+`)
	option     = regexp.MustCompile(`^--[a-z-]+$`)
	word       = regexp.MustCompile(`^[a-z][a-z-]*$`)
	quoted     = regexp.MustCompile(`'([^']*)'`)
)

// Rule: every command named in the text of a README is there: the target of make, and
// of our programs the command and its flags.
func TestREADMENamesRealCommands(t *testing.T) {
	named := 0
	for _, file := range readmes(t) {
		for _, m := range span.FindAllStringSubmatch(text(t, file), -1) {
			line := assignment.ReplaceAllString(m[1], "")
			words := strings.Fields(line)
			switch words[0] {
			case "oriel-relay", "oriel-agent":
				knows(t, file, words)
			case "make":
				try(t, file, "make", append([]string{"-n"}, words[1:]...)...)
			case "go":
				try(t, file, "go", words[1:]...)
			case "git":
				try(t, file, "git", words[1], quoted.FindStringSubmatch(line)[1], "--", "installer")
			case "apt": // remove and purge: TestRelayPackage, TestLifeUnderSystemd
			case "apt-get", "dnf", "dpkg", "docker", "npm", "node", "npx", "sudo", "systemctl", "runuser", "curl":
				t.Errorf("%s: %s: in a block, where it is run", file, m[0])
			default:
				continue
			}
			named++
		}
	}
	if named < 10 {
		t.Errorf("only %d commands found", named)
	}
}

// Rule: a command that the product tells people to run is there.
func TestSentencesNameRealCommands(t *testing.T) {
	files := []string{"console/messages/en.json"}
	for _, dir := range []string{"agent", "relay", "protocol"} {
		files = append(files, walk(t, dir, func(name string) bool {
			return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
		})...)
	}
	named := map[string]bool{}
	for _, file := range files {
		for _, m := range said.FindAllStringSubmatch(read(t, file), -1) {
			if !named[m[1]] {
				knows(t, file, strings.Fields(m[1]))
			}
			named[m[1]] = true
		}
	}
	if len(named) < 5 {
		t.Errorf("only %v found", named)
	}
}

// knows asks one of our programs for its help on a command; that has every flag.
func knows(t *testing.T, file string, words []string) {
	t.Helper()
	if len(words) == 1 {
		return
	}
	var args []string // the command: neither flags nor a word after one, which is its value
	for i, w := range words[1:] {
		if word.MatchString(w) && !option.MatchString(words[i]) {
			args = append(args, w)
		}
	}
	out := try(t, file, built(t, words[0]), append(args, "--help")...)
	for _, w := range words {
		if option.MatchString(w) && !strings.Contains(out, w) {
			t.Errorf("%s: %s has no %s", file, strings.Join(words[:2], " "), w)
		}
	}
}

func try(t *testing.T, file, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = repository
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %s %s: %v\n%s", file, filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return string(out)
}

const (
	sitting = 1800       // words of README.md: one sitting of a first reader
	weight  = 300 * 1000 // bytes of a picture
)

var link = regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`)

// Rule: README.md is read in one sitting; every link within the tree leads to something,
// no picture is heavy.
func TestREADMEIsOneSitting(t *testing.T) {
	if n := len(strings.Fields(read(t, "README.md"))); n > sitting {
		t.Errorf("README.md has %d words; %d are the limit: what does not fit goes to the README of its room", n, sitting)
	}
	for _, file := range readmes(t) {
		for _, m := range link.FindAllStringSubmatch(text(t, file), -1) {
			to := m[1]
			if to == "" {
				to = filepath.Base(file)
			}
			if strings.Contains(to, "://") {
				continue
			}
			path := filepath.Join(filepath.Dir(file), to)
			info, err := os.Stat(filepath.Join(repository, path))
			switch {
			case err != nil:
				t.Errorf("%s: %v", file, err)
			case strings.HasSuffix(path, ".png") && info.Size() > weight:
				t.Errorf("%s: %s has %d bytes, %d are the limit", file, path, info.Size(), weight)
			case m[2] != "" && !slices.Contains(anchors(t, path), m[2]):
				t.Errorf("%s: %s has no heading for %s", file, path, m[2])
			}
		}
	}
}

// readmes are those of the tree.
func readmes(t *testing.T) []string {
	t.Helper()
	return walk(t, ".", func(name string) bool { return name == "README.md" })
}

// walk gives the files of the tree under a folder, without what others made.
func walk(t *testing.T, dir string, wanted func(name string) bool) []string {
	t.Helper()
	others := []string{"node_modules", "build", "dist", "data", "project.inlang", "paraglide"}
	var list []string
	err := filepath.WalkDir(filepath.Join(repository, dir), func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (slices.Contains(others, name) || strings.HasPrefix(name, ".") && path != repository):
			return fs.SkipDir
		case wanted(name):
			from, err := filepath.Rel(repository, path)
			list = append(list, from)
			return err
		}
		return nil
	})
	if err != nil || len(list) == 0 {
		t.Fatalf("%s: %v: %v", dir, list, err)
	}
	return list
}

func read(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(repository, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

var fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```\n")

// blocks are the commands of a file's fenced blocks, without the comments behind them.
func blocks(t *testing.T, file string) []string {
	t.Helper()
	var lines []string
	for _, m := range fence.FindAllStringSubmatch(read(t, file), -1) {
		if m[1] != "sh" {
			t.Fatalf("%s has a block of %q; commands are in blocks of sh", file, m[1])
		}
		for line := range strings.Lines(m[2]) {
			line, _, _ = strings.Cut(line, "  #")
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// text is a file without its fenced blocks. Other READMEs than the first have none.
func text(t *testing.T, file string) string {
	t.Helper()
	if file != "README.md" && len(blocks(t, file)) > 0 {
		t.Errorf("%s has a block of commands; only those of README.md are run", file)
	}
	return fence.ReplaceAllString(read(t, file), "")
}

// anchors are a file's headings as links name them.
func anchors(t *testing.T, file string) []string {
	t.Helper()
	var list []string
	for line := range strings.Lines(read(t, file)) {
		if title, ok := strings.CutPrefix(strings.TrimSpace(line), "## "); ok {
			list = append(list, "#"+strings.ReplaceAll(strings.ToLower(title), " ", "-"))
		}
	}
	return list
}
