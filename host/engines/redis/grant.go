package redis

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
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

// grant fills in what the guest may reach.
func (t *target) grant(cfg *plugin.Config) error {
	n := &cfg.Network
	n.Allow = append(slices.Clip(n.Allow), t.patterns()...)
	if n.Private == nil {
		n.Private = private
	}
	if n.Wait == 0 {
		n.Wait = max(leastWait, 2*(milliseconds(cfg, "timeout_ms")+milliseconds(cfg, "wait_ms")))
	}
	return t.trust(n)
}

// patterns are the addresses that the URL names. The servers that a Sentinel or a cluster
// names are others: those of the same hosts, unless the option nodes says where they are.
func (t *target) patterns() (list []string) {
	kind := "tcp://"
	switch {
	case t.scheme.port == "":
		return []string{"unix://" + t.hosts[0]}
	case t.scheme.tls:
		kind = "tls://"
	}
	for _, host := range t.hosts {
		list = append(list, kind+host)
	}
	if nodes := t.options["nodes"]; nodes != "" {
		for node := range strings.SplitSeq(nodes, ",") {
			list = append(list, kind+strings.TrimSpace(node))
		}
		return list
	}
	var ports []string
	switch t.scheme.mode {
	case "sentinel":
		ports = []string{"6379"}
	case "cluster":
		for _, host := range t.hosts {
			_, port, _ := net.SplitHostPort(host)
			ports = append(ports, port)
		}
	}
	for _, host := range t.hosts {
		name, _, _ := net.SplitHostPort(host)
		for _, port := range ports {
			if pattern := kind + net.JoinHostPort(name, port); !slices.Contains(list, pattern) {
				list = append(list, pattern)
			}
		}
	}
	return list
}

// trust reads the certificates that the URL names.
func (t *target) trust(n *plugin.Network) error {
	roots, cert := t.options["ca_file"], t.options["cert_file"]
	switch {
	case roots == "" && cert == "":
		return nil
	case n.TLS != nil:
		return urlError("it names certificates, and Config.Network.TLS is set: must be one of the two")
	}
	n.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if roots != "" {
		text, err := os.ReadFile(roots)
		if err != nil {
			return urlError("the file that ca_file names: %w", err)
		}
		n.TLS.RootCAs = x509.NewCertPool()
		if !n.TLS.RootCAs.AppendCertsFromPEM(text) {
			return urlError("the file that ca_file names, %s, has no certificate in PEM", roots)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, t.options["key_file"])
		if err != nil {
			return urlError("the files that cert_file and key_file name: %w", err)
		}
		n.TLS.Certificates = []tls.Certificate{pair}
	}
	return nil
}

// milliseconds returns a setting of the guest, or 0. The guest refuses one that is no number.
func milliseconds(cfg *plugin.Config, name string) time.Duration {
	n, _ := strconv.ParseInt(cfg.GuestConfig[name], 10, 32)
	return time.Duration(max(n, 0)) * time.Millisecond
}
