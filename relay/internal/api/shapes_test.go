package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"testing"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// BenchmarkShapes is what one change of a computer costs the relay and the way to one
// tab, in the three forms in which a tab could be told, with a fleet of 1,000. Of the
// third, what a browser adds to a request and TLS are not in it. Measured on a virtual
// Xeon shared with other work, SQLite; the last two columns are of a tab at 10 changes
// a second, and of 100 such tabs:
//
//	form            B/change      µs  one tab, kB/s  100 tabs, of a core
//	protobuf             188     3.7            1.9                0.4 %
//	json                 487    12.1            4.9                1.2 %
//	id and request       923   781.4            9.2               78.1 %
//
// The JSON was a struct's then. Made of its message (shape) it takes about eight times as
// long, for which a field is described once.
func BenchmarkShapes(b *testing.B) {
	n := relaytest.StartNode(b, relaytest.NodeOptions{})
	who, cookie := n.Owner(b)
	key := []byte("a token's public key")
	if err := n.Store.Tokens(store.FirstOrganization).Add(b.Context(), audit.Relay.Did(audit.TokenMade, "token", "t"),
		store.EnrollmentToken{ID: "t", TokenKey: key, ExpiresAt: 1 << 50, UsesLeft: 1000}); err != nil {
		b.Fatal(err)
	}
	for i := range 1000 {
		c := store.Computer{ID: store.NewID(), MachineKey: []byte(fmt.Sprint("machine ", i)), HostName: fmt.Sprintf("reception-pc-%03d", i), OS: "linux",
			OSName: "Debian GNU/Linux 13 (trixie)", Arch: "amd64", UserName: "ada", Addresses: "192.168.10.17\nfd00:db8::17", Address: "198.51.100.7",
			AgentVersion: "1.4.0", Display: "ready", AddedAt: 1, LastSeen: 1, PreviewAt: 1}
		if err := n.Store.Agents().Enroll(b.Context(), audit.Relay.Did(audit.ComputerEnrolled, "computer", c.ID), &c, key); err != nil {
			b.Fatal(err)
		}
	}
	see, err := n.Access.Visible(b.Context(), who, rights.See)
	if err != nil {
		b.Fatal(err)
	}
	may, err := n.Access.Offers(b.Context(), who)
	if err != nil {
		b.Fatal(err)
	}
	fleet, err := n.Fleet.Lookup(b.Context(), store.FirstOrganization, see, may.On)
	if err != nil || len(fleet) != 1000 {
		b.Fatal(len(fleet), err)
	}
	ask := New(Options{Access: n.Access, Fleet: n.Fleet, Limits: Limits{Address: 1 << 30, SignIn: 1 << 30}}).Handler()
	encode := func(m *orielv1.ToConsole) int {
		out, err := proto.Marshal(m)
		if err != nil {
			b.Fatal(err)
		}
		return len(out)
	}
	for name, tell := range map[string]func(c *orielv1.Computer) (bytes int){
		"protobuf": func(c *orielv1.Computer) int {
			return encode(&orielv1.ToConsole{Body: &orielv1.ToConsole_Computer{Computer: c}})
		},
		"json": func(c *orielv1.Computer) int {
			out, err := json.Marshal(computerOf(c))
			if err != nil {
				b.Fatal(err)
			}
			return len(out)
		},
		"id and request": func(c *orielv1.Computer) int {
			told := encode(&orielv1.ToConsole{Body: &orielv1.ToConsole_ComputerRemoved{ComputerRemoved: &orielv1.ComputerRemoved{Id: c.GetId()}}})
			r := httptest.NewRequest("GET", "http://relay.example/api/v1/computers/"+c.GetId(), nil)
			r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
			w := httptest.NewRecorder()
			if ask.ServeHTTP(w, r); w.Code != 200 {
				b.Fatal(w.Code, w.Body)
			}
			up, err := httputil.DumpRequest(r, false)
			if err != nil {
				b.Fatal(err)
			}
			down, err := httputil.DumpResponse(w.Result(), true)
			if err != nil {
				b.Fatal(err)
			}
			return told + len(up) + len(down)
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			bytes := 0
			for i := 0; b.Loop(); i++ {
				bytes += tell(fleet[i%len(fleet)])
			}
			b.ReportMetric(float64(bytes)/float64(b.N), "B/change")
		})
	}
}
