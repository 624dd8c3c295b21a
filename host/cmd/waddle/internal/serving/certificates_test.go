package serving_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/serving"
	"github.com/waddle-sessions/waddle/host/store"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

var serial int64

func issue(t *testing.T, by *authority, name string, until time.Duration) (pair tls.Certificate, certPEM, keyPEM []byte, made *authority) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	serial++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(until),
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
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pair, err = tls.X509KeyPair(certPEM, keyPEM)
	require.NoError(t, err)
	return pair, certPEM, keyPEM, &authority{parsed, key, certPEM}
}

// overTLS is a service on an address with mutual TLS.
type overTLS struct {
	certificates *serving.Certificates
	ca           *authority
	clients      string
	operator     string
	log          *syncBuffer
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

func startTLS(t *testing.T, options ...option) *overTLS {
	t.Helper()
	dir := t.TempDir()
	_, _, _, ca := issue(t, nil, "authority", time.Hour)
	_, cert, key, _ := issue(t, ca, "server", time.Hour)
	o := &overTLS{ca: ca, log: &syncBuffer{}, certificates: &serving.Certificates{
		Certificate: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key"), ClientCA: filepath.Join(dir, "ca"),
	}}
	log := slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.certificates.Log = log
	write(t, o.certificates.Certificate, cert)
	write(t, o.certificates.Key, key)
	write(t, o.certificates.ClientCA, ca.pem)
	c := serving.Config{Store: store.NewMemory(), Log: log}
	for _, option := range options {
		option(&c)
	}
	service, err := serving.New(c)
	require.NoError(t, err)
	var listeners [2]net.Listener
	for i := range listeners {
		listeners[i], err = net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
	}
	o.clients, o.operator = "https://"+listeners[0].Addr().String(), "https://"+listeners[1].Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- (&serving.Server{Service: service, Store: c.Store, Certificates: o.certificates, Log: log}).Serve(ctx, listeners[:1], listeners[1])
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return o
}

func (o *overTLS) client(t *testing.T, pairs ...tls.Certificate) *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(o.ca.pem)
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: pairs}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func load(client *http.Client, address string) (status int, proto string, err error) {
	r, err := client.Post(address+"/v1/load", "application/json", bytes.NewReader([]byte(`{"id":""}`)))
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	return r.StatusCode, r.Proto, nil
}

func TestMutualTLS(t *testing.T) {
	o := startTLS(t, func(c *serving.Config) { c.Clients, c.Operators = []string{"shop", "mail"}, []string{"ops"} })
	_, _, _, foreign := issue(t, nil, "authority", time.Hour)
	for _, c := range []struct {
		name   string
		by     *authority
		until  time.Duration
		status int // 0 for no connection
	}{
		{"shop", o.ca, time.Hour, 200},
		{"mail", o.ca, time.Hour, 200},
		{"eve", o.ca, time.Hour, 403},
		{"ops", o.ca, time.Hour, 403},
		{"shop", o.ca, -time.Minute, 0},
		{"shop", foreign, time.Hour, 0},
		{"shop", nil, time.Hour, 0},
	} {
		pair, _, _, _ := issue(t, c.by, c.name, c.until)
		status, proto, err := load(o.client(t, pair), o.clients)
		if c.status == 0 {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.status, status, c.name)
		require.Equal(t, "HTTP/2.0", proto)
	}
	_, _, err := load(o.client(t), o.clients)
	require.Error(t, err, "without a certificate")
	plain, err := http.Post("http"+o.clients[len("https"):]+"/v1/load", "application/json", bytes.NewReader([]byte(`{"id":""}`)))
	if err == nil {
		require.Equal(t, 400, plain.StatusCode, "without TLS")
		require.NoError(t, plain.Body.Close())
	}

	pair, _, _, _ := issue(t, o.ca, "ops", time.Hour)
	for client, want := range map[*http.Client]int{o.client(t, pair): 200} {
		r, err := client.Get(o.operator + "/readyz")
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		require.Equal(t, want, r.StatusCode)
	}
	pair, _, _, _ = issue(t, o.ca, "shop", time.Hour)
	r, err := o.client(t, pair).Get(o.operator + "/readyz")
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, 403, r.StatusCode, "a client is no operator")
	require.Contains(t, o.log.String(), "client=shop")
}

// TestNobodyOperatesUnnamed: without names of operators nobody is one by TLS.
func TestNobodyOperatesUnnamed(t *testing.T) {
	o := startTLS(t)
	pair, _, _, _ := issue(t, o.ca, "anybody", time.Hour)
	status, _, err := load(o.client(t, pair), o.clients)
	require.NoError(t, err)
	require.Equal(t, 200, status)
	r, err := o.client(t, pair).Get(o.operator + "/readyz")
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, 403, r.StatusCode)
}

// TestCertificateExpiresWhileConnected: a connection does not outlive its certificate.
func TestCertificateExpiresWhileConnected(t *testing.T) {
	o := startTLS(t)
	pair, _, _, _ := issue(t, o.ca, "shop", 3*time.Second)
	client := o.client(t, pair)
	status, _, err := load(client, o.clients)
	require.NoError(t, err)
	require.Equal(t, 200, status)
	require.Eventually(t, func() bool {
		status, _, err := load(client, o.clients)
		return err == nil && status == 403
	}, patience, 100*time.Millisecond)
}

// TestCertificatesChange: files that change are read, and files that cannot be used
// change nothing.
func TestCertificatesChange(t *testing.T) {
	o := startTLS(t)
	_, _, _, next := issue(t, nil, "next authority", time.Hour)
	pair, _, _, _ := issue(t, next, "shop", time.Hour)
	_, _, err := load(o.client(t, pair), o.clients)
	require.Error(t, err)

	write(t, o.certificates.ClientCA, []byte("nothing"))
	require.ErrorIs(t, o.certificates.Reload(), serving.ErrCertificates)
	old, _, _, _ := issue(t, o.ca, "shop", time.Hour)
	status, _, err := load(o.client(t, old), o.clients)
	require.NoError(t, err, "those from before stay")
	require.Equal(t, 200, status)

	write(t, o.certificates.ClientCA, append(append([]byte(nil), o.ca.pem...), next.pem...))
	require.Eventually(t, func() bool {
		status, _, err := load(o.client(t, pair), o.clients)
		return err == nil && status == 200
	}, patience, 100*time.Millisecond, "without being told")

	write(t, o.certificates.ClientCA, next.pem)
	require.NoError(t, o.certificates.Reload())
	_, _, err = load(o.client(t, old), o.clients)
	require.Error(t, err, "an authority that is gone")
	for name, c := range map[string]*serving.Certificates{
		"no file": {Certificate: "none", Key: "none", ClientCA: "none"},
		"no key":  {Certificate: o.certificates.Certificate, Key: o.certificates.Certificate, ClientCA: o.certificates.ClientCA},
	} {
		_, err := c.Config()
		require.ErrorIs(t, err, serving.ErrCertificates, name)
	}
}
