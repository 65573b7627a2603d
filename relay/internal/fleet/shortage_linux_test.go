package fleet_test

import (
	"path/filepath"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: with a full disk the heartbeat fails, and a node goes on to know who is
// connected to it, from memory.
func TestPresenceWithFullDisk(t *testing.T) {
	disk := storetest.NewDisk(t, "16m")
	n := relaytest.StartNode(t, relaytest.NodeOptions{Database: "sqlite:" + filepath.Join(disk.Path, "relay.db"), Lifetime: 200 * time.Millisecond})
	agent := relaytest.NewMachine("workshop").Connect(t, n, n.Token(t, 1))
	id := agent.Welcome.GetComputerId()
	shows := func() orielv1.Computer_Status {
		c, err := n.Fleet.Get(t.Context(), relaytest.Own(id))
		if err != nil {
			t.Fatal(err)
		}
		return c.GetStatus()
	}
	inDatabase := func() bool {
		c, err := n.Store.Computers(store.FirstOrganization).Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return c.Online
	}
	disk.Fill()
	relaytest.Until(t, "heartbeats fail", func() bool { return !inDatabase() })
	if s := shows(); s != orielv1.Computer_STATUS_ONLINE {
		t.Errorf("it is connected, and shown as %s", s)
	}
	_ = agent.Conn.Close()
	relaytest.Until(t, "it is shown as offline", func() bool { return shows() == orielv1.Computer_STATUS_OFFLINE })
	conn, _, err := agent.Machine.Dial(t.Context(), n, "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	relaytest.Until(t, "it is shown as online again", func() bool { return shows() == orielv1.Computer_STATUS_ONLINE })
	disk.Free()
	relaytest.Until(t, "the database knows it again", inDatabase)
	if s := shows(); s != orielv1.Computer_STATUS_ONLINE {
		t.Errorf("with room again it is shown as %s", s)
	}
	_ = conn.Close()
	relaytest.Until(t, "it is offline", func() bool { return shows() == orielv1.Computer_STATUS_OFFLINE && !inDatabase() })
}
