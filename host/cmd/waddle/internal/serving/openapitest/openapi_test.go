package openapitest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/serving"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// described is a server whose requests and answers are compared with its description.
type described struct {
	document          *openapi3.T
	clients, operator *http.Client
	socket            string
	seen              map[string]bool // path and status
}

// failing is a store that a test can break.
type failing struct {
	store.Store
	err error
}

func (f *failing) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.Store.Get(ctx, key, now)
}

func (f *failing) Keys(ctx context.Context, now store.Millis) iter.Seq2[[]byte, error] {
	if f.err != nil {
		return func(yield func([]byte, error) bool) { yield(nil, f.err) }
	}
	return store.Keys(ctx, f.Store, now)
}

func start(t *testing.T, s store.Store, limits serving.Limits) *described {
	t.Helper()
	text, err := os.ReadFile("../openapi.json")
	require.NoError(t, err)
	document, err := openapi3.NewLoader().LoadFromData(text)
	require.NoError(t, err)
	require.NoError(t, document.Validate(t.Context(), openapi3.IsOpenAPI31OrLater()))

	service, err := serving.New(serving.Config{
		Store: s, Limits: limits, Log: slog.New(slog.DiscardHandler),
		Settings: session.Settings{MaxSize: 10_000},
	})
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "w")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var listeners [2]net.Listener
	for i, name := range []string{"c", "o"} {
		listeners[i], err = serving.ListenUnix(t.Context(), filepath.Join(dir, name), 0o600)
		require.NoError(t, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- (&serving.Server{Service: service, Store: s}).Serve(ctx, listeners[:1], listeners[1]) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	over := func(name string) *http.Client {
		return &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true, ExpectContinueTimeout: time.Minute,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, name))
			},
		}}
	}
	return &described{document, over("c"), over("o"), filepath.Join(dir, "c"), make(map[string]bool)}
}

// ask sends a request. Its answer must be as described, and so must the request be
// unless it is meant to be refused.
func (d *described) ask(t *testing.T, status int, method, path, body string, header ...string) (answer map[string]any) {
	t.Helper()
	request := func() *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://waddle"+path, strings.NewReader(body))
		require.NoError(t, err)
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/json")
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		if status == http.StatusRequestEntityTooLarge {
			// Who sends the body at once may find the connection closed before the answer
			// is read.
			r.Header.Set("Expect", "100-continue")
		}
		return r
	}
	client := d.clients
	if strings.HasPrefix(path, "/v1/admin") || !strings.HasPrefix(path, "/v1/") {
		client = d.operator
	}
	resp, err := client.Do(request())
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, status, resp.StatusCode, "%s %s: %s", path, body, text)
	if method == http.MethodPost {
		err := openapi3filter.ValidateRequest(t.Context(), d.input(request()))
		require.Equal(t, status != 400 && status != 415, err == nil, "%s %s: %v", path, body, err)
	}
	require.NoError(t, openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: d.input(request()), Status: status, Header: resp.Header,
		Body: io.NopCloser(bytes.NewReader(text)), Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}), "%s %s: %s", path, body, text)
	d.seen[resp.Request.URL.Path+" "+strconv.Itoa(status)] = true
	if resp.Header.Get("Content-Type") == "application/json" {
		require.NoError(t, json.Unmarshal(text, &answer))
	}
	return answer
}

// input is a request for the validator.
func (d *described) input(r *http.Request) *openapi3filter.RequestValidationInput {
	item := d.document.Paths.Value(r.URL.Path)
	return &openapi3filter.RequestValidationInput{Request: r, Route: &routers.Route{
		Spec: d.document, Path: r.URL.Path, PathItem: item, Method: r.Method, Operation: item.GetOperation(r.Method),
	}}
}

func (d *described) post(t *testing.T, status int, path, form string, args ...any) map[string]any {
	t.Helper()
	return d.ask(t, status, http.MethodPost, path, fmt.Sprintf(form, args...))
}

func id(answer map[string]any) string { return answer["session"].(map[string]any)["id"].(string) }

// requests are the least body of each request that is answered with 200.
var requests = map[string]string{
	"/v1/load": `{"id":"x"}`, "/v1/commit": `{"id":""}`, "/v1/destroy": `{"id":"x"}`, "/v1/touch": `{"id":"x"}`,
	"/v1/users/sessions": `{"user":"x"}`, "/v1/users/revoke": `{"user":"x","public_id":"y"}`, "/v1/users/revoke-all": `{"user":"x"}`,
	"/v1/admin/count": `{}`, "/v1/admin/list": `{}`, "/v1/admin/end": `{"handle":"x"}`,
}

// others are the least bodies of requests that need a session.
var others = map[string]string{"/v1/renew": `{"id":"x"}`, "/v1/admin/show": `{"handle":"x"}`}

// TestAnswersAreAsDescribed asks everything in every way, and counts that no described
// answer was left out.
func TestAnswersAreAsDescribed(t *testing.T) {
	s := &failing{Store: store.NewMemory()}
	d := start(t, s, serving.Limits{})
	for path, body := range requests {
		d.post(t, 200, path, "%s", body)
	}
	full := id(d.post(t, 200, "/v1/commit", `{"id":"","on_conflict":"fail","set":{"a":1,"b":[null]},"delete":["c"],"clear":true,"renew":true,"modified":true,
		"log_in":{"user":"ada","note":{"browser":"lynx"}},
		"expiry":{"lifetime_ms":3600000,"idle_timeout_ms":-1,"absolute_timeout_ms":0,"persistence":"browser","reset":true}}`))
	d.post(t, 200, "/v1/commit", `{"id":%q,"revision":1,"on_conflict":"merge","expiry":{"expires":"2099-01-01T00:00:00Z"}}`, full)
	d.post(t, 200, "/v1/load", `{"id":%q,"touch":false}`, full)
	d.post(t, 200, "/v1/touch", `{"id":%q}`, full)
	d.post(t, 200, "/v1/users/sessions", `{"user":"ada"}`)
	list := d.post(t, 200, "/v1/admin/list", `{"user":"ada","limit":1}`)["sessions"].([]any)
	d.post(t, 200, "/v1/admin/show", `{"handle":%q}`, list[0].(map[string]any)["handle"])
	d.post(t, 200, "/v1/admin/end", `{"user":"nobody"}`)
	d.post(t, 409, "/v1/commit", `{"id":%q,"revision":1,"on_conflict":"fail","set":{"a":2}}`, full)
	d.post(t, 410, "/v1/commit", `{"id":"x"}`)
	d.post(t, 410, "/v1/renew", `{"id":"x"}`)
	d.post(t, 410, "/v1/admin/show", `{"handle":"x"}`)
	d.post(t, 507, "/v1/commit", `{"id":"","set":{"a":%q}}`, strings.Repeat("x", 20_000))
	full = id(d.post(t, 200, "/v1/renew", `{"id":%q}`, full))
	d.post(t, 200, "/v1/users/revoke-all", `{"user":"ada","except":["x"]}`)
	d.post(t, 200, "/v1/load", `{"id":%q}`, full)
	for _, path := range []string{"/v1/settings", "/v1/openapi.json", "/healthz", "/readyz", "/metrics"} {
		d.ask(t, 200, http.MethodGet, path, "")
	}
	for path, body := range both() {
		d.post(t, 400, path, `{"no such field":0}`)
		d.ask(t, 403, http.MethodPost, path, body, "Origin", "https://evil.example")
		d.ask(t, 415, http.MethodPost, path, body, "Content-Type", "text/plain")
		d.post(t, 413, path, "%s%s", strings.Repeat(" ", 80_000), body)
	}
	d.ask(t, 400, http.MethodGet, "/v1/settings?a=b", "")
	s.err = fmt.Errorf("%w: down", store.ErrUnavailable)
	for path, body := range both() {
		if path != "/v1/admin/end" && path != "/v1/commit" { // these need something that is stored
			d.post(t, 503, path, "%s", strings.ReplaceAll(body, `"x"`, strconv.Quote(strings.Repeat("A", 43))))
		}
	}
	d.ask(t, 503, http.MethodGet, "/readyz", "")
	s.err = errors.New("a bug")
	d.post(t, 500, "/v1/load", `{"id":"%043d"}`, 0)

	limited := start(t, store.NewMemory(), serving.Limits{Connections: 1})
	first, err := net.Dial("unix", limited.socket)
	require.NoError(t, err)
	defer first.Close()
	limited.post(t, 429, "/v1/load", `{"id":"x"}`)
	maps.Copy(d.seen, limited.seen)
	unlisted := start(t, struct{ store.Store }{store.NewMemory()}, serving.Limits{})
	unlisted.post(t, 501, "/v1/admin/count", `{}`)
	unlisted.post(t, 501, "/v1/admin/list", `{}`)
	maps.Copy(d.seen, unlisted.seen)

	var document struct {
		Paths map[string]map[string]struct{ Responses map[string]json.RawMessage }
	}
	text, err := os.ReadFile("../openapi.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &document))
	var missing []string
	for path, methods := range document.Paths {
		for _, m := range methods {
			for status := range m.Responses {
				if !d.seen[path+" "+status] {
					missing = append(missing, path+" "+status)
				}
			}
		}
	}
	slices.Sort(missing)
	// Those of one form for all paths are seen at one path.
	missing = slices.DeleteFunc(missing, func(s string) bool {
		return strings.HasSuffix(s, " 500") || strings.HasSuffix(s, " 429") || strings.HasSuffix(s, " 503") || strings.HasSuffix(s, " 403") || s == "/v1/openapi.json 400"
	})
	require.Equal(t, []string{
		"/v1/admin/end 410",                // a renewal by age
		"/v1/destroy 410", "/v1/renew 507", // two requests at once
	}, missing)
}

func both() map[string]string {
	all := maps.Clone(requests)
	maps.Copy(all, others)
	return all
}
