package chi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/waddle-sessions/waddle/host/adapt/adapttest"
	"github.com/waddle-sessions/waddle/host/session"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

func TestSuite(t *testing.T) {
	adapttest.Run(t, adapttest.Framework{Name: "chi", Start: start})
}

func start(t testing.TB, m *session.Manager, o adapttest.Options) string {
	router := chi.NewRouter()
	router.Use(middleware.RequestLogger(logger(o.Logged)), middleware.Recoverer)
	use(router, adapttest.Outside, o)
	for _, r := range o.Routes {
		if r.Bare {
			router.MethodFunc(r.Method, r.Path, handler(m, r))
		}
	}
	router.Group(func(group chi.Router) {
		group.Use(m.Handler)
		use(group, adapttest.Inside, o)
		for _, r := range o.Routes {
			if !r.Bare {
				group.MethodFunc(r.Method, r.Path, handler(m, r))
			}
		}
	})
	return adapttest.Serve(t, router, o)
}

func handler(m *session.Manager, route adapttest.Route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := route.Handle(adapttest.HTTP{W: w, R: r}); err != nil {
			m.WriteError(w, r, err)
		}
	}
}

// use adds the middleware that the options want at a place.
func use(to chi.Router, p adapttest.Place, o adapttest.Options) {
	if o.TimeLimit == p {
		to.Use(middleware.Timeout(o.Limit))
	}
	if o.Compression == p {
		to.Use(middleware.Compress(5))
	}
	if o.Tracing == p {
		to.Use(otelhttp.NewMiddleware("server", otelhttp.WithTracerProvider(o.Tracers)))
	}
}

// logger tells of requests by chi's own logger.
type logger func(status int, size int64)

func (l logger) NewLogEntry(*http.Request) middleware.LogEntry { return l }

// Write is given no status if a handler has written nothing.
func (l logger) Write(status, bytes int, _ http.Header, _ time.Duration, _ any) {
	if status == 0 {
		status = http.StatusOK
	}
	l(status, int64(bytes))
}

func (l logger) Panic(any, []byte) {}
