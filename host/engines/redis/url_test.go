package redis_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/redis"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// secret must appear in no error, no line of a log, and no description.
const secret = "s3cr3t-of-the-tests"

func write(t *testing.T, text string) string {
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// TestURL: what a URL becomes.
func TestURL(t *testing.T) {
	t.Setenv("OF_THE_TESTS", secret)
	file := write(t, secret+"\n")
	type settings map[string]string
	for _, c := range []struct {
		url      string
		settings settings
		allow    []string
	}{
		{"redis://cache", settings{"mode": "standalone", "addresses": "cache:6379"}, []string{"tcp://cache:6379"}},
		{"redis://cache/", settings{"mode": "standalone", "addresses": "cache:6379"}, []string{"tcp://cache:6379"}},
		{"redis://cache:7000/3", settings{"mode": "standalone", "addresses": "cache:7000", "database": "3"}, []string{"tcp://cache:7000"}},
		{"redis://[::1]", settings{"mode": "standalone", "addresses": "[::1]:6379"}, []string{"tcp://[::1]:6379"}},
		{"redis://[::1]:7000?database=2", settings{"mode": "standalone", "addresses": "[::1]:7000", "database": "2"}, []string{"tcp://[::1]:7000"}},
		{"rediss://ada:p%40ss%2Fw%3Ard@cache", settings{"mode": "standalone", "addresses": "cache:6379", "tls": "on", "user": "ada", "password": "p@ss/w:rd"},
			[]string{"tls://cache:6379"}},
		{"redis://:" + secret + "@cache", settings{"mode": "standalone", "addresses": "cache:6379", "password": secret}, []string{"tcp://cache:6379"}},
		{"redis://cache?password_file=" + file, settings{"mode": "standalone", "addresses": "cache:6379", "password": secret}, []string{"tcp://cache:6379"}},
		{"redis://ada@cache?password_env=OF_THE_TESTS&prefix=shop%3A", settings{"mode": "standalone", "addresses": "cache:6379", "user": "ada", "password": secret, "prefix": "shop:"},
			[]string{"tcp://cache:6379"}},
		{"redis+unix:///run/redis/redis.sock?database=1", settings{"mode": "standalone", "addresses": "/run/redis/redis.sock", "database": "1"}, []string{"unix:///run/redis/redis.sock"}},
		{"redis+unix://ada:" + secret + "@/run/s", settings{"mode": "standalone", "addresses": "/run/s", "user": "ada", "password": secret}, []string{"unix:///run/s"}},
		{"redis+sentinel://a,b:26380/mymaster/4", settings{"mode": "sentinel", "addresses": "a:26379,b:26380", "master": "mymaster", "database": "4"},
			[]string{"tcp://a:26379", "tcp://b:26380", "tcp://a:6379", "tcp://b:6379"}},
		{"rediss+sentinel://a/m?nodes=10.1.0.0/16:6379,*.cache:6379&sentinel_user=u&sentinel_password=v",
			settings{"mode": "sentinel", "addresses": "a:26379", "master": "m", "tls": "on", "sentinel_user": "u", "sentinel_password": "v"},
			[]string{"tls://a:26379", "tls://10.1.0.0/16:6379", "tls://*.cache:6379"}},
		{"redis+cluster://a:7000,b:7001?wait_replicas=1&wait_ms=50&timeout_ms=900",
			settings{"mode": "cluster", "addresses": "a:7000,b:7001", "wait_replicas": "1", "wait_ms": "50", "timeout_ms": "900"},
			[]string{"tcp://a:7000", "tcp://b:7001", "tcp://a:7001", "tcp://b:7000"}},
		{"rediss+cluster://a?nodes=10.0.0.0/8:6379-6390", settings{"mode": "cluster", "addresses": "a:6379", "tls": "on"}, []string{"tls://a:6379", "tls://10.0.0.0/8:6379-6390"}},
	} {
		cfg, err := redis.Configure(c.url, plugin.Config{})
		require.NoError(t, err, c.url)
		require.Equal(t, map[string]string(c.settings), cfg.GuestConfig, c.url)
		require.Equal(t, c.allow, cfg.Network.Allow, c.url)
		require.NotContains(t, redis.Redacted(c.url), secret)
		require.NotContains(t, redis.Redacted(c.url), "p%40ss")
		require.NotContains(t, redis.Redacted(c.url), "sentinel_password=v")
	}
}

func TestURLRefused(t *testing.T) {
	t.Setenv("EMPTY_IN_THE_TESTS", "")
	for _, c := range []struct{ url, says string }{
		{"cache:6379", "must begin with one of redis, rediss, redis+unix"},
		{"http://cache", "must begin with one of"},
		{"redis://", "must name a host"},
		{"redis://:6379", "must name a host"},
		{"redis://cache:port", "must name a host"},
		{"redis://cache:0", "must name a host"},
		{"redis://::1", "must name a host"},
		{"redis://[cache", "must name a host"},
		{"redis://a,b", "names several hosts"},
		{"redis://a,", "must name a host"},
		{"redis://*.cache", "must name a host"},
		{"redis://cache/x", "is not the number of a database"},
		{"redis://cache/-1", "is not the number of a database"},
		{"redis://cache/1/2", "more than the number of a database"},
		{"redis://cache/1?database=2", "has the database twice"},
		{"redis://cache#1", "it has a #"},
		{"redis://ada:" + secret + "#@cache", "it has a #"},
		{"redis://ada:" + secret + "/x@cache", ""},
		{"redis://ada:" + secret + "%zz@cache", "the password has a character that must be written"},
		{"redis://ada:" + secret + "@x@cache", "the password has a character that must be written"},
		{"redis://cache?ttl=1", `the option "ttl" is unknown: the options are prefix`},
		{"redis://cache?prefix=", "the option prefix is empty"},
		{"redis://cache?prefix=a&prefix=b", "the option prefix is there twice"},
		{"redis://cache?prefix=%zz", "the option prefix has a character"},
		{"redis://:" + secret + "@cache?password_env=X", "the password: it is given in more than one way"},
		{"redis://cache?password_env=EMPTY_IN_THE_TESTS", "is empty"},
		{"redis://cache?password_file=" + write(t, "\n"), "is empty"},
		{"redis://cache?password_file=/no/such/file", "the password: open /no/such/file"},
		{"redis://cache?nodes=a:1", "the option nodes is only for"},
		{"redis://cache?ca_file=x", "without TLS: the URL must begin with rediss"},
		{"rediss://cache?cert_file=x", "the option cert_file is set without key_file"},
		{"rediss://cache?key_file=x", "the option key_file is set without cert_file"},
		{"rediss://cache?ca_file=/no/such/file", "the certificates: open /no/such/file"},
		{"rediss://cache?ca_file=" + write(t, secret), "has no certificate in PEM"},
		{"rediss://cache?cert_file=" + write(t, secret) + "&key_file=" + write(t, secret), "the certificates: tls: failed to find any PEM"},
		{"redis+unix://cache/run/s", "a socket must be named by its path"},
		{"redis+unix://", "a socket must be named by its path"},
		{"redis+sentinel://a", "must have the name of the master"},
		{"redis+sentinel://a/m/x", "is not the number of a database"},
	} {
		_, err := redis.Open(ctx, c.url, plugin.Config{Logger: silent})
		require.ErrorIs(t, err, redis.ErrURL, c.url)
		require.ErrorContains(t, err, c.says, c.url)
		require.NotContains(t, err.Error(), secret, c.url)
		require.NotContains(t, redis.Redacted(c.url), secret, c.url)
	}
	for _, cfg := range []plugin.Config{
		{Snapshots: t.TempDir()},
		{GuestConfig: map[string]string{"addresses": "x:1"}},
	} {
		cfg.Logger = silent
		_, err := redis.Open(ctx, "redis://cache", cfg)
		require.ErrorIs(t, err, redis.ErrURL)
	}
	certificates := backend.NewCertificates(t)
	_, err := redis.Open(ctx, "rediss://cache?ca_file="+certificates.RootFile, plugin.Config{Logger: silent, Network: plugin.Network{TLS: new(tls.Config)}})
	require.ErrorContains(t, err, "Config.Network.TLS is set")
}

// TestDefaults: what the config becomes, unless the caller says otherwise.
func TestDefaults(t *testing.T) {
	cfg, err := redis.Configure("redis://cache?timeout_ms=60000", plugin.Config{})
	require.NoError(t, err)
	require.Equal(t, 1, cfg.Shards)
	require.EqualValues(t, 64<<20, cfg.MemoryLimit)
	require.Equal(t, "redis", cfg.Name)
	require.Equal(t, plugin.DurabilityDefault, cfg.Durability)
	require.Equal(t, 2*time.Minute, cfg.Network.Wait, "a call may wait for a trip and for another")
	require.NotEmpty(t, cfg.Network.Private)

	cfg, err = redis.Configure("redis://cache?wait_replicas=1", plugin.Config{Shards: 4, Network: plugin.Network{Allow: []string{"tcp://other:1"}}})
	require.NoError(t, err)
	require.Equal(t, plugin.DurabilityDefault, cfg.Durability, "each write waits for the replicas, so there is nothing to save")
	require.EqualValues(t, 4*64<<20, cfg.MemoryLimit)
	require.Equal(t, []string{"tcp://other:1", "tcp://cache:6379"}, cfg.Network.Allow)
	require.Equal(t, 30*time.Second, cfg.Network.Wait)
}
