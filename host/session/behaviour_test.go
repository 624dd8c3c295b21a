package session_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestWhatARequestCosts lists the store calls that each use of a session makes.
func TestWhatARequestCosts(t *testing.T) {
	var v string
	for _, c := range []struct {
		name  string
		f     func(t *testing.T, s *session.Session)
		fresh []string // for a visitor without a session
		known []string // for a visitor with one
	}{
		{"nothing", func(*testing.T, *session.Session) {}, nil, nil},
		{"asking for changes", func(t *testing.T, s *session.Session) {
			require.False(t, s.Modified())
		}, nil, nil},
		{"get", func(t *testing.T, s *session.Session) {
			_, err := s.Get("user", &v)
			require.NoError(t, err)
		}, nil, []string{"get"}},
		{"every way to look", func(t *testing.T, s *session.Session) {
			for range 3 {
				_, err := s.Has("user")
				require.NoError(t, err)
				_, err = s.Get("none", &v)
				require.NoError(t, err)
				_, err = s.Keys()
				require.NoError(t, err)
				_, err = s.Len()
				require.NoError(t, err)
				_, err = s.Expires()
				require.NoError(t, err)
				_, err = s.Created()
				require.NoError(t, err)
				_, err = s.ID()
				require.NoError(t, err)
			}
		}, nil, []string{"get"}},
		{"get of what was just set", func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Set("a", "x"))
			ok, err := s.Get("a", &v)
			require.NoError(t, err)
			require.True(t, ok)
		}, []string{"set"}, []string{"get", "set"}},
		{"many changes", func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Set("a", 1))
			require.NoError(t, s.Set("b", 2))
			require.NoError(t, s.Set("a", 3))
		}, []string{"set"}, []string{"get", "set"}},
		{"removing what is not there", func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Delete("none"))
			ok, err := s.Pop("none", &v)
			require.NoError(t, err)
			require.False(t, ok)
		}, nil, []string{"get"}},
		{"clear", func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Clear())
		}, nil, []string{"get", "set"}},
		{"save without changes", func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Save())
		}, nil, nil},
		{"save, then nothing more", func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Set("a", 1))
			require.NoError(t, s.Save())
		}, []string{"set"}, []string{"get", "set"}},
		{"SetModified", func(_ *testing.T, s *session.Session) {
			s.SetModified()
		}, []string{"set"}, []string{"get", "set"}},
		{"destroy", func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Destroy())
		}, nil, []string{"get", "set"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s)
				known := a.browser()
				known.set("user", "ada")
				a.store.take()
				for _, who := range []struct {
					name  string
					b     *browser
					calls []string
				}{{"fresh", a.browser(), c.fresh}, {"known", known, c.known}} {
					got := who.b.do(func(s *session.Session) { c.f(t, s) })
					require.Equal(t, http.StatusOK, got.StatusCode)
					require.Equal(t, append([]string{}, who.calls...), names(a.store.take()), who.name)
				}
			})
		})
	}
}

// TestLoadIsSharedWithinARequest: goroutines of one request that load at once
// make one call.
func TestLoadIsSharedWithinARequest(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.set("user", "ada")
		a.store.take()
		b.do(func(s *session.Session) {
			done := make(chan string)
			for range 8 {
				go func() {
					var user string
					_, _ = s.Get("user", &user)
					done <- user
				}()
			}
			for range 8 {
				require.Equal(t, "ada", <-done)
			}
		})
		require.Equal(t, []string{"get"}, names(a.store.take()))
	})
}

func TestLoadThatFailedIsTriedAgain(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.set("user", "ada")
		b.do(func(s *session.Session) {
			var user string
			a.store.fail(on("get", store.ErrUnavailable), nil)
			_, err := s.Get("user", &user)
			require.ErrorIs(t, err, store.ErrUnavailable)
			a.store.fail(nil, nil)
			ok, err := s.Get("user", &user)
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, "ada", user)
		})
	})
}

func TestSessionKnowsItsState(t *testing.T) {
	type state struct {
		exists, modified, hasID, created bool
		length                           int
	}
	look := func(t *testing.T, s *session.Session) (got state) {
		var err error
		got.modified = s.Modified()
		got.exists, err = s.Exists()
		require.NoError(t, err)
		id, err := s.ID()
		require.NoError(t, err)
		got.hasID = id != ""
		created, err := s.Created()
		require.NoError(t, err)
		got.created = !created.IsZero()
		got.length, err = s.Len()
		require.NoError(t, err)
		return got
	}
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.do(func(s *session.Session) {
			require.Equal(t, state{}, look(t, s), "untouched")
			require.NoError(t, s.Set("a", 1))
			require.Equal(t, state{modified: true, length: 1}, look(t, s), "changed")
			require.NoError(t, s.Save())
			require.Equal(t, state{exists: true, hasID: true, created: true, length: 1}, look(t, s), "saved")
			require.NoError(t, s.Set("b", 1))
			require.Equal(t, state{exists: true, modified: true, hasID: true, created: true, length: 2}, look(t, s), "changed again")
		})
		b.do(func(s *session.Session) {
			require.Equal(t, state{exists: true, hasID: true, created: true, length: 2}, look(t, s), "next request")
			id, err := s.ID()
			require.NoError(t, err)
			require.Equal(t, b.id(), id)
			created, err := s.Created()
			require.NoError(t, err)
			require.Equal(t, at(0), created)
			require.NoError(t, s.Destroy())
			require.Equal(t, state{}, look(t, s), "destroyed")
		})
		require.Equal(t, []session.EventKind{session.EventCreated, session.EventDestroyed}, a.kinds())
	})
}

// TestWhatCountsAsChange: each kind of change counts as a change.
func TestWhatCountsAsChange(t *testing.T) {
	for _, c := range []struct {
		name    string
		f       func(s *session.Session) error
		changed bool
	}{
		{"set", func(s *session.Session) error { return s.Set("new", 1) }, true},
		{"set to the same value", func(s *session.Session) error { return s.Set("user", "ada") }, true},
		{"set to nil", func(s *session.Session) error { return s.Set("user", nil) }, true},
		{"delete", func(s *session.Session) error { return s.Delete("user") }, true},
		{"delete of nothing", func(s *session.Session) error { return s.Delete("none") }, false},
		{"clear", func(s *session.Session) error { return s.Clear() }, true},
		{"set modified", func(s *session.Session) error { s.SetModified(); return nil }, true},
		{"renew", func(s *session.Session) error { return s.Renew() }, true},
		{"own expiry", func(s *session.Session) error { return s.SetExpiry(5e9) }, true},
		{"own expiry that is refused", func(s *session.Session) error { _ = s.SetExpiry(1); return nil }, false},
		{"own end", func(s *session.Session) error { s.SetExpiryTime(s0.Add(5e9)); return nil }, true},
		{"reset expiry", func(s *session.Session) error { s.ResetExpiry(); return nil }, true},
		{"browser close", func(s *session.Session) error { s.SetPersistence(session.EndWithBrowser); return nil }, true},
		{"set that cannot be encoded", func(s *session.Session) error { _ = s.Set("user", func() {}); return nil }, false},
		{"set of no name", func(s *session.Session) error { _ = s.Set("", 1); return nil }, false},
		{"destroy", func(s *session.Session) error { return s.Destroy() }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s)
				b := a.browser()
				b.set("user", "ada")
				b.do(func(s *session.Session) {
					require.NoError(t, c.f(s))
					require.Equal(t, c.changed, s.Modified())
					require.NoError(t, s.Save())
					require.False(t, s.Modified(), "after Save")
				})
			})
		})
	}
}

var s0 = new(sessiontest.Clock).Now()

func TestSaveKeepsTheCookie(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		got := b.do(func(s *session.Session) {
			require.NoError(t, s.Set("user", "ada"))
			require.NoError(t, s.Save())
		})
		require.NotNil(t, got.cookie())
		require.Equal(t, map[string]any{"user": "ada"}, b.values())

		t.Run("and of several saves only the last cookie goes out", func(t *testing.T) {
			got := b.do(func(s *session.Session) {
				require.NoError(t, s.Renew())
				require.NoError(t, s.Save())
				require.NoError(t, s.Renew())
				require.NoError(t, s.Save())
			})
			require.Len(t, got.Cookies(), 1)
			require.Equal(t, map[string]any{"user": "ada"}, b.values())
		})
		t.Run("although the handler replaces all cookies", func(t *testing.T) {
			b := a.browser()
			got := b.serve(func(w http.ResponseWriter, r *http.Request) {
				s := session.From(r)
				require.NoError(t, s.Set("user", "bob"))
				require.NoError(t, s.Save())
				w.Header().Set("Set-Cookie", "theme=dark")
			})
			require.Len(t, got.Cookies(), 2)
			require.Equal(t, map[string]any{"user": "bob"}, b.values())
		})
		t.Run("and leaves those of the handler alone", func(t *testing.T) {
			b := a.browser()
			got := b.serve(func(w http.ResponseWriter, r *http.Request) {
				http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
				s := session.From(r)
				require.NoError(t, s.Set("user", "bob"))
				require.NoError(t, s.Save())
				require.NoError(t, s.Destroy())
			})
			require.Len(t, got.Cookies(), 2)
			require.Negative(t, got.cookie().MaxAge)
			require.Equal(t, "dark", b.cookie("theme"))
		})
	})
}

func TestManagerOpen(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		ctx := context.Background()
		fresh := a.manager.Session(ctx, "")
		require.NoError(t, fresh.Set("user", "job"))
		id, err := fresh.ID()
		require.NoError(t, err)
		require.Empty(t, id, "nothing is stored before Save")
		require.Empty(t, a.store.take())
		require.NoError(t, fresh.Save())
		id, err = fresh.ID()
		require.NoError(t, err)
		require.Equal(t, "job", a.peek(id))

		t.Run("renew", func(t *testing.T) {
			s := a.manager.Session(ctx, id)
			require.NoError(t, s.Renew())
			require.NoError(t, s.Save())
			newer, err := s.ID()
			require.NoError(t, err)
			require.NotEqual(t, id, newer)
			require.Empty(t, a.peek(id))
			require.Equal(t, "job", a.peek(newer))
		})
		t.Run("an id that is none of ours", func(t *testing.T) {
			a.takeEvents()
			a.store.take()
			s := a.manager.Session(ctx, "../../etc/passwd")
			require.Equal(t, []session.EventKind{session.EventRejected}, a.kinds())
			exists, err := s.Exists()
			require.NoError(t, err)
			require.False(t, exists)
			require.Empty(t, a.store.take())
		})
		t.Run("saves although the context has ended", func(t *testing.T) {
			ended, cancel := context.WithCancel(ctx)
			s := a.manager.Session(ended, "")
			require.NoError(t, s.Set("user", "late"))
			cancel()
			require.NoError(t, s.Save())
		})
		t.Run("does not load once the context has ended", func(t *testing.T) {
			ended, cancel := context.WithCancel(ctx)
			cancel()
			_, err := a.manager.Session(ended, a.login("ada")).Has("user")
			require.ErrorIs(t, err, context.Canceled)
		})
	})
}

// TestOpenDoesNotSpeakForTheBrowser: a background job's save tells no browser,
// so the next response must.
func TestOpenDoesNotSpeakForTheBrowser(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.set("user", "ada")
		a.clock.Advance(6 * day)
		job := a.manager.Session(context.Background(), b.id())
		require.NoError(t, job.Set("mail", 1))
		require.NoError(t, job.Save())
		a.clock.Advance(day / 2)
		require.NotNil(t, b.set("clicked", true).cookie())
		a.clock.Advance(day) // beyond the expiry that the browser was told first
		require.Equal(t, "ada", b.values()["user"])
	})
}

func TestSessionsOfSeveralManagers(t *testing.T) {
	a := newApp(t, store.NewMemory())
	settings := session.Defaults()
	settings.CookieName = "admin_id"
	admin, err := session.New(store.NewMemory(), settings)
	require.NoError(t, err)
	b := a.browser()
	h := func(f func(r *http.Request)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			admin.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { f(r) })).ServeHTTP(w, r)
		}
	}
	got := b.serve(h(func(r *http.Request) {
		require.Same(t, session.From(r), admin.From(r), "the innermost")
		require.NotSame(t, admin.From(r), a.manager.From(r))
		require.NoError(t, a.manager.From(r).Set("user", "ada"))
		require.NoError(t, admin.From(r).Set("user", "root"))
	}))
	require.Len(t, got.Cookies(), 2)
	require.Equal(t, []string{"Cookie"}, got.Header["Vary"])
	b.serve(h(func(r *http.Request) {
		var user, root string
		_, err := a.manager.From(r).Get("user", &user)
		require.NoError(t, err)
		_, err = admin.From(r).Get("user", &root)
		require.NoError(t, err)
		require.Equal(t, []string{"ada", "root"}, []string{user, root})
	}))
}

func TestFromWithoutAManagerPanics(t *testing.T) {
	r, err := http.NewRequest(http.MethodGet, "/", nil)
	require.NoError(t, err)
	require.Panics(t, func() { session.From(r) })
	_, ok := session.FromContext(context.Background())
	require.False(t, ok)
	a, other := newApp(t, store.NewMemory()), newApp(t, store.NewMemory())
	a.browser().serve(func(_ http.ResponseWriter, r *http.Request) {
		require.Panics(t, func() { other.manager.From(r) })
	})
}
