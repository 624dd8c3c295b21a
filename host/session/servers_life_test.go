package session_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
)

// TestServersShareASession: a visitor logs in on one server, is known on another, and logs
// out on a third, whatever the servers' clocks say.
func TestServersShareASession(t *testing.T) {
	overBackends(t, func(t *testing.T, all servers) {
		all.differ()
		all.inEachRole(t, func(t *testing.T, a, b, c *app) {
			visitor := a.at("", func(s *session.Session) { require.NoError(t, s.Set("color", "blue")) }).cookie().Value
			in := b.at(visitor, func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
			id := in.cookie().Value
			require.NotEqual(t, visitor, id)
			for _, server := range []*app{c, a, b} {
				got := server.at(id, func(s *session.Session) {
					var color string
					ok, err := s.Get("color", &color)
					require.NoError(t, err)
					require.True(t, ok)
					require.Equal(t, "blue", color)
					user, err := s.User()
					require.NoError(t, err)
					require.Equal(t, "ada", user)
				})
				require.Nil(t, got.cookie(), "the browser need not be told anything")
				_, ok := alive(t, server.manager, visitor)
				require.False(t, ok, "the id from before the log-in")
			}
			out := c.at(id, func(s *session.Session) { require.NoError(t, s.Destroy()) })
			require.Negative(t, out.cookie().MaxAge)
			for _, server := range all {
				_, ok := alive(t, server.manager, id)
				require.False(t, ok)
				got := server.at(id, func(s *session.Session) { require.NoError(t, s.Set("color", "red")) })
				require.Equal(t, http.StatusOK, got.StatusCode)
				require.Nil(t, got.cookie(), "a request that was sent before the log-out begins nothing")
			}
		})
	})
}

// TestServersLoseNoUpdate: visitors' requests go to all servers at once, and each keeps
// what it stored and counts what it counted.
func TestServersLoseNoUpdate(t *testing.T) {
	const requests = 8 // of each server
	count := session.NewKey[int]("count")
	overBackends(t, func(t *testing.T, all servers) {
		id := all[0].login("ada")
		urls := make([]string, requests*serverCount)
		for i := range urls {
			urls[i] = all[i%serverCount].route(func(_ http.ResponseWriter, r *http.Request) {
				s := session.From(r)
				if _, err := s.Has("user"); err != nil {
					t.Error(err)
				}
				if err := s.Set(fmt.Sprint("key ", i), i); err != nil {
					t.Error(err)
				}
				for range 3 {
					if _, err := count.Update(s, plusOne); err != nil {
						t.Error(err)
					}
				}
				if i%4 == 0 {
					if err := s.Delete("user"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		together(len(urls), func(i int) {
			r, err := http.NewRequest(http.MethodGet, urls[i], nil)
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Cookie", "session_id="+id)
			resp, err := all[i%serverCount].server.Client().Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Error(resp.Status)
			}
		})
		for _, a := range all {
			s := a.manager.Session(ctx, id)
			n, err := count.Get(s)
			require.NoError(t, err)
			require.Equal(t, 3*len(urls), n)
			held, err := s.Len()
			require.NoError(t, err)
			require.Equal(t, 1+len(urls), held, "the count, and a value of each request; the user was removed")
		}
	})
}

// TestServersPopOnce: of requests on several servers that take one value, one gets it.
func TestServersPopOnce(t *testing.T) {
	overBackends(t, func(t *testing.T, all servers) {
		for range 10 {
			id := all[0].login("ada")
			var got atomic.Int64
			together(2*serverCount, func(i int) {
				var user string
				ok, err := all[i%serverCount].manager.Session(ctx, id).Pop("user", &user)
				if err != nil {
					t.Error(err)
				}
				if ok {
					got.Add(1)
				}
			})
			require.EqualValues(t, 1, got.Load())
		}
	})
}

// TestServersLogOutIsFinal: a commit that is in flight on another server does not bring a
// session back, however the session was ended.
func TestServersLogOutIsFinal(t *testing.T) {
	endings := map[string]func(t *testing.T, a *app, id, publicID string){
		"destroy": func(t *testing.T, a *app, id, _ string) {
			a.at(id, func(s *session.Session) { require.NoError(t, s.Destroy()) })
		},
		"revoke": func(t *testing.T, a *app, _, publicID string) {
			ended, err := a.manager.Revoke(ctx, "ada", publicID)
			require.NoError(t, err)
			require.True(t, ended)
		},
		"revoke all": func(t *testing.T, a *app, _, _ string) {
			n, err := a.manager.RevokeAll(ctx, "ada")
			require.NoError(t, err)
			require.Equal(t, 1, n)
		},
		"log in": func(t *testing.T, a *app, id, _ string) {
			a.at(id, func(s *session.Session) { require.NoError(t, s.LogIn("eve", nil)) })
		},
	}
	flights := map[string]func(s *session.Session) error{
		"a value":   func(s *session.Session) error { return s.Set("n", 1) },
		"an update": func(s *session.Session) error { return updated(s) },
		"a look":    func(*session.Session) error { return nil },
		"a renewal": func(s *session.Session) error { return s.Renew() },
	}
	idle := func(s *session.Settings) { s.IdleTimeout = time.Hour }
	overBackends(t, func(t *testing.T, all servers) {
		all.differ()
		for ending, end := range endings {
			for flight, do := range flights {
				all.inEachRole(t, func(t *testing.T, a, b, c *app) {
					what := flight + " against " + ending
					id, publicID := logIn(t, a.manager, "ada")
					all.advance(time.Minute * 7) // so that a look is due to be recorded
					got := b.at(id, func(s *session.Session) {
						user, err := s.User()
						require.NoError(t, err, what)
						require.Equal(t, "ada", user, what)
						end(t, c, id, publicID)
						if err := do(s); err != nil {
							require.ErrorIs(t, err, session.ErrGone, what)
						}
					})
					if cookie := got.cookie(); cookie != nil {
						require.Empty(t, cookie.Value, what)
					}
					for _, server := range all {
						_, ok := alive(t, server.manager, id)
						require.False(t, ok, what)
					}
					require.Empty(t, publicIDs(t, a.manager, "ada"), what)
					_, err := c.manager.RevokeAll(ctx, "eve")
					require.NoError(t, err)
				})
			}
		}
	}, idle)
}

func updated(s *session.Session) error {
	_, err := session.NewKey[int]("count").Update(s, plusOne)
	return err
}

// TestServersRenewBesideWrites: one server gives the session a new id while others write.
// What counts has moved along, everybody else was told, and the old id reaches nothing.
func TestServersRenewBesideWrites(t *testing.T) {
	const writers = 3 * serverCount
	overBackends(t, func(t *testing.T, all servers) {
		for round := range 10 {
			id, _ := logIn(t, all[0].manager, "ada")
			var counts [writers]bool
			var newID string
			together(writers+1, func(i int) {
				s := all[(i+round)%serverCount].manager.Session(ctx, id)
				if user, err := s.User(); err != nil {
					t.Error(err)
					return
				} else if user == "" {
					return // it came too late
				}
				if i == writers {
					if err := errors.Join(s.Renew(), s.Save()); err != nil {
						t.Error(err)
					}
					newID, _ = s.ID()
					return
				}
				err := errors.Join(s.Set(fmt.Sprint("key ", i), i), s.Save())
				if counts[i] = err == nil; !counts[i] && !errors.Is(err, session.ErrRenewed) {
					t.Error(err)
				}
			})
			require.NotEmpty(t, newID)
			for _, a := range all {
				_, ok := alive(t, a.manager, id)
				require.False(t, ok)
				s := a.manager.Session(ctx, newID)
				for i, counted := range counts {
					ok, err := s.Has(fmt.Sprint("key ", i))
					require.NoError(t, err)
					require.Equal(t, counted, ok, "writer %d", i)
				}
			}
		}
	})
}

// TestServersRenewByAgeTogether: requests on all servers find at once that the id has served
// its time. The browser keeps the session, whichever answer comes last.
func TestServersRenewByAgeTogether(t *testing.T) {
	overBackends(t, func(t *testing.T, all servers) {
		for range 5 {
			id := all[0].login("ada")
			all.advance(every)
			urls := make([]string, serverCount)
			for i, a := range all {
				urls[i] = a.route(func(_ http.ResponseWriter, r *http.Request) { look(session.From(r)) })
			}
			var mu sync.Mutex
			told := map[string]bool{id: true}
			together(len(urls), func(i int) {
				r, err := http.NewRequest(http.MethodGet, urls[i], nil)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Cookie", "session_id="+id)
				resp, err := all[i].server.Client().Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				for _, c := range resp.Cookies() {
					mu.Lock()
					told[c.Value] = true
					mu.Unlock()
				}
			})
			require.LessOrEqual(t, len(told), 2, "one new id, of which the others learn")
			for id := range told {
				for _, a := range all {
					a.at(id, func(s *session.Session) {
						ok, err := s.Has("user")
						require.NoError(t, err)
						require.True(t, ok)
					})
				}
			}
		}
	}, renewing)
}

// TestServersListOfAUser: log-ins on all servers are in one list, which every server
// shows and ends.
func TestServersListOfAUser(t *testing.T) {
	overBackends(t, func(t *testing.T, all servers) {
		all.differ()
		all.inEachRole(t, func(t *testing.T, a, b, c *app) {
			const each = 3
			ids := make([]string, each*serverCount)
			together(len(ids), func(i int) {
				s := all[i%serverCount].manager.Session(ctx, "")
				if err := errors.Join(s.LogIn("ada", nil), s.Save()); err != nil {
					t.Error(err)
				}
				ids[i], _ = s.ID()
			})
			require.Len(t, publicIDs(t, a.manager, "ada"), len(ids))
			n := 0
			for info, err := range b.manager.AllSessions(ctx) {
				require.NoError(t, err)
				require.Equal(t, "ada", info.User)
				n++
			}
			require.Equal(t, len(ids), n)
			kept, err := c.manager.Session(ctx, ids[0]).PublicID()
			require.NoError(t, err)
			n, err = c.manager.RevokeAll(ctx, "ada", kept)
			require.NoError(t, err)
			require.Equal(t, len(ids)-1, n)
			for _, server := range all {
				require.Equal(t, []string{kept}, publicIDs(t, server.manager, "ada"))
				for i, id := range ids {
					_, ok := alive(t, server.manager, id)
					require.Equal(t, i == 0, ok)
				}
			}
			ended, err := b.manager.Revoke(ctx, "ada", kept)
			require.NoError(t, err)
			require.True(t, ended)
		})
	})
}

// TestServersKeepToTheMost: log-ins on all servers together do not exceed the most
// sessions of a user.
func TestServersKeepToTheMost(t *testing.T) {
	most := func(s *session.Settings) { s.MaxUserSessions = 2 }
	overBackends(t, func(t *testing.T, all servers) {
		together(3*serverCount, func(i int) {
			s := all[i%serverCount].manager.Session(ctx, "")
			// One that later log-ins overtook is over before it was stored.
			if err := errors.Join(s.LogIn("ada", nil), s.Save()); err != nil && !errors.Is(err, session.ErrGone) {
				t.Error(err)
			}
		})
		for _, a := range all {
			require.Len(t, publicIDs(t, a.manager, "ada"), 2)
		}
	}, most)
}

// TestServersKnowWhoIsIdle: looks on any server keep a session alive, and it ends on all of
// them. Servers together record no more looks than one would.
func TestServersKnowWhoIsIdle(t *testing.T) {
	const idle, differ = time.Hour, 4 * time.Second
	overBackends(t, func(t *testing.T, all servers) {
		all.differ()
		id := all[0].login("ada")
		written := func() (n int) {
			for _, a := range all {
				for _, o := range a.store.take() {
					if o.name == "set" || o.name == "touch" {
						n++
					}
				}
			}
			return n
		}
		written()
		const looks = 120
		for i := range looks { // for two hours
			all.advance(time.Minute)
			all[i%serverCount].at(id, func(s *session.Session) {
				ok, err := s.Has("user")
				require.NoError(t, err)
				require.True(t, ok, "after %d minutes", i+1)
			})
		}
		n := written()
		require.GreaterOrEqual(t, n, 10, "a tenth of an hour each")
		require.LessOrEqual(t, n, looks/6+serverCount, "a tenth of an hour each")
		all.advance(idle - idle/10 - differ)
		for _, a := range all {
			_, ok := alive(t, a.manager, id)
			require.True(t, ok)
		}
		all.advance(idle/10 + 2*differ)
		for _, a := range all {
			_, ok := alive(t, a.manager, id)
			require.False(t, ok)
		}
	}, func(s *session.Settings) { s.IdleTimeout = idle })
}

// TestServersTakeNoNewCookieBack: a slow response of one server does not remove the cookie
// with which another server has replaced a dead one since.
func TestServersTakeNoNewCookieBack(t *testing.T) {
	overBackends(t, func(t *testing.T, all servers) {
		all.differ()
		number := 0
		for name, send := range map[string]func(*app, string, func(*session.Session)) *reply{"page": (*app).page, "script": (*app).script} {
			all.inEachRole(t, func(t *testing.T, a, b, c *app) {
				number++
				dead := strings.Repeat("B", 40) + fmt.Sprintf("%02dA", number)
				require.Nil(t, a.script(dead, look).cookie(), "seen for the first time")
				all.advance(time.Minute)
				got := send(a, dead, func(s *session.Session) {
					look(s)
					began := b.script(dead, func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
					require.NotEmpty(t, began.cookie().Value)
					all.advance(20 * time.Second)
				})
				require.Nil(t, got.cookie(), name)
				require.Nil(t, c.page(dead, look).cookie(), "the other server does not take it back either")
				require.Nil(t, a.page(dead, look).cookie(), name)
				all.advance(time.Hour)
				require.True(t, takenBack(t, c.page(dead, look)), "the browser still sends it: it never got another")
			})
		}
	})
}

// TestServersLeaveNoWordOverASession: the word that a cookie was replaced takes nobody's
// place, not even that of a session that is over by a clock that is ahead.
func TestServersLeaveNoWordOverASession(t *testing.T) {
	overBackends(t, func(t *testing.T, all servers) {
		a, ahead := all[0], all[1]
		id := a.login("ada")
		ahead.clock.Set(sessiontest.Start.Add(30 * day))
		began := ahead.script(id, func(s *session.Session) { require.NoError(t, s.Set("n", 1)) })
		require.NotEmpty(t, began.cookie().Value)
		require.Equal(t, "ada", a.peek(id), "by the right clock it is alive")
	})
}
