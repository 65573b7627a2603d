// Package identity is who this agent is and whom it trusts: the machine's
// Ed25519 key, and what enrollment bound it to.
//
// Everything lies in one directory that belongs to the agent alone (0700):
//
//	machine.key   the private key (PKCS #8, PEM, 0600); made on first start, never leaves the machine
//	state.json    relay addresses, the pinned relay key, the computer's id, a token not yet used (0600)
//	policy.json   what this computer allows at most, written by a person (0600); may be missing
//	relay-policy.json  the organization's policy for it, as the relay sent it last (0600); may be missing
//	replaced-*    keys and states that this machine had before (see Renew and Restore)
//	lock          held while an agent runs, so that two never share one directory
//
// Files are written to a temporary name, synced and renamed, so that a crash
// leaves the old one or the new one. A key file that others may read, and what
// others may have put there, is refused: see package private, which says when.
//
// The relay's key is pinned at enrollment. The enrollment token carries its
// hash, so that even the first relay spoken to is the one that the operator
// meant. A token for another relay, given on this machine, replaces the pin, and
// so does the succession key that was pinned with it, by its signature.
//
// Addresses that the relay says come after those that a person gave, and never
// lower what those promise (State.MayLearn). A person's new address undoes them.
//
// What cannot be written (a full disk) holds until Close all the same: an agent
// that lost its connection for it could be mended by nobody. Save tries again.
package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"oriel/protocol/address"
	"oriel/protocol/private"
	"oriel/protocol/trust"
)

var (
	// ErrInUse: another agent runs on the directory.
	ErrInUse = errors.New("another agent is running on this data directory")
	// ErrUnsaved: a change holds, but is not on the disk yet.
	ErrUnsaved = errors.New("not saved yet")
	// ErrDiskFull: there is no room for what is to be written.
	ErrDiskFull = errors.New("the disk is full")
	// ErrExposed: a relay's address is http beyond this machine.
	ErrExposed = errors.New("not encrypted: whoever is on the way can read and change what this computer and the relay say; " +
		"give an https:// address, or say --allow-http if you trust that network")
	// ErrNotFound: Peek found no agent's directory there.
	ErrNotFound = errors.New("no agent has run here yet")
)

const (
	keyFile   = "machine.key"
	stateFile = "state.json"
	lockFile  = "lock"

	// PolicyFile is a person's, read by another package and removed with the rest.
	PolicyFile = "policy.json"
	// RelayPolicyFile holds the relay's newest policy, of the same package.
	RelayPolicyFile = "relay-policy.json"
)

// Identity is an open data directory. Its methods may be called from any goroutine.
type Identity struct {
	dir      string
	instance []byte
	lock     *os.File

	mu    sync.Mutex
	key   ed25519.PrivateKey // protected by mu
	state State              // protected by mu

	unsaved bool // protected by mu; state is not what the file says
	kept    bool // protected by mu; see Keep
}

// Open makes dir where it is missing, locks it, and loads or makes the key.
// Errors: ErrInUse, private.Error, those of the file system.
func Open(dir string) (*Identity, error) {
	if err := private.MakeFolder(dir); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := lockDir(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, err
	}
	i := &Identity{dir: dir, instance: newInstance(), lock: lock}
	if err := i.load(); err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// Peek reads the state and public key of a directory that an agent may be
// running on. Errors: ErrNotFound, private.Error, those of the file system.
func Peek(dir string) (State, ed25519.PublicKey, error) {
	err := private.CheckFolder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil, ErrNotFound
	}
	if err != nil {
		return State{}, nil, fmt.Errorf("data directory: %w", err)
	}
	key, err := loadKey(filepath.Join(dir, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil, ErrNotFound
	}
	if err != nil {
		return State{}, nil, err
	}
	state, err := loadState(filepath.Join(dir, stateFile))
	return state, key.Public().(ed25519.PublicKey), err
}

// Close unlocks the directory.
func (i *Identity) Close() error { return i.lock.Close() }

// Dir is the data directory.
func (i *Identity) Dir() string { return i.dir }

// Key is the machine's public key.
func (i *Identity) Key() ed25519.PublicKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.key.Public().(ed25519.PublicKey)
}

// Instance is random and of this run.
func (i *Identity) Instance() []byte { return i.instance }

// Sign is the machine key's trust.Signer.
func (i *Identity) Sign(msg []byte) ([]byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return ed25519.Sign(i.key, msg), nil
}

// State is a copy of the enrollment state.
func (i *Identity) State() State {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.state.clone()
}

// Pin is State.Pin, in force until Close; it is not saved.
func (i *Identity) Pin(hosts []string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	next, err := i.state.Pin(hosts)
	if err == nil {
		i.state = next
	}
	return err
}

// Given is what a person says on the command line or at installation.
type Given struct {
	Relays    []string // addresses, in order; none: as before
	Token     string   // enrollment token; empty: none
	CA        string   // PEM certificates to trust besides the system's; empty: as before
	AllowHTTP bool     // addresses may be http beyond this machine
}

// Configure takes g over (see State.With) and saves it. Errors: trust.ErrToken,
// ErrAddress, ErrUnsaved.
func (i *Identity) Configure(g Given) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	next, err := i.state.With(g)
	if err != nil {
		return err
	}
	return i.hold(next)
}

// Remove deletes the directory of an agent that does not run, and nothing but
// what an agent keeps there. Errors: ErrInUse, those of the file system.
func Remove(dir string) error {
	if err := private.CheckFolder(dir); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	lock, err := lockDir(filepath.Join(dir, lockFile))
	if err != nil {
		return err
	}
	names := []string{keyFile, stateFile, PolicyFile, RelayPolicyFile, lockFile}
	replaced, _ := filepath.Glob(filepath.Join(dir, "replaced-????????????????.*")) // no bad pattern
	for _, path := range replaced {
		names = append(names, filepath.Base(path))
	}
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			lock.Close()
			return fmt.Errorf("remove data: %w", err)
		}
	}
	lock.Close()
	if err := os.Remove(dir); err != nil {
		return fmt.Errorf("remove data directory: %w", err)
	}
	return nil
}

// Welcomed saves what an accepted Welcome says, of its addresses those that
// MayLearn lets pass. The token is used up by it. A succession key is pinned where
// none is; nil: none was told. Errors: ErrUnsaved.
func (i *Identity) Welcomed(relayKey, succession ed25519.PublicKey, computerID string, relays []string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	next := i.state.clone()
	if len(next.Succession) == 0 {
		next.Succession = bytes.Clone(succession)
	}
	next.RelayKey = bytes.Clone(relayKey)
	if next.ComputerID != computerID {
		next.forgetMemberships()
	}
	next.ComputerID = computerID
	next.Token = ""
	if len(relays) > 0 {
		next.Learned = nil
		for _, r := range relays[:min(len(relays), MaxRelays)] {
			if a, err := address.Parse(r); err == nil && next.MayLearn(a.String()) && !slices.Contains(next.Learned, a.String()) {
				next.Learned = append(next.Learned, a.String())
			}
		}
	}
	return i.hold(next)
}

// KeepMemberships saves the relay's words for this machine as the computer that it is,
// each in the place of the one that there was. Errors: ErrUnsaved.
func (i *Identity) KeepMemberships(words []trust.Membership) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	next := i.state.clone()
	for _, m := range words {
		if m.Organization == "" {
			next.Membership = bytes.Clone(m.Signature)
		} else {
			next.Organization, next.OrganizationMembership = m.Organization, bytes.Clone(m.Signature)
		}
	}
	return i.hold(next)
}

// Save writes what could not be written before; did is false when there is
// nothing of the kind. Errors: ErrUnsaved.
func (i *Identity) Save() (did bool, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.unsaved {
		return false, nil
	}
	return true, i.hold(i.state)
}

// hold has next hold from now on, and saves it if it is not what is saved. mu
// is held.
func (i *Identity) hold(next State) error {
	if next.equal(i.state) && !i.unsaved {
		return nil
	}
	if err := next.check(); err != nil {
		return err
	}
	if err := i.save(next); err != nil {
		i.state, i.unsaved = next, true
		return fmt.Errorf("%w: %w", ErrUnsaved, err)
	}
	return nil
}

func (i *Identity) save(next State) error { // mu is held
	b, err := next.encode()
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(i.dir, stateFile), b); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	i.state, i.unsaved = next, false
	return nil
}

func (i *Identity) load() error {
	path := filepath.Join(i.dir, keyFile)
	key, err := loadKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(path)
	}
	if err != nil {
		return err
	}
	i.key = key
	i.state, err = loadState(filepath.Join(i.dir, stateFile))
	return err
}

func makeKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make machine key: %w", err)
	}
	return key, saveKey(path, key)
}

func saveKey(path string, key ed25519.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err == nil {
		err = writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	if err != nil {
		return fmt.Errorf("save machine key: %w", err)
	}
	return nil
}

func loadKey(path string) (ed25519.PrivateKey, error) {
	b, err := ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load machine key: %w", err)
	}
	broken := fmt.Errorf("%s is not a machine key; remove it and enroll this computer again", path)
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, broken
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, broken
	}
	key, ok := any.(ed25519.PrivateKey)
	if !ok {
		return nil, broken
	}
	return key, nil
}
