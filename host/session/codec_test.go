package session_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

type profile struct {
	Name  string
	Tags  []string
	Extra map[string]int
}

// TestTypedValuesComeBack sets a value of each type in one request and reads it
// in the next, with both codecs.
func TestTypedValuesComeBack(t *testing.T) {
	overCodecs(t, func(t *testing.T, a *app) {
		exact := time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.FixedZone("", 7200))
		check(t, a, "int", -1<<63)
		check(t, a, "uint64", uint64(1<<64-1))
		check(t, a, "zero", 0)
		check(t, a, "empty string", "")
		check(t, a, "false", false)
		check(t, a, "float", 0.1)
		check(t, a, "text", "zażółć 🦆 \x00 end")
		check(t, a, "bytes", []byte{0, 255, 1})
		check(t, a, "nil slice", []string(nil))
		check(t, a, "pointer", new(int))
		check(t, a, "nil pointer", (*int)(nil))
		check(t, a, "struct", profile{"ada", []string{"a", "b"}, map[string]int{"n": 1}})
		check(t, a, "map", map[string][]int{"a": {1, 2}})
		check(t, a, "array", [3]int8{1, -2, 3})
		check(t, a, "many", make([]int, 200_000))
		check(t, a, "deep", nested(500))
		check(t, a, "any", any(map[string]any{"a": []any{"b", true, nil}}))
		checkWith(t, a, "time", exact, func(t *testing.T, got time.Time) {
			require.True(t, exact.Equal(got), "%v", got)
		})
	})
}

// TestTextThatIsNotUTF8ComesBack: Go strings are bytes. JSON cannot represent
// them all. CBOR can, and promises to be exact.
func TestTextThatIsNotUTF8ComesBack(t *testing.T) {
	check(t, newApp(t, store.NewMemory()), "bytes", "\xff\xfe not text")
}

// TestLargeNumbersOfUnknownTypeComeBack: JSON would round them as floats.
func TestLargeNumbersOfUnknownTypeComeBack(t *testing.T) {
	overCodecs(t, func(t *testing.T, a *app) {
		b := a.browser()
		b.set("n", uint64(1<<53+1))
		require.Equal(t, "9007199254740993", fmt.Sprint(b.values()["n"]))
	})
}

// TestLargeMapComesBack, although CBOR's decoder limits maps by default.
func TestLargeMapComesBack(t *testing.T) {
	check(t, newApp(t, store.NewMemory()), "large map", largeMap(150_000))
}

type tree struct{ Below *tree }

func nested(depth int) *tree {
	var top *tree
	for range depth {
		top = &tree{top}
	}
	return top
}

func largeMap(n int) map[int]bool {
	m := make(map[int]bool, n)
	for i := range n {
		m[i] = true
	}
	return m
}

func check[T any](t *testing.T, a *app, name string, v T) {
	t.Helper()
	checkWith(t, a, name, v, func(t *testing.T, got T) { require.Equal(t, v, got) })
}

func checkWith[T any](t *testing.T, a *app, name string, v T, compare func(*testing.T, T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		key := session.NewKey[T](name)
		require.Equal(t, name, key.Name())
		var got T
		var before, after, third bool
		b := a.browser()
		saved := b.do(func(s *session.Session) {
			_, before, _ = key.Lookup(s)
			require.NoError(t, key.Set(s, v))
			now, ok, err := key.Lookup(s)
			require.NoError(t, err)
			require.True(t, ok, "within the request")
			compare(t, now)
		})
		require.Equal(t, http.StatusOK, saved.StatusCode)
		b.do(func(s *session.Session) {
			var err error
			got, after, err = key.Lookup(s)
			require.NoError(t, err)
			require.NoError(t, key.Delete(s))
		})
		b.do(func(s *session.Session) { _, third, _ = key.Lookup(s) })
		require.Equal(t, []bool{false, true, false}, []bool{before, after, third})
		compare(t, got)
		require.NotContains(t, a.kinds(), session.EventCorrupt)
	})
}

func overCodecs(t *testing.T, f func(t *testing.T, a *app)) {
	t.Helper()
	for _, c := range []struct {
		name  string
		codec session.Codec
	}{{"CBOR", session.CBOR}, {"JSON", session.JSON}} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				f(t, newApp(t, s, func(s *session.Settings) {
					s.Codec = c.codec
					s.MaxSize = 8 << 20
				}))
			})
		})
	}
}
