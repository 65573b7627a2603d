//go:build !linux

package turn

import (
	"net"
	"syscall"
)

// reusePort is refused: other systems give all packets to one of the sockets.
func reusePort(net.PacketConn) bool { return false }

func shared(string, string, syscall.RawConn) error { return nil }

func given(net.PacketConn) int { return 0 }
