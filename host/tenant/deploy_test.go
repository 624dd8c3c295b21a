package tenant_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/tenant"
)

func TestTenantsAreApart(t *testing.T) {
	h, told := newHost(t, tenant.HostConfig{})
	web := serve(t, h, nil, counter())
	for _, name := range []string{"alice", "bob"} {
		made := deploy(t, h, named(name))
		require.Equal(t, name, made.Name())
		require.Equal(t, []tenant.EventKind{tenant.EventDeployed}, told.kinds(name))
	}
	a, b := web.visitor(), web.visitor()
	a.ok(t, "alice.localhost", "/", "alice 1")
	a.ok(t, "alice.localhost", "/", "alice 2")
	b.ok(t, "bob.localhost", "/", "bob 1")
	a.ok(t, "alice.localhost", "/", "alice 3")

	// The cookie of one tenant is nothing to another one.
	a.ok(t, "bob.localhost", "/peek", "bob 0")
	a.ok(t, "alice.localhost", "/peek", "alice 3")
	names := []string{}
	for _, one := range h.Tenants() {
		names = append(names, one.Name())
	}
	require.Equal(t, []string{"alice", "bob"}, names)
}

func TestSameManifestChangesNothing(t *testing.T) {
	dir := t.TempDir()
	h, told := newHost(t, tenant.HostConfig{Dir: dir})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "store.wasm"), guest(t, "c"), 0o600))
	m := tenant.Manifest{Name: "alice", Plugin: tenant.Source{File: "store.wasm", SHA256: tenant.Sum(guest(t, "c"))}}
	first := deploy(t, h, m)
	manager := first.Manager()
	told.kinds("alice")
	require.Same(t, first, deploy(t, h, m))
	require.Same(t, manager, first.Manager())
	require.Empty(t, told.kinds("alice"))

	// Another file with the same content is the same plugin; another content is not,
	// whatever the file's name.
	other := filepath.Join(dir, "other.wasm")
	require.NoError(t, os.WriteFile(other, guest(t, "c"), 0o600))
	m.Plugin.File = "other.wasm"
	deploy(t, h, m)
	require.Empty(t, told.kinds("alice"))
	require.NoError(t, os.WriteFile(other, guest(t, "rust"), 0o600))
	_, err := h.Deploy(ctx, m)
	require.ErrorIs(t, err, tenant.ErrDigest)
	require.Equal(t, []tenant.EventKind{tenant.EventRolledBack}, told.kinds("alice"))
	m.Plugin.SHA256 = tenant.Sum(guest(t, "rust"))
	deploy(t, h, m)
	require.Equal(t, []tenant.EventKind{tenant.EventReplaced}, told.kinds("alice"))
	require.Equal(t, uint64(1), first.Stats().Replacements)
}

// A changed setting of the sessions makes another manager; the plugin stays.
func TestChangedSettingsKeepThePlugin(t *testing.T) {
	h, told := newHost(t, tenant.HostConfig{})
	inside, goOn := make(chan struct{}), make(chan struct{})
	web := serve(t, h, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			inside <- struct{}{}
			<-goOn
		}
		counter().ServeHTTP(w, r)
	}))
	m := named("alice")
	made := deploy(t, h, m)
	v := web.visitor()
	v.ok(t, "alice.localhost", "/", "alice 1")
	before := made.Manager()
	told.kinds("alice")

	answered := make(chan string)
	go func() {
		_, body, header, _ := web.visitor().get("alice.localhost", "/wait")
		answered <- body + " " + header.Get("Set-Cookie")
	}()
	<-inside
	m.Session = map[string]string{"SESSION_COOKIE_NAME": "sid", "SESSION_NAMESPACE": "session_id"}
	require.Same(t, made, deploy(t, h, m))
	require.NotSame(t, before, made.Manager())
	require.Equal(t, []tenant.EventKind{tenant.EventChanged}, told.kinds("alice"))
	require.Zero(t, made.Stats().Replacements)
	goOn <- struct{}{}
	require.Contains(t, <-answered, "alice 1 session_id=", "what had begun ends with the settings it began with")

	_, _, header, err := web.visitor().get("alice.localhost", "/")
	require.NoError(t, err)
	require.Contains(t, header.Get("Set-Cookie"), "sid=")
}

func TestHostNamesBelongToOne(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{})
	deploy(t, h, named("alice"))
	m := named("bob")
	m.Hosts = []string{"bob.localhost", "alice.localhost"}
	_, err := h.Deploy(ctx, m)
	require.ErrorIs(t, err, tenant.ErrHostName)
	require.ErrorContains(t, err, "alice")
	_, there := h.Tenant("bob")
	require.False(t, there)

	// A name that a tenant gives up is another's for the taking.
	m = named("alice")
	m.Hosts = []string{"a.localhost"}
	deploy(t, h, m)
	_, there = h.ByHost("alice.localhost")
	require.False(t, there)
	m = named("bob")
	m.Hosts = append(m.Hosts, "alice.localhost")
	bob := deploy(t, h, m)
	got, _ := h.ByHost("alice.localhost:8080")
	require.Same(t, bob, got)

	// A deploy that fails gives back what it took, and only that.
	m = named("alice")
	m.Hosts, m.Session = []string{"a.localhost", "b.localhost"}, map[string]string{"SESSION_COOKIE_SAMESITE": "None"}
	_, err = h.Deploy(ctx, m)
	require.Error(t, err)
	m = named("carol")
	m.Hosts = []string{"b.localhost"}
	deploy(t, h, m)
	alice, _ := h.ByHost("a.localhost")
	require.Equal(t, "alice", alice.Name())
}

// What is wrong with a plugin is said, at its stage, and nothing of it remains.
func TestWrongPluginsAreRefused(t *testing.T) {
	host := plugin.NewHost(plugin.HostConfig{})
	h, told := newHost(t, tenant.HostConfig{Plugins: host})
	whole := guest(t, "c")
	for name, c := range map[string]struct {
		wasm  []byte
		stage tenant.Stage
		kind  error
	}{
		"nothing":        {nil, tenant.StageManifest, tenant.ErrManifest},
		"text":           {[]byte("#!/bin/sh\n"), tenant.StageModule, plugin.ErrNotPlugin},
		"truncated":      {whole[:len(whole)/2], tenant.StageModule, nil},
		"missing-export": {fixture(t, "export_missing"), tenant.StageModule, plugin.ErrExport},
		"refuses-open":   {fixture(t, "open_refuses"), tenant.StageProbe, nil},
		"traps":          {fixture(t, "open_trap"), tenant.StageProbe, nil},
		"loops":          {fixture(t, "open_loop"), tenant.StageProbe, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := tenant.Manifest{Name: name, Plugin: source(c.wasm), Limits: tenant.Limits{Fuel: 1 << 24, Memory: 16 << 20}}
			_, err := h.Deploy(ctx, m)
			var failed *tenant.DeployError
			require.ErrorAs(t, err, &failed)
			require.Equal(t, c.stage, failed.Stage, err)
			require.False(t, failed.Serving)
			if c.kind != nil {
				require.ErrorIs(t, err, c.kind)
			}
			require.Equal(t, []tenant.EventKind{tenant.EventFailed}, told.kinds(name))
			require.Equal(t, err, h.Failure(name))
			_, there := h.Tenant(name)
			require.False(t, there)
		})
	}
	stats := h.Stats()
	require.Len(t, stats.Failed, 7)
	require.Zero(t, stats.Tenants)
	require.Zero(t, stats.Plugins.Plugins)
	require.Eventually(t, func() bool { return h.Stats().Modules == 0 && host.Stats().Modules == 0 }, minute, tick)
	require.NoError(t, h.Remove(ctx, "text"), "removing forgets the failure")
	require.Len(t, h.Stats().Failed, 6)
	require.ErrorIs(t, h.Remove(ctx, "text"), tenant.ErrUnknown)
}

func TestReplaceKeepsSessions(t *testing.T) {
	h, told := newHost(t, tenant.HostConfig{})
	web := serve(t, h, nil, counter())
	m := bundled("alice", "memory")
	made := deploy(t, h, m)
	v := web.visitor()
	v.ok(t, "alice.localhost", "/", "alice 1")
	s := made.Store()
	for i, language := range []string{"c", "rust", "go", "memory"} {
		m.Plugin = tenant.Source{Bundled: "memory"}
		if language != "memory" {
			m.Plugin = source(guest(t, language))
		}
		require.Same(t, made, deploy(t, h, m), language)
		require.Equal(t, s, made.Store())
		v.ok(t, "alice.localhost", "/peek", "alice "+string(rune('1'+i)))
		v.ok(t, "alice.localhost", "/", "alice "+string(rune('2'+i)))
	}
	require.Equal(t, uint64(4), made.Stats().Replacements)
	require.Equal(t, 1, h.Stats().Plugins.Plugins, "those that were replaced are closed")
	require.Len(t, told.kinds("alice"), 5)
}

// A plugin that fails its probe, or cannot have the sessions, does not replace another.
func TestBadReplacementIsRolledBack(t *testing.T) {
	h, told := newHost(t, tenant.HostConfig{})
	web := serve(t, h, nil, counter())
	good := bundled("alice", "memory")
	made := deploy(t, h, good)
	v := web.visitor()
	v.ok(t, "alice.localhost", "/", "alice 1")
	told.kinds("alice")
	for i, bad := range [][]byte{fixture(t, "open_trap"), fixture(t, "open_refuses"), fixture(t, "hostile"), []byte("no module")} {
		m := good
		m.Plugin = source(bad)
		m.Limits.Fuel = 1 << 24
		_, err := h.Deploy(ctx, m)
		var failed *tenant.DeployError
		require.ErrorAs(t, err, &failed)
		require.True(t, failed.Serving)
		require.ErrorContains(t, err, "goes on as before")
		require.Equal(t, []tenant.EventKind{tenant.EventRolledBack}, told.kinds("alice"))
		require.Equal(t, "memory", made.Manifest().Plugin.Bundled)
		require.Equal(t, err, made.Stats().LastFailure)
		require.Equal(t, uint64(i+1), made.Stats().Failures)
		require.Equal(t, 1, h.Stats().Plugins.Plugins)
		v.ok(t, "alice.localhost", "/", "alice "+string(rune('2'+i)))
	}
}

func TestRemove(t *testing.T) {
	h, told := newHost(t, tenant.HostConfig{})
	inside, goOn := make(chan struct{}), make(chan struct{})
	web := serve(t, h, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			inside <- struct{}{}
			<-goOn
		}
		counter().ServeHTTP(w, r)
	}))
	made := deploy(t, h, named("alice"))
	v := web.visitor()
	v.ok(t, "alice.localhost", "/", "alice 1")
	answered := make(chan int)
	go func() {
		status, _, _, _ := v.get("alice.localhost", "/wait")
		answered <- status
	}()
	<-inside
	removed := make(chan error)
	go func() { removed <- h.Remove(ctx, "alice") }()
	require.Eventually(t, func() bool { _, there := h.Tenant("alice"); return !there }, minute, tick)
	status, _, _, err := web.visitor().get("alice.localhost", "/")
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, status)
	goOn <- struct{}{}
	require.Equal(t, http.StatusOK, <-answered, "what had begun ends as it would have")
	require.NoError(t, <-removed)
	require.Contains(t, told.kinds("alice"), tenant.EventRemoved)
	require.ErrorIs(t, h.Remove(ctx, "alice"), tenant.ErrUnknown)
	_, err = made.Store().Get(ctx, []byte("k"), 1)
	require.ErrorIs(t, err, store.ErrClosed)
	require.Zero(t, h.Stats().Plugins.Plugins)

	// The name is free again.
	deploy(t, h, named("alice"))
	web.visitor().ok(t, "alice.localhost", "/", "alice 1")
}

func TestClose(t *testing.T) {
	host := plugin.NewHost(plugin.HostConfig{})
	h, err := tenant.NewHost(tenant.HostConfig{Plugins: host, Logger: discard})
	require.NoError(t, err)
	web := serve(t, h, nil, counter())
	for _, name := range []string{"alice", "bob", "carol"} {
		deploy(t, h, named(name))
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = h.Deploy(ended, named("dave"))
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, h.Close(ctx))
	require.NoError(t, h.Close(ctx))
	require.Empty(t, h.Tenants())
	require.Zero(t, host.Stats().Plugins)
	_, err = h.Deploy(ctx, named("dave"))
	require.ErrorIs(t, err, tenant.ErrClosed)
	require.ErrorIs(t, h.Remove(ctx, "alice"), tenant.ErrClosed)
	status, _, _, err := web.visitor().get("alice.localhost", "/")
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.NoError(t, host.Close(ctx))
}

func TestTooMany(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{MaxTenants: 1})
	deploy(t, h, named("alice"))
	deploy(t, h, named("alice"))
	_, err := h.Deploy(ctx, named("bob"))
	require.ErrorIs(t, err, tenant.ErrTooMany)
	require.ErrorContains(t, err, "MaxTenants")
	require.NoError(t, h.Remove(ctx, "alice"))
	deploy(t, h, named("bob"))

	// By default the system's limit on mappings counts.
	h, _ = newHost(t, tenant.HostConfig{Plugins: plugin.NewHost(plugin.HostConfig{Mappings: 8})})
	require.Equal(t, 4, h.Stats().MaxTenants)
	h, _ = newHost(t, tenant.HostConfig{})
	stats := h.Stats()
	require.EqualValues(t, stats.Plugins.Mappings.Limit/2, stats.MaxTenants)
}

// The plugins' budgets are full before the number of tenants is reached.
func TestNoRoomForATenant(t *testing.T) {
	host := plugin.NewHost(plugin.HostConfig{Mappings: 5})
	h, _ := newHost(t, tenant.HostConfig{Plugins: host, MaxTenants: 10}.Tuned(func(c *plugin.Config) { c.Shared = false }))
	deploy(t, h, named("alice"))
	_, err := h.Deploy(ctx, named("bob"))
	require.ErrorIs(t, err, tenant.ErrTooMany)
	require.ErrorIs(t, err, plugin.ErrBudget)
}

var errOther = errors.New("other")

func TestKeyringIsReadAgain(t *testing.T) {
	asked := 0
	h, told := newHost(t, tenant.HostConfig{Keyring: func(_ context.Context, name, ref string) (*session.Keyring, error) {
		asked++
		if name != "alice" || ref != "vault:alice" || asked == 3 {
			return nil, errOther
		}
		return session.NewKeyring("YSBzZWNyZXQgdGhhdCBpcyBsb25nIGVub3VnaA")
	}})
	m := named("alice")
	m.Keyring = "vault:alice"
	made := deploy(t, h, m)
	before := made.Manager()
	deploy(t, h, m)
	require.NotSame(t, before, made.Manager())
	require.Zero(t, made.Stats().Replacements)
	_, err := h.Deploy(ctx, m)
	require.ErrorIs(t, err, errOther)
	require.Equal(t, []tenant.EventKind{tenant.EventDeployed, tenant.EventChanged, tenant.EventRolledBack}, told.kinds("alice"))
}
