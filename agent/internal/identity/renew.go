package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"oriel/protocol/trust"
)

// MaxReplaced is how many keys a directory keeps that this machine had before.
const MaxReplaced = 8

// ErrReplaced: this machine has got new identities too often.
var ErrReplaced = errors.New("this computer has made too many identities; remove replaced-* from its data directory")

// Renew makes a new machine key, to be enrolled with token, which must be of the
// relay that is trusted already. Addresses, CA and policy stay. The key and the
// state that were there are kept as replaced-<hash of the key>.key and .json.
// Errors: trust.ErrToken, ErrReplaced, those of the file system.
func (i *Identity) Renew(token string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	t, err := trust.ParseToken(token)
	if err != nil {
		return err
	}
	if !i.state.Enrolled() || !t.For(i.state.RelayKey) {
		return fmt.Errorf("%w: it is of another relay", trust.ErrToken)
	}
	if err := i.keepCopy(); err != nil {
		return err
	}
	next := i.state.clone()
	next.RelayKey, next.ComputerID, next.Membership, next.Token = nil, "", nil, t.String()
	// The state first: with the old key and no computer, the relay says the same again.
	if err := i.save(next); err != nil {
		return err
	}
	key, err := makeKey(filepath.Join(i.dir, keyFile))
	if err == nil {
		i.key = key
	}
	return err
}

// keepCopy copies key and state; mu is held.
func (i *Identity) keepCopy() error {
	had, err := filepath.Glob(filepath.Join(i.dir, "replaced-*.key"))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(i.key.Public().(ed25519.PublicKey))
	name := filepath.Join(i.dir, "replaced-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Lstat(name + ".key"); err != nil && len(had) >= MaxReplaced {
		return ErrReplaced
	}
	for from, to := range map[string]string{stateFile: name + ".json", keyFile: name + ".key"} {
		b, err := ReadFile(filepath.Join(i.dir, from))
		if err == nil {
			err = writeFile(to, b)
		}
		if err != nil {
			return fmt.Errorf("keep the old identity: %w", err)
		}
	}
	return nil
}

// newInstance is random, for one run of the agent.
func newInstance() []byte {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return b
}
