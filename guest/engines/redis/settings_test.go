package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
)

// secret must appear in no error and no line of the log.
const secret = "s3cr3t-of-the-tests"

func TestSettingsRefused(t *testing.T) {
	for _, c := range []struct {
		settings []string
		says     string
	}{
		{nil, "the setting addresses is not set: must be host:port"},
		{[]string{"addresses", " , "}, "the setting addresses is not set"},
		{[]string{"addresses", "localhost"}, `the setting addresses has "localhost": must be host:port`},
		{[]string{"addresses", ":6379"}, "must be host:port"},
		{[]string{"addresses", "localhost:0"}, "must be host:port"},
		{[]string{"addresses", "localhost:redis"}, "must be host:port"},
		{[]string{"addresses", "localhost:65536"}, "must be host:port"},
		{[]string{"addresses", "::1:6379"}, "must be host:port"},
		{[]string{"addresses", "redis://user:" + secret + "@localhost:6379"}, "the setting addresses has a URL or a user"},
		{[]string{"addresses", "user:" + secret + "@localhost:6379"}, "the setting addresses has a URL or a user"},
		{[]string{"addresses", "a:1,b:2"}, `the setting addresses is "a:1,b:2": must be one address, unless mode is sentinel or cluster`},
		{[]string{"addresses", "/run/s", "tls", "on"}, "tls must be off"},
		{[]string{"addresses", "/run/s", "mode", "cluster"}, "must have mode standalone"},
		{[]string{"addresses", "a:1", "mode", "single"}, `the setting mode is "single": must be standalone, sentinel or cluster`},
		{[]string{"addresses", "a:1", "mode", "sentinel"}, "the setting master"},
		{[]string{"addresses", "a:1", "master", "m"}, "must not be set, unless mode is sentinel"},
		{[]string{"addresses", "a:1", "sentinel_user", "m"}, "must not be set, unless mode is sentinel"},
		{[]string{"addresses", "a:1", "sentinel_password", secret}, "must be sentinel, since sentinel_password is set"},
		{[]string{"addresses", "a:1", "mode", "cluster", "database", "1"}, "must be 0, since a cluster has no other"},
		{[]string{"addresses", "a:1", "database", "-1"}, "must be at least 0"},
		{[]string{"addresses", "a:1", "database", "9999999"}, "must be at most"},
		{[]string{"addresses", "a:1", "user", "u"}, "must not be set without password"},
		{[]string{"addresses", "a:1", "prefix", ""}, "the setting prefix is \"\": must have 1 to 256 bytes"},
		{[]string{"addresses", "a:1", "prefix", strings.Repeat("p", 257)}, "must have 1 to 256 bytes"},
		{[]string{"addresses", "a:1", "tls", "true"}, "must be on or off"},
		{[]string{"addresses", "a:1", "timeout_ms", "0"}, "must be at least 1"},
		{[]string{"addresses", "a:1", "timeout_ms", "5s"}, "must be a whole number"},
		{[]string{"addresses", "a:1", "wait_ms", "3600001"}, "must be at most 3600000"},
		{[]string{"addresses", "a:1", "wait_replicas", "1001"}, "must be at most 1000"},
		{[]string{"addresses", "a:1", "adress", "x"}, "the setting adress is unknown: this engine has mode, master, user, password"},
		{[]string{"addresses", "a:1", "mode", "nonsense", "password", secret}, "must be standalone"},
	} {
		_, _, err := tryStart(t, c.settings...)
		require.ErrorIs(t, err, guest.ErrInvalid, "%v", c.settings)
		require.ErrorContains(t, err, c.says, "%v", c.settings)
		require.NotContains(t, err.Error(), secret)
	}
}

func TestSettingsAccepted(t *testing.T) {
	for _, c := range []struct {
		settings []string
		check    func(t *testing.T, s *settings)
	}{
		{[]string{"addresses", "a:1"}, func(t *testing.T, s *settings) {
			require.Equal(t, []string{"a:1"}, s.addresses)
			require.Equal(t, defaultPrefix, s.prefix)
			require.Equal(t, standalone, s.mode)
			require.False(t, s.tls)
			require.EqualValues(t, defaultTimeout, s.timeout.Milliseconds())
		}},
		{[]string{"addresses", "[::1]:6379"}, func(t *testing.T, s *settings) { require.Equal(t, []string{"[::1]:6379"}, s.addresses) }},
		{[]string{"addresses", "/run/redis.sock"}, func(t *testing.T, s *settings) { require.Len(t, s.addresses, 1) }},
		{[]string{"addresses", "a:1, b:2,", "mode", "cluster", "tls", "on"}, func(t *testing.T, s *settings) {
			require.Equal(t, []string{"a:1", "b:2"}, s.addresses)
			require.True(t, s.tls)
		}},
		{[]string{"addresses", "a:1,b:2", "mode", "sentinel", "master", "m", "sentinel_user", "u", "sentinel_password", "p", "user", "v", "password", "q", "database", "3"},
			func(t *testing.T, s *settings) {
				require.Equal(t, credentials{"v", "q"}, s.login)
				require.Equal(t, credentials{"u", "p"}, s.sentinels)
				require.EqualValues(t, 3, s.database)
			}},
	} {
		var s settings
		require.NoError(t, s.read(guest.NewConfig(c.settings...)), "%v", c.settings)
		c.check(t, &s)
	}
}
