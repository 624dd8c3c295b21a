package playground_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

func TestFlash(t *testing.T) {
	onStores(t, func(t *testing.T, s store.Store) {
		v := visit(t, serve(t, s))
		require.JSONEq(t, `{"messages":[]}`, v.ok("DELETE", "/api/flash", "").text)
		require.Empty(t, v.id(), "asking makes no session")

		require.True(t, v.ok("POST", "/api/flash", `{"message":"<b>one</b>"}`).session(t).Modified)
		v.ok("POST", "/api/flash", `{"message":"two ü"}`)
		require.Empty(t, v.values(), "a message is no value")
		var taken struct{ Messages []string }
		require.NoError(t, json.Unmarshal([]byte(v.ok("DELETE", "/api/flash", "").text), &taken))
		require.ElementsMatch(t, []string{"<b>one</b>", "two ü"}, taken.Messages, "of one millisecond, in either order")
		require.JSONEq(t, `{"messages":[]}`, v.ok("DELETE", "/api/flash", "").text, "each is shown once")

		v.ok("POST", "/api/flash", `{"message":"three"}`)
		v.ok("POST", "/api/login", `{"user":"ada"}`)
		require.JSONEq(t, `{"messages":["three"]}`, v.ok("DELETE", "/api/flash", "").text, "it outlives a log-in")
	})
}
