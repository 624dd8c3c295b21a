package serving_test

import (
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

func TestUsers(t *testing.T) {
	overStores(t, func(t *testing.T, st store.Store) {
		s := over(t, st)
		var all []*one
		for _, browser := range []string{"a", "b", "c"} {
			all = append(all, s.ask(t, 200, "/v1/commit", `{"id":"","log_in":{"user":"ada","note":{"browser":%q}}}`, browser).Session)
			s.clock.Advance(time.Second)
		}
		other := s.ask(t, 200, "/v1/commit", `{"id":"","log_in":{"user":"bob"}}`).Session
		var list []struct {
			PublicID string            `json:"public_id"`
			Note     map[string]string `json:"note"`
			LoggedIn time.Time         `json:"logged_in"`
		}
		require.NoError(t, json.Unmarshal(s.ask(t, 200, "/v1/users/sessions", `{"user":"ada"}`).Sessions, &list))
		require.Len(t, list, 3)
		for i, l := range list {
			require.Equal(t, all[i].PublicID, l.PublicID)
			require.Equal(t, string(rune('a'+i)), l.Note["browser"])
		}
		require.Equal(t, "true", string(s.ask(t, 200, "/v1/users/revoke", `{"user":"ada","public_id":%q}`, all[0].PublicID).Ended))
		require.Equal(t, "false", string(s.ask(t, 200, "/v1/users/revoke", `{"user":"bob","public_id":%q}`, all[1].PublicID).Ended))
		require.False(t, *s.ask(t, 200, "/v1/load", `{"id":%q}`, all[0].ID).Found)
		require.Equal(t, "1", string(s.ask(t, 200, "/v1/users/revoke-all", `{"user":"ada","except":[%q]}`, all[1].PublicID).Ended))
		require.True(t, *s.ask(t, 200, "/v1/load", `{"id":%q}`, all[1].ID).Found)
		require.Equal(t, "1", string(s.ask(t, 200, "/v1/users/revoke-all", `{"user":"ada"}`).Ended))
		require.Equal(t, "[]", string(s.ask(t, 200, "/v1/users/sessions", `{"user":"ada"}`).Sessions))
		require.True(t, *s.ask(t, 200, "/v1/load", `{"id":%q}`, other.ID).Found)
	})
}

// TestOperator: the operator sees and ends sessions, by handles that open none.
func TestOperator(t *testing.T) {
	overStores(t, func(t *testing.T, st store.Store) {
		s := over(t, st)
		ids := []string{
			s.ask(t, 200, "/v1/commit", `{"id":"","set":{"cart":["tea"]},"log_in":{"user":"ada"}}`).Session.ID,
			s.ask(t, 200, "/v1/commit", `{"id":"","log_in":{"user":"ada"}}`).Session.ID,
			s.ask(t, 200, "/v1/commit", `{"id":""}`).Session.ID,
		}
		require.Equal(t, "3", string(s.ask(t, 200, "/v1/admin/count", `{}`).Sessions))
		first := s.ask(t, 200, "/v1/admin/list", `{"limit":2}`)
		require.True(t, first.More)
		for _, id := range ids {
			require.NotContains(t, string(s.ask(t, 200, "/v1/admin/list", `{}`).Sessions), id)
		}
		var list []struct{ Handle, User string }
		require.NoError(t, json.Unmarshal(s.ask(t, 200, "/v1/admin/list", `{"user":"ada"}`).Sessions, &list))
		require.Len(t, list, 2)
		shown := ""
		for _, l := range list {
			_, text, _, err := post(s.operator, "/v1/admin/show", fmt.Sprintf(`{"handle":%q}`, l.Handle))
			require.NoError(t, err)
			shown += string(text)
		}
		require.Contains(t, shown, `"values":{"cart":["tea"]}`)
		require.Equal(t, "1", string(s.ask(t, 200, "/v1/admin/end", `{"handle":%q}`, list[0].Handle).Ended))
		require.Equal(t, "0", string(s.ask(t, 200, "/v1/admin/end", `{"handle":%q}`, list[0].Handle).Ended))
		require.Equal(t, "gone", s.ask(t, 410, "/v1/admin/show", `{"handle":%q}`, list[0].Handle).Error.Code)
		require.Equal(t, "1", string(s.ask(t, 200, "/v1/admin/end", `{"user":"ada"}`).Ended))
		for i, found := range []bool{false, false, true} {
			require.Equal(t, found, *s.ask(t, 200, "/v1/load", `{"id":%q}`, ids[i]).Found)
		}
		for _, body := range []string{`{}`, `{"handle":"x","user":"y"}`} {
			s.ask(t, 400, "/v1/admin/end", "%s", body)
		}
		s.ask(t, 400, "/v1/admin/list", `{"limit":0}`)

		// Each has its own address.
		status, _, _, err := post(s.clients, "/v1/admin/count", `{}`)
		require.NoError(t, err)
		require.Equal(t, 404, status)
		status, _, _, err = post(s.operator, "/v1/load", `{"id":"x"}`)
		require.NoError(t, err)
		require.Equal(t, 404, status)
		for path, says := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": `waddle_requests_total{route="/v1/commit",status="2xx"} 3`} {
			r, err := s.operator.Get("http://waddle" + path)
			require.NoError(t, err)
			text, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			require.NoError(t, r.Body.Close())
			require.Equal(t, 200, r.StatusCode)
			require.Contains(t, string(text), says)
		}
	})
}
