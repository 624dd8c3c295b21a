package serverurl

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
)

// private are the ranges of this machine and of private networks: whoever names a server
// there means it.
var private = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("fc00::/7"),
}

// Grant fills in what a guest may reach: patterns, ranges that are not public, and how long a
// call may wait, unless the caller has set that.
func Grant(n *plugin.Network, patterns []string, wait time.Duration) {
	n.Allow = append(n.Allow[:len(n.Allow):len(n.Allow)], patterns...)
	if n.Private == nil {
		n.Private = private
	}
	n.Wait = cmp.Or(n.Wait, wait)
}

// Trust reads the certificates that a URL names, if it names any.
func Trust(n *plugin.Network, roots, cert, key string) error {
	switch {
	case roots == "" && cert == "":
		return nil
	case n.TLS != nil:
		return errors.New("it names certificates, and Config.Network.TLS is set: must be one of the two")
	}
	config, err := readTLS(roots, cert, key)
	if err != nil {
		return fmt.Errorf("the certificates: %w", err)
	}
	n.TLS = config
	return nil
}

// readTLS returns a configuration with the roots in a file, and the client's certificate and key
// in two others, all in PEM. "" means the system's roots, and no certificate.
func readTLS(roots, cert, key string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if roots != "" {
		text, err := os.ReadFile(roots)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("the file %s has no certificate in PEM", roots)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
