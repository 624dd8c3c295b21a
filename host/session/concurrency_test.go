package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// managers returns several managers over one store, as several processes would
// have.
func managers(t *testing.T, s store.Store, n int) []*session.Manager {
	t.Helper()
	list := make([]*session.Manager, n)
	for i := range list {
		settings := session.Defaults()
		settings.OnEvent = func(context.Context, session.Event) {}
		var err error
		list[i], err = session.New(s, settings)
		require.NoError(t, err)
	}
	return list
}

// together runs f n times at once and waits for all calls.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}

// TestUpdateIsExact: two hundred updates at once are each counted once.
func TestUpdateIsExact(t *testing.T) {
	const writers = 200
	count := session.NewKey[int]("count")
	overStores(t, func(t *testing.T, s store.Store) {
		ms := managers(t, s, 4)
		id := saveNew(t, ms[0], "x")
		var failed atomic.Int64
		together(writers, func(i int) {
			if _, err := count.Update(ms[i%len(ms)].Session(context.Background(), id), plusOne); err != nil {
				failed.Add(1)
				t.Error(err)
			}
		})
		require.Zero(t, failed.Load())
		n, err := count.Get(ms[0].Session(context.Background(), id))
		require.NoError(t, err)
		require.Equal(t, writers, n)
	})
}

// TestDifferentKeysBothStay: over HTTP, requests that change different values
// of one session at once all keep their change.
func TestDifferentKeysBothStay(t *testing.T) {
	const writers = 32
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		id := a.login("ada")
		url := make([]string, writers)
		for i := range url {
			url[i] = a.route(func(_ http.ResponseWriter, r *http.Request) {
				s := session.From(r)
				if _, err := s.Has("user"); err != nil {
					t.Error(err)
				}
				if err := s.Set(fmt.Sprint("key ", i), i); err != nil {
					t.Error(err)
				}
			})
		}
		together(writers, func(i int) {
			r, err := http.NewRequest(http.MethodGet, url[i], nil)
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Cookie", "session_id="+id)
			resp, err := a.server.Client().Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Error(resp.Status)
			}
		})
		n, err := a.manager.Session(context.Background(), id).Len()
		require.NoError(t, err)
		require.Equal(t, writers+1, n)
	})
}

// TestWritersAgainstAnEnding: many write while one destroys or renews. At the
// end the old id reaches nothing, every writer was told whether its change
// counts, and after a renewal the changes that count are there.
func TestWritersAgainstAnEnding(t *testing.T) {
	const writers = 16
	for _, ending := range []string{"destroy", "renew"} {
		t.Run(ending, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				ms := managers(t, s, 3)
				for range 20 {
					id := saveNew(t, ms[0], "x")
					var counts [writers]bool
					newID := ""
					together(writers+1, func(i int) {
						s := ms[i%len(ms)].Session(context.Background(), id)
						if i == writers {
							if ending == "destroy" {
								if err := s.Destroy(); err != nil {
									t.Error(err)
								}
								return
							}
							if err := s.Renew(); err != nil {
								t.Error(err)
							}
							if err := s.Save(); err != nil {
								t.Error(err)
							}
							newID, _ = s.ID()
							return
						}
						if ok, err := s.Has("secret"); err != nil {
							t.Error(err)
							return
						} else if !ok {
							return // it came after the end
						}
						if err := s.Set(fmt.Sprint("key ", i), i); err != nil {
							t.Error(err)
						}
						switch err := s.Save(); {
						case err == nil:
							counts[i] = true
						case !errors.Is(err, session.ErrGone):
							t.Error(err)
						}
					})
					keys, err := ms[0].Session(context.Background(), id).Keys()
					require.NoError(t, err)
					require.Empty(t, keys, "the old id")
					if ending == "destroy" {
						continue
					}
					require.NotEmpty(t, newID)
					now := ms[0].Session(context.Background(), newID)
					for i, counted := range counts {
						ok, err := now.Has(fmt.Sprint("key ", i))
						require.NoError(t, err)
						require.Equal(t, counted, ok, "writer %d", i)
					}
				}
			})
		})
	}
}

// TestRenewalsAtOnce: one renewal wins, and there is one session.
func TestRenewalsAtOnce(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		ms := managers(t, s, 2)
		for range 20 {
			id := saveNew(t, ms[0], "x")
			ids := make([]string, 6)
			together(len(ids), func(i int) {
				s := ms[i%len(ms)].Session(context.Background(), id)
				if ok, err := s.Has("secret"); err != nil || !ok {
					return // too late to see it
				}
				if err := s.Renew(); err != nil {
					t.Error(err)
				}
				switch err := s.Save(); {
				case err == nil:
					ids[i], _ = s.ID()
				case !errors.Is(err, session.ErrGone):
					t.Error(err)
				}
			})
			alive := 0
			for _, id := range ids {
				if id != "" {
					alive++
					_, ok := read(t, ms[0], id)
					require.True(t, ok)
				}
			}
			require.Equal(t, 1, alive)
			_, ok := read(t, ms[0], id)
			require.False(t, ok)
		}
	})
}

// TestGoroutinesOfOneRequest: the goroutines of one request share its session.
func TestGoroutinesOfOneRequest(t *testing.T) {
	count := session.NewKey[int]("count")
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.set("user", "ada")
		b.do(func(s *session.Session) {
			together(24, func(i int) {
				if err := s.Set(fmt.Sprint("key ", i), i); err != nil {
					t.Error(err)
				}
				if _, err := count.Update(s, plusOne); err != nil {
					t.Error(err)
				}
				var user string
				if ok, err := s.Get("user", &user); err != nil || !ok || user != "ada" {
					t.Error(user, ok, err)
				}
				_, _ = s.Keys()
				_, _ = s.Expires()
				_, _ = s.ID()
				_ = s.Modified()
				if err := s.Save(); err != nil {
					t.Error(err)
				}
				if i%2 == 0 {
					if err := s.Delete(fmt.Sprint("key ", i)); err != nil {
						t.Error(err)
					}
				}
			})
		})
		values := b.values()
		require.Len(t, values, 12+2)
		require.Equal(t, int64(24), values["count"])
	})
}

// TestNewSessionOfOneRequestIsMadeOnce, although several goroutines save it.
func TestNewSessionOfOneRequestIsMadeOnce(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		got := b.do(func(s *session.Session) {
			together(8, func(i int) {
				if err := s.Set(fmt.Sprint("key ", i), i); err != nil {
					t.Error(err)
				}
				if err := s.Save(); err != nil {
					t.Error(err)
				}
			})
		})
		require.Len(t, got.Cookies(), 1)
		require.Len(t, b.values(), 8)
		require.Equal(t, []session.EventKind{session.EventCreated}, a.kinds())
	})
}

// TestConflictsWithoutEnd: if a storage never lets a change through, the result
// is an error after a bounded number of tries, and the changes are still there.
func TestConflictsWithoutEnd(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		id := a.login("ada")
		a.store.take()
		a.store.fail(on("set", store.ErrConflict), nil)
		got := a.with([]string{"session_id=" + id}, func(s *session.Session) {
			require.NoError(t, s.Set("n", 1))
			require.ErrorIs(t, s.Save(), session.ErrConflict)
			require.True(t, s.Modified())
			require.LessOrEqual(t, len(a.store.take()), 1000)
			a.store.fail(nil, nil)
		})
		require.Equal(t, 200, got.StatusCode)
		ok, err := a.manager.Session(context.Background(), id).Has("n")
		require.NoError(t, err)
		require.True(t, ok)
	})
}
