package cache_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/memory/cache"
)

// model is what a cache should behave like: a map. It never evicts. If a record
// is missing from the cache and the cache reports an eviction, the record is
// removed from the model.
type model struct {
	t       testing.TB
	cache   *cache.Cache
	records map[string]record
	now     int64
	step    int
	// Evictions that a missing record revealed.
	missed uint64

	restores int
	evicted  uint64 // by the caches before the current one
}

type record struct {
	value   []byte
	expires int64
}

func newModel(t testing.TB, options cache.Options) *model {
	c, err := cache.New(options)
	require.NoError(t, err)
	return &model{t: t, cache: c, records: make(map[string]record), now: 1}
}

// lookup returns what is under a key, after removing evicted records from the
// model.
func (m *model) lookup(key []byte) (record, bool) {
	r, ok := m.records[string(key)]
	if ok && guest.Expired(r.expires, m.now) {
		delete(m.records, string(key))
		ok = false
	}
	value, err := m.cache.Get(key, m.now)
	switch {
	case err != nil:
		require.ErrorIs(m.t, err, guest.ErrNotFound, "step %d", m.step)
		if ok {
			m.missed++
			require.LessOrEqual(m.t, m.missed, m.cache.Stats().Evicted, "step %d: a record is gone and was not evicted", m.step)
			delete(m.records, string(key))
			ok = false
		}
	case !ok:
		require.Fail(m.t, "the cache has a record that does not exist", "step %d: %d bytes", m.step, len(value))
	default:
		require.True(m.t, bytes.Equal(r.value, value), "step %d: a value of %d bytes is not the one of %d that was stored",
			m.step, len(value), len(r.value))
	}
	return r, ok
}

func (m *model) set(key, value []byte, expires, expect int64) {
	r, ok := m.lookup(key)
	w := guest.Write{Key: key, Value: value, Expires: expires, Now: m.now, Expect: expect}
	err := m.cache.Set(w)
	allowed := expect == abi.ExpectAny || expect == abi.ExpectAbsent && !ok ||
		expect != abi.ExpectAbsent && ok && abi.Revision(r.value) == uint64(expect)
	switch {
	case !allowed:
		require.ErrorIs(m.t, err, guest.ErrConflict, "step %d", m.step)
	case len(value) > m.cache.MaxValue():
		require.ErrorIs(m.t, err, guest.ErrTooLarge, "step %d", m.step)
	default:
		require.NoError(m.t, err, "step %d", m.step)
		delete(m.records, string(key))
		if !guest.Expired(expires, m.now) {
			m.records[string(key)] = record{bytes.Clone(value), expires}
		}
	}
	m.verifyHas(key)
}

func (m *model) touch(key []byte, expires int64) {
	r, ok := m.lookup(key)
	err := m.cache.Touch(key, expires, m.now)
	if !ok {
		require.ErrorIs(m.t, err, guest.ErrNotFound, "step %d", m.step)
		return
	}
	require.NoError(m.t, err, "step %d", m.step)
	r.expires = expires
	m.records[string(key)] = r
	m.verifyHas(key)
}

// verifyHas checks one key right after an operation on it, when the key cannot
// have been evicted.
func (m *model) verifyHas(key []byte) {
	missed := m.missed
	m.lookup(key)
	require.Equal(m.t, missed, m.missed, "step %d: the record that this operation stored is gone", m.step)
}

func (m *model) delete(key []byte) {
	require.NoError(m.t, m.cache.Delete(key, m.now))
	delete(m.records, string(key))
	m.verifyHas(key)
}

func (m *model) clear() {
	require.NoError(m.t, m.cache.Clear(m.now))
	clear(m.records)
	require.Zero(m.t, m.cache.Len())
}

// verify compares the whole cache with the whole model.
func (m *model) verify() {
	require.NoError(m.t, m.cache.Verify(), "step %d", m.step)
	for key := range m.records {
		m.lookup([]byte(key))
	}
	require.Equal(m.t, len(m.records), m.cache.Len()-m.expired(), "step %d", m.step)
}

// expired counts records that the cache still has but does not show.
func (m *model) expired() int {
	alive := 0
	for cursor, n := int64(0), 0; ; {
		keys, next := listKeys(m.t, m.cache, cursor, m.now)
		for _, key := range keys {
			require.Contains(m.t, m.records, string(key), "step %d: a key is listed that does not exist", m.step)
		}
		if n += len(keys); next == 0 {
			alive = n
			break
		}
		cursor = next
	}
	return m.cache.Len() - alive
}

// restoreElsewhere takes a snapshot and continues with a cache restored from
// it.
func (m *model) restoreElsewhere(options cache.Options) {
	for key := range m.records { // settle evictions
		m.lookup([]byte(key))
	}
	restored, err := cache.New(options)
	require.NoError(m.t, err)
	driver := drive(m.t, restored)
	source := drive(m.t, m.cache)
	for cursor := int64(0); ; {
		list, next := source.snapshot(cursor, m.now)
		driver.restore(list, m.now)
		if next == 0 {
			break
		}
		cursor = next
	}
	m.restores++
	m.evicted += m.cache.Stats().Evicted
	m.cache, m.missed = restored, 0
	m.verify()
}

var sizesToTry = []int{0, 1, 7, 8, 9, 40, 100, 300, 301, 333, 1000, 5000, 20_000, 31_000, 32_700, 32_731, 32_732,
	32_760, 33_000, 65_500, 70_000, 200_000, 300_000}

func TestCacheAgainstModel(t *testing.T) {
	tests := []struct {
		name    string
		options cache.Options
		keys    int
		sizes   []int
		steps   int
		evicts  bool
	}{
		{"small records, few keys", cache.Options{MaxBytes: 4 << 20}, 50, sizesToTry[:10], 12_000, false},
		{"small records, many keys", cache.Options{MaxBytes: cache.MinBytes}, 8000, sizesToTry[:8], 10_000, true},
		{"all sizes, little room", cache.Options{MaxBytes: cache.MinBytes}, 200, sizesToTry, 6000, true},
		{"all sizes, some room", cache.Options{MaxBytes: 4 << 20}, 1000, sizesToTry, 5000, true},
		{"few entries", cache.Options{MaxBytes: 4 << 20, MaxEntries: 10}, 30, sizesToTry[:12], 10_000, true},
		{"one entry", cache.Options{MaxBytes: 4 << 20, MaxEntries: 1}, 3, sizesToTry[:12], 5000, true},
	}
	for n, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(n), 1))
			m := newModel(t, test.options)
			key := func() []byte {
				n := random.IntN(test.keys)
				key := make([]byte, 1+n%60)
				for i := range key {
					key[i] = byte(n >> (8 * (i % 3)))
				}
				return append(key, byte(n), byte(n>>8))
			}
			value := func() []byte {
				size := test.sizes[random.IntN(len(test.sizes))]
				value := make([]byte, size+random.IntN(3))
				for i := 0; i < len(value); i += 8 {
					var word [8]byte
					binary.LittleEndian.PutUint64(word[:], random.Uint64())
					copy(value[i:], word[:])
				}
				if len(value) >= 8 && random.IntN(2) == 0 {
					copy(value, []byte{byte(random.IntN(4)) + 1, 0, 0, 0, 0, 0, 0, 0})
				}
				return value
			}
			expires := func() int64 {
				switch random.IntN(4) {
				case 0:
					return 0
				case 1:
					return m.now + int64(random.IntN(20)) - 1 // 0 at first, which means never
				}
				return m.now + 1 + int64(random.IntN(5000))
			}
			for m.step = range test.steps {
				if random.IntN(3) == 0 {
					m.now += int64(random.IntN(6))
				}
				switch op := random.IntN(100); {
				case op < 25:
					m.lookup(key())
				case op < 55:
					m.set(key(), value(), expires(), abi.ExpectAny)
				case op < 62:
					m.set(key(), value(), expires(), abi.ExpectAbsent)
				case op < 70:
					k := key()
					r, _ := m.lookup(k)
					m.set(k, value(), expires(), int64(abi.Revision(r.value)))
				case op < 74:
					m.set(key(), value(), expires(), int64(random.IntN(5)))
				case op < 84:
					m.touch(key(), expires())
				case op < 94:
					m.delete(key())
				case op < 96:
					_, err := m.cache.Sweep(random.IntN(100), m.now)
					require.NoError(t, err)
				case op == 96:
					require.NoError(t, m.cache.Save(m.now))
				case random.IntN(50) == 0:
					m.clear()
				case random.IntN(20) == 0:
					m.restoreElsewhere(test.options)
				}
				if m.step%2000 == 0 {
					m.verify()
				}
				require.LessOrEqual(t, m.cache.Bytes(), test.options.MaxBytes)
				if test.options.MaxEntries > 0 {
					require.LessOrEqual(t, int64(m.cache.Len()), test.options.MaxEntries)
				}
			}
			m.verify()
			require.Equal(t, test.evicts, m.evicted+m.cache.Stats().Evicted > 0)
			require.NotZero(t, m.restores, "nothing was ever restored from a snapshot")
		})
	}
}
