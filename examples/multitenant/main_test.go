package main

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/examples/internal/visit"
)

func TestTenantsAreApartAndUnharmed(t *testing.T) {
	list, err := tenants()
	require.NoError(t, err)
	handler, closeAll, err := open(t.Context(), list)
	require.NoError(t, err)
	defer closeAll()

	client := visit.NewClient(t, handler)
	require.Equal(t, "alice.localhost, visit 1\n", client.OK("alice.localhost"))
	require.Equal(t, "bob.localhost, visit 1\n", client.OK("bob.localhost"))
	status, _ := client.Get("nobody.localhost")
	require.Equal(t, http.StatusNotFound, status)

	// While mallory's plugin is kept busy, the others continue to count.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				status, _ := visit.NewClient(t, handler).Get("mallory.localhost")
				if status != http.StatusServiceUnavailable {
					t.Errorf("mallory was answered %d", status)
				}
			}
		})
	}
	for n := 2; n <= 50; n++ {
		require.Equal(t, fmt.Sprintf("alice.localhost, visit %d\n", n), client.OK("alice.localhost"))
		require.Equal(t, fmt.Sprintf("bob.localhost, visit %d\n", n), client.OK("bob.localhost"))
	}
	wg.Wait()
}

func TestCookieOfOneTenantIsNothingToAnother(t *testing.T) {
	list, err := tenants()
	require.NoError(t, err)
	handler, closeAll, err := open(t.Context(), list)
	require.NoError(t, err)
	defer closeAll()

	client := visit.NewClient(t, handler)
	client.OK("alice.localhost")
	cookies := client.Cookies("alice.localhost")
	require.Len(t, cookies, 1)
	client.SetCookies("bob.localhost", cookies)
	require.Equal(t, "bob.localhost, visit 1\n", client.OK("bob.localhost"))
	require.NotEqual(t, cookies[0].Value, client.Cookies("bob.localhost")[0].Value, "an id of another tenant is not adopted")
}

func TestServerEndsWhenItIsTerminated(t *testing.T) {
	server, jar := visit.Start(t, visit.Build(t)), visit.NewJar(t)
	require.Equal(t, "alice.localhost, visit 1\n", server.Get(jar, "alice.localhost"))
	require.Contains(t, server.Get(jar, "mallory.localhost"), "\n") // its plugin was stopped in a loop
	server.Terminate()
}
