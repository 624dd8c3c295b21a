package playground_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

func TestPage(t *testing.T) {
	v := visit(t, serve(t, store.NewMemory()))
	for path, contentType := range map[string]string{
		"/":                 "text/html; charset=utf-8",
		"/assets/base.css":  "text/css; charset=utf-8",
		"/assets/style.css": "text/css; charset=utf-8",
		"/assets/app.js":    "text/javascript; charset=utf-8",
		"/assets/duck.svg":  "image/svg+xml",
		"/favicon.ico":      "image/svg+xml",
	} {
		a := v.ok("GET", path, "")
		require.Equal(t, contentType, a.Header.Get("Content-Type"), path)
		require.NotEmpty(t, a.text, path)
		require.Empty(t, a.Header.Get("Set-Cookie"), "the page itself touches no session")
		require.Empty(t, a.Header.Get("Vary"))

		require.Equal(t, 304, v.do("GET", path, "", "If-None-Match", a.Header.Get("ETag")).StatusCode, path)
		require.Empty(t, v.ok("HEAD", path, "").text)
		a = v.do("POST", path, "{}")
		require.Equal(t, 405, a.StatusCode, path)
		require.Equal(t, "GET, HEAD", a.Header.Get("Allow"))
	}
	for _, path := range []string{"/assets", "/assets/", "/assets/index.html", "/index.html", "/assets/..%2fpage.go", "/nowhere"} {
		require.Equal(t, 404, v.do("GET", path, "").StatusCode, path)
	}
}

func TestSecurityHeaders(t *testing.T) {
	v := visit(t, serve(t, store.NewMemory()))
	for _, path := range []string{"/", "/assets/app.js", "/api/session", "/api/nowhere", "/nowhere"} {
		h := v.do("GET", path, "").Header
		policy := h.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"} {
			require.Contains(t, policy, part, path)
		}
		require.NotContains(t, policy, "unsafe", path)
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		require.Equal(t, "DENY", h.Get("X-Frame-Options"), path)
		require.Equal(t, "no-referrer", h.Get("Referrer-Policy"), path)
	}
}

// The page needs only the files embedded with it.
func TestPageIsSelfContained(t *testing.T) {
	v := visit(t, serve(t, store.NewMemory()))
	page := v.ok("GET", "/", "").text
	links := regexp.MustCompile(`(?:src|href)="([^"#]+)"`).FindAllStringSubmatch(page, -1)
	require.Len(t, links, 4)
	for _, link := range links {
		v.ok("GET", link[1], "")
	}
	require.NotRegexp(t, `(?i)\sstyle=|\son\w+=|<script>|<style`, page, "the policy would forbid it")
	for _, path := range []string{"/", "/assets/base.css", "/assets/style.css", "/assets/app.js"} {
		text := strings.ReplaceAll(v.ok("GET", path, "").text, "http://www.w3.org/", "")
		require.NotRegexp(t, `https?://|@import|url\(`, text, path)
	}
}
