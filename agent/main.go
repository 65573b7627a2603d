// Command oriel-agent runs on the computer to be seen and controlled. It keeps
// one connection to an Oriel relay, says what the computer is and shows, and
// lets in whom the relay grants a session, checking every grant itself.
//
//	oriel-agent run --relay URL --token T     connect, here and now, until Ctrl-C
//	oriel-agent install --relay URL --token T  the same as a service, from now on
//	oriel-agent doctor                        what works on this computer and what does not
//	oriel-agent identity                      which keys this computer has had; takes one back
//
// The first connection needs an enrollment token; afterwards the machine's key
// is enough. Flags may be given as environment variables as well (ORIEL_RELAY,
// ORIEL_TOKEN, …), which keeps a token off the list of processes. What the relay
// may not go beyond is said by flags and by policy.json in the data directory
// (package policy); an agent that cannot read that does not start.
//
// Exit codes:
//
//	0  done, or stopped as asked
//	1  something failed; one line on standard error says what
//	2  wrong usage
//	3  status: the service is stopped or not installed
//	4  the relay refuses this computer (wrong or used-up token, another relay's token)
//	5  another agent runs on the same data directory
//	6  administrator rights are needed
//
// How many processors there are is looked up once: the runtime's own look each second wakes an
// agent with nothing to do.
//
//go:debug updatemaxprocs=0
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"oriel/agent/internal/daemon"
	"oriel/agent/internal/encode"
	"oriel/agent/internal/identity"
	"oriel/agent/internal/link"
	"oriel/protocol/address"
	"oriel/protocol/trust"
)

// version is set by the linker (-X main.version=…).
var version = "0.0.0-dev"

// Exit codes, as documented above.
const (
	exitFailed     = 1
	exitUsage      = 2
	exitStopped    = 3
	exitRefused    = 4
	exitInUse      = 5
	exitPermission = 6
)

type cli struct {
	Run       runCommand       `cmd:"" help:"Connect to the relay and serve this computer until Ctrl-C."`
	Install   installCommand   `cmd:"" help:"Enroll this computer and run the agent as a service from now on."`
	Uninstall uninstallCommand `cmd:"" help:"Stop and remove the service."`
	Start     startCommand     `cmd:"" help:"Start the installed service."`
	Stop      stopCommand      `cmd:"" help:"Stop the service."`
	Status    statusCommand    `cmd:"" help:"Say whether the service runs and to which relay it belongs."`
	Doctor    doctorCommand    `cmd:"" help:"Check data, relay, display and codecs."`
	Identity  identityCommand  `cmd:"" help:"List the identities that this computer had, and take one back."`
	Version   versionCommand   `cmd:"" help:"Print the version."`
	Service   serviceCommand   `cmd:"" hidden:"" help:"Run as the operating system's service; it calls this."`
	Helper    helperCommand    `cmd:"" hidden:"" help:"Serve one desktop for the service, which calls this."`

	LogLevel slog.Level `help:"Least level to log: debug, info, warn, error." default:"info" env:"ORIEL_LOG_LEVEL"`
}

func main() {
	os.Exit(start(os.Args[1:]))
}

// start is the program; it returns its exit code.
func start(args []string) int {
	var c cli
	parser, err := kong.New(&c, kong.Name("oriel-agent"), kong.UsageOnError(),
		kong.Description("The part of Oriel that runs on the computer to be seen and controlled."))
	if err != nil {
		return fail(err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "oriel-agent: %v (see oriel-agent --help)\n", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command.BindTo(ctx, (*context.Context)(nil))
	if err := command.Run(logger(c.LogLevel)); err != nil {
		return fail(err)
	}
	return 0
}

// fail says what went wrong in one line, and gives the exit code for it.
func fail(err error) int {
	var stopped stoppedError
	if errors.As(err, &stopped) {
		return exitStopped // has been said
	}
	fmt.Fprintln(os.Stderr, "oriel-agent: "+strings.ReplaceAll(err.Error(), "\n", "; "))
	var usage usageError
	for _, c := range []struct {
		is   bool
		code int
	}{
		{errors.As(err, &usage), exitUsage},
		{errors.Is(err, trust.ErrToken) || errors.Is(err, trust.ErrShortToken), exitUsage},
		{errors.Is(err, address.ErrAddress) || errors.Is(err, identity.ErrExposed), exitUsage},
		{errors.Is(err, link.ErrRefused), exitRefused},
		{errors.Is(err, identity.ErrInUse), exitInUse},
		{errors.Is(err, daemon.ErrPermission), exitPermission},
	} {
		if c.is {
			return c.code
		}
	}
	return exitFailed
}

// usageError is a fault in how the program was called.
type usageError string

func (e usageError) Error() string { return string(e) }

// stoppedError ends a status that found nothing running.
type stoppedError struct{}

func (stoppedError) Error() string { return "not running" }

// logger writes to standard error. The journal puts its own time to each line.
func logger(level slog.Level) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if os.Getenv("JOURNAL_STREAM") != "" {
		o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

type versionCommand struct{}

func (versionCommand) Run() error {
	fmt.Printf("oriel-agent %s %s/%s %s\n", version, runtime.GOOS, runtime.GOARCH, runtime.Version())
	if libraries := encode.Libraries(); libraries != "" {
		fmt.Println(libraries)
	}
	return nil
}
