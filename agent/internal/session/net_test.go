package session

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

// Rule: a check must read the same thing that is used. A name of the relay's
// that stands for this machine or a metadata service is not asked as ICE server.
func TestNamesAreCheckedByWhatTheyStandFor(t *testing.T) {
	for _, loopback := range []bool{false, true} {
		o, err := newOutward(loopback)
		if err != nil {
			t.Fatal(err)
		}
		for address, ok := range map[string]bool{
			"localhost:3478": loopback, "127.0.0.1:3478": loopback, "[::1]:3478": loopback,
			"169.254.169.254:80": false, "168.63.129.16:80": false, "[fd00:ec2::254]:80": false, "0.0.0.0:1": false, "[ff02::1]:1": false,
			"224.0.0.0:3478": false, "224.0.0.251:5353": false, "[ff02::fb]:5353": false,
			"192.0.2.1:3478": true, "[2001:db8::1]:3478": true,
		} {
			u, err := o.ResolveUDPAddr("udp", address)
			if (err == nil) != ok {
				t.Errorf("loopback %v: udp %s is %v, %v", loopback, address, u, err)
			}
			if _, err := o.ResolveTCPAddr("tcp", address); (err == nil) != ok {
				t.Errorf("loopback %v: tcp %s: %v", loopback, address, err)
			}
		}
		if _, err := o.DialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4(169, 254, 169, 254), Port: 80}); err == nil {
			t.Error("a metadata service is dialled")
		}
		if _, err := o.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(169, 254, 169, 254), Port: 80}); err == nil {
			t.Error("a metadata service is dialled")
		}
	}
}

// lines is a log that may be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Rule: what keeps ICE servers away keeps nothing else away. The names behind which
// browsers hide their own addresses are asked for by mDNS as before.
func TestNamesOfBrowsersAreAskedFor(t *testing.T) {
	for _, loopback := range []bool{false, true} {
		out, err := newOutward(loopback)
		if err != nil {
			t.Fatal(err)
		}
		var log lines
		var engine webrtc.SettingEngine
		engine.SetNet(out)
		engine.LoggerFactory = loggers{slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		engine.SetIncludeLoopbackCandidate(loopback)
		pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(engine)).NewPeerConnection(webrtc.Configuration{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pc.CreateDataChannel("x", nil); err != nil {
			t.Fatal(err)
		}
		gathered := webrtc.GatheringCompletePromise(pc)
		offer, err := pc.CreateOffer(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := pc.SetLocalDescription(offer); err != nil {
			t.Fatal(err)
		}
		select {
		case <-gathered:
		case <-time.After(10 * time.Second):
			t.Error("nothing is gathered")
		}
		if err := pc.Close(); err != nil {
			t.Error(err)
		}
		if said := log.String(); strings.Contains(said, "initialize mDNS") {
			t.Errorf("loopback %v: mDNS is refused:\n%s", loopback, said)
		}
	}
}
