package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
)

// httpServer is an application of net/http handlers.
type httpServer struct {
	loginPage http.Handler // logs the form's "user" in
	pages     [operations]http.Handler
	inCookie  bool // the values travel in the cookie
	end       func() error
}

func (s *httpServer) close() error {
	if s.end == nil {
		return nil
	}
	return s.end()
}

func (s *httpServer) login(user string) (client, error) {
	c := &httpClient{server: s, made: *httptest.NewRequest("GET", "/", nil)}
	c.answer.header = make(http.Header)
	if s.loginPage == nil {
		return c, nil
	}
	r := httptest.NewRequest("GET", "/login?user="+url.QueryEscape(user), nil)
	_, err := c.keep(s.loginPage, r)
	return c, err
}

type httpClient struct {
	server *httpServer
	made   http.Request // as a server would have parsed it
	now    http.Request
	answer discard
}

func (c *httpClient) carries() bool { return c.server.inCookie }

func (c *httpClient) request(op operation) {
	// A server makes a Request for every request, and some libraries write to
	// it. So everybody gets a fresh copy, which costs no allocation.
	c.now = c.made
	clear(c.answer.header)
	c.server.pages[op].ServeHTTP(&c.answer, &c.now)
}

func (c *httpClient) fetch(op operation) (string, error) {
	r := c.made
	return c.keep(c.server.pages[op], &r)
}

// keep serves a request and handles the cookies as a browser does.
func (c *httpClient) keep(page http.Handler, r *http.Request) (string, error) {
	w := httptest.NewRecorder()
	page.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return "", fmt.Errorf("answer %d: %s", w.Code, w.Body)
	}
	if cookies := w.Result().Cookies(); len(cookies) > 0 {
		c.made.Header = make(http.Header)
		for _, cookie := range cookies {
			c.made.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
		}
	}
	return w.Body.String(), nil
}

// discard is a ResponseWriter without a network behind it.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header               { return d.header }
func (d *discard) Write(p []byte) (int, error)       { return len(p), nil }
func (d *discard) WriteString(s string) (int, error) { return len(s), nil }
func (d *discard) WriteHeader(int)                   {}
