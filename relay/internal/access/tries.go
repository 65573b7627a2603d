package access

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"oriel/relay/internal/share"
	"oriel/relay/internal/store"
)

// slowAtOnce is how many of the tries that are slowed down wait their time at
// once on this node; with the longest wait it is how many passwords a second
// all the world can try on accounts under attack.
const slowAtOnce = 4

// freshTries are how many wrong tries of a network leave it before those that go on
// trying: somebody mistypes a password twice, and who guesses at full speed from many
// addresses is soon behind all others.
const freshTries = 3

// try is one that may look at a password.
type try struct {
	rank share.Rank
	back map[string]int64 // tries to take back when the password is right
}

// begin counts a try of a login, which may mean any of these people, and waits as long as
// it has to. Errors: ErrTries, ErrBusy.
func (a *Access) begin(ctx context.Context, login string, all []store.Login, from Client) (try, error) {
	for _, one := range all {
		device, ok := a.device(from.Device, one.Person)
		if !ok {
			continue
		}
		subject := "device:" + device
		_, err := a.count(ctx, map[string]int{subject: a.o.Limits.Account})
		if err == nil || !errors.Is(err, ErrTries) {
			return try{share.Known, map[string]int64{subject: int64(a.o.Limits.Account)}}, err
		}
		// The cookie may be stolen: from here it is a browser like any other.
	}
	account := "account:" + hex.EncodeToString(hashOf(login))
	addresses, t := a.addressLimits(from), try{rank: share.Fresh, back: map[string]int64{account: 1}}
	for subject := range addresses {
		t.back[subject] = 1 // its own try only: it must not wipe out what else this address tried
	}
	// Apart and first: a network that is locked must not fill the database with accounts that it makes up.
	tried, err := a.count(ctx, addresses)
	if err != nil {
		return try{}, err
	}
	for _, one := range tried {
		if one.Count > freshTries {
			t.rank = share.Rest
		}
	}
	limits := map[string]int{account: 0} // counted, and locked for nobody
	for network, limit := range share.Subjects(from.IP(), a.o.Limits.Account) {
		subject := account + "@" + network
		limits[subject], t.back[subject] = limit, int64(limit)
	}
	counts, err := a.count(ctx, limits)
	if err != nil {
		return try{}, err
	}
	return t, a.slowDown(ctx, counts[account].Count-int64(a.o.Limits.Account), from, t.rank)
}

// slowDown waits for a try whose account had more wrong ones than one network may make.
func (a *Access) slowDown(ctx context.Context, beyond int64, from Client, rank share.Rank) error {
	if beyond <= 0 {
		return nil
	}
	leave, err := a.slow.Enter(ctx, from.IP(), rank)
	if errors.Is(err, share.ErrBusy) {
		return ErrBusy
	}
	if err != nil {
		return err
	}
	defer leave()
	timer := time.NewTimer(min(time.Duration(beyond)*a.o.Limits.Slow, a.o.Limits.Slowest))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// addressLimits are those of all tries from the networks of a client.
func (a *Access) addressLimits(from Client) map[string]int {
	limits := map[string]int{}
	for network, limit := range share.Subjects(from.IP(), a.o.Limits.Address) {
		limits["address:"+network] = limit
	}
	return limits
}

// count counts a try of each subject; a limit of 0 is none. Errors: ErrTries.
func (a *Access) count(ctx context.Context, limits map[string]int) (map[string]store.Try, error) {
	now := a.now()
	counts, err := a.store.Tries().Count(ctx, slices.Collect(maps.Keys(limits)), now, now+a.o.Limits.Window.Milliseconds())
	if err != nil {
		return nil, fmt.Errorf("count a try: %w", err)
	}
	var wait int64
	for subject, limit := range limits {
		if one := counts[subject]; limit > 0 && one.Count > int64(limit) {
			kind, _, _ := strings.Cut(subject, ":")
			a.o.Log.Warn("too many tries to sign in", "per", kind)
			wait = max(wait, one.ExpiresAt-now, 1000)
		}
	}
	if wait > 0 {
		after := time.Duration(wait) * time.Millisecond
		return nil, ErrTries.After(after).Saying(fmt.Sprintf("too many tries; wait %s and try again", after.Round(time.Second)))
	}
	return counts, nil
}
