package plugin_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// hosted returns a host for one test, at whose end it must be empty.
func hosted(t *testing.T, config plugin.HostConfig) *plugin.Host {
	t.Helper()
	h := plugin.NewHost(config)
	t.Cleanup(func() {
		require.NoError(t, h.Close(ctx))
		s := h.Stats()
		for name, n := range map[string]int64{"plugins": int64(s.Plugins), "modules": int64(s.Modules), "tasks": int64(s.Tasks),
			"memory": s.Memory.Used, "address space": s.AddressSpace.Used, "mappings": s.Mappings.Used, "handles": s.Handles.Used} {
			require.Zero(t, n, name)
		}
	})
	return h
}

func compileOn(t *testing.T, h *plugin.Host, name string, config plugin.Config) *plugin.Module {
	t.Helper()
	m, err := h.Compile(ctx, guest(t, name), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func openModule(t *testing.T, m *plugin.Module, config plugin.Config) *plugin.Plugin {
	t.Helper()
	p, err := m.Open(ctx, config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close(ctx) })
	return p
}

func TestAModuleIsCompiledOnce(t *testing.T) {
	h := hosted(t, plugin.HostConfig{})
	wasm := guest(t, "store")
	m, err := h.Compile(ctx, wasm, quiet())
	require.NoError(t, err)
	clear(wasm) // the module does not depend on it
	require.NotNil(t, m.Outline().Export("session_get"))

	var plugins []*plugin.Plugin
	for i := range 5 {
		config := quiet()
		config.Name = fmt.Sprint("tenant ", i)
		config.MemoryLimit = int64(8+i) << 20 // it is not compiled in
		p := openModule(t, m, config)
		require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: value(1, config.Name), Now: 1}))
		require.Equal(t, "memory", p.Stats().CodeSource)
		require.Equal(t, config.Name, p.Name())
		plugins = append(plugins, p)
	}
	require.EqualValues(t, 1, h.Stats().Compiled)

	// Trust belongs to a plugin. Other code is made for it, once and from the module's
	// own bytes.
	bounded := quiet()
	bounded.Trusted = false
	for range 2 {
		plugins = append(plugins, openModule(t, m, bounded))
	}
	require.NoError(t, plugins[5].Set(ctx, store.Write{Key: key, Value: value(1, "bounded"), Now: 1}))
	require.EqualValues(t, 2, h.Stats().Compiled)
	require.Equal(t, 2, h.Stats().Modules)
	require.Equal(t, 7, h.Stats().Plugins)

	// The one-line Open shares it too.
	whole := quiet()
	whole.Host = h
	p := open(t, guest(t, "store"), whole)
	require.Equal(t, "memory", p.Stats().CodeSource)
	require.NoError(t, p.Close(ctx))

	require.NoError(t, m.Close())
	require.NoError(t, m.Close())
	_, err = m.Open(ctx, quiet())
	require.ErrorIs(t, err, store.ErrClosed)
	for i, p := range plugins[:5] {
		got, err := p.Get(ctx, key, 1)
		require.NoError(t, err, "what is open goes on")
		require.Equal(t, value(1, fmt.Sprint("tenant ", i)), got)
		require.NoError(t, p.Close(ctx))
	}
	require.Equal(t, 1, h.Stats().Modules, "that of those with bounds")
}

func TestHostsShareNothing(t *testing.T) {
	h, other := hosted(t, plugin.HostConfig{}), hosted(t, plugin.HostConfig{})
	m := compileOn(t, h, "store", quiet())
	config := quiet()
	config.Host = other
	_, err := m.Open(ctx, config)
	require.ErrorIs(t, err, plugin.ErrConfig)
	require.Equal(t, "compiled", open(t, guest(t, "store"), config).Stats().CodeSource)
	_, err = h.Compile(ctx, guest(t, "store"), config)
	require.ErrorIs(t, err, plugin.ErrConfig)
	config.Host = h
	require.Equal(t, "memory", open(t, guest(t, "store"), config).Stats().CodeSource)
	require.ErrorIs(t, plugin.DefaultHost().Close(ctx), plugin.ErrConfig)
}

func TestCompileRefusesAsOpenDoes(t *testing.T) {
	h := hosted(t, plugin.HostConfig{})
	for name, want := range map[string]error{"start": plugin.ErrFeature, "marker_missing": plugin.ErrNotPlugin, "export_missing": plugin.ErrExport} {
		_, err := h.Compile(ctx, guest(t, name), quiet())
		require.ErrorIs(t, err, want, name)
		var refused *plugin.LoadError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "guest", refused.Plugin)
	}
	config := quiet()
	config.Shards = 3
	_, err := h.Compile(ctx, guest(t, "store"), config)
	require.ErrorIs(t, err, plugin.ErrConfig)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = h.Compile(cancelled, guest(t, "store"), quiet())
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, h.Stats().Modules)
}

func TestHostClosesItsPlugins(t *testing.T) {
	h := plugin.NewHost(plugin.HostConfig{})
	m, err := h.Compile(ctx, guest(t, "store"), quiet())
	require.NoError(t, err)
	var plugins []*plugin.Plugin
	for range 20 {
		plugins = append(plugins, openModule(t, m, quiet()))
	}
	require.NoError(t, h.Close(ctx))
	for _, p := range plugins {
		_, err := p.Get(ctx, key, 1)
		require.ErrorIs(t, err, store.ErrClosed)
	}
	_, err = m.Open(ctx, quiet())
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = h.Compile(ctx, guest(t, "store"), quiet())
	require.ErrorIs(t, err, store.ErrClosed)
	require.NoError(t, m.Close())
	require.NoError(t, h.Close(ctx))
	require.Zero(t, h.Stats().Modules)
}

// Each budget stops whatever would exceed it, and nothing else. The error says what
// there is and what to do. Released resources can be taken again.
func TestBudgets(t *testing.T) {
	for name, c := range map[string]struct {
		host  plugin.HostConfig
		mount bool
		unix  bool // only there memory is reserved
		says  []string
	}{
		"memory":        {host: plugin.HostConfig{Memory: 40 << 16}, says: []string{"bytes of memory", "HostConfig.Memory is 2621440"}},
		"address space": {host: plugin.HostConfig{AddressSpace: 72 << 20}, unix: true, says: []string{"address space", "HostConfig.AddressSpace is 75497472"}},
		"mappings":      {host: plugin.HostConfig{Mappings: 7}, unix: true, says: []string{"memory mappings", "plugins of this host have 6", "HostConfig.Mappings is 7"}},
		"handles":       {host: plugin.HostConfig{Handles: 6}, mount: true, says: []string{"4 more file handles", "plugins of this host have 4", "HostConfig.Handles is 6"}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.unix && runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
				t.Skip("memory is on the heap here")
			}
			h := hosted(t, c.host)
			config := func() plugin.Config {
				config := quiet()
				config.Host, config.Shards, config.MemoryLimit = h, 2, 64<<20
				if c.mount {
					config.Mounts = []plugin.Mount{{Dir: t.TempDir()}}
				}
				return config
			}
			first := open(t, guest(t, "store"), config())
			_, err := plugin.Open(ctx, guest(t, "store"), config())
			require.ErrorIs(t, err, plugin.ErrBudget)
			var refused *plugin.LoadError
			require.ErrorAs(t, err, &refused)
			for _, text := range append(c.says, "close plugins") {
				require.ErrorContains(t, err, text)
			}
			require.NoError(t, first.Set(ctx, store.Write{Key: key, Value: value(1, ""), Now: 1}), "those that run go on")
			require.NoError(t, first.Close(ctx))
			require.NoError(t, open(t, guest(t, "store"), config()).Close(ctx))
		})
	}
}

// If a guest asks for more than the host has, memory.grow tells it so, as at its own
// limit, and the guest lives on if it can. This one grows for as long as it may.
func TestMemoryBudgetOfAGuestThatGrows(t *testing.T) {
	most := func(host plugin.HostConfig) int64 {
		h := hosted(t, host)
		config := quiet()
		config.Host, config.Shards, config.MemoryLimit = h, 1, 64<<20
		config.Trusted, config.Deadline = false, patientDeadline
		p := open(t, guest(t, "hostile"), config)
		p.SetDeadline(time.Second)
		go p.Clear(ctx, actGrow)
		used := int64(0)
		require.Eventually(t, func() bool {
			before := used
			used = h.Stats().Memory.Used
			return used == before && used > 18<<16
		}, patientDeadline, 50*time.Millisecond)
		require.NoError(t, p.Close(ctx))
		return used
	}
	require.EqualValues(t, 64<<16, most(plugin.HostConfig{Memory: 64 << 16}))
	require.EqualValues(t, 64<<20, most(plugin.HostConfig{}))
}
