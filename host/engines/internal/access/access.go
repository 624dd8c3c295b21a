// Package access has what the bundled engines have in common that keep sessions in a
// server: secrets, certificates, and which addresses an operator means who names one.
package access

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
)

// Private returns the ranges of this machine and of private networks: whoever names a
// server there means it.
func Private() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("fc00::/7"),
	}
}

// Secret returns a secret that was given in one of three ways: as it is, in a file, or in a
// variable of the environment. No error shows it.
func Secret(given, file, variable string) (string, error) {
	ways, secret := 0, given
	for _, way := range []string{given, file, variable} {
		if way != "" {
			ways++
		}
	}
	switch {
	case ways == 0:
		return "", nil
	case ways > 1:
		return "", errors.New("it is given in more than one way: must be in the URL, in a file or in the environment")
	case file != "":
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		secret = strings.TrimRight(string(text), "\r\n")
	case variable != "":
		secret = os.Getenv(variable)
	}
	switch {
	case secret == "" && file != "":
		return "", fmt.Errorf("the file %s is empty", file)
	case secret == "":
		return "", fmt.Errorf("the variable %s is empty, or not set", variable)
	case strings.Contains(secret, "\x00"):
		return "", errors.New("it has a NUL, which no setting may have")
	}
	return secret, nil
}

// TLS returns a configuration with the roots in a file, and the client's certificate and key
// in two others, all in PEM. "" means the system's roots, and no certificate.
func TLS(roots, cert, key string) (*tls.Config, error) {
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
