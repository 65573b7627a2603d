// Command oriel-relay is the server of Oriel: it authenticates, introduces and
// remembers. See oriel-relay --help, and package config for the settings.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"oriel/relay/internal/api"
	"oriel/relay/internal/config"
)

// Set by the linker (-X main.version=…).
var version = "0.0.0-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run does what args say and returns the exit code: 0, 1 for a failure, 2 for
// settings that are wrong.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	command, _, err := config.Parse(args, stdout, stderr)
	if errors.Is(err, config.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "oriel-relay:", err)
		return 2
	}
	switch command {
	case config.Version:
		_, err = fmt.Fprintln(stdout, "oriel-relay", version)
	case config.OpenAPI:
		err = openAPI(stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "oriel-relay:", err)
		return 1
	}
	return 0
}

// openAPI prints the description of the REST API. Its version is the API's,
// not the program's, so that a release changes nothing in it.
func openAPI(w io.Writer) error {
	text, err := api.New(api.Options{Version: "1"}).YAML()
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}
