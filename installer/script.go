package installer

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

//go:embed script/install.sh
var script []byte

// What the script knows of its relay stands in these places of the template.
const (
	relayMark = "'@RELAY@'"
	filesMark = "'@FILES@'"
)

// A host as it may stand in the script: a name, an IPv4 address or an IPv6
// address in brackets, with or without a port.
var (
	hostForm = regexp.MustCompile(`^([0-9A-Za-z]([0-9A-Za-z._-]*[0-9A-Za-z])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	pathForm = regexp.MustCompile(`^(/[0-9A-Za-z._~-]+)*/?$`)
)

// Script renders the script that installs the agent from the relay at relayURL
// (http or https, a host, perhaps a port and a path), out of the release m.
// Errors: an address that is none, a manifest that Parse would refuse, a
// release without the agent.
func Script(relayURL string, m Manifest) ([]byte, error) {
	relay, err := address(relayURL)
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
	out := bytes.Replace(script, []byte(relayMark), []byte(quote(relay)), 1)
	return bytes.Replace(out, []byte(filesMark), []byte(quote(table.String())), 1), nil
}

func address(relayURL string) (string, error) {
	u, err := url.Parse(relayURL)
	switch {
	case err != nil:
		return "", fmt.Errorf("the relay's address: %w", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("the relay's address %q must begin with http:// or https://", relayURL)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "":
		return "", fmt.Errorf("the relay's address %q must be a host, perhaps a port and a path", relayURL)
	case !hostForm.MatchString(u.Host) || !pathForm.MatchString(u.EscapedPath()):
		return "", fmt.Errorf("the relay's address %q has characters that no relay's address has", relayURL)
	}
	return u.Scheme + "://" + u.Host + strings.TrimSuffix(u.EscapedPath(), "/"), nil
}

// quote makes one word of a POSIX shell out of any text without a zero byte.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
