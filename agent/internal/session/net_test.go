package session

import (
	"net"
	"testing"
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
