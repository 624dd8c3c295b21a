package session_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func TestProtect(t *testing.T) {
	const own = "http://app.example"
	trusting := http.NewCrossOriginProtection()
	require.NoError(t, trusting.AddTrustedOrigin("https://partner.example"))
	trusting.AddInsecureBypassPattern("/hook")
	for _, c := range []struct {
		name    string
		method  string
		path    string
		header  http.Header
		token   string // "good", "bad", or none; in the header, or "form" or "multipart"
		origins *http.CrossOriginProtection
		nobody  bool // without a session
		passes  bool
	}{
		{name: "reading", method: "GET", passes: true},
		{name: "reading from elsewhere", method: "GET", header: http.Header{"Sec-Fetch-Site": {"cross-site"}}, passes: true},
		{name: "HEAD", method: "HEAD", passes: true},
		{name: "OPTIONS", method: "OPTIONS", passes: true},
		{name: "same origin", header: http.Header{"Sec-Fetch-Site": {"same-origin"}}, passes: true},
		{name: "by hand", header: http.Header{"Sec-Fetch-Site": {"none"}}, passes: true},
		{name: "another site", header: http.Header{"Sec-Fetch-Site": {"cross-site"}}},
		{name: "another site with a good token", header: http.Header{"Sec-Fetch-Site": {"cross-site"}}, token: "good"},
		{name: "a subdomain", header: http.Header{"Sec-Fetch-Site": {"same-site"}}},
		{name: "own origin of an older browser", header: http.Header{"Origin": {own}}, passes: true},
		{name: "another origin", header: http.Header{"Origin": {"http://evil.example"}}},
		{name: "no origin", header: http.Header{"Origin": {"null"}}},
		{name: "trusted origin", header: http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://partner.example"}}, origins: trusting, passes: true},
		{name: "origin that is not trusted", header: http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}, origins: trusting},
		{name: "silent, without a token"},
		{name: "silent, with a token", token: "good", passes: true},
		{name: "silent, with a bad one", token: "bad"},
		{name: "silent, in a form", token: "form", passes: true},
		{name: "silent, in a form with files", token: "multipart", passes: true},
		{name: "silent, in the address", path: "/?csrf_token=%s"},
		{name: "silent, PUT", method: "PUT"},
		{name: "silent, PATCH", method: "PATCH"},
		{name: "silent, DELETE", method: "DELETE"},
		{name: "silent, DELETE with a token", method: "DELETE", token: "good", passes: true},
		{name: "silent, some method", method: "BREW"},
		{name: "silent, of nobody", nobody: true, passes: true},
		{name: "silent, path that is left out", path: "/hook", origins: trusting},
		{name: "silent, path that is left out, with a token", path: "/hook", origins: trusting, token: "good", passes: true},
		{name: "elsewhere, path that is left out", path: "/hook", header: http.Header{"Sec-Fetch-Site": {"cross-site"}}, origins: trusting, passes: true},
		{name: "silent, path that is not left out", path: "/hooks", origins: trusting},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t, store.NewMemory())
			b := a.browser()
			b.set("user", "ada")
			good := b.csrfToken()
			reached := false
			var form url.Values
			h := a.manager.Handler(a.manager.Protect(c.origins)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				reached = true
				_ = r.PostFormValue("other")
				form = r.PostForm
			})))
			method, path := "POST", "/"
			if c.method != "" {
				method = c.method
			}
			if c.path != "" {
				path = strings.ReplaceAll(c.path, "%s", good)
			}
			var body io.Reader
			contentType := ""
			switch c.token {
			case "form":
				body = strings.NewReader(url.Values{session.CSRFField: {good}, "other": {"x"}}.Encode())
				contentType = "application/x-www-form-urlencoded"
			case "multipart":
				var b bytes.Buffer
				w := multipart.NewWriter(&b)
				require.NoError(t, w.WriteField(session.CSRFField, good))
				require.NoError(t, w.WriteField("other", "x"))
				require.NoError(t, w.Close())
				body, contentType = &b, w.FormDataContentType()
			}
			r := httptest.NewRequest(method, own+path, body)
			for name, lines := range c.header {
				r.Header[name] = lines
			}
			if contentType != "" {
				r.Header.Set("Content-Type", contentType)
			}
			switch c.token {
			case "good":
				r.Header.Set(session.CSRFHeader, good)
			case "bad":
				r.Header.Set(session.CSRFHeader, flip(good))
			}
			if !c.nobody {
				r.AddCookie(&http.Cookie{Name: "session_id", Value: b.id()})
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, c.passes, reached)
			if c.passes {
				require.Equal(t, http.StatusOK, w.Code)
				if body != nil {
					require.Equal(t, "x", form.Get("other"), "the form is still the handler's to read")
				}
			} else {
				require.Equal(t, http.StatusForbidden, w.Code)
			}
		})
	}
	t.Run("a client of the token header needs none", func(t *testing.T) {
		a := newApp(t, store.NewMemory(), tokens)
		id := a.token("", func(s *session.Session) { require.NoError(t, s.Set("user", "ada")) }).Header.Get(tokenHeader)
		h := a.manager.Handler(a.manager.Protect(nil)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set(tokenHeader, id)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code)
	})
	t.Run("what is not wrapped is not protected", func(t *testing.T) {
		a := newApp(t, store.NewMemory())
		id := a.login("ada")
		hook := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
		mux := http.NewServeMux()
		mux.Handle("POST /hook", hook)
		mux.Handle("/", a.manager.Protect(nil)(hook))
		h := a.manager.Handler(mux)
		for path, status := range map[string]int{"/hook": http.StatusAccepted, "/": http.StatusForbidden} {
			for _, header := range []http.Header{{}, {"Sec-Fetch-Site": {"cross-site"}}} {
				r := httptest.NewRequest("POST", path, nil)
				r.Header = header.Clone()
				r.AddCookie(&http.Cookie{Name: "session_id", Value: id})
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				require.Equal(t, status, w.Code, path)
			}
		}
	})
	t.Run("a storage that is away is no forgery", func(t *testing.T) {
		a := newApp(t, store.NewMemory())
		id := a.login("ada")
		a.store.fail(on("get", store.ErrUnavailable), nil)
		h := a.manager.Handler(a.manager.Protect(nil)(http.NotFoundHandler()))
		r := httptest.NewRequest("POST", "/", nil)
		r.AddCookie(&http.Cookie{Name: "session_id", Value: id})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
	})
}

func ExampleManager_Protect() {
	m, err := session.New(store.NewMemory(), session.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	transfer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "done") })
	h := m.Handler(m.Protect(nil)(transfer))

	r := httptest.NewRequest("POST", "/transfer", nil)
	for _, from := range []string{"same-origin", "cross-site"} { // as browsers send it
		r.Header.Set("Sec-Fetch-Site", from)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(from, w.Code)
	}
	// Output:
	// same-origin 200
	// cross-site 403
}
