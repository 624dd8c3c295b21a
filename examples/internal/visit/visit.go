// Package visit is a minimal browser-like HTTP client for the tests of the
// examples.
package visit

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// Client has a cookie jar and its own server, which it finds under any host
// name.
type Client struct {
	t    testing.TB
	http http.Client
}

// NewClient starts a server for the handler and returns a client of it.
func NewClient(t testing.TB, handler http.Handler) *Client {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	var dialer net.Dialer
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, server.Listener.Addr().String())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &Client{t: t, http: http.Client{Transport: transport, Jar: jar}}
}

// Get asks a host for its front page.
func (c *Client) Get(host string) (status int, body string) {
	c.t.Helper()
	r, err := c.http.Get("http://" + host + "/")
	require.NoError(c.t, err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	require.NoError(c.t, err)
	return r.StatusCode, string(text)
}

// OK is Get, but requires success.
func (c *Client) OK(host string) (body string) {
	c.t.Helper()
	status, body := c.Get(host)
	require.Equal(c.t, http.StatusOK, status, body)
	return body
}

// Cookies returns what the client would send to a host.
func (c *Client) Cookies(host string) []*http.Cookie { return c.http.Jar.Cookies(page(host)) }

// SetCookies makes the client send cookies to a host.
func (c *Client) SetCookies(host string, cookies []*http.Cookie) {
	c.http.Jar.SetCookies(page(host), cookies)
}

func page(host string) *url.URL { return &url.URL{Scheme: "http", Host: host, Path: "/"} }
