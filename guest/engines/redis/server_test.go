package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/network"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// works requires that every operation does what it should.
func works(t *testing.T, h *guest.Harness) {
	t.Helper()
	key := []byte("key")
	require.NoError(t, h.Delete(key, now))
	require.NoError(t, h.Set(set("key", "one", 1, abi.ExpectAbsent)))
	require.ErrorIs(t, h.Set(set("key", "two", 2, abi.ExpectAbsent)), guest.ErrConflict)
	require.NoError(t, h.Set(set("key", "two", 2, 1)))
	require.NoError(t, h.Touch(key, now+2*hour, now))
	require.NoError(t, h.Set(set("other", "three", 3, abi.ExpectAny)))
	got, err := h.Get(key, now+hour)
	require.NoError(t, err)
	require.Equal(t, value(2, "two"), got)
	keys, _, err := h.Keys(0, now)
	require.NoError(t, err)
	require.Len(t, keys, 2)
	list, _, err := h.Snapshot(0, now)
	require.NoError(t, err)
	require.NoError(t, h.Save(now))
	require.NoError(t, h.Clear(now))
	_, err = h.Get(key, now)
	require.ErrorIs(t, err, guest.ErrNotFound)
	require.NoError(t, h.Restore(list, now))
	_, err = h.Get(key, now)
	require.NoError(t, err)
	require.NoError(t, h.Clear(now))
}

// permitted are the commands that the engine needs; README.md names them.
const permitted = "+getrange +set +setrange +del +unlink +eval +evalsha +persist +pexpire +scan"

// TestLogin: each way to log in works, and each that does not is DENIED, without the
// password in the error.
func TestLogin(t *testing.T) {
	eachServer(t, func(t *testing.T, shared *backend.Server) {
		server := backend.Redis(t, backend.RedisOptions{
			Program: program(shared), Password: "d-" + secret,
			Users: []string{
				"all on >" + secret + " ~* +@all",
				"least on >" + secret + " ~waddle:* " + permitted,
				"reader on >" + secret + " ~waddle:* +getrange +scan +info",
				"elsewhere on >" + secret + " ~other:* +@all",
			},
		})
		for _, c := range []struct {
			settings []string
			says     string
		}{
			{[]string{"password", "d-" + secret}, ""},
			{[]string{"password", "d-" + secret, "database", "7"}, ""},
			{[]string{"user", "default", "password", "d-" + secret}, ""},
			{[]string{"user", "all", "password", secret}, ""},
			{[]string{"user", "least", "password", secret}, ""},
			{nil, "NOAUTH"},
			{[]string{"password", secret}, "WRONGPASS"},
			{[]string{"user", "all", "password", secret + "x"}, "WRONGPASS"},
			{[]string{"user", "nobody", "password", secret}, "WRONGPASS"},
			{[]string{"user", "all", "password", secret, "database", "999"}, "out of range"},
			{[]string{"user", "reader", "password", secret}, "NOPERM"},
			{[]string{"user", "elsewhere", "password", secret}, "NOPERM"},
		} {
			h, _, err := tryStart(t, append([]string{"addresses", server.Addr()}, c.settings...)...)
			if err == nil && c.says == "NOPERM" {
				err = h.Set(set("key", "text", 1, abi.ExpectAny))
			}
			logged(t)
			if c.says == "" {
				require.NoError(t, err, "%v", c.settings)
				works(t, h)
				continue
			}
			require.ErrorContains(t, err, c.says, "%v", c.settings)
			require.NotContains(t, err.Error(), secret)
			if c.says != "out of range" {
				require.ErrorIs(t, err, guest.ErrDenied, "%v", c.settings)
			}
		}
		// A password that the server does not ask for.
		_, _, err := tryStart(t, "addresses", shared.Addr(), "password", secret)
		require.ErrorIs(t, err, guest.ErrDenied)
		require.NotContains(t, err.Error(), secret)
	})
}

// logged requires that no secret was logged, and returns the log.
func logged(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, line := range guest.Logged() {
		b.WriteString(line.Text + "\n")
	}
	require.NotContains(t, b.String(), secret)
	return b.String()
}

func program(server *backend.Server) string {
	if strings.Contains(server.Do("INFO", "server").(string), "valkey_version") {
		return "valkey-server"
	}
	return "redis-server"
}

// TestEviction: a server that may remove sessions which have not expired is told of in
// the log.
func TestEviction(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{MaxMemory: 100 << 20})
	for _, c := range []struct {
		policy, memory string
		warns          bool
	}{
		{"noeviction", "100mb", false}, {"allkeys-lru", "100mb", true}, {"volatile-ttl", "100mb", true}, {"allkeys-lru", "0", false},
	} {
		server.Do("CONFIG", "SET", "maxmemory-policy", c.policy, "maxmemory", c.memory)
		logged(t)
		start(t, server.Addr())
		require.Equal(t, c.warns, strings.Contains(logged(t), "maxmemory-policy is "+c.policy), "%v", c)
	}
}

// TestWrongServer: a server that is not what the settings say is refused.
func TestWrongServer(t *testing.T) {
	inCluster := backend.Redis(t, backend.RedisOptions{Settings: []string{"cluster-enabled yes"}})
	_, _, err := tryStart(t, "addresses", inCluster.Addr())
	require.ErrorIs(t, err, guest.ErrInvalid)
	require.ErrorContains(t, err, "the server belongs to a cluster: the setting mode must be cluster")

	e := &engine{settings: settings{mode: standalone}}
	for _, c := range []struct {
		about map[string]string
		says  string
	}{
		{map[string]string{"redis_version": "6.2.14"}, "the server is Redis 6.2.14: must be Redis 7 or later, or Valkey"},
		{map[string]string{"redis_version": "7.0.15", "redis_mode": "sentinel"}, "the server is a Sentinel"},
		{map[string]string{"redis_version": "7.0.0", "redis_mode": "standalone", "cluster_enabled": "0"}, ""},
		{map[string]string{"redis_version": "8.6.3"}, ""},
		{map[string]string{"redis_version": "255.255.255"}, ""},
		{map[string]string{"redis_version": "strange"}, ""},
		{nil, ""},
	} {
		err := e.check(c.about)
		if c.says == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.says)
		}
	}
	e.mode = cluster
	require.ErrorContains(t, e.check(map[string]string{"cluster_enabled": "0"}), "the server does not belong to a cluster")
}

// TestUnixSocket: the engine reaches a server by a socket.
func TestUnixSocket(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{Unix: true})
	h, _ := start(t, server.Socket())
	works(t, h)
}

// TestTLS: the engine reaches a server by TLS, and only one whose certificate is right.
func TestTLS(t *testing.T) {
	certificates := backend.NewCertificates(t)
	server := backend.Redis(t, backend.RedisOptions{TLS: certificates, ClientCert: true})
	defer func() { network.NativeTLS = nil }()
	network.NativeTLS = certificates.Client()
	h, _ := start(t, server.Addr(), "tls", "on")
	works(t, h)

	network.NativeTLS = backend.NewCertificates(t).Client()
	_, _, err := tryStart(t, "addresses", server.Addr(), "tls", "on")
	require.ErrorIs(t, err, guest.ErrUnavailable)
	require.ErrorContains(t, err, "certificate")
	_, _, err = tryStart(t, "addresses", server.Addr(), "timeout_ms", "1000")
	require.ErrorIs(t, err, guest.ErrUnavailable, "TLS was asked for by the server alone")
}
