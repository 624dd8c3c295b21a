package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/examples/moving/internal/shop"
	"github.com/waddle-sessions/waddle/host/adapt/takeover"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// cookies that express-session made for the id "an-id".
const (
	bySecret = "s%3Aan-id.LpqpiWkPl3c2a4FjR7ykynGBX2omQYuaIShLJLAqOQ0"
	noSecret = "s%3Aan-id.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

// TestSigned: only an id whose signature is that of one of the secrets counts.
func TestSigned(t *testing.T) {
	secrets := []string{"the newest", "a secret"}
	for value, want := range map[string]string{
		bySecret: "an-id", noSecret: "", "": "", "an-id": "", "s%3Aan-id": "", "s%3A.x": "", "s%3Aother" + bySecret[len("s%3Aan-id"):]: "", "%": "",
	} {
		id, ok := signed(value, secrets)
		require.Equal(t, want, id, value)
		require.Equal(t, want != "", ok, value)
	}
	_, ok := signed(bySecret, secrets[:1])
	require.False(t, ok, "another secret")
}

// TestTakeOver: what a record says goes over, if it can be read and has not expired.
func TestTakeOver(t *testing.T) {
	for name, c := range map[string]struct {
		record string
		status int
		user   string
	}{
		"a session":      {`{"cookie":{"expires":"2199-01-01T00:00:00.000Z"},"user":"ada","profile":{"age":36,"height":1.7},"cart":["tea"]}`, 200, "ada"},
		"without an end": {`{"cookie":{"originalMaxAge":null},"user":"ada","profile":{"age":36,"height":1.7}}`, 200, "ada"},
		"one that ended": {`{"cookie":{"expires":"2001-01-01T00:00:00.000Z"},"user":"ada"}`, 200, ""},
		"damaged":        {`{"cookie":`, 500, ""},
		"not there":      {"", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "an-id.json")
			if c.record != "" {
				require.NoError(t, os.WriteFile(file, []byte(c.record), 0o600))
			}
			sessions, err := session.New(store.NewMemory(), session.Settings{OnEvent: func(context.Context, session.Event) {}})
			require.NoError(t, err)
			over, err := takeover.Handler(sessions, library("connect.sid", []string{"a secret"}, fileStore{dir}), takeover.Settings{Until: shop.Until, User: shop.User})
			require.NoError(t, err)
			profile := session.NewKey[struct {
				Age    int     `cbor:"age"`
				Height float64 `cbor:"height"`
			}]("profile")
			var user string
			var age int
			var cookie bool
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.AddCookie(&http.Cookie{Name: "connect.sid", Value: bySecret})
			sessions.Handler(over(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				s := session.From(r)
				user, age = session.Value(s, s.User), profile.Value(s).Age
				cookie = session.Value(s, func() (bool, error) { return s.Has("cookie") })
			}))).ServeHTTP(w, r)
			require.Equal(t, c.status, w.Code)
			require.Equal(t, c.user, user)
			require.False(t, cookie, "what express-session keeps for itself")
			if c.user != "" {
				require.Equal(t, 36, age)
				require.NoFileExists(t, file)
			}
		})
	}
}
