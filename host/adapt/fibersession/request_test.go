package fibersession_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/fibersession"
	"github.com/waddle-sessions/waddle/host/session"
)

// TestKeptAcrossRequests: fasthttp gives a request's memory to the next one. Nothing
// that a session keeps may lie there: neither the cookie, nor the values, nor the request
// that settings are given.
func TestKeptAcrossRequests(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	scopes := map[*http.Request]string{}
	s := newSite(t, func(set *session.Settings) {
		set.CookieFor = func(r *http.Request, scope session.CookieScope) session.CookieScope {
			mu.Lock()
			defer mu.Unlock()
			scopes[r] = told(r)
			return scope
		}
	})
	type keeps struct {
		session *session.Session
		ctx     context.Context
		want    string
	}
	var kept []keeps
	s.use()
	s.App.Get("/:who", func(c fiber.Ctx) error {
		own := fibersession.From(c)
		name.Put(own, c.Query("name"))
		own.Check(own.Set(c.Params("who"), c.Query("name")))
		own.Check(own.LogIn(c.Query("name"), nil))
		mu.Lock()
		defer mu.Unlock()
		kept = append(kept, keeps{own, c.Context(), string([]byte(c.Query("name")))})
		return nil
	})
	s.open()
	const visitors, requests = 4, 8
	var all sync.WaitGroup
	for who := range visitors {
		v := s.visitor()
		all.Go(func() {
			for n := range requests {
				// The lengths differ, so that each overwrites others.
				text := strings.Repeat(fmt.Sprint(who), 1+(n*7)%40)
				v.get("/"+text+"?name="+text, "X-Of: "+text)
			}
		})
	}
	all.Wait()
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, kept, visitors*requests)
	for _, k := range kept {
		got, err := name.Get(k.session)
		require.NoError(t, err)
		require.Equal(t, k.want, got)
		var of string
		ok, err := k.session.Get(k.want, &of)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, k.want, of)
		user, err := k.session.User()
		require.NoError(t, err)
		require.Equal(t, k.want, user)
		found, ok := session.FromContext(k.ctx)
		require.True(t, ok)
		require.Same(t, k.session, found)
	}
	require.NotEmpty(t, scopes)
	for r, before := range scopes {
		require.Equal(t, before, told(r))
		require.Equal(t, r.URL.Query().Get("name"), r.Header.Get("X-Of"))
		require.Equal(t, "/"+r.Header.Get("X-Of"), r.URL.Path)
	}
}

// told returns all that a request says.
func told(r *http.Request) string {
	return fmt.Sprint(r.Method, r.URL, r.Host, r.RemoteAddr, r.RequestURI, r.Proto, r.Header)
}

// TestRequest: settings and their functions are given the request as net/http would
// give it.
func TestRequest(t *testing.T) {
	t.Parallel()
	var got *http.Request
	s := newSite(t, func(set *session.Settings) {
		set.CookieFor = func(r *http.Request, scope session.CookieScope) session.CookieScope { got = r; return scope }
	}).use()
	s.App.Post("/path", put)
	v := s.open().visitor()
	v.send(http.MethodPost, "/path?name=b%20c", "body", "X-Two: 1", "X-Two: 2", "Cookie: a=1; b=2", "X-Empty: ")
	require.Equal(t, http.MethodPost, got.Method)
	require.Equal(t, "/path?name=b%20c", got.RequestURI)
	require.Equal(t, &url.URL{Path: "/path", RawQuery: "name=b%20c"}, got.URL)
	require.Equal(t, strings.TrimPrefix(s.URL, "http://"), got.Host)
	require.Equal(t, []string{"1", "2"}, got.Header["X-Two"])
	require.Equal(t, []string{""}, got.Header["X-Empty"])
	require.Equal(t, []string{"a=1; b=2"}, got.Header["Cookie"])
	require.NotContains(t, got.Header, "Host")
	require.EqualValues(t, len("body"), got.ContentLength)
	require.Equal(t, "HTTP/1.1", got.Proto)
	require.True(t, got.ProtoAtLeast(1, 1))
	require.True(t, strings.HasPrefix(got.RemoteAddr, "127.0.0.1:"))
	require.Equal(t, strings.TrimPrefix(s.URL, "http://"), got.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
}

// TestGoroutines: several goroutines of a request may ask for its session, and get one.
func TestGoroutines(t *testing.T) {
	t.Parallel()
	s := newSite(t).use()
	s.App.Get("/put", put)
	s.App.Get("/", func(c fiber.Ctx) error {
		ctx := c.Context()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				own, _ := session.FromContext(ctx)
				_, err := session.Increment(own, visits, 1)
				own.Check(err)
			})
		}
		_ = c.Cookies("other") // fiber takes the cookies apart when somebody asks
		c.Request().Header.Set("X-More", "1")
		all.Wait()
		return c.SendString(fmt.Sprint(visits.Value(fibersession.From(c))))
	})
	v := s.open().visitor()
	v.get("/put")
	require.Equal(t, "8", v.get("/").text)
}

// TestSecure: the cookie leaves Secure off only if the client's connection is known to be
// plain.
func TestSecure(t *testing.T) {
	t.Parallel()
	trusting := func(set *session.Settings) {
		set.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	for _, c := range []struct {
		name   string
		change func(*session.Settings)
		header []string
		want   bool
	}{
		{"straight", func(*session.Settings) {}, nil, false},
		{"a proxy that is not listed says http", func(*session.Settings) {}, []string{"X-Forwarded-Proto: http"}, false},
		{"a proxy that is not listed says no more", func(*session.Settings) {}, []string{"X-Forwarded-For: 1.2.3.4"}, true},
		{"anybody says https", func(*session.Settings) {}, []string{"X-Forwarded-Proto: https"}, true},
		{"a listed proxy says http", trusting, []string{"X-Forwarded-Proto: http"}, false},
		{"a listed proxy says https", trusting, []string{"Forwarded: proto=https"}, true},
		{"a listed proxy says nothing", trusting, nil, true},
	} {
		s := newSite(t, c.change).use()
		s.App.Get("/put", put)
		answer := s.open().visitor().get("/put", c.header...)
		require.Equal(t, c.want, answer.cookie("session_id").Secure, c.name)
	}
}

// TestUnixSocketAndTLS: what is not seen in a header.
func TestUnixSocketAndTLS(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	s := newSite(t).use()
	s.App.Get("/put", put)
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	s.serve(listener)
	s.URL = "http://example.com"
	v := s.visitor()
	v.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	require.True(t, v.get("/put").cookie("session_id").Secure, "nobody knows what is in front of the socket")
	require.Len(t, s.of(session.EventMisconfigured), 1)
	v.CloseIdleConnections()

	s = newSite(t).use()
	s.App.Get("/put", put)
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.serve(tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}))
	s.URL = "https://" + plain.Addr().String()
	v = s.visitor()
	v.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	require.True(t, v.get("/put").cookie("session_id").Secure)
	v.CloseIdleConnections()
}

// TestTokenHeader: a client without cookies gets its id in a header.
func TestTokenHeader(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(set *session.Settings) { set.TokenHeader = "X-Session-Token" }).use()
	s.App.Get("/put", put)
	s.App.Get("/show", show)
	v := s.open().visitor()
	begun := v.get("/put", "X-Session-Token: ", "Origin: https://app.example.com")
	token := begun.Header.Get("X-Session-Token")
	require.NotEmpty(t, token)
	require.Empty(t, begun.Cookies())
	require.ElementsMatch(t, []string{"Cookie", "X-Session-Token"}, begun.Header["Vary"])
	require.Equal(t, "ada", v.get("/show", "X-Session-Token: "+token).text)
	require.Empty(t, v.get("/show", "Cookie: session_id="+token).text, "it is not a cookie")
}

// TestFromAnotherSite: a form that another site posts begins no session, since that
// would replace the one whose cookie the browser holds back.
func TestFromAnotherSite(t *testing.T) {
	t.Parallel()
	s := newSite(t).use()
	s.App.Post("/put", put)
	v := s.open().visitor()
	answer := v.send(http.MethodPost, "/put", "", "Sec-Fetch-Site: cross-site")
	require.Equal(t, http.StatusForbidden, answer.StatusCode)
	require.Contains(t, answer.text, "This request came from another site")
	require.Empty(t, answer.Cookies())
	require.NotNil(t, v.send(http.MethodPost, "/put", "", "Sec-Fetch-Site: same-origin").cookie("session_id"))
}
