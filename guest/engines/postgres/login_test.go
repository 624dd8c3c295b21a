package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/network"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// works makes sure that an engine reads and writes.
func works(t *testing.T, h *guest.Harness) {
	t.Helper()
	require.NoError(t, h.Delete([]byte("k"), now))
	require.NoError(t, h.Set(set("k", "one", 1, -1)))
	got, err := h.Get([]byte("k"), now)
	require.NoError(t, err)
	require.Equal(t, value(1, "one"), got)
	require.NoError(t, h.Set(set("k", "two", 2, 1)))
	require.ErrorIs(t, h.Set(set("k", "two", 2, 1)), guest.ErrConflict)
}

func with(s *backend.PostgresServer, more ...string) []string {
	return pairs(append([]string{"addresses", s.Addr(), "database", backend.PostgresDatabase, "table", newTable(), "user", backend.PostgresUser}, more...)...)
}

func TestPasswords(t *testing.T) {
	for _, auth := range []string{"scram-sha-256", "md5"} {
		t.Run(auth, func(t *testing.T) {
			server := backend.Postgres(t, backend.PostgresOptions{Auth: auth})
			if auth == "md5" {
				server.Query("SET password_encryption = 'md5'; ALTER ROLE waddle PASSWORD 'not a secret'")
			}
			h, _ := start(t, with(server, "password", backend.PostgresPassword)...)
			works(t, h)
			for name, settings := range map[string][]string{
				"another password": with(server, "password", "guessed"),
				"no password":      with(server),
				"another user":     with(server, "password", backend.PostgresPassword, "user", "nobody"),
			} {
				_, _, err := tryStart(t, settings...)
				require.ErrorIs(t, err, guest.ErrDenied, name)
				require.NotContains(t, err.Error(), "guessed")
			}
			_, _, err := tryStart(t, with(server, "password", backend.PostgresPassword, "database", "nothing")...)
			require.ErrorIs(t, err, guest.ErrInvalid)
			require.ErrorContains(t, err, `database "nothing" does not exist`)
		})
	}
}

func TestSocket(t *testing.T) {
	server := backend.SharedPostgres(t)
	h, _ := start(t, with(server, "addresses", server.Socket(), "tls", "on")...)
	works(t, h) // there is no TLS over a socket, and nobody in between
}

func TestTLS(t *testing.T) {
	certs := backend.NewCertificates(t, "postgres.example.com")
	network.NativeTLS = certs.Client()
	network.NativeTLS.ServerName = ""
	defer func() { network.NativeTLS = nil }()

	server := backend.Postgres(t, backend.PostgresOptions{TLS: certs, Auth: "scram-sha-256", ClientCert: true})
	h, _ := start(t, with(server, "password", backend.PostgresPassword, "tls", "on")...)
	works(t, h)

	_, _, err := tryStart(t, with(server, "password", backend.PostgresPassword)...)
	require.ErrorIs(t, err, guest.ErrDenied, "without TLS the server lets nobody in")

	network.NativeTLS = nil
	_, _, err = tryStart(t, with(server, "password", backend.PostgresPassword, "tls", "on")...)
	require.ErrorIs(t, err, guest.ErrUnavailable)
	require.ErrorContains(t, err, "certificate")

	plain := backend.SharedPostgres(t)
	_, _, err = tryStart(t, with(plain, "tls", "on")...)
	require.ErrorIs(t, err, guest.ErrDenied)
	require.ErrorContains(t, err, "the server has no TLS: set up TLS there, or set tls=off")
}

// A password in clear text goes only where nobody can read it.
func TestClearPassword(t *testing.T) {
	certs := backend.NewCertificates(t)
	server := backend.Postgres(t, backend.PostgresOptions{Auth: "password"})
	_, _, err := tryStart(t, with(server, "password", backend.PostgresPassword)...)
	require.ErrorIs(t, err, guest.ErrDenied)
	require.ErrorContains(t, err, "clear text")

	network.NativeTLS = certs.Client()
	defer func() { network.NativeTLS = nil }()
	server = backend.Postgres(t, backend.PostgresOptions{Auth: "password", TLS: certs})
	h, _ := start(t, with(server, "password", backend.PostgresPassword, "tls", "on")...)
	works(t, h)
}

func TestMain(m *testing.M) { os.Exit(backend.Main(m)) }
