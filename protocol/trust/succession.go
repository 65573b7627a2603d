package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
)

// MaxRotations is how many changes of a relay's key an agent follows at once.
const MaxRotations = 32

var (
	// ErrSuccession: the text is no succession key.
	ErrSuccession = errors.New("this is not a succession key; it begins with oriel-succession- and was printed by `oriel-relay key succession`")
	// ErrNotSuccessor: nothing proves that one key follows another.
	ErrNotSuccessor = errors.New("no succession key that is known here says that this key follows")
)

// Succession is the key that says which signing key of a relay follows another.
// It lies on paper or a stick, never on the relay, and agents pin its public half
// at enrollment: who takes the relay or its database can sign with the key that
// is there, but cannot make agents take another one.
type Succession struct{ key ed25519.PrivateKey }

// NewSuccession makes one.
func NewSuccession() Succession {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails
	return Succession{ed25519.NewKeyFromSeed(seed)}
}

const successionPrefix = "oriel-succession-"

var successionText = base32.StdEncoding.WithPadding(base32.NoPadding)

// String is the key itself, a secret, in a form that survives paper: 256 bits in
// a-z2-7, and four hexadecimal digits that find a slip of the pen.
func (s Succession) String() string {
	seed := s.key.Seed()
	return successionPrefix + strings.ToLower(successionText.EncodeToString(seed)) + "-" + successionCheck(seed)
}

func successionCheck(seed []byte) string {
	sum := sha256.Sum256(message("oriel succession check v1", seed))
	return hex.EncodeToString(sum[:2])
}

// ParseSuccession reads a key as a person typed it, with spaces and in capitals if
// need be. Errors: ErrSuccession.
func ParseSuccession(text string) (Succession, error) {
	text = strings.ToLower(strings.Join(strings.Fields(text), ""))
	body, found := strings.CutPrefix(text, successionPrefix)
	body, check, cut := strings.Cut(body, "-")
	seed, err := successionText.DecodeString(strings.ToUpper(body))
	if !found || !cut || err != nil || len(seed) != ed25519.SeedSize || check != successionCheck(seed) {
		return Succession{}, ErrSuccession
	}
	return Succession{ed25519.NewKeyFromSeed(seed)}, nil
}

// Public half, which relays keep and agents pin.
func (s Succession) Public() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

func rotation(r *orielv1.Rotation) []byte {
	return message("oriel rotation v1", r.GetOldKey(), r.GetNewKey(), binary.BigEndian.AppendUint64(nil, uint64(r.GetAt())))
}

// Rotate says that key next follows key old of a relay, whose Signer is signer.
func (s Succession) Rotate(signer Signer, old, next ed25519.PublicKey, at time.Time) (*orielv1.Rotation, error) {
	r := &orielv1.Rotation{OldKey: old, NewKey: next, At: at.UnixMilli()}
	r.SuccessionSignature = ed25519.Sign(s.key, rotation(r))
	var err error
	if r.OldSignature, err = signer(rotation(r)); err != nil {
		return nil, fmt.Errorf("sign with the old key: %w", err)
	}
	return r, nil
}

// Follow reports whether the succession key that is pinned says, in one step or
// more, that key next follows key pinned. Errors: ErrNotSuccessor.
func Follow(succession, pinned, next ed25519.PublicKey, said []*orielv1.Rotation) error {
	if len(succession) != ed25519.PublicKeySize {
		return ErrNotSuccessor
	}
	at := pinned
	for range min(len(said), MaxRotations) {
		i := step(succession, at, said)
		if i < 0 {
			break
		}
		if at = said[i].GetNewKey(); bytes.Equal(at, next) {
			return nil
		}
	}
	return ErrNotSuccessor
}

// step is the newest rotation away from a key that succession and the key itself
// signed; -1: none.
func step(succession, from ed25519.PublicKey, said []*orielv1.Rotation) int {
	best := -1
	for i, r := range said {
		if !bytes.Equal(r.GetOldKey(), from) || len(r.GetNewKey()) != ed25519.PublicKeySize ||
			verify(succession, rotation(r), r.GetSuccessionSignature()) != nil ||
			verify(from, rotation(r), r.GetOldSignature()) != nil {
			continue
		}
		if best < 0 || r.GetAt() > said[best].GetAt() {
			best = i
		}
	}
	return best
}

func succession(agentNonce []byte, key ed25519.PublicKey) []byte {
	return message("oriel succession v1", agentNonce, key)
}

// SignSuccession signs, with the relay's key, the public succession key that an
// agent is told in Welcome.
func SignSuccession(s Signer, agentNonce []byte, key ed25519.PublicKey) ([]byte, error) {
	return s(succession(agentNonce, key))
}

// VerifySuccession checks what SignSuccession made. Errors: ErrSignature.
func VerifySuccession(relay ed25519.PublicKey, agentNonce []byte, key ed25519.PublicKey, sig []byte) error {
	if len(key) != ed25519.PublicKeySize {
		return ErrSignature
	}
	return verify(relay, succession(agentNonce, key), sig)
}
