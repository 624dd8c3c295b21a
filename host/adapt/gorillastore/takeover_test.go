package gorillastore_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/gorillastore"
	"github.com/waddle-sessions/waddle/host/adapt/takeover"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var key = []byte("0123456789abcdef0123456789abcdef")

// former is a server that uses gorilla/sessions.
func former(old sessions.Store, name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		s, _ := old.Get(r, name)
		s.Values["user"], s.Values[7], s.Values["cart"] = "ada", "seven", cart{[]string{"tea"}}
		if err := s.Save(r, w); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return mux
}

// next is the same server with a session.Manager.
func next(manager *session.Manager, over func(http.Handler) http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/user", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		fmt.Fprint(w, session.Value(s, s.User), " ", session.NewKey[string]("7").Value(s), " ", session.NewKey[cart]("cart").Value(s).Items)
	})
	mux.HandleFunc("/logout", func(_ http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		s.Check(s.Destroy())
	})
	return manager.Handler(over(mux))
}

func userOf(values map[string]any) string {
	user, _ := values["user"].(string)
	return user
}

func TestTakeOver(t *testing.T) {
	options := func(o *sessions.Options) { *o = *plain }
	for kind, open := range map[string]func(t *testing.T) sessions.Store{
		"cookie store": func(*testing.T) sessions.Store {
			s := sessions.NewCookieStore(key)
			options(s.Options)
			return s
		},
		"encrypted cookie store": func(*testing.T) sessions.Store {
			s := sessions.NewCookieStore(key, key[:16])
			options(s.Options)
			return s
		},
		"filesystem store": func(t *testing.T) sessions.Store {
			s := sessions.NewFilesystemStore(t.TempDir(), key)
			options(s.Options)
			return s
		},
		"a store of ours": func(t *testing.T) sessions.Store {
			s, err := gorillastore.New(store.NewMemory(), gorillastore.Settings{Options: plain})
			require.NoError(t, err)
			return s
		},
	} {
		for _, name := range []string{"old", "session_id"} {
			t.Run(kind+" "+name, func(t *testing.T) {
				overStores(t, func(t *testing.T, s store.Store) {
					old := open(t)
					visitor := newBrowser(t, newServer(t, former(old, name)))
					status, body := visitor.get("/login")
					require.Equal(t, http.StatusOK, status, body)

					manager, err := session.New(s, session.Settings{})
					require.NoError(t, err)
					over, err := gorillastore.TakeOver(manager, old, name, takeover.Settings{Until: time.Now().Add(24 * time.Hour), User: userOf})
					require.NoError(t, err)
					after := newServer(t, next(manager, over))
					late, copied := visitor.at(after), visitor.at(after)
					visitor = visitor.at(after)
					_, user := visitor.get("/user")
					require.Equal(t, "ada seven [tea]", user)
					if name != "session_id" {
						require.Empty(t, visitor.cookie(name))
					}
					_, user = visitor.get("/user")
					require.Equal(t, "ada seven [tea]", user)
					_, user = late.get("/user")
					require.Equal(t, "ada seven [tea]", user)
					require.Equal(t, visitor.cookie("session_id"), late.cookie("session_id"))
					visitor.get("/logout")
					_, user = copied.get("/user")
					require.Equal(t, "  []", user, "log-out is final")
				})
			})
		}
	}
}

// A file store makes another cookie each time it saves. All of them stand for one
// session.
func TestTakeOverOfSeveralCookiesOfOneFile(t *testing.T) {
	dir := t.TempDir()
	old := sessions.NewFilesystemStore(dir, key)
	old.Options = plain
	server := newServer(t, former(old, "old"))
	visitor := newBrowser(t, server)
	visitor.get("/login")
	first := visitor.cookie("old")
	time.Sleep(1100 * time.Millisecond) // the cookie has seconds in it
	visitor.get("/login")
	require.NotEqual(t, first, visitor.cookie("old"))

	manager, err := session.New(store.NewMemory(), session.Settings{})
	require.NoError(t, err)
	over, err := gorillastore.TakeOver(manager, old, "old", takeover.Settings{Until: time.Now().Add(time.Hour), User: userOf})
	require.NoError(t, err)
	after := newServer(t, next(manager, over))
	_, user := visitor.at(after).get("/user")
	require.Equal(t, "ada seven [tea]", user)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, files)
	r, err := http.NewRequest(http.MethodGet, after.URL+"/user", nil)
	require.NoError(t, err)
	r.Header.Set("Cookie", "old="+first)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, strings.Join(resp.Header["Set-Cookie"], ""), "session_id=")
}

func TestTakeOverIgnoresWhatDoesNotVerify(t *testing.T) {
	manager, err := session.New(store.NewMemory(), session.Settings{})
	require.NoError(t, err)
	stranger := sessions.NewCookieStore([]byte("another key of thirty-two bytes!"))
	stranger.Options = plain
	forged := newBrowser(t, newServer(t, former(stranger, "old")))
	forged.get("/login")
	for kind, old := range map[string]sessions.Store{
		"cookie store":     sessions.NewCookieStore(key),
		"filesystem store": sessions.NewFilesystemStore(t.TempDir(), key),
	} {
		over, err := gorillastore.TakeOver(manager, old, "old", takeover.Settings{Until: time.Now().Add(time.Hour), User: userOf})
		require.NoError(t, err)
		after := newServer(t, next(manager, over))
		for _, value := range []string{forged.cookie("old"), "junk", "%%%", strings.Repeat("A", 43)} {
			r, err := http.NewRequest(http.MethodGet, after.URL+"/user", nil)
			require.NoError(t, err)
			r.Header.Set("Cookie", "old="+value)
			resp, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusOK, resp.StatusCode, "%s: %s", kind, value)
			require.Empty(t, resp.Header["Set-Cookie"], kind)
		}
	}
}

// serializer reads nothing, as gob in a program that lacks a type.
type serializer struct{ securecookie.GobEncoder }

var errType = errors.New("gob: name not registered for interface")

func (serializer) Deserialize([]byte, any) error { return errType }

// If every session would be unreadable, requests fail and say so, and nobody is
// logged out.
func TestTakeOverKeepsWhatIsNotRead(t *testing.T) {
	old := sessions.NewCookieStore(key)
	old.Options = plain
	visitor := newBrowser(t, newServer(t, former(old, "old")))
	visitor.get("/login")
	var met error
	manager, err := session.New(store.NewMemory(), session.Settings{OnError: func(w http.ResponseWriter, _ *http.Request, err error) {
		met = err
		http.Error(w, "later", http.StatusServiceUnavailable)
	}})
	require.NoError(t, err)
	over, err := gorillastore.TakeOver(manager, old, "old", takeover.Settings{Until: time.Now().Add(time.Hour), User: userOf})
	require.NoError(t, err)
	visitor = visitor.at(newServer(t, next(manager, over)))
	codec := old.Codecs[0].(*securecookie.SecureCookie)
	codec.SetSerializer(serializer{})
	status, _ := visitor.get("/user")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.ErrorContains(t, met, "name not registered")
	require.NotEmpty(t, visitor.cookie("old"))
	codec.SetSerializer(securecookie.GobEncoder{})
	_, user := visitor.get("/user")
	require.Equal(t, "ada seven [tea]", user)
}
