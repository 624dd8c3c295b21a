package playground_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

type listed struct {
	PublicID, Browser, Created, LastSeen, Expires string
	Remembered                                    *bool
	Current                                       bool
}

// devices returns what the interface lists.
func (v *visitor) devices() (user string, list []listed) {
	v.t.Helper()
	var body struct {
		User    string
		Devices []listed
	}
	text := v.ok("GET", "/api/devices", "").text
	require.NoError(v.t, json.Unmarshal([]byte(text), &body), text)
	require.NotNil(v.t, body.Devices, "a list, even if empty")
	return body.User, body.Devices
}

func (v *visitor) login(body, agent string) {
	v.t.Helper()
	a := v.do("POST", "/api/login", body, "User-Agent", agent)
	require.Equal(v.t, http.StatusOK, a.StatusCode, a.text)
}

func TestDevices(t *testing.T) {
	onStores(t, func(t *testing.T, s store.Store) {
		now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
		address := serve(t, s, func(s *session.Settings) { s.Now = func() time.Time { return now } })
		desk, phone, stranger := visit(t, address), visit(t, address), visit(t, address)

		user, list := desk.devices()
		require.Empty(t, user)
		require.Empty(t, list)
		require.Empty(t, desk.id(), "asking makes no session")

		desk.login(`{"user":"ada","remember":true}`, firefox)
		now = now.Add(time.Minute)
		phone.login(`{"user":"ada"}`, "curl/8.1")
		stranger.login(`{"user":"eve"}`, firefox)

		user, list = desk.devices()
		require.Equal(t, "ada", user)
		require.Len(t, list, 2)
		require.True(t, list[0].Current)
		require.Equal(t, "Firefox on Linux", list[0].Browser)
		require.True(t, *list[0].Remembered)
		require.Equal(t, "2030-01-02T03:04:05.000Z", list[0].Created)
		require.Equal(t, "2030-01-09T03:04:05.000Z", list[0].Expires)
		require.False(t, list[1].Current)
		require.Equal(t, "curl", list[1].Browser)
		require.Nil(t, list[1].Remembered)
		require.NotEqual(t, list[0].PublicID, list[1].PublicID)

		// A visitor cannot end a session of another user. An unknown public id ends
		// nothing.
		require.Equal(t, 404, stranger.do("DELETE", "/api/devices/"+list[0].PublicID, "").StatusCode)
		require.Equal(t, 404, desk.do("DELETE", "/api/devices/nothing-such", "").StatusCode)
		require.JSONEq(t, `{"ended":0}`, stranger.ok("DELETE", "/api/devices", "").text)

		require.JSONEq(t, `{"ended":1}`, desk.ok("DELETE", "/api/devices/"+list[1].PublicID, "").text)
		require.True(t, phone.session().New, "it is logged out")
		_, list = desk.devices()
		require.Len(t, list, 1)

		for range 3 {
			visit(t, address).login(`{"user":"ada"}`, firefox)
		}
		require.JSONEq(t, `{"ended":3}`, desk.ok("DELETE", "/api/devices", "").text)
		require.Equal(t, `"ada"`, desk.values()["user"], "all but this one")
		_, list = desk.devices()
		require.Len(t, list, 1)
		user, _ = stranger.devices()
		require.Equal(t, "eve", user)

		// Ending one's own session logs out and removes the cookie.
		require.JSONEq(t, `{"ended":1}`, desk.ok("DELETE", "/api/devices/"+list[0].PublicID, "").text)
		require.Empty(t, desk.id())
	})
}

// A value of that name, set by hand, logs nobody in.
func TestTheValueUserIsNoLogin(t *testing.T) {
	address := serve(t, store.NewMemory())
	visit(t, address).login(`{"user":"ada"}`, firefox)
	thief := visit(t, address)
	thief.ok("PUT", "/api/session/user", `"ada"`)
	user, list := thief.devices()
	require.Empty(t, user)
	require.Empty(t, list)
	require.Equal(t, 409, thief.do("DELETE", "/api/devices", "").StatusCode)
}

// The list shows only a browser's own description of itself and nothing else from
// the request: anybody may log in under any name here.
func TestDevicesShowBrowsersOnly(t *testing.T) {
	v := visit(t, serve(t, store.NewMemory()))
	for agent, want := range map[string]string{
		firefox: "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36":                         "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36":                         "Chrome on Android",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15":                   "Safari on macOS",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36":                           "Chrome on Linux",
		"curl/8.5.0":         "curl",
		"Go-http-client/1.1": "a Go program",
		"<b>bot</b>/1 (x)":   "<b>bot</b>/1",
		"":                   "an unnamed program",
		" ":                  "an unnamed program",
		"Endless-0123456789-0123456789-0123456789-0123456789": "Endless-0123456789-0123456789-0123456789…",
	} {
		v.login(`{"user":"ada"}`, agent)
		_, list := v.devices()
		require.Len(t, list, 1)
		require.Equal(t, want, list[0].Browser, agent)
		require.NotContains(t, v.ok("GET", "/api/devices", "").text, "127.0.0.1")
	}
}

func TestDevicesWithStorageDown(t *testing.T) {
	s := sessiontest.NewStore(store.NewMemory())
	v := visit(t, serve(t, s))
	v.login(`{"user":"ada"}`, firefox)
	_, list := v.devices()
	s.Fail(store.ErrUnavailable, sessiontest.Get)
	for _, c := range [][2]string{{"GET", "/api/devices"}, {"DELETE", "/api/devices"}, {"DELETE", "/api/devices/" + list[0].PublicID},
		{"DELETE", "/api/flash"}, {"POST", "/api/csrf"}} {
		a := v.do(c[0], c[1], "")
		require.Equal(t, 503, a.StatusCode, "%v: %s", c, a.text)
	}
	require.Equal(t, 503, v.do("POST", "/api/csrf/check", `{"token":"x"}`).StatusCode)
	s.Fail(nil, sessiontest.Get)
	_, list = v.devices()
	require.Len(t, list, 1, "nothing was ended")
}

// "Remember me" decides whether the browser keeps the cookie when it closes.
func TestRememberMe(t *testing.T) {
	for _, c := range []struct {
		name   string
		closes bool
		body   string
		keeps  bool
	}{
		{"ticked", false, `{"user":"ada","remember":true}`, true},
		{"ticked, against the setting", true, `{"user":"ada","remember":true}`, true},
		{"not ticked", false, `{"user":"ada","remember":false}`, false},
		{"no box", false, `{"user":"ada"}`, true},
		{"no box, and a setting", true, `{"user":"ada"}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := visit(t, serve(t, store.NewMemory(), func(s *session.Settings) { s.ExpireAtBrowserClose = c.closes }))
			v.ok("POST", "/api/login", `{"user":"before","remember":false}`)
			cookie := v.ok("POST", "/api/login", c.body).Cookies()[0]
			require.Equal(t, c.keeps, cookie.MaxAge > 0, cookie.Raw)
		})
	}
}
