// Package policy is what this computer allows by its own word: a file beside its
// identity, and the command line. Nothing that a relay or a viewer says loosens
// it, and of several policies each holds: where two differ, the stricter.
//
// The file is policy.json in the data directory, with the owner and mode of the
// rest there (0600). Every key may be left out:
//
//	{
//	  "view_only": true,                    nobody controls this computer
//	  "consent": true,                      no control without consent of who sits at it
//	  "previews": false,                    no picture for the list of computers
//	  "relay_hosts": ["relay.example"],     only these are connected to
//	  "ice_hosts": ["turn.example"],        asked as STUN and TURN servers besides the relay's own
//	  "keep_identity": true,                makes no new identity when a relay asks for one
//	  "hours": ["mon-fri 08:00-18:00"],     sessions and previews at these times only
//	  "lease_minutes": 5,                   a session ends when the relay does not renew it for so long
//	  "session_minutes": 60,                a session ends after so long in any case
//	  "preview_seconds": 300,               at least between two pictures for the list
//	  "scopes": ["view", "control"]         what sessions may do at most
//	}
//
// The organization has policies as well, which come from the relay (relay.go). They only
// ever forbid more: they are one more of the policies that hold.
//
// This agent has no way yet to ask who sits at the computer, so that consent
// refuses control. Hours are of this machine's own clock and time zone: the
// relay's time, which it could set, does not count. A file that cannot be read
// whole, an unknown key too, is an error: an agent that cannot know what it must
// not do does not start.
package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"oriel/agent/internal/identity"
	"oriel/protocol/address"
	"oriel/protocol/hours"
	orielv1 "oriel/protocol/oriel/v1"
)

// File is the policy's name in the data directory.
const File = identity.PolicyFile

// Bounds of a policy.
const (
	maxHosts = 64
	maxHours = 64
	maxLease = 24 * time.Hour

	maxSession            = 7 * 24 * 60 // minutes
	minPreview, maxSilent = 60, 24 * 60 * 60
	maxScopes             = 32
)

// Policy is one source's word. The zero Policy forbids nothing.
type Policy struct {
	ViewOnly   bool          `json:"view_only,omitempty"`
	Consent    bool          `json:"consent,omitempty"`
	Previews   *bool         `json:"previews,omitempty"` // nil: true
	RelayHosts []string      `json:"relay_hosts,omitempty"`
	ICEHosts   []string      `json:"ice_hosts,omitempty"`
	Hours      []hours.Hours `json:"hours,omitempty"`
	// KeepIdentity refuses identity.Identity.Renew, which a relay asks for where an
	// admin says that two machines are one another's copies.
	KeepIdentity bool `json:"keep_identity,omitempty"`
	// LeaseMinutes bounds what a grant says; nil: nothing does but maxLease.
	LeaseMinutes *int `json:"lease_minutes,omitempty"`
	// SessionMinutes is the longest session; nil: as long as it is granted.
	SessionMinutes *int `json:"session_minutes,omitempty"`
	// PreviewSeconds is the least interval between previews; nil: the relay's.
	PreviewSeconds *int `json:"preview_seconds,omitempty"`
	// Scopes bound those of each session; nil: no bound beyond its grant.
	Scopes []Scope `json:"scopes,omitzero"`

	// Organization is the source of the policy; empty: this computer.
	Organization string `json:"organization,omitempty"`
}

// Scope is a scope as it is written in a policy: "view", "clipboard_read".
type Scope orielv1.Scope

// MarshalText is the word for it.
func (s Scope) MarshalText() ([]byte, error) { return []byte(orielv1.Word(orielv1.Scope(s))), nil }

// UnmarshalText is for a word that this agent knows.
func (s *Scope) UnmarshalText(b []byte) error {
	if *s = Scope(orielv1.FromWord[orielv1.Scope](string(b))); *s == 0 {
		return fmt.Errorf("%.50q is nothing that a session does", b)
	}
	return nil
}

// Set is every policy in force at the same time.
type Set []Policy

// Load reads the data directory's policy; there may be none. Errors say what is
// wrong with the file, and where it is.
func Load(dir string) (Policy, error) {
	path := filepath.Join(dir, File)
	b, err := identity.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Policy{}, nil
	}
	if err != nil {
		return Policy{}, fmt.Errorf("read this computer's policy: %w", err)
	}
	var p Policy
	if err = parse(b, &p); err == nil && p.Organization != "" {
		err = errors.New("it is another's policy, not this computer's own")
	}
	if err == nil {
		err = p.check()
	}
	if err != nil {
		return Policy{}, fmt.Errorf("%s is no policy that could be kept: %w; put it right or remove it", path, err)
	}
	return p, nil
}

// parse reads exactly one value of JSON with known keys, each said once.
func parse(b []byte, into any) error {
	if err := keysOnce(b); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows its end")
	}
	return nil
}

// keysOnce refuses a key that is said twice, of which the last would count, a
// key in other letters, which would count as well, and null, which would be
// taken for nothing said.
func keysOnce(b []byte) error {
	if strings.HasPrefix(strings.TrimSpace(string(b)), "[") {
		return nil // a Set is this program's own
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("it is not an object of JSON")
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, _ := t.(string)
		if seen[key] || key != strings.ToLower(key) {
			return fmt.Errorf("the key %q is said twice or not in lower case", key)
		}
		seen[key] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if string(value) == "null" {
			return fmt.Errorf("the key %q has no value", key)
		}
	}
	return nil
}

func (p Policy) check() error {
	for _, list := range [][]string{p.RelayHosts, p.ICEHosts} {
		if list != nil && len(list) == 0 {
			return errors.New("a list is empty; name what it allows, or leave it out")
		}
		if len(list) > maxHosts {
			return fmt.Errorf("%d hosts, at most %d", len(list), maxHosts)
		}
		for _, h := range list {
			// An address with scheme, port or path would never match.
			a, err := address.Parse("https://" + h)
			if strings.Contains(h, ":") && !strings.HasPrefix(h, "[") {
				a, err = address.Parse("https://[" + h + "]") // IPv6
			}
			if err != nil || identity.Host(a.Host) != identity.Host(h) {
				return fmt.Errorf("%q is not a host; give its name or address alone", h)
			}
		}
	}
	if p.Hours != nil && len(p.Hours) == 0 || slices.ContainsFunc(p.Hours, func(h hours.Hours) bool { return h.String() == "" }) {
		return errors.New("hours are empty; name those it allows, or leave them out")
	}
	if len(p.Hours) > maxHours {
		return fmt.Errorf("%d hours, at most %d", len(p.Hours), maxHours)
	}
	if l := p.LeaseMinutes; l != nil && (*l < 1 || *l > int(maxLease.Minutes())) {
		return fmt.Errorf("a lease of %d minutes; name 1 to %d", *l, int(maxLease.Minutes()))
	}
	if l := p.SessionMinutes; l != nil && (*l < 1 || *l > maxSession) {
		return fmt.Errorf("a session of %d minutes; name 1 to %d", *l, maxSession)
	}
	if l := p.PreviewSeconds; l != nil && (*l < minPreview || *l > maxSilent) {
		return fmt.Errorf("a preview each %d seconds; name %d to %d", *l, minPreview, maxSilent)
	}
	if p.Scopes != nil && len(p.Scopes) == 0 && p.Organization == "" || slices.Contains(p.Scopes, 0) {
		return errors.New("scopes are empty; name what sessions may do, or leave them out")
	}
	if len(p.Scopes) > maxScopes {
		return fmt.Errorf("%d scopes, at most %d", len(p.Scopes), maxScopes)
	}
	return nil
}

// Check reports what could not be kept of any of s.
func (s Set) Check() error {
	for _, p := range s {
		if err := p.check(); err != nil {
			return err
		}
	}
	if len(s.pins()) > 0 && len(s.RelayHosts()) == 0 {
		return errors.New("the command line and this computer's policy pin relay hosts that have none in common")
	}
	return nil
}

// Encode is s as Decode reads it: for the process that serves a desktop.
func (s Set) Encode() (string, error) {
	if len(s) == 0 {
		return "", nil
	}
	b, err := json.Marshal(s)
	return string(b), err
}

// Decode reads what Encode wrote; the empty text is the empty Set.
func Decode(text string) (Set, error) {
	if text == "" {
		return nil, nil
	}
	var s Set
	if err := parse([]byte(text), &s); err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	return s, s.Check()
}

// whose is p as the subject of a sentence.
func (p Policy) whose() string {
	if p.Organization == "" {
		return "this computer's own policy"
	}
	return "the policy of " + p.Organization
}

// forbids reports whether sessions may not have a scope.
func (p Policy) forbids(s orielv1.Scope) bool {
	return s == orielv1.Scope_SCOPE_CONTROL && (p.ViewOnly || p.Consent) || p.Scopes != nil && !slices.Contains(p.Scopes, Scope(s))
}

// Forbids is why no session has that scope, in a sentence; empty: who is granted it may.
func (s Set) Forbids(scope orielv1.Scope) string {
	i := slices.IndexFunc(s, func(p Policy) bool { return p.forbids(scope) })
	if i < 0 {
		return ""
	}
	p := s[i]
	switch onlySeen := p.ViewOnly || slices.Contains(p.Scopes, Scope(orielv1.Scope_SCOPE_VIEW)); {
	case scope != orielv1.Scope_SCOPE_CONTROL:
		return fmt.Sprintf("%s does not let sessions with it do this (%s)", p.whose(), orielv1.Word(scope))
	case p.Consent && !onlySeen:
		return p.whose() + " allows no control without consent, and this agent cannot ask for it yet; watch only"
	case p.Organization != "":
		return p.whose() + " lets this computer be watched only"
	}
	return p.whose() + " lets it be watched only"
}

// NoControl is Forbids of control.
func (s Set) NoControl() string { return s.Forbids(orielv1.Scope_SCOPE_CONTROL) }

// Refuses is why there is no session with those scopes at all, in a sentence: one that
// would see the screen may not, or nothing is left of it.
func (s Set) Refuses(scopes []orielv1.Scope) string {
	why := ""
	left := len(scopes) == 0
	for _, scope := range scopes {
		switch not := s.Forbids(scope); {
		case not == "":
			left = true
		case scope == orielv1.Scope_SCOPE_VIEW:
			return not
		default:
			why = not
		}
	}
	if left {
		return ""
	}
	return why
}

// Closed is why there is no session at that time of this machine's, in a
// sentence; empty: there may be one.
func (s Set) Closed(now time.Time) string {
	for _, p := range s {
		if len(p.Hours) == 0 || slices.ContainsFunc(p.Hours, func(h hours.Hours) bool { return h.Has(now) }) {
			continue
		}
		var all []string
		for _, h := range p.Hours {
			all = append(all, h.String())
		}
		return fmt.Sprintf("%s allows sessions %s only; it is %s there", p.whose(), strings.Join(all, ", "), now.Format("Mon 15:04"))
	}
	return ""
}

// Timed reports whether Closed changes with the time.
func (s Set) Timed() bool {
	return slices.ContainsFunc(s, func(p Policy) bool { return len(p.Hours) > 0 })
}

// Previews reports whether pictures for the list may be sent at that time.
func (s Set) Previews(now time.Time) bool {
	return s.Closed(now) == "" && !slices.ContainsFunc(s, func(p Policy) bool { return p.Previews != nil && !*p.Previews })
}

// PreviewSeconds are between two previews where the relay asks for that many; 0: none.
func (s Set) PreviewSeconds(asked uint32) uint32 {
	for _, p := range s {
		if p.PreviewSeconds != nil && asked > 0 {
			asked = max(asked, uint32(*p.PreviewSeconds))
		}
	}
	return asked
}

// Longest is how long a session may run, and why not longer; 0: nothing says so.
func (s Set) Longest() (d time.Duration, why string) {
	for _, p := range s {
		if p.SessionMinutes == nil {
			continue
		}
		if own := time.Duration(*p.SessionMinutes) * time.Minute; d == 0 || own < d {
			d, why = own, fmt.Sprintf("%s ends sessions after %d minutes; open another one", p.whose(), *p.SessionMinutes)
		}
	}
	return d, why
}

// KeepsIdentity reports whether a relay may not ask for a new identity.
func (s Set) KeepsIdentity() bool {
	return slices.ContainsFunc(s, func(p Policy) bool { return p.KeepIdentity })
}

// Lease is how long a session may run without a renewal, where its grant says
// granted; 0: nothing says so.
func (s Set) Lease(granted time.Duration) time.Duration {
	granted = min(granted, maxLease)
	for _, p := range s {
		if p.LeaseMinutes == nil {
			continue
		}
		if own := time.Duration(*p.LeaseMinutes) * time.Minute; granted <= 0 || own < granted {
			granted = own
		}
	}
	return max(0, granted)
}

// String is what s forbids, in a line for a person.
func (s Set) String() string {
	var all []string
	if why := s.NoControl(); why != "" {
		all = append(all, "no control")
	}
	if slices.ContainsFunc(s, func(p Policy) bool { return p.Previews != nil && !*p.Previews }) {
		all = append(all, "no previews")
	}
	if hosts := s.RelayHosts(); len(hosts) > 0 {
		all = append(all, "relays only on "+strings.Join(hosts, ", "))
	}
	if s.KeepsIdentity() {
		all = append(all, "no new identity for a relay")
	}
	if own := s.Lease(0); own > 0 {
		all = append(all, fmt.Sprintf("sessions end %d min after the relay's last word", int(own.Minutes())))
	}
	if longest, _ := s.Longest(); longest > 0 {
		all = append(all, fmt.Sprintf("sessions of at most %d min", int(longest.Minutes())))
	}
	if every := s.PreviewSeconds(1); every > 1 {
		all = append(all, fmt.Sprintf("a preview each %d s at most", every))
	}
	for _, p := range s {
		for _, h := range p.Hours {
			all = append(all, "sessions "+h.String())
		}
		if p.Scopes != nil {
			var scopes []orielv1.Scope
			for _, scope := range p.Scopes {
				scopes = append(scopes, orielv1.Scope(scope))
			}
			all = append(all, strings.TrimSpace("sessions may do no more than: "+orielv1.Words(scopes)))
		}
	}
	if len(all) == 0 {
		return "nothing is forbidden beyond what every agent refuses"
	}
	return strings.Join(all, "; ")
}

// pins are the lists of relay hosts that hold.
func (s Set) pins() [][]string {
	var pins [][]string
	for _, p := range s {
		if len(p.RelayHosts) > 0 {
			pins = append(pins, p.RelayHosts)
		}
	}
	return pins
}

// RelayHosts are those that every list has; none where no list pins any.
func (s Set) RelayHosts() []string {
	var hosts []string
	for i, pins := range s.pins() {
		var list []string
		for _, h := range pins {
			if h = identity.Host(h); i == 0 || slices.Contains(hosts, h) {
				list = append(list, h)
			}
		}
		hosts = list
	}
	return hosts
}

// ICEHosts are the hosts that may be asked besides the relay's own.
func (s Set) ICEHosts() []string {
	var hosts []string
	for _, p := range s {
		hosts = append(hosts, p.ICEHosts...)
	}
	return hosts
}
