package access

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/alexedwards/argon2id"
)

// HashCost of a password. The zero value is 64 MiB, two passes, one lane
// (RFC 9106 in a size that a small machine can bear), as many at once as there
// are processors. Tests make it cheap.
type HashCost struct {
	MemoryKiB, Passes uint32
	AtOnce, Waiting   int // how many hash, how many more may wait
}

type hasher struct {
	params  argon2id.Params
	decoy   string // compared with when there is no account
	slots   chan struct{}
	waiting atomic.Int64
	most    int64
}

func newHasher(c HashCost) (*hasher, error) {
	setDefault(&c.MemoryKiB, 64<<10)
	setDefault(&c.Passes, 2)
	setDefault(&c.AtOnce, runtime.NumCPU())
	setDefault(&c.Waiting, 64)
	h := &hasher{
		params: argon2id.Params{Memory: c.MemoryKiB, Iterations: c.Passes, Parallelism: 1, SaltLength: 16, KeyLength: 32},
		slots:  make(chan struct{}, c.AtOnce),
		most:   int64(c.AtOnce + c.Waiting),
	}
	var err error
	h.decoy, err = argon2id.CreateHash(string(random(32)), &h.params)
	return h, err
}

// enter waits for a slot. Errors: ErrBusy, ctx's.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	if h.waiting.Add(1) > h.most {
		h.waiting.Add(-1)
		return nil, ErrBusy
	}
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots; h.waiting.Add(-1) }, nil
	case <-ctx.Done():
		h.waiting.Add(-1)
		return nil, ctx.Err()
	}
}

func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	return argon2id.CreateHash(password, &h.params)
}

// check compares password with an encoded hash; with none it does the same
// work and says no.
func (h *hasher) check(ctx context.Context, password, encoded string) (bool, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	against := encoded
	if encoded == "" {
		against = h.decoy
	}
	same, err := argon2id.ComparePasswordAndHash(password, against)
	if err != nil {
		return false, fmt.Errorf("compare a password: %w", err)
	}
	return same && encoded != "", nil
}
