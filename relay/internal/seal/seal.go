// Package seal is the key that closes the relay's own keys (of signatures, of
// TURN) in the database, and is never in it: who reads a database or a back-up
// of it is not the relay.
//
// The key is 32 random bytes, written in unpadded base64. Find takes it from
// the first of
//
//   - the setting sealing-key (ORIEL_SEALING_KEY in the environment),
//   - the systemd credential oriel-sealing-key,
//   - the file sealing.key in the data folder, which only its owner may read.
//
// Make writes that file, once, for a database that has nothing sealed yet. All
// nodes of one database need one key. Without it the relay's identity is lost.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"oriel/protocol/private"
)

// Size of a key in bytes.
const Size = 32

// Names of the file in the data folder and of the systemd credential.
const (
	File       = "sealing.key"
	Credential = "oriel-sealing-key"
)

// Errors that a caller can act on.
var (
	ErrNoKey  = errors.New("there is no sealing key")
	ErrOpened = errors.New("the sealing key does not fit")
)

// Key seals and opens. The zero value is none.
type Key struct {
	aead cipher.AEAD
	id   string
}

// New is the key of Size bytes.
func New(raw []byte) (Key, error) {
	if len(raw) != Size {
		return Key{}, fmt.Errorf("a sealing key has %d bytes, this has %d", Size, len(raw))
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return Key{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Key{}, err
	}
	sum := sha256.Sum256(append([]byte("oriel sealing key id\x00"), raw...))
	return Key{aead: aead, id: hex.EncodeToString(sum[:8])}, nil
}

// Parse reads a key as it is written.
func Parse(text string) (Key, error) {
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(text), "="))
	if err != nil || len(raw) != Size {
		return Key{}, fmt.Errorf("this is no sealing key: it is %d bytes in base64 (openssl rand -base64 %d makes one)", Size, Size)
	}
	return New(raw)
}

// ID tells keys apart and is no secret; empty: no key.
func (k Key) ID() string { return k.id }

// Seal closes the value of a name, which opens under that name only.
func (k Key) Seal(name string, value []byte) []byte {
	return k.aead.Seal(nil, nil, value, []byte(name))
}

// Open is the value that Seal closed. Errors: ErrOpened.
func (k Key) Open(name string, sealed []byte) ([]byte, error) {
	if k.aead == nil {
		return nil, ErrNoKey
	}
	value, err := k.aead.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", name, ErrOpened)
	}
	return value, nil
}

// Find is the key of a relay with that setting and data folder, and the place
// where it is, in words. Errors: ErrNoKey when no place has one; every other
// error names a place whose key cannot be used.
func Find(setting, folder string) (k Key, place string, err error) {
	if setting != "" {
		k, err = Parse(setting)
		return k, "the setting sealing-key", wrap("the setting sealing-key", err)
	}
	if credentials := os.Getenv("CREDENTIALS_DIRECTORY"); credentials != "" {
		text, err := os.ReadFile(filepath.Join(credentials, Credential))
		if !errors.Is(err, os.ErrNotExist) {
			place = "the systemd credential " + Credential
			if err == nil {
				k, err = Parse(string(text))
			}
			return k, place, wrap(place, err)
		}
	}
	place = filepath.Join(folder, File)
	k, err = read(place)
	if errors.Is(err, os.ErrNotExist) {
		err = ErrNoKey
	}
	return k, place, wrap(place, err)
}

func wrap(place string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", place, err)
}

func read(path string) (Key, error) {
	text, err := private.ReadFile(path, 256)
	if err != nil {
		return Key{}, err
	}
	return Parse(string(text))
}

// Make writes a new key into the data folder and returns what Find would. A
// key that is there already, or comes at the same moment, stays.
func Make(folder string) (Key, string, error) {
	raw := make([]byte, Size)
	_, _ = rand.Read(raw) // never fails
	if err := write(folder, base64.RawStdEncoding.EncodeToString(raw)+"\n"); err != nil {
		return Key{}, "", fmt.Errorf("make the sealing key: %w", err)
	}
	return Find("", folder)
}

// write has the file on the disk, whole, before anything is sealed with it.
func write(folder, text string) error {
	f, err := os.CreateTemp(folder, ".sealing-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), filepath.Join(folder, File)); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncFolder(folder)
}
