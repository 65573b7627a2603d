package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"oriel/agent/internal/daemon"
	"oriel/agent/internal/host"
	"oriel/agent/internal/identity"
	"oriel/agent/internal/link"
	"oriel/agent/internal/node"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// serviceFlags say which service is meant.
type serviceFlags struct {
	Name string `help:"Name of the service." default:"oriel-agent" hidden:""`
}

func (f serviceFlags) service(run func(context.Context) error) (*daemon.Service, error) {
	return daemon.NewService(daemon.Config{Name: f.Name}, run)
}

type installCommand struct {
	relayFlags
	dataFlags
	desktopFlags
	limitFlags
	serviceFlags
	NoStart bool `help:"Do not start the service now, only with the system."`
}

// enrollTime is how long an installation waits for the relay; the service goes
// on trying.
const enrollTime = 20 * time.Second

func (c *installCommand) Run(ctx context.Context, log *slog.Logger) error {
	if os.Geteuid() > 0 {
		return daemon.ErrPermission
	}
	dir, err := c.dir()
	if err == nil {
		dir, err = filepath.Abs(dir) // the service starts elsewhere
	}
	if err != nil {
		return err
	}
	config := daemon.Config{Name: c.Name, Data: dir}
	for _, f := range []struct {
		on   bool
		name string
	}{{c.Demo, "--demo"}, {c.RelayOnly, "--relay-only"}, {c.Portable, "--portable"}} {
		if f.on {
			config.Flags = append(config.Flags, f.name)
		}
	}
	config.Flags = append(config.Flags, c.limitFlags.args()...)
	s, err := daemon.NewService(config, nil)
	if err != nil {
		return err
	}
	if state, err := s.Status(); err == nil && state != daemon.Missing {
		return daemon.ErrInstalled
	}
	if err := c.enroll(ctx, log); err != nil {
		return err
	}
	if err := s.Install(); err != nil {
		return err
	}
	fmt.Printf("installed %s (%s), data in %s\n", s.Binary(), s.Platform(), dir)
	if c.NoStart {
		return nil
	}
	if err := s.Start(); err != nil {
		return err
	}
	fmt.Println("started")
	return nil
}

// enroll tries the relay once, so that a wrong token is known now. A relay
// that cannot be reached now is left to the service.
func (c *installCommand) enroll(ctx context.Context, log *slog.Logger) error {
	id, _, err := open(c.dataFlags, c.relayFlags, c.limitFlags)
	if err != nil {
		return err
	}
	defer id.Close()
	if _, err := id.Save(); err != nil { // which the service needs to find
		return err
	}
	if id.State().Enrolled() && c.Token == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, enrollTime)
	defer cancel()
	l := link.New(id, link.Options{Logger: log, Handle: func(*orielv1.ToAgent) {}, Hello: func() *orielv1.Hello {
		return &orielv1.Hello{AgentVersion: version, MachineId: host.MachineID(ctx), Summary: host.Summary(ctx),
			Status: &orielv1.Status{Display: orielv1.Status_DISPLAY_NONE, Detail: "the agent is being installed"}}
	}})
	err = l.Try(ctx)
	if errors.Is(err, link.ErrRefused) {
		return err
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "oriel-agent: %v; the service will go on trying\n", err)
	}
	_, err = id.Save()
	return err
}

type uninstallCommand struct {
	serviceFlags
	dataFlags
	Purge bool `help:"Delete the data directory as well: the machine's key and the enrollment."`
}

func (c *uninstallCommand) Run() error {
	s, err := c.service(nil)
	if err != nil {
		return err
	}
	if err := s.Uninstall(); err != nil {
		return err
	}
	fmt.Println("removed the service")
	if !c.Purge {
		return nil
	}
	dir, err := c.dir()
	if err != nil {
		return err
	}
	if err := identity.Remove(dir); err != nil {
		return err
	}
	fmt.Println("removed", dir)
	return nil
}

type startCommand struct{ serviceFlags }

func (c *startCommand) Run() error {
	s, err := c.service(nil)
	if err != nil {
		return err
	}
	return s.Start()
}

type stopCommand struct{ serviceFlags }

func (c *stopCommand) Run() error {
	s, err := c.service(nil)
	if err != nil {
		return err
	}
	return s.Stop()
}

type statusCommand struct {
	serviceFlags
	dataFlags
}

func (c *statusCommand) Run() error {
	s, err := c.service(nil)
	if err != nil {
		return err
	}
	state, err := s.Status()
	if err != nil {
		return fmt.Errorf("ask for the service: %w", err)
	}
	fmt.Println("service: ", state)
	if dir, err := c.dir(); err == nil {
		fmt.Println("enrolled:", enrollment(dir))
		if _, key, err := identity.Peek(dir); err == nil && key != nil {
			// What a viewer that warns of a changed key shows as well.
			fmt.Println("key:     ", trust.KeyText(key))
		}
	}
	if state != daemon.Running {
		return stoppedError{}
	}
	return nil
}

// enrollment says in a few words which relay the agent of dir belongs to.
func enrollment(dir string) string {
	state, _, err := identity.Peek(dir)
	switch {
	case errors.Is(err, identity.ErrNotFound):
		return "no"
	case err != nil:
		return "unknown: " + err.Error()
	case !state.Enrolled():
		return "no"
	}
	return "yes, computer " + state.ComputerID + " of " + state.Addresses()[0]
}

// serviceCommand is what the operating system starts.
type serviceCommand struct {
	serviceFlags
	dataFlags
	desktopFlags
	limitFlags
}

func (c *serviceCommand) Run(log *slog.Logger) error {
	s, err := c.service(func(ctx context.Context) error { return c.serve(ctx, log) })
	if err != nil {
		return err
	}
	return s.Run()
}

func (c *serviceCommand) serve(ctx context.Context, log *slog.Logger) error {
	id, limits, err := open(c.dataFlags, relayFlags{}, c.limitFlags)
	if err != nil {
		return err
	}
	defer id.Close()
	helper := hostOptions{desktopFlags: c.desktopFlags, policy: limits, loopback: id.State().OnLoopback()}
	args, err := helper.args()
	if err != nil {
		return err
	}
	command, err := daemon.SelfCommand(args...)
	if err != nil {
		return err
	}
	log.Info("this computer's policy", "policy", limits.String())
	o := nodeOptions(limits, log)
	if o.Kept, err = kept(id, log); err != nil {
		return err
	}
	o.KeepTrying = true
	o.Desktop = func(out node.Outlet) node.Desktop {
		return daemon.NewHelper(daemon.HelperOptions{Outlet: out, Command: command, Version: version, Demo: c.Demo, Logger: log})
	}
	return node.New(id, o).Run(ctx)
}
