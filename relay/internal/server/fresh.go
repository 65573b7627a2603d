package server

import (
	"net"
	"net/http"
	"sync"
)

// fresh are connections that have not asked for anything yet: browsers open
// them ahead of need. http.Server.Shutdown would wait five seconds for each.
type fresh struct {
	mu       sync.Mutex
	conns    map[net.Conn]struct{} // protected by mu
	stopping bool                  // protected by mu
}

func (f *fresh) note(c net.Conn, state http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if state != http.StateNew {
		delete(f.conns, c)
		return
	}
	if f.stopping {
		_ = c.Close()
		return
	}
	if f.conns == nil {
		f.conns = map[net.Conn]struct{}{}
	}
	f.conns[c] = struct{}{}
}

// stop closes them, and whichever still comes.
func (f *fresh) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopping = true
	for c := range f.conns {
		_ = c.Close()
	}
}
