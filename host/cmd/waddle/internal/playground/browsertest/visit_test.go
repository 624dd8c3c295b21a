package browsertest

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// One person's visit from the first page to the log-out.
func TestVisit(t *testing.T) {
	b := open(t)

	// Viewing the page stores nothing.
	b.said("no session yet")
	require.Equal(t, "new", b.text("#new"))
	require.Empty(t, b.values())
	require.Empty(t, b.cookies())
	require.Contains(t, b.text("#requests"), "No call.")
	b.until(`document.querySelector("#engine-name").textContent.includes("memory")`)

	// The first value makes the session and its cookie.
	b.fill("#key", "colour")
	b.fill("#value", "pond green")
	b.click("#set")
	b.said("colour is set")
	require.Equal(t, map[string]string{"colour": `"pond green"`}, b.values())
	first := b.session()
	require.True(t, first.HTTPOnly)
	require.Equal(t, network.CookieSameSiteLax, first.SameSite)
	require.Len(t, first.Value, 43)
	require.Empty(t, eval[string](b, "document.cookie"), "scripts must not see the cookie")
	require.Contains(t, b.text("#sent"), "session_id="+first.Value[:6]+"...")
	require.Contains(t, b.text("#sent"), "HttpOnly")
	require.Contains(t, b.text("#requests li"), "stored")
	require.Contains(t, b.text("#requests li"), "µs")

	// JSON stays unchanged to the last digit.
	b.fill("#key", "large")
	b.fill("#value", `{"n":12345678901234567890123}`)
	b.click("#set")
	b.said("large is set")
	require.Equal(t, `{"n":12345678901234567890123}`, b.values()["large"])

	// Counting, from nothing and with the row's own button.
	b.fill("#key", "visits")
	b.click("#increment")
	b.said("visits is now 1,")
	b.click(`#values [aria-label="Increment visits"]`)
	b.said("visits is now 2,")
	require.Equal(t, "2", b.values()["visits"])
	require.Equal(t, "Increment visits", eval[string](b, `document.activeElement.getAttribute("aria-label")`),
		"the button must keep the focus")

	// A value that cannot be incremented stays, and the page says why.
	b.fill("#key", "colour")
	b.click("#increment")
	b.said("not an integer")
	require.True(t, eval[bool](b, `document.querySelector("#status").classList.contains("bad")`))
	require.Equal(t, `"pond green"`, b.values()["colour"])

	// Everything is still there after a reload.
	b.reload()
	b.said("Welcome back")
	require.Equal(t, map[string]string{"colour": `"pond green"`, "large": `{"n":12345678901234567890123}`, "visits": "2"}, b.values())
	require.Equal(t, "stored", b.text("#new"))
	require.Equal(t, first.Value, b.session().Value)

	b.click(`#values [aria-label="Remove large"]`)
	b.said("large is removed")
	require.NotContains(t, b.values(), "large")

	// Logging in gives another id with the same values; the old id has nothing.
	b.fill("#user", "ada")
	b.click("#login")
	b.said("Welcome, ada")
	require.Equal(t, "ada", b.text("#who"))
	second := b.session()
	require.NotEqual(t, first.Value, second.Value)
	require.Equal(t, map[string]string{"colour": `"pond green"`, "visits": "2", "user": `"ada"`}, b.values())
	require.Contains(t, b.text("#requests"), "renewed")
	require.Equal(t, "logout", eval[string](b, "document.activeElement.id"))

	b.with(first.Value)
	b.said("no session yet")
	require.Empty(t, b.values())
	b.with(second.Value)
	b.said("Welcome back")
	require.Equal(t, "ada", b.text("#who"))

	// Logging out leaves no values and no cookie; the old id is worthless.
	b.click("#logout")
	b.said("Logged out")
	require.Empty(t, b.values())
	require.Empty(t, b.cookies())
	require.Contains(t, b.text("#greeting"), "Nobody")
	b.with(second.Value)
	b.said("no session yet")
	require.Empty(t, b.values())

	page := eval[string](b, "document.documentElement.outerHTML")
	for _, id := range []string{first.Value, second.Value} {
		require.False(t, strings.Contains(page, id), "the page shows an id")
	}
	b.noProblems()
}

// session returns the only cookie.
func (b *tab) session() *network.Cookie {
	b.t.Helper()
	all := b.cookies()
	require.Len(b.t, all, 1)
	require.Equal(b.t, "session_id", all[0].Name)
	return all[0]
}

// with reloads the page after giving the browser a session cookie.
func (b *tab) with(id string) {
	b.t.Helper()
	httpOnly := true
	call(b, network.SetCookie, network.SetCookieParams{Name: "session_id", Value: id, URL: b.address, HTTPOnly: &httpOnly})
	b.reload()
}

func (b *tab) reload() {
	b.t.Helper()
	b.do(chromedp.Reload())
	b.until(spoke)
}
