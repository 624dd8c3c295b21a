package serving

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// ErrCertificates is returned when certificates cannot be used.
var ErrCertificates = errors.New("the certificates cannot be used")

// Certificates are those of a server with mutual TLS, in files. They are read again by
// Reload, and when a file has changed, at most a second after that. If the files cannot be
// used, the log says so, and the earlier certificates stay in use.
type Certificates struct {
	Certificate string // the server's, as PEM, with those between it and its authority
	Key         string // its private key, as PEM
	ClientCA    string // the authorities that sign clients' certificates, as PEM

	Log *slog.Logger // default slog.Default

	current atomic.Pointer[tls.Config]
	mu      sync.Mutex
	looked  time.Time
	stamps  [3]stamp
}

// stamp tells one state of a file from another.
type stamp struct {
	size     int64
	modified time.Time
}

// Config reads the files and returns the configuration of a server, in which each
// connection gets what the files have by then. TLS 1.3 is the least. It returns
// ErrCertificates.
func (c *Certificates) Config() (*tls.Config, error) {
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c.look()
			return c.current.Load(), nil
		},
	}, nil
}

// Reload reads the files again. It returns ErrCertificates, and changes nothing, if they
// cannot be used.
func (c *Certificates) Reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reload()
}

func (c *Certificates) reload() error {
	c.looked, c.stamps = time.Now(), c.stamp()
	pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return fmt.Errorf("%w: %s and %s: %w", ErrCertificates, c.Certificate, c.Key, err)
	}
	pem, err := os.ReadFile(c.ClientCA)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCertificates, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%w: %s has no certificate: must have those of the authorities that sign clients', as PEM", ErrCertificates, c.ClientCA)
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) {
		return fmt.Errorf("%w: %s expired at %s", ErrCertificates, c.Certificate, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	c.current.Store(&tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"h2", "http/1.1"},
		Certificates:           []tls.Certificate{pair},
		ClientCAs:              pool,
		ClientAuth:             tls.RequireAndVerifyClientCert,
		SessionTicketsDisabled: true, // a resumed connection would not be checked against new authorities
	})
	return nil
}

// look reads files that have changed, at most once a second.
func (c *Certificates) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < time.Second {
		return
	}
	c.looked = time.Now()
	if c.stamp() == c.stamps {
		return
	}
	log := cmp.Or(c.Log, slog.Default())
	if err := c.reload(); err != nil {
		log.Error("certificates have changed and cannot be used; the earlier ones stay in use", "error", err)
		return
	}
	log.Info("certificates have changed and were read again")
}

func (c *Certificates) stamp() (s [3]stamp) {
	for i, path := range [...]string{c.Certificate, c.Key, c.ClientCA} {
		if info, err := os.Stat(path); err == nil {
			s[i] = stamp{info.Size(), info.ModTime()}
		}
	}
	return s
}
