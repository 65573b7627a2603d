package broker_test

import (
	"path/filepath"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: a full disk, on which no report can be written, is no reason to end
// sessions: their leases are renewed all the same.
func TestLeasesAreRenewedWithAFullDisk(t *testing.T) {
	disk := storetest.NewDisk(t, "16m")
	n := relaytest.StartNode(t, relaytest.NodeOptions{Database: "sqlite:" + filepath.Join(disk.Path, "relay.db")})
	w := start(t, n, n)
	id, _ := w.session(t, orielv1.Mode_MODE_CONTROL)
	w.renewed(t, w.agent, id)
	disk.Fill()
	for err := error(nil); !store.DiskFull(err); {
		err = n.Store.CheckWrites(t.Context(), store.NewID())
	}
	w.agent.Report(id, 2000)
	w.renewed(t, w.agent, id)
	disk.Free()
}
