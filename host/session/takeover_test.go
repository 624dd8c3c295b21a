package session_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// former is another library that keeps sessions by the values of a cookie.
type former struct {
	mu       sync.Mutex
	sessions map[string]map[string]string
	reads    int
	removals int
	readErr  error
	failing  error                              // of the removal
	fill     func(fresh *session.Session) error // after the values; nil for nothing
	until    time.Time
}

func newFormer(a *app) *former {
	return &former{
		sessions: map[string]map[string]string{"old-ada": {"user": "ada", "cart": "tea"}},
		until:    a.clock.Now().Add(30 * day),
	}
}

// over lets a handler go on with the former sessions.
func (f *former) over(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("old"); err == nil {
			session.From(r).TakeOver(f.session(c.Value))
		}
		h(w, r)
	}
}

func (f *former) session(token string) session.OldSession {
	return session.OldSession{
		Token: token, Until: f.until,
		Fill: func(_ context.Context, fresh *session.Session) (bool, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.reads++
			if f.readErr != nil {
				return false, f.readErr
			}
			values, ok := f.sessions[token]
			if !ok {
				return false, nil
			}
			for name, value := range values {
				if err := fresh.Set(name, value); err != nil {
					return false, err
				}
			}
			if f.fill != nil {
				return true, f.fill(fresh)
			}
			return true, nil
		},
		Remove: func(context.Context) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.removals++
			if f.failing != nil {
				return f.failing
			}
			delete(f.sessions, token)
			return nil
		},
		Cookie: &http.Cookie{Name: "old", Path: "/"},
	}
}

// visit runs f with the session of a browser's request over the former library.
func (f *former) visit(b *browser, do func(s *session.Session)) *reply {
	b.a.t.Helper()
	return b.serve(f.over(func(_ http.ResponseWriter, r *http.Request) { do(session.From(r)) }))
}

func (f *former) user(b *browser) (user string) {
	b.a.t.Helper()
	f.visit(b, func(s *session.Session) {
		_, err := s.Get("user", &user)
		require.NoError(b.a.t, err)
	})
	return user
}

func TestTakeOver(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, seal)
		f := newFormer(a)
		b := a.browser()
		b.plant("old", "old-ada")

		require.Nil(t, f.visit(b, func(*session.Session) {}).cookie(), "nobody looked")
		require.Zero(t, f.reads)
		require.Empty(t, a.store.take())

		got := f.visit(b, func(s *session.Session) {
			require.Equal(t, map[string]any{"user": "ada", "cart": "tea"}, valuesOf(t, s))
		})
		require.NotNil(t, got.cookie())
		require.Equal(t, []session.EventKind{session.EventCreated, session.EventRenewed}, a.kinds())
		require.Empty(t, b.cookie("old"), "the browser forgets the old cookie")
		require.Empty(t, f.sessions, "the old session is removed")
		again := f.visit(b, look)
		require.Empty(t, again.Header["Set-Cookie"], "the id is its own by now, and stays")
		require.Equal(t, "ada", f.user(b))
		require.Equal(t, 1, f.reads)

		// Requests that were under way with the old cookie find the same session.
		late := a.browser()
		late.plant("old", "old-ada")
		require.Equal(t, "ada", f.user(late))
		require.Equal(t, b.id(), late.id())

		// Later the old cookie is worthless, even if the old session is still there.
		f.sessions["old-ada"] = map[string]string{"user": "ada"}
		for _, wait := range []time.Duration{30 * time.Second, time.Hour, 8 * day} {
			a.clock.Set(at(wait))
			thief := a.browser()
			thief.plant("old", "old-ada")
			require.Empty(t, f.user(thief))
		}
		require.Equal(t, 1, f.reads)
	})
}

func valuesOf(t *testing.T, s *session.Session) map[string]any {
	t.Helper()
	all := make(map[string]any)
	keys, err := s.Keys()
	require.NoError(t, err)
	for _, key := range keys {
		var v any
		_, err := s.Get(key, &v)
		require.NoError(t, err)
		all[key] = v
	}
	return all
}

func TestTakeOverIsFinal(t *testing.T) {
	cases := []struct {
		name string
		do   func(s *session.Session) error
	}{
		{"log-out", (*session.Session).Destroy},
		{"log-in", func(s *session.Session) error { return s.LogIn("bob", nil) }},
		{"renewal", (*session.Session).Renew},
		{"an end that has passed", func(s *session.Session) error { return s.SetExpiryTime(at(-time.Hour)) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s)
				f := newFormer(a)
				b := a.browser()
				b.plant("old", "old-ada")
				got := f.visit(b, func(s *session.Session) { require.NoError(t, c.do(s)) })
				require.Equal(t, http.StatusOK, got.StatusCode)
				f.sessions["old-ada"] = map[string]string{"user": "ada"} // a copy that was not removed
				for _, wait := range []time.Duration{0, time.Minute, 2 * time.Hour} {
					a.clock.Set(at(wait))
					thief := a.browser()
					thief.plant("old", "old-ada")
					require.Empty(t, f.user(thief), wait)
				}
				require.Equal(t, 1, f.reads)
			})
		})
	}
}

func TestTakeOverBindsTheUser(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		f := newFormer(a)
		f.fill = func(fresh *session.Session) error { return fresh.LogIn("ada", map[string]string{"from": "old"}) }
		b := a.browser()
		b.plant("old", "old-ada")
		require.Equal(t, "ada", f.user(b))
		list, err := a.manager.UserSessions(context.Background(), "ada")
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, "old", list[0].Note["from"])
		n, err := a.manager.RevokeAll(context.Background(), "ada")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Empty(t, f.user(b))
		late := a.browser()
		late.plant("old", "old-ada")
		require.Empty(t, f.user(late), "the old cookie leads to a session that has ended")
	})
}

// Requests at the same time, on several servers, get one session, and none loses a
// change.
func TestTakeOverAtTheSameTime(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		first, second := newApp(t, s), newApp(t, s)
		second.follow(first)
		f := newFormer(first)
		f.fill = func(fresh *session.Session) error { return fresh.LogIn("ada", nil) }
		const requests = 8
		var wait, ready sync.WaitGroup
		ready.Add(requests)
		ids := make([]string, requests)
		for i := range requests {
			a := []*app{first, second}[i%2]
			address := a.route(f.over(func(_ http.ResponseWriter, r *http.Request) {
				ready.Done()
				ready.Wait()
				s := session.From(r)
				n, err := session.Increment(s, session.NewKey[int]("visits"), 1)
				s.Check(err)
				_ = n
			}))
			wait.Go(func() {
				r, err := http.NewRequest(http.MethodGet, address, nil)
				if err != nil {
					panic(err)
				}
				r.Header.Set("Cookie", "old=old-ada")
				resp, err := a.server.Client().Do(r)
				if err != nil {
					panic(err)
				}
				defer resp.Body.Close()
				for _, c := range resp.Cookies() {
					if c.Name == "session_id" && resp.StatusCode == http.StatusOK {
						ids[i] = c.Value
					}
				}
			})
		}
		wait.Wait()
		for _, id := range ids {
			require.NotEmpty(t, id, "nobody is logged out")
			require.Equal(t, "ada", first.peek(id))
		}
		var visits int
		_, err := first.manager.Session(context.Background(), ids[0]).Get("visits", &visits)
		require.NoError(t, err)
		require.Equal(t, requests, visits)
		list, err := first.manager.UserSessions(context.Background(), "ada")
		require.NoError(t, err)
		require.Len(t, list, 1)
	})
}

// A crash at each write of the storage, or an answer that is lost, logs nobody out.
func TestTakeOverSurvivesEveryFault(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		for _, lost := range []string{"before", "after"} {
			for at := 0; ; at++ {
				a := newApp(t, s)
				require.NoError(t, store.Clear(context.Background(), s, clockStart))
				f := newFormer(a)
				f.fill = func(fresh *session.Session) error { return fresh.LogIn("ada", nil) }
				calls, hit := 0, false
				fault := func(o operation) error {
					if o.name != "set" {
						return nil
					}
					calls++
					if calls <= at {
						return nil
					}
					hit = true // and from then on, as after a crash
					return store.ErrUnavailable
				}
				if lost == "before" {
					a.store.fail(fault, nil)
				} else {
					a.store.fail(nil, fault)
				}
				crashed := a.browser()
				crashed.plant("old", "old-ada")
				f.user2(crashed)
				a.store.fail(nil, nil)
				b := a.browser()
				b.plant("old", "old-ada")
				require.Equal(t, "ada", f.user(b), "%s write %d", lost, at)
				if !hit {
					require.Greater(t, at, 2)
					break
				}
			}
		}
	})
}

// user2 is user for a request that may fail.
func (f *former) user2(b *browser) {
	f.visit(b, func(s *session.Session) {
		var user string
		_, err := s.Get("user", &user)
		s.Check(err)
	})
}

func TestTakeOverErrors(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		f := newFormer(a)
		b := a.browser()
		b.plant("old", "old-ada")
		f.readErr = store.ErrUnavailable
		got := f.visit(b, func(s *session.Session) { s.Check(s.Set("cart", "coffee")); s.Check(s.Save()) })
		require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
		require.Empty(t, got.Header["Set-Cookie"], "both cookies stay as they are")
		f.readErr = nil
		require.Equal(t, "ada", f.user(b), "the next request tries again")

		// An old session that cannot be removed is used up all the same.
		f.sessions["old-dan"] = map[string]string{"user": "dan"}
		f.failing = errFault
		stuck, thief := a.browser(), a.browser()
		stuck.plant("old", "old-dan")
		thief.plant("old", "old-dan")
		a.kinds()
		require.Equal(t, "dan", f.user(stuck))
		require.Contains(t, a.kinds(), session.EventUnavailable)
		f.visit(stuck, func(s *session.Session) { require.NoError(t, s.Destroy()) })
		a.clock.Advance(time.Minute)
		require.Empty(t, f.user(thief))
		f.failing = nil
		a.clock.Advance(-time.Minute)

		// A token of nothing, and one after the last day.
		none := a.browser()
		none.plant("old", "old-nobody")
		require.Empty(t, f.user(none))
		require.Equal(t, "old-nobody", none.cookie("old"))
		f.sessions["old-eve"] = map[string]string{"user": "eve"}
		late := a.browser()
		late.plant("old", "old-eve")
		a.clock.Advance(30 * day)
		require.Empty(t, f.user(late))
		require.Contains(t, f.sessions, "old-eve")
	})
}

func TestTakeOverMergesWithWhatTheRequestSets(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		f := newFormer(a)
		b := a.browser()
		b.plant("old", "old-ada")
		f.visit(b, func(s *session.Session) { require.NoError(t, s.Set("cart", "coffee")) })
		require.Equal(t, map[string]any{"user": "ada", "cart": "coffee"}, b.values())
	})
}

// Requests under way are led on even if no others are.
func TestTakeOverWithoutAGrace(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, func(s *session.Settings) { s.RenewEvery, s.RenewGrace = session.Off, session.Off })
		f := newFormer(a)
		b, late := a.browser(), a.browser()
		b.plant("old", "old-ada")
		late.plant("old", "old-ada")
		require.Equal(t, "ada", f.user(b))
		a.clock.Advance(29 * time.Second)
		require.Equal(t, "ada", f.user(late))
		require.Equal(t, b.id(), late.id())
	})
}

// If two cookies have one name and scope, the browser must keep the new one.
func TestTakeOverOfACookieWithTheSameName(t *testing.T) {
	a := newApp(t, store.NewMemory())
	f := newFormer(a)
	b := a.browser()
	b.plant("session_id", "old-ada")
	visit := func() (user string) {
		b.serve(func(_ http.ResponseWriter, r *http.Request) {
			s := session.From(r)
			if c, err := r.Cookie("session_id"); err == nil {
				old := f.session(c.Value)
				old.Cookie.Name = "session_id"
				s.TakeOver(old)
			}
			_, err := s.Get("user", &user)
			require.NoError(t, err)
		})
		return user
	}
	require.Equal(t, "ada", visit())
	require.Len(t, b.id(), 43)
	require.Equal(t, "ada", visit())
	require.Equal(t, 1, f.reads)
	require.False(t, strings.HasPrefix(b.id(), "old"))
}
