package main_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// TestRunOnAServer: two playgrounds whose sessions are on one server have the same
// sessions, and none of them shows the password.
func TestRunOnAServer(t *testing.T) {
	needsSignals(t)
	const secret = "s3cr3t-of-the-tests"
	server := backend.Redis(t, backend.RedisOptions{Password: secret})
	settings := []string{"SESSION_STORAGE=redis://:" + secret + "@" + server.Addr()}
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := http.Client{Jar: jar}
	var shown string
	for _, want := range []string{"{\"value\":1}\n", "{\"value\":2}\n"} {
		s := serve(t, settings, "--addr", "127.0.0.1:0")
		response, err := client.Post(s.address+"/api/session/n/increment", "", nil)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, string(body))
		about := get(t, s.address+"/api/about")
		require.Contains(t, about, `"keeps":"on a server, redis://:xxxxx@`+server.Addr()+`"`)
		require.Contains(t, about, "bundled")
		said := s.stop(t, syscall.SIGTERM)
		require.Contains(t, said, "stopped, and the sessions are on the server")
		shown += about + said + s.stderr.String()
	}
	require.NotContains(t, shown, secret)
}
