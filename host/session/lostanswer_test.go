package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestRenewalNobodyWaitsFor: a log-in takes no effect if its client has left or
// an outer time-out has answered before it is saved. The visitor keeps the
// earlier session, and no list has a session that nobody holds.
func TestRenewalNobodyWaitsFor(t *testing.T) {
	// Whoever leaves does so once the handler runs: before, there would be none.
	leave := map[string]func(h http.Handler, runs <-chan struct{}) (http.Handler, context.Context){
		"client gone": func(h http.Handler, runs <-chan struct{}) (http.Handler, context.Context) {
			ctx, cancel := context.WithCancel(ctx)
			go func() {
				<-runs
				cancel()
			}()
			return h, ctx
		},
		"time-out outside": func(h http.Handler, _ <-chan struct{}) (http.Handler, context.Context) {
			return http.TimeoutHandler(h, 20*time.Millisecond, "too slow"), ctx
		},
	}
	for name, leave := range leave {
		for action, do := range map[string]func(s *session.Session) error{
			"log-in":  func(s *session.Session) error { return s.LogIn("ada", nil) },
			"renewal": func(s *session.Session) error { return s.Renew() },
			"log-in, saved at once": func(s *session.Session) error {
				err := errors.Join(s.LogIn("ada", nil), s.Set("admin", true))
				if save := s.Save(); save == nil {
					return fmt.Errorf("saved all the same")
				}
				return err
			},
		} {
			for _, visitor := range []string{"known", "new"} {
				t.Run(name+", "+action+", "+visitor, func(t *testing.T) {
					overStores(t, func(t *testing.T, s store.Store) {
						failed := make(chan error, 1)
						a := newApp(t, s, func(s *session.Settings) {
							s.OnError = func(_ http.ResponseWriter, _ *http.Request, err error) { failed <- err }
						})
						id := ""
						if visitor == "known" {
							id = a.login("ada")
						}
						runs := make(chan struct{})
						h, ctx := leave(a.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
							close(runs)
							<-r.Context().Done()
							s := session.From(r)
							if err := do(s); err != nil {
								t.Error(err)
							}
							if err := s.Set("admin", true); err != nil {
								t.Error(err)
							}
						})), runs)
						server := httptest.NewServer(h)
						defer server.Close()
						r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
						require.NoError(t, err)
						if id != "" {
							r.Header.Set("Cookie", "session_id="+id)
						}
						resp, err := server.Client().Do(r)
						if err == nil {
							require.Empty(t, resp.Cookies())
							resp.Body.Close()
						}
						select {
						case err = <-failed:
						case <-time.After(time.Minute):
							t.Fatal("it was saved, for nobody")
						}
						require.True(t, errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded), err)
						server.Close() // the handler has returned
						require.Empty(t, publicIDs(t, a.manager, "ada"))
						if id != "" {
							require.Equal(t, "ada", a.peek(id))
							ok, err := a.manager.Session(context.Background(), id).Has("admin")
							require.NoError(t, err)
							require.False(t, ok, "rights are not for the id of before")
							require.Equal(t, 1, records(t, a))
						} else {
							require.Zero(t, records(t, a))
						}
						require.NotContains(t, a.kinds(), session.EventUnavailable)
					})
				})
			}
		}
	}
}

// TestTimedRenewalNobodyWaitsFor: the timed renewal waits for the next request.
func TestTimedRenewalNobodyWaitsFor(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, renewing)
		id := a.login("ada")
		a.clock.Advance(every)
		ctx, cancel := context.WithCancel(ctx)
		w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.AddCookie(&http.Cookie{Name: "session_id", Value: id})
		a.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			look(session.From(r))
			cancel()
		})).ServeHTTP(w, r)
		require.Empty(t, w.Result().Cookies())
		a.clock.Advance(hour)
		require.Equal(t, "ada", a.peek(id))
	})
}

// TestLostAnswerOfALogIn: a client that never got the new id logs in again as
// the same user and gets its session. The list has one.
func TestLostAnswerOfALogIn(t *testing.T) {
	logIn := func(user string) func(s *session.Session) error {
		return func(s *session.Session) error { return s.LogIn(user, nil) }
	}
	both := func(fs ...func(s *session.Session) error) func(s *session.Session) error {
		return func(s *session.Session) error {
			for _, f := range fs {
				if err := f(s); err != nil {
					return err
				}
			}
			return nil
		}
	}
	save := func(s *session.Session) error { return s.Save() }
	set := func(s *session.Session) error { return s.Set("second factor", true) }
	fresh := map[string]any{"mine": true}
	whole := map[string]any{"basket": int64(3), "mine": true}
	for _, c := range []struct {
		name  string
		first []func(s *session.Session) error // their answers get lost; each has the old id
		held  func(s *session.Session) error   // what a client with the new id does
		again func(s *session.Session) error
		want  map[string]any
		ada   int // sessions in her list
	}{
		{"once", []func(*session.Session) error{logIn("ada")}, nil, logIn("ada"), whole, 1},
		{"three times", []func(*session.Session) error{logIn("ada"), logIn("ada"), logIn("ada")}, nil, logIn("ada"), whole, 1},
		{"that went on after it was saved", []func(*session.Session) error{both(logIn("ada"), save, func(s *session.Session) error { return s.Set("basket", 3) })},
			nil, logIn("ada"), whole, 1},
		{"that renewed twice", []func(*session.Session) error{both(logIn("ada"), save, logIn("ada"))}, nil, logIn("ada"), whole, 1},
		{"by another user", []func(*session.Session) error{logIn("ada")}, nil, logIn("eve"), fresh, 1},
		{"and nothing but a renewal", []func(*session.Session) error{logIn("ada")}, nil, func(s *session.Session) error { return s.Renew() }, fresh, 1},
		{"of a renewal without a user", []func(*session.Session) error{func(s *session.Session) error { return s.Renew() }}, nil, logIn("ada"), fresh, 1},
		{"that did not get lost", []func(*session.Session) error{logIn("ada")}, set, logIn("ada"), fresh, 2},
		{"that did not get lost, and was renewed", []func(*session.Session) error{logIn("ada")}, both(set, func(s *session.Session) error { return s.Renew() }),
			logIn("ada"), fresh, 2},
		{"that did not get lost, and was renewed after", []func(*session.Session) error{both(logIn("ada"), set)}, func(s *session.Session) error { return s.Renew() },
			logIn("ada"), fresh, 2},
		{"that did not get lost, and was ended", []func(*session.Session) error{logIn("ada")}, func(s *session.Session) error { return s.Destroy() }, logIn("ada"), fresh, 1},
	} {
		for _, looks := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
					a := newApp(t, s, seal)
					b := a.browser()
					b.set("basket", 3)
					old := b.id()
					for _, f := range c.first {
						lost := a.at(old, func(s *session.Session) { require.NoError(t, f(s)) })
						if c.held != nil {
							a.at(lost.cookie().Value, func(s *session.Session) { require.NoError(t, c.held(s)) })
						}
					}
					a.clock.Advance(endedGrace - ms)
					a.kinds()
					got := a.at(old, func(s *session.Session) {
						if looks {
							ok, err := s.Has("basket")
							require.NoError(t, err)
							require.False(t, ok, "it is not to be had before the log-in is stored")
						}
						require.NoError(t, c.again(s))
						require.NoError(t, s.Set("mine", true))
					})
					require.Equal(t, http.StatusOK, got.StatusCode)
					b.keep(got)
					require.Equal(t, c.want, b.values())
					require.Len(t, publicIDs(t, a.manager, "ada"), c.ada)
					_, err := a.manager.RevokeAll(ctx, "ada")
					require.NoError(t, err)
					require.NotContains(t, a.kinds(), session.EventGone)
				})
			})
		}
	}
	t.Run("after the grace", func(t *testing.T) {
		a := newApp(t, store.NewMemory())
		b := a.browser()
		b.set("basket", 3)
		old := b.id()
		b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
		a.clock.Advance(endedGrace)
		got := a.at(old, func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
		require.Empty(t, browserWith(a, got).values())
		require.Equal(t, map[string]any{"basket": int64(3)}, b.values())
	})
	t.Run("keeps the times of the session", func(t *testing.T) {
		a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.AbsoluteTimeout = hour })
		b := a.browser()
		b.do(func(s *session.Session) { require.NoError(t, s.SetExpiry(10*time.Minute)) })
		a.clock.Advance(5 * time.Minute)
		old := b.id()
		for range 2 {
			b.keep(a.at(old, func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) }))
		}
		b.do(func(s *session.Session) {
			created, err := s.Created()
			require.NoError(t, err)
			require.Equal(t, at(0), created)
			expires, err := s.Expires()
			require.NoError(t, err)
			require.Equal(t, at(15*time.Minute), expires)
		})
	})
	t.Run("and what cannot be saved leaves everything as it was", func(t *testing.T) {
		a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.MaxSize = 1000 })
		b := a.browser()
		b.set("basket", 3)
		old := b.id()
		lost := a.at(old, func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) }).cookie().Value
		a.at(old, func(s *session.Session) {
			require.NoError(t, s.LogIn("ada", nil))
			require.NoError(t, s.Set("large", make([]byte, 2000)))
			require.ErrorIs(t, s.Save(), session.ErrTooLarge)
			require.NoError(t, s.Delete("large"))
			exists, err := s.Exists()
			require.NoError(t, err)
			require.False(t, exists)
			_, ok := alive(t, a.manager, lost)
			require.True(t, ok)
			require.NoError(t, s.Save())
			_, ok = alive(t, a.manager, lost)
			require.False(t, ok)
		})
	})
}

// browserWith is a browser that has received one answer.
func browserWith(a *app, got *reply) *browser {
	b := a.browser()
	b.keep(got)
	return b
}

// TestDoubleClickOnLogIn: both requests began with the same session. The one
// answered last has it, with its values.
func TestDoubleClickOnLogIn(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, seal)
		b := a.browser()
		b.set("basket", 3)
		old := b.id()
		logIn := func(s *session.Session) {
			look(s)
			require.NoError(t, s.LogIn("ada", nil))
		}
		var first *reply
		second := a.at(old, func(s *session.Session) {
			logIn(s)
			first = a.at(old, logIn)
		})
		require.Equal(t, http.StatusOK, first.StatusCode)
		require.Equal(t, http.StatusOK, second.StatusCode)
		b.keep(first)
		b.keep(second)
		require.Equal(t, map[string]any{"basket": int64(3)}, b.values())
		require.Len(t, publicIDs(t, a.manager, "ada"), 1)
	})
}

// TestLogInMeetsAnotherPage: a log-in that has seen the session is for that
// one. If another page renewed it meanwhile, or another user logged in with it,
// the log-in is refused, and the browser's newer cookie still works.
func TestLogInMeetsAnotherPage(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		for name, other := range map[string]func(s *session.Session) error{
			"renewal":        func(s *session.Session) error { return s.Renew() },
			"another user":   func(s *session.Session) error { return s.LogIn("eve", nil) },
			"used meanwhile": func(s *session.Session) error { return s.LogIn("ada", nil) },
		} {
			t.Run(name, func(t *testing.T) {
				require.NoError(t, store.Clear(ctx, s, clockStart))
				a := newApp(t, s, seal)
				b := a.browser()
				b.set("basket", 3)
				got := a.at(b.id(), func(s *session.Session) {
					look(s)
					require.NoError(t, s.LogIn("ada", nil))
					b.do(func(s *session.Session) { require.NoError(t, other(s)) })
					b.set("more", true)
				})
				require.Equal(t, http.StatusConflict, got.StatusCode)
				require.Nil(t, got.cookie())
				require.Equal(t, map[string]any{"basket": int64(3), "more": true}, b.values())
				require.Len(t, publicIDs(t, a.manager, "ada"), map[string]int{"used meanwhile": 1}[name])
			})
		}
	})
}

// TestLogInsOfOneIDAtOnce: each is answered with a session of the user, and
// exactly the listed sessions are alive.
func TestLogInsOfOneIDAtOnce(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		ms := make([]*session.Manager, 3)
		for i := range ms {
			ms[i] = newApp(t, s, seal, func(s *session.Settings) { s.OnEvent = session.Events() }).manager
		}
		for range 10 {
			id := saveNew(t, ms[0], "x")
			ids := make([]string, 8)
			together(len(ids), func(i int) {
				s := ms[i%len(ms)].Session(ctx, id)
				if i%2 == 0 {
					look(s)
				}
				if err := s.LogIn("ada", nil); err != nil {
					t.Error(err)
				}
				if err := s.Save(); err != nil {
					t.Error(err)
				}
				ids[i], _ = s.ID()
			})
			left := 0
			for _, id := range ids {
				if user, ok := alive(t, ms[0], id); ok {
					require.Equal(t, "ada", user)
					left++
				}
			}
			require.NotZero(t, left)
			require.Len(t, publicIDs(t, ms[1], "ada"), left)
			_, ok := read(t, ms[0], id)
			require.False(t, ok)
			n, err := ms[2].RevokeAll(ctx, "ada")
			require.NoError(t, err)
			require.Equal(t, left, n)
		}
	})
}

// TestLogInWhoseRecordIsInDoubt leaves no session that nobody holds, in the
// list or outside it.
func TestLogInWhoseRecordIsInDoubt(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, seal)
		b := a.browser()
		b.set("basket", 3)
		absent := 0
		a.store.fail(nil, func(o operation) error {
			if o.name == "set" && o.expect == store.Absent {
				if absent++; absent == 2 { // the list is the first
					return store.ErrUnavailable
				}
			}
			return nil
		})
		got := b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
		a.store.fail(nil, nil)
		require.Equal(t, 2, absent)
		require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
		require.Empty(t, publicIDs(t, a.manager, "ada"))
		require.Equal(t, map[string]any{"basket": int64(3)}, b.values())
		require.Equal(t, 2, records(t, a), "the session of before, and the list")
	})
}

// TestRenewalIsNeverHalf: the storage fails from any call on, for one call or
// several, before or after it did its work. With whatever cookie it got, the
// browser has the earlier session or the new one. If a renewal was reported as
// done, the old id reaches nothing.
func TestRenewalIsNeverHalf(t *testing.T) {
	actions := map[string]func(s *session.Session) error{
		"renewal": func(s *session.Session) error { return s.Renew() },
		"log-in":  func(s *session.Session) error { return s.LogIn("ada", nil) },
	}
	for name, do := range actions {
		for _, after := range []bool{false, true} {
			for length := 1; length <= 4; length++ {
				t.Run(fmt.Sprintf("%s, after %v, %d calls", name, after, length), func(t *testing.T) {
					overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
						for step, hit := 0, true; hit; step++ {
							require.NoError(t, store.Clear(ctx, s, clockStart))
							a := newApp(t, s, seal)
							b := a.browser()
							b.do(func(s *session.Session) {
								require.NoError(t, s.LogIn("eve", nil))
								require.NoError(t, s.Set("basket", 3))
							})
							old := b.id()
							calls := 0
							hit = false
							fault := func(operation) error {
								calls++
								if calls > step && calls <= step+length {
									hit = true
									return store.ErrUnavailable
								}
								return nil
							}
							if after {
								a.store.fail(nil, fault)
							} else {
								a.store.fail(fault, nil)
							}
							var saved error
							got := b.do(func(s *session.Session) {
								require.NoError(t, do(s))
								saved = s.Save()
							})
							a.store.fail(nil, nil)
							at := fmt.Sprintf("step %d, saved %v, answered %d", step, saved, got.StatusCode)
							require.Equal(t, map[string]any{"basket": int64(3)}, b.values(), at)
							if got.StatusCode == http.StatusOK {
								require.NotEqual(t, old, b.id(), at)
								_, ok := alive(t, a.manager, old)
								require.False(t, ok, at)
							} else {
								require.Error(t, saved, at)
							}
							for _, user := range []string{"ada", "eve"} {
								_, err := a.manager.RevokeAll(ctx, user)
								require.NoError(t, err)
							}
							for _, id := range []string{old, b.id()} {
								_, ok := alive(t, a.manager, id)
								require.False(t, ok, at)
							}
						}
					})
				})
			}
		}
	}
}

// TestLostAnswerOfAWrite: a write that failed may have been done, and be done again. What a session
// has is then what was set, once; what a function computes from the old value may count twice, as
// its caller was told by the error; and the end of a session is its end.
func TestLostAnswerOfAWrite(t *testing.T) {
	basket, visits := session.NewKey[string]("basket"), session.NewKey[int]("visits")
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		id := a.login("ada")
		lose := func(times int) {
			a.store.fail(nil, func(o operation) error {
				if o.name == "get" || times == 0 {
					return nil
				}
				times--
				return store.ErrUnavailable
			})
		}
		a.at(id, func(s *session.Session) {
			lose(1)
			require.NoError(t, basket.Set(s, "full"))
			require.ErrorIs(t, s.Save(), store.ErrUnavailable)
			// Another request, in between, has seen what was stored and goes on from there.
			other := a.manager.Session(context.Background(), id)
			value, err := basket.Get(other)
			require.NoError(t, err)
			require.Equal(t, "full", value)
			require.NoError(t, other.Set("other", true))
			require.NoError(t, other.Save())
			require.NoError(t, s.Save())
			ok, err := s.Has("other")
			require.NoError(t, err)
			require.True(t, ok, "its change is not overwritten")
		})
		a.at(id, func(s *session.Session) {
			lose(1)
			_, err := session.Increment(s, visits, 1)
			require.ErrorIs(t, err, store.ErrUnavailable)
			n, err := session.Increment(s, visits, 1)
			require.NoError(t, err)
			require.Equal(t, 2, n)
		})
		lose(2)
		require.Error(t, a.manager.Session(context.Background(), id).Destroy())
		a.store.fail(nil, nil)
		require.NoError(t, a.manager.Session(context.Background(), id).Destroy())
		require.Empty(t, a.peek(id))
		require.Empty(t, publicIDs(t, a.manager, "ada"))
	})
}
