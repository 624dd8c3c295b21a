package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/examples/internal/visit"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// openTest makes the host, which is closed with the test.
func openTest(t *testing.T) (*tenant.Host, http.Handler) {
	t.Helper()
	host, err := open(t.Context(), "..")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, host.Close(t.Context())) })
	return host, host.Handler(host.FindByHost, http.HandlerFunc(counter))
}

// Every manifest is deployed: none is wrong, and each has its plugin's digest.
func TestEveryManifestIsDeployed(t *testing.T) {
	host, _ := openTest(t)
	files, err := filepath.Glob(filepath.Join("tenants", "*.json"))
	require.NoError(t, err)
	for _, file := range files {
		manifest, err := tenant.ReadManifest(file)
		require.NoError(t, err)
		require.NoError(t, tenant.HostConfig{Dir: "..", Keyring: new(vault).keyring}.Check(t.Context(), manifest), "run `make guests`")
		_, deployed := host.Tenant(manifest.Name)
		require.True(t, deployed, file)
	}
	require.Len(t, host.Tenants(), len(files))
}

func TestTenantsAreApartAndUnharmed(t *testing.T) {
	host, handler := openTest(t)
	client := visit.NewClient(t, handler)
	good := []string{"alice", "bob", "carol"}
	for _, name := range good {
		require.Equal(t, name+", visit 1\n", client.OK(name+".localhost"))
	}
	require.Equal(t, "carol, visit 1\n", client.OK("www.carol.localhost"), "the cookie is for one host")
	status, _ := client.Get("nobody.localhost")
	require.Equal(t, http.StatusNotFound, status)

	// While mallory's plugin is kept busy, the others continue to count.
	var wg sync.WaitGroup
	var served, refused atomic.Int32
	for range 4 {
		wg.Go(func() {
			for range 25 {
				switch status, body := visit.NewClient(t, handler).Get("mallory.localhost"); status {
				case http.StatusOK:
					served.Add(1)
				case http.StatusServiceUnavailable:
					refused.Add(1)
				default:
					t.Errorf("mallory was answered %d: %s", status, body)
				}
			}
		})
	}
	for n := 2; n <= 50; n++ {
		for _, name := range good {
			require.Equal(t, fmt.Sprintf("%s, visit %d\n", name, n), client.OK(name+".localhost"))
		}
	}
	wg.Wait()
	require.Positive(t, served.Load(), "it passed the probe, and worked")
	require.Positive(t, refused.Load(), "and then it turned")
	mallory, _ := host.Tenant("mallory")
	require.Positive(t, mallory.Stats().Limits[plugin.LimitDeadline], "%v", mallory.Stats().Limits)
}

// bob changes from C to Rust while visitors come, and loses nothing.
func TestPluginIsReplacedWhileServing(t *testing.T) {
	host, handler := openTest(t)
	client := visit.NewClient(t, handler)
	for n := 1; n <= 5; n++ {
		require.Equal(t, fmt.Sprintf("bob, visit %d\n", n), client.OK("bob.localhost"))
	}
	bob, _ := host.Tenant("bob")
	manifest := bob.Manifest()
	manifest.Plugin.File = "guests/rust/store.wasm"
	wasm, err := os.ReadFile(filepath.Join("..", "guests", "rust", "store.wasm"))
	require.NoError(t, err)
	manifest.Plugin.SHA256 = tenant.Sum(wasm)

	done := make(chan error, 1)
	go func() {
		_, err := host.Deploy(t.Context(), manifest)
		done <- err
	}()
	n := 6
	for deployed := false; !deployed || n < 12; n++ {
		select {
		case err := <-done:
			require.NoError(t, err)
			deployed = true
		default:
		}
		require.Equal(t, fmt.Sprintf("bob, visit %d\n", n), client.OK("bob.localhost"))
	}
	require.Equal(t, fmt.Sprintf("bob, visit %d\n", n), client.OK("bob.localhost"))

	// What no manifest allows is refused, and bob goes on.
	manifest.Plugin.SHA256 = tenant.Sum(nil)
	_, err = host.Deploy(t.Context(), manifest)
	require.ErrorIs(t, err, tenant.ErrDigest)
	require.Equal(t, fmt.Sprintf("bob, visit %d\n", n+1), client.OK("bob.localhost"))
}

func TestCookieOfOneTenantIsNothingToAnother(t *testing.T) {
	_, handler := openTest(t)
	client := visit.NewClient(t, handler)
	client.OK("alice.localhost")
	cookies := client.Cookies("alice.localhost")
	require.Len(t, cookies, 1)
	client.SetCookies("carol.localhost", cookies)
	require.Equal(t, "carol, visit 1\n", client.OK("carol.localhost"))
	require.NotEqual(t, cookies[0].Value, client.Cookies("carol.localhost")[0].Value, "an id of another tenant is not adopted")
	client.OK("bob.localhost")
	require.Equal(t, "sid", client.Cookies("bob.localhost")[0].Name, "as its manifest says")
}

func TestServerEndsWhenItIsTerminated(t *testing.T) {
	server, jar := visit.Start(t, visit.Build(t), "-dir", ".."), visit.NewJar(t)
	require.Equal(t, "alice, visit 1\n", server.Get(jar, "alice.localhost"))
	for range 20 {
		require.NotEmpty(t, server.Get(jar, "mallory.localhost")) // its plugin is stopped in a loop
	}
	server.Terminate()
}

// Somewhere else it says where it must run.
func TestItSaysWhereItMustRun(t *testing.T) {
	_, err := open(t.Context(), t.TempDir())
	require.ErrorContains(t, err, "run this in the folder of the examples, or set -dir")
}
