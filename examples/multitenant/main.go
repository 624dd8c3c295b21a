// Command multitenant serves four customers from one process. Each brings a manifest: a
// storage plugin, its settings and limits. The host name of a request says whose it is.
// The plugins are in Go, C and AssemblyScript, and one turns hostile after a while; the
// others notice nothing.
//
//	cd examples
//	go run ./multitenant
//	curl -c jar -b jar http://alice.localhost:8080/     # counts
//	curl -c jar -b jar http://bob.localhost:8080/       # counts, apart
//	curl -c jar -b jar http://mallory.localhost:8080/   # counts for a while, then 503: the plugin no longer ends
//
// To serve a directory of manifests, with a page for the operator, no program is needed:
// see `waddle host`.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/tenant"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	dir := flag.String("dir", ".", "the folder of the examples, where the manifests' paths start")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	host, err := open(ctx, *dir)
	if err != nil {
		log.Fatal(err)
	}
	err = serve(ctx, *addr, host.Handler(host.FindByHost, http.HandlerFunc(counter)))
	// Closing makes the plugins save, so it comes last, whatever has gone wrong before.
	if err = errors.Join(err, host.Close(context.Background())); err != nil {
		log.Fatal(err)
	}
	log.Print("stopped")
}

// open makes a host with the tenants of multitenant/tenants. One that cannot be deployed
// keeps no other from being.
func open(ctx context.Context, dir string) (*tenant.Host, error) {
	host, err := tenant.NewHost(tenant.HostConfig{
		Dir:     dir,
		Keyring: new(vault).keyring,
		Limits:  tenant.Limits{Memory: 64 << 20}, // whatever a manifest says
	})
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "multitenant", "tenants", "*.json"))
	if err != nil {
		return nil, err
	}
	var deploys sync.WaitGroup
	for _, file := range files {
		deploys.Go(func() {
			manifest, err := tenant.ReadManifest(file)
			if err == nil {
				_, err = host.Deploy(ctx, manifest)
			}
			if err != nil {
				log.Printf("%s: %v", file, err)
			}
		})
	}
	deploys.Wait()
	if len(host.Tenants()) == 0 {
		return nil, errors.Join(fmt.Errorf("no tenant was deployed from %d manifests in %s: run this in the folder of the examples, or set -dir", len(files), dir),
			host.Close(context.Background()))
	}
	return host, nil
}

// vault stands in for the place where an operator keeps secrets. This one makes them, so
// sessions end with the program.
type vault struct {
	mu   sync.Mutex
	keys map[string]*session.Keyring
}

// keyring gives a tenant what its manifest refers to, if that is the tenant's own.
func (v *vault) keyring(_ context.Context, name, ref string) (*session.Keyring, error) {
	if ref != "vault/"+name {
		return nil, fmt.Errorf("%q is not a reference that tenant %s may have", ref, name)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if k := v.keys[name]; k != nil {
		return k, nil
	}
	k, err := session.NewKeyring(rand.Text() + rand.Text())
	if err != nil {
		return nil, err
	}
	if v.keys == nil {
		v.keys = make(map[string]*session.Keyring)
	}
	v.keys[name] = k
	return k, nil
}

var visits = session.NewKey[int]("visits")

// counter is the application, the same for all tenants.
func counter(w http.ResponseWriter, r *http.Request) {
	s := session.From(r)
	n, err := session.Increment(s, visits, 1)
	s.Check(err) // the response answers for it
	fmt.Fprintf(w, "%s, visit %d\n", tenant.From(r).Name(), n)
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
