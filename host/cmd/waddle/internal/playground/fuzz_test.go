package playground_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/playground"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// Any bytes sent as a value come back unchanged except for white space, or are
// refused. The session stays readable either way.
func FuzzValue(f *testing.F) {
	for _, seed := range []string{`1`, `"é"`, `{"a":[1,2,{"b":null}]}`, `[[[[`, "\"\xff\"", `1e999`, ` 7 `, `"\ud800"`, ``} {
		f.Add([]byte(seed))
	}
	sessions := store.NewMemory()
	handler, err := playground.New(playground.Config{Store: sessions, Settings: session.Defaults(), Hosts: []string{"example.com"}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body []byte) {
		require.NoError(t, sessions.Clear(t.Context(), 0))
		put := httptest.NewRecorder()
		handler.ServeHTTP(put, httptest.NewRequest("PUT", "/api/session/k", bytes.NewReader(body)))
		if put.Code != 200 {
			require.Contains(t, []int{400, 413}, put.Code, "%s", put.Body)
			require.False(t, len(body) <= 64<<10 && utf8.Valid(body) && json.Valid(body) && bytes.Count(body, []byte("["))+bytes.Count(body, []byte("{")) <= 1000,
				"refused: %q: %s", body, put.Body)
			return
		}
		require.True(t, json.Valid(body), "taken: %q", body)
		get := httptest.NewRequest("GET", "/api/session", nil)
		get.AddCookie(put.Result().Cookies()[0])
		got := httptest.NewRecorder()
		handler.ServeHTTP(got, get)
		var shown struct{ Values map[string]json.RawMessage }
		require.NoError(t, json.Unmarshal(got.Body.Bytes(), &shown))
		var want bytes.Buffer
		require.NoError(t, json.Compact(&want, body))
		require.Equal(t, want.String(), string(shown.Values["k"]))
	})
}
