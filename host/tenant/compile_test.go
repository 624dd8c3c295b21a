package tenant_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// Deploys whose modules take long to compile hold up neither requests nor a deploy whose
// module does not, and show that they compile.
func TestSlowCompilesDelayNobody(t *testing.T) {
	config := tenant.HostConfig{Dir: t.TempDir(), Compiling: 1}.Tuned(func(c *plugin.Config) { c.NoCache = true })
	h, _ := newHost(t, config)
	web := serve(t, h, nil, counter())
	m := named("alice")
	deploy(t, h, m)
	v := web.visitor()
	var wait sync.WaitGroup
	var ended atomic.Int32
	slow := []string{"memory", "keyfolder", "dynfile"} // some seconds together
	for _, engine := range slow {
		wait.Go(func() {
			defer ended.Add(1)
			_, err := h.Deploy(ctx, tenant.Manifest{Name: engine, Plugin: tenant.Source{Bundled: engine}, Persist: true})
			if err != nil {
				t.Error(err)
			}
		})
	}
	require.Eventually(t, func() bool { return h.Stats().States[tenant.StateCompiling] == len(slow) }, minute, tick)
	began := time.Now()
	bob := named("bob")
	bob.Plugin = source(guest(t, "rust"))
	deploy(t, h, bob)
	quick := time.Since(began)
	for i := range 50 {
		v.ok(t, "alice.localhost", "/", fmt.Sprint("alice ", i+1))
	}
	require.Less(t, ended.Load(), int32(len(slow)), "the slow ones go on")
	wait.Wait()
	t.Logf("the quick one took %v of %v", quick, time.Since(began))
	require.Less(t, quick, time.Since(began)/2)
}

// Tenants of equal bytes share a module, which is compiled once.
func TestEqualBytesAreCompiledOnce(t *testing.T) {
	host := plugin.NewHost(plugin.HostConfig{})
	h, _ := newHost(t, tenant.HostConfig{Plugins: host})
	var wait sync.WaitGroup
	for i := range 32 {
		wait.Go(func() {
			m := named(fmt.Sprint("tenant-", i))
			if _, err := h.Deploy(ctx, m); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	require.Equal(t, uint64(1), host.Stats().Compiled)
	require.Equal(t, 1, h.Stats().Modules)
	require.Equal(t, 32, h.Stats().Tenants)
	for i := range 32 {
		require.NoError(t, h.Remove(ctx, fmt.Sprint("tenant-", i)))
	}
	require.Eventually(t, func() bool { return h.Stats().Modules == 0 && host.Stats().Modules == 0 }, minute, tick)
}

// A tenant keeps no copy of its module.
func TestTenantsKeepNoModule(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{})
	deploy(t, h, bundled("first", "memory"))
	before := holdingsNow(t)
	const n = 50
	for i := range n {
		deploy(t, h, bundled(fmt.Sprint("tenant-", i), "memory"))
	}
	after := holdingsNow(t)
	each := (int64(after.heap) - int64(before.heap)) / n
	t.Logf("%d bytes of Go heap for each tenant", each)
	require.Less(t, each, int64(512<<10), "the module has 1.8 MB")
}
