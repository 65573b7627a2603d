package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"oriel/protocol/private"
)

// Files is a TLS configuration with a certificate from files, read again when
// they change, so that a renewed one needs no restart.
func Files(cert, key string) (*tls.Config, error) {
	f := &files{cert: cert, key: key}
	if _, err := f.get(nil); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: f.get}, nil
}

type files struct {
	cert, key string

	mu      sync.Mutex
	current *tls.Certificate // protected by mu
	read    time.Time        // protected by mu; modification time of the certificate
	looked  time.Time        // protected by mu
}

func (f *files) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current != nil && time.Since(f.looked) < 10*time.Second {
		return f.current, nil
	}
	f.looked = time.Now()
	info, err := os.Stat(f.cert)
	if err == nil && (f.current == nil || !info.ModTime().Equal(f.read)) {
		var pair tls.Certificate
		if err = private.CheckGiven(f.key); err == nil {
			pair, err = tls.LoadX509KeyPair(f.cert, f.key)
		}
		if err == nil {
			f.current, f.read = &pair, info.ModTime()
		}
	}
	if f.current == nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return f.current, nil // the old one is better than none while files are being replaced
}

// ACME says where certificates come from.
type ACME struct {
	Hosts            []string
	Email, Directory string
	CA               string // PEM file with the root of the directory's server; empty: the system's
	Folder           string // where certificates are kept
	TLSPort          int    // where the challenge arrives, 0: 443; another only for tests
}

// FromACME is a TLS configuration with certificates that are got and renewed
// by themselves. The CA asks back on this listener (TLS-ALPN), which must be
// reachable on port 443. stop ends the renewing.
func FromACME(ctx context.Context, o ACME, log *slog.Logger) (config *tls.Config, stop func(), err error) {
	var magic *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil },
		Logger:           zap.NewNop(),
	})
	magic = certmagic.New(cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: o.Folder},
		Logger:  zap.NewNop(),
		OnEvent: func(_ context.Context, event string, data map[string]any) error {
			switch event {
			case "cert_obtained":
				log.Info("certificate obtained", "host", data["identifier"])
			case "cert_failed":
				log.Error("no certificate", "host", data["identifier"], "error", data["error"])
			}
			return nil
		},
	})
	issuer := certmagic.ACMEIssuer{CA: o.Directory, Email: o.Email, Agreed: true, DisableHTTPChallenge: true,
		AltTLSALPNPort: o.TLSPort, Logger: zap.NewNop()}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			cache.Stop()
			return nil, nil, fmt.Errorf("read the CA's root: %w", err)
		}
		issuer.TrustedRoots = x509.NewCertPool()
		if !issuer.TrustedRoots.AppendCertsFromPEM(pem) {
			cache.Stop()
			return nil, nil, errors.New("the file acme-ca holds no certificate in PEM")
		}
	}
	magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(magic, issuer)}
	ctx, cancel := context.WithCancel(ctx)
	stop = func() { cancel(); cache.Stop() }
	if err := magic.ManageAsync(ctx, o.Hosts); err != nil {
		stop()
		return nil, nil, fmt.Errorf("ask for certificates: %w", err)
	}
	config = magic.TLSConfig()
	config.MinVersion = tls.VersionTLS12
	config.NextProtos = append([]string{"h2", "http/1.1"}, config.NextProtos...)
	return config, stop, nil
}
