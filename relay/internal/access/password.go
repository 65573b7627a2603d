package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"

	"github.com/alexedwards/argon2id"

	"oriel/relay/internal/share"
)

// HashCost of a password. The zero value is 64 MiB, two passes, one lane
// (RFC 9106 in a size that a small machine can bear), as many at once as there
// are processors. Tests make it cheap.
type HashCost struct {
	MemoryKiB, Passes uint32
	AtOnce, Waiting   int // how many hash, how many more may wait; 0: 512
	Address           int // of them for one address; 0: 128
}

type hasher struct {
	params argon2id.Params
	decoy  string // compared with when there is no account
	queue  *share.Queue
}

func newHasher(c HashCost, log *slog.Logger) (*hasher, error) {
	setDefault(&c.MemoryKiB, 64<<10)
	setDefault(&c.Passes, 2)
	setDefault(&c.AtOnce, runtime.NumCPU())
	setDefault(&c.Waiting, 512)
	setDefault(&c.Address, 128)
	h := &hasher{
		params: argon2id.Params{Memory: c.MemoryKiB, Iterations: c.Passes, Parallelism: 1, SaltLength: 16, KeyLength: 32},
		queue:  share.NewQueue("passwords", c.AtOnce, share.Bound{All: c.AtOnce + c.Waiting, Address: c.Address}, log),
	}
	var err error
	h.decoy, err = argon2id.CreateHash(string(random(32)), &h.params)
	return h, err
}

// enter waits for a turn. Errors: ErrBusy, ctx's.
func (h *hasher) enter(ctx context.Context, from netip.Addr, rank share.Rank) (leave func(), err error) {
	leave, err = h.queue.Enter(ctx, from, rank)
	if errors.Is(err, share.ErrBusy) {
		err = ErrBusy
	}
	return leave, err
}

func (h *hasher) hash(ctx context.Context, password string, from netip.Addr, rank share.Rank) (string, error) {
	leave, err := h.enter(ctx, from, rank)
	if err != nil {
		return "", err
	}
	defer leave()
	return argon2id.CreateHash(password, &h.params)
}

// check compares password with an encoded hash; with none it does the same
// work and says no.
func (h *hasher) check(ctx context.Context, password, encoded string, from netip.Addr, rank share.Rank) (bool, error) {
	leave, err := h.enter(ctx, from, rank)
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
