package serving_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/serving"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/serving/certtest"
	"github.com/waddle-sessions/waddle/host/store"
)

// overTLS is a service on an address with mutual TLS.
type overTLS struct {
	certificates *serving.Certificates
	ca           *certtest.Authority
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
	o := &overTLS{ca: certtest.NewAuthority(t), log: &syncBuffer{}, certificates: &serving.Certificates{}}
	o.certificates.Certificate, o.certificates.Key, o.certificates.ClientCA = o.ca.Files(t, t.TempDir())
	log := slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.certificates.Log = log
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

func (o *overTLS) client(t *testing.T, own ...*certtest.Issued) *http.Client {
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: o.ca.Client(own...)}
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
	foreign := certtest.NewAuthority(t)
	for _, c := range []struct {
		name   string
		by     *certtest.Authority
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
		pair := c.by.Issue(t, c.name, c.until)
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

	pair := o.ca.Issue(t, "ops", time.Hour)
	for client, want := range map[*http.Client]int{o.client(t, pair): 200} {
		r, err := client.Get(o.operator + "/readyz")
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		require.Equal(t, want, r.StatusCode)
	}
	pair = o.ca.Issue(t, "shop", time.Hour)
	r, err := o.client(t, pair).Get(o.operator + "/readyz")
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, 403, r.StatusCode, "a client is no operator")
	require.Contains(t, o.log.String(), "client=shop")
}

// TestNobodyOperatesUnnamed: without names of operators nobody is one by TLS.
func TestNobodyOperatesUnnamed(t *testing.T) {
	o := startTLS(t)
	pair := o.ca.Issue(t, "anybody", time.Hour)
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
	var client *http.Client
	// It must connect before it expires, however slow the machine is.
	for lasts := 2 * time.Second; ; lasts *= 2 {
		client = o.client(t, o.ca.Issue(t, "shop", lasts))
		if status, _, err := load(client, o.clients); err == nil && status == 200 {
			break
		}
		require.Less(t, lasts, patience)
	}
	require.Eventually(t, func() bool {
		status, _, err := load(client, o.clients)
		return err == nil && status == 403
	}, patience, 100*time.Millisecond)
}

// TestCertificatesChange: files that change are read, and files that cannot be used
// change nothing.
func TestCertificatesChange(t *testing.T) {
	o := startTLS(t)
	next := certtest.NewAuthority(t)
	pair := next.Issue(t, "shop", time.Hour)
	_, _, err := load(o.client(t, pair), o.clients)
	require.Error(t, err)

	write(t, o.certificates.ClientCA, []byte("nothing"))
	require.ErrorIs(t, o.certificates.Reload(), serving.ErrCertificates)
	old := o.ca.Issue(t, "shop", time.Hour)
	status, _, err := load(o.client(t, old), o.clients)
	require.NoError(t, err, "the earlier ones stay in use")
	require.Equal(t, 200, status)

	write(t, o.certificates.ClientCA, append(append([]byte(nil), o.ca.PEM...), next.PEM...))
	require.Eventually(t, func() bool {
		status, _, err := load(o.client(t, pair), o.clients)
		return err == nil && status == 200
	}, patience, 100*time.Millisecond, "without being told")

	write(t, o.certificates.ClientCA, next.PEM)
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
