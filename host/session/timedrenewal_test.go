package session_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

const (
	every = 10 * time.Minute
	grace = time.Minute
)

func renewing(s *session.Settings) { s.RenewEvery, s.RenewGrace = every, grace }

func look(s *session.Session) { _, _ = s.Has("user") }

// at sends a request with one id, in a cookie.
func (a *app) at(id string, f func(s *session.Session)) *reply {
	a.t.Helper()
	return a.with([]string{"session_id=" + id}, f)
}

func TestTimedRenewal(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, renewing, seal)
		b := a.browser()
		b.set("user", "ada")
		first := b.id()
		a.clock.Advance(every - ms)
		require.Nil(t, b.do(look).cookie(), "not yet")
		a.clock.Advance(ms)
		require.Nil(t, b.serve(func(http.ResponseWriter, *http.Request) {}).cookie(), "nobody looked")
		a.kinds()
		got := b.do(look)
		require.NotNil(t, got.cookie())
		second := b.id()
		require.NotEqual(t, first, second)
		require.Equal(t, []session.EventKind{session.EventRenewed}, a.kinds())
		require.Equal(t, map[string]any{"user": "ada"}, b.values())
		require.Equal(t, int((7*day - every).Seconds()), got.cookie().MaxAge, "a look does not extend the session")

		// The response is lost, so the client comes back with the old id.
		for _, wait := range []time.Duration{0, grace - ms} {
			a.clock.Set(at(every + wait))
			got = a.at(first, func(s *session.Session) {
				id, err := s.ID()
				require.NoError(t, err)
				require.Equal(t, second, id)
				require.False(t, s.Modified())
			})
			require.Equal(t, second, got.cookie().Value, "told again, the same one")
			require.Equal(t, "ada", a.peek(first))
		}
		a.clock.Advance(ms)
		require.Empty(t, a.peek(first), "after the grace")
		got = a.at(first, func(s *session.Session) {
			exists, err := s.Exists()
			require.NoError(t, err)
			require.False(t, exists)
		})
		require.Nil(t, got.cookie())
		require.Equal(t, "ada", a.peek(second))
		a.clock.Advance(hour - grace)
		require.Equal(t, 1, records(t, a), "nothing is left behind")
	})
}

// records counts the records of a store that can list its keys.
func records(t *testing.T, a *app) int {
	t.Helper()
	n := 0
	for _, err := range store.Keys(ctx, a.store.Store, store.At(a.clock.Now())) {
		require.NoError(t, err)
		n++
	}
	return n
}

// TestTimedRenewalExtendsNothing: a visitor who only reads stays no longer than
// without timed renewal.
func TestTimedRenewalExtendsNothing(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, renewing, func(s *session.Settings) { s.Lifetime = hour })
		b := a.browser()
		b.set("user", "ada")
		for a.clock.Now().Before(at(hour - ms)) {
			require.NotEmpty(t, b.values())
			a.clock.Advance(5 * time.Minute)
		}
		require.Empty(t, b.values())
		require.NotContains(t, a.kinds(), session.EventGone)
	})
}

// TestTimedRenewalOnlyWhereTheClientHearsOfIt: otherwise the id stays.
func TestTimedRenewalOnlyWhereTheClientHearsOfIt(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, renewing, func(s *session.Settings) { s.TokenHeader = "X-Session-Token" })
		b := a.browser()
		b.set("user", "ada")
		id := b.id()
		a.clock.Advance(2 * every)
		job := a.manager.Session(ctx, id)
		require.NoError(t, job.Set("n", 1))
		require.NoError(t, job.Save())
		require.Equal(t, "ada", a.peek(id), "a job in the background does not change it")
		b.serve(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("begun"))
			require.NoError(t, session.From(r).Set("n", 2))
		})
		require.Equal(t, id, b.id(), "nor a late change")
		b.do(func(s *session.Session) {
			require.NoError(t, s.Set("n", 3))
			require.NoError(t, s.Save())
			now, err := s.ID()
			require.NoError(t, err)
			require.Equal(t, id, now, "nor a save before the response")
		})
		require.NotEqual(t, id, b.id(), "but the response does")

		token := a.token("", func(s *session.Session) { require.NoError(t, s.Set("user", "api")) }).Header.Get("X-Session-Token")
		a.clock.Advance(2 * every)
		got := a.token(token, look)
		require.Empty(t, got.Header["X-Session-Token"], "a token stays")
		require.Equal(t, "api", a.peek(token))
	})
}

// TestGraceBeginsWithTheResponse: requests that run beside a slow one are not
// logged out before anybody could know the new id.
func TestGraceBeginsWithTheResponse(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, renewing)
		b := a.browser()
		b.set("user", "ada")
		first := b.id()
		a.clock.Advance(every)
		b.do(func(s *session.Session) {
			_, err := session.NewKey[int]("n").Update(s, plusOne)
			require.NoError(t, err)
			a.clock.Advance(2 * grace)
			require.Equal(t, "ada", a.peek(first))
		})
		require.NotEqual(t, first, b.id())
		require.Equal(t, "ada", a.peek(first))
		a.clock.Advance(grace)
		require.Empty(t, a.peek(first))
		require.Equal(t, "ada", a.peek(b.id()))
	})
}

// TestTimedRenewalOfParallelRequests: pages load many things at once. All are
// answered, there is one new id, and any cookie that a client got still works.
func TestTimedRenewalOfParallelRequests(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		for _, change := range []bool{false, true} {
			require.NoError(t, store.Clear(ctx, s, clockStart))
			a := newApp(t, s, renewing)
			first := a.login("ada")
			a.clock.Advance(every)
			url := a.route(func(_ http.ResponseWriter, r *http.Request) {
				s := session.From(r)
				var user string
				if ok, err := s.Get("user", &user); err != nil || !ok || user != "ada" {
					t.Error(user, ok, err)
				}
				if change {
					if _, err := session.Increment(s, session.NewKey[int]("n"), 1); err != nil {
						t.Error(err)
					}
				}
			})
			const requests = 24
			told := make([]string, requests)
			together(requests, func(i int) {
				r, err := http.NewRequest(http.MethodGet, url, nil)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Cookie", "session_id="+first)
				resp, err := a.server.Client().Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				for _, c := range resp.Cookies() {
					told[i] = c.Value
				}
			})
			ids := make(map[string]bool)
			for _, id := range told {
				if id != "" {
					ids[id] = true
				}
			}
			require.Len(t, ids, 1)
			for id := range ids {
				require.Equal(t, "ada", a.peek(id))
				n, err := session.NewKey[int]("n").Get(a.manager.Session(ctx, id))
				require.NoError(t, err)
				require.Equal(t, map[bool]int{true: requests}[change], n)
			}
			require.Equal(t, 2, records(t, a), "the session, and what leads to it")
		}
	})
}

// TestTimedRenewalMeetsOthers: something happens to the session under the old id
// after the renewing request's access, or at each of its writes.
func TestTimedRenewalMeetsOthers(t *testing.T) {
	for _, c := range []struct {
		name  string
		other func(t *testing.T, a *app, old string)
		left  map[string]any
	}{
		{"a change", func(t *testing.T, a *app, old string) {
			s := a.manager.Session(ctx, old)
			require.NoError(t, s.Set("other", "x"))
			require.NoError(t, s.Save())
		}, map[string]any{"user": "ada", "other": "x"}},
		{"a log-out", func(t *testing.T, a *app, old string) {
			require.NoError(t, a.manager.Session(ctx, old).Destroy())
		}, map[string]any{}},
		{"a renewal", func(t *testing.T, a *app, old string) {
			s := a.manager.Session(ctx, old)
			require.NoError(t, s.Renew())
			require.NoError(t, s.Save())
		}, map[string]any{}},
		{"another timed renewal", func(t *testing.T, a *app, old string) { a.at(old, look) }, map[string]any{"user": "ada"}},
	} {
		for when := range 5 { // 0: after the access; then before and after each write
			for _, mine := range []bool{false, true} {
				t.Run(c.name, func(t *testing.T) {
					overStores(t, func(t *testing.T, s store.Store) {
						a := newApp(t, s, renewing)
						b := a.browser()
						b.set("user", "ada")
						old := b.id()
						a.clock.Advance(every)
						done := false
						other := func() {
							if !done {
								done = true
								c.other(t, a, old)
							}
						}
						got := b.do(func(s *session.Session) {
							look(s)
							if mine {
								require.NoError(t, s.Set("mine", true))
							}
							if when == 0 {
								other()
								return
							}
							sets := 0
							hook := func(o operation) error {
								if o.name == "set" && !done {
									if sets++; sets == (when+1)/2 {
										other()
									}
								}
								return nil
							}
							if when%2 == 1 {
								a.store.fail(hook, nil)
							} else {
								a.store.fail(nil, hook)
							}
						})
						a.store.fail(nil, nil)
						require.True(t, done)
						require.Equal(t, http.StatusOK, got.StatusCode)
						left := map[string]any{}
						for k, v := range c.left {
							left[k] = v
						}
						if mine && (len(left) > 0 || when == 4) {
							left["mine"] = true
						}
						if when == 4 && c.name != "a change" && c.name != "another timed renewal" {
							// It came last and reached the new id through the
							// old one.
							left = map[string]any{}
						}
						if len(c.left) > 0 || when == 4 {
							require.Equal(t, left, b.values())
						}
						// In the end, all ids together lead to one session at
						// most.
						require.LessOrEqual(t, records(t, a), 3)
						if len(c.left) == 0 {
							require.Empty(t, a.peek(old))
							require.Empty(t, a.peek(b.id()))
						}
					})
				})
			}
		}
	}
}

// TestRenewalWithinTheGrace: after a log-in no earlier id reaches anything,
// even one that led on a moment ago.
func TestRenewalWithinTheGrace(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		for name, end := range map[string]func(s *session.Session) error{
			"renew":   func(s *session.Session) error { return s.Renew() },
			"log in":  func(s *session.Session) error { return s.LogIn("ada", nil) },
			"destroy": func(s *session.Session) error { return s.Destroy() },
		} {
			for _, by := range []string{"old", "new"} {
				t.Run(name+" by the "+by+" id", func(t *testing.T) {
					a := newApp(t, s, renewing)
					b := a.browser()
					b.set("user", "ada")
					first := b.id()
					a.clock.Advance(every)
					b.do(look)
					second := b.id()
					id := map[string]string{"old": first, "new": second}[by]
					got := a.at(id, func(s *session.Session) { require.NoError(t, end(s)) })
					require.Equal(t, http.StatusOK, got.StatusCode)
					require.Empty(t, a.peek(first))
					require.Empty(t, a.peek(second))
					require.Equal(t, name == "destroy", got.cookie().MaxAge < 0)
				})
			}
		}
	})
}

// TestGraceOutlivesTheManager: another process, or one restarted without
// timed renewal, also follows old ids.
func TestGraceOutlivesTheManager(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, renewing, seal)
		b := a.browser()
		b.set("user", "ada")
		first := b.id()
		a.clock.Advance(every)
		b.do(look)
		other := newApp(t, s, seal)
		other.clock.Advance(every + grace - ms)
		got := other.at(first, func(s *session.Session) { require.NoError(t, s.Set("n", 1)) })
		require.Equal(t, b.id(), got.cookie().Value)
		require.Contains(t, b.values(), "n")
		other.clock.Advance(ms)
		require.Empty(t, other.peek(first))
	})
}

// TestManyTimedRenewalsWithinTheGrace: a client may be some ids behind.
func TestManyTimedRenewalsWithinTheGrace(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, func(s *session.Settings) { s.RenewEvery, s.RenewGrace = grace, grace })
		b := a.browser()
		b.set("user", "ada")
		a.clock.Advance(grace)
		before := b.id()
		for range 10 {
			b.do(look)
			require.NotEqual(t, before, b.id())
			a.clock.Advance(grace - ms)
			require.Equal(t, "ada", a.peek(before))
			a.clock.Advance(ms)
			require.Empty(t, a.peek(before))
			before = b.id()
		}
		a.clock.Advance(hour)
		require.Equal(t, 1, records(t, a))
	})
}

// TestLookThatFails: it is an event and not a failed request, and it is tried
// once.
func TestLookThatFails(t *testing.T) {
	for name, settings := range map[string]func(*session.Settings){
		"timed renewal": renewing,
		"idle":          func(s *session.Settings) { s.IdleTimeout = hour },
		"seen":          func(s *session.Settings) { s.LastSeenResolution = time.Minute },
		"all": func(s *session.Settings) {
			renewing(s)
			s.IdleTimeout, s.LastSeenResolution = hour, time.Minute
		},
	} {
		t.Run(name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				for _, fault := range []error{store.ErrUnavailable, store.ErrNoSpace, store.ErrInternal} {
					a := newApp(t, s, settings)
					b := a.browser()
					b.set("user", "ada")
					id := b.id()
					a.clock.Advance(every)
					a.kinds()
					a.store.fail(on("set", fault), nil)
					got := b.serve(func(w http.ResponseWriter, r *http.Request) {
						look(session.From(r))
						_, _ = w.Write([]byte("as ever"))
					})
					a.store.fail(nil, nil)
					require.Equal(t, http.StatusOK, got.StatusCode)
					require.Equal(t, "as ever", got.body)
					require.Nil(t, got.cookie())
					require.Equal(t, []session.EventKind{session.EventUnavailable}, a.kinds())
					require.Equal(t, "ada", a.peek(id))
				}
			})
		})
	}
}

func TestTimedRenewalSettings(t *testing.T) {
	for _, c := range []struct {
		every, grace time.Duration
		ok           bool
	}{
		{0, 30 * time.Second, true}, {time.Minute, time.Minute, true}, {time.Minute, 0, true},
		{time.Minute, time.Minute + ms, false}, {-2, 0, false}, {time.Minute, -2, false}, {time.Microsecond, 0, false},
		{session.Off, session.Off, true}, {time.Minute, session.Off, true}, {time.Second, 0, false},
	} {
		s := session.Defaults()
		s.RenewEvery, s.RenewGrace = c.every, c.grace
		if c.ok {
			require.NoError(t, s.Check(), "%v", c)
		} else {
			require.ErrorIs(t, s.Check(), session.ErrSettings, "%v", c)
		}
	}
	t.Run("no grace", func(t *testing.T) {
		a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.RenewEvery, s.RenewGrace = every, session.Off })
		b := a.browser()
		b.set("user", "ada")
		first := b.id()
		a.clock.Advance(every)
		b.do(look)
		require.Empty(t, a.peek(first))
		require.Equal(t, "ada", a.peek(b.id()))
	})
}

// TestOldIDOfASessionWithoutAnAbsoluteTimeout: its old id leads on, although
// other sessions of its age are over.
func TestOldIDOfASessionWithoutAnAbsoluteTimeout(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, renewing, func(s *session.Settings) { s.AbsoluteTimeout = 2 * day })
		id := a.login("ada")
		a.at(id, func(s *session.Session) { require.NoError(t, s.SetAbsoluteTimeout(session.Off)) })
		a.clock.Advance(3 * day)
		next := a.at(id, look).cookie()
		require.NotNil(t, next)
		require.NotEqual(t, id, next.Value)
		again := a.at(id, look).cookie()
		require.NotNil(t, again)
		require.Equal(t, next.Value, again.Value, "the answer that told it may have got lost")
	})
}
