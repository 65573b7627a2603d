package relaytest

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Via is n by a network between, which cut breaks: connections end without a goodbye.
func (n *Node) Via(t testing.TB) (via *Node, cut func()) {
	t.Helper()
	scheme, host, _ := strings.Cut(n.URL, "://")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn // protected by mu
	var wait sync.WaitGroup
	cut = func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range conns {
			_ = c.Close()
		}
		conns = nil
	}
	wait.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", host)
			if err != nil {
				_ = near.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, near, far)
			mu.Unlock()
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				wait.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].Close()
				})
			}
		}
	})
	t.Cleanup(func() { _ = l.Close(); cut(); wait.Wait() })
	return &Node{Store: n.Store, Access: n.Access, Fleet: n.Fleet, URL: scheme + "://" + l.Addr().String(), TLS: n.TLS}, cut
}
