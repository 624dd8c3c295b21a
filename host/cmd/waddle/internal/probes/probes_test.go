package probes_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/probes"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/promtext"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/promtext/promtest"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// get returns the status and body of an answer.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	r, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, err.Error()
	}
	return r.StatusCode, string(b)
}

func serve(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// failing is a store whose reads do what a test says.
type failing struct {
	store.Store
	read atomic.Pointer[func(ctx context.Context) error]
}

func (f *failing) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	if read := f.read.Load(); read != nil {
		return nil, (*read)(ctx)
	}
	return f.Store.Get(ctx, key, now)
}

func TestStoreIsAWrapper(t *testing.T) {
	wrap := func(s store.Store) store.Store { return probes.New(s, probes.Config{}).Store() }
	storetest.Wrapper(t, wrap)
}

// TestReady: a server is ready while its storage answers, and again when it does
// again. It is alive throughout.
func TestReady(t *testing.T) {
	stuck := make(chan struct{})
	t.Cleanup(func() { close(stuck) })
	for _, c := range []struct {
		name string
		read func(ctx context.Context) error
		says string
	}{
		{"it fails", func(context.Context) error { return fmt.Errorf("%w: no route to host", store.ErrUnavailable) }, "no route to host"},
		{"it is closed", func(context.Context) error { return store.ErrClosed }, "closed"},
		{"it waits", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, "did not answer within 50ms"},
		{"it does not look at its context", func(context.Context) error { <-stuck; return nil }, "did not answer within 50ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &failing{Store: store.NewMemory()}
			p := probes.New(s, probes.Config{Within: 50 * time.Millisecond})
			url := serve(t, p.Handler())
			check := func(status int, says string) {
				t.Helper()
				found, body := get(t, url+"/readyz")
				require.Equal(t, status, found, body)
				require.Contains(t, body, says)
				found, body = get(t, url+"/healthz")
				require.Equal(t, http.StatusOK, found, body)
			}
			check(http.StatusOK, "ready\n")
			s.read.Store(&c.read)
			check(http.StatusServiceUnavailable, c.says)
			s.read.Store(nil)
			check(http.StatusOK, "ready\n")
			p.End()
			check(http.StatusServiceUnavailable, "the server is stopping")
			require.ErrorIs(t, p.Ready(t.Context()), probes.ErrEnding)
		})
	}
}

func TestOtherPathsAndMethods(t *testing.T) {
	url := serve(t, probes.New(store.NewMemory(), probes.Config{}).Handler())
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/", http.StatusNotFound},
		{http.MethodHead, "/readyz", http.StatusOK},
		{http.MethodPost, "/readyz", http.StatusMethodNotAllowed},
		{http.MethodPost, "/metrics", http.StatusMethodNotAllowed},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, url+c.path, nil)
		require.NoError(t, err)
		r, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		require.Equal(t, c.status, r.StatusCode, c.path)
	}
}

// TestMetrics reads the figures of real sessions over an engine behind a real server.
func TestMetrics(t *testing.T) {
	engine, err := memory.Open(t.Context(), plugin.Config{Shards: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close(context.Background())) })
	p := probes.New(engine, probes.Config{})
	manager, err := session.New(p.Store(), session.Settings{OnEvent: p.OnEvent})
	require.NoError(t, err)
	site := serve(t, p.Requests("site", manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/set":
			require.NoError(t, session.From(r).Set("n", 1))
		case "/flush":
			require.NoError(t, http.NewResponseController(w).Flush())
		case "/missing":
			http.NotFound(w, r)
		case "/abort":
			panic(http.ErrAbortHandler)
		}
	}))))
	p.Requests("other", http.NotFoundHandler())
	operator := serve(t, p.Handler())
	for range 3 {
		status, body := get(t, site+"/set")
		require.Equal(t, http.StatusOK, status, body)
	}
	for path, want := range map[string]int{"/flush": 200, "/missing": 404} {
		status, _ := get(t, site+path)
		require.Equal(t, want, status, path)
	}
	_, err = http.Post(site+"/abort", "text/plain", nil) // which no client sends twice
	require.Error(t, err)
	require.Error(t, p.Store().Set(t.Context(), store.Write{Key: nil}))

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, operator+"/metrics", nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, promtext.ContentType, answer.Header.Get("Content-Type"))
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	all, kinds := promtest.Parse(t, string(text))
	for key, want := range (promtest.Series{
		"waddle_requests_total route=site status=2xx":                              4,
		"waddle_requests_total route=site status=4xx":                              1,
		"waddle_requests_total route=site status=aborted":                          1,
		"waddle_requests_total route=other status=2xx":                             0,
		"waddle_requests_running route=site":                                       0,
		"waddle_request_duration_seconds_count route=site":                         6,
		"waddle_session_events_total kind=created":                                 3,
		"waddle_session_events_total kind=expired":                                 0,
		"waddle_store_operations_total operation=set outcome=ok":                   3,
		"waddle_store_operations_total operation=set outcome=error":                1,
		"waddle_store_operation_duration_seconds_count operation=set":              4,
		"waddle_store_operation_duration_seconds_bucket operation=set le=+Inf":     4,
		"waddle_store_operation_duration_seconds_bucket operation=get le=4.194304": 0,
		"waddle_plugin_instances state=running":                                    2,
		"waddle_plugin_records":                                                    3,
		"waddle_plugin_evicted_total":                                              0,
		"waddle_plugin_restarts_total":                                             0,
		"waddle_plugin_limits_total limit=fuel":                                    0,
		"waddle_stopping":                                                          0,
	}) {
		require.Contains(t, all, key)
		require.Equal(t, want, all[key], key)
	}
	require.Positive(t, all["waddle_plugin_memory_bytes"])
	require.Positive(t, all["waddle_store_operation_duration_seconds_sum operation=set"])
	require.Equal(t, "histogram", kinds["waddle_store_operation_duration_seconds"])
	require.NotContains(t, all, "waddle_plugin_connections", "the engine has no network")
}

// TestMetricsOfAnyStore: a store that is no plugin has figures as well.
func TestMetricsOfAnyStore(t *testing.T) {
	s := &failing{Store: store.NewMemory()}
	p := probes.New(s, probes.Config{})
	for outcome, err := range map[string]error{"canceled": context.Canceled, "conflict": store.ErrConflict, "error": errors.New("x"), "not_found": store.ErrNotFound} {
		read := func(context.Context) error { return err }
		s.read.Store(&read)
		_, found := p.Store().Get(t.Context(), []byte("k"), 1)
		require.ErrorIs(t, found, err, outcome)
	}
	var b strings.Builder
	require.NoError(t, p.WriteMetrics(&b))
	all, _ := promtest.Parse(t, b.String())
	for _, outcome := range []string{"canceled", "conflict", "error", "not_found"} {
		require.Equal(t, 1.0, all["waddle_store_operations_total operation=get outcome="+outcome], outcome)
	}
	require.NotContains(t, b.String(), "waddle_plugin")
	require.NotContains(t, b.String(), "waddle_requests")
}
