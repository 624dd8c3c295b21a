package gorillastore_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/gorillastore"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// overStores runs a test over the native store and a bundled engine.
func overStores(t *testing.T, f func(t *testing.T, s store.Store)) {
	t.Helper()
	for name, open := range map[string]func() (store.Store, error){
		"native": func() (store.Store, error) { return store.NewMemory(), nil },
		"memory engine": func() (store.Store, error) {
			return memory.Open(t.Context(), plugin.Config{Shards: 1, Logger: slog.New(slog.DiscardHandler)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := open()
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, store.Close(context.Background(), s)) })
			f(t, s)
		})
	}
}

func open(t *testing.T, s store.Store, settings gorillastore.Settings) *gorillastore.Store {
	t.Helper()
	kept, err := gorillastore.New(s, settings)
	require.NoError(t, err)
	return kept
}

func keyring(t *testing.T) *session.Keyring {
	t.Helper()
	k, err := session.NewKeyring("0123456789abcdefghijklmnopqrstuv")
	require.NoError(t, err)
	return k
}

// browser is a client with cookies of a real server.
type browser struct {
	t      *testing.T
	client *http.Client
	server *httptest.Server
}

func newServer(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

func newBrowser(t *testing.T, server *httptest.Server) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{t, &http.Client{Jar: jar, Timeout: time.Minute}, server}
}

// at makes the browser, with its cookies, go to another server of the same site.
func (b *browser) at(server *httptest.Server) *browser {
	b.t.Helper()
	other := newBrowser(b.t, server)
	from, err := http.NewRequest(http.MethodGet, b.server.URL, nil)
	require.NoError(b.t, err)
	to, err := http.NewRequest(http.MethodGet, server.URL, nil)
	require.NoError(b.t, err)
	other.client.Jar.SetCookies(to.URL, b.client.Jar.Cookies(from.URL))
	return other
}

func (b *browser) cookie(name string) string {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodGet, b.server.URL, nil)
	require.NoError(b.t, err)
	for _, c := range b.client.Jar.Cookies(r.URL) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (b *browser) get(path string) (status int, body string) {
	b.t.Helper()
	resp, err := b.client.Get(b.server.URL + path)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	return resp.StatusCode, string(data)
}
