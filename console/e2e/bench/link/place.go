//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// prefix begins the names of all our namespaces; the process id follows.
const prefix = "oriel-link-"

// place is a network namespace whose only way out is a TUN device.
type place struct {
	name string
	tun  *os.File
}

func newPlace(name, address string) (*place, error) {
	if err := ip("netns", "add", name); err != nil {
		return nil, err
	}
	p := &place{name: name}
	err := p.inside(func() (err error) {
		p.tun, err = openTUN("oriel0")
		return err
	})
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"address", "add", address + "/30", "dev", "oriel0"},
		{"link", "set", "oriel0", "mtu", strconv.Itoa(mtu), "up"},
		// Browsers look for their own address by the way to the world.
		{"route", "add", "default", "dev", "oriel0"},
	} {
		if err == nil {
			err = ip(append([]string{"-n", name}, args...)...)
		}
	}
	if err != nil {
		p.remove()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

func (p *place) remove() {
	if p.tun != nil {
		p.tun.Close()
	}
	_ = ip("netns", "delete", p.name)
}

// inside calls f in the namespace, on a thread that ends with it.
func (p *place) inside(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: nothing else may run on this thread
		namespace, err := os.Open("/run/netns/" + p.name)
		if err == nil {
			defer namespace.Close()
			err = unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// forward lets a port of this place's loopback lead to the same port of an
// address: a page on 127.0.0.1 is one that a browser trusts.
func (p *place) forward(port, address string) error {
	var listener net.Listener
	err := p.inside(func() (err error) {
		listener, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		return err
	})
	if err != nil {
		return err
	}
	go func() { // until the process ends
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go p.join(from, net.JoinHostPort(address, port))
		}
	}()
	return nil
}

func (p *place) join(from net.Conn, address string) {
	defer from.Close()
	var to net.Conn
	err := p.inside(func() (err error) {
		to, err = new(net.Dialer).DialContext(context.Background(), "tcp", address)
		return err
	})
	if err != nil {
		return
	}
	defer to.Close()
	ended := make(chan struct{}, 2)
	half := func(dst, src net.Conn) {
		_, _ = io.Copy(dst, src)
		if tcp, ok := dst.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		ended <- struct{}{}
	}
	go half(to, from)
	go half(from, to)
	<-ended
	<-ended
}

// openTUN makes a device in the namespace of the calling thread.
func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = tunSetIff(fd, request)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make device %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func tunSetIff(fd int, request *unix.Ifreq) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(request)))
	if errno != 0 {
		return errno
	}
	return nil
}

// removeForgotten removes namespaces of links whose process is no more.
func removeForgotten() {
	found, _ := filepath.Glob("/run/netns/" + prefix + "*")
	for _, path := range found {
		name := filepath.Base(path)
		id, _, _ := strings.Cut(strings.TrimPrefix(name, prefix), "-")
		pid, err := strconv.Atoi(id)
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = ip("netns", "delete", name)
		}
	}
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
