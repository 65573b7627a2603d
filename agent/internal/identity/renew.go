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
// relay with this key. That is the one that is pinned, or that follows it, or where
// an earlier Renew got no further than the state, the one of the token that is there.
// Addresses, CA, policy and the succession key stay: the relay's word alone must not
// replace what says which key may follow its own. The key and the state that were
// there are kept as replaced-<hash of the key>.key and .json. Errors: trust.ErrToken,
// ErrReplaced, those of the file system.
func (i *Identity) Renew(relay ed25519.PublicKey, token string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	t, err := trust.ParseToken(token)
	if err != nil {
		return err
	}
	if pending, err := trust.ParseToken(i.state.Token); !t.For(relay) || !i.state.Enrolled() && (err != nil || !pending.For(relay)) {
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

// keepCopy copies state and key, the latter last: where it is, both are, from before
// the state was changed. mu is held.
func (i *Identity) keepCopy() error {
	had, err := filepath.Glob(filepath.Join(i.dir, "replaced-*.key"))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(i.key.Public().(ed25519.PublicKey))
	name := filepath.Join(i.dir, "replaced-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Lstat(name + ".key"); err == nil {
		return nil
	}
	if len(had) >= MaxReplaced {
		return ErrReplaced
	}
	for _, file := range [][2]string{{stateFile, name + ".json"}, {keyFile, name + ".key"}} {
		b, err := ReadFile(filepath.Join(i.dir, file[0]))
		if err == nil {
			err = writeFile(file[1], b)
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
