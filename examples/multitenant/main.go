// Command multitenant serves three customers from one process. Each has its own storage
// plugin, memory, time limit, cookie and secret. The host name of the request says whose
// it is. The plugin of one of them is hostile; the others notice nothing.
//
//	cd examples
//	go run ./multitenant
//	curl -c jar -b jar http://alice.localhost:8080/     # counts
//	curl -c jar -b jar http://bob.localhost:8080/       # counts, apart
//	curl -i http://mallory.localhost:8080/              # 503: the plugin never ends
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

// hostile is a plugin whose every operation is an endless loop; hostile.wat beside it is
// its text.
//
//go:embed hostile.wasm
var hostile []byte

// tenant is what a customer provides.
type tenant struct {
	host   string // of their requests
	wasm   []byte // their plugin
	memory int64  // bytes that it may use
	secret string // seals their sessions; a real one comes from a vault
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
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	list, err := tenants()
	if err != nil {
		log.Fatal(err)
	}
	handler, closeAll, err := open(ctx, list)
	if err != nil {
		log.Fatal(err)
	}
	err = serve(ctx, *addr, handler)
	// Closing makes the plugins save, so it comes last, whatever has gone wrong before.
	closeAll()
	if err != nil {
		log.Fatal(err)
	}
	log.Print("stopped")
}

// serve answers requests until ctx ends, and then waits for those that are still running.
func serve(ctx context.Context, addr string, handler http.Handler) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	log.Printf("listening on http://%s/", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	idle := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		idle <- server.Shutdown(grace)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-idle
}

// open opens each tenant's plugin and sessions, and returns a handler that sends a
// request to the tenant with its host name.
func open(ctx context.Context, list []tenant) (handler http.Handler, closeAll func(), err error) {
	var plugins []*plugin.Plugin
	closeAll = func() {
		for _, p := range plugins {
			if err := p.Close(context.Background()); err != nil {
				log.Printf("everything that this tenant had not saved is lost: %v", err)
			}
		}
	}
	byHost := make(map[string]http.Handler)
	for _, t := range list {
		p, err := plugin.Open(ctx, t.wasm, plugin.Config{
			Name:        t.host,
			Trusted:     false, // so it is metered: a call that does not end is ended
			Shards:      2,
			MemoryLimit: t.memory,
		})
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		plugins = append(plugins, p)

		keyring, err := session.NewKeyring(t.secret)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		sessions, err := session.New(p, session.Settings{
			CookieName: "session", // host-only, so each tenant's browser cookie is its own
			Keyring:    keyring,
		})
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		byHost[t.host] = sessions.Handler(counter(t.host))
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

func counter(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		n, err := session.Increment(s, visits, 1)
		s.Check(err) // the response answers for it
		fmt.Fprintf(w, "%s, visit %d\n", name, n)
	})
}
