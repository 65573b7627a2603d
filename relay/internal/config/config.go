// Package config is what the relay is told at its start: the command, and
// where it listens, keeps its data and finds its neighbours.
//
// Every setting is a flag (--turn-udp), an environment variable
// (ORIEL_TURN_UDP) and a key of a YAML file (turn-udp, or udp under turn),
// named by --config or found at DefaultFile. The flag wins over the
// environment, the environment over the file, the file over the default. JSON
// is YAML and works too. Secrets (metrics-token, sealing-key, a password in database or
// nats) belong in the environment or the file, not on a command line that
// others can list; smtp-password is refused there.
//
// All problems are reported at once, each with what to do: Parse returns
// *Problems. Values are therefore text to kong, and are understood here.
//
// This package is the only door to kong and to YAML.
package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// DefaultFile is read when it is there and --config names no other.
const DefaultFile = "/etc/oriel/relay.yaml"

// Commands of oriel-relay, as Parse returns them.
const (
	Serve     = "serve"
	Doctor    = "doctor"
	OwnerLink = "owner link"
	Recover   = "owner recover"
	NewToken  = "token create"
	Backup    = "backup <file>"
	Restore   = "restore <file>"
	OpenAPI   = "openapi"
	Version   = "version"

	KeySuccession = "key succession"
	KeyRotate     = "key rotate"

	AuditVerify = "audit verify"
	AuditExport = "audit export"
)

// Config is checked and complete: no field needs a default any more.
type Config struct {
	Name      string   // shown to people
	Listen    string   // host:port
	PublicURL *url.URL // nil: taken from the address listened on (loopback only)
	Data      string   // folder of everything below that has no place of its own
	Database  string   // as store.Open wants it
	// SealingKey opens the relay's own keys in the database; empty: a systemd
	// credential, or a file in Data.
	SealingKey string
	NATS       string // URLs with commas; empty: embedded
	Blobs      string // URL of a bucket; empty: a folder in Data
	Downloads  string // the release folder that /download serves
	Node       string // name of this node; empty: kept in Data

	TLS    TLS
	TURN   TURN
	Bounds Bounds

	// Lease is how long an agent lets a session run that this relay does not renew.
	Lease time.Duration

	AuditKeep time.Duration // entries of the audit that are older go

	SMTP SMTP

	AgentRelays []string // where agents shall connect, in order; empty: PublicURL

	MetricsListen  string // empty: /metrics on Listen, with MetricsToken
	MetricsToken   string // both empty: no metrics
	TrustedProxies []netip.Prefix

	LogLevel  string // debug, info, warn, error
	LogFormat string // text, json

	Token Token  // of NewToken
	File  string // of Backup and Restore
	Audit Audit  // of AuditVerify and AuditExport
	Admin Admin  // of the commands about people
}

// Token is the enrollment token that NewToken shall make.
type Token struct {
	Note         string
	Uses         int
	Lifetime     time.Duration
	Organization string // its code; empty: the first
}

// Audit is what AuditVerify and AuditExport shall read.
type Audit struct {
	Organization string // its code or id; empty: see there
	Format       string // csv or jsonl
}

// TLS of the listener: none, files, or ACME.
type TLS struct {
	Cert, Key string
	ACME      ACME
}

// ACME is where certificates come from when Hosts is not empty.
type ACME struct {
	Hosts     []string
	Email     string
	Directory string // URL
	CA        string // file with the root of the directory's own certificate; empty: the system's
}

// On reports whether the listener speaks TLS.
func (t TLS) On() bool { return t.Cert != "" || len(t.ACME.Hosts) > 0 }

// TURN is the relay for pixels of those who find no direct way.
type TURN struct {
	UDP, TCP         string         // host:port to listen on; empty: not
	PublicAddress    netip.Addr     // what peers send to; invalid: the address listened on
	MinPort, MaxPort uint16         // of relayed packets; 0: any
	AllowPeers       []netip.Prefix // private networks that may be relayed into
	Realm            string
	Allocations      int   // at once per person or agent; 0: turn's default
	Connections      int   // TCP and TLS, at once per address; 0: turn's default
	BytesPerSecond   int64 // per allocation; 0: turn's default
}

// SMTP is the server that takes the relay's mail.
type SMTP struct {
	Host     string // empty: no mail is sent
	Port     int
	TLS      string // StartTLS, ImplicitTLS, NoTLS
	CA       string // file with the root of its certificate; empty: the system's
	User     string // empty: without authentication
	Password string
	From     string // address
	FromName string
}

// Values of SMTP.TLS.
const (
	StartTLS    = "starttls"
	ImplicitTLS = "tls"
	NoTLS       = "none"
)

// On reports whether mail is sent at all.
func (s SMTP) On() bool { return s.Host != "" }

// Bounds are what one address may hold at once; 0: the default of the room
// concerned. Of IPv6 it is a /64, and its /56 and /48 may hold two and four
// times as much (package share).
type Bounds struct {
	Connections    int // to Listen
	Undecided      int // of new connections, greetings and bodies, each
	Sockets        int // agents and tabs
	WrongPasswords int // in a quarter of an hour
	Requests       int // to the API in a minute
	SignInRequests int // of one sign-in, wherever it comes from, to the API in a minute
}

// Problems is everything that is wrong, in one error.
type Problems struct{ List []string }

func (p *Problems) add(format string, args ...any) {
	p.List = append(p.List, fmt.Sprintf(format, args...))
}

func (p *Problems) Error() string {
	if len(p.List) == 1 {
		return p.List[0]
	}
	return fmt.Sprintf("%d problems:\n  - %s", len(p.List), strings.Join(p.List, "\n  - "))
}

func (p *Problems) err() error {
	if len(p.List) == 0 {
		return nil
	}
	return p
}
