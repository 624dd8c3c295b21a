package plugintest

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/internal/namespace"
)

// Options say how a module is tested. The zero value is ready to use.
type Options struct {
	// Options of the suite. By default Target is the guest's own name, and MaxKey
	// and MaxValue are what it describes. Durable is set for a guest that is
	// given a mount.
	storetest.Options

	// Settings are passed to the guest, in addition to those of Config.GuestConfig.
	Settings map[string]string

	// Namespace is the setting by which a guest whose records lie elsewhere keeps them
	// apart from others, for example "prefix". The suite adds [storetest.Setup.Namespace]
	// to its value. Stores with one namespace then have the same records, and the checks
	// of several hosts run, too: Shared is set.
	Namespace string

	// Mount is a directory, made if it does not exist, for a guest that keeps
	// files. Each store is given an empty directory within it, which is removed
	// afterwards. "" means the temporary directory, if the module imports
	// path_open and so can open files, or if Config.Mounts has an entry. The
	// guest finds it under [plugin.DefaultMountPath], or under the Path of that
	// entry.
	Mount string

	// MountBytes and MountFiles are the quotas of that directory, if the entry of
	// Config.Mounts has none. 0 means the default of [plugin.Mount].
	MountBytes, MountFiles int64

	// Batches makes all operations on records lists for session_batch, which the guest must
	// have, with cas: the checks of package storetest, and no others, then test what lists do.
	Batches bool

	// Config says how the guest is run. Mounts are replaced as described above;
	// the suite sets the intervals, the clock and Snapshots. By default there is
	// one shard of 32 MiB, no cache directory and no log. The guest runs metered:
	// a call without end fails the guest and not the suite. By default Deadline is
	// half a minute, for slow machines, Fuel is [plugin.DefaultFuel], as in a host,
	// and FuelRate has no bound. With Config.Trusted the guest runs unmetered,
	// which is a little faster, but a call without end also hangs the suite.
	Config plugin.Config
}

const (
	defaultShards   = 1
	memoryOfShard   = 32 << 20
	defaultDeadline = 30 * time.Second
)

// Run runs the suite on the module in a file, in subtests with the names of the
// checks. At most one Options may be given.
func Run(t *testing.T, file string, options ...Options) {
	t.Helper()
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if o.Target == "" {
		o.Target = filepath.Base(file)
	}
	RunModule(t, wasm, o)
}

// RunModule is Run for a module in memory.
func RunModule(t *testing.T, wasm []byte, options Options) {
	t.Helper()
	if options.Dir == "" && options.Mount == "" {
		options.Dir = t.TempDir()
	}
	h, suite, err := prepare(t.Context(), wasm, options)
	defer h.close()
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, h.open, suite)
}

// Check runs the suite on a module. Cancelling ctx ends it early: the remaining
// checks count as skipped. If wasm is not a module, or if the guest refuses its
// settings, nothing is run, and the report has a Misuse. Unless Only chooses checks, the
// report also has the fuel of the guest's operations.
func Check(ctx context.Context, wasm []byte, options Options) *storetest.Report {
	h, suite, err := prepare(ctx, wasm, options)
	defer h.close()
	if err != nil {
		return storetest.Misused(suite.Target, err)
	}
	report := storetest.Check(ctx, h.open, suite)
	if h.opened && len(suite.Only) == 0 {
		report.Fuel = h.fuel(ctx)
	}
	return report
}

// Tests returns the checks of a module in the order in which they run: those that
// only a module has, and then those of package storetest.
func Tests() []storetest.Test { return storetest.Combine(storetest.Tests(), OwnTests()) }

// OwnTests returns the checks that only a module has.
func OwnTests() []storetest.Test { return new(harness).tests() }

// harness opens the guest for the checks.
type harness struct {
	wasm    []byte
	options Options
	outline *preflight.Module // nil if it cannot be read
	refused error             // why the host refuses the module
	mounted bool
	path    string // of the mount

	keepers []*plugin.Plugin // keep compiled code for the other plugins
	opened  bool             // whether the guest opens
	dirs    []string
	info    plugin.Info
	direct  []byte // see direct; made when it is first needed
	routed  []byte // see routed; likewise
	watched *watched
}

// prepare finds out what can be known of the module before the checks, and makes
// the options of the suite. An error is the fault of the caller, who gave the
// options.
func prepare(ctx context.Context, wasm []byte, o Options) (*harness, storetest.Options, error) {
	h := &harness{wasm: wasm, options: o}
	h.outline, _ = preflight.Parse(wasm, preflight.DefaultLimits())
	_, h.refused = plugin.Validate(wasm)
	if len(o.Config.Mounts) > 0 {
		h.mounted, h.path = true, o.Config.Mounts[0].Path
	}
	h.mounted = h.mounted || o.Mount != "" || h.opensFiles()
	suite := o.Options
	if h.mounted {
		suite.Durable = true
	}
	suite.Shared = suite.Shared || o.Namespace != ""
	suite.Dir = cmp.Or(o.Mount, suite.Dir)
	h.options.Dir = suite.Dir
	suite.Explain = func(err error) string { return cmp.Or(h.explain(err), explain(o.Explain, err)) }
	var misuse error
	if h.refused == nil {
		keeper, err := h.keep(ctx, wasm)
		if err == nil {
			h.opened, h.info = true, keeper.Info()
		}
		misuse = h.misused(ctx, err)
	} else if !bytes.HasPrefix(wasm, []byte("\x00asm")) {
		misuse = h.refused
	}
	if h.opened {
		suite.MaxKey = cmp.Or(suite.MaxKey, h.info.MaxKey)
		suite.MaxValue = cmp.Or(suite.MaxValue, h.info.MaxValue)
		suite.Target = cmp.Or(suite.Target, h.info.Name)
	}
	suite.Target = cmp.Or(suite.Target, "module")
	if misuse == nil && h.opened && o.Batches {
		misuse = h.needsBatches()
	}
	if !o.Batches { // those have a guest as it is
		suite.More = append(h.tests(), suite.More...)
	}
	if misuse == nil {
		misuse = suite.CheckPatterns(storetest.Combine(storetest.Tests(), suite.More))
	}
	return h, suite, misuse
}

// opensFiles reports whether the module can open files if it is allowed to.
func (h *harness) opensFiles() bool {
	if h.outline == nil {
		return false
	}
	for _, i := range h.outline.Imports {
		if i.Module == "wasi_snapshot_preview1" && i.Name == "path_open" {
			return true
		}
	}
	return false
}

// keep opens a module for as long as the suite runs, so that it is compiled only
// once. If that fails, a check will report it.
func (h *harness) keep(ctx context.Context, wasm []byte) (*plugin.Plugin, error) {
	dir, err := h.makeDir()
	if err != nil {
		return nil, err
	}
	keeper, err := plugin.Open(ctx, wasm, h.config(storetest.Setup{Dir: dir}))
	if err != nil {
		return nil, err
	}
	h.keepers = append(h.keepers, keeper)
	return keeper, nil
}

// makeDir makes a directory that exists as long as the suite runs.
func (h *harness) makeDir() (string, error) {
	if h.options.Dir != "" {
		if err := os.MkdirAll(h.options.Dir, 0o700); err != nil {
			return "", err
		}
	}
	dir, err := os.MkdirTemp(h.options.Dir, "plugintest-")
	if err != nil {
		return "", err
	}
	h.dirs = append(h.dirs, dir)
	return filepath.Abs(dir)
}

func (h *harness) close() {
	for _, keeper := range h.keepers {
		_ = keeper.Close(context.Background()) // nothing was stored in it
	}
	for _, dir := range h.dirs {
		_ = os.RemoveAll(dir)
	}
}

// now is the guest's clock, apart from the times of the calls. It stands still:
// what expires must not depend on how fast a check is.
func (h *harness) now() time.Time { return time.UnixMilli(int64(storetest.Now)) }

// config says how the guest is run.
func (h *harness) config(setup storetest.Setup) plugin.Config {
	c := h.options.Config
	c.GuestConfig = maps.Clone(c.GuestConfig)
	if c.GuestConfig == nil {
		c.GuestConfig = make(map[string]string)
	}
	maps.Copy(c.GuestConfig, h.options.Settings)
	if name := h.options.Namespace; name != "" {
		c.GuestConfig[name] += cmp.Or(setup.Namespace, namespace.Of(setup.Dir))
	}
	c.Shards = cmp.Or(setup.Shards, c.Shards, defaultShards)
	c.MemoryLimit = cmp.Or(setup.MemoryLimit, c.MemoryLimit, int64(c.Shards)*memoryOfShard)
	if !c.Trusted {
		c.Deadline = cmp.Or(c.Deadline, defaultDeadline)
		if c.FuelRate == 0 && c.FuelBurst == 0 {
			c.FuelRate = -1 // how fast the suite is says nothing about the guest
		}
	}
	c.NoCache = c.CacheDir == ""
	c.SweepInterval, c.Durability, c.SaveInterval, c.Snapshots = -1, plugin.DurabilityClose, 0, ""
	c.Now = h.now
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	c.Mounts = nil
	if h.mounted {
		m := plugin.Mount{}
		if len(h.options.Config.Mounts) > 0 {
			m = h.options.Config.Mounts[0]
		}
		m.Dir, m.ReadOnly = setup.Dir, false
		m.MaxBytes, m.MaxFiles = cmp.Or(m.MaxBytes, h.options.MountBytes), cmp.Or(m.MaxFiles, h.options.MountFiles)
		if m.MaxOpen == 0 {
			m.MaxOpen = 128 * c.Shards
		}
		c.Mounts = []plugin.Mount{m}
	}
	return c
}

// open is the function with which the suite opens stores.
func (h *harness) open(ctx context.Context, setup storetest.Setup) (store.Store, error) {
	if h.options.Batches {
		return h.openByLists(ctx, setup)
	}
	return h.openModule(ctx, h.wasm, h.config(setup))
}

func (h *harness) openModule(ctx context.Context, wasm []byte, config plugin.Config) (*guest, error) {
	p, err := plugin.Open(ctx, wasm, config)
	if err != nil {
		return nil, err
	}
	return &guest{Plugin: p}, nil
}

// guest is a plugin whose Close returns an error if an instance failed.
type guest struct {
	*plugin.Plugin
	replaced uint64 // instances that were replaced on request
}

func (g *guest) Close(ctx context.Context) error {
	failed := g.failed()
	if err := g.Plugin.Close(ctx); err != nil {
		return err
	}
	return failed
}
