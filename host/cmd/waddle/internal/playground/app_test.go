package playground_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/playground"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// engine is the bundled engine, started once: sessions do not meet each other.
var engine = sync.OnceValues(func() (*plugin.Plugin, error) {
	return memory.Open(context.Background(), plugin.Config{Shards: 2, MemoryLimit: 64 << 20})
})

// onStores runs a test over the native store and over the bundled engine.
func onStores(t *testing.T, test func(t *testing.T, s store.Store)) {
	t.Run("native", func(t *testing.T) { test(t, store.NewMemory()) })
	t.Run("wasm", func(t *testing.T) {
		p, err := engine()
		require.NoError(t, err)
		test(t, p)
	})
}

// serve starts a playground over a store and returns its address.
func serve(t testing.TB, s store.Store, change ...func(*session.Settings)) string {
	t.Helper()
	settings := session.Defaults()
	for _, f := range change {
		f(&settings)
	}
	handler, err := playground.New(playground.Config{Store: s, Settings: settings, Engine: playground.Engine{Name: "test engine"}})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// visitor is a client with its own cookies.
type visitor struct {
	t       testing.TB
	client  *http.Client
	address string
}

func visit(t testing.TB, address string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &visitor{t, &http.Client{Jar: jar}, address}
}

// answer is a response read to its end.
type answer struct {
	*http.Response
	text string
}

// do sends a request; a body that is not empty goes out as JSON.
func (v *visitor) do(method, path, body string, headers ...string) answer {
	v.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequest(method, v.address+path, reader)
	require.NoError(v.t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := v.client.Do(r)
	require.NoError(v.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(v.t, err)
	return answer{response, string(text)}
}

// ok is do for a request that must succeed.
func (v *visitor) ok(method, path, body string) answer {
	v.t.Helper()
	a := v.do(method, path, body)
	require.Equal(v.t, http.StatusOK, a.StatusCode, "%s %s: %s", method, path, a.text)
	return a
}

// shown is the session as the interface shows it.
type shown struct {
	Values   map[string]json.RawMessage
	New      bool
	Modified bool
	Expires  string
}

func (a answer) session(t testing.TB) (s shown) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(a.text)))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&s), "%s", a.text)
	return s
}

func (v *visitor) session() shown {
	v.t.Helper()
	return v.ok("GET", "/api/session", "").session(v.t)
}

// values returns the session's values as text.
func (v *visitor) values() map[string]string {
	v.t.Helper()
	all := make(map[string]string)
	for key, value := range v.session().Values {
		all[key] = string(value)
	}
	return all
}

// id returns the visitor's session id, or nothing.
func (v *visitor) id() string {
	v.t.Helper()
	r, err := http.NewRequest("GET", v.address, nil)
	require.NoError(v.t, err)
	for _, c := range v.client.Jar.Cookies(r.URL) {
		if c.Name == "session_id" {
			return c.Value
		}
	}
	return ""
}

// with returns a visitor who has only an id.
func (v *visitor) with(id string) *visitor {
	v.t.Helper()
	other := visit(v.t, v.address)
	r, err := http.NewRequest("GET", v.address, nil)
	require.NoError(v.t, err)
	other.client.Jar.SetCookies(r.URL, []*http.Cookie{{Name: "session_id", Value: id}})
	return other
}
