package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"log/slog"
	"os"
	"strings"

	"oriel/agent/internal/channel"
	"oriel/agent/internal/daemon"
	"oriel/agent/internal/desktop"
	"oriel/agent/internal/identity"
	"oriel/agent/internal/node"
	"oriel/agent/internal/policy"
	"oriel/agent/internal/session"
	"oriel/protocol/hours"
	orielv1 "oriel/protocol/oriel/v1"
)

// demoSize is the demo desktop's picture.
var demoSize = image.Pt(1280, 800)

// dataFlags say where the agent's data are.
type dataFlags struct {
	Data string `help:"Data directory." placeholder:"DIR" env:"ORIEL_DATA"`
}

func (f dataFlags) dir() (string, error) {
	if f.Data != "" {
		return f.Data, nil
	}
	return identity.DefaultDir()
}

// relayFlags say which relay this computer belongs to.
type relayFlags struct {
	Relay []string `help:"Relay address, https://host[:port]; more than one in the order of preference." placeholder:"URL" env:"ORIEL_RELAY" sep:","`
	Token string   `help:"Enrollment token from the console's 'Add computer'; needed once." placeholder:"T" env:"ORIEL_TOKEN"`
	CA    string   `name:"ca" help:"Certificates (PEM) to trust besides the system's." placeholder:"FILE" type:"existingfile" env:"ORIEL_CA"`

	AllowHTTP bool `name:"allow-http" help:"Let --relay be http:// beyond this machine, where others on the network can read and change everything." env:"ORIEL_ALLOW_HTTP"`
}

func (f relayFlags) given() (identity.Given, error) {
	g := identity.Given{Relays: f.Relay, Token: f.Token, AllowHTTP: f.AllowHTTP}
	if f.CA != "" {
		b, err := os.ReadFile(f.CA)
		if err != nil {
			return g, fmt.Errorf("read the CA file: %w", err)
		}
		g.CA = string(b)
	}
	return g, nil
}

// desktopFlags say what is shown, and how.
type desktopFlags struct {
	Demo      bool `help:"Show a demo desktop drawn by the agent instead of the screen." env:"ORIEL_DEMO"`
	RelayOnly bool `help:"Send sessions through the relay only, never directly." env:"ORIEL_RELAY_ONLY"`
	Portable  bool `help:"Use the portable way to capture and type, where this system has a better one." hidden:""`
}

// limitFlags say what the relay may not go beyond, as policy.json in the data
// directory does; where the two differ, the stricter holds.
type limitFlags struct {
	ViewOnly   bool     `help:"Let nobody control this computer." env:"ORIEL_VIEW_ONLY"`
	Consent    bool     `help:"No control without consent of who sits at the computer; until this agent can ask for it, no control." env:"ORIEL_CONSENT"`
	NoPreviews bool     `help:"Send no pictures for the list of computers." env:"ORIEL_NO_PREVIEWS"`
	RelayHosts []string `help:"Connect to relays on these hosts only." placeholder:"HOST,…" env:"ORIEL_RELAY_HOSTS" sep:","`
	ICEHosts   []string `name:"ice-hosts" help:"Hosts that may be asked as STUN and TURN servers besides the relay's own." placeholder:"HOST,…" env:"ORIEL_ICE_HOSTS" sep:","`
	KeepID     bool     `name:"keep-identity" help:"Make no new identity when the relay asks for one." env:"ORIEL_KEEP_IDENTITY"`
	Hours      []string `help:"Allow sessions at these times of this computer's clock only, such as 'mon-fri 08:00-18:00'." placeholder:"HOURS;…" env:"ORIEL_HOURS" sep:";"`
	Lease      int      `name:"lease-minutes" help:"End a session that the relay has not renewed for so long; the relay may ask for less." placeholder:"N" env:"ORIEL_LEASE_MINUTES"`
}

// policy is what the flags say.
func (f limitFlags) policy() (policy.Policy, error) {
	p := policy.Policy{ViewOnly: f.ViewOnly, Consent: f.Consent, RelayHosts: f.RelayHosts, ICEHosts: f.ICEHosts, KeepIdentity: f.KeepID}
	if f.NoPreviews {
		p.Previews = new(bool)
	}
	if f.Lease != 0 {
		p.LeaseMinutes = &f.Lease
	}
	for _, text := range f.Hours {
		h, err := hours.Parse(text)
		if err != nil {
			return p, usageError(err.Error())
		}
		p.Hours = append(p.Hours, h)
	}
	if err := (policy.Set{p}).Check(); err != nil {
		return p, usageError(err.Error())
	}
	return p, nil
}

// args are the arguments that say the same to the service.
func (f limitFlags) args() []string {
	var args []string
	for _, f := range []struct {
		on   bool
		name string
	}{{f.ViewOnly, "--view-only"}, {f.Consent, "--consent"}, {f.NoPreviews, "--no-previews"}, {f.KeepID, "--keep-identity"}} {
		if f.on {
			args = append(args, f.name)
		}
	}
	for _, f := range []struct {
		list      []string
		name, sep string
	}{{f.RelayHosts, "--relay-hosts", ","}, {f.ICEHosts, "--ice-hosts", ","}, {f.Hours, "--hours", ";"}} {
		if len(f.list) > 0 {
			args = append(args, f.name+"="+strings.Join(f.list, f.sep))
		}
	}
	if f.Lease != 0 {
		args = append(args, fmt.Sprintf("--lease-minutes=%d", f.Lease))
	}
	return args
}

type runCommand struct {
	relayFlags
	dataFlags
	desktopFlags
	limitFlags
	Display string `help:"X display to show; $$DISPLAY when not given." placeholder:":N" env:"ORIEL_DISPLAY"`
}

func (c *runCommand) Run(ctx context.Context, log *slog.Logger) error {
	id, limits, err := open(c.dataFlags, c.relayFlags, c.limitFlags)
	if err != nil {
		return err
	}
	defer id.Close()
	host := hostOptions{desktopFlags: c.desktopFlags, policy: limits, display: c.Display, loopback: id.State().OnLoopback()}
	log.Info("this computer's policy", "policy", limits.String())
	o := nodeOptions(limits, log)
	if o.Kept, err = kept(id, log); err != nil {
		return err
	}
	o.Desktop = func(out node.Outlet) node.Desktop { return newHost(host, out, log) }
	return node.New(id, o).Run(ctx)
}

// open opens the data directory, takes over what the command line says, and
// reads what this computer allows.
func open(data dataFlags, relay relayFlags, limit limitFlags) (*identity.Identity, policy.Set, error) {
	dir, err := data.dir()
	if err != nil {
		return nil, nil, err
	}
	given, err := relay.given()
	if err != nil {
		return nil, nil, err
	}
	said, err := limit.policy()
	if err != nil {
		return nil, nil, err
	}
	id, err := identity.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	limits, err := configure(id, given, said)
	if err != nil {
		id.Close()
		return nil, nil, err
	}
	return id, limits, nil
}

func configure(id *identity.Identity, given identity.Given, said policy.Policy) (policy.Set, error) {
	file, err := policy.Load(id.Dir())
	if err != nil {
		return nil, err
	}
	limits := policy.Set{file, said}
	if err := limits.Check(); err != nil {
		return nil, err
	}
	next, err := id.State().With(given)
	if err == nil {
		_, err = next.Pin(limits.RelayHosts()) // before anything is saved
	}
	if err == nil {
		err = id.Configure(given)
	}
	if errors.Is(err, identity.ErrUnsaved) { // what it says holds all the same
		err = nil
	}
	if err != nil {
		return nil, err
	}
	if err := id.Pin(limits.RelayHosts()); err != nil {
		return nil, err
	}
	if limits.KeepsIdentity() {
		id.Keep()
	}
	state := id.State()
	switch {
	case len(state.Addresses()) == 0:
		return nil, usageError("which relay? give its address with --relay")
	case !state.Enrolled() && state.Token == "":
		return nil, usageError("this computer is not enrolled; give an enrollment token with --token (the console's 'Add computer' makes one)")
	}
	return limits, nil
}

// channels are the kinds of data channel that this agent has beside the session's own.
// Both what is announced to the relay and what is served come from here.
var channels []channel.Channel

// nodeOptions are those of every node; Desktop and Kept are to be added.
func nodeOptions(limits policy.Set, log *slog.Logger) node.Options {
	return node.Options{Version: version, Logger: log, Policy: limits, Capabilities: session.Capabilities(channels)}
}

// kept is the organization's policy that the relay sent last.
func kept(id *identity.Identity, log *slog.Logger) (policy.Relay, error) {
	r, err := policy.LoadRelay(id.Dir(), id.State().ComputerID)
	if err == nil && r.Version != 0 {
		log.Info("the organization's policy, kept from before", "version", r.Version, "policy", policy.Set{r.Policy}.String())
	}
	return r, err
}

// hostOptions are what a session.Host needs beyond its outlet.
type hostOptions struct {
	desktopFlags
	policy   policy.Set
	display  string
	found    bool // by the service; nobody has named the display
	loopback bool
}

func newHost(o hostOptions, out node.Outlet, log *slog.Logger) node.Desktop {
	return session.NewHost(o.session(out, log))
}

func (o hostOptions) session(out node.Outlet, log *slog.Logger) session.Options {
	return session.Options{
		Open: func(context.Context) (desktop.Desktop, error) {
			if o.Demo {
				return desktop.Demo(demoSize), nil
			}
			return desktop.Open(desktop.Options{Display: o.display, OwnServer: o.found, Portable: o.Portable, Logger: log})
		},
		Sign: out.Sign, Send: out.Send, Logger: log, AgentVersion: version,
		Loopback: o.loopback, RelayOnly: o.RelayOnly, Policy: o.policy, Channels: channels,
	}
}

type helperCommand struct {
	desktopFlags
	Loopback bool   `help:"Offer loopback candidates."`
	Policy   string `help:"What this computer allows, as the service has read it."`
}

func (c *helperCommand) Run(ctx context.Context, log *slog.Logger) error {
	limits, err := policy.Decode(c.Policy)
	if err != nil {
		return err
	}
	// Nothing but the protocol may get onto the pipe.
	pipe := os.Stdout
	os.Stdout = os.Stderr
	return daemon.Serve(ctx, os.Stdin, io.Writer(pipe), func(start *orielv1.HelperStart, out node.Outlet) node.Desktop {
		o := hostOptions{desktopFlags: c.desktopFlags, policy: limits, display: start.GetDisplay(), found: true, loopback: c.Loopback}
		o.Demo = start.GetDemo()
		return newHost(o, out, log)
	})
}

// args are the arguments that lead another process to the same host.
func (o hostOptions) args() ([]string, error) {
	limits, err := o.policy.Encode()
	if err != nil {
		return nil, fmt.Errorf("pass on the policy: %w", err)
	}
	args := []string{"helper"}
	for _, f := range []struct {
		on   bool
		name string
	}{{o.loopback, "--loopback"}, {o.RelayOnly, "--relay-only"}, {o.Portable, "--portable"}} {
		if f.on {
			args = append(args, f.name)
		}
	}
	return append(args, "--policy="+limits), nil
}
