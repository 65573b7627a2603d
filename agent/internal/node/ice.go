package node

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/stun/v4"

	"oriel/agent/internal/identity"
	"oriel/protocol/address"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
)

// iceRule decides which of the ICE servers that an offer names are asked: only
// the relay's own hosts, which are those of its addresses, and what was
// configured here. An address in figures must be one of theirs, or one that a
// name of theirs stands for. Never is one taken that identity.Inward refuses,
// but for loopback where the relay is on this machine; what names stand for at
// the moment they are used is checked again by the session.
type iceRule struct {
	configured []string // names and addresses, as a person wrote them
	log        *slog.Logger
	lookup     func(context.Context, string) ([]netip.Addr, error)

	mu      sync.Mutex
	known   map[string][]netip.Addr // protected by mu; what the names stood for last
	looking bool                    // protected by mu
	looked  time.Time               // protected by mu
	said    map[string]bool         // protected by mu; hosts refused that were logged
}

func newICERule(configured []string, log *slog.Logger) *iceRule {
	return &iceRule{
		configured: configured, log: log,
		lookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		},
		known: make(map[string][]netip.Addr), said: make(map[string]bool),
	}
}

// lookEvery is how often names are looked up at most, and for how long.
const (
	lookEvery  = 10 * time.Second
	lookWithin = 10 * time.Second
)

// hosts are the relay's and the configured ones, in lower case.
func (r *iceRule) hosts(s identity.State) []string {
	hosts := s.Hosts()
	for _, h := range r.configured {
		hosts = append(hosts, identity.Host(h))
	}
	return hosts
}

// look learns what the relay's names stand for. It does not block; ctx ends it.
func (r *iceRule) look(ctx context.Context, s identity.State, group *sync.WaitGroup) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil || r.looking || time.Since(r.looked) < lookEvery && len(r.known) > 0 {
		return
	}
	r.looking = true
	names := slices.DeleteFunc(r.hosts(s), func(h string) bool { return figures(h).IsValid() })
	group.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, lookWithin)
		defer cancel()
		found := make(map[string][]netip.Addr)
		for _, name := range names {
			if all, err := r.lookup(ctx, name); err == nil {
				found[name] = all
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, name := range names {
			if all, ok := found[name]; ok {
				r.known[name] = all
			}
		}
		r.looking, r.looked = false, time.Now()
	})
}

// take is the servers that may be asked, each written as it was read.
func (r *iceRule) take(s identity.State, servers []*orielv1.IceServer) []*orielv1.IceServer {
	var out []*orielv1.IceServer
	for _, server := range servers {
		var urls []string
		for _, u := range server.GetUrls() {
			uri, err := stun.ParseURI(u)
			if err != nil {
				r.refuse("cannot be read", u)
			} else if why := r.why(s, uri.Host); why != "" {
				r.refuse(why, uri.Host)
			} else {
				urls = append(urls, uri.String())
			}
		}
		if len(urls) > 0 {
			out = append(out, &orielv1.IceServer{Urls: urls, Username: server.GetUsername(), Credential: server.GetCredential()})
		}
	}
	return out
}

// why a host is not to be asked; empty: it may be.
func (r *iceRule) why(s identity.State, written string) string {
	host := identity.Host(written)
	ip := figures(host)
	if loopback := address.Loopback(host); loopback && s.OnLoopback() {
		return ""
	} else if loopback || ip.IsValid() && identity.Inward(ip) {
		return "leads to this machine, its links or a metadata service"
	}
	hosts := r.hosts(s)
	if slices.Contains(hosts, host) {
		return ""
	}
	if ip.IsValid() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, name := range hosts {
			if slices.ContainsFunc(r.known[name], func(a netip.Addr) bool { return a.Unmap() == ip }) || figures(name) == ip {
				return ""
			}
		}
	}
	return "is not a host of the relay; if it shall be used, name it with --ice-hosts"
}

// refuse logs one host once.
func (r *iceRule) refuse(why, host string) {
	r.mu.Lock()
	again := r.said[host] || len(r.said) > 64
	r.said[host] = true
	r.mu.Unlock()
	if !again {
		r.log.Warn("an ICE server that the relay named is not asked: it "+why, "server", sanitize.Line(host, 256))
	}
}

// figures is a host that is an IP address; else the zero Addr.
func figures(host string) netip.Addr {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return ip.Unmap().WithZone("")
}
