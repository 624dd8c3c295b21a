package playground_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/playground"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

func TestSession(t *testing.T) {
	onStores(t, func(t *testing.T, s store.Store) {
		now := time.Date(2030, 1, 2, 3, 4, 5, 678e6, time.UTC)
		v := visit(t, serve(t, s, func(s *session.Settings) {
			s.Now = func() time.Time { return now }
			s.Lifetime = time.Hour
		}))

		a := v.ok("GET", "/api/session", "")
		require.JSONEq(t, `{"values":{},"new":true,"modified":false,"expires":""}`, a.text)
		require.Equal(t, "application/json", a.Header.Get("Content-Type"))
		require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
		require.Empty(t, a.Cookies(), "reading a session does not make one")

		a = v.ok("PUT", "/api/session/colour", `"green"`)
		require.JSONEq(t, `{"values":{"colour":"green"},"new":true,"modified":true,"expires":"2030-01-02T04:04:05.678Z"}`, a.text)
		require.Len(t, a.Cookies(), 1)
		require.True(t, a.Cookies()[0].HttpOnly)

		now = now.Add(time.Minute)
		a = v.ok("GET", "/api/session", "")
		require.JSONEq(t, `{"values":{"colour":"green"},"new":false,"modified":false,"expires":"2030-01-02T04:04:05.678Z"}`, a.text)
		a = v.ok("PUT", "/api/session/colour", `{"r":0}`)
		require.JSONEq(t, `{"values":{"colour":{"r":0}},"new":false,"modified":true,"expires":"2030-01-02T04:05:05.678Z"}`, a.text)

		require.JSONEq(t, `{"value":1}`, v.ok("POST", "/api/session/visits/increment", "").text)
		require.JSONEq(t, `{"value":2}`, v.ok("POST", "/api/session/visits/increment", "").text)
		require.Equal(t, map[string]string{"colour": `{"r":0}`, "visits": "2"}, v.values())

		require.Len(t, v.ok("DELETE", "/api/session/colour", "").session(t).Values, 1)
		require.Equal(t, map[string]string{"visits": "2"}, v.values())
		a = v.ok("DELETE", "/api/session/never-there", "")
		require.False(t, a.session(t).Modified, "removing a missing value changes nothing")

		now = now.Add(time.Hour)
		require.True(t, v.session().New, "the session's time is over")
	})
}

func TestValuesRoundTrip(t *testing.T) {
	v := visit(t, serve(t, store.NewMemory()))
	for _, value := range []string{
		"null", "true", "false", "0", "-0", "1.50", "1e400", "-9223372036854775808",
		"123456789012345678901234567890", "3.14159265358979323846264338327950288",
		`""`, `"<script>&amp;</script>"`, `"\ud800"`, `"\u0000"`, `"ü \u00fc 𝄞"`, `"\u2028"`,
		"[]", "{}", `[1,[2,[3,{"a":null}]]]`, `{"b":1,"a":2,"b":3}`,
		strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
		`"` + strings.Repeat(`[{\"`, 2000) + `"`,
		`"` + strings.Repeat("<", 60_000) + `"`,
	} {
		v.ok("PUT", "/api/session/k", value)
		require.Equal(t, value, v.values()["k"])
	}
	v.ok("PUT", "/api/session/k", " {\t\"a\" :\n[ 1 ] } ")
	require.Equal(t, `{"a":[1]}`, v.values()["k"])
}

func TestKeys(t *testing.T) {
	v := visit(t, serve(t, store.NewMemory()))
	for _, key := range []string{"a", "ü", "a b", "a/b", "a/increment", "?", "#", "%", "%2F", "..a", "a:b;c=d", "\"", "<b>", strings.Repeat("k", session.MaxKey)} {
		path := "/api/session/" + url.PathEscape(key)
		v.ok("PUT", path, "7")
		require.Equal(t, map[string]string{key: "7"}, v.values())
		require.JSONEq(t, `{"value":8}`, v.ok("POST", path+"/increment", "").text)
		v.ok("DELETE", path, "")
		require.Empty(t, v.values())
	}
}

func TestRefused(t *testing.T) {
	v := visit(t, serve(t, store.NewMemory()))
	v.ok("PUT", "/api/session/kept", "1")
	before := v.session()
	long := strings.Repeat("k", session.MaxKey+1)
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		says                     string
	}{
		{name: "no JSON", method: "PUT", path: "/api/session/kept", body: "{", status: 400, says: "not JSON"},
		{name: "bare word", method: "PUT", path: "/api/session/kept", body: "green", status: 400, says: "byte 1"},
		{name: "two values", method: "PUT", path: "/api/session/kept", body: "1 2", status: 400, says: "after top-level value"},
		{name: "empty body", method: "PUT", path: "/api/session/kept", status: 400, says: "empty"},
		{name: "blank body", method: "PUT", path: "/api/session/kept", body: " \n", status: 400, says: "empty"},
		{name: "no UTF-8", method: "PUT", path: "/api/session/kept", body: "\"\xff\"", status: 400, says: "UTF-8"},
		{name: "too deep", method: "PUT", path: "/api/session/kept", body: strings.Repeat("[", 1001) + strings.Repeat("]", 1001), status: 400, says: "1000 deep"},
		{name: "too large", method: "PUT", path: "/api/session/kept", body: `"` + strings.Repeat("x", 64<<10) + `"`, status: 413, says: "65536"},
		{name: "form", method: "PUT", path: "/api/session/kept", body: "2", headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 415, says: "application/json"},
		{name: "text", method: "PUT", path: "/api/session/kept", body: "2", headers: []string{"Content-Type", "text/plain"}, status: 415, says: "application/json"},
		{name: "latin-1", method: "PUT", path: "/api/session/kept", body: "2", headers: []string{"Content-Type", "application/json; charset=iso-8859-1"}, status: 415, says: "application/json"},
		{name: "no key", method: "PUT", path: "/api/session/", body: "2", status: 400, says: "1 to 255"},
		{name: "long key", method: "PUT", path: "/api/session/" + long, body: "2", status: 400, says: "1 to 255"},
		{name: "long key incremented", method: "POST", path: "/api/session/" + long + "/increment", status: 400, says: "1 to 255"},
		{name: "long key removed", method: "DELETE", path: "/api/session/" + long, status: 400, says: "1 to 255"},
		{name: "key of dots", method: "PUT", path: "/api/session/%2e%2e", body: "2", status: 400, says: "no address"},
		{name: "control character", method: "PUT", path: "/api/session/a%0Ab", body: "2", status: 400, says: "U+000A"},
		{name: "key no UTF-8", method: "PUT", path: "/api/session/%ff", body: "2", status: 400, says: "UTF-8"},
		{name: "method of the session", method: "PUT", path: "/api/session", body: "2", status: 405, says: "GET"},
		{name: "method of a value", method: "GET", path: "/api/session/kept", status: 405, says: "DELETE, PUT"},
		{name: "method of increment", method: "GET", path: "/api/session/kept/increment", status: 405, says: "POST"},
		{name: "method of login", method: "GET", path: "/api/login", status: 405, says: "POST"},
		{name: "method of logout", method: "DELETE", path: "/api/logout", status: 405, says: "POST"},
		{name: "method of devices", method: "POST", path: "/api/devices", status: 405, says: "DELETE, GET"},
		{name: "method of flash", method: "GET", path: "/api/flash", status: 405, says: "DELETE, POST"},
		{name: "method of csrf", method: "GET", path: "/api/csrf", status: 405, says: "POST"},
		{name: "devices of nobody", method: "DELETE", path: "/api/devices", status: 409, says: "nobody is logged in"},
		{name: "a device of nobody", method: "DELETE", path: "/api/devices/abc", status: 409, says: "nobody is logged in"},
		{name: "message missing", method: "POST", path: "/api/flash", body: `{}`, status: 400, says: "1 to 200"},
		{name: "message too long", method: "POST", path: "/api/flash", body: `{"message":"` + strings.Repeat("ü", 201) + `"}`, status: 400, says: "201 characters"},
		{name: "message no text", method: "POST", path: "/api/flash", body: `{"message":1}`, status: 400, says: `{"message":"text"}`},
		{name: "token no text", method: "POST", path: "/api/csrf/check", body: `[]`, status: 400, says: `{"token":"text"}`},
		{name: "other site ends devices", method: "DELETE", path: "/api/devices", headers: []string{"Sec-Fetch-Site", "cross-site"}, status: 403, says: "another origin"},
		{name: "nowhere", method: "GET", path: "/api/sessions", status: 404, says: "/api/session/{key}"},
		{name: "user missing", method: "POST", path: "/api/login", body: `{}`, status: 400, says: `{"user":"name"}`},
		{name: "user empty", method: "POST", path: "/api/login", body: `{"user":""}`, status: 400, says: "not empty"},
		{name: "user no text", method: "POST", path: "/api/login", body: `{"user":7}`, status: 400, says: "a string"},
		{name: "user too long", method: "POST", path: "/api/login", body: `{"user":"` + strings.Repeat("u", 1025) + `"}`, status: 400, says: "1 to 1024"},
		{name: "user with a NUL", method: "POST", path: "/api/login", body: `{"user":"a\u0000b"}`, status: 400, says: "NUL"},
		{name: "remember no truth", method: "POST", path: "/api/login", body: `{"user":"ada","remember":"yes"}`, status: 400, says: `"remember":true`},
		{name: "user no object", method: "POST", path: "/api/login", body: `"ada"`, status: 400, says: `{"user":"name"}`},
		{name: "other origin", method: "PUT", path: "/api/session/kept", body: "2", headers: []string{"Origin", "https://elsewhere.example"}, status: 403, says: "another origin"},
		{name: "other site logs out", method: "POST", path: "/api/logout", headers: []string{"Sec-Fetch-Site", "cross-site"}, status: 403, says: "another origin"},
		{name: "other site logs in", method: "POST", path: "/api/login", body: `{"user":"eve"}`, headers: []string{"Sec-Fetch-Site", "same-site"}, status: 403, says: "another origin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := v.id()
			a := v.do(c.method, c.path, c.body, c.headers...)
			require.Equal(t, c.status, a.StatusCode, a.text)
			require.Equal(t, "application/json", a.Header.Get("Content-Type"))
			require.Regexp(t, `^\{"error":".+"\}\n$`, a.text)
			require.Contains(t, strings.ReplaceAll(a.text, `\"`, `"`), c.says)
			if c.status == http.StatusMethodNotAllowed {
				require.Contains(t, a.Header.Get("Allow"), strings.Split(c.says, ",")[0])
			}
			require.Equal(t, before.Values, v.session().Values, "a request that fails changes nothing")
			require.Equal(t, id, v.id())
		})
	}
}

func TestTakenAsJSON(t *testing.T) {
	v := visit(t, serve(t, store.NewMemory()))
	for _, contentType := range []string{"application/json", "Application/JSON; charset=UTF-8", "application/json;charset=utf-8", ""} {
		a := v.do("PUT", "/api/session/k", "1", "Content-Type", contentType)
		require.Equal(t, 200, a.StatusCode, "%q: %s", contentType, a.text)
	}
	// A browser's own requests, and scripts that send no origin.
	require.Equal(t, 200, v.do("PUT", "/api/session/k", "1", "Origin", v.address, "Sec-Fetch-Site", "same-origin").StatusCode)
}

func TestTooMuch(t *testing.T) {
	t.Run("bytes", func(t *testing.T) {
		v := visit(t, serve(t, store.NewMemory(), func(s *session.Settings) { s.MaxSize = 10_000 }))
		v.ok("PUT", "/api/session/a", "1")
		a := v.do("PUT", "/api/session/b", `"`+strings.Repeat("x", 20_000)+`"`)
		require.Equal(t, 413, a.StatusCode)
		require.Contains(t, a.text, "remove a value")
		require.Equal(t, map[string]string{"a": "1"}, v.values())
	})
	t.Run("values", func(t *testing.T) {
		v := visit(t, serve(t, store.NewMemory()))
		for i := range 256 {
			v.ok("PUT", fmt.Sprintf("/api/session/%d", i), "0")
		}
		for _, a := range []answer{
			v.do("PUT", "/api/session/one-more", "1"),
			v.do("POST", "/api/session/one-more/increment", ""),
			v.do("POST", "/api/login", `{"user":"ada"}`),
		} {
			require.Equal(t, 409, a.StatusCode)
			require.Contains(t, a.text, "256 values")
		}
		v.ok("PUT", "/api/session/7", "1")
		require.Len(t, v.session().Values, 256)
	})
}

func TestStorageDown(t *testing.T) {
	unavailable := fmt.Errorf("engine at db.internal: %w", store.ErrUnavailable)
	for _, c := range []struct {
		name         string
		fault        error
		of           sessiontest.Op
		method, path string
		body         string
		status       int
	}{
		{"loading", unavailable, sessiontest.Get, "GET", "/api/session", "", 503},
		{"loading to set", unavailable, sessiontest.Get, "PUT", "/api/session/k", "1", 503},
		{"loading to remove", unavailable, sessiontest.Get, "DELETE", "/api/session/k", "", 503},
		{"loading to increment", unavailable, sessiontest.Get, "POST", "/api/session/k/increment", "", 503},
		{"saving", unavailable, sessiontest.Set, "PUT", "/api/session/k", "1", 503},
		{"saving an increment", unavailable, sessiontest.Set, "POST", "/api/session/k/increment", "", 503},
		{"logging in", unavailable, sessiontest.Set, "POST", "/api/login", `{"user":"ada"}`, 503},
		{"logging out", unavailable, sessiontest.Set, "POST", "/api/logout", "", 503},
		{"closed", store.ErrClosed, sessiontest.Get, "GET", "/api/session", "", 503},
		{"full", store.ErrNoSpace, sessiontest.Set, "PUT", "/api/session/k", "1", 503},
		{"too large for it", store.ErrTooLarge, sessiontest.Set, "PUT", "/api/session/k", "1", 413},
		{"broken", store.ErrInternal, sessiontest.Get, "GET", "/api/session", "", 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sessiontest.NewStore(store.NewMemory())
			v := visit(t, serve(t, s))
			v.ok("PUT", "/api/session/k", "7")
			id := v.id()
			s.Fail(c.fault, c.of)
			a := v.do(c.method, c.path, c.body)
			require.Equal(t, c.status, a.StatusCode, a.text)
			require.Regexp(t, `^\{"error":".+"\}\n$`, a.text)
			require.NotContains(t, a.text, "db.internal", "the engine's words are for the log")
			require.Equal(t, c.status == 503, a.Header.Get("Retry-After") != "")
			s.Fail(nil)
			require.Equal(t, id, v.id())
			require.Equal(t, map[string]string{"k": "7"}, v.values(), "nothing was lost")
		})
	}
}

// aboutPage is the interface's description of the playground.
type aboutPage struct {
	Engine   playground.Engine
	Sealing  string
	Settings []struct {
		Name, Value string
		Changed     bool
	}
}

func (v *visitor) about() (a aboutPage, settings map[string]string) {
	v.t.Helper()
	text := v.ok("GET", "/api/about", "").text
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	require.NoError(v.t, d.Decode(&a), text)
	settings = make(map[string]string)
	for _, s := range a.Settings {
		settings[s.Name] = s.Value
	}
	return a, settings
}

func TestAbout(t *testing.T) {
	secret := strings.Repeat("0123456789abcdef", 2)
	keyring, err := session.NewKeyring(secret, secret+"another one, older")
	require.NoError(t, err)
	v := visit(t, serve(t, store.NewMemory(), func(s *session.Settings) {
		s.IdleTimeout = 90 * time.Minute
		s.CookieSameSite = http.SameSiteStrictMode
		s.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		s.TokenHeader = "X-Session"
		s.RenewEvery = time.Hour
		s.ReadCodecs = []session.Codec{session.JSON}
		s.Keyring = keyring
	}))
	a, settings := v.about()
	require.Equal(t, "test engine", a.Engine.Name)
	require.Equal(t, "2 keys", a.Sealing)
	for name, value := range map[string]string{
		"SESSION_DURATION": "168h", "SESSION_IDLE_TIMEOUT": "1h30m", "SESSION_ABSOLUTE_TIMEOUT": "off",
		"SESSION_COOKIE_NAME": "session_id", "SESSION_COOKIE_SAMESITE": "Strict", "SESSION_COOKIE_SECURE": "auto",
		"SESSION_COOKIE_HTTPONLY": "true", "SESSION_TRUSTED_PROXIES": "10.0.0.0/8", "SESSION_TOKEN_HEADER": "X-Session",
		"SESSION_RENEW_EVERY": "1h", "SESSION_RENEW_GRACE": "30s", "SESSION_LAST_SEEN_RESOLUTION": "off",
		"WADDLE_SECRET": "2 keys", "MaxSize": "1048576", "SESSION_CODEC": "JSON", "SESSION_READ_CODECS": "none",
	} {
		require.Equal(t, value, settings[name], name)
	}
	for _, s := range a.Settings {
		switch s.Name {
		case "SESSION_COOKIE_SAMESITE", "WADDLE_SECRET":
			require.True(t, s.Changed, s.Name)
		case "SESSION_DURATION", "SESSION_COOKIE_NAME", "SESSION_COOKIE_SECURE", "SESSION_CODEC":
			require.False(t, s.Changed, s.Name)
		}
	}
	require.NotContains(t, v.ok("GET", "/api/about", "").text, secret)

	a, _ = visit(t, serve(t, store.NewMemory())).about()
	require.Equal(t, "none", a.Sealing)
}

// No setting is left out.
func TestAboutShowsEverySetting(t *testing.T) {
	a, settings := visit(t, serve(t, store.NewMemory())).about()
	require.Len(t, settings, len(a.Settings), "each by a name of its own")
	// TrustUnixSockets is a value of SESSION_TRUSTED_PROXIES.
	require.Len(t, settings, reflect.TypeFor[session.Settings]().NumField()-1)
}

func TestNewRefuses(t *testing.T) {
	_, err := playground.New(playground.Config{Settings: session.Defaults()})
	require.ErrorContains(t, err, "Config.Store")
	_, err = playground.New(playground.Config{Store: store.NewMemory(), Settings: session.Settings{Lifetime: session.Off}})
	require.ErrorIs(t, err, session.ErrSettings)
}
