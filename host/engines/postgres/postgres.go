// Package postgres opens the bundled engine that keeps sessions in a table of a PostgreSQL
// server: a WebAssembly guest, compiled from guest/engines/postgres and embedded in the
// program. Hosts that open it with the same database and table share their sessions. Its
// README says what it promises.
//
// The module contains code of pgx, which has the licence in LICENSE.pgx.
package postgres

import (
	"context"
	_ "embed"
	"strconv"
	"time"

	"github.com/waddle-sessions/waddle/host/engines/internal/bundle"
	"github.com/waddle-sessions/waddle/host/engines/internal/serverurl"
	"github.com/waddle-sessions/waddle/host/plugin"
)

//go:embed postgres.wasm.gz
var packed []byte

// Name is the engine's name in logs and errors, unless Config.Name is set.
const Name = "postgres"

// leastWait bounds a call, which may make several attempts within the setting
// timeout_ms. To open, the guest may wait longer, for another that makes the table.
const leastWait = 15 * time.Second

// Open starts the engine over the server that a URL names:
//
//	postgres://user:password@host:5432/database
//	postgres://user@host1,host2/database?sslrootcert=root.pem
//	postgres://user@/database?host=/run/postgresql
//
// The form is that of libpq, and postgresql:// means the same. The port is 5432 unless the URL
// has another. Of several hosts, the first that takes writes is used. The options of the URL
// are in README.md of guest/engines/postgres. A password may stand in a file or in a
// variable of the environment that the URL names; no error and no line of a log shows one.
//
// A server on another machine must have TLS and a certificate for its name, unless the URL
// has sslmode=disable.
//
// The guest may reach what the URL names, in private networks too, and what
// cfg.Network.Allow adds. cfg.Network.TLS has the roots and certificates, unless the URL names
// files with them. cfg.Shards 0 means one instance, which takes many calls at a time;
// cfg.MemoryLimit 0 means 64 MiB for each. cfg.GuestConfig may have the engine's settings that
// the URL does not give.
//
// The engine is trusted: it computes unmetered and without bounds. If cfg has a bound,
// such as Deadline, Fuel or FuelRate, it runs metered instead. Errors are ErrURL and those of
// [plugin.Open]: [plugin.ErrOpen] if the server cannot be reached, or refuses.
func Open(ctx context.Context, url string, cfg plugin.Config) (*plugin.Plugin, error) {
	t, err := parse(url)
	if err != nil {
		return nil, err
	}
	if cfg, err = t.configure(cfg); err != nil {
		return nil, err
	}
	module, err := bundle.Module(packed)
	if err != nil {
		return nil, err
	}
	return plugin.OpenEmbedded(ctx, module, bundle.Trust(cfg))
}

// Module returns the engine's WebAssembly module.
func Module() ([]byte, error) { return bundle.Unpack(packed) }

// Reach returns what the engine may reach if it is opened with a URL, as in
// [plugin.Network]. Files and variables that the URL names are not read.
func Reach(url string) ([]string, error) {
	t, err := parse(url)
	if err != nil {
		return nil, err
	}
	return t.patterns(), nil
}

// configure fills in a config.
func (t *target) configure(cfg plugin.Config) (plugin.Config, error) {
	password, err := serverurl.Secret(t.password, t.options["password_file"], t.options["password_env"])
	if err != nil {
		return cfg, urlError("the password: %w", err)
	}
	if password != "" {
		t.settings["password"] = password
	}
	if cfg, err = serverurl.Configure(cfg, Name, t.settings); err != nil {
		return cfg, urlError("%w", err)
	}
	ms, _ := strconv.ParseInt(cfg.GuestConfig["timeout_ms"], 10, 32) // the guest refuses what is no number
	serverurl.Grant(&cfg.Network, t.patterns(), max(leastWait, 2*time.Duration(ms)*time.Millisecond))
	if err := serverurl.Trust(&cfg.Network, t.options["sslrootcert"], t.options["sslcert"], t.options["sslkey"]); err != nil {
		return cfg, urlError("%w", err)
	}
	return cfg, nil
}

// patterns are the addresses that the URL names.
func (t *target) patterns() (list []string) {
	for _, address := range t.addresses {
		if address[0] == '/' {
			list = append(list, "unix://"+address)
		} else {
			list = append(list, "tcp://"+address)
		}
	}
	return list
}
