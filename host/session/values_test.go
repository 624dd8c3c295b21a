package session_test

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestPopOfFalsyValues: a zero value is still a value.
func TestPopOfFalsyValues(t *testing.T) {
	overCodecs(t, func(t *testing.T, a *app) {
		for name, v := range map[string]any{"zero": 0, "empty": "", "false": false, "nil": nil, "no items": []int{}} {
			t.Run(name, func(t *testing.T) {
				b := a.browser()
				b.do(func(s *session.Session) {
					require.NoError(t, s.Set("v", v))
					require.NoError(t, s.Set("other", 1))
				})
				b.do(func(s *session.Session) {
					var got any = "not touched"
					ok, err := s.Pop("v", &got)
					require.NoError(t, err)
					require.True(t, ok)
					require.NotEqual(t, "not touched", got)
					require.False(t, s.Modified(), "it is saved")
					ok, err = s.Has("v")
					require.NoError(t, err)
					require.False(t, ok)
				})
				b.do(func(s *session.Session) {
					keys, err := s.Keys()
					require.NoError(t, err)
					require.Equal(t, []string{"other"}, keys)
				})
			})
		}
	})
}

func TestKeyPop(t *testing.T) {
	flash := session.NewKey[string]("flash")
	overStores(t, func(t *testing.T, s store.Store) {
		b := newApp(t, s).browser()
		b.do(func(s *session.Session) { require.NoError(t, flash.Set(s, "saved!")) })
		for _, want := range []string{"saved!", ""} {
			b.do(func(s *session.Session) {
				v, ok, err := flash.Pop(s)
				require.NoError(t, err)
				require.Equal(t, want != "", ok)
				require.Equal(t, want, v)
			})
		}
	})
}

// TestNestedChangesNeitherLeakNorStay: a request's changes to a value it read
// stay private until it sets the value again.
func TestNestedChangesNeitherLeakNorStay(t *testing.T) {
	key := session.NewKey[profile]("profile")
	first := func() profile { return profile{"ada", []string{"a"}, map[string]int{"n": 1}} }
	overCodecs(t, func(t *testing.T, a *app) {
		b := a.browser()
		b.do(func(s *session.Session) {
			mine := first()
			require.NoError(t, key.Set(s, mine))
			mine.Tags[0], mine.Extra["n"] = "changed", 2 // after Set: too late
			got, err := key.Get(s)
			require.NoError(t, err)
			require.Equal(t, first(), got)
		})
		b.do(func(s *session.Session) {
			got, err := key.Get(s)
			require.NoError(t, err)
			require.Equal(t, first(), got)
			got.Tags[0], got.Extra["n"] = "leaked", 3
			again, err := key.Get(s)
			require.NoError(t, err)
			require.Equal(t, first(), again)
			require.False(t, s.Modified())
		})
		b.do(func(s *session.Session) {
			got, err := key.Get(s)
			require.NoError(t, err)
			require.Equal(t, first(), got)
			got.Extra["n"] = 4
			require.NoError(t, key.Set(s, got))
		})
		b.do(func(s *session.Session) {
			got, err := key.Get(s)
			require.NoError(t, err)
			require.Equal(t, 4, got.Extra["n"])
		})
	})
}

// TestMembershipAndLengthBeforeLoad: each is the first thing that a request
// asks.
func TestMembershipAndLengthBeforeLoad(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		b := newApp(t, s).browser()
		b.do(func(s *session.Session) {
			require.NoError(t, s.Set("a", 0))
			require.NoError(t, s.Set("b", 0))
		})
		b.do(func(s *session.Session) {
			ok, err := s.Has("a")
			require.NoError(t, err)
			require.True(t, ok)
		})
		b.do(func(s *session.Session) {
			n, err := s.Len()
			require.NoError(t, err)
			require.Equal(t, 2, n)
		})
		b.do(func(s *session.Session) {
			require.NoError(t, s.Set("c", 0))
			require.NoError(t, s.Set("a", 1))
			n, err := s.Len()
			require.NoError(t, err)
			require.Equal(t, 3, n, "with changes that came before the load")
			require.NoError(t, s.Delete("b"))
			keys, err := s.Keys()
			require.NoError(t, err)
			require.ElementsMatch(t, []string{"a", "c"}, keys)
		})
	})
}

func TestClear(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, s *session.Session)
		left map[string]any
	}{
		{"clear", func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Clear())
			n, err := s.Len()
			require.NoError(t, err)
			require.Zero(t, n)
			ok, err := s.Has("user")
			require.NoError(t, err)
			require.False(t, ok)
		}, map[string]any{}},
		{"clear, then set", func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Clear())
			require.NoError(t, s.Set("a", "new"))
			n, err := s.Len()
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}, map[string]any{"a": "new"}},
		{"set, then clear", func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Set("a", "new"))
			require.NoError(t, s.Clear())
		}, map[string]any{}},
		{"clear, then remove", func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Clear())
			require.NoError(t, s.Delete("user"))
			require.NoError(t, s.Set("b", "x"))
			require.NoError(t, s.Delete("b"))
		}, map[string]any{}},
		{"clear, then update", func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Clear())
			_, err := session.NewKey[string]("user").Update(s, func(old string) (string, error) { return old + "!", nil })
			require.NoError(t, err)
		}, map[string]any{"user": "!"}},
		{"removing the last value one by one", func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Delete("user"))
			require.NoError(t, s.Delete("theme"))
		}, map[string]any{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s)
				b := a.browser()
				b.do(func(s *session.Session) {
					require.NoError(t, s.Set("user", "ada"))
					require.NoError(t, s.Set("theme", "dark"))
				})
				id := b.id()
				got := b.do(func(s *session.Session) { c.do(t, s) })
				require.Nil(t, got.cookie(), "the session stays, with its id")
				require.Equal(t, id, b.id())
				require.Equal(t, c.left, b.values())
				b.do(func(s *session.Session) {
					ok, err := s.Exists()
					require.NoError(t, err)
					require.True(t, ok, "empty is stored")
				})
			})
		})
	}
	t.Run("a new session with nothing but a clear is not stored", func(t *testing.T) {
		a := newApp(t, store.NewMemory())
		got := a.browser().do(func(s *session.Session) {
			require.NoError(t, s.Set("a", 1))
			require.NoError(t, s.Clear())
		})
		require.Nil(t, got.cookie())
		require.Empty(t, a.store.take())
	})
}

func TestValueOfAnotherTypeIsAbsent(t *testing.T) {
	number := session.NewKey[int]("v")
	for _, c := range []struct {
		name string
		v    any
	}{
		{"text", "the visitor's secret"},
		{"fraction", 12345.5},
		{"too large", uint64(1) << 63},
		{"map", map[string]string{"secret": "the visitor's secret"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			overCodecs(t, func(t *testing.T, a *app) {
				b := a.browser()
				b.set("v", c.v)
				a.takeEvents()
				b.do(func(s *session.Session) {
					v, ok, err := number.Lookup(s)
					require.NoError(t, err)
					require.False(t, ok)
					require.Zero(t, v)
				})
				events := a.takeEvents()
				require.Len(t, events, 1)
				require.Equal(t, session.EventCorrupt, events[0].Kind)
				require.ErrorIs(t, events[0].Err, session.ErrDecode)
				require.ErrorContains(t, events[0].Err, `"v"`)
				require.ErrorContains(t, events[0].Err, "int")
				require.NotEmpty(t, events[0].Session)
				for _, hidden := range []string{"secret", "12345", "9223372036854775808"} {
					require.NotContains(t, events[0].Err.Error(), hidden, "an event holds no value")
				}
				b.do(func(s *session.Session) {
					v, err := number.Update(s, func(old int) (int, error) { return old + 1, nil })
					require.NoError(t, err)
					require.Equal(t, 1, v, "Update begins with the zero value")
				})
			})
		})
	}
}

func TestTimeOfAnotherFormIsAbsent(t *testing.T) {
	overCodecs(t, func(t *testing.T, a *app) {
		b := a.browser()
		b.set("born", "the visitor's secret")
		a.takeEvents()
		b.do(func(s *session.Session) {
			_, ok, err := session.NewKey[time.Time]("born").Lookup(s)
			require.NoError(t, err)
			require.False(t, ok)
		})
		events := a.takeEvents()
		require.Len(t, events, 1)
		require.NotContains(t, events[0].Err.Error(), "secret")
	})
}

// foreign is a codec that writes as CBOR does but has another id.
type foreign struct{ session.Codec }

func (foreign) ID() uint8 { return 200 }

// TestRecordOfAnotherCodecIsAFreshSession: it is never decoded by guesswork.
func TestRecordOfAnotherCodecIsAFreshSession(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		other := newApp(t, s, func(s *session.Settings) { s.Codec = foreign{session.CBOR} })
		id := a.login("ada")
		require.Empty(t, other.peek(id))
		events := other.takeEvents()
		require.Len(t, events, 1)
		require.Equal(t, session.EventCorrupt, events[0].Kind)
		require.ErrorContains(t, events[0].Err, "codec 1")
		require.ErrorContains(t, events[0].Err, "codec 200")
		got := other.with([]string{"session_id=" + id}, func(s *session.Session) { require.NoError(t, s.Set("user", "bob")) })
		require.NotNil(t, got.cookie())
		require.NotEqual(t, id, got.cookie().Value)
		require.Equal(t, "ada", a.peek(id), "the record is left to those who can read it")
	})
}

func TestValuesThatCannotBeSet(t *testing.T) {
	s := newApp(t, store.NewMemory()).manager.Session(context.Background(), "")
	for _, c := range []struct {
		name string
		key  string
		v    any
		err  error
	}{
		{"no name", "", 1, session.ErrKey},
		{"name too long", strings.Repeat("x", session.MaxKey+1), 1, session.ErrKey},
		{"function", "f", func() {}, session.ErrEncode},
		{"channel", "c", make(chan int), session.ErrEncode},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := s.Set(c.key, c.v)
			require.ErrorIs(t, err, c.err)
			require.Less(t, len(err.Error()), 300)
			require.False(t, s.Modified())
		})
	}
	require.NoError(t, s.Set(strings.Repeat("x", session.MaxKey), 1))
	require.Panics(t, func() { session.NewKey[int]("") })
	require.Panics(t, func() { session.NewKey[int](strings.Repeat("x", session.MaxKey+1)) })
	err := s.Set(strings.Repeat("x", 1<<20), 1)
	require.ErrorIs(t, err, session.ErrKey)
	require.Less(t, len(err.Error()), 500, "an error does not repeat a megabyte")
}

func TestMaxSize(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, func(s *session.Settings) { s.MaxSize = 100 })
		b := a.browser()
		b.set("user", "ada")
		b.do(func(s *session.Session) {
			require.NoError(t, s.Set("big", strings.Repeat("x", 40)))
			require.ErrorIs(t, s.Save(), session.ErrTooLarge)
			require.True(t, s.Modified(), "what was not saved is still there")
			_, err := session.NewKey[string]("more").Update(s, func(string) (string, error) { return "x", nil })
			require.ErrorIs(t, err, session.ErrTooLarge)
			ok, err := s.Has("more")
			require.NoError(t, err)
			require.False(t, ok)
			require.NoError(t, s.Set("big", "x"))
			require.NoError(t, s.Save())
		})
		require.Equal(t, map[string]any{"user": "ada", "big": "x"}, b.values())
	})
}

func TestUpdate(t *testing.T) {
	count := session.NewKey[int]("count")
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		increment := func(n int) (int, error) { return n + 1, nil }
		got := b.do(func(s *session.Session) {
			n, err := count.Update(s, increment)
			require.NoError(t, err)
			require.Equal(t, 1, n)
			require.False(t, s.Modified(), "it is saved")
		})
		require.NotNil(t, got.cookie())
		t.Run("takes the other changes along", func(t *testing.T) {
			b.do(func(s *session.Session) {
				require.NoError(t, s.Set("user", "ada"))
				require.NoError(t, count.Set(s, 10))
				n, err := count.Update(s, increment)
				require.NoError(t, err)
				require.Equal(t, 11, n)
				require.False(t, s.Modified())
			})
			require.Equal(t, map[string]any{"user": "ada", "count": int64(11)}, b.values())
		})
		t.Run("an error of the function changes nothing", func(t *testing.T) {
			a.store.take()
			b.do(func(s *session.Session) {
				n, err := count.Update(s, func(int) (int, error) { return 99, errFault })
				require.Equal(t, errFault, err, "as it is")
				require.Zero(t, n)
				n, err = count.Get(s)
				require.NoError(t, err)
				require.Equal(t, 11, n)
				require.False(t, s.Modified())
			})
			require.Equal(t, []string{"get"}, names(a.store.take()))
		})
		t.Run("a panic of the function leaves the session usable", func(t *testing.T) {
			b.do(func(s *session.Session) {
				require.Panics(t, func() { _, _ = count.Update(s, func(int) (int, error) { panic("x") }) })
				n, err := count.Update(s, increment)
				require.NoError(t, err)
				require.Equal(t, 12, n)
			})
		})
		t.Run("is done anew with the newer value", func(t *testing.T) {
			var seen []int
			n, err := count.Update(a.manager.Session(context.Background(), b.id()), func(n int) (int, error) {
				if seen = append(seen, n); len(seen) == 1 {
					b.set("count", 50)
				}
				return n + 1, nil
			})
			require.NoError(t, err)
			require.Equal(t, 51, n)
			require.Equal(t, []int{12, 50}, seen)
			require.Contains(t, a.kinds(), session.EventConflict)
		})
		t.Run("a fault of the storage changes nothing", func(t *testing.T) {
			a.store.fail(on("set", store.ErrUnavailable), nil)
			s := a.manager.Session(context.Background(), b.id())
			_, err := count.Update(s, increment)
			a.store.fail(nil, nil)
			require.ErrorIs(t, err, store.ErrUnavailable)
			n, err := count.Get(s)
			require.NoError(t, err)
			require.Equal(t, 51, n)
			require.False(t, s.Modified())
		})
	})
}

func TestParseValues(t *testing.T) {
	block := []byte("\x01a\x012" + "\x01b\x00") // a: 2, b: nothing
	v, err := session.ParseValues(block)
	require.NoError(t, err)
	require.Equal(t, block, v.Bytes())
	require.Equal(t, map[string][]byte{"a": []byte("2"), "b": {}}, maps.Collect(v.All()))
	for range v.All() {
		break // a loop may end early
	}
	for n := 1; n < len(block); n++ {
		cut, err := session.ParseValues(block[:n])
		if n == 4 { // after the first value
			require.NoError(t, err)
			require.Len(t, maps.Collect(cut.All()), 1)
			continue
		}
		require.ErrorIs(t, err, session.ErrDecode, "cut at %d", n)
	}
	none, err := session.ParseValues(nil)
	require.NoError(t, err)
	require.Empty(t, maps.Collect(none.All()))
	_, err = session.ParseValues([]byte("\x00\x011"))
	require.ErrorIs(t, err, session.ErrDecode, "a name that is empty")
}
