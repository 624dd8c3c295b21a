package playground

import (
	"errors"
	"net/http"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// Config configures a playground.
type Config struct {
	// Store keeps the sessions. The caller must close it; see [Server].
	Store store.Store

	// Kept are the settings of the store, which the page lists.
	Kept []session.Setting

	// Settings are the settings of the sessions, as from [session.FromEnv]. The
	// playground sets Codec and OnError itself, since values and answers are JSON
	// here, and sees each event before OnEvent does.
	Settings session.Settings

	// Engine is the page's description of the engine.
	Engine Engine

	// Hosts are names under which the playground is reached, besides 127.0.0.1,
	// localhost, [::1] and the address at which a request arrives. It answers for
	// no others: otherwise a page of another site whose name leads to this machine
	// could read the sessions.
	Hosts []string
}

// Engine describes a storage engine to the reader of the page.
type Engine struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Kind    string `json:"kind,omitempty"`  // such as "WebAssembly, 4 shards"
	Keeps   string `json:"keeps,omitempty"` // where and for how long, such as "in memory, until the program ends"
}

// New returns a handler with the page and its JSON interface. Many goroutines may
// use it. New returns [session.ErrSettings] for settings that cannot work.
func New(c Config) (http.Handler, error) {
	if c.Store == nil {
		return nil, errors.New("playground: Config.Store is nil: must be a store, such as store.NewMemory()")
	}
	hosts, err := newHosts(c.Hosts)
	if err != nil {
		return nil, err
	}
	settings := c.Settings.WithDefaults()
	Prepare(&settings)
	manager, err := session.New(Traced(c.Store), settings)
	if err != nil {
		return nil, err
	}
	site := Site{Manager: manager, Settings: settings, Engine: c.Engine, Kept: c.Kept}
	inside := Inside(func(*http.Request) Site { return site })
	return secured(hosts.only(outside(func(*http.Request) string { return settings.CookieName }, manager.Handler(inside)))), nil
}

// secured adds the headers that isolate the page: it loads nothing from elsewhere,
// runs only its own script, and appears in no frame.
func secured(next http.Handler) http.Handler {
	headers := [][2]string{
		{"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
			"connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"X-Frame-Options", "DENY"},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for _, header := range headers {
			h.Set(header[0], header[1])
		}
		next.ServeHTTP(w, r)
	})
}
