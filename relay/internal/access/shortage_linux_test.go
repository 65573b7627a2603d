package access_test

import (
	"path/filepath"
	"testing"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: a sign-in is good with a full disk, too, though its use cannot be noted.
func TestSignInWithFullDisk(t *testing.T) {
	disk := storetest.NewDisk(t, "8m")
	s := storetest.Open(t, "sqlite:"+filepath.Join(disk.Path, "relay.db"))
	c := newClock()
	a := open(t, s, access.Options{Now: c.now})
	who, cookie := own(t, a)
	disk.Fill()
	for err := error(nil); !store.DiskFull(err); {
		err = s.CheckWrites(t.Context(), store.NewID())
	}
	c.pass(2 * time.Minute) // after which the use of a sign-in is noted anew
	if got, err := a.Identify(request(cookie)); err != nil || got.PersonID != who.PersonID {
		t.Errorf("%+v, %v", got, err)
	}
	if err := a.Require(t.Context(), who, rights.See, access.Organization); err != nil {
		t.Error(err)
	}
}
