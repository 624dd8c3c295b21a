package gorillastore_test

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/gorillastore"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

type cart struct{ Items []string }

func init() { gob.Register(cart{}) }

// plain are options for tests over plain HTTP.
var plain = &sessions.Options{Path: "/", MaxAge: 3600}

// app is a server that uses gorilla/sessions.
func app(kept sessions.Store) *http.ServeMux {
	mux := http.NewServeMux()
	page := func(path string, f func(s *sessions.Session, w http.ResponseWriter, r *http.Request) error) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			s, err := kept.Get(r, "name")
			if err == nil {
				err = f(s, w, r)
			}
			switch {
			case errors.Is(err, gorillastore.ErrEnded):
				http.Error(w, err.Error(), http.StatusConflict)
			case err != nil:
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	page("/set", func(s *sessions.Session, w http.ResponseWriter, r *http.Request) error {
		s.Values[r.FormValue("key")] = r.FormValue("value")
		return s.Save(r, w)
	})
	page("/unset", func(s *sessions.Session, w http.ResponseWriter, r *http.Request) error {
		delete(s.Values, r.FormValue("key"))
		return s.Save(r, w)
	})
	page("/values", func(s *sessions.Session, w http.ResponseWriter, _ *http.Request) error {
		fmt.Fprint(w, s.Values)
		return nil
	})
	page("/login", func(s *sessions.Session, w http.ResponseWriter, r *http.Request) error {
		gorillastore.Renew(s)
		s.Values["user"] = "ada"
		return s.Save(r, w)
	})
	page("/logout", func(s *sessions.Session, w http.ResponseWriter, r *http.Request) error {
		s.Options.MaxAge = -1
		return s.Save(r, w)
	})
	return mux
}

func TestSessions(t *testing.T) {
	for name, codecs := range map[string][]securecookie.Codec{
		"bare id":      nil,
		"signed id":    securecookie.CodecsFromPairs([]byte("0123456789abcdef0123456789abcdef")),
		"encrypted id": securecookie.CodecsFromPairs([]byte("0123456789abcdef0123456789abcdef"), []byte("0123456789abcdef")),
	} {
		t.Run(name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				server := newServer(t, app(open(t, s, gorillastore.Settings{Options: plain, Codecs: codecs, Keyring: keyring(t)})))
				b := newBrowser(t, server)
				_, values := b.get("/values")
				require.Equal(t, "map[]", values)
				require.Empty(t, b.cookie("name"), "reading makes no session")
				b.get("/set?key=a&value=1")
				first := b.cookie("name")
				require.NotEmpty(t, first)
				b.get("/set?key=b&value=2")
				_, values = b.get("/values")
				require.Equal(t, "map[a:1 b:2]", values)

				thief := b.at(server)
				b.get("/login")
				_, values = b.get("/values")
				require.Equal(t, "map[a:1 b:2 user:ada]", values)
				_, values = thief.get("/values")
				require.Equal(t, "map[]", values, "the old id is worthless")

				copied := b.at(server)
				b.get("/logout")
				require.Empty(t, b.cookie("name"))
				_, values = copied.get("/values")
				require.Equal(t, "map[]", values)
			})
		})
	}
}

// Requests that change different values at the same time both keep their change.
func TestChangesAreMerged(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		kept := open(t, s, gorillastore.Settings{Options: plain})
		mux := app(kept)
		const requests = 8
		var together sync.WaitGroup
		together.Add(requests)
		mux.HandleFunc("/together", func(w http.ResponseWriter, r *http.Request) {
			s, err := kept.Get(r, "name")
			together.Done()
			together.Wait()
			s.Values[r.FormValue("key")] = 1
			delete(s.Values, "gone"+r.FormValue("key"))
			if err = errors.Join(err, s.Save(r, w)); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			// The session has the values that were saved, and saving again changes nothing.
			n := len(s.Values)
			if err := s.Save(r, w); err != nil || len(s.Values) < n {
				http.Error(w, fmt.Sprint(err, s.Values), http.StatusInternalServerError)
			}
		})
		server := newServer(t, mux)
		b := newBrowser(t, server)
		for i := range requests {
			b.get(fmt.Sprint("/set?value=1&key=gone", i))
		}
		b.get("/set?key=stays&value=2")
		var wait sync.WaitGroup
		for i := range requests {
			each := b.at(server)
			wait.Go(func() {
				if status, body := each.get(fmt.Sprint("/together?key=", i)); status != http.StatusOK {
					t.Error(body)
				}
			})
		}
		wait.Wait()
		_, values := b.get("/values")
		require.Equal(t, "map[0:1 1:1 2:1 3:1 4:1 5:1 6:1 7:1 stays:2]", values)
	})
}

// A request that is still running brings no session back.
func TestEndIsFinal(t *testing.T) {
	for _, end := range []string{"/logout", "/login"} {
		t.Run(end, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				kept := open(t, s, gorillastore.Settings{Options: plain})
				mux := app(kept)
				waits, goes := make(chan bool), make(chan bool)
				var saved error
				mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
					s, _ := kept.Get(r, "name")
					waits <- true
					<-goes
					s.Values["late"] = true
					saved = s.Save(r, w)
				})
				server := newServer(t, mux)
				b := newBrowser(t, server)
				b.get("/set?key=a&value=1")
				slow := b.at(server)
				done := make(chan bool)
				go func() {
					slow.get("/slow")
					close(done)
				}()
				<-waits
				b.get(end)
				goes <- true
				<-done
				require.ErrorIs(t, saved, gorillastore.ErrEnded)
				_, values := slow.get("/values")
				require.Equal(t, "map[]", values)
				_, values = b.get("/values")
				require.Equal(t, end == "/login", values == "map[a:1 user:ada]", values)
			})
		})
	}
}

// faulty fails on request.
type faulty struct {
	store.Store
	get, set error
	gets     int
}

func (f *faulty) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	f.gets++
	if f.get != nil {
		return nil, f.get
	}
	return f.Store.Get(ctx, key, now)
}

func (f *faulty) Set(ctx context.Context, w store.Write) error {
	if f.set != nil {
		return f.set
	}
	return f.Store.Set(ctx, w)
}

// A session that could not be loaded is not replaced by an empty one, even by a
// handler that ignores the error.
func TestStoreThatDoesNotAnswer(t *testing.T) {
	f := &faulty{Store: store.NewMemory()}
	kept := open(t, f, gorillastore.Settings{Options: plain})
	mux := app(kept)
	var loaded, saved error
	mux.HandleFunc("/careless", func(w http.ResponseWriter, r *http.Request) {
		var s *sessions.Session
		s, loaded = kept.Get(r, "name")
		s.Values["b"] = 2
		saved = s.Save(r, w)
	})
	b := newBrowser(t, newServer(t, mux))
	b.get("/set?key=a&value=1")
	id := b.cookie("name")
	f.get = store.ErrUnavailable
	b.get("/careless")
	require.ErrorIs(t, loaded, store.ErrUnavailable)
	require.ErrorIs(t, saved, store.ErrUnavailable)
	f.get, f.set = nil, store.ErrNoSpace
	b.get("/careless")
	require.NoError(t, loaded)
	require.ErrorIs(t, saved, store.ErrNoSpace)
	b.get("/login")
	require.Equal(t, id, b.cookie("name"), "nobody is given an id of nothing")
	status, _ := b.get("/logout")
	require.Equal(t, http.StatusOK, status, "a log-out does not fail because the disk is full")
	_, values := b.get("/values")
	require.Equal(t, "map[]", values)
}

// A log-out ends the session in the store even if the handler has ignored that it could not
// be loaded, and fails if it could not do that either.
func TestLogOutOfWhatCouldNotBeLoaded(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		f := &faulty{Store: s}
		kept := open(t, f, gorillastore.Settings{Options: plain})
		mux := app(kept)
		var loaded, saved error
		mux.HandleFunc("/careless", func(w http.ResponseWriter, r *http.Request) {
			var s *sessions.Session
			s, loaded = kept.Get(r, "name")
			s.Options.MaxAge = -1
			saved = s.Save(r, w)
		})
		server := newServer(t, mux)
		b := newBrowser(t, server)
		b.get("/set?key=a&value=1")
		id := b.cookie("name")
		thief := b.at(server)
		f.get, f.set = store.ErrUnavailable, store.ErrUnavailable
		b.get("/careless")
		require.ErrorIs(t, saved, store.ErrUnavailable)
		require.Equal(t, id, b.cookie("name"))
		f.set = nil
		b.get("/careless")
		require.ErrorIs(t, loaded, store.ErrUnavailable)
		require.NoError(t, saved)
		require.Empty(t, b.cookie("name"))
		f.get = nil
		_, values := thief.get("/values")
		require.Equal(t, "map[]", values)
	})
}

// A request has a bounded number of sessions looked up, however many cookies it brings.
func TestManyCookies(t *testing.T) {
	f := &faulty{Store: store.NewMemory()}
	kept := open(t, f, gorillastore.Settings{Options: plain})
	b := newBrowser(t, newServer(t, app(kept)))
	b.get("/set?key=a&value=1")
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", strings.Repeat("name="+strings.Repeat("A", 43)+"; ", 100)+"name="+b.cookie("name"))
	f.gets = 0
	s, err := kept.New(r, "name")
	require.NoError(t, err)
	require.True(t, s.IsNew)
	require.Equal(t, 4, f.gets)

	// Those that this store cannot have made do not count.
	r.Header.Set("Cookie", strings.Repeat("name=x; ", 100)+"name="+b.cookie("name"))
	s, err = kept.New(r, "name")
	require.NoError(t, err)
	require.Equal(t, b.cookie("name"), s.ID)
}

func TestCookiesOfOthers(t *testing.T) {
	kept := open(t, store.NewMemory(), gorillastore.Settings{Options: plain})
	server := newServer(t, app(kept))
	b := newBrowser(t, server)
	b.get("/set?key=a&value=1")
	id := b.cookie("name")
	for name, cookies := range map[string]string{
		"ids that were not issued": "name=" + strings.Repeat("A", 43),
		"other forms":              "name=1; name=; name=" + strings.Repeat("x", 5000),
		"another spelling":         "name=" + id[:42] + string(id[42]+1),
		"another name":             "other=" + id,
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Cookie", cookies)
			for _, as := range []string{"name", "other"} {
				s, err := kept.New(r, as)
				require.NoError(t, err)
				require.True(t, s.IsNew)
				require.Empty(t, s.ID)
				require.Empty(t, s.Values)
			}
		})
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", "name="+strings.Repeat("A", 43)+"; name="+id)
	s, err := kept.New(r, "name")
	require.NoError(t, err)
	require.Equal(t, id, s.ID, "of two cookies the one that counts is found")
}

func TestLifetimes(t *testing.T) {
	for _, c := range []struct {
		maxAge int
		lasts  time.Duration
	}{{60, time.Minute}, {0, time.Hour}} {
		t.Run(fmt.Sprint("MaxAge ", c.maxAge), func(t *testing.T) {
			clock := new(sessiontest.Clock)
			kept := open(t, store.NewMemory(), gorillastore.Settings{Lifetime: time.Hour, Now: clock.Now})
			kept.MaxAge(c.maxAge)
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
			s, err := kept.New(r, "name")
			require.NoError(t, err)
			require.NoError(t, kept.Save(r, w, s))
			cookie := w.Result().Cookies()[0]
			require.Equal(t, c.maxAge, cookie.MaxAge)
			r.AddCookie(cookie)
			clock.Advance(c.lasts - time.Millisecond)
			s, err = kept.New(r, "name")
			require.NoError(t, err)
			require.False(t, s.IsNew)
			clock.Advance(time.Millisecond)
			gone, err := kept.New(r, "name")
			require.NoError(t, err)
			require.True(t, gone.IsNew)
			require.ErrorIs(t, kept.Save(r, w, s), gorillastore.ErrEnded, "it expired while the request ran")
		})
	}
}

func TestValues(t *testing.T) {
	kept := open(t, store.NewMemory(), gorillastore.Settings{Options: plain, MaxSize: 1 << 20})
	round := func(values map[any]any) (*sessions.Session, error, error) {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		s := sessions.NewSession(kept, "name") // as an application may do it
		s.Values = values
		s.Options = plain
		if err := s.Save(r, w); err != nil {
			return nil, err, nil
		}
		r.AddCookie(w.Result().Cookies()[0])
		back, err := kept.Get(r, "name")
		return back, nil, err
	}
	values := map[any]any{"a": 1, 2: "b", "cart": cart{[]string{"tea"}}, "large": strings.Repeat("x", 100_000), "bytes": []byte{0, 1}}
	back, saved, read := round(values)
	require.NoError(t, saved)
	require.NoError(t, read)
	require.Equal(t, values, back.Values)

	type unknown struct{ A int }
	_, saved, _ = round(map[any]any{"a": unknown{1}})
	require.ErrorIs(t, saved, session.ErrEncode)
	_, saved, _ = round(map[any]any{"a": strings.Repeat("x", 2<<20)})
	require.ErrorIs(t, saved, session.ErrTooLarge)
}

// The origins of sessions go with them.
func TestNothingIsLeftOfASession(t *testing.T) {
	kept := open(t, store.NewMemory(), gorillastore.Settings{Options: plain})
	for range 1000 {
		_, err := kept.New(httptest.NewRequest(http.MethodGet, "/", nil), "name")
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		runtime.GC()
		return gorillastore.Origins(kept) < 10
	}, time.Minute, time.Millisecond)
}

func TestSettings(t *testing.T) {
	for want, settings := range map[string]gorillastore.Settings{
		"Lifetime is -1s":       {Lifetime: -time.Second},
		"Namespace has 1 bytes": {Namespace: "\x00"},
	} {
		_, err := gorillastore.New(store.NewMemory(), settings)
		require.ErrorIs(t, err, session.ErrSettings)
		require.ErrorContains(t, err, want)
	}
	kept := open(t, store.NewMemory(), gorillastore.Settings{})
	require.Equal(t, sessions.Options{Path: "/", MaxAge: 2592000, HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode}, *kept.Options)
}
