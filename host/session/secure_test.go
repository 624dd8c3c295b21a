package session_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var proxies = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("::ffff:192.168.0.0/112"),
	netip.MustParsePrefix("fe80::/10"),
}

// TestSecureAuto says for each kind of connection whether the cookie is Secure,
// and whether the manager reports something.
func TestSecureAuto(t *testing.T) {
	const (
		proxy    = "10.1.2.3:1234"
		stranger = "192.0.2.1:1"
	)
	proto := func(lines ...string) http.Header { return http.Header{"X-Forwarded-Proto": lines} }
	forwarded := func(lines ...string) http.Header { return http.Header{"Forwarded": lines} }
	for _, c := range []struct {
		name   string
		peer   string
		tls    bool
		header http.Header
		host   string
		secure bool
		says   string
	}{
		{name: "plain", peer: stranger},
		{name: "plain by IPv6", peer: "[2001:db9::1]:1"},
		{name: "TLS of our own", peer: stranger, tls: true, secure: true},
		{name: "TLS from a proxy that says otherwise", peer: proxy, tls: true, header: proto("http"), secure: true},

		{name: "proxy, HTTPS", peer: proxy, header: proto("https"), secure: true},
		{name: "proxy, HTTP", peer: proxy, header: proto("http")},
		{name: "proxy, WebSocket", peer: proxy, header: proto("ws")},
		{name: "proxy, WebSocket over TLS", peer: proxy, header: proto("wss"), secure: true},
		{name: "proxy, silent", peer: proxy, secure: true, says: "make the proxy set X-Forwarded-Proto"},
		{name: "proxy, empty", peer: proxy, header: proto(""), secure: true, says: "make the proxy set X-Forwarded-Proto"},
		{name: "proxy, capitals and spaces", peer: proxy, header: proto(" HTTPS "), secure: true},
		{name: "proxy, something else", peer: proxy, header: proto("httpx"), secure: true},
		{name: "proxy, list, the near one is encrypted", peer: proxy, header: proto("http, https"), secure: true},
		{name: "proxy, list, the client's is encrypted", peer: proxy, header: proto("https, http"), secure: true},
		{name: "proxy, list, none is encrypted", peer: proxy, header: proto("http,HTTP")},
		{name: "proxy, lines, the first is encrypted", peer: proxy, header: proto("https", "http"), secure: true},
		{name: "proxy, lines, the last is encrypted", peer: proxy, header: proto("http", "https"), secure: true},
		{name: "proxy, lines, none is encrypted", peer: proxy, header: proto("http", "http")},
		{name: "proxy, empty last entry", peer: proxy, header: proto("https,"), secure: true},
		{name: "proxy, another header says HTTPS", peer: proxy, header: http.Header{"X-Forwarded-Ssl": {"on"}, "X-Forwarded-Proto": {"http"}}, secure: true},
		{name: "proxy, yet another", peer: proxy, header: http.Header{"Front-End-Https": {"On"}}, secure: true},
		{name: "proxy, HTTP, and the browser knows better", peer: proxy, header: http.Header{"X-Forwarded-Proto": {"http"}, "Sec-Fetch-Site": {"none"}}, secure: true},
		{name: "proxy by IPv6", peer: "[2001:db8::1]:1", header: proto("http")},
		{name: "proxy, IPv4 mapped to IPv6", peer: "[::ffff:10.1.2.3]:1", header: proto("http")},
		{name: "proxy whose prefix is written as mapped", peer: "192.168.0.7:1", header: proto("http")},
		{name: "the same by a mapped address", peer: "[::ffff:192.168.0.7]:1", header: proto("http")},
		{name: "proxy on a link", peer: "[fe80::1%eth0]:1", header: proto("http")},
		{name: "proxy without a port", peer: "10.1.2.3", header: proto("http")},

		{name: "RFC 7239", peer: proxy, header: forwarded("for=192.0.2.60;proto=https;by=203.0.113.43"), secure: true},
		{name: "RFC 7239, HTTP", peer: proxy, header: forwarded("proto=http")},
		{name: "RFC 7239, quoted", peer: proxy, header: forwarded(`for="[2001:db8::9]:80"; Proto="HTTPS"`), secure: true},
		{name: "RFC 7239, HTTP, quoted", peer: proxy, header: forwarded(`for="[2001:db8::9]:80"; PROTO = "http"`)},
		{name: "RFC 7239, list", peer: proxy, header: forwarded("proto=https, for=1.2.3.4;proto=http"), secure: true},
		{name: "RFC 7239, lines", peer: proxy, header: forwarded("proto=https", "proto=http"), secure: true},
		{name: "RFC 7239, list, none is encrypted", peer: proxy, header: forwarded("proto=http, for=1.2.3.4;proto=http")},
		{name: "RFC 7239, a scheme within quotes", peer: proxy, header: forwarded(`host="a,b;proto=https";proto=http`)},
		{name: "RFC 7239, an escaped quote", peer: proxy, header: forwarded(`host="a\",b;proto=https";proto=http`)},
		{name: "RFC 7239, a quote without end", peer: proxy, header: forwarded(`proto=http;for="x, proto=http`), secure: true},
		{name: "RFC 7239, nothing of the scheme", peer: proxy, header: forwarded("for=192.0.2.60"), secure: true, says: "X-Forwarded-Proto"},
		{name: "both headers, one of them HTTPS", peer: proxy, header: http.Header{"X-Forwarded-Proto": {"http"}, "Forwarded": {"proto=https"}}, secure: true},

		{name: "stranger who says HTTPS", peer: stranger, header: proto("https"), secure: true, says: "(a public address)"},
		{name: "stranger who says HTTP", peer: stranger, header: proto("http"), says: "(a public address)"},
		{name: "stranger by RFC 7239", peer: stranger, header: forwarded("proto=https"), secure: true, says: "(a public address)"},
		{name: "stranger next to the proxies", peer: "172.16.0.1:1", header: proto("https"), secure: true, says: "(a private address)"},
		{name: "stranger on this machine", peer: "127.0.0.1:1", header: proto("https"), secure: true, says: "(a loopback address)"},
		{name: "stranger on a link", peer: "169.254.0.1:1", header: proto("http"), says: "(a link-local address)"},
		{name: "stranger by IPv6", peer: "[2001:db9::1]:1", header: proto("https"), secure: true, says: "TrustedProxies"},
		{name: "stranger, IPv4 mapped to IPv6", peer: "[::ffff:11.1.2.3]:1", header: proto("http"), says: "TrustedProxies"},
		{name: "stranger, the browser says HTTPS", peer: stranger, header: http.Header{"Sec-Fetch-Site": {"same-origin"}}, secure: true, says: "TrustedProxies"},
		{name: "the browser is on this machine", peer: "127.0.0.1:1", host: "localhost:8080", header: http.Header{"Sec-Fetch-Site": {"none"}}},
		{name: "the same by address", peer: "127.0.0.1:1", host: "127.0.0.1:8080", header: http.Header{"Sec-Fetch-Site": {"none"}}},
		{name: "the same by IPv6", peer: "[::1]:1", host: "[::1]", header: http.Header{"Sec-Fetch-Site": {"none"}}},
		{name: "the same by another name", peer: "127.0.0.1:1", host: "shop.localhost", header: http.Header{"Sec-Fetch-Site": {"none"}}},

		{name: "stranger who says something else", peer: stranger, header: proto("httpx"), secure: true, says: "(a public address)"},
		{name: "stranger who passes on for somebody", peer: stranger, header: http.Header{"X-Forwarded-For": {"192.0.2.60"}}, secure: true, says: "does not say whether"},
		{name: "the same on this machine", peer: "127.0.0.1:1", header: http.Header{"X-Forwarded-For": {"192.0.2.60"}}, secure: true, says: "(a loopback address)"},
		{name: "the same by another header", peer: "172.16.0.1:1", header: http.Header{"X-Real-Ip": {"192.0.2.60"}}, secure: true, says: "does not say whether"},
		{name: "the same by the host", peer: "172.16.0.1:1", header: http.Header{"X-Forwarded-Host": {"app.example"}}, secure: true, says: "does not say whether"},
		{name: "the same by RFC 7239", peer: "172.16.0.1:1", header: forwarded("for=192.0.2.60"), secure: true, says: "does not say whether"},
		{name: "the same by HTTP's own header", peer: "172.16.0.1:1", header: http.Header{"Via": {"1.1 edge"}}, secure: true, says: "does not say whether"},
		{name: "the same that says HTTP", peer: "172.16.0.1:1", header: http.Header{"X-Forwarded-For": {"192.0.2.60"}, "X-Forwarded-Proto": {"http"}}, says: "list its address there"},
		{name: "a word of the ingress of Kubernetes", peer: "172.16.0.1:1", header: http.Header{"X-Forwarded-Scheme": {"https"}}, secure: true, says: "list its address there"},
		{name: "a word of CloudFront", peer: "172.16.0.1:1", header: http.Header{"Cloudfront-Forwarded-Proto": {"https"}}, secure: true, says: "list its address there"},

		{name: "address without a port", peer: "192.0.2.1", secure: true, says: "an address without a port"},
		{name: "the same that says HTTPS", peer: "192.0.2.1", header: proto("https"), secure: true, says: "an address without a port"},
		{name: "the same that says HTTP", peer: "192.0.2.1", header: proto("http"), secure: true, says: "an address without a port"},
		{name: "IPv6 without a port", peer: "2001:db9::1", secure: true, says: "an address without a port"},
		{name: "IPv6 in brackets", peer: "[2001:db9::1]", secure: true, says: "an address without a port"},
		{name: "unix socket", peer: "@", secure: true, says: "TrustUnixSockets"},
		{name: "unix socket that says HTTP", peer: "@", header: proto("http"), secure: true, says: "TrustUnixSockets"},
		{name: "named unix socket", peer: "/run/proxy.sock", secure: true, says: "TrustUnixSockets"},
		{name: "no address", peer: "", secure: true, says: "no address"},
		{name: "a name", peer: "client:1", header: proto("http"), secure: true, says: "no address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var said []session.Event
			settings := session.Defaults()
			settings.TrustedProxies = proxies
			settings.OnEvent = func(_ context.Context, e session.Event) {
				if e.Kind == session.EventMisconfigured {
					said = append(said, e)
				}
			}
			m, err := session.New(store.NewMemory(), settings)
			require.NoError(t, err)
			request := func(cookie *http.Cookie, f func(s *session.Session) error) *http.Cookie {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.RemoteAddr = c.peer
				for name, lines := range c.header {
					r.Header[name] = lines
				}
				if c.host != "" {
					r.Host = c.host
				}
				if c.tls {
					r.TLS = &tls.ConnectionState{}
				}
				if cookie != nil {
					r.AddCookie(cookie)
				}
				w := httptest.NewRecorder()
				m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { require.NoError(t, f(session.From(r))) })).ServeHTTP(w, r)
				cookies := w.Result().Cookies()
				require.Len(t, cookies, 1)
				return cookies[0]
			}
			made := request(nil, func(s *session.Session) error { return s.Set("a", 1) })
			require.Equal(t, c.secure, made.Secure)
			gone := request(made, func(s *session.Session) error { return s.Destroy() })
			require.Equal(t, c.secure, gone.Secure, "removed as it was made")
			if c.says == "" {
				require.Empty(t, said)
				return
			}
			require.Len(t, said, 1, "once")
			require.ErrorIs(t, said[0].Err, session.ErrSettings)
			require.ErrorContains(t, said[0].Err, c.says)
			require.Empty(t, said[0].Session)
		})
	}
}

// TestSecureAutoBehindReverseProxy: net/http's proxy sends only the client's
// address, and nobody has listed the proxy.
func TestSecureAutoBehindReverseProxy(t *testing.T) {
	a := newApp(t, store.NewMemory())
	backend := httptest.NewServer(a.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		require.NoError(t, session.From(r).Set("a", 1))
	})))
	defer backend.Close()
	target, err := url.Parse(backend.URL)
	require.NoError(t, err)
	front := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(target))
	defer front.Close()
	r, err := http.NewRequest(http.MethodGet, front.URL, nil)
	require.NoError(t, err)
	require.True(t, fetch(t, front.Client(), r).cookie().Secure)
	a.requireSaid("does not say whether")
}

// TestSecureAutoBehindMiddleware: a middleware may replace RemoteAddr with what
// a header says, with or without a port. No cookie goes out without Secure
// because of it.
func TestSecureAutoBehindMiddleware(t *testing.T) {
	for name, replace := range map[string]func(r *http.Request){
		"chi's RealIP":           func(r *http.Request) { r.RemoteAddr = r.Header.Get("X-Real-Ip") },
		"gorilla's ProxyHeaders": func(r *http.Request) { r.RemoteAddr, r.URL.Scheme = r.Header.Get("X-Real-Ip"), "https" },
		"an adapter":             func(r *http.Request) { r.RemoteAddr = "" },
		"one that keeps a port":  func(r *http.Request) { r.RemoteAddr, r.URL.Scheme = "192.0.2.7:0", "https" },
	} {
		a := newApp(t, store.NewMemory())
		inner := a.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			require.NoError(t, session.From(r).Set("a", 1))
		}))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			replace(r)
			inner.ServeHTTP(w, r)
		}))
		defer server.Close()
		r, err := http.NewRequest(http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		r.Header.Set("X-Real-Ip", "192.0.2.7")
		require.True(t, fetch(t, server.Client(), r).cookie().Secure, name)
	}
}

// TestSecureAutoOverUnixSocket uses a real socket. The listener reveals it even
// if RemoteAddr was replaced.
func TestSecureAutoOverUnixSocket(t *testing.T) {
	for _, c := range []struct {
		name     string
		trust    bool
		proto    string
		replaced string
		secure   bool
		says     string
	}{
		{"not listed, silent", false, "", "", true, "TrustUnixSockets"},
		{"not listed, HTTP", false, "http", "", true, "TrustUnixSockets"},
		{"not listed, HTTP, behind RealIP", false, "http", "192.0.2.1:80", true, "TrustUnixSockets"},
		{"listed, HTTP", true, "http", "", false, ""},
		{"listed, HTTP, behind RealIP", true, "http", "192.0.2.1", false, ""},
		{"listed, HTTPS", true, "https", "", true, ""},
		{"listed, silent", true, "", "", true, "X-Forwarded-Proto"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.TrustUnixSockets = c.trust })
			inner := a.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				require.NoError(t, session.From(r).Set("a", 1))
			}))
			path := filepath.Join(t.TempDir(), "s")
			listener, err := net.Listen("unix", path)
			require.NoError(t, err)
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.replaced != "" {
					r.RemoteAddr = c.replaced
				}
				inner.ServeHTTP(w, r)
			})}
			go func() { _ = server.Serve(listener) }()
			defer server.Close()
			conn, err := net.Dial("unix", path)
			require.NoError(t, err)
			defer conn.Close()
			r, err := http.NewRequest(http.MethodGet, "http://app.example/", nil)
			require.NoError(t, err)
			if c.proto != "" {
				r.Header.Set("X-Forwarded-Proto", c.proto)
			}
			require.NoError(t, r.Write(conn))
			resp, err := http.ReadResponse(bufio.NewReader(conn), r)
			require.NoError(t, err)
			require.Len(t, resp.Cookies(), 1)
			require.Equal(t, c.secure, resp.Cookies()[0].Secure)
			a.requireSaid(c.says)
		})
	}
}

// requireSaid checks what the manager reported about its settings since the
// last call, one notice for each string and none for an empty one.
func (a *app) requireSaid(says ...string) {
	a.t.Helper()
	var said []error
	for _, e := range a.takeEvents() {
		if e.Kind == session.EventMisconfigured {
			said = append(said, e.Err)
		}
	}
	if len(says) == 1 && says[0] == "" {
		says = nil
	}
	require.Len(a.t, said, len(says), "%v", said)
	for i := range says {
		require.ErrorContains(a.t, said[i], says[i])
	}
}

// TestNoticesAreGivenOnce: one for each class of peers, so a stranger who sends
// a header does not use up the notice about one's own proxy.
func TestNoticesAreGivenOnce(t *testing.T) {
	a := newApp(t, store.NewMemory())
	send := func(peer string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-Proto", "https")
		a.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			require.NoError(t, session.From(r).Set("a", 1))
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
	for i := range 5 {
		send(fmt.Sprintf("192.0.2.%d:1", i))
		send(fmt.Sprintf("10.0.0.%d:1", i))
	}
	a.requireSaid("a public address", "a private address")
	send("192.0.2.9:1")
	a.requireSaid("")
}

// TestSecureIsMissed: a cookie without Secure over an encrypted connection is
// reported once.
func TestSecureIsMissed(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*session.Settings)
		says   string
	}{
		{"never", func(s *session.Settings) { s.CookieSecure = session.SecureNever }, "leave it at SecureAuto"},
		{"Secure", func(s *session.Settings) { s.CookieSecure = session.SecureAlways }, ""},
		{"nothing set", func(*session.Settings) {}, ""},
	} {
		a := newApp(t, store.NewMemory(), c.change)
		server := httptest.NewTLSServer(a.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			require.NoError(t, session.From(r).Set("a", 1))
		})))
		defer server.Close()
		for range 3 {
			resp, err := server.Client().Get(server.URL)
			require.NoError(t, err)
			resp.Body.Close()
		}
		a.requireSaid(c.says)
	}
	a := newApp(t, store.NewMemory())
	a.login("ada")
	a.requireSaid("")
}

func TestSecureSettings(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*session.Settings)
		says   string
	}{
		{"a mode that is none", func(s *session.Settings) { s.CookieSecure = 3 }, "CookieSecure is 3: must be SecureAuto"},
		{"auto is not enough for None", func(s *session.Settings) { s.CookieSameSite = http.SameSiteNoneMode }, "CookieSecure must be SecureAlways"},
		{"nor for Partitioned", func(s *session.Settings) { s.CookiePartitioned = true }, "CookieSecure must be SecureAlways"},
		{"nor for __Host-", func(s *session.Settings) { s.CookieName = "__Host-id" }, "CookieSecure must be SecureAlways"},
		{"nor for __Secure-", func(s *session.Settings) { s.CookieName = "__Secure-id" }, "CookieSecure must be SecureAlways"},
		{"never is not enough either", func(s *session.Settings) {
			s.CookieSecure, s.CookieSameSite = session.SecureNever, http.SameSiteNoneMode
		}, "CookieSecure must be SecureAlways"},
		{"proxies beside never", func(s *session.Settings) { s.CookieSecure, s.TrustedProxies = session.SecureNever, proxies }, "CookieSecure must be SecureAuto"},
		{"proxies beside Secure", func(s *session.Settings) { s.CookieSecure, s.TrustedProxies = session.SecureAlways, proxies }, "TrustedProxies is set and has no effect: CookieSecure must be SecureAuto"},
		{"unix sockets beside Secure", func(s *session.Settings) { s.CookieSecure, s.TrustUnixSockets = session.SecureAlways, true }, "TrustedProxies is set and has no effect: CookieSecure must be SecureAuto"},
		{"a proxy that is none", func(s *session.Settings) { s.TrustedProxies = []netip.Prefix{{}} }, "TrustedProxies is not valid at 0"},
	} {
		s := session.Defaults()
		c.change(&s)
		require.ErrorIs(t, s.Check(), session.ErrSettings, c.name)
		require.ErrorContains(t, s.Check(), c.says, c.name)
	}
}
