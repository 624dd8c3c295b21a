package sessiontest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
)

// Cookies go out with what other sites cause as their SameSite says.
func TestCookiesOfRequestsFromElsewhere(t *testing.T) {
	const lax, strict, none, silent = "lax", "strict", "none", "silent"
	for _, c := range []struct {
		name, page, method, target string
		sent                       []string
		site, origin               string
	}{
		{"typed in", "", "POST", "https://example.com/", []string{lax, none, silent, strict}, "", ""},
		{"its own page", "https://example.com/form", "POST", "/", []string{lax, none, silent, strict}, "same-origin", "https://example.com"},
		{"a subdomain's page", "https://www.example.com/", "POST", "/", []string{lax, none, silent, strict}, "same-site", "https://www.example.com"},
		{"a link elsewhere", "https://idp.example/", "GET", "/", []string{lax, none, silent}, "cross-site", ""},
		{"a form elsewhere", "https://idp.example/", "POST", "/", []string{none}, "cross-site", "https://idp.example"},
		{"a form without TLS", "http://example.com/", "POST", "/", []string{none}, "cross-site", "http://example.com"},
		{"a name that only looks alike", "https://badexample.com/", "POST", "/", []string{none}, "cross-site", "https://badexample.com"},
		{"to an address without TLS", "https://idp.example/", "GET", "http://example.com/", []string{lax, silent}, "", ""},
		{"a form that is sent on", "https://idp.example/", "POST", "/307", []string{none}, "cross-site", "https://idp.example"},
		{"a form whose answer is elsewhere", "https://idp.example/", "POST", "/303", []string{lax, none, silent}, "cross-site", ""},
		{"out and back", "https://example.com/", "GET", "/via", []string{lax, none, silent, strict}, "cross-site", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sessiontest.New(t)
			var got *http.Request
			b := s.Browser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r
				switch r.URL.Path {
				case "/set":
					w.Header()["Set-Cookie"] = []string{
						"lax=1; Path=/; SameSite=Lax", "strict=1; Path=/; SameSite=Strict", "none=1; Path=/; SameSite=None; Secure",
						"silent=1; Path=/", "refused=1; Path=/; SameSite=None",
					}
				case "/307":
					http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
				case "/303":
					http.Redirect(w, r, "/", http.StatusSeeOther)
				case "/via":
					http.Redirect(w, r, "https://idp.example/back", http.StatusFound)
				case "/back":
					http.Redirect(w, r, "https://example.com/", http.StatusFound)
				}
			}))
			b.Get("/set")
			if c.page != "" {
				b = b.From(c.page)
			}
			b.Do(httptest.NewRequest(c.method, c.target, nil))
			names := []string{}
			for _, cookie := range got.Cookies() {
				names = append(names, cookie.Name)
			}
			require.ElementsMatch(t, c.sent, names)
			require.Equal(t, c.site, got.Header.Get("Sec-Fetch-Site"))
			require.Equal(t, c.origin, got.Header.Get("Origin"))
		})
	}
}

// What the test itself says of a request stays.
func TestHeadersOfRequestsFromElsewhere(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Sec-Fetch-Site"), " ", r.Header.Get("Origin"), " ", r.Header.Get("Cookie"))
	}))
	defer server.Close()
	b := sessiontest.New(t).BrowserOf(server)
	b = b.From("https://idp.example/")
	require.Equal(t, "cross-site https://idp.example ", body(t, b.PostForm("/", url.Values{})), "a loopback address is told as well")
	b.Header.Set("Origin", "null")
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Cookie", "mine=1")
	require.Equal(t, "cross-site null mine=1", body(t, b.Do(r)))
	require.Contains(t, failure(t, func(t testing.TB) {
		sessiontest.New(t).Browser(http.NotFoundHandler()).From("http://[")
	}), "sessiontest: parse")
}
