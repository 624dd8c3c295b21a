package sessiontest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
)

// An application whose visitors sign in at a provider that answers with a form,
// posted from its own site: both are servers, and the browser goes by names.
const (
	appSite      = "https://app.example"
	providerSite = "https://idp.example"
)

var (
	cart   = session.NewKey[int]("cart")
	state  = session.NewKey[string]("state")
	signed = session.NewKey[string]("signed in")
)

// provider answers each request for a sign-in with the form that its page would
// send by itself.
func provider(t *testing.T) *httptest.Server {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<form method="post" action="%s"><input name="state" value="%s"><input name="user" value="ada"></form>`,
			html.EscapeString(r.FormValue("answer_to")), html.EscapeString(r.FormValue("state")))
	}))
	t.Cleanup(server.Close)
	return server
}

// signIn is the second manager: its cookie is sent with the provider's form, and
// holds for the few minutes of a sign-in.
func signIn(t *testing.T, s *sessiontest.Sessions) *session.Manager {
	settings := s.Settings
	settings.CookieName, settings.CookiePath = "signin", "/signin"
	settings.CookieSameSite, settings.CookieSecure = http.SameSiteNoneMode, session.SecureAlways
	settings.Lifetime = 10 * time.Minute
	m, err := session.New(s.Store, settings)
	require.NoError(t, err)
	return m
}

func application(s *sessiontest.Sessions, second *session.Manager) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /buy", func(w http.ResponseWriter, r *http.Request) {
		_, err := session.Increment(s.From(r), cart, 1)
		fmt.Fprint(w, err)
	})
	mux.HandleFunc("GET /account", func(w http.ResponseWriter, r *http.Request) {
		user, err := s.From(r).User()
		n, err2 := cart.Get(s.From(r))
		fmt.Fprintf(w, "%q %d", user, n)
		if err = errors.Join(err, err2); err != nil {
			fmt.Fprint(w, err)
		}
	})
	mux.HandleFunc("GET /signin/start", func(w http.ResponseWriter, r *http.Request) {
		once := rand.Text()
		if err := state.Set(second.From(r), once); err != nil {
			second.WriteError(w, r, err)
			return
		}
		http.Redirect(w, r, providerSite+"/authorize?"+url.Values{"state": {once}, "answer_to": {r.FormValue("answer_to")}}.Encode(), http.StatusFound)
	})
	// The form arrives without the site's own cookie. What it says is kept in
	// the second session, and the next request, a GET, has both.
	mux.HandleFunc("POST /signin/answer", func(w http.ResponseWriter, r *http.Request) {
		once, ok, err := state.Pop(second.From(r))
		if err == nil && (!ok || once != r.FormValue("state")) {
			http.Error(w, "this is no answer to a sign-in that you began", http.StatusForbidden)
			return
		}
		if err == nil {
			err = signed.Set(second.From(r), r.FormValue("user"))
		}
		if err != nil {
			second.WriteError(w, r, err)
			return
		}
		http.Redirect(w, r, "/signin/done", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /signin/done", func(w http.ResponseWriter, r *http.Request) {
		user, ok, err := signed.Pop(second.From(r))
		if err == nil && ok {
			err = errors.Join(second.From(r).Destroy(), s.From(r).LogIn(user, nil))
		}
		if err != nil {
			s.WriteError(w, r, err)
			return
		}
		http.Redirect(w, r, "/account", http.StatusSeeOther)
	})
	// What does not work: to log in where the form arrives.
	mux.HandleFunc("POST /signin/wrong", func(w http.ResponseWriter, r *http.Request) {
		if err := s.From(r).LogIn(r.FormValue("user"), nil); err != nil {
			s.WriteError(w, r, err)
		}
	})
	return s.Handler(second.Handler(mux))
}

// visit returns a browser for which the two servers have the sites' names.
func visit(t *testing.T, s *sessiontest.Sessions) *sessiontest.Browser {
	app, idp := httptest.NewTLSServer(application(s, signIn(t, s))), provider(t)
	t.Cleanup(app.Close)
	transport := app.Client().Transport.(*http.Transport)
	transport.TLSClientConfig.ServerName = "example.com" // which the servers' certificate has
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		to, ok := map[string]string{"app.example:443": app.Listener.Addr().String(), "idp.example:443": idp.Listener.Addr().String()}[address]
		if !ok {
			return nil, fmt.Errorf("no site is at %s", address)
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}
	return s.BrowserOf(app)
}

var (
	action = regexp.MustCompile(`action="([^"]*)"`)
	inputs = regexp.MustCompile(`name="([^"]*)" value="([^"]*)"`)
)

// submit sends the form of a page, as the page's script does.
func submit(t *testing.T, b *sessiontest.Browser, page *http.Response) *http.Response {
	text := body(t, page)
	form := url.Values{}
	for _, input := range inputs.FindAllStringSubmatch(text, -1) {
		form.Set(input[1], html.UnescapeString(input[2]))
	}
	return b.From(page.Request.URL.String()).PostForm(html.UnescapeString(action.FindStringSubmatch(text)[1]), form)
}

func TestSignInByAnAnswerOfAnotherSite(t *testing.T) {
	begin := func(b *sessiontest.Browser, answerTo string) *http.Response {
		return b.From(appSite + "/").Get(appSite + "/signin/start?answer_to=" + url.QueryEscape(appSite+answerTo))
	}
	t.Run("with a second manager", func(t *testing.T) {
		s := sessiontest.New(t)
		b := visit(t, s)
		for range 3 {
			require.Equal(t, "<nil>", body(t, b.Get(appSite+"/buy")))
		}
		before, err := b.Session().ID()
		require.NoError(t, err)
		got := submit(t, b, begin(b, "/signin/answer"))
		require.Equal(t, `"ada" 3`, body(t, got), "logged in, with what was in the cart")
		require.Equal(t, appSite+"/account", got.Request.URL.String())
		require.Equal(t, `"ada" 3`, body(t, b.Get(appSite+"/account")))
		after, err := b.Session().ID()
		require.NoError(t, err)
		require.NotEqual(t, before, after)
		list, err := s.UserSessions(t.Context(), "ada")
		require.NoError(t, err)
		require.Len(t, list, 1)
	})
	t.Run("with no session before", func(t *testing.T) {
		b := visit(t, sessiontest.New(t))
		require.Equal(t, `"ada" 0`, body(t, submit(t, b, begin(b, "/signin/answer"))))
	})
	t.Run("an answer to a sign-in that somebody else began", func(t *testing.T) {
		s := sessiontest.New(t)
		mallory, ada := visit(t, s), visit(t, s)
		page := begin(mallory, "/signin/answer")
		require.Equal(t, http.StatusForbidden, submit(t, ada, page).StatusCode)
	})
	t.Run("an answer that is sent twice", func(t *testing.T) {
		b := visit(t, sessiontest.New(t))
		page := begin(b, "/signin/answer")
		text := body(t, page)
		for _, status := range []int{http.StatusOK, http.StatusForbidden} {
			copied := *page
			copied.Body = io.NopCloser(strings.NewReader(text))
			require.Equal(t, status, submit(t, b, &copied).StatusCode)
		}
	})
	t.Run("without one", func(t *testing.T) {
		s := sessiontest.New(t)
		b := visit(t, s)
		for range 3 {
			b.Get(appSite + "/buy")
		}
		before, err := b.Session().ID()
		require.NoError(t, err)
		got := submit(t, b, begin(b, "/signin/wrong"))
		require.Equal(t, http.StatusForbidden, got.StatusCode)
		require.Contains(t, body(t, got), "Answers that come from another site")
		require.Empty(t, got.Cookies())
		after, err := b.Session().ID()
		require.NoError(t, err)
		require.Equal(t, before, after, "the browser has what it had")
		require.Equal(t, `"" 3`, body(t, b.Get(appSite+"/account")))
	})
}
