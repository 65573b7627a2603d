package turn

import (
	"context"
	"fmt"
	"net"
	"runtime"
)

// socketBuffer is what each UDP socket asks for in either direction, in bytes:
// a quarter of a second of 32 Mbit/s. A kernel may give less (Linux:
// net.core.rmem_max and wmem_max).
const socketBuffer = 1 << 20

// socketCount is into how many sockets packets are spread where the system
// does that: one goroutine reads each.
func socketCount() int { return min(max(runtime.GOMAXPROCS(0), 2), 8) }

// packets opens the UDP sockets of one address. An address that anybody else
// has is an error, also where the sockets share it among themselves.
func packets(address string) (all []net.PacketConn, err error) {
	defer func() {
		if err != nil {
			for _, c := range all {
				_ = c.Close()
			}
			all, err = nil, fmt.Errorf("listen for TURN on UDP %s: %w", address, err)
		}
	}()
	first, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, err
	}
	all = append(all, first)
	if reusePort(first) {
		// Spelled out: port 0 was any port.
		config, at := net.ListenConfig{Control: shared}, first.LocalAddr().(*net.UDPAddr)
		network := "udp"
		if at.IP.To4() != nil {
			network = "udp4"
		}
		for len(all) < socketCount() {
			c, err := config.ListenPacket(context.Background(), network, at.String())
			if err != nil {
				return all, err
			}
			all = append(all, c)
		}
	}
	for _, c := range all {
		u := c.(*net.UDPConn)
		_, _ = u.SetReadBuffer(socketBuffer), u.SetWriteBuffer(socketBuffer) // Buffer says what came of it
	}
	return all, nil
}
