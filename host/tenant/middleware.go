package tenant

import (
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/waddle-sessions/waddle/host/internal/handback"
)

// Find tells whose a request is. It returns false, or an empty name, if it is nobody's.
// The host's middleware calls it once for each request.
type Find func(r *http.Request) (name string, ok bool)

// FindByHost finds a tenant by the host name of a request, which must be one of the
// manifest's. A port, a dot at the end and the case of letters do not matter.
func (h *Host) FindByHost(r *http.Request) (name string, ok bool) {
	t, ok := h.ByHost(r.Host)
	if !ok {
		return "", false
	}
	return t.name, true
}

// FindByHeader finds a tenant by a header that has its name. Use it behind a proxy that
// sets the header, and removes what clients put there. A request with several such headers
// is nobody's.
func FindByHeader(header string) Find {
	header = http.CanonicalHeaderKey(header)
	return func(r *http.Request) (string, bool) {
		values := r.Header[header]
		if len(values) != 1 {
			return "", false
		}
		return values[0], true
	}
}

// hostName returns a host as names are compared: without port, without a dot at the end,
// in small letters.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else if strings.HasPrefix(host, "[") {
		host = strings.Trim(host, "[]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// Handler is middleware: it finds the tenant of a request and calls next with that
// tenant's sessions, as [session.Manager.Handler] does. In next, [From] returns the
// tenant and [session.From] the session. A nil find is FindByHost.
//
// A request that is nobody's goes to [HostConfig.Unknown], which answers 404 by default:
// no store is called and no cookie set. So does one of a tenant whose first deploy has not
// ended. While a tenant's plugin is replaced, requests go on; those that write wait for
// the moment of the change, for as long as their context and StoreTimeout allow.
//
// If find panics, so does the request, and no tenant is touched.
func (h *Host) Handler(find Find, next http.Handler) http.Handler {
	if find == nil {
		find = h.FindByHost
	}
	e := &entrance{next: next}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.closing.Load() {
			http.Error(w, "The server is stopping.", http.StatusServiceUnavailable)
			return
		}
		name, ok := find(r)
		t, known := h.Tenant(name)
		if !ok || !known {
			h.config.Unknown.ServeHTTP(w, r)
			return
		}
		if _, ok := t.requests.enter(); !ok { // it was removed a moment ago
			h.config.Unknown.ServeHTTP(w, r)
			return
		}
		defer t.requests.leave()
		t.served.Add(1)
		inner := r.WithContext(&tenantContext{r.Context(), t})
		defer handback.Give(r, inner)
		t.front.Load().handler(e).ServeHTTP(w, inner)
	})
}

// entrance is a handler that Handler was given.
type entrance struct{ next http.Handler }

type tenantKey struct{}

// tenantContext is the context of a request with its tenant.
type tenantContext struct {
	context.Context
	tenant *Tenant
}

func (c *tenantContext) Value(key any) any {
	if key == (tenantKey{}) {
		return c.tenant
	}
	return c.Context.Value(key)
}

// From returns the tenant of a request. It panics if the handler is not within
// [Host.Handler].
func From(r *http.Request) *Tenant {
	t, ok := FromContext(r.Context())
	if !ok {
		panic("tenant: the request has no tenant: wrap the handler with (*tenant.Host).Handler")
	}
	return t
}

// FromContext returns the tenant of a request's context.
func FromContext(ctx context.Context) (t *Tenant, ok bool) {
	t, ok = ctx.Value(tenantKey{}).(*Tenant)
	return t, ok
}
