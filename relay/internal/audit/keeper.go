package audit

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"oriel/protocol/trust"
	"oriel/relay/internal/store"
)

// # Seals
//
// Each entry has a hash over it and the one before (store.Link), written with it. A
// Keeper signs, with the relay's key, how far each audit went. It signs what follows
// from what it signed before, and nothing else: an audit that was altered keeps its
// last good seal, and is said to be broken. Old entries are swept from the beginning
// only; the seal then says after which one the audit begins.
//
// Somebody with access to the database alone cannot alter, take out or put in
// between what is sealed. They can append, and rewrite what is younger than
// SealEvery; and they can put back the database as a whole, with its seals, as it
// was before, which a relay notices while it runs and not after a start. Who also has
// the relay's key can do anything.

// Times of a Keeper.
const (
	Keep        = 400 * 24 * time.Hour
	SealEvery   = 10 * time.Second
	verifyEvery = 24 * time.Hour
	sweepEvery  = time.Hour
)

// KeeperOptions of NewKeeper; Store, Signer and Key are needed.
type KeeperOptions struct {
	Store   *store.Store
	Signer  trust.Signer
	Key     ed25519.PublicKey // of Signer
	Trusted Trusted           // nil: Key alone
	Keep    time.Duration     // 0: Keep
	Log     *slog.Logger
	Now     func() time.Time
}

// Keeper signs, verifies and sweeps the audits of all organizations. Every node has
// one; what another did meanwhile is no error.
type Keeper struct {
	o KeeperOptions

	mu    sync.Mutex
	known map[store.OrganizationID]known // protected by mu
}

// known is what a Keeper remembers of an audit.
type known struct {
	seal   store.Seal // last seen good
	state  State
	broken string // the fault of what was written since seal
}

// State is what is known of an organization's audit on this node.
type State struct {
	Verified   int64 // number up to which nothing was altered or lost; 0: not looked yet
	VerifiedAt int64
	Sealed     int64 // number up to which it is signed
	SealedAt   int64
	Fault      string // the first; empty: none
}

// NewKeeper makes a Keeper, which does nothing until Run.
func NewKeeper(o KeeperOptions) *Keeper {
	if o.Trusted == nil {
		o.Trusted = func(key ed25519.PublicKey) bool { return o.Key.Equal(key) }
	}
	if o.Keep == 0 {
		o.Keep = Keep
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Keeper{o: o, known: map[store.OrganizationID]known{}}
}

// State of an organization's audit.
func (k *Keeper) State(o store.OrganizationID) State {
	k.mu.Lock()
	defer k.mu.Unlock()
	state := k.known[o].state
	if broken := k.known[o].broken; state.Fault == "" {
		state.Fault = broken
	}
	return state
}

// Run seals, sweeps and verifies until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	seal := time.NewTicker(SealEvery)
	defer seal.Stop()
	var verified, swept time.Time
	for {
		now := k.o.Now()
		err := k.Seal(ctx)
		if now.Sub(verified) >= verifyEvery {
			verified = now
			err = errors.Join(err, k.Verify(ctx))
		}
		if now.Sub(swept) >= sweepEvery {
			swept = now
			err = errors.Join(err, k.Sweep(ctx))
		}
		if err != nil && ctx.Err() == nil {
			k.o.Log.Warn("audit", "err", err)
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			if err := k.Seal(last); err != nil {
				k.o.Log.Warn("audit not sealed at the end", "err", err)
			}
			return nil
		case <-seal.C:
		}
	}
}

// Seal signs what was written since the last time. What is broken is looked at again
// by Verify only.
func (k *Keeper) Seal(ctx context.Context) error {
	all, err := k.o.Store.Upkeep().Sealings(ctx)
	for _, s := range all {
		k.mu.Lock()
		n := k.known[s.Organization]
		k.mu.Unlock()
		sealed := s.Sequence == s.Sealed && s.Hash == s.SealedHash && n.seal.Sequence == s.Sealed
		if n.broken == "" && !sealed {
			_, e := k.seal(ctx, s.Organization, 0)
			err = errors.Join(err, e)
		}
	}
	return err
}

// Sweep forgets what is older than KeeperOptions.Keep, of audits that are not broken.
func (k *Keeper) Sweep(ctx context.Context) error {
	all, err := k.o.Store.Upkeep().Audited(ctx)
	for _, o := range all {
		if k.State(o).Fault != "" {
			continue
		}
		n, e := k.seal(ctx, o, k.o.Now().Add(-k.o.Keep).UnixMilli())
		err = errors.Join(err, e)
		if n > 0 {
			k.o.Log.Info("old entries of the audit forgotten", "organization", o, "entries", n)
		}
	}
	return err
}

// Verify reads all audits as a whole.
func (k *Keeper) Verify(ctx context.Context) error {
	all, err := k.o.Store.Upkeep().Audited(ctx)
	for _, o := range all {
		r, e := Verify(ctx, k.o.Store, o, k.o.Trusted, k.o.Now())
		err = errors.Join(err, e)
		if e != nil {
			continue
		}
		k.note(o, func(n *known) {
			n.state.Fault = ""
			if len(r.Faults) > 0 {
				n.state.Fault = r.Faults[0]
				k.o.Log.Error("the audit was altered", "organization", o, "faults", r.Faults)
				return
			}
			n.state.Verified, n.state.VerifiedAt = r.Last, k.o.Now().UnixMilli()
		})
		if k.broken(o) {
			_, e := k.seal(ctx, o, 0)
			err = errors.Join(err, e)
		}
	}
	return err
}

func (k *Keeper) broken(o store.OrganizationID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known[o].broken != ""
}

func (k *Keeper) note(o store.OrganizationID, fn func(*known)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.known[o]
	fn(&n)
	k.known[o] = n
}

// seal signs the audit as far as it goes, if that follows from the seal before, and
// forgets the entries at its beginning that are older than before.
func (k *Keeper) seal(ctx context.Context, o store.OrganizationID, before int64) (swept int64, err error) {
	log := k.o.Store.Audit(o)
	old, w, err := k.since(ctx, o, log)
	if err != nil {
		return 0, fmt.Errorf("seal the audit of %s: %w", o, err)
	}
	if len(w.faults) > 0 {
		k.note(o, func(n *known) {
			if n.broken != w.faults[0] {
				k.o.Log.Error("the audit was altered, and is not sealed any more", "organization", o, "faults", w.faults)
			}
			n.broken = w.faults[0]
		})
		return 0, nil
	}
	next := store.Seal{Base: old.Base, BaseHash: old.BaseHash, Sequence: w.at, Hash: w.hash, SignedAt: k.o.Now().UnixMilli(), Key: k.o.Key}
	if old.Sequence == 0 { // the first
		next.Base, next.BaseHash = w.at, w.hash
		if w.first != 0 {
			next.Base, next.BaseHash = w.first-1, ""
		}
	}
	if before != 0 {
		l, err := log.Expired(ctx, before)
		if err != nil {
			return 0, fmt.Errorf("sweep the audit of %s: %w", o, err)
		}
		if l.Sequence > next.Base && l.Sequence <= next.Sequence {
			next.Base, next.BaseHash = l.Sequence, l.Hash
		}
	}
	if next.Sequence != old.Sequence || next.Base != old.Base || !k.o.Key.Equal(ed25519.PublicKey(old.Key)) {
		if next.Signature, err = signed(o, next).Sign(k.o.Signer); err != nil {
			return 0, fmt.Errorf("sign the audit of %s: %w", o, err)
		}
		swept, err = log.PutSeal(ctx, next, old)
		if errors.Is(err, store.ErrConflict) { // another node was first
			return 0, nil
		}
		if err != nil {
			return 0, fmt.Errorf("seal the audit of %s: %w", o, err)
		}
	} else {
		next = old
	}
	k.note(o, func(n *known) {
		n.seal, n.broken = next, ""
		n.state.Sealed, n.state.SealedAt = next.Sequence, next.SignedAt
		if n.state.Verified != 0 && n.state.Fault == "" {
			n.state.Verified, n.state.VerifiedAt = next.Sequence, k.o.Now().UnixMilli()
		}
	})
	return swept, nil
}

// since walks what was written since the seal that is there.
func (k *Keeper) since(ctx context.Context, o store.OrganizationID, log store.Audit) (store.Seal, walk, error) {
	seal, err := sealOf(ctx, log)
	if err != nil {
		return store.Seal{}, walk{}, err
	}
	w := walk{seal: seal, at: seal.Sequence, hash: seal.Hash}
	w.check(o, k.o.Trusted)
	k.mu.Lock()
	last := k.known[o].seal
	k.mu.Unlock()
	if seal.Sequence < last.Sequence || seal.Base < last.Base {
		w.fault("the relay has signed up to entry %d, and its signature was taken away", last.Sequence)
	}
	if seal.Sequence > seal.Base { // the entry that was signed is there
		all, err := log.Links(ctx, seal.Sequence-1, 1)
		if err != nil {
			return store.Seal{}, walk{}, err
		}
		if len(all) == 0 || all[0].Sequence != seal.Sequence || all[0].Hash != seal.Hash {
			w.fault("entry %d is not the one that the relay signed", seal.Sequence)
		}
	}
	return seal, w, w.read(ctx, log)
}
