package adapttest

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
)

// behindProxies puts the framework's server behind real proxies, with TLS and
// without.
func (b *bench) behindProxies() {
	b.startNative(Options{}, func(s *session.Settings) {
		s.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	to, err := url.Parse(b.url)
	require.NoError(b, err)
	front := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(to); r.SetXForwarded() },
		FlushInterval: -1,
	}
	for _, encrypted := range []bool{false, true} {
		server := httptest.NewUnstartedServer(front)
		if encrypted {
			server.TLS = &tls.Config{Certificates: []tls.Certificate{certificates()}}
			server.StartTLS()
			b.transport.TLSClientConfig = clientTLS()
		} else {
			server.Start()
		}
		b.test.Cleanup(server.Close)
		v := b.visitor()
		v.url = server.URL
		r := v.post("/set?value=proxied")
		require.Equal(b, http.StatusCreated, r.StatusCode)
		b.requireNew(r.Response)
		require.Equal(b, encrypted, sessionCookie(r.Response).Secure, "whether the cookie is Secure, for a client with encryption %v", encrypted)
		require.Equal(b, "proxied", v.get("/get").body)

		was := b.url
		b.url = server.URL
		b.streams(nil)
		b.url = was
	}
}

// asProxy has another server answer for a handler. Its answer streams, and both
// servers' headers arrive.
func (b *bench) asProxy() {
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "behind", Value: "1"})
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusAccepted)
		for i := range 2 {
			if i > 0 && b.wait(r.Context()) != nil {
				return
			}
			_, _ = fmt.Fprintf(w, "data: %d\n", i)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	b.test.Cleanup(behind.Close)
	b.startNative(Options{})
	ctx, cancel := context.WithTimeout(context.Background(), b.patience)
	defer cancel()
	v := b.visitor()
	resp := v.open(ctx, http.MethodGet, "/proxy?to="+url.QueryEscape(behind.URL), nil)
	defer resp.Body.Close()
	require.Equal(b, http.StatusAccepted, resp.StatusCode)
	require.Len(b, resp.Header["Set-Cookie"], 2, "the session's cookie and that of the server behind")
	v.requireVisits(1)
	in := bufio.NewReader(resp.Body)
	b.requireLine(in, "data: 0")
	b.step()
	b.requireLine(in, "data: 1")
}
