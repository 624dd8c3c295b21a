package playground_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

func TestCSRF(t *testing.T) {
	onStores(t, func(t *testing.T, s store.Store) {
		address := serve(t, s)
		v := visit(t, address)
		token := func() string {
			t.Helper()
			var body struct{ Token string }
			require.NoError(t, json.Unmarshal([]byte(v.ok("POST", "/api/csrf", "").text), &body))
			require.NotEmpty(t, body.Token)
			return body.Token
		}
		check := func(v *visitor, token string) string {
			t.Helper()
			return v.ok("POST", "/api/csrf/check", `{"token":"`+token+`"}`).text
		}
		const yes, no = `{"valid":true}`, `{"valid":false}`

		first, second := token(), token()
		require.NotEqual(t, first, second, "it looks different each time")
		require.JSONEq(t, yes, check(v, first))
		require.JSONEq(t, yes, check(v, second))
		require.JSONEq(t, no, check(v, first[1:]))
		require.JSONEq(t, no, check(v, ""))
		other := visit(t, address)
		other.ok("POST", "/api/csrf", "")
		require.JSONEq(t, no, check(other, first), "it is of another session")

		v.ok("POST", "/api/login", `{"user":"ada"}`)
		require.JSONEq(t, no, check(v, first), "a form from before the log-in")
		require.JSONEq(t, yes, check(v, token()))
	})
}
