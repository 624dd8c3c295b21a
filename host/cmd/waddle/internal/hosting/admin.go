package hosting

import (
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/promtext"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// AdminConfig configures an [Admin].
type AdminConfig struct {
	Host      Host
	Directory *Directory
	Token     Token
	Log       *slog.Logger

	// Hosts are the names under which the interface is reached, besides localhost and
	// addresses. It answers for no others, so that no page of another site whose name
	// leads here can ask it anything.
	Hosts []string

	// Reach says where a tenant is reached, for links: a host name becomes an address.
	Reach func(host string) string
}

// Admin is the operator's interface. Programs show the token in a header; a browser gives
// it once, to log in.
//
//	GET    /metrics                                  the text format of Prometheus
//	GET    /api/tenants                              all tenants, and what is wrong
//	GET    /api/tenants/{name}                       one tenant
//	PUT    /api/tenants/{name}                       the body, a manifest, is deployed
//	DELETE /api/tenants/{name}                       removes the tenant
//	POST   /api/tenants/{name}/sleep                 puts its plugin to sleep
//	GET    /api/tenants/{name}/sessions?limit=100    counts its sessions, and lists some
//	DELETE /api/tenants/{name}/sessions/{handle}     ends one
//
// Everything else is the page.
type Admin struct {
	config    AdminConfig
	snapshots *snapshots
	refused   atomic.Uint64
	manager   *session.Manager
	handler   http.Handler
}

// The operator's log-in in a browser.
const (
	adminCookie = "waddle_admin"
	operator    = "operator"
	adminIdle   = time.Hour
	adminLogin  = 12 * time.Hour
)

// maxForm bounds what a form may send: a manifest that is typed or pasted.
const maxForm = 1 << 20

// NewAdmin returns the operator's interface.
func NewAdmin(config AdminConfig) (*Admin, error) {
	a := &Admin{config: config}
	a.snapshots = &snapshots{host: config.Host, directory: config.Directory, refused: a.refused.Load, now: time.Now}
	settings := session.Defaults()
	settings.CookieName = adminCookie
	settings.CookieSameSite = http.SameSiteStrictMode
	settings.CookieSecure = session.SecureAuto
	settings.ExpireAtBrowserClose = true
	settings.IdleTimeout, settings.AbsoluteTimeout = adminIdle, adminLogin
	// In memory: a restart logs everybody out.
	manager, err := session.New(store.NewMemory(), settings)
	if err != nil {
		return nil, err
	}
	a.manager = manager
	mux := http.NewServeMux()
	mux.Handle("/api/", a.bearer(a.api()))
	mux.Handle("GET /metrics", a.bearer(http.HandlerFunc(a.metrics)))
	mux.Handle("GET /assets/{name}", http.HandlerFunc(asset))
	page := http.MaxBytesHandler(manager.Protect(nil)(a.page()), maxForm)
	mux.Handle("/", manager.Handler(page))
	a.handler = a.secured(mux)
	return a, nil
}

// ServeHTTP implements [http.Handler].
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// secured refuses other hosts, and isolates the page.
func (a *Admin) secured(next http.Handler) http.Handler {
	headers := [][2]string{
		{"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
			"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"X-Frame-Options", "DENY"},
		{"Referrer-Policy", "same-origin"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Cache-Control", "no-store"},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, header := range headers {
			w.Header().Set(header[0], header[1])
		}
		if !a.answersFor(r.Host) {
			http.Error(w, "The admin interface does not answer for this host, only for localhost, addresses, and the names in WADDLE_ADMIN_HOSTS.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// bearer lets only programs through that have the token. It takes no cookie, so that no
// page can make a browser ask for it.
func (a *Admin) bearer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, guess, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || !a.admits(strings.TrimSpace(guess)) {
			a.refuse(r)
			w.Header().Set("WWW-Authenticate", `Bearer realm="waddle"`)
			writeError(w, http.StatusUnauthorized, "the request needs the token of the admin interface, in a header: Authorization: Bearer TOKEN")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *Admin) admits(guess string) bool { return a.config.Token.is(guess) }

// refuse counts a request without the token. Who asked is in the log; what they sent is
// not, since it may be a token with a slip in it.
func (a *Admin) refuse(r *http.Request) {
	if n := a.refused.Add(1); n&(n-1) == 0 { // the first, the second, the fourth, …
		a.config.Log.Warn("the admin interface refused a request without its token", "from", r.RemoteAddr, "refused", n)
	}
}

func (a *Admin) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", promtext.ContentType)
	_ = writeMetrics(w, a.snapshots.take())
}
