// Command multitenant serves three customers from one process. Each has a
// storage plugin of its own, with its own memory, time limit, cookie and secret,
// and is told apart by the host name of the request. The plugin of one of them
// is hostile; the others notice nothing.
//
//	cd examples
//	go run ./multitenant
//	curl -c jar -b jar http://alice.localhost:8080/     # counts
//	curl -c jar -b jar http://bob.localhost:8080/       # counts, apart
//	curl -i http://mallory.localhost:8080/              # 503: the plugin never ends
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	_ "embed"

	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

// hostile is a plugin whose every operation is a loop without end; hostile.wat
// beside it is its text.
//
//go:embed hostile.wasm
var hostile []byte

// tenant is what a customer brings.
type tenant struct {
	host   string // of the requests that are theirs
	wasm   []byte // their plugin
	memory int64  // bytes that it may use
	secret string // that seals their sessions; a real one comes from a vault
}

func tenants() ([]tenant, error) {
	good, err := memory.Module()
	return []tenant{
		{"alice.localhost", good, 64 << 20, "ZXhhbXBs+ZSBzZWNyZXQgb2YgYWxpY2UsIG5v"},
		{"bob.localhost", good, 32 << 20, "b25seSBmb3IgdGhpcy1kZW1vLCBib2InczEy"},
		{"mallory.localhost", hostile, 32 << 20, "bWFsbG9yeSBoYXMgb25lIGFzIHdlbGwgMTIz"},
	}, err
}

func main() {
	list, err := tenants()
	if err != nil {
		log.Fatal(err)
	}
	handler, closeAll, err := serve(context.Background(), list)
	if err != nil {
		log.Fatal(err)
	}
	defer closeAll()
	log.Print("listening on http://127.0.0.1:8080/")
	log.Print(http.ListenAndServe("127.0.0.1:8080", handler))
}

// serve opens each tenant's plugin and sessions, and returns a handler that
// sends a request to the tenant of its host name.
func serve(ctx context.Context, list []tenant) (handler http.Handler, closeAll func(), err error) {
	var plugins []*plugin.Plugin
	closeAll = func() {
		for _, p := range plugins {
			p.Close(ctx)
		}
	}
	byHost := make(map[string]http.Handler)
	for _, t := range list {
		p, err := plugin.Open(ctx, t.wasm, plugin.Config{
			Name:        t.host,
			Shards:      2,
			MemoryLimit: t.memory,
			Deadline:    2 * time.Second, // of one call: the guest is not trusted
		})
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		plugins = append(plugins, p)

		settings := session.Defaults()
		settings.CookieName = "session" // host-only, so each tenant's browser cookie is its own
		if settings.Keyring, err = session.NewKeyring(t.secret); err != nil {
			closeAll()
			return nil, nil, err
		}
		sessions, err := session.New(p, settings)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		byHost[t.host] = sessions.Handler(counter(sessions, t.host))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if tenant := byHost[host]; tenant != nil {
			tenant.ServeHTTP(w, r)
			return
		}
		http.Error(w, "no such tenant", http.StatusNotFound)
	}), closeAll, nil
}

var visits = session.NewKey[int]("visits")

func counter(sessions *session.Manager, name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := visits.Update(session.From(r), func(n int) (int, error) { return n + 1, nil })
		if err != nil {
			sessions.Error(w, r, err)
			return
		}
		fmt.Fprintf(w, "%s, visit %d\n", name, n)
	})
}
