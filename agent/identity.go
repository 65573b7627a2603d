package main

import (
	"errors"
	"fmt"
	"io/fs"

	"oriel/agent/internal/identity"
	"oriel/protocol/trust"
)

// identityCommand undoes what a relay made this computer do with 'make a new
// identity' (identity.Identity.Renew).
type identityCommand struct {
	List    identityListCommand    `cmd:"" default:"withargs" help:"List the identity in use and those that it replaced."`
	Restore identityRestoreCommand `cmd:"" help:"Take a replaced identity back; the one in use is kept in its place. The agent must be stopped."`
}

type identityListCommand struct{ dataFlags }

func (c *identityListCommand) Run() error {
	dir, err := c.dir()
	if err != nil {
		return err
	}
	state, key, err := identity.Peek(dir)
	if err != nil {
		return err
	}
	replaced, err := identity.ListReplaced(dir)
	if err != nil {
		return err
	}
	row := func(mark string, r identity.Replaced) {
		of := "not enrolled"
		if r.State.Enrolled() {
			of = "computer " + r.State.ComputerID
			if all := r.State.Addresses(); len(all) > 0 {
				of += " of " + all[0]
			}
		}
		fmt.Printf("%-9s %s  %s  %s\n", mark, identity.Fingerprint(r.Key), trust.KeyText(r.Key), of)
	}
	row("in use", identity.Replaced{Key: key, State: state})
	for _, r := range replaced {
		row("replaced", r)
	}
	return nil
}

type identityRestoreCommand struct {
	dataFlags
	Fingerprint string `arg:"" help:"The first word of its line in 'oriel-agent identity', such as 0123456789abcdef."`
}

func (c *identityRestoreCommand) Run() error {
	dir, err := c.dir()
	if err != nil {
		return err
	}
	if _, _, err := identity.Peek(dir); err != nil { // not made by Open
		return err
	}
	id, err := identity.Open(dir)
	if err != nil {
		return err
	}
	defer id.Close()
	err = id.Restore(c.Fingerprint)
	if errors.Is(err, fs.ErrNotExist) {
		return usageError("no replaced identity has the fingerprint " + c.Fingerprint + "; see oriel-agent identity")
	}
	if err == nil {
		fmt.Println("Taken back. Start the agent; add keep_identity to policy.json if no relay may ask for another.")
	}
	return err
}
