package turn

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// reusePort lets other sockets of this user have the address of c, too, and the
// kernel spread packets among them by client (SO_REUSEPORT). It is set when c
// has the address for itself already: set before, a second relay would join in
// silently and get half of the packets.
func reusePort(c net.PacketConn) bool {
	raw, err := c.(*net.UDPConn).SyscallConn()
	return err == nil && shared("", "", raw) == nil
}

func shared(_, _ string, raw syscall.RawConn) error {
	var err error
	if err2 := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); err2 != nil {
		return err2
	}
	return err
}

// given is the receive buffer that the kernel gave c, in bytes of packets as
// they were asked for; 0: not known.
func given(c net.PacketConn) int {
	raw, err := c.(*net.UDPConn).SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	_ = raw.Control(func(fd uintptr) { n, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) })
	return n / 2 // the kernel doubles it for its own needs, see socket(7)
}
