package session

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// BenchmarkUserSessions measures, over the native store, how the number of a
// user's sessions affects an access to one of them and one more log-in.
func BenchmarkUserSessions(b *testing.B) {
	for _, sealed := range []bool{false, true} {
		for _, n := range []int{0, 1, 10, 100, 1000, 10_000} {
			settings := Defaults()
			settings.OnEvent = Events()
			if sealed {
				var err error
				settings.Keyring, err = NewKeyring("a secret for benchmarks, thirty-two bytes and more")
				require.NoError(b, err)
			}
			settings.MaxUserSessions = max(1, n)
			m, err := New(store.NewMemory(), settings)
			require.NoError(b, err)
			ctx := context.Background()
			s := m.Session(ctx, "")
			if n > 0 {
				require.NoError(b, s.LogIn("ada", nil))
			}
			require.NoError(b, s.Set("theme", "dark"))
			require.NoError(b, s.Save())
			if n > 1 {
				benchFill(b, m, n-1)
			}
			b.Run(fmt.Sprintf("sealed=%v/look/%d", sealed, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if ok, err := m.Session(ctx, s.id).Has("theme"); !ok || err != nil {
						b.Fatal(ok, err)
					}
				}
			})
			if n == 0 {
				continue
			}
			b.Run(fmt.Sprintf("sealed=%v/login/%d", sealed, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					s := m.Session(ctx, "")
					if err := s.LogIn("ada", nil); err != nil {
						b.Fatal(err)
					}
					if err := s.Save(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// benchFill adds n entries to a list.
func benchFill(b *testing.B, m *Manager, n int) {
	now := m.now()
	require.NoError(b, m.changeIndex(context.Background(), "ada", now+m.lifetime, func(e map[string]indexEntry) bool {
		for i := range n {
			publicID := fmt.Sprintf("%022d", i)
			var key storageKey
			binary.LittleEndian.PutUint64(key[:], uint64(i))
			e[publicID] = indexEntry{since: now, added: now, until: now + m.lifetime, keys: []storageKey{key}}
		}
		return true
	}))
}
