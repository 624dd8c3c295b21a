package browsertest

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The list of devices, as two browsers and a phone see it.
func TestDevices(t *testing.T) {
	b := open(t)
	require.Contains(t, b.text("#devices-empty"), "Log in")
	require.Equal(t, 0, eval[int](b, `document.querySelectorAll("#devices li").length`))

	phone := another(b, "ada", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Mobile/15E148 Safari/604.1")
	stranger := another(b, "eve", "curl/8.5")
	b.fill("#user", "ada")
	b.click("#login")
	b.said("Welcome, ada")
	require.Equal(t, 2, eval[int](b, `document.querySelectorAll("#devices li").length`))
	require.Contains(t, b.text("#devices li:nth-child(1)"), "Safari on iPhone")
	require.Contains(t, b.text("#devices li:nth-child(2)"), "this one")
	require.Contains(t, b.text("#devices li:nth-child(2)"), "ends in 7 days")
	require.Equal(t, 1, eval[int](b, `document.querySelectorAll("#devices button").length`), "one's own is ended by logging out")
	require.True(t, phone.loggedIn())

	b.click(`#devices [aria-label="End the session of Safari on iPhone"]`)
	b.said("One session has ended")
	require.Equal(t, 1, eval[int](b, `document.querySelectorAll("#devices li").length`))
	require.False(t, phone.loggedIn())

	others := []*other{another(b, "ada", "curl/8.5"), another(b, "ada", "curl/8.6")}
	b.click("#reload")
	b.said("as it is stored")
	b.click("#end-others")
	b.said("2 sessions have ended")
	for _, o := range others {
		require.False(t, o.loggedIn())
	}
	require.True(t, stranger.loggedIn(), "somebody else stays")
	require.Equal(t, "ada", b.text("#who"))
	require.True(t, eval[bool](b, `document.querySelector("#end-others").hidden`), "there are no others")

	// This browser notices at its next request that its session was ended elsewhere.
	desk := another(b, "ada", "curl/8.5")
	desk.do(http.MethodDelete, "/api/devices", "")
	b.click("#reload")
	b.said("as it is stored")
	require.Contains(t, b.text("#greeting"), "Nobody")
	require.Equal(t, "new", b.text("#new"))
	b.noProblems()
}

// A message is shown by the next page, and by no other.
func TestFlash(t *testing.T) {
	b := open(t)
	const markup = `<img src=x onerror=alert(1)> "done"`
	for _, text := range []string{markup, "The second."} {
		b.fill("#message", text)
		b.click("#leave")
		b.said("waits for the next page")
		b.until(`document.querySelector("#message").value === ""`)
	}
	require.True(t, eval[bool](b, `document.querySelector("#messages").hidden`), "not by this page")

	b.reload()
	b.said("Welcome back")
	require.Equal(t, []string{markup, "The second."}, eval[[]string](b, `[...document.querySelectorAll("#messages span")].map((e) => e.textContent)`))
	b.click("#messages button")
	require.Equal(t, 1, eval[int](b, `document.querySelectorAll("#messages li").length`))

	b.reload()
	b.said("Welcome back")
	require.True(t, eval[bool](b, `document.querySelector("#messages").hidden`), "not by the one after")
	b.noProblems()
}

// The box decides whether the browser keeps the cookie when it closes.
func TestRememberMe(t *testing.T) {
	b := open(t)
	b.fill("#user", "ada")
	b.click("#login")
	b.said("forgets the cookie")
	require.True(t, b.session().Session)
	require.NotContains(t, b.text("#sent"), "Max-Age")
	require.Contains(t, b.text("#devices"), "until the browser closes")

	b.click("#remember")
	b.fill("#user", "ada")
	b.click("#login")
	b.said("keeps the cookie")
	require.False(t, b.session().Session)
	require.Contains(t, b.text("#sent"), "Max-Age=604800")
	require.Contains(t, b.text("#devices"), "remembered")
	b.noProblems()
}

// A form's token holds until a log-in.
func TestFormToken(t *testing.T) {
	b := open(t)
	require.True(t, eval[bool](b, `document.querySelector("#check-token").disabled`))
	b.click("#get-token")
	b.said("A token")
	b.click("#check-token")
	b.said("Accepted")
	b.fill("#user", "ada")
	b.click("#login")
	b.said("Welcome, ada")
	b.click("#check-token")
	b.said("Refused")
	b.click("#get-token")
	b.said("A token")
	b.click("#check-token")
	b.said("Accepted")
	b.noProblems()
}

// The page shows how the sessions are kept: all settings, but no secret.
func TestAbout(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	b := open(t, "WADDLE_SECRET="+secret, "SESSION_COOKIE_SECURE=false", "SESSION_IDLE_TIMEOUT=90m")
	b.until(`document.querySelector("#settings div")`)
	require.Contains(t, b.text("#sealing"), "1 key")
	require.Contains(t, b.text("#engine-keeps"), "in memory")
	settings := eval[map[string]string](b, `Object.fromEntries([...document.querySelectorAll("#settings div")].map((e) => [e.children[0].textContent, e.children[1].textContent]))`)
	require.Equal(t, "false", settings["SESSION_COOKIE_SECURE"])
	require.Equal(t, "1h30m", settings["SESSION_IDLE_TIMEOUT"])
	require.Equal(t, "1 key", settings["WADDLE_SECRET"])
	require.Greater(t, len(settings), 25)
	require.Equal(t, 3, eval[int](b, `[...document.querySelectorAll("#settings .changed dt")].filter((e) => /_SECURE|_IDLE|SECRET/.test(e.textContent)).length`))
	require.False(t, strings.Contains(eval[string](b, "document.documentElement.outerHTML"), secret))
	b.noProblems()
}

// Times are rounded to the nearest, not down.
func TestTimes(t *testing.T) {
	for setting, want := range map[string]string{
		"168h": "in 7 days", "48h": "in 2 days", "36h": "in 36 hours", "2h": "in 2 hours", "90m": "in 90 minutes",
	} {
		t.Run(setting, func(t *testing.T) {
			b := open(t, "SESSION_DURATION="+setting)
			b.fill("#key", "visits")
			b.click("#increment")
			b.said("visits is now 1")
			require.Contains(t, b.text("#expires"), want+",")
			time.Sleep(2500 * time.Millisecond)
			b.click("#reload")
			b.said("as it is stored")
			require.Contains(t, b.text("#expires"), want+",", "some seconds later")
		})
	}
}

// other is a client besides the browser, with its own cookies.
type other struct {
	b      *tab
	agent  string
	client http.Client
}

// another logs a user in.
func another(b *tab, user, agent string) *other {
	b.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(b.t, err)
	o := &other{b, agent, http.Client{Jar: jar}}
	o.do(http.MethodPost, "/api/login", `{"user":"`+user+`"}`)
	return o
}

func (o *other) do(method, path, body string) string {
	o.b.t.Helper()
	request, err := http.NewRequest(method, o.b.address+path, strings.NewReader(body))
	require.NoError(o.b.t, err)
	request.Header.Set("User-Agent", o.agent)
	response, err := o.client.Do(request)
	require.NoError(o.b.t, err)
	defer response.Body.Close()
	var text strings.Builder
	_, err = io.Copy(&text, response.Body)
	require.NoError(o.b.t, err)
	require.Equal(o.b.t, http.StatusOK, response.StatusCode, text.String())
	return text.String()
}

func (o *other) loggedIn() bool {
	o.b.t.Helper()
	return strings.Contains(o.do(http.MethodGet, "/api/devices", ""), `"current":true`)
}
