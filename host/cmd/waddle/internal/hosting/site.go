package hosting

import (
	"net/http"
	"runtime"
	"sync"
	"weak"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/playground"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// Site answers the tenants' requests: each has the playground's page and JSON interface
// under its host names.
type Site struct {
	// settings are those of each manager, as long as the manager is in use.
	settings sync.Map // session.Settings by weak.Pointer[session.Manager]
}

// Manager is the Manager of a [tenant.HostConfig].
func (s *Site) Manager(name string, in store.Store, settings session.Settings) (*session.Manager, error) {
	settings = settings.WithDefaults()
	playground.Prepare(&settings)
	m, err := session.New(playground.Traced(in), settings)
	if err == nil {
		key := weak.Make(m)
		s.settings.Store(key, settings)
		runtime.AddCleanup(m, func(key weak.Pointer[session.Manager]) { s.settings.Delete(key) }, key)
	}
	return m, err
}

// Handler answers requests for the tenants of a host.
func (s *Site) Handler(host *tenant.Host) http.Handler {
	inside := playground.Inside(func(r *http.Request) playground.Site {
		t := tenant.From(r)
		m := t.Manager()
		return playground.Site{Manager: m, Settings: s.of(m), Engine: engineOf(t)}
	})
	name := func(r *http.Request) string {
		if t, ok := host.ByHost(r.Host); ok {
			return s.of(t.Manager()).CookieName
		}
		return ""
	}
	return playground.Outside(name, host.Handler(nil, inside))
}

func (s *Site) of(m *session.Manager) session.Settings {
	settings, _ := s.settings.Load(weak.Make(m))
	known, _ := settings.(session.Settings)
	return known
}

// engineOf describes a tenant's plugin for its page.
func engineOf(t *tenant.Tenant) playground.Engine {
	m := t.Manifest()
	e := playground.Engine{Name: pluginOf(m.Plugin), Kind: "WebAssembly, from a file", Keeps: "in memory, until the tenant is removed"}
	if m.Plugin.Bundled != "" {
		e.Kind = "WebAssembly, bundled"
	}
	if m.Persist {
		e.Keeps = "over restarts of the process"
	}
	return e
}

// NotReady answers requests for hosts that are no tenant's: 503 if a manifest of them is
// about to be deployed or cannot be, 404 otherwise. It touches nothing.
func NotReady(d func() *Directory) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d().Pending(bareHost(r.Host)) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "This site is being started. Please try again.", http.StatusServiceUnavailable)
			return
		}
		http.Error(w, "There is no site of this name here.", http.StatusNotFound)
	})
}
