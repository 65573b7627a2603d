package session

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/pion/transport/v4"
	"github.com/pion/transport/v4/stdnet"

	"oriel/agent/internal/identity"
)

// outward is the network as pion uses it to reach ICE servers. A name is checked
// by what it stands for at the moment that it is used: whoever owns a name could
// have it lead to this machine, its links or a metadata service.
type outward struct {
	transport.Net
	loopback bool // the relay is on this machine
}

func newOutward(loopback bool) (*outward, error) {
	std, err := stdnet.NewNet()
	if err != nil {
		return nil, fmt.Errorf("look at the network: %w", err)
	}
	return &outward{std, loopback}, nil
}

// check refuses to send to an address where nobody from outside may send an agent.
func (o *outward) check(ip net.IP) error {
	a, _ := netip.AddrFromSlice(ip)
	if a = a.Unmap(); identity.Inward(a) && !(o.loopback && a.IsLoopback()) {
		return fmt.Errorf("no ICE server may be at %s", ip)
	}
	return nil
}

// mdnsGroups are where pion listens for mDNS. A browser hides its own addresses behind
// names that only mDNS knows, and an agent behind a firewall has to send first. No ICE
// server is there: an offer's are checked before (node), and a name never equals one.
var mdnsGroups = [...]string{"224.0.0.0:5353", "[ff02::]:5353"}

func (o *outward) ResolveUDPAddr(network, address string) (*net.UDPAddr, error) {
	a, err := o.Net.ResolveUDPAddr(network, address)
	if err != nil {
		return nil, err
	}
	for _, group := range mdnsGroups {
		if strings.EqualFold(address, group) {
			return a, nil
		}
	}
	return a, o.check(a.IP)
}

func (o *outward) ResolveTCPAddr(network, address string) (*net.TCPAddr, error) {
	a, err := o.Net.ResolveTCPAddr(network, address)
	if err != nil {
		return nil, err
	}
	return a, o.check(a.IP)
}

func (o *outward) DialUDP(network string, local, remote *net.UDPAddr) (transport.UDPConn, error) {
	if err := o.check(remote.IP); err != nil {
		return nil, err
	}
	return o.Net.DialUDP(network, local, remote)
}

func (o *outward) DialTCP(network string, local, remote *net.TCPAddr) (transport.TCPConn, error) {
	if err := o.check(remote.IP); err != nil {
		return nil, err
	}
	return o.Net.DialTCP(network, local, remote)
}

// Dial takes a name apart first, so that what is checked is what is dialled.
func (o *outward) Dial(network, address string) (net.Conn, error) {
	a, err := o.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	return o.Net.Dial(network, a.String())
}
