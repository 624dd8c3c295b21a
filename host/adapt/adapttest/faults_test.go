package adapttest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// server is an adapter of net/http, in which a test puts one fault. It has no
// compression: servers with it are in the examples.
type server struct {
	within  func(http.Handler) http.Handler // between the sessions and the handler
	without func(http.Handler) http.Handler // around the sessions
	change  func(*Options)
	past    bool // handlers write past the session's writer
}

func (f server) start(t testing.TB, m *session.Manager, o Options) string {
	if f.change != nil {
		f.change(&o)
	}
	mux, bare := http.NewServeMux(), http.NewServeMux()
	for _, r := range o.Routes {
		to := mux
		if r.Bare {
			to = bare
		}
		to.HandleFunc(r.Method+" "+r.Path, func(w http.ResponseWriter, request *http.Request) {
			if wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok && f.past {
				w = wrapper.Unwrap()
			}
			if err := r.Handle(HTTP{W: w, R: request}); err != nil {
				m.WriteError(w, request, err)
			}
		})
	}
	within := placed(Inside, mux, o)
	if f.within != nil {
		within = f.within(within)
	}
	bare.Handle("/", m.Handler(within))
	h := placed(Outside, bare, o)
	if f.without != nil {
		h = f.without(h)
	}
	return Serve(t, logging(o.Logged, recovering(h)), o)
}

func placed(p Place, h http.Handler, o Options) http.Handler {
	if o.TimeLimit == p {
		h = http.TimeoutHandler(h, o.Limit, "this takes too long")
	}
	if o.Tracing == p {
		h = tracing(o.Tracers, h)
	}
	return h
}

// tracing makes a request's span, as simply as can be.
func tracing(tracers trace.TracerProvider, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := tracers.Tracer("").Start(r.Context(), "request", trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		logging(func(status int, _ int64) {
			span.SetAttributes(attribute.Int("http.response.status_code", status))
			if status >= 500 {
				span.SetStatus(codes.Error, "")
			}
		}, h).ServeHTTP(w, r.WithContext(ctx))
	})
}

func recovering(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if cause := recover(); cause == http.ErrAbortHandler {
				panic(cause)
			} else if cause != nil {
				http.Error(w, "something is broken", http.StatusInternalServerError)
			}
		}()
		h.ServeHTTP(w, r)
	})
}

func logging(log func(status int, size int64), h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &counter{ResponseWriter: w, status: http.StatusOK}
		defer func() { log(c.status, c.size) }()
		h.ServeHTTP(c, r)
	})
}

type counter struct {
	http.ResponseWriter
	status int
	size   int64
}

func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *counter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.size += int64(n)
	return n, err
}

// buffered sends a response when the handler has ended.
func buffered(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, r)
		for name, values := range recorder.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(recorder.Code)
		_, _ = io.Copy(w, recorder.Body)
	})
}

// headers changes the headers of a response before it begins.
func headers(change func(http.Header)) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(&changer{w, change}, r) })
	}
}

type changer struct {
	http.ResponseWriter
	change func(http.Header)
}

func (c *changer) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *changer) WriteHeader(status int) {
	c.change(c.Header())
	c.ResponseWriter.WriteHeader(status)
}

func (c *changer) Write(p []byte) (int, error) {
	c.change(c.Header())
	return c.ResponseWriter.Write(p)
}

func notSecure(h http.Header) {
	for i, line := range h["Set-Cookie"] {
		h["Set-Cookie"][i] = strings.Replace(line, "; Secure", "", 1)
	}
}

// looking looks at the session of every request.
func looking(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = value.Get(session.From(r))
		h.ServeHTTP(w, r)
	})
}

// Without a fault all checks pass, but those of compression.
func TestNoFault(t *testing.T) {
	f := Framework{Name: "net/http", Start: server{}.start}
	for name, check := range allChecks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.HasPrefix(name, "compression") {
				check(newBench(t, t, f, patience))
			}
		})
	}
}

// Each fault is found by the checks that are there for it.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		server server
		by     []string
	}{
		"responses come when the handler has ended": {server{without: buffered}, []string{"streaming", "SSE", "hijack", "WebSocket", "reverse proxy"}},
		"handlers write past the session's writer":  {server{past: true}, []string{"whatever the answer, the session is saved before", "a life of a session", "a storage that fails", "streaming", "hijack"}},
		"cookies are dropped":                       {server{without: headers(func(h http.Header) { h.Del("Set-Cookie") })}, []string{"a life of a session", "a life of a session in a plugin", "WebSocket"}},
		"Vary is dropped":                           {server{without: headers(func(h http.Header) { h.Del("Vary") })}, []string{"a life of a session", "SSE"}},
		"cookies are not Secure":                    {server{without: headers(notSecure)}, []string{"reverse proxy", "HTTP/2"}},
		"every request looks at its session":        {server{within: looking}, []string{"an untouched session costs nothing", "a late look fails"}},
		"a panic becomes a response inside":         {server{within: recovering}, []string{"a panic saves nothing"}},
		"the logger sees nothing":                   {server{change: func(o *Options) { o.Logged = func(int, int64) {} }}, []string{"the logger sees what the client gets"}},
		"there is no limit of time":                 {server{change: func(o *Options) { o.TimeLimit = Nowhere }}, []string{"time-outs"}},
		"there are no traces":                       {server{change: func(o *Options) { o.Tracing = Nowhere }}, []string{"tracing outside", "tracing inside"}},
		"traces are always inside":                  {server{change: func(o *Options) { o.Tracing = min(1, o.Tracing) * Inside }}, []string{"tracing outside"}},
		"there is no compression":                   {server{}, []string{"compression outside", "compression inside"}},
		"errors of handlers are lost": {server{change: func(o *Options) {
			o.Routes = slices.Clone(o.Routes)
			for i, r := range o.Routes {
				o.Routes[i].Handle = func(x Exchange) error { _ = r.Handle(x); return nil }
			}
		}}, []string{"an error of a handler", "a storage that fails"}},
	} {
		for _, by := range c.by {
			t.Run(name+"/"+by, func(t *testing.T) {
				t.Parallel()
				f := Framework{Name: "net/http", Start: c.server.start}
				check := allChecks()[by]
				require.NotNil(t, check)
				failure := attempt(func(a require.TestingT) { check(newBench(t, a, f, 500*time.Millisecond)) })
				require.NotEmpty(t, failure, "found that the check passes, want a failure")
				require.NotContains(t, failure, "panic: runtime error")
			})
		}
	}
}

func allChecks() map[string]func(*bench) {
	all := make(map[string]func(*bench))
	for _, c := range basics {
		all[c.name] = c.check
	}
	for b, check := range checks {
		all[string(b)] = check
	}
	return all
}
