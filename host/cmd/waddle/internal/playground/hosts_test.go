package playground_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/playground"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// ask sends a request with exactly the given Host header, which no client would.
func ask(t *testing.T, server *httptest.Server, path, host string) (status int, body string, cookies int) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", path, host)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(b), len(response.Cookies())
}

// TestOnlyItsOwnHosts: an unknown name that leads here may belong to a page
// elsewhere, which would read the visitor's sessions.
func TestOnlyItsOwnHosts(t *testing.T) {
	listen := func(t *testing.T, address string, hosts ...string) *httptest.Server {
		handler, err := playground.New(playground.Config{Store: store.NewMemory(), Settings: session.Defaults(), Hosts: hosts})
		require.NoError(t, err)
		server := httptest.NewUnstartedServer(handler)
		server.Listener.Close()
		server.Listener, err = net.Listen("tcp", address)
		if err != nil {
			t.Skipf("SKIPPED: %v", err)
		}
		server.Start()
		t.Cleanup(server.Close)
		return server
	}
	const increment = "/api/session/n/increment"
	loopback, told := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0", "Playground.example", "10.1.2.3", "fd00::1")
	elsewhere := listen(t, "127.0.0.2:0")
	for _, c := range []struct {
		server *httptest.Server
		host   string
		ok     bool
	}{
		{loopback, "127.0.0.1", true},
		{loopback, "127.0.0.1:8080", true},
		{loopback, "localhost", true},
		{loopback, "LocalHost:1234", true},
		{loopback, "localhost.:80", true},
		{loopback, "[::1]:8080", true},
		{loopback, "[::1]", true},
		{loopback, "[::ffff:127.0.0.1]:80", true},
		{loopback, "evil.example", false},
		{loopback, "evil.example:8080", false},
		{loopback, "localhost.evil.example", false},
		{loopback, "evil.localhost.example:80", false},
		{loopback, "127.0.0.1.nip.io", false},
		{loopback, "127.0.0.2", false},
		{loopback, "0.0.0.0:8080", false},
		{loopback, "192.0.2.1", false},
		{loopback, "playground.example", false},
		{loopback, "", false},
		{elsewhere, "127.0.0.2:99", true},
		{elsewhere, "127.0.0.3", false},
		{told, "playground.example", true},
		{told, "playground.EXAMPLE:443", true},
		{told, "10.1.2.3", true},
		{told, "[fd00::1]:80", true},
		{told, "localhost", true},
		{told, "sub.playground.example", false},
	} {
		t.Run(c.host, func(t *testing.T) {
			status, body, cookies := ask(t, c.server, increment, c.host)
			if c.ok {
				require.Equal(t, http.StatusOK, status, body)
				require.Equal(t, 1, cookies)
				return
			}
			require.Equal(t, http.StatusMisdirectedRequest, status, body)
			require.Zero(t, cookies)
			require.Contains(t, body, `{"error":"`)
			require.Contains(t, body, "--host")
			status, body, _ = ask(t, c.server, "/", c.host)
			require.Equal(t, http.StatusMisdirectedRequest, status)
			require.Contains(t, body, "this playground does not answer for the host")
			require.NotContains(t, body, "<")
		})
	}
}

func TestHostsThatAreNone(t *testing.T) {
	for _, name := range []string{"", "*", "http://playground.example", "a b", "*.example", "a/b", "::x"} {
		_, err := playground.New(playground.Config{Store: store.NewMemory(), Settings: session.Defaults(), Hosts: []string{name}})
		require.ErrorContains(t, err, "without scheme", name)
	}
}
