package session_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestHandshakes: a WebSocket from another origin would use the visitor's
// session, so its handshake is refused like a change. The test does it by hand
// over a real connection.
func TestHandshakes(t *testing.T) {
	trusting := http.NewCrossOriginProtection()
	require.NoError(t, trusting.AddTrustedOrigin("https://partner.example"))
	trusting.AddInsecureBypassPattern("/open")
	const own, evil, partner = "Origin: http://app.example\r\n", "Origin: https://evil.example\r\n", "Origin: https://partner.example\r\n"
	const upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
	for _, c := range []struct {
		name    string
		method  string
		path    string
		header  string
		origins *http.CrossOriginProtection
		passes  bool
	}{
		{"own page", "GET", "/ws", upgrade + own, nil, true},
		{"own page, by Fetch Metadata", "GET", "/ws", upgrade + own + "Sec-Fetch-Site: same-origin\r\n", nil, true},
		{"another site", "GET", "/ws", upgrade + evil, nil, false},
		{"another site, by Fetch Metadata", "GET", "/ws", upgrade + evil + "Sec-Fetch-Site: cross-site\r\n", nil, false},
		{"Fetch Metadata alone", "GET", "/ws", upgrade + "Sec-Fetch-Site: cross-site\r\n", nil, false},
		{"a subdomain", "GET", "/ws", upgrade + "Sec-Fetch-Site: same-site\r\n", nil, false},
		{"a sandboxed frame", "GET", "/ws", upgrade + "Origin: null\r\n", nil, false},
		{"another port", "GET", "/ws", upgrade + "Origin: http://app.example:8080\r\n", nil, false},
		{"small letters", "GET", "/ws", "connection: upgrade\r\nupgrade: WebSocket\r\n" + evil, nil, false},
		{"another protocol", "GET", "/ws", "Connection: Upgrade\r\nUpgrade: spdy\r\n" + evil, nil, false},
		{"Upgrade without Connection", "GET", "/ws", "Upgrade: websocket\r\n" + evil, nil, false},
		{"an empty line before it", "GET", "/ws", "Upgrade:\r\n" + upgrade + evil, nil, false},
		{"nothing but an empty line", "GET", "/ws", "upgrade:\r\n" + evil, nil, true},
		{"HEAD", "HEAD", "/ws", upgrade + evil, nil, false},
		{"OPTIONS", "OPTIONS", "/ws", upgrade + evil, nil, false},
		{"no upgrade", "GET", "/ws", evil, nil, true},
		{"no browser", "GET", "/ws", upgrade, nil, true},
		{"trusted origin", "GET", "/ws", upgrade + partner, trusting, true},
		{"trusted origin, by Fetch Metadata", "GET", "/ws", upgrade + partner + "Sec-Fetch-Site: cross-site\r\n", trusting, true},
		{"origin that is not trusted", "GET", "/ws", upgrade + evil, trusting, false},
		{"path that is left out", "GET", "/open", upgrade + evil, trusting, true},
		{"POST that says upgrade and nothing of its origin", "POST", "/ws", upgrade, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t, store.NewMemory())
			id := a.login("ada")
			reached := ""
			server := httptest.NewServer(a.manager.Handler(a.manager.Protect(c.origins)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reached = r.Method
				if r.Header.Get("Upgrade") == "" {
					return
				}
				conn, rw, err := http.NewResponseController(w).Hijack()
				require.NoError(t, err)
				defer conn.Close()
				_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
				_ = rw.Flush()
			}))))
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: app.example\r\nCookie: session_id=%s\r\n%s\r\n", c.method, c.path, id, c.header)
			require.NoError(t, err)
			line, err := textproto.NewReader(bufio.NewReader(conn)).ReadLine()
			require.NoError(t, err)
			if !c.passes {
				require.Contains(t, line, "403")
				require.Empty(t, reached)
				return
			}
			require.Equal(t, c.method, reached, "the handler sees the request as it is")
			if strings.Contains(c.header, "Upgrade") {
				require.Contains(t, line, "101")
			}
		})
	}
}

// TestHandshakesOverHTTP2: extended CONNECT (RFC 8441), as net/http and servers
// of HTTP/3 pass it on.
func TestHandshakesOverHTTP2(t *testing.T) {
	for _, c := range []struct {
		name   string
		proto  string
		header http.Header
		passes bool
	}{
		{"another site", "HTTP/2.0", http.Header{":protocol": {"websocket"}, "Origin": {"https://evil.example"}}, false},
		{"own page", "HTTP/2.0", http.Header{":protocol": {"websocket"}, "Origin": {"https://app.example"}}, true},
		{"no browser", "HTTP/2.0", http.Header{":protocol": {"websocket"}}, true},
		{"WebTransport, another site", "webtransport", http.Header{"Origin": {"https://evil.example"}}, false},
		{"WebTransport, own page", "webtransport", http.Header{"Origin": {"https://app.example"}}, true},
		{"WebTransport, no browser", "webtransport", http.Header{}, true},
		{"a CONNECT of old", "HTTP/1.1", http.Header{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t, store.NewMemory())
			reached := false
			h := a.manager.Handler(a.manager.Protect(nil)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })))
			r := httptest.NewRequest(http.MethodGet, "https://app.example/ws", nil)
			r.Method, r.Proto, r.Header = http.MethodConnect, c.proto, c.header
			r.AddCookie(&http.Cookie{Name: "session_id", Value: a.login("ada")})
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, c.passes, reached)
			require.Equal(t, c.passes, w.Code == http.StatusOK)
		})
	}
}

// TestDenyHandler: for each reason, the right handler answers a refused
// request. The origins' own handler answers refusals by origin, wherever it was
// set. A missing token is an error of the session.
func TestDenyHandler(t *testing.T) {
	teapot := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Path", r.URL.Path)
		w.Header().Set("X-Accept", r.Header.Get("Accept"))
		w.WriteHeader(http.StatusTeapot)
	})
	onError := func(s *session.Settings) {
		s.OnError = func(w http.ResponseWriter, _ *http.Request, err error) {
			require.ErrorIs(t, err, session.ErrCSRF)
			w.WriteHeader(http.StatusGone)
		}
	}
	with := func(h http.Handler) *http.CrossOriginProtection {
		origins := http.NewCrossOriginProtection()
		if h != nil {
			origins.SetDenyHandler(h)
		}
		return origins
	}
	late := with(nil)
	for _, c := range []struct {
		name           string
		origins        *http.CrossOriginProtection
		change         func(*session.Settings)
		origin, silent int
	}{
		{"nothing", nil, func(*session.Settings) {}, 403, 403},
		{"OnError", nil, onError, 410, 410},
		{"origins without one", with(nil), func(*session.Settings) {}, 403, 403},
		{"origins without one, OnError", with(nil), onError, 403, 410},
		{"of the origins", with(teapot), func(*session.Settings) {}, 418, 403},
		{"of the origins, OnError", with(teapot), onError, 418, 410},
		{"of the origins, set later", late, onError, 418, 410},
	} {
		for reason, header := range map[string]http.Header{
			"another site":   {"Sec-Fetch-Site": {"cross-site"}},
			"no token":       {},
			"a handshake":    {"Origin": {"https://evil.example"}, "Upgrade": {"websocket"}},
			"another origin": {"Origin": {"https://evil.example"}},
		} {
			t.Run(c.name+", "+reason, func(t *testing.T) {
				a := newApp(t, store.NewMemory(), c.change)
				h := a.manager.Handler(a.manager.Protect(c.origins)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					t.Error("let through")
				})))
				late.SetDenyHandler(teapot)
				method := http.MethodPost
				if reason == "a handshake" {
					method = http.MethodGet
				}
				r := httptest.NewRequest(method, "/transfer", nil)
				r.Header = header.Clone()
				r.Header.Set("Accept", "application/json")
				r.AddCookie(&http.Cookie{Name: "session_id", Value: a.login("ada")})
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				status := c.origin
				if reason == "no token" {
					status = c.silent
				}
				require.Equal(t, status, w.Code)
				if status == http.StatusTeapot {
					require.Equal(t, "/transfer", w.Header().Get("X-Path"))
					require.Equal(t, "application/json", w.Header().Get("X-Accept"))
				}
			})
		}
	}
}
