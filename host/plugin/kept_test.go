package plugin_test

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// twice opens a guest with an empty directory and again with the code from there, each on a host of its own,
// as two processes would.
func twice(t *testing.T, wasm []byte, config plugin.Config, each func(p *plugin.Plugin)) {
	t.Helper()
	config.NoCache, config.CacheDir = false, filepath.Join(t.TempDir(), "cache")
	for _, source := range []string{"compiled", "directory"} {
		host := plugin.NewHost(plugin.HostConfig{})
		config.Host = host
		p, err := plugin.Open(ctx, wasm, config)
		require.NoError(t, err)
		require.Equal(t, source, p.Stats().CodeSource)
		each(p)
		require.NoError(t, p.Close(ctx))
		require.NoError(t, host.Close(ctx))
	}
}

// A guest whose code comes from the directory does what it did when it was compiled: it answers
// the same, uses the same fuel, fails with the same trace, and its deadline ends it.
func TestCodeFromTheDirectoryIsTheSame(t *testing.T) {
	compilerOnly(t, open(t, guest(t, "tiny"), quiet()).Stats().Runtime)
	for how, trust := range trusts {
		t.Run(how, func(t *testing.T) {
			config := quiet()
			trust(&config)
			config.Shards = 1
			var fuel []uint64
			twice(t, guest(t, "store"), config, func(p *plugin.Plugin) {
				require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: value(1, "v"), Now: 1}))
				got, err := p.Get(ctx, key, 1)
				require.NoError(t, err)
				require.Equal(t, value(1, "v"), got)
				fuel = append(fuel, p.Stats().Fuel)
			})
			require.Equal(t, fuel[0], fuel[1])

			twice(t, guest(t, "named"), config, func(p *plugin.Plugin) {
				e := failure(t, p, 1)
				require.ErrorIs(t, e, plugin.ErrTrap)
				require.Equal(t, "sample.inner(i64) i64\nsample.outer(i64) i64\nsample.get(i32,i32,i64) i64", e.Trace)
			})
			if config.Trusted {
				return
			}
			config.Deadline = shortDeadline
			twice(t, guest(t, "hostile"), config, func(p *plugin.Plugin) {
				require.ErrorIs(t, failure(t, p, actLoop), plugin.ErrDeadline)
			})
		})
	}
}

// What a module may be is asked again, whoever has compiled it before.
func TestCodeFromTheDirectoryIsWithinTheLimits(t *testing.T) {
	compilerOnly(t, open(t, guest(t, "tiny"), quiet()).Stats().Runtime)
	dir := filepath.Join(t.TempDir(), "cache")
	wasm := guest(t, "store")
	outline, err := plugin.Validate(wasm)
	require.NoError(t, err)
	opens := func(limits plugin.Limits) (string, error) {
		config := cached(dir)
		config.Limits = limits
		p, err := plugin.Open(ctx, wasm, config)
		if err != nil {
			return "", err
		}
		defer p.Close(ctx)
		return p.Stats().CodeSource, nil
	}
	exactly := plugin.Limits{Module: int64(len(wasm)), CompileCost: outline.CompileCost, CompileMemory: outline.CompileMemory}
	for _, source := range []string{"compiled", "directory"} {
		found, err := opens(exactly)
		require.NoError(t, err)
		require.Equal(t, source, found)
	}
	for name, less := range map[string]func(l *plugin.Limits){
		"Module":        func(l *plugin.Limits) { l.Module-- },
		"CompileCost":   func(l *plugin.Limits) { l.CompileCost-- },
		"CompileMemory": func(l *plugin.Limits) { l.CompileMemory-- },
	} {
		limits := exactly
		less(&limits)
		_, err := opens(limits)
		require.ErrorIs(t, err, plugin.ErrLimits, name)
	}
	// While the host has the code, too.
	p := open(t, wasm, cached(dir))
	require.Equal(t, "directory", p.Stats().CodeSource)
	exactly.Module--
	_, err = opens(exactly)
	require.ErrorIs(t, err, plugin.ErrLimits)
}

// What the host may do for a guest is asked again, too.
func TestCodeFromTheDirectoryIsGrantedNothing(t *testing.T) {
	compilerOnly(t, open(t, guest(t, "tiny"), quiet()).Stats().Runtime)
	wasm := guest(t, "netcalls")
	config := reaching("tcp://127.0.0.1:1")
	config.NoCache, config.CacheDir = false, filepath.Join(t.TempDir(), "cache")
	for range 2 {
		p, err := plugin.Open(ctx, wasm, config)
		require.NoError(t, err)
		require.NoError(t, p.Close(ctx))
	}
	config.Network = plugin.Network{}
	_, err := plugin.Open(ctx, wasm, config)
	require.ErrorIs(t, err, plugin.ErrGrant)
	config = cached(config.CacheDir)
	plugin.WithoutNetwork(&config)
	_, err = plugin.Open(ctx, wasm, config)
	require.ErrorIs(t, err, plugin.ErrImport)
}

func TestEmbeddedIsUnpackedOnce(t *testing.T) {
	compilerOnly(t, open(t, guest(t, "tiny"), quiet()).Stats().Runtime)
	wasm, unpacked := guest(t, "store"), 0
	module := plugin.Embedded{Sum: sha256.Sum256(wasm), Unpack: func() ([]byte, error) { unpacked++; return wasm, nil }}
	config := cached(filepath.Join(t.TempDir(), "cache"))
	use := func(module plugin.Embedded, config plugin.Config) string {
		p, err := plugin.OpenEmbedded(ctx, module, config)
		require.NoError(t, err)
		defer p.Close(ctx)
		require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: value(1, "v"), Now: 1}))
		return p.Stats().CodeSource
	}
	require.Equal(t, "compiled", use(module, config))
	require.NotZero(t, unpacked)
	unpacked = 0
	require.Equal(t, "directory", use(module, config))
	require.Zero(t, unpacked, "nobody needs it")
	p := open(t, wasm, config)
	require.Equal(t, "directory", p.Stats().CodeSource, "the same module as bytes has the same code")
	require.Equal(t, "memory", use(module, config))
	require.Zero(t, unpacked)
	require.NoError(t, p.Close(ctx))

	other := config
	other.Trusted, other.Deadline = false, time.Minute
	require.Equal(t, "compiled", use(module, other), "what the directory does not have is made of the module")
	require.NotZero(t, unpacked)

	module.Sum[0] ^= 1
	_, err := plugin.OpenEmbedded(ctx, module, config)
	require.ErrorIs(t, err, plugin.ErrModule)
	require.ErrorContains(t, err, "Embedded.Sum")
	broken := errors.New("broken")
	module.Unpack = func() ([]byte, error) { return nil, broken }
	_, err = plugin.OpenEmbedded(ctx, module, config)
	require.ErrorIs(t, err, broken)
	_, err = plugin.OpenEmbedded(ctx, plugin.Embedded{}, config)
	require.ErrorIs(t, err, plugin.ErrConfig)
}

// What a process left that was killed while it compiled does no harm, and does not stay.
func TestCodeThatWasNotFinished(t *testing.T) {
	compilerOnly(t, open(t, guest(t, "tiny"), quiet()).Stats().Runtime)
	dir := filepath.Join(t.TempDir(), "cache")
	require.Equal(t, "compiled", use(t, cached(dir)))
	module := filepath.Dir(codeIn(t, dir)[0])
	module = filepath.Dir(module)
	work := filepath.Join(module, "code-1.tmp")
	require.NoError(t, os.MkdirAll(filepath.Join(work, "whole", "wazero-1"), 0o700))
	for _, name := range []string{filepath.Join(work, "whole", "wazero-1", "half"), filepath.Join(module, "module-2.tmp"), filepath.Join(module, "sums-3.tmp")} {
		require.NoError(t, os.WriteFile(name, []byte("half"), 0o600))
	}
	require.Equal(t, "directory", use(t, cached(dir)))
	require.DirExists(t, work, "somebody may be at it")
	long := time.Now().Add(-time.Hour)
	left, err := filepath.Glob(filepath.Join(module, "*.tmp"))
	require.NoError(t, err)
	require.Len(t, left, 3)
	for _, name := range left {
		require.NoError(t, os.Chtimes(name, long, long))
	}
	require.Equal(t, "directory", use(t, cached(dir)))
	for _, name := range left {
		require.NoFileExists(t, name)
		require.NoDirExists(t, name)
	}

	require.NoError(t, os.Remove(filepath.Join(module, "sums")))
	require.Equal(t, "compiled", use(t, cached(dir)), "killed before it was sealed")
	require.Equal(t, "directory", use(t, cached(dir)))
	require.NoError(t, os.Remove(filepath.Join(module, "module")))
	require.Equal(t, "compiled", use(t, cached(dir)), "code alone is not enough")
	require.Equal(t, "directory", use(t, cached(dir)))
	require.NoError(t, os.Remove(codeIn(t, dir)[0]))
	require.Equal(t, "compiled", use(t, cached(dir)), "nor is the rest without code")
	require.Equal(t, "directory", use(t, cached(dir)))
}

// Hosts that open a module at the same time, as processes do, leave its code whole.
func TestCodeOfManyHostsAtOnce(t *testing.T) {
	compilerOnly(t, open(t, guest(t, "tiny"), quiet()).Stats().Runtime)
	for range 5 {
		dir := filepath.Join(t.TempDir(), "cache")
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				host := plugin.NewHost(plugin.HostConfig{Compiling: -1})
				config := cached(dir)
				config.Host = host
				for range 3 {
					p, err := plugin.Open(ctx, guest(t, "store"), config)
					if err != nil {
						t.Error(err)
						return
					}
					if err := p.Set(ctx, store.Write{Key: key, Value: value(1, "v"), Now: 1}); err != nil {
						t.Error(err)
					}
					_ = p.Close(ctx)
				}
			})
		}
		wait.Wait()
		require.Equal(t, "directory", use(t, cached(dir)))
		require.Len(t, files(t, dir), 2)
	}
}

// A module that is refused leaves nothing in the directory, however many there are.
func TestRefusedModulesLeaveNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	for _, name := range []string{"export_missing", "import_module", "digs", "data_outside"} {
		wasm := guest(t, name)
		_, refused := plugin.Validate(wasm)
		_, err := plugin.Open(ctx, wasm[:len(wasm)-1], cached(dir))
		require.Error(t, err)
		if refused != nil {
			_, err = plugin.Open(ctx, wasm, cached(dir))
			require.Error(t, err)
		}
	}
	found, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, found)
}
