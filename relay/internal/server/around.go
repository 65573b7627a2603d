package server

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"iter"
	"maps"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"oriel/relay/internal/fault"
)

// How long an answer may take, to the last byte.
const (
	answerWithin   = 2 * time.Minute
	downloadWithin = 2 * time.Hour
)

// Faults of requests that reach neither the API nor the hub.
var (
	errForeign = fault.New(fault.CrossOrigin, "this request came from a page of another site; open the console at its own address")
	errMetrics = fault.New(fault.MetricsToken, "send the token of the setting metrics-token")
	errNoFile  = fault.New(fault.NoFile, "there is nothing here; check the address")
	errNoWrite = fault.New(fault.ReadOnly, "this address can only be read")
)

// origin of an address, as browsers write it.
func origin(u *url.URL) string {
	host := u.Host
	if p := u.Port(); u.Scheme == "https" && p == "443" || u.Scheme == "http" && p == "80" {
		host = strings.TrimSuffix(host, ":"+p)
	}
	return u.Scheme + "://" + host
}

// foreign answers a request that a page of another origin made.
func foreign(w http.ResponseWriter, _ *http.Request) {
	fault.Write(w, errForeign)
}

// own reports whether r comes from a page of this relay, or from no browser:
// that names no origin, and brings no cookie of somebody else. It is the one
// rule for what changes something and for WebSockets. Behind a proxy that is
// not trusted, the console is known by the public address, or by the word of
// the browser (Sec-Fetch-Site, which no page can set).
func (s *Server) own(r *http.Request) bool {
	site := strings.Join(r.Header.Values("Sec-Fetch-Site"), ",")
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return site == "" || site == "same-origin" || site == "none"
	}
	here, public := s.o.Access.Asked(r).Origin(), origin(s.o.PublicURL)
	for _, o := range origins {
		if !strings.EqualFold(o, here) && !strings.EqualFold(o, public) {
			return site == "same-origin" && len(origins) == 1
		}
	}
	return true
}

// sameOrigin refuses a WebSocket that a page of another origin opens.
func (s *Server) sameOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.own(r) {
			foreign(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// protect refuses a request that may change something and comes from a page of
// another origin.
func (s *Server) protect(next http.Handler) http.Handler {
	other := s.sameOrigin(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
			next.ServeHTTP(w, r)
		default:
			other.ServeHTTP(w, r)
		}
	})
}

// proxyHeader of an answer to /healthz tells doctor that the request came
// through a proxy that is not trusted.
const proxyHeader = "X-Oriel-Proxy"

// notice says in the log, once an hour at most, that a proxy stands in front
// whose word is not believed: everybody seems to come from its address.
func (s *Server) notice(w http.ResponseWriter, r *http.Request) {
	proxy := s.o.Access.Asked(r).Proxy
	if proxy == "" {
		return
	}
	if r.URL.Path == "/healthz" {
		w.Header().Set(proxyHeader, "untrusted")
	}
	s.untrusted.Do(func() {
		s.o.Log.Warn("requests come through a proxy that is not trusted, so that everybody behind it counts as one address; if it is yours, name it in the setting trusted-proxies",
			"proxy", proxy)
	})
}

// headers sets what holds for every answer.
func (s *Server) headers(next http.Handler) http.Handler {
	// 'self' covers ws: of the same host in newer browsers only.
	csp := strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' blob: data:",
		"connect-src 'self' ws://" + s.o.PublicURL.Host + " wss://" + s.o.PublicURL.Host,
		"media-src blob: 'self'", "font-src 'self'", "manifest-src 'self'", "worker-src 'self'",
		"frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'",
	}, "; ")
	if s.o.TLS != nil {
		csp = strings.Replace(csp, "ws://"+s.o.PublicURL.Host+" ", "", 1)
	}
	permissions := strings.Join([]string{
		"fullscreen=(self)", "keyboard-map=(self)", "clipboard-read=(self)", "clipboard-write=(self)",
		"screen-wake-lock=(self)", "autoplay=(self)", "camera=()", "microphone=()", "geolocation=()",
		"display-capture=()", "payment=()", "usb=()", "serial=()", "hid=()", "midi=()",
	}, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", csp)
		h.Set("Permissions-Policy", permissions)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if s.o.PublicURL.Scheme == "https" {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// outermost gives a request its id, counts and logs it, and catches panics.
func (s *Server) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if state := tlsOf(r.Context()); state != nil && r.TLS == nil {
			r.TLS = state
		}
		// A client that reads nothing holds an answer this long; a WebSocket has deadlines of its own.
		within := answerWithin
		if strings.HasPrefix(r.URL.Path, "/download/") {
			within = downloadWithin
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(within))
		id := requestID()
		a := &answer{ResponseWriter: w}
		a.Header().Set("X-Request-Id", id)
		s.notice(a, r)
		start := time.Now()
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.o.Log.Error("panic", "request", id, "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				if a.status == 0 {
					fault.Write(a, fault.ErrInternal.Saying("something went wrong on the relay; its log has it as request "+id))
				}
			}
			took := time.Since(start)
			s.metrics.count(r, a.code(), took)
			level := s.o.Log.Debug
			if a.code() >= 500 {
				level = s.o.Log.Warn
			}
			level("request", "request", id, "method", r.Method, "path", r.URL.Path, "status", a.code(), "ms", took.Milliseconds())
		}()
		next.ServeHTTP(a, r)
	})
}

func requestID() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// answer remembers the status.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) code() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}

func (a *answer) WriteHeader(code int) {
	if a.status == 0 && code >= 200 {
		a.status = code
	}
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Hijack is what a WebSocket is upgraded with.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err == nil {
		a.status = http.StatusSwitchingProtocols
	}
	return c, rw, err
}

// bearer lets only who knows the token pass.
func bearer(token string, next http.Handler) http.Handler {
	want := []byte("Bearer " + token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			fault.Write(w, errMetrics)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func sorted[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

type tlsKey struct{}

// withTLS keeps the TLS connection below a sniffed one, which net/http does not know.
func withTLS(ctx context.Context, c net.Conn) context.Context {
	if p, ok := c.(*peeked); ok {
		return context.WithValue(ctx, tlsKey{}, p.Conn)
	}
	return ctx
}

func tlsOf(ctx context.Context) *tls.ConnectionState {
	c, ok := ctx.Value(tlsKey{}).(*tls.Conn)
	if !ok {
		return nil
	}
	state := c.ConnectionState()
	return &state
}
