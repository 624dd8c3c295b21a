// Package redis opens the bundled engine that keeps sessions in a Redis or Valkey
// server: a WebAssembly guest, compiled from guest/engines/redis and embedded in the
// program. Hosts that open it with the same address and prefix share their sessions. Its
// README says what it promises.
package redis

import (
	"cmp"
	"context"
	_ "embed"
	"strconv"
	"time"

	"github.com/waddle-sessions/waddle/host/engines/internal/bundle"
	"github.com/waddle-sessions/waddle/host/engines/internal/serverurl"
	"github.com/waddle-sessions/waddle/host/plugin"
)

//go:embed redis.wasm.gz
var packed []byte

// Name is the engine's name in logs and errors, unless Config.Name is set.
const Name = "redis"

// leastWait bounds a call that makes many trips, such as Clear. Each trip has the bound
// of the setting timeout_ms.
const leastWait = 30 * time.Second

// Open starts the engine over the server that a URL names:
//
//	redis://user:password@host:6379/0
//	rediss://host                          with TLS
//	redis+unix:///run/redis/redis.sock
//	redis+sentinel://host1,host2/master/0  and rediss+sentinel
//	redis+cluster://host1,host2            and rediss+cluster
//
// The port is 6379, or 26379 of a Sentinel, unless the URL has another. The options of the
// URL are in README.md of host/engines. A password may stand in a file or in a variable of the
// environment that the URL names; no error and no line of a log shows one.
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
	settings, err := t.withSecrets()
	if err != nil {
		return cfg, err
	}
	if cfg, err = serverurl.Configure(cfg, Name, settings); err != nil {
		return cfg, urlError("%w", err)
	}
	cfg.SweepInterval = cmp.Or(cfg.SweepInterval, -1) // the server removes what has expired
	wait := max(leastWait, 2*(milliseconds(&cfg, "timeout_ms")+milliseconds(&cfg, "wait_ms")))
	serverurl.Grant(&cfg.Network, t.patterns(), wait)
	if err := serverurl.Trust(&cfg.Network, t.options["ca_file"], t.options["cert_file"], t.options["key_file"]); err != nil {
		return cfg, urlError("%w", err)
	}
	return cfg, nil
}

// milliseconds returns a setting of the guest, or 0. The guest refuses one that is no number.
func milliseconds(cfg *plugin.Config, name string) time.Duration {
	n, _ := strconv.ParseInt(cfg.GuestConfig[name], 10, 32)
	return time.Duration(max(n, 0)) * time.Millisecond
}
