package config

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// flags is the grammar. Everything is text: see check.go.
type flags struct {
	Config kong.ConfigFlag `help:"YAML file with these settings." placeholder:"FILE"`

	Name       string `help:"Name of this relay, shown to people." default:"Oriel"`
	Listen     string `help:"Address of console, agents and API." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	PublicURL  string `name:"public-url" help:"Address that browsers and agents use. Needed unless the relay listens on loopback." placeholder:"URL"`
	Data       string `help:"Folder for everything that is kept." default:"oriel-data" placeholder:"DIR"`
	Database   string `help:"sqlite:PATH or postgres://… (default: a file in the data folder)." placeholder:"URL"`
	SealingKey string `name:"sealing-key" help:"Key that opens the relay's own keys in the database; the same on all nodes (default: a systemd credential, or a file in the data folder)." placeholder:"BASE64"`
	NATS       string `name:"nats" help:"tls://USER:PASSWORD@… of an external bus, several with commas; nats:// on loopback only (default: embedded)." placeholder:"URL"`
	Blobs      string `help:"file:///… or s3://… for pictures (default: a folder in the data folder)." placeholder:"URL"`
	Downloads  string `help:"Release folder with the agent's packages (default: dist in the data folder)." placeholder:"DIR"`
	Node       string `help:"Name of this node among others (default: made once and kept in the data folder)." placeholder:"NAME"`

	TLSCert string `name:"tls-cert" help:"Certificate chain, PEM." placeholder:"FILE" group:"TLS"`
	TLSKey  string `name:"tls-key" help:"Its key, PEM." placeholder:"FILE" group:"TLS"`

	ACMEHosts     []string `name:"acme-hosts" help:"Get certificates for these names; you accept the terms of the CA." placeholder:"HOST,…" group:"TLS"`
	ACMEEmail     string   `name:"acme-email" help:"Whom the CA writes to." placeholder:"ADDRESS" group:"TLS"`
	ACMEDirectory string   `name:"acme-directory" help:"The CA." default:"https://acme-v02.api.letsencrypt.org/directory" placeholder:"URL" group:"TLS"`
	ACMECA        string   `name:"acme-ca" help:"Root certificate of the CA's own server, PEM." placeholder:"FILE" group:"TLS"`

	TURNUDP            string   `name:"turn-udp" help:"STUN and TURN over UDP; off to switch off (default: port 3478 beside listen)." placeholder:"HOST:PORT" group:"TURN"`
	TURNTCP            string   `name:"turn-tcp" help:"TURN over TCP; off to switch off (default: port 3478 beside listen)." placeholder:"HOST:PORT" group:"TURN"`
	TURNPublicAddress  string   `name:"turn-public-address" help:"IP address that relayed packets come from. Needed when listening on all addresses." placeholder:"IP" group:"TURN"`
	TURNPorts          string   `name:"turn-ports" help:"UDP ports of relayed packets (default: any)." placeholder:"MIN-MAX" group:"TURN"`
	TURNAllowPeers     []string `name:"turn-allow-peers" help:"Private networks that may be relayed into (default: none)." placeholder:"NET,…" group:"TURN"`
	TURNRealm          string   `name:"turn-realm" help:"Realm of the credentials." default:"oriel" placeholder:"NAME" group:"TURN"`
	TURNAllocations    string   `name:"turn-allocations" help:"Allocations at once per person or computer; a session takes two or three (default: 256)." placeholder:"N" group:"TURN"`
	TURNConnections    string   `name:"turn-connections" help:"TCP and TLS connections at once per address, such as an office's (default: 2048)." placeholder:"N" group:"TURN"`
	TURNBytesPerSecond string   `name:"turn-bytes-per-second" help:"Bandwidth per credential, such as 4M." placeholder:"N" group:"TURN"`

	AddressConnections    string `name:"address-connections" help:"Connections at once from one address, such as an office's (default: 8192)." placeholder:"N" group:"Bounds of one address (IPv6: a /64; its /56 twice, its /48 four times as much)"`
	AddressUndecided      string `name:"address-undecided" help:"New connections, agents' greetings and requests that are still being sent, of each at once from one address; the oldest makes place for the next (default: 256)." placeholder:"N" group:"Bounds of one address (IPv6: a /64; its /56 twice, its /48 four times as much)"`
	AddressSockets        string `name:"address-sockets" help:"Computers and windows of the console connected from one address (default: 8192)." placeholder:"N" group:"Bounds of one address (IPv6: a /64; its /56 twice, its /48 four times as much)"`
	AddressWrongPasswords string `name:"address-wrong-passwords" help:"Wrong passwords from one address in a quarter of an hour before only known browsers may sign in from there (default: 100)." placeholder:"N" group:"Bounds of one address (IPv6: a /64; its /56 twice, its /48 four times as much)"`
	AddressRequests       string `name:"address-requests" help:"Requests to the API in a minute from one address (default: 60000)." placeholder:"N" group:"Bounds of one address (IPv6: a /64; its /56 twice, its /48 four times as much)"`
	SignInRequests        string `name:"sign-in-requests" help:"Requests to the API in a minute from one sign-in or API key (default: 6000)." placeholder:"N"`

	AgentRelays []string `name:"agent-relays" help:"Addresses that agents connect to, in order (default: the public one)." placeholder:"URL,…"`

	LeaseMinutes string `name:"lease-minutes" help:"How long sessions go on while this relay cannot renew them; 2 to 1440." default:"15" placeholder:"N"`

	AuditDays string `name:"audit-days" help:"How long the audit is kept: who did what to what; 1 to 36500." default:"400" placeholder:"N"`

	SMTPHost         string `name:"smtp-host" help:"Mail server that takes invitations and confirmations (default: none, and admins hand links over themselves)." placeholder:"HOST" group:"Mail"`
	SMTPPort         string `name:"smtp-port" help:"Its port (default: 587, with tls 465, without 25)." placeholder:"N" group:"Mail"`
	SMTPTLS          string `name:"smtp-tls" help:"starttls, tls, none (to loopback only) or insecure (none, to anywhere: whoever listens can use the links)." default:"starttls" placeholder:"WORD" group:"Mail"`
	SMTPCA           string `name:"smtp-ca" help:"Root certificate of the mail server, PEM (default: the system's)." placeholder:"FILE" group:"Mail"`
	SMTPUser         string `name:"smtp-user" help:"Whom to sign in as (default: nobody)." placeholder:"NAME" group:"Mail"`
	SMTPPassword     string `name:"smtp-password" help:"The password, in the environment or the configuration file only." placeholder:"PASSWORD" group:"Mail"`
	SMTPPasswordFile string `name:"smtp-password-file" help:"File with nothing but the password, which only the relay's user may read." placeholder:"FILE" group:"Mail"`
	SMTPFrom         string `name:"smtp-from" help:"Sender's address. Needed with smtp-host." placeholder:"ADDRESS" group:"Mail"`
	SMTPFromName     string `name:"smtp-from-name" help:"Sender's name (default: the relay's)." placeholder:"TEXT" group:"Mail"`

	MetricsListen  string   `name:"metrics-listen" help:"Own address of /metrics, without token." placeholder:"HOST:PORT" group:"Watching"`
	MetricsToken   string   `name:"metrics-token" help:"Bearer token of /metrics." placeholder:"TOKEN" group:"Watching"`
	TrustedProxies []string `name:"trusted-proxies" help:"Networks whose X-Forwarded-For, -Proto, -Host and Forwarded are believed." placeholder:"NET,…" group:"Watching"`
	LogLevel       string   `name:"log-level" help:"debug, info, warn or error." default:"info" placeholder:"LEVEL" group:"Watching"`
	LogFormat      string   `name:"log-format" help:"text or json." default:"text" placeholder:"FORMAT" group:"Watching"`

	Serve  struct{} `cmd:"" help:"Run the relay."`
	Doctor struct{} `cmd:"" help:"Check everything the relay needs and say what to do."`
	Owner  struct {
		Link    struct{} `cmd:"" help:"Print a new one-time link for the first owner."`
		Recover struct{} `cmd:"" help:"Print a one-time link, good for an hour, with which the owner sets a new password; using it ends all their sign-ins."`
	} `cmd:"" help:"The owner."`
	Token struct {
		Create struct {
			Organization string `help:"Code of the organization whose computers they become (default: the relay's first)." placeholder:"CODE"`

			Note  string `help:"What it is for, shown in the list." placeholder:"TEXT"`
			Uses  string `help:"How many computers may enroll with it." default:"1" placeholder:"N"`
			Hours string `help:"How long it is good." default:"24" placeholder:"N"`
		} `cmd:"" help:"Print a new token that lets computers enroll."`
	} `cmd:"" help:"Enrollment tokens."`
	Backup struct {
		File string `arg:"" help:"File to write."`
	} `cmd:"" help:"Save database, sealed keys and blobs in one file, also while the relay runs. Keep the sealing key apart from it."`
	Restore struct {
		File string `arg:"" help:"File that backup wrote."`
	} `cmd:"" help:"Bring back what backup saved, into an empty data folder."`
	Key struct {
		Succession struct{} `cmd:"" help:"Make the succession key, print it once, and keep its public half only. Put it on paper or a stick, away from the relay: with it, and nothing else, the signing key can be changed later without enrolling computers again. Restart the relay afterwards; computers learn the public half when they connect."`
		Rotate     struct{} `cmd:"" help:"Change the relay's signing key, with the succession key from standard input. Stop the relay first, every node of it. Computers that know the succession key follow at their next connection and refuse what the old key signed; open enrollment tokens are revoked."`
	} `cmd:"" help:"The relay's signing key."`
	Audit struct {
		Verify struct {
			Organization string `help:"Code of the organization (default: all)." placeholder:"CODE"`
		} `cmd:"" help:"Read the whole audit and say whether anything in it was altered, put in between or taken out; the exit code is 1 then. The relay may run."`
		Export struct {
			Organization string `help:"Code of the organization (default: the first)." placeholder:"CODE"`
			Format       string `help:"csv, for spreadsheets, or jsonl, which is exact." default:"jsonl" placeholder:"FORMAT"`
		} `cmd:"" help:"Print all entries, the oldest first. The relay may run."`
	} `cmd:"" help:"Who did what to what."`
	adminFlags
	OpenAPI struct{} `cmd:"" name:"openapi" help:"Print the description of the REST API."`
	Version struct{} `cmd:"" help:"Print the version."`
}

// ErrHelp says that help was asked for and has been printed.
var ErrHelp = errors.New("help was printed")

// Parse reads the command line, the environment and the file. Errors: ErrHelp,
// *Problems for settings, and what kong says of an unknown flag or command.
func Parse(args []string, stdout, stderr io.Writer) (command string, c *Config, err error) {
	return parse(args, stdout, stderr, DefaultFile)
}

func parse(args []string, stdout, stderr io.Writer, defaultFile string) (command string, c *Config, err error) {
	f, problems := &flags{}, &Problems{}
	type exit struct{}
	defer func() {
		switch r := recover(); r.(type) {
		case nil:
		case exit:
			err = ErrHelp
		default:
			panic(r)
		}
	}()
	options := []kong.Option{
		kong.Name("oriel-relay"),
		kong.Description("The server of Oriel: it authenticates, introduces and remembers."),
		kong.DefaultEnvars("ORIEL"),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { panic(exit{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	}
	var found []string
	if _, err := os.Stat(defaultFile); err == nil {
		found = append(found, defaultFile)
	}
	options = append(options, kong.Configuration(problems.load, found...))
	parser, err := kong.New(f, options...)
	if err != nil {
		return "", nil, fmt.Errorf("read settings: %w", err)
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		return "", nil, err
	}
	if ctx.Command() == Version || ctx.Command() == OpenAPI {
		return ctx.Command(), nil, nil // need no settings
	}
	for _, part := range ctx.Path {
		if part.Flag != nil && part.Flag.Name == "smtp-password" && !part.Resolved {
			problems.add("smtp-password: others on this machine can read a command line; name a file with --smtp-password-file, or set ORIEL_SMTP_PASSWORD")
		}
	}
	c = f.check(problems)
	c.File = f.Backup.File + f.Restore.File // one of them, by the command
	c.Admin = f.admin(ctx.Command(), problems)
	if err := problems.err(); err != nil {
		return ctx.Command(), nil, err
	}
	return ctx.Command(), c, nil
}
