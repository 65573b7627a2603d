// Package replay does a creation once, however often it is asked for: who asks again
// with the same key gets the first one's answer (the Idempotency-Key header,
// draft-ietf-httpapi-idempotency-key-header).
//
// # Rules
//
// A key is a person's, in one organization. Asked again for the same with it, the
// answer is the same for Lifetime; asked for something else it is ErrKeyReused; while
// the first one runs, on whatever node, it is ErrKeyInUse. What failed is not kept and
// may be tried again.
//
// What was begun with a key is brought to its end even when the caller goes away,
// within Longest. A run that is not done after Lost died with its node: nobody knows
// how far it came, and the next one begins anew.
//
// # What is kept
//
// An answer may hold what is told once, such as an enrollment token. It is sealed with
// a key that HKDF makes of the client's own, salted with a secret of the relay's; of
// the client's key and of what was asked only such hashes are kept. A copy of the
// database opens none of it. Bounds: store.MaxAnswers of a person, maxAnswer bytes each.
package replay

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"oriel/relay/internal/fault"
	"oriel/relay/internal/store"
)

// Times.
const (
	Lifetime = 24 * time.Hour
	Longest  = 30 * time.Second
	Lost     = 2 * Longest // so much later that nodes' clocks may differ
)

const (
	maxAnswer = 64 << 10
	settling  = 5 * time.Second
)

// Faults of keys.
var (
	ErrKeyReused = fault.New(fault.KeyReused, "this Idempotency-Key came with another request before; give each request that is new a key of its own")
	ErrKeyInUse  = fault.New(fault.KeyInUse, "the first request with this Idempotency-Key is still running; ask again in a moment")
)

// Options of New; Store and Secret are needed.
type Options struct {
	Store  *store.Store
	Secret []byte // all nodes' the same
	Log    *slog.Logger
	Now    func() time.Time
}

// Answers are those of all organizations. Its methods may be called from any goroutine.
type Answers struct{ o Options }

// New makes the Answers that are in the store.
func New(o Options) *Answers {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Answers{o}
}

// Once is what do answers, or what it answered when the person, in that organization,
// asked for the same with that key before: then again is true. Errors: ErrKeyReused, ErrKeyInUse, and do's.
func (a *Answers) Once(ctx context.Context, person store.Ref, key string, request []byte, do func(context.Context) ([]byte, error)) (answer []byte, again bool, err error) {
	asked := sha256.Sum256(request)
	k := store.IdempotencyKey{Organization: person.Organization, PersonID: person.ID, Run: store.NewID()}
	if k.Name, err = a.derive(person, key, "name"); err != nil {
		return nil, false, err
	}
	if k.Request, err = a.derive(person, key, "request "+string(asked[:])); err != nil {
		return nil, false, err
	}
	now := a.o.Now()
	k.StartedAt = now.UnixMilli()
	there, began, err := a.of(k).Begin(ctx, k, now.Add(-Lost).UnixMilli(), now.Add(-Lifetime).UnixMilli())
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("look up an idempotency key: %w", err)
	case began:
		answer, err = a.run(ctx, k, key, do)
		return answer, false, err
	case !bytes.Equal(there.Request, k.Request):
		return nil, false, ErrKeyReused
	case !there.Done:
		return nil, false, ErrKeyInUse.After(time.Second)
	}
	answer, err = a.open(there, key)
	return answer, true, err
}

// run does what is new, and keeps the answer.
func (a *Answers) run(ctx context.Context, k store.IdempotencyKey, key string, do func(context.Context) ([]byte, error)) ([]byte, error) {
	ctx = context.WithoutCancel(ctx)
	running, cancel := context.WithTimeout(ctx, Longest)
	answer, err := do(running)
	cancel()
	ctx, cancel = context.WithTimeout(ctx, settling)
	defer cancel()
	if err != nil || len(answer) > maxAnswer {
		if err := a.of(k).Drop(ctx, k); err != nil {
			a.o.Log.Warn("idempotency key of what failed not dropped", "err", err)
		}
		return answer, err
	}
	sealed, err := a.seal(k, key, answer)
	if err != nil {
		return nil, err
	}
	if err := a.of(k).Keep(ctx, k, sealed); err != nil {
		a.o.Log.Warn("answer not kept for its idempotency key", "err", err) // it was made, and that is the answer
	}
	return answer, nil
}

// Sweep forgets what is older than Lifetime.
func (a *Answers) Sweep(ctx context.Context) error {
	all, err := a.o.Store.Upkeep().Organizations(ctx)
	for _, o := range all {
		err = errors.Join(err, a.o.Store.Answers(o).Sweep(ctx, a.o.Now().Add(-Lifetime).UnixMilli()))
	}
	return err
}

// of are those of k's organization.
func (a *Answers) of(k store.IdempotencyKey) store.Answers { return a.o.Store.Answers(k.Organization) }

// derive makes 32 bytes of the client's key, for one purpose and person.
func (a *Answers) derive(person store.Ref, key, purpose string) ([]byte, error) {
	info := fmt.Sprintf("oriel idempotency v1 %q %q %q", person.Organization, person.ID, purpose)
	return hkdf.Key(sha256.New, []byte(key), a.o.Secret, info, sha256.Size)
}

// sealing is the cipher of one row.
func (a *Answers) sealing(k store.IdempotencyKey, key string) (cipher.AEAD, error) {
	secret, err := a.derive(k.Organization.Ref(k.PersonID), key, "answer "+strconv.FormatInt(k.StartedAt, 10)+" "+string(k.Request))
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (a *Answers) seal(k store.IdempotencyKey, key string, answer []byte) ([]byte, error) {
	c, err := a.sealing(k, key)
	if err != nil {
		return nil, fmt.Errorf("seal an answer: %w", err)
	}
	return c.Seal(nil, nil, answer, nil), nil
}

func (a *Answers) open(k store.IdempotencyKey, key string) ([]byte, error) {
	c, err := a.sealing(k, key)
	if err != nil {
		return nil, fmt.Errorf("open an answer: %w", err)
	}
	answer, err := c.Open(nil, nil, k.Answer, nil)
	if err != nil {
		return nil, fmt.Errorf("open an answer: %w", err)
	}
	return answer, nil
}
