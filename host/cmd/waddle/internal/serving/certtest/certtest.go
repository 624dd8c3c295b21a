// Package certtest issues certificates for tests of mutual TLS.
package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Authority signs certificates.
type Authority struct {
	PEM  []byte // its own certificate
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Issued is a certificate with its key.
type Issued struct {
	tls.Certificate
	CertPEM, KeyPEM []byte
	key             *ecdsa.PrivateKey
}

// NewAuthority makes an authority.
func NewAuthority(t *testing.T) *Authority {
	t.Helper()
	one := sign(t, nil, "authority", time.Hour)
	return &Authority{one.CertPEM, one.Leaf, one.key}
}

// Issue makes a certificate for 127.0.0.1 that lasts for a time from now, which may be
// negative. Without an authority it is signed by itself.
func (a *Authority) Issue(t *testing.T, name string, lasts time.Duration) *Issued {
	t.Helper()
	if a == nil {
		a = NewAuthority(t)
	}
	return sign(t, a, name, lasts)
}

// Files writes what a server needs to a directory.
func (a *Authority) Files(t *testing.T, dir string) (cert, key, ca string) {
	t.Helper()
	one := a.Issue(t, "server", time.Hour)
	cert, key, ca = filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"), filepath.Join(dir, "clients.pem")
	for path, data := range map[string][]byte{cert: one.CertPEM, key: one.KeyPEM, ca: a.PEM} {
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
	return cert, key, ca
}

// Client returns the TLS configuration of a client that trusts the authority.
func (a *Authority) Client(own ...*Issued) *tls.Config {
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	c.RootCAs.AppendCertsFromPEM(a.PEM)
	for _, one := range own {
		c.Certificates = append(c.Certificates, one.Certificate)
	}
	return c
}

func sign(t *testing.T, by *Authority, name string, lasts time.Duration) *Issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(lasts),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signer := c, key
	if by == nil {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	} else {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	one := &Issued{
		CertPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		KeyPEM:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}),
		key:     key,
	}
	one.Certificate, err = tls.X509KeyPair(one.CertPEM, one.KeyPEM)
	require.NoError(t, err)
	return one
}
