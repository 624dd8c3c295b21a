package store_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// slack is how many records shards may hold beyond their share: a shard with no
// live record keeps some expired ones until it is written to.
const slack = 64 * 16

// Nobody sweeps: the writes themselves remove expired records.
func TestMemoryStaysBounded(t *testing.T) {
	const lifetime = 10_000
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name  string
		write func(s *store.Memory, key []byte, at store.Millis) error
	}{
		{"records written once", func(s *store.Memory, key []byte, at store.Millis) error {
			return s.Set(t.Context(), store.Write{Key: key, Value: value(1, "x"), Expires: at + lifetime, Now: at})
		}},
		{"records of various lifetimes", func(s *store.Memory, key []byte, at store.Millis) error {
			expires := at + 1 + store.Millis(random.Int64N(2*lifetime))
			return s.Set(t.Context(), store.Write{Key: key, Value: value(1, "x"), Expires: expires, Now: at, Expect: store.Absent})
		}},
		{"records deleted now and then", func(s *store.Memory, key []byte, at store.Millis) error {
			if at%3 == 0 {
				return s.Delete(t.Context(), fmt.Append(nil, at-1), at)
			}
			return s.Set(t.Context(), store.Write{Key: key, Value: value(1, "x"), Expires: at + lifetime, Now: at})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := store.NewMemory()
			for at := store.Millis(now); at < now+20*lifetime; at++ {
				require.NoError(t, c.write(s, fmt.Append(nil, at), at))
				if at%lifetime == 0 {
					require.LessOrEqual(t, s.Len(), 2*lifetime+slack, "after %d lifetimes", (at-now)/lifetime)
				}
			}
			require.Less(t, s.Room(), 8*lifetime, "room for twice the records, which are twice those alive, and as much again")
		})
	}
}

// While a few visitors go on, a crowd that never comes back is forgotten and its
// memory released.
func TestMemoryAfterABurst(t *testing.T) {
	s := store.NewMemory()
	for i := range 200_000 {
		put(t, s, fmt.Sprint("crowd ", i), "x", now+1000)
	}
	crowded := s.Room()
	const few = 1000 // so that each shard has some of them
	for i := range few {
		put(t, s, fmt.Sprint(i), "x", 0)
	}
	for i := range 200 * few {
		require.NoError(t, s.Touch(t.Context(), fmt.Append(nil, i%few), now+5000, now+2000))
	}
	require.LessOrEqual(t, s.Len(), 2*few+slack)
	require.Less(t, s.Room(), crowded/4)
	for i := range few {
		_, err := s.Get(t.Context(), fmt.Append(nil, i), now+2000)
		require.NoError(t, err)
	}
}

// A write's sweep never removes a live record, whatever is put, removed and moved
// meanwhile.
func TestMemorySweepsNothingAlive(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	s := store.NewMemory()
	alive := map[string]store.Millis{} // when each expires
	at := store.Millis(now)
	for range 300_000 {
		at += store.Millis(random.Int64N(3))
		key := fmt.Sprint(random.IntN(1 + random.IntN(100_000)))
		expires := at + 1 + store.Millis(random.Int64N(1+random.Int64N(100_000)))
		switch random.IntN(10) {
		case 0:
			delete(alive, key)
			require.NoError(t, s.Delete(t.Context(), []byte(key), at))
		case 1, 2:
			err := s.Touch(t.Context(), []byte(key), expires, at)
			if alive[key] > at {
				require.NoError(t, err)
				alive[key] = expires
			} else {
				require.ErrorIs(t, err, store.ErrNotFound)
			}
		case 3:
			at += store.Millis(random.Int64N(2000)) / 1990 * 50_000 // most expire at once
		default:
			alive[key] = expires
			require.NoError(t, s.Set(t.Context(), store.Write{Key: []byte(key), Value: value(1, key), Expires: expires, Now: at}))
		}
	}
	found := 0
	for r, err := range s.Snapshot(t.Context(), at) {
		require.NoError(t, err)
		require.Equal(t, alive[string(r.Key)], r.Expires)
		require.Equal(t, value(1, string(r.Key)), r.Value)
		found++
	}
	for _, expires := range alive {
		if expires > at {
			found--
		}
	}
	require.Zero(t, found, "every live record was found")
	require.NoError(t, s.Save(t.Context(), at+1_000_000))
	require.Zero(t, s.Len())
}

// A clock that leaps does not make writes remove others' records.
func TestMemorySweepsNothingByALeap(t *testing.T) {
	const records, hour, leap = 1000, 3_600_000, 80 * 365 * 24 * 3_600_000
	fill := func(s *store.Memory) {
		for i := range records {
			put(t, s, fmt.Sprint(i), "x", now+hour)
		}
	}
	write := func(s *store.Memory, n int, at store.Millis) {
		for i := range n {
			require.NoError(t, s.Set(t.Context(), store.Write{Key: fmt.Append(nil, "other ", i), Value: value(1, "x"), Now: at}))
		}
	}
	s := store.NewMemory()
	fill(s)
	for range 3 {
		write(s, 10*records, now+leap)
		write(s, 10*records, now+leap+hour/2)
		write(s, 100*records, now+1) // the clock was corrected
		require.Equal(t, records+100*records, s.Len())
		require.NoError(t, s.Clear(t.Context(), now))
		fill(s)
	}

	write(s, 10*records, now+leap)
	require.Equal(t, 11*records, s.Len())
	write(s, 10*records, now+leap+hour)
	write(s, 10*records, now+leap+hour+1)
	require.Equal(t, 10*records, s.Len(), "a clock that advances steadily is believed")

	// If writes are rare, each seems to be a leap.
	s = store.NewMemory()
	for i := range 5000 {
		at := now + store.Millis(i)*48*hour
		require.NoError(t, s.Set(t.Context(), store.Write{Key: fmt.Append(nil, i), Value: value(1, "x"), Expires: at + hour, Now: at}))
	}
	require.LessOrEqual(t, s.Len(), 500)
}
