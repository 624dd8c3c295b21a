package sessiontest

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/waddle-sessions/waddle/host/session"
)

// Browser visits an application. It keeps the cookies it gets, sends them where
// they belong, drops them when they expire by the test's [Clock], and follows
// redirects.
//
// Addresses without a host are at https://example.com, or at the server the
// browser was made for. Its methods end the test if there is no response, so only
// the test's own goroutine may call them; any may use Client.
type Browser struct {
	// Client sends the browser's requests and may be changed: a CheckRedirect
	// that returns [http.ErrUseLastResponse] lets the test see redirects.
	Client *http.Client

	// Header goes out with each request that does not set the same header itself: a
	// language, an Origin, a token.
	Header http.Header

	sessions *Sessions
	jar      *jar
	base     *url.URL
	page     *url.URL // the one that sends the requests; nil for a person typing addresses
}

// Browser returns a browser whose requests go straight to a handler, without a
// network in between. With options it has been there before: it has the cookie of
// a session that was stored a moment ago, as with [Sessions.Request].
//
// Responses are those of [httptest.ResponseRecorder], and come when the handler
// has returned; for a stream or an upgrade use BrowserOf.
func (s *Sessions) Browser(h http.Handler, options ...Option) *Browser {
	s.helper()
	return s.browser(origin, &http.Client{Transport: direct{h}}, options)
}

// BrowserOf returns a browser for a running server, over the network.
func (s *Sessions) BrowserOf(server *httptest.Server, options ...Option) *Browser {
	s.helper()
	client := *server.Client()
	return s.browser(server.URL+"/", &client, options)
}

func (s *Sessions) browser(base string, client *http.Client, options []Option) *Browser {
	s.helper()
	address, err := url.Parse(base)
	if err != nil {
		s.fatalf("sessiontest: %v", err)
	}
	b := &Browser{Client: client, Header: make(http.Header), sessions: s, jar: newJar(s.Clock), base: address}
	client.Jar = b.jar
	client.Transport = sites{client.Transport, b.jar}
	from := *address
	from.Path = s.Settings.CookiePath
	b.jar.SetCookies(&from, s.cookies(options))
	if len(options) > 0 && len(b.jar.Cookies(&from)) == 0 {
		s.fatalf("sessiontest: a browser at %s would not send the session's cookie: see Settings.CookieDomain (%q) and CookieSecure (%s)",
			base, s.Settings.CookieDomain, s.Settings.CookieSecure)
	}
	return b
}

// Get sends a GET request.
func (b *Browser) Get(target string) *http.Response {
	b.sessions.helper()
	return b.send(http.MethodGet, target, nil, "")
}

// PostForm sends a form.
func (b *Browser) PostForm(target string, form url.Values) *http.Response {
	b.sessions.helper()
	return b.send(http.MethodPost, target, strings.NewReader(form.Encode()), "application/x-www-form-urlencoded")
}

func (b *Browser) send(method, target string, body io.Reader, contentType string) *http.Response {
	b.sessions.helper()
	r, err := http.NewRequest(method, target, body)
	if err != nil {
		b.sessions.fatalf("sessiontest: %v", err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return b.Do(r)
}

// Do sends a request. It reads the whole body of the request and of the response,
// which needs no closing.
func (b *Browser) Do(r *http.Request) *http.Response {
	b.sessions.helper()
	r = r.Clone(r.Context())
	if r.RequestURI != "" { // made for a server, with a made-up host
		r.RequestURI, r.Host = "", r.URL.Host
	}
	r.URL = b.base.ResolveReference(r.URL)
	if b.page != nil {
		r = r.WithContext(context.WithValue(r.Context(), pageKey{}, b.page))
	}
	for name, values := range b.Header {
		if _, has := r.Header[name]; !has {
			r.Header[name] = values
		}
	}
	response, err := b.Client.Do(r)
	if err != nil {
		b.sessions.fatalf("sessiontest: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.sessions.fatalf("sessiontest: the response to %s %s: %v", r.Method, r.URL, err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response
}

// Session returns the session of the browser's cookie, as [Sessions.After] does.
// It does not exist if the browser has no cookie, or that of a session that has
// ended.
func (b *Browser) Session() *session.Session {
	r := httptest.NewRequest(http.MethodGet, origin, nil)
	for _, c := range b.jar.named(b.sessions.Settings.CookieName) {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	return b.sessions.After(r, nil)
}

// From returns the same browser with a page open: requests are links followed and
// forms sent on that page. If the page is of another site, cookies are kept back
// as their SameSite says. Sec-Fetch-Site and Origin say where a request comes
// from, for the addresses that browsers tell. An identity provider that answers
// by a form is
//
//	b.From("https://idp.example/").PostForm("/signed-in", answer)
//
// A host within the other is of the same site; otherwise two hosts are of two
// sites. This package does not know, as browsers do, which domains belong to
// whom. Requests of the browser itself are those of a person who types addresses.
func (b *Browser) From(page string) *Browser {
	b.sessions.helper()
	address, err := url.Parse(page)
	if err != nil {
		b.sessions.fatalf("sessiontest: %v", err)
	}
	from := *b
	from.page = b.base.ResolveReference(address)
	return &from
}

// Restart closes the browser and opens it again: cookies without an end of their
// own are gone.
func (b *Browser) Restart() { b.jar.restart() }

// direct serves a client's requests by calling a handler.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (response *http.Response, err error) {
	served := r.Clone(r.Context())
	served.RequestURI = r.URL.RequestURI()
	served.URL, _ = url.ParseRequestURI(served.RequestURI)
	served.RemoteAddr = "192.0.2.1:1234" // an address set aside for examples
	if served.Host == "" {
		served.Host = r.URL.Host
	}
	if r.URL.Scheme == "https" {
		served.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: r.URL.Hostname()}
	}
	if served.Body == nil {
		served.Body = http.NoBody
	}
	defer served.Body.Close()
	w := httptest.NewRecorder()
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler: // a server answers it by hanging up
			response, err = nil, io.ErrUnexpectedEOF
		default:
			panic(p)
		}
	}()
	d.handler.ServeHTTP(w, served)
	response = w.Result()
	response.Request = r
	if r.Method == http.MethodHead {
		response.Body = http.NoBody
	}
	return response, nil
}
