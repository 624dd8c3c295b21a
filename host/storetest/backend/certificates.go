package backend

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
)

// Certificates are a root, and the certificates of a server and of a client that it has
// signed. The server's is for 127.0.0.1, ::1 and localhost, and for the names given.
type Certificates struct {
	RootFile                     string // PEM
	ServerFile, ServerKeyFile    string
	ClientFile, ClientKeyFile    string
	Root                         *x509.CertPool
	ServerKeyPair, ClientKeyPair tls.Certificate
}

// NewCertificates makes certificates for a test, in its directory.
func NewCertificates(t testing.TB, names ...string) *Certificates {
	t.Helper()
	c, err := makeCertificates(t.TempDir(), names)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Client returns the settings of a client that trusts the root alone and has the client's
// certificate.
func (c *Certificates) Client() *tls.Config {
	return &tls.Config{RootCAs: c.Root, Certificates: []tls.Certificate{c.ClientKeyPair}, ServerName: "localhost"}
}

// Server returns the settings of a server that asks for no certificate.
func (c *Certificates) Server() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c.ServerKeyPair}}
}

func makeCertificates(dir string, names []string) (*Certificates, error) {
	c := &Certificates{
		RootFile:   filepath.Join(dir, "root.pem"),
		ServerFile: filepath.Join(dir, "server.pem"), ServerKeyFile: filepath.Join(dir, "server.key"),
		ClientFile: filepath.Join(dir, "client.pem"), ClientKeyFile: filepath.Join(dir, "client.key"),
		Root: x509.NewCertPool(),
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root of a test"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if _, err := issue(root, root, &rootKey.PublicKey, rootKey, c.RootFile); err != nil {
		return nil, err
	}
	c.Root.AddCert(root)
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"},
		DNSNames: append([]string{"localhost"}, names...), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		// Servers of a cluster are clients of each other.
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if c.ServerKeyPair, err = keyPair(server, root, rootKey, c.ServerFile, c.ServerKeyFile); err != nil {
		return nil, err
	}
	client := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "client"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	c.ClientKeyPair, err = keyPair(client, root, rootKey, c.ClientFile, c.ClientKeyFile)
	return c, err
}

// keyPair makes a key and a certificate for it, and writes both.
func keyPair(cert, root *x509.Certificate, rootKey *ecdsa.PrivateKey, certFile, keyFile string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	cert.KeyUsage = x509.KeyUsageDigitalSignature
	certPEM, err := issue(cert, root, &key.PublicKey, rootKey, certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(keyFile, keyPEM, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

// issue signs a certificate, writes it, and fills it in with what it has become.
func issue(cert, parent *x509.Certificate, key *ecdsa.PublicKey, parentKey *ecdsa.PrivateKey, file string) ([]byte, error) {
	cert.NotBefore, cert.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key, parentKey)
	if err != nil {
		return nil, err
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	*cert = *made
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return text, os.WriteFile(file, text, 0o644)
}
