package config

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"oriel/protocol/address"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/seal"
	"oriel/relay/internal/store"
)

// check turns text into a Config and adds what is wrong to p.
func (f *flags) check(p *Problems) *Config {
	c := &Config{
		Name: strings.TrimSpace(f.Name), Listen: f.Listen, Data: f.Data, Database: f.Database, NATS: f.NATS, Blobs: f.Blobs,
		Downloads: f.Downloads, Node: f.Node, MetricsListen: f.MetricsListen, MetricsToken: f.MetricsToken,
		LogLevel: f.LogLevel, LogFormat: f.LogFormat,
		SealingKey: f.SealingKey,
	}
	if c.Name == "" || len(c.Name) > 64 {
		p.add("name: give one of 1 to 64 bytes")
	}
	f.checkPlaces(c, p)
	host, loopback := p.listen("listen", f.Listen)
	f.checkTLS(c, p)
	f.checkPublicURL(c, p, loopback)
	f.checkTURN(c, p, host)
	f.checkLease(c, p)
	f.checkAudit(c, p)
	f.checkSMTP(c, p, loopback)
	c.AgentRelays = nil
	for _, text := range f.AgentRelays {
		if u := p.relay("agent-relays", text); u != nil {
			c.AgentRelays = append(c.AgentRelays, u.String())
		}
	}
	if len(f.AgentRelays) > 16 {
		p.add("agent-relays: an agent remembers 16 addresses at most")
	}
	f.checkWatching(c, p)
	for _, one := range []struct {
		name, text string
		to         *int
	}{
		{"address-connections", f.AddressConnections, &c.Bounds.Connections},
		{"address-undecided", f.AddressUndecided, &c.Bounds.Undecided},
		{"address-sockets", f.AddressSockets, &c.Bounds.Sockets},
		{"address-wrong-passwords", f.AddressWrongPasswords, &c.Bounds.WrongPasswords},
		{"address-requests", f.AddressRequests, &c.Bounds.Requests},
		{"sign-in-requests", f.SignInRequests, &c.Bounds.SignInRequests},
	} {
		*one.to = int(p.number(one.name, one.text, 1<<20))
	}
	c.Token = Token{Organization: f.Token.Create.Organization, Note: f.Token.Create.Note, Uses: int(p.number("uses", f.Token.Create.Uses, 100_000)),
		Lifetime: time.Duration(p.number("hours", f.Token.Create.Hours, 365*24)) * time.Hour}
	return c
}

var nodeName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func (f *flags) checkPlaces(c *Config, p *Problems) {
	if c.Data == "" {
		p.add("data: name a folder")
		return
	}
	data, err := filepath.Abs(c.Data)
	if err != nil {
		p.add("data: %v", err)
		return
	}
	c.Data = data
	if c.Database == "" {
		c.Database = "sqlite:" + filepath.Join(data, "relay.db")
	} else if _, _, err := store.ParseAddress(c.Database); err != nil {
		p.add("database: %v", err)
	}
	if c.Downloads == "" {
		c.Downloads = filepath.Join(data, "dist")
	}
	if c.SealingKey != "" {
		if _, err := seal.Parse(c.SealingKey); err != nil {
			p.add("sealing-key: %v", err)
		}
	}
	if c.Node != "" && !nodeName.MatchString(c.Node) {
		p.add("node: a name has 1 to 64 letters, digits, - or _")
	}
	if c.NATS != "" {
		if err := bus.CheckURL(c.NATS); err != nil {
			p.add("nats: %v", err)
		}
	}
	if c.Blobs != "" {
		if u, err := url.Parse(c.Blobs); err != nil || (u.Scheme != "file" && u.Scheme != "s3") {
			p.add("blobs: write file:///folder or s3://bucket")
		}
	}
}

func (f *flags) checkTLS(c *Config, p *Problems) {
	c.TLS = TLS{Cert: f.TLSCert, Key: f.TLSKey, ACME: ACME{Email: f.ACMEEmail, Directory: f.ACMEDirectory, CA: f.ACMECA}}
	if (f.TLSCert == "") != (f.TLSKey == "") {
		p.add("tls-cert, tls-key: give both or none")
	}
	for _, one := range []struct{ name, path string }{{"tls-cert", f.TLSCert}, {"tls-key", f.TLSKey}, {"acme-ca", f.ACMECA}} {
		if one.path == "" {
			continue
		}
		if r, err := os.Open(one.path); err != nil {
			p.add("%s: %v", one.name, err)
		} else {
			_ = r.Close()
		}
	}
	for _, host := range f.ACMEHosts {
		if _, err := netip.ParseAddr(host); err == nil || !IsHost(host) {
			p.add("acme-hosts: %q is not a host's name", host)
			continue
		}
		c.TLS.ACME.Hosts = append(c.TLS.ACME.Hosts, strings.ToLower(host))
	}
	if len(f.ACMEHosts) > 0 {
		p.url("acme-directory", f.ACMEDirectory, "https")
		if f.TLSCert != "" {
			p.add("acme-hosts, tls-cert: certificates come from one or the other; remove one")
		}
	}
}

func (f *flags) checkPublicURL(c *Config, p *Problems, loopback bool) {
	tls := f.TLSCert != "" || len(f.ACMEHosts) > 0
	switch {
	case f.PublicURL != "":
		c.PublicURL = p.relay("public-url", f.PublicURL)
		if c.PublicURL != nil && tls && c.PublicURL.Scheme != "https" {
			p.add("public-url: the relay speaks TLS, so this begins with https://")
		}
		if c.PublicURL != nil && !tls && c.PublicURL.Scheme == "https" && len(f.TrustedProxies) == 0 {
			p.add("public-url: begins with https://, but there is no certificate (tls-cert or acme-hosts) and no proxy that has one (trusted-proxies)")
		}
	case len(f.ACMEHosts) > 0:
		port := ""
		if _, number, err := net.SplitHostPort(f.Listen); err == nil && number != "443" {
			port = ":" + number
		}
		c.PublicURL = &url.URL{Scheme: "https", Host: f.ACMEHosts[0] + port}
	case !loopback:
		p.add("public-url: listening on %s, say at which address browsers and agents reach the relay", f.Listen)
	}
}

func (f *flags) checkTURN(c *Config, p *Problems, host string) {
	beside := func(name, text string) string {
		switch text {
		case "":
			if _, port, _ := net.SplitHostPort(f.Listen); port == "0" {
				return net.JoinHostPort(host, "0") // any, as it was asked for
			}
			return net.JoinHostPort(host, "3478")
		case "off":
			return ""
		}
		p.listen(name, text)
		return text
	}
	c.TURN = TURN{UDP: beside("turn-udp", f.TURNUDP), TCP: beside("turn-tcp", f.TURNTCP), Realm: f.TURNRealm,
		AllowPeers: p.networks("turn-allow-peers", f.TURNAllowPeers)}
	if f.TURNPublicAddress != "" {
		a, err := netip.ParseAddr(f.TURNPublicAddress)
		if err != nil || a.IsUnspecified() || a.Zone() != "" {
			p.add("turn-public-address: %q is not an IP address that others can reach", f.TURNPublicAddress)
		}
		c.TURN.PublicAddress = a
	} else {
		for _, one := range []struct{ name, address string }{{"turn-udp", c.TURN.UDP}, {"turn-tcp", c.TURN.TCP}} {
			h, _, _ := net.SplitHostPort(one.address)
			if a, err := netip.ParseAddr(h); one.address != "" && (h == "" || err == nil && a.IsUnspecified()) {
				p.add("turn-public-address: %s listens on all addresses, say which one relayed packets come from (or %s=off)", one.name, one.name)
				break
			}
		}
	}
	if f.TURNPorts != "" {
		low, high, _ := strings.Cut(f.TURNPorts, "-")
		a, err1 := strconv.ParseUint(low, 10, 16)
		b, err2 := strconv.ParseUint(high, 10, 16)
		if err1 != nil || err2 != nil || a == 0 || b < a {
			p.add("turn-ports: write the lowest and the highest, such as 49152-65535")
		}
		c.TURN.MinPort, c.TURN.MaxPort = uint16(a), uint16(b)
	}
	if f.TURNRealm == "" || strings.ContainsAny(f.TURNRealm, "\"\\\r\n") {
		p.add("turn-realm: give a plain name")
	}
	c.TURN.Allocations = int(p.number("turn-allocations", f.TURNAllocations, 1<<16))
	c.TURN.Connections = int(p.number("turn-connections", f.TURNConnections, 1<<16))
	c.TURN.BytesPerSecond = p.number("turn-bytes-per-second", f.TURNBytesPerSecond, 1<<40)
}

func (f *flags) checkLease(c *Config, p *Problems) {
	minutes, err := strconv.Atoi(f.LeaseMinutes)
	if err != nil || minutes < 2 || minutes > 24*60 {
		p.add("lease-minutes: %q is no number from 2 to 1440; sessions end after so many minutes without this relay", f.LeaseMinutes)
	}
	c.Lease = time.Duration(minutes) * time.Minute
}

func (f *flags) checkAudit(c *Config, p *Problems) {
	days, err := strconv.Atoi(f.AuditDays)
	if err != nil || days < 1 || days > 36500 {
		p.add("audit-days: %q is no number from 1 to 36500; entries of the audit that are older are forgotten", f.AuditDays)
	}
	c.AuditKeep = time.Duration(days) * 24 * time.Hour
	c.Audit = Audit{Organization: f.Audit.Verify.Organization + f.Audit.Export.Organization, Format: f.Audit.Export.Format}
	if c.Audit.Format != "csv" && c.Audit.Format != "jsonl" {
		p.add("format: %q is neither csv nor jsonl", c.Audit.Format)
	}
}

func (f *flags) checkWatching(c *Config, p *Problems) {
	if f.MetricsListen != "" {
		p.listen("metrics-listen", f.MetricsListen)
	}
	if f.MetricsToken != "" && len(f.MetricsToken) < 16 {
		p.add("metrics-token: is too easy to guess; give 16 characters or more")
	}
	c.TrustedProxies = p.networks("trusted-proxies", f.TrustedProxies)
	switch f.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		p.add("log-level: %q is none of debug, info, warn, error", f.LogLevel)
	}
	if f.LogFormat != "text" && f.LogFormat != "json" {
		p.add("log-format: %q is neither text nor json", f.LogFormat)
	}
	seen := map[string]string{}
	for _, one := range []struct{ name, address string }{
		{"listen", f.Listen}, {"turn-tcp", c.TURN.TCP}, {"metrics-listen", f.MetricsListen}} {
		if other, taken := seen[one.address]; taken && one.address != "" && !strings.HasSuffix(one.address, ":0") {
			p.add("%s, %s: both listen on %s", other, one.name, one.address)
		}
		seen[one.address] = one.name
	}
}

var hostName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$`)

// IsHost reports whether name is one that a host may have; an IPv4 address is one, too.
func IsHost(name string) bool { return len(name) <= 253 && hostName.MatchString(name) }

// listen checks an address to listen on. An empty host is all addresses.
func (p *Problems) listen(name, address string) (host string, loopback bool) {
	host, port, err := net.SplitHostPort(address)
	if n, err2 := strconv.ParseUint(port, 10, 16); err != nil || err2 != nil || n > 65535 {
		p.add("%s: %q is not an address to listen on; write HOST:PORT, such as 0.0.0.0:443", name, address)
		return "127.0.0.1", true
	}
	a, err := netip.ParseAddr(host)
	if err != nil && host != "" && !IsHost(host) {
		p.add("%s: %q is neither an IP address nor a host's name", name, host)
		return "127.0.0.1", true
	}
	return host, host == "localhost" || err == nil && a.IsLoopback()
}

// relay checks the address of a relay: http(s)://host[:port].
func (p *Problems) relay(name, text string) *url.URL {
	a, err := address.Parse(text)
	switch {
	case err != nil || !strings.Contains(text, "://"):
		u, err := url.Parse(text)
		if err == nil && u.User != nil || err == nil && u.RawQuery+u.Fragment != "" {
			p.add("%s: %s://%s is all that is needed, without path, query or password", name, u.Scheme, u.Host)
			return nil
		}
		p.add("%s: write an address such as https://oriel.example.com", name)
		return nil
	case a.Path != "":
		p.add("%s: %s is all that is needed, without path, query or password", name, address.Address{Secure: a.Secure, Host: a.Host, Port: a.Port})
		return nil
	}
	return a.URL()
}

// url checks an address of the form scheme://host[:port]/….
func (p *Problems) url(name, text string, schemes ...string) *url.URL {
	u, err := url.Parse(text)
	ok := err == nil && u.Host != "" && u.Hostname() != ""
	if ok {
		ok = false
		for _, s := range schemes {
			ok = ok || u.Scheme == s
		}
	}
	if !ok {
		p.add("%s: write an address such as %s://oriel.example.com", name, schemes[len(schemes)-1])
		return nil
	}
	return u
}

func (p *Problems) networks(name string, list []string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range list {
		one, err := netip.ParsePrefix(text)
		if a, err2 := netip.ParseAddr(text); err2 == nil && a.Zone() == "" {
			one, err = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
		}
		if err != nil {
			p.add("%s: %q is neither an address nor a network; write 192.0.2.7 or 10.0.0.0/8", name, text)
			continue
		}
		all = append(all, one.Masked())
	}
	return all
}

// number reads 4096, 64k or 4M; empty is 0.
func (p *Problems) number(name, text string, most int64) int64 {
	if text == "" {
		return 0
	}
	digits, factor := text, int64(1)
	switch strings.ToLower(text[len(text)-1:]) {
	case "k":
		digits, factor = text[:len(text)-1], 1000
	case "m":
		digits, factor = text[:len(text)-1], 1_000_000
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 || n > most/factor {
		p.add("%s: %q is not a number from 1 to %d", name, text, most)
		return 0
	}
	return n * factor
}
