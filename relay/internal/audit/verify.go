package audit

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"oriel/protocol/trust"
	"oriel/relay/internal/store"
)

// Trusted reports whether a key is the relay's, or was before it was changed by the
// word of the succession key.
type Trusted func(ed25519.PublicKey) bool

// Report is what is to be said of an organization's audit.
type Report struct {
	Organization store.OrganizationID
	First, Last  int64 // numbers of the entries that are there; 0: none
	Sealed       int64 // number up to which the relay has signed; 0: it has not
	SealedAt     int64
	Faults       []string // sentences; none: nothing was altered or lost
}

const (
	maxFaults  = 20
	linksBatch = 1000

	// unsealed is how old the first entry of an audit may be that nobody has signed.
	unsealed = 10 * time.Minute
)

// Verify reads the whole audit of an organization and says what is wrong with it. It
// may run beside relays that write, and sweep. Errors are of the reading only.
func Verify(ctx context.Context, s *store.Store, o store.OrganizationID, trusted Trusted, now time.Time) (Report, error) {
	log := s.Audit(o)
	for {
		seal, err := sealOf(ctx, log)
		if err != nil {
			return Report{}, err
		}
		w := walk{seal: seal, at: seal.Base, hash: seal.BaseHash}
		w.check(o, trusted)
		if err := w.read(ctx, log); err != nil {
			return Report{}, err
		}
		// Of what was swept while it was read, nothing is missing.
		after, err := sealOf(ctx, log)
		if err != nil {
			return Report{}, err
		}
		if len(w.faults) > 0 && after.Base > seal.Base && ctx.Err() == nil {
			continue
		}
		if seal.Sequence == 0 && w.first != 0 && now.UnixMilli()-w.firstAt > unsealed.Milliseconds() {
			w.fault("no relay has signed it; start the relay, which signs it when it begins; if one has run for a while, its signature was removed")
		}
		return Report{Organization: o, First: w.first, Last: w.at, Sealed: seal.Sequence, SealedAt: seal.SignedAt, Faults: w.faults}, nil
	}
}

// sealOf is the seal of an audit; the zero one when there is none.
func sealOf(ctx context.Context, log store.Audit) (store.Seal, error) {
	seal, err := log.Seal(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return store.Seal{}, nil
	}
	return seal, err
}

// signed is what the signature of a seal covers.
func signed(o store.OrganizationID, seal store.Seal) trust.AuditSeal {
	return trust.AuditSeal{Organization: string(o), Base: seal.Base, BaseHash: seal.BaseHash, Sequence: seal.Sequence, Hash: seal.Hash, At: seal.SignedAt}
}

// walk goes from entry to entry.
type walk struct {
	seal    store.Seal
	at      int64  // number of the last one
	hash    string // its own
	first   int64
	firstAt int64
	faults  []string
}

func (w *walk) fault(format string, args ...any) {
	if len(w.faults) < maxFaults {
		w.faults = append(w.faults, fmt.Sprintf(format, args...))
	}
}

// check looks at the signature alone.
func (w *walk) check(o store.OrganizationID, trusted Trusted) {
	if w.seal.Sequence == 0 {
		return
	}
	key := ed25519.PublicKey(w.seal.Key)
	switch {
	case signed(o, w.seal).Verify(key, w.seal.Signature) != nil:
		w.fault("the signature up to entry %d is wrong", w.seal.Sequence)
	case !trusted(key):
		w.fault("the signature up to entry %d was made with a key that is not this relay's", w.seal.Sequence)
	}
}

// read walks from where w is up to the head, and not further: later entries come
// while it reads.
func (w *walk) read(ctx context.Context, log store.Audit) error {
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	setBack := false
	for {
		all, err := log.Links(ctx, w.at, linksBatch)
		if err != nil {
			return err
		}
		for _, l := range all {
			if l.Sequence > head.Sequence && !setBack {
				now, err := log.Head(ctx)
				if err != nil {
					return err
				}
				if now.Sequence >= l.Sequence {
					w.end(head)
					return nil
				}
				setBack = true
				w.fault("the newest entry is number %d by the head of the audit, and there are later ones", head.Sequence)
			}
			w.next(l)
		}
		if len(all) < linksBatch && setBack {
			head = store.Head{Sequence: w.at, Hash: w.hash} // of which that was said
		}
		if len(all) < linksBatch {
			w.end(head)
			return nil
		}
	}
}

func (w *walk) next(l store.Link) {
	if w.first == 0 {
		w.first = l.Sequence
		_, _ = fmt.Sscan(l.At, &w.firstAt)
		if w.seal.Sequence == 0 { // nothing says what came before
			w.at, w.hash = l.Sequence-1, ""
		}
	}
	switch {
	case l.Sequence != w.at+1:
		w.missing(w.at+1, l.Sequence-1, "missing")
	case l.After(w.hash) != l.Hash:
		w.fault("entry %d is not as it was written, or what stood before it is not", l.Sequence)
	}
	if l.Sequence == w.seal.Sequence && l.Hash != w.seal.Hash {
		w.fault("entry %d is not the one that the relay signed", l.Sequence)
	}
	w.at, w.hash = l.Sequence, l.Hash
}

func (w *walk) missing(first, last int64, where string) {
	if first == last {
		w.fault("entry %d is %s", first, where)
	} else {
		w.fault("entries %d to %d are %s", first, last, where)
	}
}

// end compares where the walk ended with what the head and the seal say.
func (w *walk) end(head store.Head) {
	last := max(head.Sequence, w.seal.Sequence)
	switch {
	case w.at < last:
		w.missing(w.at+1, last, "missing at the end")
	case head.Sequence < w.at:
		w.fault("the newest entry is number %d by the head of the audit, and there are later ones", head.Sequence)
	case head.Hash != w.hash:
		w.fault("the head of the audit is not that of entry %d", w.at)
	}
}
