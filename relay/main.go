// Command oriel-relay is the server of Oriel: it authenticates, introduces and
// remembers. See oriel-relay --help, and package config for the settings.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"oriel/console"
	"oriel/protocol/trust"
	"oriel/relay/internal/access"
	"oriel/relay/internal/api"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/backup"
	"oriel/relay/internal/config"
	"oriel/relay/internal/doctor"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/node"
	"oriel/relay/internal/policy"
	"oriel/relay/internal/seal"
	"oriel/relay/internal/store"
)

// Set by the linker (-X main.version=…).
var version = "0.0.0-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run does what args say and returns the exit code: 0, 1 for a failure, 2 for
// settings that are wrong.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	command, c, err := config.Parse(args, stdout, stderr)
	switch {
	case errors.Is(err, config.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "oriel-relay:", err)
		return 2
	}
	switch command {
	case config.Serve:
		err = serve(ctx, c, stdout, stderr)
	case config.OwnerLink:
		err = ownerLink(ctx, c, stdout, stderr)
	case config.Recover:
		err = recovery(ctx, c, stdout, stderr)
	case config.NewToken:
		err = newToken(ctx, c, stdout)
	case config.Backup:
		if err = node.CheckState(c); err == nil {
			err = backup.Write(ctx, c, c.File)
		}
	case config.Restore:
		err = restore(ctx, c, stderr)
	case config.KeySuccession:
		err = succession(ctx, c, stdout, stderr)
	case config.KeyRotate:
		err = rotate(ctx, c, os.Stdin, stderr)
	case config.AuditVerify:
		sound, failed := verifyAudit(ctx, c, stdout)
		if err = failed; err == nil && !sound {
			return 1
		}
	case config.AuditExport:
		err = exportAudit(ctx, c, stdout)
	case config.Doctor:
		if !doctor.Examine(ctx, c, stdout) {
			return 1
		}
	case config.Version:
		_, err = fmt.Fprintln(stdout, "oriel-relay", version)
	case config.OpenAPI:
		err = openAPI(stdout)
	default:
		err = administer(ctx, command, c, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "oriel-relay:", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, c *config.Config, stdout, stderr io.Writer) error {
	log := logger(c, stderr)
	files, err := console.Files()
	if err != nil {
		log.Warn("the relay runs without its console", "error", err)
	}
	n, err := node.New(ctx, c, node.Options{Version: version, Console: files, Log: log})
	if err != nil {
		return unlessStopped(ctx, err)
	}
	if err := greet(ctx, n, stdout); err != nil {
		return errors.Join(unlessStopped(ctx, err), n.Close())
	}
	return errors.Join(n.Run(ctx), n.Close())
}

// unlessStopped is err, but nil where somebody stopped the relay while it was
// starting: a service manager would call that a failure.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// greet says where the relay is, and how to become its owner. The link goes to
// standard output only: it is a secret and no log line.
func greet(ctx context.Context, n *node.Node, w io.Writer) error {
	if _, err := fmt.Fprintf(w, "Oriel relay %s: %s\n", version, n.URL()); err != nil {
		return err
	}
	link, err := n.OwnerLink(ctx)
	if errors.Is(err, access.ErrOwnerExists) {
		return nil
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n  %s\n", ownerHint, link)
	}
	return err
}

const ownerHint = "This relay has no owner yet. Open this link to become it (good once, for 24 hours):"

// openPeople opens what the commands beside a relay need of it; one that runs may
// go on running.
func openPeople(ctx context.Context, c *config.Config) (*store.Store, *access.Access, error) {
	if err := node.MakeData(c); err != nil {
		return nil, nil, err
	}
	s, err := store.Open(ctx, c.Database, store.Options{})
	if err != nil {
		return nil, nil, err
	}
	if _, err := node.Unseal(ctx, s, c); err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	a, err := access.New(ctx, s, access.Options{})
	if err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return s, a, nil
}

// ownerLink prints a new link, alone on standard output.
func ownerLink(ctx context.Context, c *config.Config, stdout, stderr io.Writer) error {
	s, a, err := openPeople(ctx, c)
	if err != nil {
		return err
	}
	defer s.Close()
	link, err := node.OwnerLink(ctx, a, node.PublicURL(c, c.Listen))
	if err != nil {
		return err
	}
	fmt.Fprintln(stderr, ownerHint)
	_, err = fmt.Fprintln(stdout, link)
	return err
}

// recovery prints a link to a new password, alone on standard output. Whoever
// may read the database may do that, so that it is said where they can see it.
func recovery(ctx context.Context, c *config.Config, stdout, stderr io.Writer) error {
	s, a, err := openPeople(ctx, c)
	if err != nil {
		return err
	}
	defer s.Close()
	link, err := node.RecoveryLink(ctx, a, node.PublicURL(c, c.Listen))
	if err != nil {
		return err
	}
	logger(c, stderr).Warn("a link to a new password for the owner was made on the command line", "hours", access.RecoveryTokenLifetime.Hours())
	fmt.Fprintln(stderr, recoveryHint)
	_, err = fmt.Fprintln(stdout, link)
	return errors.Join(err, networksHint(ctx, s, stderr))
}

// networksHint says where the owner may sign in from, unless that is everywhere.
func networksHint(ctx context.Context, s *store.Store, w io.Writer) error {
	p, err := policies(s).Get(ctx, store.FirstOrganization, policy.Origin{Kind: store.ObjectOrganization})
	if err != nil || len(p.Settings.AllowedAddresses) == 0 {
		return err
	}
	o, err := s.Organizations().Get(ctx, store.FirstOrganization)
	if err == nil {
		_, err = fmt.Fprintf(w, "Their organization lets its members in from these networks only: %s. If the owner is elsewhere, add their network first: oriel-relay org allow %s NETWORK\n",
			strings.Join(p.Settings.AllowedAddresses, " "), o.Code)
	}
	return err
}

const recoveryHint = "The owner sets a new password with this link (good once, for an hour, while the relay runs). Using it ends all their sign-ins:"

// newToken prints a new enrollment token, alone on standard output.
func newToken(ctx context.Context, c *config.Config, stdout io.Writer) error {
	s, a, err := openPeople(ctx, c)
	if err != nil {
		return err
	}
	defer s.Close()
	o, err := organization(ctx, s, c.Token.Organization)
	if err != nil {
		return err
	}
	text, _, err := fleet.New(fleet.Options{Store: s, RelayKey: a.PublicKey()}).
		CreateToken(ctx, o, audit.Command, c.Token.Note, c.Token.Uses, c.Token.Lifetime)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, text)
	return err
}

// organization is the one with that code; without a code, the first.
func organization(ctx context.Context, s *store.Store, code string) (store.OrganizationID, error) {
	if code == "" {
		return store.FirstOrganization, nil
	}
	return organizationByCode(ctx, s, code)
}

func organizationByCode(ctx context.Context, s *store.Store, code string) (store.OrganizationID, error) {
	o, err := s.Organizations().ByCode(ctx, code)
	if errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("this relay has no organization with the code %q; write the code of one that it has", code)
	}
	return o.ID, err
}

// succession prints a new succession key, alone on standard output.
func succession(ctx context.Context, c *config.Config, stdout, stderr io.Writer) error {
	s, a, err := openPeople(ctx, c)
	if err != nil {
		return err
	}
	defer s.Close()
	key, err := a.NewSuccession(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(stderr, "This is the succession key. It is shown this once: put it on paper or a stick, away from this relay, and restart the relay.")
	_, err = fmt.Fprintln(stdout, key)
	return err
}

// rotate changes the signing key of a relay that does not run.
func rotate(ctx context.Context, c *config.Config, stdin io.Reader, stderr io.Writer) (err error) {
	release, err := node.Hold(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	s, a, err := openPeople(ctx, c)
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Fprintln(stderr, "Type the succession key, and Enter:")
	line, err := bufio.NewReader(io.LimitReader(stdin, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the succession key: %w", err)
	}
	key, err := trust.ParseSuccession(line)
	if err == nil {
		err = a.Rotate(ctx, key)
	}
	if err == nil {
		fmt.Fprintln(stderr, "The relay has a new signing key. Start it again, make new enrollment tokens, and make a new back-up: "+
			"computers that follow refuse a relay that is restored from an older one.")
	}
	return err
}

// restore brings a back-up into a data folder where no relay runs.
func restore(ctx context.Context, c *config.Config, stderr io.Writer) error {
	release, err := node.Hold(c)
	if err != nil {
		return err
	}
	if err := errors.Join(backup.Restore(ctx, c, c.File), release()); err != nil {
		return err
	}
	if err := sayKey(ctx, c, stderr); err != nil {
		return err
	}
	_, place, err := seal.Find(c.SealingKey, c.Data)
	if errors.Is(err, seal.ErrNoKey) {
		fmt.Fprintf(stderr, "Before you start the relay, put its sealing key into %s.\n", place)
		return nil
	}
	return err
}

// sayKey says how old the signing key of a restored relay is, where it can have
// been changed since: the back-up cannot know.
func sayKey(ctx context.Context, c *config.Config, w io.Writer) error {
	s, err := store.Open(ctx, c.Database, store.Options{NoMigrate: true})
	if err != nil {
		return err
	}
	defer s.Close()
	since, changeable, err := access.SigningKeyOf(ctx, s)
	if err == nil && changeable {
		_, err = fmt.Fprintf(w, "The relay's signing key in this back-up is of %s. If it was changed after that, computers that followed refuse this relay: "+
			"restore a back-up that was made since, or enroll them again.\n", since.UTC().Format("2006-01-02 15:04 MST"))
	}
	return err
}

func logger(c *config.Config, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // checked by config
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
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
