// Package postgres opens the bundled engine that keeps sessions in a table of a PostgreSQL
// server: a WebAssembly guest, compiled from guest/engines/postgres and embedded in the
// program. Hosts that open it with the same database and table share their sessions. Its
// README says what it promises.
//
// The module contains code of pgx, which has the licence in LICENSE.pgx.
package postgres

import (
	"cmp"
	"context"
	_ "embed"
	"maps"
	"strconv"
	"time"

	"github.com/waddle-sessions/waddle/host/engines/internal/access"
	"github.com/waddle-sessions/waddle/host/engines/internal/bundle"
	"github.com/waddle-sessions/waddle/host/plugin"
)

//go:embed postgres.wasm.gz
var packed []byte

// Name is the engine's name in logs and errors, unless Config.Name is set.
const Name = "postgres"

const (
	// defaultMemory is for one instance.
	defaultMemory = 64 << 20

	// leastWait bounds a call, which may make several attempts within the setting
	// timeout_ms. To open, the guest may wait longer, for another that makes the table.
	leastWait = 15 * time.Second
)

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
	wasm, err := Module()
	if err != nil {
		return nil, err
	}
	return plugin.Open(ctx, wasm, bundle.Trust(cfg))
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
	if cfg.Snapshots != "" {
		return cfg, urlError("Config.Snapshots is set: must be empty, since the server keeps the sessions")
	}
	cfg.Name = cmp.Or(cfg.Name, Name)
	cfg.Shards = cmp.Or(cfg.Shards, 1)
	cfg.MemoryLimit = cmp.Or(cfg.MemoryLimit, int64(cfg.Shards)*defaultMemory)
	password, err := access.Secret(t.password, t.options["password_file"], t.options["password_env"])
	if err != nil {
		return cfg, urlError("the password: %w", err)
	}
	merged := maps.Clone(cfg.GuestConfig)
	if merged == nil {
		merged = make(map[string]string)
	}
	if password != "" {
		t.settings["password"] = password
	}
	for name, value := range t.settings {
		if _, twice := merged[name]; twice {
			return cfg, urlError("Config.GuestConfig has the setting %s, which the URL has, too: must be in one of them", name)
		}
		merged[name] = value
	}
	cfg.GuestConfig = merged
	return cfg, t.grant(&cfg.Network, merged)
}

// grant fills in what the guest may reach.
func (t *target) grant(n *plugin.Network, settings map[string]string) error {
	n.Allow = append(n.Allow[:len(n.Allow):len(n.Allow)], t.patterns()...)
	if n.Private == nil {
		n.Private = access.Private()
	}
	if n.Wait == 0 {
		ms, _ := strconv.ParseInt(settings["timeout_ms"], 10, 32) // the guest refuses what is no number
		n.Wait = max(leastWait, 2*time.Duration(ms)*time.Millisecond)
	}
	roots, cert := t.options["sslrootcert"], t.options["sslcert"]
	switch {
	case roots == "" && cert == "":
		return nil
	case n.TLS != nil:
		return urlError("it names certificates, and Config.Network.TLS is set: must be one of the two")
	}
	config, err := access.TLS(roots, cert, t.options["sslkey"])
	if err != nil {
		return urlError("the certificates: %w", err)
	}
	n.TLS = config
	return nil
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
