package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"oriel/protocol/trust"
)

// Fingerprint names a machine key in file names and for people: 16 hexadecimal digits.
func Fingerprint(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// MaxReplaced is how many keys a directory keeps that this machine had before.
const MaxReplaced = 8

// ErrReplaced: this machine has got new identities too often.
var ErrReplaced = errors.New("this computer has made too many identities; remove replaced-* from its data directory")

// ErrKept: a relay asked for a new identity, and this computer's policy keeps its own.
var ErrKept = errors.New("this computer's policy keeps its identity; if this machine is the copy of another, take keep_identity away for it")

// Keep refuses every Renew from now on, until Close.
func (i *Identity) Keep() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.kept = true
}

// Renew makes a new machine key, to be enrolled with token, which must be of the
// relay with this key. That is the one that is pinned, or that follows it, or where
// an earlier Renew got no further than the state, the one of the token that is there.
// Addresses, CA, policy and the succession key stay: the relay's word alone must not
// replace what says which key may follow its own. The key and the state that were
// there are kept as replaced-<hash of the key>.key and .json. Errors: ErrKept,
// trust.ErrToken, ErrReplaced, those of the file system.
func (i *Identity) Renew(relay ed25519.PublicKey, token string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.kept {
		return ErrKept
	}
	t, err := trust.ParseToken(token)
	if err != nil {
		return err
	}
	if pending, err := trust.ParseToken(i.state.Token); !t.For(relay) || !i.state.Enrolled() && (err != nil || !pending.For(relay)) {
		return fmt.Errorf("%w: it is of another relay", trust.ErrToken)
	}
	if err := i.keepCopy(""); err != nil {
		return err
	}
	next := i.state.clone()
	next.RelayKey, next.ComputerID, next.Token = nil, "", t.String()
	next.forgetMemberships()
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
// the state was changed. The copy named leaving does not count. mu is held.
func (i *Identity) keepCopy(leaving string) error {
	had, err := filepath.Glob(i.copyOf("*") + ".key")
	if err != nil {
		return err
	}
	had = slices.DeleteFunc(had, func(path string) bool { return leaving != "" && path == i.copyOf(leaving)+".key" })
	name := i.copyOf(Fingerprint(i.key.Public().(ed25519.PublicKey)))
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

// copyOf is the path, without its ending, of what was kept of the key with this fingerprint.
func (i *Identity) copyOf(fingerprint string) string {
	return filepath.Join(i.dir, "replaced-"+fingerprint)
}

// Replaced is an identity that this machine had.
type Replaced struct {
	Key   ed25519.PublicKey
	State State
}

// ListReplaced lists the identities that Renew and Restore kept in dir, in the order
// of their fingerprints; an agent may be running there. Errors: those of the file
// system, of a damaged copy.
func ListReplaced(dir string) ([]Replaced, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "replaced-*.key")) // sorted
	if err != nil {
		return nil, err
	}
	var all []Replaced
	for _, path := range paths {
		r, _, err := loadCopy(strings.TrimSuffix(path, ".key"))
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func loadCopy(name string) (Replaced, ed25519.PrivateKey, error) {
	key, err := loadKey(name + ".key")
	if err != nil {
		return Replaced{}, nil, err
	}
	state, err := loadState(name + ".json")
	return Replaced{key.Public().(ed25519.PublicKey), state}, key, err
}

// Restore takes back the identity with this fingerprint, key and state as they
// were, and keeps the present one in its place. Errors: fs.ErrNotExist where there
// is no such copy, ErrReplaced, those of the file system, of a damaged copy.
func (i *Identity) Restore(fingerprint string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	name := i.copyOf(fingerprint)
	if filepath.Base(fingerprint) != fingerprint {
		return fs.ErrNotExist
	}
	r, key, err := loadCopy(name)
	if err != nil {
		return err
	}
	if r.Key.Equal(i.key.Public()) {
		return nil
	}
	if err := i.keepCopy(fingerprint); err != nil {
		return err
	}
	// The key last, as in Renew: after a power cut between the two the copy is still there.
	if err := i.save(r.State); err != nil {
		return err
	}
	if err := saveKey(filepath.Join(i.dir, keyFile), key); err != nil {
		return err
	}
	i.key = key
	return errors.Join(os.Remove(name+".key"), os.Remove(name+".json"))
}

// newInstance is random, for one run of the agent.
func newInstance() []byte {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return b
}
