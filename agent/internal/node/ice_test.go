package node

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"oriel/agent/internal/identity"
	orielv1 "oriel/protocol/oriel/v1"
)

// Rule: ICE servers only of the relay's own hosts unless configured, never
// loopback, link-local or metadata addresses.
func TestICEServersAreTheRelays(t *testing.T) {
	far := identity.State{Relays: []string{"https://relay.example:8443"}, Learned: []string{"https://node2.example", "http://thief.example"}}
	here := identity.State{Relays: []string{"http://127.0.0.1:8080"}}
	figured := identity.State{Relays: []string{"https://[2001:db8::5]", "https://192.0.2.5"}}
	for name, c := range map[string]struct {
		state      identity.State
		configured []string
		yes, no    []string
	}{
		"a relay elsewhere": {far, nil,
			[]string{"stun:relay.example:3478", "turn:RELAY.example.:3478?transport=udp", "turns:relay.example:443?transport=tcp", "turn:node2.example:3478?transport=tcp",
				"turn:203.0.113.7:3478?transport=udp", "turn:[2001:db8::7]:3478?transport=udp", "turn:[::ffff:203.0.113.7]:3478?transport=udp"},
			[]string{"stun:stun.thief.example:3478", "stun:thief.example:3478", "turn:203.0.113.8:3478", "turn:relay.example.thief.example:1",
				"stun:127.0.0.1:25", "stun:localhost:25", "stun:a.localhost:25", "stun:[::1]:25", "stun:[::ffff:127.0.0.1]:25", "stun:0.0.0.0:25", "stun:0:25", "stun:127.1:25", "stun:2130706433:25",
				"turn:169.254.169.254:80?transport=tcp", "stun:[fe80::1%25eth0]:3478", "stun:168.63.129.16:80", "stun:[fd00:ec2::254]:80",
				"stun:224.0.0.251:5353", "stun:[ff02::fb]:5353", "stun:[64:ff9b::a9fe:a9fe]:80",
				"http://relay.example", "stun:relay.example:99999999999999999999", "turn:relay.example:1?transport=sctp", "", "stun:", "stun://relay.example"}},
		"a name of the relay that stands for what is never asked": {
			identity.State{Relays: []string{"https://bent.example"}}, nil,
			nil, []string{"stun:127.0.0.1:25", "turn:169.254.169.254:80"}},
		"a relay on this machine": {here, nil,
			[]string{"stun:127.0.0.1:3478", "stun:localhost:3478", "stun:[::1]:3478"},
			[]string{"stun:relay.example:3478", "stun:192.0.2.5:3478", "stun:169.254.169.254:80", "stun:0.0.0.0:3478"}},
		"a relay given in figures": {figured, nil,
			[]string{"stun:[2001:db8::5]:3478", "stun:[2001:0DB8::0:5]:3478", "stun:192.0.2.5:3478"},
			[]string{"stun:192.0.2.6:3478"}},
		"configured": {far, []string{"Turn.Other.Example", "198.51.100.9", "127.0.0.1", "169.254.169.254"},
			[]string{"stun:turn.other.example:3478", "turn:198.51.100.9:3478?transport=udp", "stun:relay.example:3478"},
			[]string{"stun:198.51.100.10:3478", "stun:127.0.0.1:3478", "stun:169.254.169.254:80"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newICERule(c.configured, slog.New(slog.DiscardHandler))
			r.lookup = func(_ context.Context, name string) ([]netip.Addr, error) {
				switch name {
				case "relay.example":
					return []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7")}, nil
				case "bent.example":
					return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("169.254.169.254")}, nil
				}
				return nil, errors.New("no such host")
			}
			var looking sync.WaitGroup
			r.look(t.Context(), c.state, &looking)
			looking.Wait()
			for _, u := range append(slices.Clone(c.yes), c.no...) {
				took := r.take(c.state, []*orielv1.IceServer{{Urls: []string{u}, Username: "u", Credential: "c"}})
				if (len(took) == 1) != slices.Contains(c.yes, u) {
					t.Errorf("%q is taken as %v", u, took)
				}
			}
			all := r.take(c.state, []*orielv1.IceServer{{Urls: append(slices.Clone(c.no), c.yes...), Username: "u", Credential: "c"}})
			if len(c.yes) == 0 && len(all) != 0 || len(c.yes) > 0 && (len(all) != 1 || len(all[0].GetUrls()) != len(c.yes) || all[0].GetCredential() != "c") {
				t.Errorf("taken together: %v", all)
			}
		})
	}
}
