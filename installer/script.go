package installer

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"oriel/protocol/address"
)

//go:embed script/install.sh
var script []byte

// What the script knows of its relay stands in these places of the template.
const (
	relayMark   = "'@RELAY@'"
	exposedMark = "'@EXPOSED@'"
	filesMark   = "'@FILES@'"
)

// Script renders the script that installs the agent from the relay at relayURL
// (see package address), out of the release m.
// Errors: an address that is none, a manifest that Parse would refuse, a
// release without the agent.
func Script(relayURL string, m Manifest) ([]byte, error) {
	relay, err := address.Parse(relayURL)
	if err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	files := m.Of(Agent)
	if len(files) == 0 {
		return nil, errors.New("the release has no agent to install")
	}
	var table strings.Builder
	for _, f := range files {
		fmt.Fprintf(&table, "%s %s %s %d %s %s\n", f.OS, f.Arch, f.Kind, f.Size, f.SHA256, f.Name)
	}
	out := bytes.Replace(script, []byte(relayMark), []byte(quote(relay.String())), 1)
	exposed := ""
	if relay.Exposed() {
		exposed = "http"
	}
	out = bytes.Replace(out, []byte(exposedMark), []byte(quote(exposed)), 1)
	return bytes.Replace(out, []byte(filesMark), []byte(quote(table.String())), 1), nil
}

// Command is the line that a person copies into the shell of the new computer:
// it fetches the script and runs it with args as root, if it is exactly this one.
//
// The page with the command and the script come from the same relay, at different
// times and ways. The SHA-256 of the script in the command, with those of the
// files in the script, ties all that is installed to what the person was shown:
// who changes the relay, or sits on the way to the new computer, in between gets
// an error and no shell. A signature would be weaker here, as its key would be
// good for other scripts as well, and needs openssl 3; sha256sum is on every
// system that the agent is made for. After a new release the command is copied
// again. Errors: args that a shell could take for more.
func Command(relayURL string, script []byte, args ...string) (string, error) {
	relay, err := address.Parse(relayURL)
	if err != nil {
		return "", err
	}
	for _, a := range args {
		if !argForm.MatchString(a) {
			return "", fmt.Errorf("%.100q cannot stand in a command", a)
		}
	}
	if !bytes.HasSuffix(script, []byte("\n")) || bytes.HasSuffix(script, []byte("\n\n")) || bytes.IndexByte(script, 0) >= 0 {
		return "", errors.New("the script cannot be kept in a shell's variable as it is")
	}
	from := relay.String() + "/install.sh"
	// The inner quotes are double ones, so that all of it is one word of any shell.
	return fmt.Sprintf(`sh -c 's="$(curl -fsSL %[1]s || wget -qO- %[1]s)"; case "$(printf "%%s\n" "$s" | sha256sum)" in %[2]x*) printf "%%s\n" "$s" | sudo sh -s -- %[3]s;; `+
		`*) echo "oriel: this is not the script that the console meant; copy the command again" >&2; exit 1;; esac'`,
		from, sha256.Sum256(script), strings.Join(args, " ")), nil
}

// argForm is a word that is the same to every shell, in quotes or not.
var argForm = regexp.MustCompile(`^[0-9A-Za-z._/:=-]+$`)

// quote makes one word of a POSIX shell out of any text without a zero byte.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
