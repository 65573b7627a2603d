// Package server is the relay's door: one listener for the console, the API,
// the agents, the downloads and (on TLS) TURN.
//
//	/                 the console: public files, the SPA's index.html for its pages
//	/api/…            REST, see package api
//	/api/docs         a page of the console that shows its description (public)
//	/live/v1          WebSocket of a console's tab: needs a sign-in
//	/agent/v1         WebSocket of an agent: needs a machine key or a token
//	/install.sh       the script for `curl … | sh`      (public)
//	/download/{name}  the files of the release          (public)
//	/healthz          the process lives                 (public)
//	/readyz           what is written is read back     (public)
//	/metrics          Prometheus, with a bearer token; or on an address of its own
//
// What holds for every connection and body: a place by address (package share).
// One that has not sent a whole request yet has a small share, and every body
// a deadline, whether or not its route reads it; of connections, the one that
// was not used for the longest time makes place for a newcomer.
//
// What holds for every answer: a strict Content-Security-Policy that runs
// nothing but the relay's own files, no framing, no sniffing, no referrer;
// HSTS over TLS. A request that changes something and a WebSocket are refused
// by one rule when they come from a foreign origin (own). Times and sizes are
// bounded; a panic answers 500 with the request's id, which the log has too.
// Logs name path, status and time: never a query, a header or a body.
//
// On TLS the listener makes the handshake itself. A connection that speaks h2
// goes to HTTP. Of the others the first byte tells: 0x00 to 0x3f is STUN or
// TURN's channel data (RFC 7983), letters are HTTP.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"oriel/relay/internal/access"
	"oriel/relay/internal/api"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/listen"
	"oriel/relay/internal/share"
)

// Options of New.
type Options struct {
	PublicURL *url.URL // needed
	API       *api.API
	Access    *access.Access
	Console   fs.FS // nil: this binary has no console
	// Live takes over a tab's WebSocket; the request's origin and sign-in are checked.
	Live func(w http.ResponseWriter, r *http.Request, who access.Identity)
	// Agent takes over an agent's; it authenticates by itself, before it upgrades.
	Agent http.Handler
	// Downloads is the release folder.
	Downloads string
	// Ready are what /readyz asks, by name, at most once a second each.
	Ready map[string]func(context.Context) error
	// MetricsToken guards /metrics; empty: no such route.
	MetricsToken string
	// TLS of the listener; nil: plain HTTP.
	TLS *tls.Config
	// TURN takes over the connections of a TLS listener that speak it; nil: they are closed.
	TURN func(net.Conn)
	// Shortage is where failures to accept are counted; nil: only logged.
	Shortage *listen.Shortage
	Bounds   Bounds
	Log      *slog.Logger // nil: none
}

// Server is built by New and runs with Serve.
type Server struct {
	o        Options
	mux      *http.ServeMux
	routes   []Route
	handler  http.Handler
	http     *http.Server
	metrics  *metrics
	release  *release
	draining atomic.Bool
	fresh    fresh
	conns    *listen.Bounds
	reading  *share.Places // requests whose body is being read
	health   health

	untrusted rate.Sometimes // when the log says that a proxy is not trusted
}

// Route is one address that the server answers.
type Route struct {
	Method, Path string // Method is empty for any
	Public       bool   // answers without authentication
	WebSocket    bool
}

// New builds the routes.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Bounds.setDefaults()
	s := &Server{o: o, mux: http.NewServeMux(), metrics: newMetrics(), release: &release{dir: o.Downloads, base: o.PublicURL},
		health:    health{checks: o.Ready, log: o.Log, now: time.Now},
		untrusted: rate.Sometimes{First: 1, Interval: time.Hour},
		conns: &listen.Bounds{Silent: share.New("silent connections", o.Bounds.Silent, o.Log),
			Open: share.New("connections", o.Bounds.Connections, o.Log), Trusted: o.Access.Trusts},
		reading: share.New("requests", o.Bounds.Requests, o.Log)}
	s.metrics.registry.MustRegister(&s.health)
	if err := s.build(); err != nil {
		return nil, err
	}
	s.http = &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		TLSConfig:         o.TLS,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		ConnContext:       withTLS,
		ConnState:         s.note,
	}
	return s, nil
}

func (s *Server) build() error {
	s.handle("GET", "/healthz", true, false, http.HandlerFunc(s.healthy))
	s.handle("GET", "/readyz", true, false, http.HandlerFunc(s.ready))
	s.handle("GET", "/install.sh", true, false, http.HandlerFunc(s.release.script))
	s.handle("GET", "/download/{name}", true, false, http.HandlerFunc(s.release.download))
	if s.o.MetricsToken != "" {
		s.handle("GET", "/metrics", false, false, bearer(s.o.MetricsToken, s.metrics.handler()))
	}
	if s.o.Live != nil {
		s.handle("GET", "/live/v1", false, true, s.sameOrigin(http.HandlerFunc(s.live)))
	}
	if s.o.Agent != nil {
		s.handle("GET", "/agent/v1", false, true, s.sameOrigin(s.o.Agent))
	}
	if s.o.API != nil {
		s.mux.Handle("/api/", s.o.API.Handler())
		for _, r := range s.o.API.Routes() {
			s.routes = append(s.routes, Route{Method: r.Method, Path: r.Path, Public: r.Public})
		}
	}
	console, err := newConsole(s.o.Console)
	if err != nil {
		return fmt.Errorf("read the console's files: %w", err)
	}
	s.handle("GET", "/api/docs", true, false, console) // the console's page that shows the API's description
	s.mux.Handle("/", console)                         // without a method: it would conflict with /api/
	s.routes = append(s.routes, Route{Method: "GET", Path: "/", Public: true})

	s.handler = s.outermost(s.bodies(s.headers(s.protect(s.mux))))
	return nil
}

func (s *Server) handle(method, path string, public, socket bool, h http.Handler) {
	s.mux.Handle(method+" "+path, h)
	s.routes = append(s.routes, Route{Method: method, Path: path, Public: public, WebSocket: socket})
}

// Routes lists every address, the API's among them.
func (s *Server) Routes() []Route { return s.routes }

// Handler answers every request, for tests without a listener.
func (s *Server) Handler() http.Handler { return s.handler }

// Gauge adds a value that goes up and down to the metrics; before Serve.
func (s *Server) Gauge(name, help string, value func() float64) {
	s.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Counter adds a value that only goes up; before Serve.
func (s *Server) Counter(name, help string, value func() float64) {
	s.metrics.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// Bound adds what one of the bounds counts to the metrics; before Serve.
func (s *Server) Bound(name string, stats func() share.Stats) {
	labels := prometheus.Labels{"bound": name}
	s.metrics.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "oriel_places", Help: "Places of a bound that are held.", ConstLabels: labels},
			func() float64 { return float64(stats().Held) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "oriel_places_evicted_total", Help: "Undecided holders that made place for newcomers.", ConstLabels: labels},
			func() float64 { return float64(stats().Evicted) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "oriel_places_refused_total", Help: "Newcomers that found all places held by those who decided.", ConstLabels: labels},
			func() float64 { return float64(stats().Refused) }))
}

// MetricsHandler is /metrics for a listener of its own, without token.
func (s *Server) MetricsHandler() http.Handler { return s.metrics.handler() }

// AgentScript of the release, for the API; nil: there is none.
func (s *Server) AgentScript() []byte {
	text, err := s.release.text()
	if err != nil {
		return nil
	}
	return text
}

// AgentFiles of the release, for the API.
func (s *Server) AgentFiles() []api.AgentFile { return s.release.agentFiles() }

// Serve answers on l until Shutdown. It returns nil after that.
func (s *Server) Serve(l net.Listener) error {
	l = s.conns.Listener(listen.Patient(l, "door", s.o.Shortage, s.o.Log))
	if s.o.TLS != nil {
		l = listenTLS(l, s.o.TLS, s.o.TURN)
	}
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// Drain makes /readyz say no, so that no balancer sends more.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown closes the listener and waits for requests under way, then closes
// what is left when ctx ends. WebSockets belong to who took them over.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	s.fresh.stop()
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	who, err := s.o.Access.Identify(r)
	if err == nil {
		s.o.Live(w, r, who)
		return
	}
	if fault.Of(err) == fault.ErrInternal {
		s.o.Log.Error("identify a tab", "error", err)
	}
	fault.Write(w, err)
}

func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") }

// ready asks everything the relay needs, at once, and names what does not
// answer; why stays in the log.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		plain(w, http.StatusServiceUnavailable, "draining\n")
		return
	}
	code, text := s.health.answer(r.Context())
	plain(w, code, text)
}

func plain(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text))
}
