//go:build cgo

package session

import (
	"image"
	"net"
	"testing"

	"github.com/pion/turn/v5"

	orielv1 "oriel/protocol/oriel/v1"
)

// turnServer is a real TURN server on loopback.
func turnServer(t *testing.T) *orielv1.IceServer {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := turn.NewServer(turn.ServerConfig{
		Realm: "oriel",
		AuthHandler: func(a *turn.RequestAttributes) (string, []byte, bool) {
			return a.Username, turn.GenerateAuthKey(a.Username, a.Realm, "secret"), true
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            conn,
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return &orielv1.IceServer{Urls: []string{"turn:" + conn.LocalAddr().String() + "?transport=udp"}, Username: "agent", Credential: "secret"}
}

func TestRelayedPath(t *testing.T) {
	p := newFakeDesktop(t)
	server := turnServer(t)
	r := start(t, Options{RelayOnly: true}, on(p))
	v := r.ready(look{ice: []*orielv1.IceServer{server}})
	eventually(t, "a picture", func() bool { return v.luma(image.Rect(0, 0, 9, 9)) >= 0 })
	eventually(t, "a report of the relayed path", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.reports) > 0 && r.reports[len(r.reports)-1].GetPath() == orielv1.Path_PATH_RELAYED
	})
	v.leave()
	r.expectEnd("s1", orielv1.EndReason_END_REASON_OPERATOR, 0)
}

func TestRelayAddress(t *testing.T) {
	for candidate, want := range map[string]string{
		"candidate:1 1 udp 41885439 192.0.2.7 50000 typ relay raddr 0.0.0.0 rport 0": "192.0.2.7:50000",
		"candidate:1 1 udp 41885439 2001:db8::7 5 typ relay":                         "[2001:db8::7]:5",
		"candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host":                      "",
		"candidate:1 1 udp 1 192.0.2.7 relay typ":                                    "",
		"": "",
	} {
		if got := relayAddress(candidate); got != want {
			t.Errorf("%q: %q", candidate, got)
		}
	}
}
