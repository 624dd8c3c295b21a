package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/engines/redis"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// works requires that the plugin keeps sessions.
func works(t *testing.T, url string, cfg plugin.Config) {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = silent
	}
	p, err := redis.Open(ctx, url, cfg)
	require.NoError(t, err, redis.Redacted(url))
	defer func() { require.NoError(t, p.Close(ctx)) }()
	key, now := make([]byte, 32), storetest.Now
	require.NoError(t, p.Delete(ctx, key, now))
	require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: storetest.Value(1, 40), Now: now, Expires: now + 1000, Expect: store.Absent}))
	require.ErrorIs(t, p.Set(ctx, store.Write{Key: key, Value: storetest.Value(2, 40), Now: now, Expect: store.Absent}), store.ErrConflict)
	got, err := p.Get(ctx, key, now)
	require.NoError(t, err)
	require.Equal(t, storetest.Value(1, 40), got)
	require.NoError(t, p.Save(ctx, now))
}

// TestEveryURL: each kind of URL leads to a real server.
func TestEveryURL(t *testing.T) {
	certificates := backend.NewCertificates(t)
	files := fmt.Sprintf("?ca_file=%s&cert_file=%s&key_file=%s&prefix=%s", certificates.RootFile, certificates.ClientFile, certificates.ClientKeyFile, newPrefix())
	t.Setenv("OF_THE_TESTS", secret)
	t.Run("redis", func(t *testing.T) {
		server := backend.Redis(t, backend.RedisOptions{Password: secret, Unix: true, Users: []string{"ada on >" + secret + " ~* +@all"}})
		works(t, "redis://:"+secret+"@"+server.Addr()+"/3", plugin.Config{})
		works(t, "redis://ada@"+server.Addr()+"?password_env=OF_THE_TESTS", plugin.Config{})
		works(t, "redis://ada@localhost:"+fmt.Sprint(server.Port())+"?password_file="+write(t, secret+"\n"), plugin.Config{Shards: 2})
		works(t, "redis+unix://"+server.Socket()+"?password_env=OF_THE_TESTS", plugin.Config{})
	})
	t.Run("rediss", func(t *testing.T) {
		server := backend.Redis(t, backend.RedisOptions{TLS: certificates, ClientCert: true})
		works(t, "rediss://"+server.Addr()+files, plugin.Config{})
		works(t, "rediss://"+server.Addr(), plugin.Config{Network: plugin.Network{TLS: certificates.Client()}})
		_, err := redis.Open(ctx, "rediss://"+server.Addr(), plugin.Config{Logger: silent})
		require.ErrorIs(t, err, plugin.ErrOpen)
		require.ErrorContains(t, err, "certificate")
	})
	t.Run("sentinel", func(t *testing.T) {
		g := backend.Sentinel(t, backend.SentinelOptions{Password: secret, SentinelPassword: "of-sentinels-" + secret})
		url := "redis+sentinel://" + strings.Join(g.Addrs(), ",") + "/" + g.Name + "?password_env=OF_THE_TESTS&sentinel_password=of-sentinels-" + secret
		_, err := redis.Open(ctx, url, plugin.Config{Logger: silent})
		require.ErrorIs(t, err, plugin.ErrOpen)
		require.ErrorContains(t, err, "the plugin must be granted this address")
		require.NotContains(t, err.Error(), secret)
		works(t, url+"&nodes=127.0.0.1:1-65535", plugin.Config{})
	})
	t.Run("cluster", func(t *testing.T) {
		g := backend.Cluster(t, backend.ClusterOptions{TLS: certificates})
		works(t, "rediss+cluster://"+strings.Join(g.Addrs(), ",")+files, plugin.Config{})
		works(t, "rediss+cluster://"+g.Addrs()[0]+files+"&nodes=127.0.0.0/8:1-65535", plugin.Config{})
	})
}

// TestSecretsStaySecret: passwords are in no error, whatever goes wrong, in no line of a log
// of any level, and in nothing that a plugin or the settings say of themselves.
func TestSecretsStaySecret(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{Password: secret})
	var log bytes.Buffer
	cfg := plugin.Config{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug - 100})), GuestConfig: map[string]string{}}
	good := "redis://default:" + secret + "@" + server.Addr()
	for _, url := range []string{
		"redis://default:wrong-" + secret + "@" + server.Addr(),
		"redis://nobody:" + secret + "@" + server.Addr(),
		"redis://default:" + secret + "@127.0.0.1:1",
		"rediss://default:" + secret + "@" + server.Addr() + "?timeout_ms=500",
		"redis+cluster://default:" + secret + "@" + server.Addr(),
		"redis+sentinel://default:" + secret + "@" + server.Addr() + "/m?sentinel_password=" + secret,
		good + "/99999",
		good + "?timeout_ms=-1",
		good + "?wait_ms=x",
	} {
		_, err := redis.Open(ctx, url, cfg)
		require.Error(t, err, "%s", redis.Redacted(url))
		require.NotContains(t, err.Error(), secret)
		for _, format := range []string{"%v", "%+v", "%#v", "%q"} {
			require.NotContains(t, fmt.Sprintf(format, err), secret)
		}
		for wrapped := err; wrapped != nil; wrapped = errors.Unwrap(wrapped) {
			require.NotContains(t, fmt.Sprintf("%+v", wrapped), secret)
		}
		_, err = engines.OpenFromEnv(ctx, []string{"SESSION_STORAGE=" + url})
		require.Error(t, err)
		require.NotContains(t, err.Error(), secret)
	}
	p, err := redis.Open(ctx, good, cfg)
	require.NoError(t, err)
	server.SetPassword("another")
	server.CutClients()
	_, err = p.Get(ctx, make([]byte, 32), storetest.Now)
	require.ErrorIs(t, err, store.ErrDenied)
	require.NotContains(t, err.Error(), secret)
	require.NotContains(t, fmt.Sprintf("%+v %+v %s", p.Info(), p.Stats(), p.Name()), secret)
	_ = p.Close(ctx)
	require.NotContains(t, log.String(), secret)

	settings, err := engines.FromEnv([]string{"SESSION_STORAGE=" + good})
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%+v", settings.Describe()), secret)
}

// TestGrantIsHeld: the guest reaches what the URL names, and only where the caller allows
// private networks, if the caller says anything about them.
func TestGrantIsHeld(t *testing.T) {
	server := backend.SharedRedis(t, backend.RedisOptions{})
	cfg := plugin.Config{Logger: silent, Network: plugin.Network{Private: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	_, err := redis.Open(ctx, "redis://"+server.Addr(), cfg)
	require.ErrorIs(t, err, plugin.ErrConfig)
	require.ErrorContains(t, err, "127.0.0.1 is loopback, and reached only if Private lists it")
	_, err = redis.Open(ctx, fmt.Sprintf("redis://localhost:%d", server.Port()), cfg)
	require.ErrorIs(t, err, plugin.ErrOpen)
	require.ErrorContains(t, err, "the plugin must be granted this address")
}

// TestServerIsBackAgain: a plugin whose server was away goes on by itself.
func TestServerIsBackAgain(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{Persist: true})
	p, err := redis.Open(ctx, "redis://"+server.Addr()+"?timeout_ms=1000", plugin.Config{Logger: silent})
	require.NoError(t, err)
	defer func() { _ = p.Close(ctx) }()
	key, now := make([]byte, 32), storetest.Now
	require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: storetest.Value(1, 40), Now: now}))
	server.Kill()
	began := time.Now()
	for range 50 {
		_, err := p.Get(ctx, key, now)
		require.ErrorIs(t, err, store.ErrUnavailable)
	}
	require.Less(t, time.Since(began), 20*time.Second)
	server.Restart()
	require.Eventually(t, func() bool {
		got, err := p.Get(ctx, key, now)
		return err == nil && bytes.Equal(got, storetest.Value(1, 40))
	}, 20*time.Second, time.Millisecond)
	require.Zero(t, p.Stats().Restarts, "the instance has lived on")
}

// TestCallersTogether: many callers at once share few trips, and each has its own answer.
func TestCallersTogether(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{})
	p, err := redis.Open(ctx, "redis://"+server.Addr(), plugin.Config{Logger: silent})
	require.NoError(t, err)
	defer func() { _ = p.Close(ctx) }()
	trips := func() (n int) {
		_, err := fmt.Sscan(server.Info("total_reads_processed"), &n)
		require.NoError(t, err)
		return n
	}
	const callers, calls = 64, 50
	before := trips()
	failed := make(chan error, callers)
	for caller := range callers {
		go func() {
			failed <- func() error {
				key := fmt.Appendf(nil, "caller %d", caller)
				for n := range uint64(calls) {
					value := storetest.Value(n+1, 40+caller)
					if err := p.Set(context.Background(), store.Write{Key: key, Value: value, Now: storetest.Now}); err != nil {
						return err
					}
					got, err := p.Get(context.Background(), key, storetest.Now)
					if err != nil || !bytes.Equal(got, value) {
						return fmt.Errorf("caller %d has got another's value, or none: %w", caller, err)
					}
				}
				return nil
			}()
		}()
	}
	for range callers {
		require.NoError(t, <-failed)
	}
	took := trips() - before
	t.Logf("%d operations took %d trips", 2*callers*calls, took)
	require.Less(t, took, 2*callers*calls/2)
}
