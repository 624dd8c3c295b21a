package session_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func TestRenew(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.set("user", "ada")
		old := b.id()
		a.kinds()
		a.store.take()
		got := b.do(func(s *session.Session) { require.NoError(t, s.Renew()) })
		require.NotNil(t, got.cookie())
		require.NotEqual(t, old, b.id())
		require.Equal(t, []session.EventKind{session.EventRenewed}, a.kinds())
		require.Equal(t, map[string]any{"user": "ada"}, b.values())
		require.Empty(t, a.peek(old), "the old id reaches nothing")
		requireTombstone(t, a, old)

		writes := a.store.take()
		require.Equal(t, storageKeyOf(b.id()), string(writes[1].key), "the new record comes first")
		require.Equal(t, store.Absent, writes[1].expect)
		require.Equal(t, storageKeyOf(old), string(writes[2].key), "then the old one goes")
		require.NotEqual(t, store.Any, writes[2].expect, "on the condition that it is unchanged")
	})
}

func TestRenewOfNothing(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.do(func(s *session.Session) {
			require.NoError(t, s.Renew())
			require.NoError(t, s.Set("user", "ada"))
		})
		require.Equal(t, map[string]any{"user": "ada"}, b.values())
		require.Equal(t, []session.EventKind{session.EventCreated}, a.kinds())
	})
}

func TestRenewKeepsTimesAndOwnExpiry(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.do(func(s *session.Session) { require.NoError(t, s.SetExpiry(hour)) })
		a.clock.Advance(hour / 2)
		got := b.do(func(s *session.Session) { require.NoError(t, s.Renew()) })
		require.Equal(t, 3600, got.cookie().MaxAge)
		b.do(func(s *session.Session) {
			created, err := s.Created()
			require.NoError(t, err)
			require.Equal(t, at(0), created)
			expires, err := s.Expires()
			require.NoError(t, err)
			require.Equal(t, at(hour+hour/2), expires)
		})
	})
}

// TestRenewMeetsOthers: changes that another request stored under the old id
// during the renewal are kept. If it ended the session, that wins.
func TestRenewMeetsOthers(t *testing.T) {
	// Each case does something under the old id after the renewing request has
	// accessed the session, or between its two writes.
	for _, c := range []struct {
		name  string
		other func(t *testing.T, a *app, old string)
		gone  bool
		left  map[string]any
	}{
		{"a change", func(t *testing.T, a *app, old string) {
			s := a.manager.Session(context.Background(), old)
			require.NoError(t, s.Set("other", "x"))
			require.NoError(t, s.Save())
		}, false, map[string]any{"user": "ada", "mine": true, "other": "x"}},
		{"a logout", func(t *testing.T, a *app, old string) {
			require.NoError(t, a.manager.Session(context.Background(), old).Destroy())
		}, true, nil},
		{"another renewal", func(t *testing.T, a *app, old string) {
			s := a.manager.Session(context.Background(), old)
			require.NoError(t, s.Renew())
			require.NoError(t, s.Save())
		}, true, nil},
	} {
		for _, when := range []string{"after the look", "between the writes"} {
			t.Run(c.name+" "+when, func(t *testing.T) {
				overStores(t, func(t *testing.T, s store.Store) {
					a := newApp(t, s)
					b := a.browser()
					b.set("user", "ada")
					old := b.id()
					held := 0
					got := b.do(func(s *session.Session) {
						_, err := s.Has("user")
						require.NoError(t, err)
						require.NoError(t, s.Renew())
						require.NoError(t, s.Set("mine", true))
						if when == "after the look" {
							c.other(t, a, old)
							return
						}
						a.store.fail(nil, func(o operation) error {
							if o.name == "set" && o.expect == store.Absent && held == 0 {
								held++
								c.other(t, a, old)
							}
							return nil
						})
					})
					a.store.fail(nil, nil)
					require.Empty(t, a.peek(old))
					if c.gone {
						require.Equal(t, http.StatusConflict, got.StatusCode, "a log-in that failed must not look like one that did not")
						require.Nil(t, got.cookie())
						require.Contains(t, a.kinds(), session.EventGone)
						return
					}
					require.Equal(t, http.StatusOK, got.StatusCode)
					require.NotEqual(t, old, b.id())
					require.Equal(t, c.left, b.values())
				})
			})
		}
	}
}

// TestChangeMeetsRenewal is the reverse: a slow request that ends after the
// renewal must neither bring back the old id nor reach the new session.
func TestChangeMeetsRenewal(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.set("user", "ada")
		old := b.id()
		slow := a.with([]string{"session_id=" + old}, func(s *session.Session) {
			_, err := s.Has("user")
			require.NoError(t, err)
			b.do(func(s *session.Session) { require.NoError(t, s.Renew()) })
			require.NoError(t, s.Set("late", true))
			require.ErrorIs(t, s.Save(), session.ErrGone)
		})
		require.Nil(t, slow.cookie())
		require.Empty(t, a.peek(old))
		require.Equal(t, map[string]any{"user": "ada"}, b.values())
	})
}

// TestRenewSurvivesFaults: whichever write fails, the cookie that the browser
// has then still names a session.
func TestRenewSurvivesFaults(t *testing.T) {
	newRecord := func(o operation) bool { return o.name == "set" && o.expect == store.Absent }
	oldRecord := func(o operation) bool { return o.name == "set" && o.expect > 0 }
	for _, c := range []struct {
		name          string
		before, after func(o operation) bool
	}{
		{"the load", func(o operation) bool { return o.name == "get" }, nil},
		{"the new record", newRecord, nil},
		{"the new record, after it was written", nil, newRecord},
		{"the removal of the old one", oldRecord, nil},
		{"the removal of the old one and the clean-up", func(o operation) bool { return oldRecord(o) || o.name == "delete" }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s)
				b := a.browser()
				b.set("user", "ada")
				old := b.id()
				fault := func(when func(o operation) bool) func(operation) error {
					if when == nil {
						return nil
					}
					return func(o operation) error {
						if when(o) {
							return store.ErrUnavailable
						}
						return nil
					}
				}
				a.store.fail(fault(c.before), fault(c.after))
				got := b.do(func(s *session.Session) {
					require.NoError(t, s.Renew())
					require.NoError(t, s.Set("role", "admin"))
				})
				a.store.fail(nil, nil)
				require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
				require.Nil(t, got.cookie())
				require.Equal(t, old, b.id())
				require.Equal(t, map[string]any{"user": "ada"}, b.values())
			})
		})
	}
	t.Run("an answer that got lost", func(t *testing.T) {
		overStores(t, func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			b := a.browser()
			b.set("user", "ada")
			for _, lost := range []int{1, 1 << 30} {
				old := b.id()
				writes := 0
				a.store.fail(nil, func(o operation) error {
					if !oldRecord(o) {
						return nil
					}
					if writes++; writes > lost {
						return nil
					}
					return store.ErrUnavailable
				})
				got := b.do(func(s *session.Session) { require.NoError(t, s.Renew()) })
				a.store.fail(nil, nil)
				require.Equal(t, 2, writes, "what may not be durable is written once more")
				if lost == 1 {
					require.Equal(t, http.StatusOK, got.StatusCode, "the host looks whether it was done")
				} else {
					require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
				}
				require.NotEqual(t, old, b.id(), "the client has the new id either way")
				require.Empty(t, a.peek(old))
				require.Equal(t, map[string]any{"user": "ada"}, b.values())
			}
		})
	})
}

// TestFreshIdThatIsTaken: a broken source of random bits must not give one
// visitor's session to another.
func TestFreshIdThatIsTaken(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, func(s *session.Settings) { s.Rand = zeros{} })
		id := a.login("ada")
		got := a.with(nil, func(s *session.Session) { require.NoError(t, s.Set("user", "bob")) })
		require.Equal(t, http.StatusInternalServerError, got.StatusCode)
		require.Nil(t, got.cookie())
		require.Equal(t, "ada", a.peek(id))
		s2 := a.manager.Session(context.Background(), id)
		require.NoError(t, s2.Renew())
		require.ErrorIs(t, s2.Save(), store.ErrInternal)
		require.Equal(t, "ada", a.peek(id))
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestRandomBitsThatFail(t *testing.T) {
	a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.Rand = broken{} })
	got := a.with(nil, func(s *session.Session) {
		require.NoError(t, s.Set("user", "ada"))
		require.ErrorIs(t, s.Save(), errFault)
	})
	require.Equal(t, http.StatusInternalServerError, got.StatusCode)
	require.Empty(t, a.store.take())
}

type broken struct{}

func (broken) Read(p []byte) (int, error) { return len(p) / 2, errFault }
