package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

const secret = "s3cr3t"

func TestURL(t *testing.T) {
	base := func(more ...string) map[string]string {
		all := map[string]string{"addresses": "db.example.com:5432", "user": "ada", "database": "shop", "tls": "on"}
		for i := 0; i < len(more); i += 2 {
			if all[more[i]] = more[i+1]; more[i+1] == "" {
				delete(all, more[i])
			}
		}
		return all
	}
	for url, want := range map[string]map[string]string{
		"postgres://ada@db.example.com/shop":                              base(),
		"postgresql://ada@db.example.com:5433/shop":                       base("addresses", "db.example.com:5433"),
		"postgres://ada:s3cr3t@db.example.com/shop":                       base("password", secret),
		"postgres://ada:%40%2F%3A%3F@db.example.com/shop":                 base("password", "@/:?"),
		"postgres://ada%40x@db.example.com/a%20b":                         base("user", "ada@x", "database", "a b"),
		"postgres://ada@db.example.com":                                   base("database", ""),
		"postgres://ada@db.example.com/shop?sslmode=require":              base(),
		"postgres://ada@db.example.com/shop?sslmode=verify-full":          base(),
		"postgres://ada@db.example.com/shop?sslmode=disable":              base("tls", ""),
		"postgres://ada@localhost/shop":                                   base("addresses", "localhost:5432", "tls", ""),
		"postgres://ada@127.0.0.1/shop":                                   base("addresses", "127.0.0.1:5432", "tls", ""),
		"postgres://ada@[::1]:1/shop":                                     base("addresses", "[::1]:1", "tls", ""),
		"postgres://ada@10.0.0.1/shop":                                    base("addresses", "10.0.0.1:5432"),
		"postgres://ada@localhost/shop?sslmode=require":                   base("addresses", "localhost:5432"),
		"postgres://ada@localhost,db:1/shop":                              base("addresses", "localhost:5432,db:1"),
		"postgres://ada@/shop?host=/run/postgresql":                       base("addresses", "/run/postgresql/.s.PGSQL.5432", "tls", ""),
		"postgres://ada@:5433/shop?host=/tmp/":                            base("addresses", "/tmp/.s.PGSQL.5433", "tls", ""),
		"postgres://ada@db.example.com/shop?target_session_attrs=primary": base(),
		"postgres://ada@db.example.com/shop?channel_binding=prefer&table=app.s&connections=2&timeout_ms=900&synchronous_commit=off&unlogged=true&migrate=off&prepare=off": base(
			"table", "app.s", "connections", "2", "timeout_ms", "900", "synchronous_commit", "off", "unlogged", "true", "migrate", "off", "prepare", "off"),
	} {
		tgt, err := parse(url)
		require.NoError(t, err, url)
		cfg, err := tgt.configure(plugin.Config{})
		require.NoError(t, err, url)
		require.Equal(t, want, cfg.GuestConfig, url)
		var allow []string
		for address := range strings.SplitSeq(want["addresses"], ",") {
			if address[0] == '/' {
				allow = append(allow, "unix://"+address)
			} else {
				allow = append(allow, "tcp://"+address)
			}
		}
		require.Equal(t, allow, cfg.Network.Allow)
		reach, err := Reach(url)
		require.NoError(t, err)
		require.Equal(t, allow, reach)
		require.NotContains(t, Redacted(url), secret)
		if !strings.Contains(url, ":s3cr3t") && !strings.Contains(url, "%40%2F") {
			require.Equal(t, url, Redacted(url))
		}
	}
}

func TestURLsThatAreRefused(t *testing.T) {
	for url, says := range map[string]string{
		"":                                                            "must begin with postgres:// or postgresql://",
		"mysql://ada:s3cr3t@db":                                       "must begin with postgres:// or postgresql://",
		"postgres://db/shop":                                          "must have a user",
		"postgres://:s3cr3t@db/shop":                                  "must have a user",
		"postgres://ada:s3cr3t@/shop":                                 "must name a host",
		"postgres://ada:s3cr3t@db:x/shop":                             "must name a host",
		"postgres://ada:s3cr3t@db:0/shop":                             "must name a host",
		"postgres://ada:s3cr3t@::1/shop":                              "must name a host",
		"postgres://ada:s3cr3t@*/shop":                                "must name a host",
		"postgres://ada:s3cr3t@db/a/b":                                "must be the name of a database",
		"postgres://ada:s3cr3t@db/shop#x":                             "it has a #",
		"postgres://ada:s3cr3t#x@db/shop":                             "it has a #",
		"postgres://ada:s3cr3t%@db/shop":                              "the password has a character that must be written as %",
		"postgres://ada:s3cr3t@x@db/shop":                             "the password has a character that must be written as %",
		"postgres://ada:x?s3cr3t@db/shop":                             "an @ behind a ?",
		"postgres://ada:x?s3cr3t&y@db/shop":                           "an @ behind a ?",
		"postgres://ada:x/s3cr3t@db/shop":                             "must have a user",
		"postgres://ada:s3cr3t@db/shop?sslmode=prefer":                `sslmode is "prefer": must be verify-full, which checks the server's certificate and its name, or disable`,
		"postgres://ada:s3cr3t@db/shop?sslmode=disable&sslrootcert=x": "the option sslrootcert is set without TLS",
		"postgres://ada:s3cr3t@db/shop?sslcert=x":                     "one of the options sslcert and sslkey is set without the other",
		"postgres://ada:s3cr3t@db/shop?table=":                        "the option table is empty",
		"postgres://ada:s3cr3t@db/shop?table=a&table=b":               "the option table is there twice",
		"postgres://ada:s3cr3t@db/shop?pool=3":                        `the option "pool" is unknown: the options are sslmode`,
		"postgres://ada:s3cr3t@db/shop?target_session_attrs=any":      "must be read-write or left out",
		"postgres://ada:s3cr3t@db/shop?channel_binding=require":       "must be prefer or left out",
		"postgres://ada@/shop?host=a,b":                               "must name a host",
	} {
		_, err := parse(url)
		require.ErrorIs(t, err, ErrURL, url)
		require.ErrorContains(t, err, says, url)
		require.NotContains(t, err.Error(), secret, url)
		require.NotContains(t, Redacted(url), secret, url)
		_, err = Open(t.Context(), url, plugin.Config{})
		require.ErrorIs(t, err, ErrURL)
	}
}

func TestSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	t.Setenv("DB_PASSWORD", secret)
	configure := func(url string, cfg plugin.Config) (plugin.Config, error) {
		tgt, err := parse(url)
		require.NoError(t, err)
		return tgt.configure(cfg)
	}
	for _, option := range []string{"password_file=" + file, "password_env=DB_PASSWORD"} {
		cfg, err := configure("postgres://ada@db/shop?"+option, plugin.Config{})
		require.NoError(t, err)
		require.Equal(t, secret, cfg.GuestConfig["password"])
	}
	for url, says := range map[string]string{
		"postgres://ada:s3cr3t@db/shop?password_file=" + file: "more than one way",
		"postgres://ada@db/shop?password_file=/nowhere":       "no such file",
		"postgres://ada@db/shop?password_file=" + empty:       "is empty",
		"postgres://ada@db/shop?password_env=NOT_SET":         "the variable NOT_SET is empty, or not set",
		"postgres://ada@db/shop?sslrootcert=/nowhere":         "no such file",
		"postgres://ada@db/shop?sslrootcert=" + file:          "has no certificate in PEM",
		"postgres://ada@db/shop?sslcert=a&sslkey=b":           "the certificates",
	} {
		_, err := configure(url, plugin.Config{})
		require.ErrorIs(t, err, ErrURL, url)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), secret)
	}
	_, err := configure("postgres://ada@db/shop", plugin.Config{GuestConfig: map[string]string{"user": "x"}})
	require.ErrorContains(t, err, "has the setting user, which the URL has, too")
	_, err = configure("postgres://ada@db/shop", plugin.Config{Snapshots: "x"})
	require.ErrorContains(t, err, "Snapshots")

	certs := backend.NewCertificates(t)
	cfg, err := configure("postgres://ada@db/shop?sslrootcert="+certs.RootFile+"&sslcert="+certs.ClientFile+"&sslkey="+certs.ClientKeyFile,
		plugin.Config{GuestConfig: map[string]string{"timeout_ms": "30000"}})
	require.NoError(t, err)
	require.NotNil(t, cfg.Network.TLS.RootCAs)
	require.Len(t, cfg.Network.TLS.Certificates, 1)
	require.Equal(t, time.Minute, cfg.Network.Wait)
	require.Equal(t, int64(64<<20), cfg.MemoryLimit)
	require.Equal(t, "30000", cfg.GuestConfig["timeout_ms"])
}
