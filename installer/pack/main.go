// Pack makes a release: for each program a .tar.gz, a .deb and an .rpm, and the
// manifest that lists them with size and SHA-256 (see package installer).
//
//	go run ./installer/pack -version 1.2.3 -agent build/oriel-agent -relay build/oriel-relay -out dist
//
// -agent and -relay may be given several times, once for each processor, which
// is read from the binary, as are the libraries it links to: they become the
// package's dependencies. The agent's unit is the one that the agent itself
// knows and compares with (-unit). The same binaries, version and SOURCE_DATE_EPOCH give
// the same bytes. This is nfpm's only door.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var r release
	flags := flag.NewFlagSet("pack", flag.ContinueOnError)
	flags.StringVar(&r.version, "version", "", "the release's `version`, without a v")
	flags.Func("agent", "an oriel-agent `binary`", func(path string) error { r.agents = append(r.agents, path); return nil })
	flags.Func("relay", "an oriel-relay `binary`", func(path string) error { r.relays = append(r.relays, path); return nil })
	flags.StringVar(&r.kind, "kind", "", "make one `kind` only: tar.gz, deb or rpm")
	flags.StringVar(&r.unit, "unit", "agent/internal/daemon/oriel-agent.service", "the systemd unit's `file` of the agent")
	flags.StringVar(&r.license, "license", "LICENSE", "the license's `file`")
	flags.StringVar(&r.out, "out", "dist", "the release's `folder`; what lies in it is replaced")
	if err := flags.Parse(args); err != nil {
		return err
	}
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH must be set to seconds since 1970 (git log -1 --format=%%ct), not %q", epoch)
	}
	r.at = time.Unix(seconds, 0).UTC()
	m, err := r.make()
	if err != nil {
		return err
	}
	for _, f := range m.Files {
		fmt.Printf("%s  %6.1f MB  %s\n", f.SHA256, float64(f.Size)/1e6, f.Name)
	}
	return nil
}
