package tenant_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/tenant"
)

func Example() {
	host, err := tenant.NewHost(tenant.HostConfig{Events: func(tenant.Event) {}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close(context.Background())
	for _, text := range []string{
		`{"name": "alice", "hosts": ["alice.localhost"], "plugin": {"bundled": "memory"}}`,
		`{"name": "bob", "hosts": ["bob.localhost"], "plugin": {"bundled": "memory"}, "session": {"SESSION_COOKIE_NAME": "sid"}}`,
	} {
		manifest, err := tenant.ParseManifest([]byte(text))
		if err != nil {
			fmt.Println(err)
			return
		}
		if _, err := host.Deploy(context.Background(), manifest); err != nil {
			fmt.Println(err)
			return
		}
	}
	visits := session.NewKey[int]("visits")
	handler := host.Handler(host.FindByHost, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := session.Increment(session.From(r), visits, 1)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%s, visit %d", tenant.From(r).Name(), n)
	}))
	for _, name := range []string{"alice.localhost", "bob.localhost", "carol.localhost"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://"+name+"/", nil))
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 alice, visit 1
	// 200 bob, visit 1
	// 404 404 page not found
}
