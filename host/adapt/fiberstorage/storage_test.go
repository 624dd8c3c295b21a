package fiberstorage_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/adapt/fiberstorage"
	"github.com/waddle-sessions/waddle/host/store"
)

var _ fiber.Storage = (*fiberstorage.Storage)(nil)

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// TestContract: what fiber's documentation says of a storage, and its users expect.
func TestContract(t *testing.T) {
	for kind, open := range stores {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			time := newClock()
			s := fiberstorage.New(open(t), fiberstorage.Clock(time.Now))
			get := func(key string) []byte {
				t.Helper()
				value, err := s.Get(key)
				require.NoError(t, err)
				return value
			}

			require.Nil(t, get("missing"))
			value := []byte("one")
			require.NoError(t, s.Set("key", value, 0))
			value[0] = 'X'
			got := get("key")
			require.Equal(t, "one", string(got))
			got[0] = 'X'
			require.Equal(t, "one", string(get("key")), "neither caller's memory is the storage's")
			require.NoError(t, s.Set("key", []byte("two"), 0))
			require.Equal(t, "two", string(get("key")))

			require.NoError(t, s.Set("key", nil, 0))
			require.NoError(t, s.Set("key", []byte{}, 0))
			require.NoError(t, s.Set("", []byte("one"), 0))
			require.Equal(t, "two", string(get("key")), "empty values are ignored")
			require.Nil(t, get(""))
			require.NoError(t, s.Delete(""))

			require.NoError(t, s.Delete("key"))
			require.NoError(t, s.Delete("key"))
			require.Nil(t, get("key"))
			require.NoError(t, s.Close())
			require.NoError(t, s.Close())
			_, err := s.Get("key")
			require.ErrorIs(t, err, store.ErrClosed)
			require.ErrorIs(t, s.Set("key", []byte("one"), 0), store.ErrClosed)
			require.ErrorIs(t, s.Delete("key"), store.ErrClosed)
			require.ErrorIs(t, s.Reset(), store.ErrClosed)
		})
	}
}

// TestKeys: keys of any length and content are distinct, and the store sees none.
func TestKeys(t *testing.T) {
	t.Parallel()
	over := store.NewMemory()
	s := fiberstorage.New(over)
	long := strings.Repeat("k", 3*abi.MaxKey)
	keys := []string{"a", "A", "a\x00", "\x00", "\xff\xfe", "fiber", "naïve", "a/b", "../a", long, long + "1", long[:abi.MaxKey], strings.Repeat("k", 128-16), strings.Repeat("k", 129-16)}
	for _, key := range keys {
		require.NoError(t, s.Set(key, []byte("value of "+key), 0))
	}
	for _, key := range keys {
		value, err := s.Get(key)
		require.NoError(t, err)
		require.Equal(t, "value of "+key, string(value))
	}
	n := 0
	for key, err := range over.Keys(context.Background(), 0) {
		require.NoError(t, err)
		require.Len(t, key, 48)
		for _, given := range keys[6:] {
			require.NotContains(t, string(key), given)
		}
		n++
	}
	require.Equal(t, len(keys), n)
}

// TestExpiry: a record ends to the millisecond, and never if its time is 0, negative, or
// longer than there is time.
func TestExpiry(t *testing.T) {
	for kind, open := range stores {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			now := newClock()
			s := fiberstorage.New(open(t), fiberstorage.Clock(now.Now))
			lasting := map[string]time.Duration{"zero": 0, "negative": -time.Hour, "longest": math.MaxInt64}
			for key, d := range lasting {
				require.NoError(t, s.Set(key, []byte("v"), d))
			}
			require.NoError(t, s.Set("second", []byte("v"), time.Second))
			require.NoError(t, s.Set("instant", []byte("v"), time.Nanosecond))
			there := func(key string) bool {
				value, err := s.Get(key)
				require.NoError(t, err)
				return value != nil
			}
			require.True(t, there("instant"))
			now.Advance(999 * time.Millisecond)
			require.False(t, there("instant"))
			require.True(t, there("second"))
			now.Advance(time.Millisecond)
			require.False(t, there("second"))
			now.Advance(100 * 365 * 24 * time.Hour)
			for key := range lasting {
				require.True(t, there(key), key)
			}
			require.NoError(t, s.Set("zero", []byte("v"), time.Second))
			now.Advance(time.Second)
			require.False(t, there("zero"), "the newest time counts")
		})
	}
}

// TestReset: it removes a storage's own records, whoever else uses the store.
func TestReset(t *testing.T) {
	for kind, open := range stores {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			over := open(t)
			a := fiberstorage.New(over, fiberstorage.Namespace("a"))
			b := fiberstorage.New(over, fiberstorage.Namespace("b"))
			same := fiberstorage.New(over, fiberstorage.Namespace("a"))
			for i := range 100 {
				key := fmt.Sprint("key ", i)
				require.NoError(t, a.Set(key, []byte("of a"), 0))
				require.NoError(t, b.Set(key, []byte("of b"), time.Hour))
			}
			foreign := []byte(strings.Repeat("s", 32))
			require.NoError(t, over.Set(context.Background(), store.Write{Key: foreign, Value: make([]byte, 8), Now: 1, Expect: store.Any}))
			require.NoError(t, same.Reset())
			for i := range 100 {
				key := fmt.Sprint("key ", i)
				value, err := a.Get(key)
				require.NoError(t, err)
				require.Nil(t, value)
				value, err = b.Get(key)
				require.NoError(t, err)
				require.Equal(t, "of b", string(value))
			}
			_, err := over.Get(context.Background(), foreign, 1)
			require.NoError(t, err)

			all := fiberstorage.New(over, fiberstorage.Namespace("b"), fiberstorage.Exclusive())
			require.NoError(t, all.Reset())
			_, err = over.Get(context.Background(), foreign, 1)
			require.ErrorIs(t, err, store.ErrNotFound, "of an exclusive store everything goes")
		})
	}
}

// bare is a store that cannot enumerate.
type bare struct{ store.Store }

// TestResetWithoutList: a store that cannot enumerate is not cleared by mistake.
func TestResetWithoutList(t *testing.T) {
	t.Parallel()
	s := fiberstorage.New(bare{store.NewMemory()})
	require.NoError(t, s.Set("key", []byte("v"), 0))
	require.ErrorIs(t, s.Reset(), store.ErrUnsupported)
	value, err := s.Get("key")
	require.NoError(t, err)
	require.Equal(t, "v", string(value))
}

// TestContextEnds: a call whose context has ended does nothing.
func TestContextEnds(t *testing.T) {
	for kind, open := range stores {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := fiberstorage.New(open(t))
			require.NoError(t, s.Set("key", []byte("v"), 0))
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_, err := s.GetWithContext(ctx, "key")
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, s.SetWithContext(ctx, "key", []byte("w"), 0), context.Canceled)
			require.ErrorIs(t, s.DeleteWithContext(ctx, "key"), context.Canceled)
			require.ErrorIs(t, s.ResetWithContext(ctx), context.Canceled)
			value, err := s.Get("key")
			require.NoError(t, err)
			require.Equal(t, "v", string(value))
		})
	}
}

// hung is a store that answers nothing.
type hung struct{ store.Store }

func (hung) Get(ctx context.Context, _ []byte, _ store.Millis) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestTimeout: a store that does not answer is an error, and not the client's fault.
func TestTimeout(t *testing.T) {
	t.Parallel()
	s := fiberstorage.New(hung{store.NewMemory()}, fiberstorage.Timeout(5*time.Millisecond))
	_, err := s.Get("key")
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.NotErrorIs(t, err, context.DeadlineExceeded)

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	s = fiberstorage.New(hung{store.NewMemory()}, fiberstorage.Timeout(0))
	_, err = s.GetWithContext(ctx, "key")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// TestBadRecords: what this package did not write is an error, and no value.
func TestBadRecords(t *testing.T) {
	t.Parallel()
	over := store.NewMemory()
	s := fiberstorage.New(over)
	require.NoError(t, s.Set("key", []byte("v"), 0))
	for key := range over.Keys(context.Background(), 1) {
		require.NoError(t, over.Set(context.Background(), store.Write{Key: key, Value: make([]byte, 8), Now: 1, Expect: store.Any}))
	}
	_, err := s.Get("key")
	require.ErrorIs(t, err, store.ErrCorrupt)
	require.ErrorIs(t, s.Set("key", make([]byte, abi.MaxValue-7), 0), store.ErrTooLarge)
	require.NoError(t, s.Set("key", make([]byte, abi.MaxValue-8), 0))
	require.Panics(t, func() { fiberstorage.New(nil) })
	require.Panics(t, func() { fiberstorage.Namespace("") })
}

// TestModel: random calls give what a map would give.
func TestModel(t *testing.T) {
	for kind, open := range stores {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			random := rand.New(rand.NewPCG(seed, 1))
			now := newClock()
			over := open(t)
			type record struct {
				value string
				until time.Time
			}
			type model struct {
				storage *fiberstorage.Storage
				records map[string]record
			}
			models := make([]model, 3)
			for i := range models {
				models[i] = model{fiberstorage.New(over, fiberstorage.Clock(now.Now), fiberstorage.Namespace(fmt.Sprint(i))), map[string]record{}}
			}
			keys := []string{"", "a", "b", "c", strings.Repeat("long", 1000)}
			for step := range 3000 {
				m := models[random.IntN(len(models))]
				key := keys[random.IntN(len(keys))]
				switch random.IntN(10) {
				case 0, 1, 2:
					value := strings.Repeat("v", random.IntN(5))
					last := time.Duration(random.IntN(4)-1) * time.Second
					require.NoError(t, m.storage.Set(key, []byte(value), last))
					if key != "" && value != "" {
						r := record{value: value}
						if last > 0 {
							r.until = now.Now().Add(last)
						}
						m.records[key] = r
					}
				case 3:
					require.NoError(t, m.storage.Delete(key))
					delete(m.records, key)
				case 4:
					now.Advance(time.Duration(random.IntN(1500)) * time.Millisecond)
				case 5:
					if random.IntN(10) == 0 {
						require.NoError(t, m.storage.Reset())
						clear(m.records)
					}
				default:
					want, ok := m.records[key]
					if ok && !want.until.IsZero() && !now.Now().Before(want.until) {
						delete(m.records, key)
						want, ok = record{}, false
					}
					got, err := m.storage.Get(key)
					require.NoError(t, err)
					require.Equal(t, want.value, string(got), "step %d of seed %d", step, seed)
					require.Equal(t, ok, got != nil, "step %d of seed %d", step, seed)
				}
			}
		})
	}
}
