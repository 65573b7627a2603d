package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"oriel/agent/internal/daemon"
	"oriel/agent/internal/desktop"
	"oriel/agent/internal/encode"
	"oriel/agent/internal/identity"
	"oriel/agent/internal/link"
	"oriel/agent/internal/policy"
	"oriel/protocol/address"
	"oriel/protocol/trust"
)

type doctorCommand struct {
	relayFlags
	dataFlags
	serviceFlags
	Display string `help:"X display to try; $$DISPLAY when not given." placeholder:":N" env:"ORIEL_DISPLAY"`
}

// finding is the result of one check.
type finding struct {
	what, text string
	bad        bool
}

func (c *doctorCommand) Run(ctx context.Context, log *slog.Logger) error {
	found := []finding{{"version", version, false}}
	key, state, data := c.data()
	limits, state := c.policy(state)
	found = append(found, data, c.key(), limits, c.kept(state), c.relay(ctx, key, state), c.enrolled(state), c.service(), c.display(), codecs())
	faults := 0
	for _, f := range found {
		mark := "ok  "
		if f.bad {
			mark = "BAD "
			faults++
		}
		fmt.Printf("%s %-10s %s\n", mark, f.what, strings.ReplaceAll(f.text, "\n", "; "))
	}
	if faults > 0 {
		return fmt.Errorf("%d of %d checks failed", faults, len(found))
	}
	return nil
}

// data reads the data directory without disturbing an agent that runs on it.
// What the command line gives replaces what is stored, for this look only.
func (c *doctorCommand) data() (ed25519.PublicKey, identity.State, finding) {
	dir, err := c.dir()
	if err != nil {
		return nil, identity.State{}, finding{"data", err.Error(), true}
	}
	state, key, err := identity.Peek(dir)
	f := finding{"data", dir, false}
	if err == nil { // not where others may write: what is there then is theirs
		if full := identity.CheckWrites(dir); errors.Is(full, identity.ErrDiskFull) {
			f = finding{"data", "the disk is full: nothing can be written in " + dir + "; make room on it", true}
		} else if full != nil {
			f = finding{"data", "what is written in " + dir + " is not there: " + full.Error(), true}
		}
	}
	if errors.Is(err, identity.ErrNotFound) {
		key, _, err = ed25519.GenerateKey(rand.Reader)
		f.text = dir + ": " + identity.ErrNotFound.Error()
	}
	if err != nil {
		return nil, state, finding{"data", err.Error(), true}
	}
	given, err := c.given()
	if err == nil {
		state, err = state.With(given)
	}
	if err != nil {
		return nil, state, finding{"data", err.Error(), true}
	}
	return key, state, f
}

// key is the machine key as the viewer shows it.
func (c *doctorCommand) key() finding {
	dir, err := c.dir()
	if err != nil {
		return finding{"key", err.Error(), true}
	}
	_, key, err := identity.Peek(dir)
	if errors.Is(err, identity.ErrNotFound) {
		return finding{"key", "made when the agent first runs", false}
	}
	if err != nil {
		return finding{"key", err.Error(), true}
	}
	return finding{"key", trust.KeyText(key) + " (what the console shows of this computer must be the same)", false}
}

// policy says what the file allows, and pins the state's addresses as it says.
// The flags of a service are shown by its command line, not here.
func (c *doctorCommand) policy(state identity.State) (finding, identity.State) {
	dir, err := c.dir()
	var p policy.Policy
	if err == nil {
		p, err = policy.Load(dir)
	}
	limits := policy.Set{p}
	if err == nil {
		state, err = state.Pin(limits.RelayHosts())
	}
	if err != nil {
		return finding{"policy", err.Error(), true}, state
	}
	return finding{"policy", limits.String(), false}, state
}

// kept says what the organization's policy forbids besides, and of when it is.
func (c *doctorCommand) kept(state identity.State) finding {
	dir, err := c.dir()
	var r policy.Relay
	if err == nil {
		r, err = policy.LoadRelay(dir, state.ComputerID)
	}
	switch {
	case err != nil:
		return finding{"from relay", err.Error(), true}
	case r.Version == 0:
		return finding{"from relay", "no policy; this computer's own holds alone", false}
	}
	return finding{"from relay", fmt.Sprintf("policy of %s, of %s: %s", r.Policy.Organization,
		time.UnixMilli(r.IssuedAt).Format(time.DateTime), policy.Set{r.Policy}), false}
}

func (c *doctorCommand) relay(ctx context.Context, key ed25519.PublicKey, state identity.State) finding {
	if key == nil {
		return finding{"relay", "not tried", true}
	}
	answers, err := link.Check(ctx, key, state)
	if err != nil {
		return finding{"relay", err.Error(), true}
	}
	text := answers + " answers and would take this computer in"
	if a, err := address.Parse(answers); err == nil && a.Exposed() {
		text += "; what is said there is not encrypted, use an https:// address"
	}
	return finding{"relay", text, false}
}

func (c *doctorCommand) enrolled(state identity.State) finding {
	switch {
	case state.Enrolled():
		return finding{"enrolled", "as computer " + state.ComputerID, false}
	case state.Token != "":
		return finding{"enrolled", "not yet; the token is used with the first connection", false}
	}
	return finding{"enrolled", "no; give an enrollment token with --token", true}
}

func (c *doctorCommand) service() finding {
	s, err := c.serviceFlags.service(nil)
	if err != nil {
		return finding{"service", err.Error(), true}
	}
	state, err := s.Status()
	if err != nil {
		return finding{"service", err.Error(), true}
	}
	text := string(state)
	if displays := daemon.FindDisplays(); len(displays) > 0 {
		text += "; it would show display " + displays[0].Name
	} else {
		text += "; it would find no display to show"
	}
	return finding{"service", text, false}
}

// display looks at the screen. A machine without one is fine.
func (c *doctorCommand) display() finding {
	d, err := desktop.Open(desktop.Options{Display: c.Display})
	if errors.Is(err, desktop.ErrNoDisplay) {
		return finding{"display", "none here (" + err.Error() + "); try --demo", false}
	}
	if err != nil {
		return finding{"display", err.Error(), true}
	}
	defer d.Close()
	size := d.Size()
	return finding{"display", fmt.Sprintf("%s, %d×%d", d.Name(), size.X, size.Y), false}
}

func codecs() finding {
	var names []string
	for _, c := range encode.Supported() {
		names = append(names, string(c))
	}
	if len(names) == 0 {
		return finding{"codecs", "none; this agent was built without them", true}
	}
	return finding{"codecs", strings.Join(names, ", "), false}
}
