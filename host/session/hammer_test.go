package session_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestHammer: hundreds of goroutines and the managers of several processes work
// on one session of one engine at once, with every kind of change. Counters are
// exact, nothing that was set is lost, and what can be taken is taken once.
// After a log-out in the midst of it, the session is gone for good.
func TestHammer(t *testing.T) {
	const (
		workers = 240
		rounds  = 4
		coupons = 50
	)
	total, bytes := session.NewKey[int]("total"), session.NewKey[uint32]("bytes")
	stack := session.NewKey[[]int]("stack")
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		ms := make([]*session.Manager, 4)
		for i := range ms {
			ms[i] = newApp(t, s, seal, func(s *session.Settings) {
				s.OnEvent = session.Events()
				s.StoreTimeout = time.Hour // the machine's speed does not matter here
			}).manager
		}
		start := ms[0].Session(ctx, "")
		require.NoError(t, start.LogIn("ada", nil))
		for i := range coupons {
			require.NoError(t, start.Set(fmt.Sprint("coupon ", i), i))
			require.NoError(t, notices.Add(start, fmt.Sprint("message ", i)))
		}
		require.NoError(t, start.Save())
		id, err := start.ID()
		require.NoError(t, err)

		var popped [coupons]atomic.Int64
		var shown atomic.Int64
		together(workers, func(i int) {
			random := rand.New(rand.NewPCG(uint64(i), 0))
			for round := range rounds {
				// Each goroutine makes a request.
				s := ms[(i+round)%len(ms)].Session(ctx, id)
				if round%2 == 0 {
					look(s)
				}
				fail := func(err error) {
					if err != nil {
						t.Error(err)
					}
				}
				switch (i + round) % 4 {
				case 0:
					_, err := session.Increment(s, total, 1)
					fail(err)
				case 1:
					_, err := session.Increment(s, bytes, uint32(i))
					fail(err)
					n := random.IntN(coupons)
					ok, err := s.Pop(fmt.Sprint("coupon ", n), new(int))
					fail(err)
					if ok {
						popped[n].Add(1)
					}
				case 2:
					_, err := stack.Update(s, func(old []int) ([]int, error) { return append(old, i), nil })
					fail(err)
				case 3:
					got, err := notices.PopAll(s)
					fail(err)
					shown.Add(int64(len(got)))
				}
				fail(s.Set(fmt.Sprint("key ", i, " ", round), round))
				fail(s.Save())
			}
		})
		if t.Failed() {
			return
		}
		end := ms[1].Session(ctx, id)
		n, err := total.Get(end)
		require.NoError(t, err)
		require.Equal(t, workers*rounds/4, n)
		sum, err := bytes.Get(end)
		require.NoError(t, err)
		require.EqualValues(t, workers*(workers-1)/2, sum)
		all, err := stack.Get(end)
		require.NoError(t, err)
		want := []int{}
		for i := range workers {
			want = append(want, i)
		}
		require.ElementsMatch(t, want, all)
		left := 0
		for i := range coupons {
			ok, err := end.Has(fmt.Sprint("coupon ", i))
			require.NoError(t, err)
			require.Equal(t, map[bool]int64{false: 1, true: 0}[ok], popped[i].Load(), "coupon %d", i)
			if ok {
				left++
			}
		}
		require.EqualValues(t, coupons, shown.Load(), "each message once")
		count, err := end.Len()
		require.NoError(t, err)
		require.Equal(t, 3+left+workers*rounds, count)
		user, err := end.User()
		require.NoError(t, err)
		require.Equal(t, "ada", user)

		// The log-out happens amid writers that never give up.
		var over atomic.Bool
		together(workers, func(i int) {
			m := ms[i%len(ms)]
			if i == workers/2 {
				if err := m.Session(ctx, id).Destroy(); err != nil {
					t.Error(err)
				}
				over.Store(true)
				return
			}
			for range rounds {
				before := over.Load()
				s := m.Session(ctx, id)
				exists, err := s.Exists()
				if err != nil {
					t.Error(err)
				}
				if exists && before {
					t.Error("the session is back")
				}
				if !exists {
					return
				}
				if _, err := session.Increment(s, total, 1); err != nil && !errors.Is(err, session.ErrGone) {
					t.Error(err)
				} else if err == nil && before {
					t.Error("a change was taken after the end")
				}
			}
		})
		_, ok := alive(t, ms[3], id)
		require.False(t, ok)
		require.Empty(t, publicIDs(t, ms[3], "ada"))
	})
}
