package session_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// lesson is a fault that another session library had.
type lesson struct {
	name string
	test func(t *testing.T, s store.Store)
}

// TestLessonsOfPredecessor has one case for each fault of the session system
// whose settings this package takes over. Faults that only a store can have, in
// ordering its shards and bounding its memory, are tested with the stores.
func TestLessonsOfPredecessor(t *testing.T) {
	for _, l := range []lesson{
		{"the cookie's value is no path", func(t *testing.T, s store.Store) {
			dir := t.TempDir()
			victim := dir + "/" + strings.Repeat("v", 43)
			require.NoError(t, os.MkdirAll(victim+"/below", 0o700))
			a := newApp(t, s)
			for _, value := range []string{victim, "../" + strings.Repeat("v", 40), strings.Repeat("../", 14) + "x"} {
				a.with([]string{"session_id=" + value}, func(s *session.Session) {
					_, err := s.Has("user") // a miss, which there removed what the path led to
					require.NoError(t, err)
					require.NoError(t, s.Destroy())
				})
			}
			require.Empty(t, a.store.take(), "it is refused before any storage is asked")
			require.DirExists(t, victim+"/below")
			a.login("ada")
			for _, o := range a.store.take() {
				require.Len(t, o.key, 32, "a key is a hash, whatever the cookie was")
			}
		}},
		{"an id that a client made up is not adopted", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			made := strings.Repeat("m", 42) + "A"
			got := a.with([]string{"session_id=" + made}, func(s *session.Session) { require.NoError(t, s.Set("user", "ada")) })
			require.NotEqual(t, made, got.cookie().Value)
			require.Empty(t, a.peek(made))
		}},
		{"log-in changes the id", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			b := a.browser()
			b.set("basket", 1)
			before := b.id()
			b.do(func(s *session.Session) {
				require.NoError(t, s.Renew())
				require.NoError(t, s.Set("user", "ada"))
			})
			require.NotEqual(t, before, b.id())
			require.Empty(t, a.peek(before))
		}},
		{"clear is a change, and logs out", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			b := a.browser()
			b.set("user", "ada")
			b.do(func(s *session.Session) { require.NoError(t, s.Clear()) })
			require.Empty(t, a.peek(b.id()))
		}},
		{"an expired session is neither read nor revived under its id", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			id := a.login("ada")
			a.clock.Advance(7 * day)
			var user string
			got := a.with([]string{"session_id=" + id}, func(s *session.Session) {
				_, err := s.Get("user", &user)
				require.NoError(t, err)
				require.NoError(t, s.Set("n", 1))
			})
			require.Empty(t, user)
			require.NotEqual(t, id, got.cookie().Value)
		}},
		{"membership before load is right", func(t *testing.T, s store.Store) {
			b := newApp(t, s).browser()
			b.set("user", "ada")
			b.do(func(s *session.Session) {
				ok, err := s.Has("user")
				require.NoError(t, err)
				require.True(t, ok)
			})
		}},
		{"length before load is right", func(t *testing.T, s store.Store) {
			b := newApp(t, s).browser()
			b.set("user", "ada")
			b.do(func(s *session.Session) {
				n, err := s.Len()
				require.NoError(t, err)
				require.Equal(t, 1, n)
			})
		}},
		{"popping a falsy value is saved", func(t *testing.T, s store.Store) {
			b := newApp(t, s).browser()
			b.set("n", 0)
			b.do(func(s *session.Session) {
				ok, err := s.Pop("n", new(int))
				require.NoError(t, err)
				require.True(t, ok)
			})
			require.Empty(t, b.values())
		}},
		{"nested changes are not lost: they are set or they are not", func(t *testing.T, s store.Store) {
			basket := session.NewKey[map[string]int]("basket")
			b := newApp(t, s).browser()
			b.set("basket", map[string]int{"duck": 1})
			b.do(func(s *session.Session) {
				_, err := basket.Update(s, func(m map[string]int) (map[string]int, error) { m["duck"]++; return m, nil })
				require.NoError(t, err)
			})
			b.do(func(s *session.Session) {
				m, err := basket.Get(s)
				require.NoError(t, err)
				require.Equal(t, map[string]int{"duck": 2}, m)
			})
		}},
		{"nested changes do not leak into other requests", func(t *testing.T, s store.Store) {
			basket := session.NewKey[map[string]int]("basket")
			b := newApp(t, s).browser()
			b.set("basket", map[string]int{"duck": 1})
			b.do(func(s *session.Session) {
				m, err := basket.Get(s)
				require.NoError(t, err)
				m["leak"] = 1
			})
			b.do(func(s *session.Session) {
				m, err := basket.Get(s)
				require.NoError(t, err)
				require.Equal(t, map[string]int{"duck": 1}, m)
			})
		}},
		{"the last writer does not win over the whole session", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			b := a.browser()
			b.set("user", "ada")
			b.do(func(s *session.Session) {
				_, err := s.Has("user")
				require.NoError(t, err)
				other := a.manager.Session(context.Background(), b.id())
				require.NoError(t, other.Set("theirs", 1))
				require.NoError(t, other.Save())
				require.NoError(t, s.Set("mine", 1))
			})
			require.Len(t, b.values(), 3)
		}},
		{"an explicit save does not lose the cookie", func(t *testing.T, s store.Store) {
			b := newApp(t, s).browser()
			b.do(func(s *session.Session) {
				require.NoError(t, s.Set("user", "ada"))
				require.NoError(t, s.Save())
			})
			require.Len(t, b.values(), 1)
		}},
		{"the storage's time to live is the session's own", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			b := a.browser()
			b.do(func(s *session.Session) { require.NoError(t, s.SetExpiry(hour)) })
			require.Equal(t, at(hour).UnixMilli(), storedExpiry(t, a, b.id()))
		}},
		{"what Save promises, the storage was asked for", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			session1 := a.manager.Session(context.Background(), "")
			require.NoError(t, session1.Set("user", "ada"))
			require.NoError(t, session1.Save())
			require.Equal(t, []string{"set"}, names(a.store.take()))
		}},
		{"an update gives back what it stored", func(t *testing.T, s store.Store) {
			count := session.NewKey[int]("count")
			a := newApp(t, s)
			id := a.login("ada")
			for want := 1; want <= 20; want++ {
				s := a.manager.Session(context.Background(), id)
				n, err := count.Update(s, plusOne)
				require.NoError(t, err)
				require.Equal(t, want, n)
				n, err = count.Get(s)
				require.NoError(t, err)
				require.Equal(t, want, n)
				n, err = count.Get(a.manager.Session(context.Background(), id))
				require.NoError(t, err)
				require.Equal(t, want, n)
			}
		}},
		{"a sealed record cannot be swapped between ids", func(t *testing.T, s store.Store) {
			a := newApp(t, s, func(s *session.Settings) { s.Keyring = keyring(t, secretNew) })
			victim, attacker := a.login("root"), a.login("eve")
			value, err := s.Get(context.Background(), []byte(storageKeyOf(victim)), clockStart)
			require.NoError(t, err)
			require.NoError(t, s.Set(context.Background(), store.Write{Key: []byte(storageKeyOf(attacker)), Value: value, Now: clockStart}))
			require.Empty(t, a.peek(attacker))
			require.Equal(t, "root", a.peek(victim))
		}},
		{"keys rotate", func(t *testing.T, s store.Store) {
			old := newApp(t, s, func(s *session.Settings) { s.Keyring = keyring(t, secretOld) })
			id := old.login("ada")
			rotated := newApp(t, s, func(s *session.Settings) { s.Keyring = keyring(t, secretNew, secretOld) })
			require.Equal(t, "ada", rotated.peek(id))
		}},
	} {
		t.Run(l.name, func(t *testing.T) { overStores(t, l.test) })
	}
}

// TestRulesOfAdvisories has one case for each rule that the advisories and
// issues of session libraries teach.
func TestRulesOfAdvisories(t *testing.T) {
	loaded := func(t *testing.T, s *session.Session) {
		t.Helper()
		ok, err := s.Has("user")
		require.NoError(t, err)
		require.True(t, ok)
	}
	for _, l := range []lesson{
		{"delete wins over a concurrent write", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			b := a.browser()
			b.set("user", "ada")
			id := b.id()
			a.with([]string{"session_id=" + id}, func(s *session.Session) {
				loaded(t, s)
				b.do(func(s *session.Session) { require.NoError(t, s.Destroy()) })
				require.NoError(t, s.Set("n", 1))
			})
			require.Empty(t, a.peek(id))
		}},
		{"delete wins over an idle-timeout refresh", func(t *testing.T, s store.Store) {
			a := newApp(t, s, func(s *session.Settings) { s.IdleTimeout = hour })
			b := a.browser()
			b.set("user", "ada")
			id := b.id()
			a.clock.Advance(hour / 2)
			a.store.take()
			a.with([]string{"session_id=" + id}, func(s *session.Session) {
				loaded(t, s)
				b.do(func(s *session.Session) { require.NoError(t, s.Destroy()) })
			})
			require.Contains(t, names(a.store.take()), "set", "the refresh was tried")
			require.Empty(t, a.peek(id))
		}},
		{"an unknown id gets a fresh one", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			unknown := strings.Repeat("A", 43)
			got := a.with([]string{"session_id=" + unknown}, func(s *session.Session) { require.NoError(t, s.Set("n", 1)) })
			require.NotEqual(t, unknown, got.cookie().Value)
		}},
		{"ids are checked before any call of the engine", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			a.with([]string{"session_id=" + strings.Repeat("/", 43)}, func(s *session.Session) { _, _ = s.Has("user") })
			require.Empty(t, a.store.take())
		}},
		{"reads, junk ids and the logout of nobody write nothing", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			id := a.login("ada")
			a.store.take()
			for _, cookie := range []string{id, "junk", strings.Repeat("A", 43)} {
				a.with([]string{"session_id=" + cookie}, func(s *session.Session) {
					_, err := s.Keys()
					require.NoError(t, err)
				})
			}
			for _, cookie := range []string{"junk", strings.Repeat("A", 43)} {
				a.with([]string{"session_id=" + cookie}, func(s *session.Session) { require.NoError(t, s.Destroy()) })
			}
			require.NotContains(t, names(a.store.take()), "set")
		}},
		{"Vary: Cookie where the session was looked at, and only there", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			require.Equal(t, "Cookie", a.with(nil, func(s *session.Session) { _, _ = s.Has("user") }).Header.Get("Vary"))
			require.Empty(t, a.with(nil, func(*session.Session) {}).Header["Vary"])
		}},
		{"records are looked up by hash", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			id := a.login("ada")
			require.Equal(t, storageKeyOf(id), string(a.store.take()[0].key))
		}},
		{"a record that does not decode is a fresh session and an event", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			id := a.login("ada")
			require.NoError(t, s.Set(context.Background(), store.Write{Key: []byte(storageKeyOf(id)), Value: []byte("garbage, garbage"), Now: clockStart}))
			a.kinds()
			for range 2 {
				got := a.with([]string{"session_id=" + id}, func(s *session.Session) {
					exists, err := s.Exists()
					require.NoError(t, err)
					require.False(t, exists)
				})
				require.Equal(t, http.StatusOK, got.StatusCode)
			}
			require.Equal(t, []session.EventKind{session.EventCorrupt, session.EventCorrupt}, a.kinds())
		}},
		{"and never another decoder's", func(t *testing.T, s store.Store) {
			id := newApp(t, s, func(s *session.Settings) { s.Codec = session.JSON }).login("ada")
			require.Empty(t, newApp(t, s).peek(id))
		}},
		{"ids are in no error and no event", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			id := a.login("ada")
			require.NoError(t, a.manager.Session(context.Background(), id).Destroy())
			for _, e := range a.takeEvents() {
				require.NotContains(t, fmt.Sprintf("%+v", e), id)
			}
		}},
		{"empty is saved", func(t *testing.T, s store.Store) {
			b := newApp(t, s).browser()
			b.set("user", "ada")
			b.do(func(s *session.Session) { require.NoError(t, s.Delete("user")) })
			require.Empty(t, b.values())
		}},
		{"the commit comes before the first byte", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			a.browser().serve(func(w http.ResponseWriter, r *http.Request) {
				require.NoError(t, session.From(r).Set("user", "ada"))
				_, _ = w.Write([]byte("x"))
				require.Equal(t, []string{"set"}, names(a.store.take()))
			})
		}},
		{"before Flush", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			a.browser().serve(func(w http.ResponseWriter, r *http.Request) {
				require.NoError(t, session.From(r).Set("user", "ada"))
				w.(http.Flusher).Flush()
				require.Equal(t, []string{"set"}, names(a.store.take()))
			})
		}},
		{"and not before an informational response", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			a.browser().serve(func(w http.ResponseWriter, r *http.Request) {
				require.NoError(t, session.From(r).Set("user", "ada"))
				w.WriteHeader(http.StatusEarlyHints)
				require.Empty(t, a.store.take())
			})
		}},
		{"a late change that needs a cookie is an error somebody sees", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			a.browser().serve(func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte("x"))
				require.NoError(t, session.From(r).Set("user", "ada"))
			})
			require.Equal(t, []session.EventKind{session.EventFailed}, a.kinds())
		}},
		{"renewal writes the new record before it removes the old", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			old := a.login("ada")
			a.store.take()
			renewed := a.manager.Session(context.Background(), old)
			require.NoError(t, renewed.Renew())
			require.NoError(t, renewed.Save())
			log := a.store.take()
			require.Equal(t, []string{"get", "set", "set"}, names(log))
			require.NotEqual(t, storageKeyOf(old), string(log[1].key))
			require.Equal(t, storageKeyOf(old), string(log[2].key))
		}},
		{"after a log-in the old id reaches nothing, also for a request that was under way", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			b := a.browser()
			b.set("user", "nobody")
			old := b.id()
			a.with([]string{"session_id=" + old}, func(s *session.Session) {
				loaded(t, s)
				b.do(func(s *session.Session) {
					require.NoError(t, s.Renew())
					require.NoError(t, s.Set("user", "ada"))
				})
				require.NoError(t, s.Set("n", 1))
			})
			require.Empty(t, a.peek(old))
			require.Equal(t, map[string]any{"user": "ada"}, b.values())
		}},
		{"no lock is held over the storage that another session would wait for", func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			slow, quick := a.login("slow"), a.login("quick")
			a.store.fail(func(o operation) error {
				if string(o.key) == storageKeyOf(slow) {
					require.Equal(t, "quick", a.peek(quick))
				}
				return nil
			}, nil)
			require.Equal(t, "slow", a.peek(slow))
		}},
	} {
		t.Run(l.name, func(t *testing.T) { overStores(t, l.test) })
	}
}
