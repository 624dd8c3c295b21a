package gincontribstore_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-contrib/sessions/tester"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/gincontribstore"
	"github.com/waddle-sessions/waddle/host/adapt/takeover"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func init() { gin.SetMode(gin.TestMode) }

// overStores runs a test over the native store, a bundled engine, and a plugin in C.
func overStores(t *testing.T, f func(t *testing.T, s store.Store)) {
	t.Helper()
	config := plugin.Config{Shards: 1, Logger: slog.New(slog.DiscardHandler)}
	for name, open := range map[string]func() (store.Store, error){
		"native":        func() (store.Store, error) { return store.NewMemory(), nil },
		"memory engine": func() (store.Store, error) { return memory.Open(t.Context(), config) },
		"plugin in C": func() (store.Store, error) {
			return plugin.OpenFile(t.Context(), "../../../examples/guests/c/store.wasm", config)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := open()
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, store.Close(context.Background(), s)) })
			f(t, s)
		})
	}
}

// The tests by which gin-contrib checks its own stores.
func TestGinContribsOwnTests(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		open := func(t *testing.T) sessions.Store {
			kept, err := gincontribstore.New(s, gincontribstore.Settings{})
			require.NoError(t, err)
			return kept
		}
		// The package's type for this function has no name that others can write.
		t.Run("GetSet", func(t *testing.T) { tester.GetSet(t, open) })
		t.Run("DeleteKey", func(t *testing.T) { tester.DeleteKey(t, open) })
		t.Run("Flashes", func(t *testing.T) { tester.Flashes(t, open) })
		t.Run("Clear", func(t *testing.T) { tester.Clear(t, open) })
		t.Run("Options", func(t *testing.T) { tester.Options(t, open) })
		t.Run("Many", func(t *testing.T) { tester.Many(t, open) })
	})
}

type browser struct {
	t      *testing.T
	client *http.Client
	server *httptest.Server
}

func newBrowser(t *testing.T, h http.Handler) *browser {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{t, &http.Client{Jar: jar, Timeout: time.Minute}, server}
}

func (b *browser) cookies() []*http.Cookie {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodGet, b.server.URL, nil)
	require.NoError(b.t, err)
	return b.client.Jar.Cookies(r.URL)
}

func (b *browser) get(path string) string {
	b.t.Helper()
	resp, err := b.client.Get(b.server.URL + path)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	var body [1024]byte
	n, _ := resp.Body.Read(body[:])
	return string(body[:n])
}

// before is a server that uses gin-contrib/sessions.
func before(kept sessions.Store) http.Handler {
	router := gin.New()
	router.Use(sessions.Sessions("name", kept))
	save := func(c *gin.Context, s sessions.Session) {
		if err := s.Save(); err != nil {
			c.String(http.StatusInternalServerError, "%v", err)
		}
	}
	router.GET("/login", func(c *gin.Context) {
		s := sessions.Default(c)
		s.Set("user", "ada")
		s.Set("visits", 3)
		save(c, s)
	})
	router.GET("/login-anew", func(c *gin.Context) {
		s := sessions.Default(c)
		s.Options(sessions.Options{Path: "/", MaxAge: -1})
		save(c, s)
		s.Options(sessions.Options{Path: "/", MaxAge: 3600})
		s.Set("user", "bob")
		save(c, s)
	})
	router.GET("/user", func(c *gin.Context) {
		s := sessions.Default(c)
		c.String(http.StatusOK, "%v %v", s.Get("user"), s.Get("visits"))
	})
	router.GET("/logout", func(c *gin.Context) {
		s := sessions.Default(c)
		s.Clear()
		s.Options(sessions.Options{Path: "/", MaxAge: -1})
		save(c, s)
	})
	return router
}

func TestSessions(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		kept, err := gincontribstore.New(s, gincontribstore.Settings{})
		require.NoError(t, err)
		kept.Options(sessions.Options{Path: "/", MaxAge: 3600})
		b := newBrowser(t, before(kept))
		require.Equal(t, "<nil> <nil>", b.get("/user"))
		require.Empty(t, b.get("/login"))
		require.Equal(t, "ada 3", b.get("/user"))
		old := b.cookies()
		require.Empty(t, b.get("/login-anew"))
		require.NotEqual(t, old, b.cookies(), "another id")
		require.Equal(t, "bob 3", b.get("/user"), "the values stay")
		thief := newBrowser(t, before(kept))
		r, err := http.NewRequest(http.MethodGet, thief.server.URL, nil)
		require.NoError(t, err)
		thief.client.Jar.SetCookies(r.URL, old)
		require.Equal(t, "<nil> <nil>", thief.get("/user"))
		require.Empty(t, b.get("/logout"))
		require.Equal(t, "<nil> <nil>", b.get("/user"))
	})
}

// TestRequestsAtOnce: gin-contrib's handlers get what the store promises. Of two requests
// that change different values, both keep their change, and one that still runs when the
// session ends does not bring it back.
func TestRequestsAtOnce(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		kept, err := gincontribstore.New(s, gincontribstore.Settings{})
		require.NoError(t, err)
		kept.Options(sessions.Options{Path: "/", MaxAge: 3600})
		router := before(kept).(*gin.Engine)
		waits, goes, saved := make(chan bool), make(chan bool), make(chan error, 1)
		router.GET("/slow", func(c *gin.Context) {
			s := sessions.Default(c)
			s.Get("user") // which loads it
			waits <- true
			<-goes
			s.Set("visits", 4)
			saved <- s.Save()
		})
		router.GET("/other", func(c *gin.Context) {
			s := sessions.Default(c)
			s.Set("user", "bob")
			c.String(http.StatusOK, "%v", s.Save())
		})
		b := newBrowser(t, router)
		require.Empty(t, b.get("/login"))
		slow := func(meanwhile func()) error {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.server.URL+"/slow", nil)
			require.NoError(t, err)
			for _, c := range b.cookies() {
				r.AddCookie(c)
			}
			done := make(chan error, 1)
			go func() {
				resp, err := http.DefaultClient.Do(r)
				if err == nil {
					err = resp.Body.Close()
				}
				done <- err
			}()
			<-waits
			meanwhile()
			goes <- true
			require.NoError(t, <-done)
			return <-saved
		}
		require.NoError(t, slow(func() { require.Equal(t, "<nil>", b.get("/other")) }))
		require.Equal(t, "bob 4", b.get("/user"))

		stolen := b.cookies()
		require.ErrorIs(t, slow(func() { require.Empty(t, b.get("/logout")) }), gincontribstore.ErrEnded)
		r, err := http.NewRequest(http.MethodGet, b.server.URL, nil)
		require.NoError(t, err)
		b.client.Jar.SetCookies(r.URL, stolen)
		require.Equal(t, "<nil> <nil>", b.get("/user"))
	})
}

func TestTakeOver(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		for kind, open := range map[string]func() sessions.Store{
			"cookie store": func() sessions.Store { return cookie.NewStore([]byte("0123456789abcdef0123456789abcdef")) },
			"a store of ours": func() sessions.Store {
				kept, err := gincontribstore.New(store.NewMemory(), gincontribstore.Settings{})
				require.NoError(t, err)
				return kept
			},
		} {
			old := open()
			old.Options(sessions.Options{Path: "/", MaxAge: 3600})
			var engine http.Handler = before(old)
			b := newBrowser(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { engine.ServeHTTP(w, r) }))
			b.get("/login")

			manager, err := session.New(s, session.Settings{})
			require.NoError(t, err)
			over, err := gincontribstore.TakeOver(manager, old, "name", takeover.Settings{
				Until: time.Now().Add(time.Hour),
				User:  func(values map[string]any) string { user, _ := values["user"].(string); return user },
			})
			require.NoError(t, err)
			engine = manager.Handler(over(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := session.From(r)
				fmt.Fprint(w, session.Value(s, s.User), " ", session.NewKey[int]("visits").Value(s))
			})))
			require.Equal(t, "ada 3", b.get("/"), kind)
			require.Equal(t, "ada 3", b.get("/"), kind)
		}
	})
}
