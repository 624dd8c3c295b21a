package nethttp_test

import (
	"net/http"
	"testing"

	"github.com/klauspost/compress/gzhttp"
	"github.com/waddle-sessions/waddle/examples/internal/outside"
	"github.com/waddle-sessions/waddle/host/adapt/adapttest"
	"github.com/waddle-sessions/waddle/host/session"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

func TestSuite(t *testing.T) {
	adapttest.Run(t, adapttest.Framework{Name: "net/http", Start: start})
}

func start(t testing.TB, m *session.Manager, o adapttest.Options) string {
	mux, bare := http.NewServeMux(), http.NewServeMux()
	for _, r := range o.Routes {
		to := mux
		if r.Bare {
			to = bare
		}
		to.HandleFunc(r.Method+" "+r.Path, func(w http.ResponseWriter, request *http.Request) {
			if err := r.Handle(adapttest.HTTP{W: w, R: request}); err != nil {
				m.WriteError(w, request, err)
			}
		})
	}
	bare.Handle("/", m.Handler(place(adapttest.Inside, mux, o)))
	return adapttest.Serve(t, outside.Logged(o.Logged, outside.Recovered(place(adapttest.Outside, bare, o))), o)
}

// place puts middleware around a handler if the options want it there.
func place(p adapttest.Place, h http.Handler, o adapttest.Options) http.Handler {
	if o.TimeLimit == p {
		h = http.TimeoutHandler(h, o.Limit, "this takes too long")
	}
	if o.Compression == p {
		h = gzhttp.GzipHandler(h)
	}
	if o.Tracing == p {
		h = otelhttp.NewHandler(h, "server", otelhttp.WithTracerProvider(o.Tracers))
	}
	return h
}
