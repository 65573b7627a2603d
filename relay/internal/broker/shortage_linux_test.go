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
	id, _ := w.session(t, relaytest.Controlling)
	w.renewed(t, w.agent, id)
	disk.Fill()
	for err := error(nil); !store.DiskFull(err); {
		err = n.Store.CheckWrites(t.Context(), store.NewID())
	}
	w.agent.Report(id, 2000)
	w.renewed(t, w.agent, id)

	// One that was ended is not, and its end is written in the relay's words.
	if err := n.Broker.End(t.Context(), w.who, id); !store.DiskFull(err) {
		t.Error("ended with a full disk:", err)
	}
	w.agent.EndSession(id)
	w.agent.Report(id, 3000)
	w.agent.EndSession(id)
	if w.agent.Has(func(m *orielv1.ToAgent) bool { return m.GetRenewal() != nil }) {
		t.Error("a session that was ended is renewed")
	}
	disk.Free()
	w.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionEnded{SessionEnded: &orielv1.SessionEnded{
		SessionId: id, Reason: orielv1.EndReason_END_REASON_CUSTOMER}}})
	if e := w.row(t, id, "ended", endedBy(orielv1.EndReason_END_REASON_ENDED)); e.GetEndDetail() != "ended by Olivia Owner" {
		t.Error(e)
	}
}
