package session_test

import (
	"fmt"
	"math"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var notices = session.NewFlash[string]("notices")

func (b *browser) takeFlash(f session.Flash[string]) (messages []string) {
	b.a.t.Helper()
	b.do(func(s *session.Session) {
		var err error
		messages, err = f.PopAll(s)
		require.NoError(b.a.t, err)
	})
	return messages
}

func (b *browser) addFlash(f session.Flash[string], messages ...string) {
	b.a.t.Helper()
	b.do(func(s *session.Session) {
		for _, m := range messages {
			require.NoError(b.a.t, f.Add(s, m))
		}
	})
}

func TestFlash(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, seal)
		b := a.browser()
		require.Empty(t, b.takeFlash(notices))
		require.Empty(t, b.id(), "looking for messages makes no session")
		b.addFlash(notices, "1", "2", "3", "4", "5", "6", "7", "8")
		a.clock.Advance(ms)
		b.addFlash(notices, "9", "")
		require.Empty(t, b.values(), "they are not among the values")
		require.Equal(t, []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", ""}, b.takeFlash(notices), "in order")
		require.Empty(t, b.takeFlash(notices), "shown once")

		t.Run("within one request", func(t *testing.T) {
			for _, b := range []*browser{a.browser(), b} {
				b.do(func(s *session.Session) {
					require.NoError(t, notices.Add(s, "now"))
					got, err := notices.PopAll(s)
					require.NoError(t, err)
					require.Equal(t, []string{"now"}, got)
					got, err = notices.PopAll(s)
					require.NoError(t, err)
					require.Empty(t, got)
				})
				require.Empty(t, b.takeFlash(notices))
			}
		})
		t.Run("queues do not mix", func(t *testing.T) {
			inner, other := session.NewFlash[string]("notices.more"), session.NewFlash[string]("notice")
			b.addFlash(notices, "a")
			b.addFlash(inner, "b")
			b.addFlash(other, "c")
			require.Equal(t, []string{"a"}, b.takeFlash(notices))
			require.Equal(t, []string{"b"}, b.takeFlash(inner))
			require.Equal(t, []string{"c"}, b.takeFlash(other))
		})
		t.Run("a renewal keeps them, the end does not", func(t *testing.T) {
			b.addFlash(notices, "welcome")
			b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
			require.Equal(t, []string{"welcome"}, b.takeFlash(notices))
			b.addFlash(notices, "secret")
			b.do(func(s *session.Session) {
				require.NoError(t, s.Destroy())
				require.NoError(t, notices.Add(s, "bye"))
			})
			require.Equal(t, []string{"bye"}, b.takeFlash(notices))
		})
		t.Run("one of another type is dropped and told", func(t *testing.T) {
			b.addFlash(notices, "text")
			a.kinds()
			b.do(func(s *session.Session) {
				got, err := session.NewFlash[int]("notices").PopAll(s)
				require.NoError(t, err)
				require.Empty(t, got)
			})
			require.Equal(t, []session.EventKind{session.EventCorrupt}, a.kinds())
			require.Empty(t, b.takeFlash(notices))
		})
		t.Run("a fault shows nothing and loses nothing", func(t *testing.T) {
			b.addFlash(notices, "kept")
			a.store.fail(on("set", store.ErrUnavailable), nil)
			b.do(func(s *session.Session) {
				got, err := notices.PopAll(s)
				require.ErrorIs(t, err, store.ErrUnavailable)
				require.Empty(t, got)
				require.False(t, s.Modified())
			})
			a.store.fail(nil, nil)
			require.Equal(t, []string{"kept"}, b.takeFlash(notices))
		})
		t.Run("that cannot be encoded", func(t *testing.T) {
			b.do(func(s *session.Session) {
				require.ErrorIs(t, session.NewFlash[func()]("f").Add(s, func() {}), session.ErrEncode)
			})
		})
	})
	require.Panics(t, func() { session.NewFlash[int]("") })
	require.Panics(t, func() { session.NewFlash[int](string(make([]byte, 201))) })
	longest := session.NewFlash[string](string(make([]byte, 200)))
	b := newApp(t, store.NewMemory()).browser()
	b.addFlash(longest, "x")
	require.Equal(t, []string{"x"}, b.takeFlash(longest))
}

// TestZeroValues: a zero Key or Flash neither loses nor damages values of the
// session.
func TestZeroValues(t *testing.T) {
	b := newApp(t, store.NewMemory()).browser()
	b.set("user", "ada")
	b.do(func(s *session.Session) {
		var f session.Flash[string]
		require.ErrorIs(t, f.Add(s, "x"), session.ErrKey)
		_, err := f.PopAll(s)
		require.ErrorIs(t, err, session.ErrKey)
		var k session.Key[int]
		require.ErrorIs(t, k.Set(s, 1), session.ErrKey)
		_, err = k.Update(s, plusOne)
		require.ErrorIs(t, err, session.ErrKey)
		_, err = session.Increment(s, k, 1)
		require.ErrorIs(t, err, session.ErrKey)
		_, ok, err := k.Pop(s)
		require.NoError(t, err)
		require.False(t, ok)
	})
	require.Equal(t, map[string]any{"user": "ada"}, b.values())
}

// TestTakenOnce: of many requests that take or pop at once, exactly one gets
// the value.
func TestTakenOnce(t *testing.T) {
	coupon := session.NewKey[string]("coupon")
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, seal)
		for range 10 {
			b := a.browser()
			b.addFlash(notices, "one", "two")
			b.set("coupon", "free")
			var flashes, pops atomic.Int64
			url := a.route(func(_ http.ResponseWriter, r *http.Request) {
				s := session.From(r)
				if _, err := s.Has("x"); err != nil { // all have seen it before the first takes it
					t.Error(err)
				}
				got, err := notices.PopAll(s)
				if err != nil {
					t.Error(err)
				}
				flashes.Add(int64(len(got)))
				_, ok, err := coupon.Pop(s)
				if err != nil {
					t.Error(err)
				}
				if ok {
					pops.Add(1)
				}
			})
			together(12, func(int) {
				r, _ := http.NewRequest(http.MethodGet, url, nil)
				r.Header.Set("Cookie", "session_id="+b.id())
				resp, err := a.server.Client().Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
			})
			require.EqualValues(t, 2, flashes.Load())
			require.EqualValues(t, 1, pops.Load())
		}
	})
}

// TestPopMeetsAnother: if two requests have seen the value, the first gets it.
func TestPopMeetsAnother(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		b := newApp(t, s).browser()
		b.set("coupon", "free")
		b.do(func(s *session.Session) {
			ok, err := s.Has("coupon")
			require.NoError(t, err)
			require.True(t, ok)
			require.NoError(t, s.Set("mine", 1))
			b.do(func(s *session.Session) {
				ok, err := s.Pop("coupon", new(string))
				require.NoError(t, err)
				require.True(t, ok)
			})
			var got string
			ok, err = s.Pop("coupon", &got)
			require.NoError(t, err)
			require.False(t, ok)
			require.Empty(t, got)
			ok, err = s.Has("coupon")
			require.NoError(t, err)
			require.False(t, ok)
			require.True(t, s.Modified(), "the other change waits for the end of the request")
		})
		require.Equal(t, map[string]any{"mine": int64(1)}, b.values())
	})
}

// TestDeleteMeetsAnother: removing an absent value is no change, so it does not
// remove a value that another request sets meanwhile.
func TestDeleteMeetsAnother(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		b := newApp(t, s).browser()
		b.set("user", "ada")
		b.do(func(s *session.Session) {
			require.NoError(t, s.Delete("late"))
			require.NoError(t, s.Set("late", "mine"))
			require.NoError(t, s.Delete("late"))
			require.False(t, s.Modified())
			b.set("late", "other's")
			require.NoError(t, s.Set("n", 1))
		})
		require.Equal(t, "other's", b.values()["late"])
	})
}

func TestIncrement(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		t.Run("int8", func(t *testing.T) {
			increments[int8](t, b, [][3]int8{
				{0, 1, 1}, {126, 1, 127}, {-127, -1, -128}, {127, -128, -1}, {5, 0, 5}, {-128, 127, -1},
			}, [][2]int8{{127, 1}, {-128, -1}, {100, 100}, {-100, -100}, {-1, -128}})
		})
		t.Run("uint8", func(t *testing.T) {
			increments[uint8](t, b, [][3]uint8{{0, 0, 0}, {254, 1, 255}, {0, 255, 255}}, [][2]uint8{{255, 1}, {1, 255}, {200, 100}})
		})
		t.Run("int64", func(t *testing.T) {
			increments[int64](t, b, [][3]int64{{math.MaxInt64 - 1, 1, math.MaxInt64}, {math.MinInt64 + 1, -1, math.MinInt64}},
				[][2]int64{{math.MaxInt64, 1}, {math.MinInt64, -1}, {math.MinInt64, math.MinInt64}})
		})
		t.Run("uint64", func(t *testing.T) {
			increments[uint64](t, b, [][3]uint64{{math.MaxUint64 - 1, 1, math.MaxUint64}}, [][2]uint64{{math.MaxUint64, 1}, {2, math.MaxUint64}})
		})
		t.Run("a type of one's own", func(t *testing.T) {
			type points int16
			increments[points](t, b, [][3]points{{1, 2, 3}}, [][2]points{{math.MaxInt16, 1}})
		})
	})
}

// increments checks sums, and pairs whose sum overflows.
func increments[T session.Integer](t *testing.T, b *browser, sums [][3]T, overflows [][2]T) {
	t.Helper()
	k := session.NewKey[T]("number")
	for _, c := range sums {
		b.do(func(s *session.Session) {
			require.NoError(t, k.Set(s, c[0]))
			got, err := session.Increment(s, k, c[1])
			require.NoError(t, err)
			require.Equal(t, c[2], got)
			require.False(t, s.Modified(), "it is saved")
		})
	}
	for _, c := range overflows {
		b.do(func(s *session.Session) {
			require.NoError(t, k.Set(s, c[0]))
			_, err := session.Increment(s, k, c[1])
			require.ErrorIs(t, err, session.ErrOverflow, "%v", c)
			got, err := k.Get(s)
			require.NoError(t, err)
			require.Equal(t, c[0], got)
		})
	}
}

func ExampleFlash() {
	var saved = session.NewFlash[string]("saved")
	m, err := session.New(store.NewMemory(), session.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := m.Session(ctx, "") // in a handler: session.From(r)
	fmt.Println(saved.Add(s, "Your profile is saved."))
	fmt.Println(saved.PopAll(s))
	fmt.Println(saved.PopAll(s))
	// Output:
	// <nil>
	// [Your profile is saved.] <nil>
	// [] <nil>
}
