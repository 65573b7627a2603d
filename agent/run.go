package main

import (
	"context"
	"fmt"
	"image"
	"io"
	"log/slog"
	"os"

	"oriel/agent/internal/daemon"
	"oriel/agent/internal/desktop"
	"oriel/agent/internal/identity"
	"oriel/agent/internal/node"
	"oriel/agent/internal/session"
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
}

func (f relayFlags) given() (identity.Given, error) {
	g := identity.Given{Relays: f.Relay, Token: f.Token}
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

// limitFlags say what the relay may not go beyond.
type limitFlags struct {
	ICEHosts []string `name:"ice-hosts" help:"Hosts that may be asked as STUN and TURN servers besides the relay's own." placeholder:"HOST,…" env:"ORIEL_ICE_HOSTS" sep:","`
}

type runCommand struct {
	relayFlags
	dataFlags
	desktopFlags
	limitFlags
	Display string `help:"X display to show; $$DISPLAY when not given." placeholder:":N" env:"ORIEL_DISPLAY"`
}

func (c *runCommand) Run(ctx context.Context, log *slog.Logger) error {
	id, err := open(c.dataFlags, c.relayFlags)
	if err != nil {
		return err
	}
	defer id.Close()
	host := hostOptions{desktopFlags: c.desktopFlags, display: c.Display, loopback: id.State().OnLoopback()}
	n := node.New(id, node.Options{Version: version, Logger: log, ICEHosts: c.ICEHosts, Desktop: func(out node.Outlet) node.Desktop {
		return newHost(host, out, log)
	}})
	return n.Run(ctx)
}

// open opens the data directory and takes over what the command line says.
func open(data dataFlags, relay relayFlags) (*identity.Identity, error) {
	dir, err := data.dir()
	if err != nil {
		return nil, err
	}
	given, err := relay.given()
	if err != nil {
		return nil, err
	}
	id, err := identity.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := id.Configure(given); err != nil {
		id.Close()
		return nil, err
	}
	state := id.State()
	switch {
	case len(state.Addresses()) == 0:
		err = usageError("which relay? give its address with --relay")
	case !state.Enrolled() && state.Token == "":
		err = usageError("this computer is not enrolled; give an enrollment token with --token (the console's 'Add computer' makes one)")
	}
	if err != nil {
		id.Close()
		return nil, err
	}
	return id, nil
}

// hostOptions are what a session.Host needs beyond its outlet.
type hostOptions struct {
	desktopFlags
	display  string
	found    bool // by the service; nobody has named the display
	loopback bool
}

func newHost(o hostOptions, out node.Outlet, log *slog.Logger) node.Desktop {
	return session.NewHost(session.Options{
		Open: func(context.Context) (desktop.Desktop, error) {
			if o.Demo {
				return desktop.Demo(demoSize), nil
			}
			return desktop.Open(desktop.Options{Display: o.display, OwnServer: o.found, Portable: o.Portable, Logger: log})
		},
		Sign: out.Sign, Send: out.Send, Logger: log, AgentVersion: version,
		Loopback: o.loopback, RelayOnly: o.RelayOnly,
	})
}

type helperCommand struct {
	desktopFlags
	Loopback bool `help:"Offer loopback candidates."`
}

func (c *helperCommand) Run(ctx context.Context, log *slog.Logger) error {
	// Nothing but the protocol may get onto the pipe.
	pipe := os.Stdout
	os.Stdout = os.Stderr
	return daemon.Serve(ctx, os.Stdin, io.Writer(pipe), func(start *orielv1.HelperStart, out node.Outlet) node.Desktop {
		o := hostOptions{desktopFlags: c.desktopFlags, display: start.GetDisplay(), found: true, loopback: c.Loopback}
		o.Demo = start.GetDemo()
		return newHost(o, out, log)
	})
}

// args are the arguments that lead another process to the same host.
func (o hostOptions) args() []string {
	args := []string{"helper"}
	for _, f := range []struct {
		on   bool
		name string
	}{{o.loopback, "--loopback"}, {o.RelayOnly, "--relay-only"}, {o.Portable, "--portable"}} {
		if f.on {
			args = append(args, f.name)
		}
	}
	return args
}
