package session_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// stream is a request that has begun its response and runs until it is
// released.
type stream struct {
	t    *testing.T
	ops  chan func(s *session.Session)
	done chan struct{}
}

// do runs f in the stream.
func (st *stream) do(f func(s *session.Session)) {
	st.t.Helper()
	done := make(chan struct{})
	st.ops <- func(s *session.Session) { defer close(done); f(s) }
	<-done
	if st.t.Failed() {
		st.t.FailNow() // the check ended the stream
	}
}

// stream begins a response with an id. It goes on over a connection of its own.
func (a *app) stream(id string) *stream {
	a.t.Helper()
	st := &stream{t: a.t, ops: make(chan func(*session.Session)), done: make(chan struct{})}
	url := a.route(func(w http.ResponseWriter, r *http.Request) {
		defer close(st.done)
		s := session.From(r)
		look(s)
		_, _ = io.WriteString(w, "begun\n")
		_ = http.NewResponseController(w).Flush()
		for op := range st.ops {
			op(s)
		}
	})
	r, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(a.t, err)
	r.Header.Set("Cookie", "session_id="+id)
	resp, err := a.server.Client().Do(r)
	require.NoError(a.t, err)
	require.True(a.t, bufio.NewScanner(resp.Body).Scan())
	a.t.Cleanup(func() { close(st.ops); <-st.done; resp.Body.Close() })
	return st
}

// TestStreamIsLedOn: a stream outlives timed renewals of its session's id, and
// many graces. Its changes are in the session, its new reads see the session,
// and it hears of the log-out.
func TestStreamIsLedOn(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, renewing, seal)
		b := a.browser()
		b.set("user", "ada")
		first := b.id()
		st := a.stream(first)
		renew := func(times int) {
			for range times {
				a.clock.Advance(every)
				before := b.id()
				b.do(func(s *session.Session) {
					_, err := session.Increment(s, session.NewKey[int]("pages"), 1)
					require.NoError(t, err)
				})
				require.NotEqual(t, before, b.id())
			}
		}
		renew(3)
		require.Empty(t, a.peek(first), "a client of the first id is long too late")
		st.do(func(s *session.Session) {
			alive, err := s.Alive()
			require.NoError(t, err)
			require.True(t, alive)
			n, err := session.NewKey[int]("pages").Get(s)
			require.NoError(t, err)
			require.Zero(t, n, "what it reads stays until it looks again")
			require.NoError(t, s.Set("position", 1))
			require.NoError(t, s.Save())
			id, err := s.ID()
			require.NoError(t, err)
			require.Equal(t, b.id(), id)
		})
		renew(4)
		st.do(func(s *session.Session) { // without an access in between
			_, err := session.Increment(s, session.NewKey[int]("position"), 1)
			require.NoError(t, err)
		})
		require.Equal(t, map[string]any{"user": "ada", "pages": int64(7), "position": int64(2)}, b.values())
		renew(2)
		st.do(func(s *session.Session) {
			require.NoError(t, s.Reload())
			n, err := session.NewKey[int]("pages").Get(s)
			require.NoError(t, err)
			require.Equal(t, 9, n)
		})
		renew(1)
		b.do(func(s *session.Session) { require.NoError(t, s.Destroy()) })
		st.do(func(s *session.Session) {
			alive, err := s.Alive()
			require.NoError(t, err)
			require.False(t, alive)
			require.NoError(t, s.Set("position", 3))
			err = s.Save()
			require.ErrorIs(t, err, session.ErrGone)
			require.NotErrorIs(t, err, session.ErrRenewed)
		})
	})
}

// TestStreamThatIsQuietForLong: the stream follows timed renewals if it
// accesses the session once an hour, or once in sixty-four timed renewals. The
// same numbers bound what timed renewal leaves.
func TestStreamThatIsQuietForLong(t *testing.T) {
	for _, c := range []struct {
		every, kept time.Duration
		most        int
	}{
		{10 * time.Minute, hour, 6},
		{10 * time.Second, 640 * time.Second, 64},
	} {
		overStores(t, func(t *testing.T, s store.Store) {
			a := newApp(t, s, func(s *session.Settings) { s.RenewEvery, s.RenewGrace = c.every, c.every/10 })
			for _, late := range []bool{false, true} {
				b := a.browser()
				b.set("user", "ada")
				id := b.id()
				st := a.stream(id)
				a.clock.Advance(c.every)
				b.do(look)
				for passed := time.Duration(0); passed < c.kept-c.every; passed += c.every {
					a.clock.Advance(c.every)
					b.do(look)
				}
				a.clock.Advance(c.every - ms)
				if late {
					a.clock.Advance(ms)
				}
				st.do(func(s *session.Session) {
					require.NoError(t, s.Set("n", 1))
					if late {
						require.ErrorIs(t, s.Save(), session.ErrGone)
					} else {
						require.NoError(t, s.Save())
					}
				})
				require.NotEmpty(t, b.values())
			}
			require.LessOrEqual(t, records(t, a), 2*(1+c.most))
		})
	}
}

// TestStreamMeetsARenewal: another request's log-in ends the stream's session,
// and the error says that the session lives on.
func TestStreamMeetsARenewal(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		for _, ending := range endings {
			for _, renewals := range []int{0, 2} {
				require.NoError(t, store.Clear(ctx, s, clockStart))
				a := newApp(t, s, renewing, seal)
				b := a.browser()
				b.do(func(s *session.Session) {
					require.NoError(t, s.LogIn("before", nil))
					require.NoError(t, s.Set("user", "ada"))
				})
				writes, looks, idle := a.stream(b.id()), a.stream(b.id()), a.stream(b.id())
				for range renewals {
					a.clock.Advance(every)
					b.do(look)
				}
				ending.do(t, a, b)
				a.kinds()
				writes.do(func(s *session.Session) {
					require.NoError(t, s.Set("n", 1))
					require.ErrorIs(t, s.Save(), ending.by)
					require.ErrorIs(t, s.Reload(), ending.by, "and again")
				})
				require.Contains(t, a.kinds(), session.EventGone)
				looks.do(func(s *session.Session) {
					require.NoError(t, s.Set("n", 1))
					err := s.Reload()
					require.ErrorIs(t, err, ending.by)
					require.Equal(t, ending.renewed, errors.Is(err, session.ErrRenewed))
					require.False(t, s.Modified(), "dropped")
					keys, err := s.Keys()
					require.NoError(t, err)
					require.Empty(t, keys)
				})
				require.Contains(t, a.kinds(), session.EventGone)
				idle.do(func(s *session.Session) {
					alive, err := s.Alive()
					require.NoError(t, err)
					require.False(t, alive)
					require.ErrorIs(t, s.Reload(), ending.by)
				})
				require.NotContains(t, a.kinds(), session.EventGone, "nothing was dropped")
				if ending.renewed {
					require.Equal(t, map[string]any{"user": "ada"}, b.values())
				}
			}
		}
	})
}

// TestReload: the request sees what is stored now, beneath its own changes.
func TestReload(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, seal)
		b := a.browser()
		b.set("a", "old")
		b.set("b", "old")
		id := b.id()
		b.do(func(s *session.Session) {
			look(s)
			require.NoError(t, s.Set("a", "mine"))
			other := a.manager.Session(ctx, id)
			require.NoError(t, other.Set("a", "theirs"))
			require.NoError(t, other.Set("b", "theirs"))
			require.NoError(t, other.Save())
			read := func(key string) (v string) {
				_, err := s.Get(key, &v)
				require.NoError(t, err)
				return v
			}
			require.Equal(t, "old", read("b"))
			require.NoError(t, s.Reload())
			require.Equal(t, "theirs", read("b"))
			require.Equal(t, "mine", read("a"))
			require.True(t, s.Modified())
		})
		require.Equal(t, map[string]any{"a": "mine", "b": "theirs"}, b.values())

		t.Run("of nothing", func(t *testing.T) {
			a.store.take()
			fresh := a.manager.Session(ctx, "")
			require.NoError(t, fresh.Set("n", 1))
			require.NoError(t, fresh.Reload())
			ok, err := fresh.Alive()
			require.NoError(t, err)
			require.False(t, ok)
			require.True(t, fresh.Modified())
			require.Empty(t, a.store.take())
		})
		t.Run("as the first look", func(t *testing.T) {
			s := a.manager.Session(ctx, id)
			require.NoError(t, s.Reload())
			a.store.take()
			ok, err := s.Has("a")
			require.NoError(t, err)
			require.True(t, ok)
			require.Empty(t, a.store.take())
			ok, err = a.manager.Session(ctx, id).Alive()
			require.NoError(t, err)
			require.True(t, ok)
		})
		t.Run("that fails", func(t *testing.T) {
			s := a.manager.Session(ctx, id)
			look(s)
			require.NoError(t, s.Set("n", 1))
			a.store.fail(on("get", store.ErrUnavailable), nil)
			a.kinds()
			require.ErrorIs(t, s.Reload(), store.ErrUnavailable)
			ok, err := s.Alive()
			require.ErrorIs(t, err, store.ErrUnavailable)
			require.False(t, ok)
			a.store.fail(nil, nil)
			require.Equal(t, []session.EventKind{session.EventUnavailable, session.EventUnavailable}, a.kinds())
			require.True(t, s.Modified())
			require.NoError(t, s.Save())
		})
	})
}

// TestIdleEndOfALongRequest: it moves at each access of the request, also
// beside other requests that change the session. Alive is no access.
func TestIdleEndOfALongRequest(t *testing.T) {
	for _, c := range []struct {
		name  string
		look  func(s *session.Session) error
		lives bool
	}{
		{"reload", func(s *session.Session) error { return s.Reload() }, true},
		{"save", func(s *session.Session) error { return s.Save() }, true},
		{"alive", func(s *session.Session) error { _, err := s.Alive(); return err }, false},
		{"a read", func(s *session.Session) error { _, err := s.Has("user"); return err }, false},
	} {
		for _, others := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				overStores(t, func(t *testing.T, s store.Store) {
					a := newApp(t, s, func(s *session.Settings) { s.IdleTimeout = hour })
					b := a.browser()
					b.set("user", "ada")
					st := a.stream(b.id())
					for i := range 10 {
						if others && i == 1 {
							b.set("n", i)
						}
						a.clock.Advance(hour / 4)
						st.do(func(s *session.Session) { require.NoError(t, c.look(s)) })
					}
					require.Equal(t, c.lives, a.peek(b.id()) == "ada")
				})
			})
		}
	}
	t.Run("and costs no more than a tenth of the timeout asks for", func(t *testing.T) {
		a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.IdleTimeout = hour })
		id := a.login("ada")
		st := a.stream(id)
		a.store.take()
		for range 60 {
			a.clock.Advance(time.Minute)
			st.do(func(s *session.Session) { require.NoError(t, s.Reload()) })
		}
		sets := 0
		for _, name := range names(a.store.take()) {
			if name == "set" {
				sets++
			}
		}
		require.Equal(t, 10, sets)
	})
}
