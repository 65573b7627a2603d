package daemon

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/kardianos/service"
)

// DefaultName is the service's name in the operating system.
const DefaultName = "oriel-agent"

var (
	// ErrInstalled: there is a service of that name already.
	ErrInstalled = errors.New("the service is installed already")
	// ErrNotInstalled: there is none.
	ErrNotInstalled = errors.New("the service is not installed")
	// ErrPermission: only root or an administrator may do that.
	ErrPermission = errors.New("this needs administrator rights")
)

// State of a service.
type State string

// The states a service can be in.
const (
	Running State = "running"
	Stopped State = "stopped"
	Missing State = "not installed"
)

//go:embed oriel-agent.init
var sysvScript string

// Config of a Service.
type Config struct {
	Name  string   // DefaultName when empty
	Data  string   // data directory, absolute; only to install
	Flags []string // for the program when the system starts it
}

// arguments are what the system starts the program with.
func (c Config) arguments() []string {
	args := []string{"service"}
	if c.Name != DefaultName {
		args = append(args, "--name", c.Name)
	}
	return append(append(args, "--data", c.Data), c.Flags...)
}

// Service is the agent in the hands of the operating system.
type Service struct {
	c       Config
	program *program
	service service.Service
	binary  string // where the installed program is
	unit    string // for systemd
}

// NewService describes the service. run is the agent; it must return when its
// context is done. It may be nil for a Service that is never Run.
func NewService(c Config, run func(context.Context) error) (*Service, error) {
	if c.Name == "" {
		c.Name = DefaultName
	}
	binary, err := installedPath(c.Name)
	if err != nil {
		return nil, err
	}
	args := c.arguments()
	unit := systemdUnit(binary, c.Data, args)
	p := &program{run: run}
	s, err := service.New(p, &service.Config{
		Name:        c.Name,
		DisplayName: "Oriel agent",
		Description: "Lets people you trust see and control this computer through your own Oriel relay.",
		Executable:  binary,
		Arguments:   args,
		Option: service.KeyValue{
			"SystemdScript": unit,
			"SysvScript":    sysvScript,
			"RunWait":       p.wait,
			"KeepAlive":     true,
			"RunAtLoad":     true,
			"OnFailure":     "restart",
		},
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the service: %w", err)
	}
	return &Service{c: c, program: p, service: packagedOr(s, c.Name), binary: binary, unit: unit}, nil
}

// Install puts the program into its place and registers the service, which
// then starts with the system. Status must have been Missing, before anything
// was written to the data directory. Errors: ErrPermission.
func (s *Service) Install() error {
	if !privileged() {
		return ErrPermission
	}
	if err := place(s.binary); err != nil {
		return fmt.Errorf("install the program: %w", err)
	}
	if p, ok := s.service.(packaged); ok && !p.is(s.unit) {
		s.service = p.Service
	}
	if err := s.service.Install(); err != nil {
		s.remove()
		return fmt.Errorf("install the service: %w", err)
	}
	return nil
}

// Uninstall stops the service and removes it and its program. The data stay.
// Errors: ErrNotInstalled, ErrPermission.
func (s *Service) Uninstall() error {
	if !privileged() {
		return ErrPermission
	}
	state, err := s.Status()
	if err == nil && state == Missing {
		return ErrNotInstalled
	}
	if state == Running {
		if err := s.Stop(); err != nil {
			return err
		}
	}
	if err := s.service.Uninstall(); err != nil {
		return fmt.Errorf("remove the service: %w", err)
	}
	removeLinks(s.c.Name)
	return s.remove()
}

// Start starts the installed service. Errors: ErrNotInstalled, ErrPermission.
func (s *Service) Start() error { return s.control("start", s.service.Start) }

// Stop stops it. Errors: ErrNotInstalled, ErrPermission.
func (s *Service) Stop() error { return s.control("stop", s.service.Stop) }

func (s *Service) control(what string, do func() error) error {
	if state, err := s.Status(); err == nil && state == Missing {
		return ErrNotInstalled
	}
	if !privileged() {
		return ErrPermission
	}
	if err := do(); err != nil {
		return fmt.Errorf("%s the service: %w", what, err)
	}
	return nil
}

// Status asks the operating system.
func (s *Service) Status() (State, error) {
	status, err := s.service.Status()
	switch {
	case errors.Is(err, service.ErrNotInstalled):
		return Missing, nil
	case err != nil:
		return statusOf(s.c.Name, err)
	case status == service.StatusRunning:
		return Running, nil
	}
	return Stopped, nil
}

// Binary is where the service's program is, or will be.
func (s *Service) Binary() string { return s.binary }

// Platform names what runs services on this system: "linux-systemd", "unix-systemv".
func (s *Service) Platform() string { return s.service.Platform() }

// Run runs the agent as the operating system's service: until it is told to
// stop, or the agent ends by itself. It is called by the program that the
// service starts.
func (s *Service) Run() error {
	if err := s.service.Run(); err != nil {
		return err
	}
	return s.program.result
}

// remove deletes the program, if it was Install that put it there.
func (s *Service) remove() error {
	if filepath.Base(filepath.Dir(s.binary)) != s.c.Name {
		return nil
	}
	if err := os.Remove(s.binary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the program: %w", err)
	}
	_ = os.Remove(filepath.Dir(s.binary)) // only when empty
	return nil
}

// program is what kardianos/service calls.
type program struct {
	run    func(context.Context) error
	cancel context.CancelFunc
	done   chan struct{}
	result error // set before done is closed
}

func (p *program) Start(service.Service) error {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel, p.done = cancel, make(chan struct{})
	go func() {
		defer close(p.done)
		p.result = p.run(ctx)
	}()
	return nil
}

func (p *program) Stop(service.Service) error {
	p.cancel()
	<-p.done
	return nil
}

// wait returns when the system says stop, or when the agent has ended.
func (p *program) wait() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(stop)
	select {
	case <-stop:
	case <-p.done:
	}
}

// installedPath is where the service's program belongs: where it is, when only
// administrators can write there, else a folder of its own.
func installedPath(name string) (string, error) {
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	if isSystemDir(filepath.Dir(exe)) {
		return exe, nil
	}
	return filepath.Join(programDir(name), "oriel-agent"+filepath.Ext(exe)), nil
}

// place copies this program to path, unless it is there.
func place(path string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if same, err := filepath.EvalSymlinks(exe); err == nil && same == path {
		return nil
	}
	in, err := os.Open(exe)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Chmod(0o755), out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), path)
	}
	if err != nil {
		os.Remove(out.Name())
	}
	return err
}

// exitCode is the code with which a control command ended, -1 for others.
func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}
