package folder_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
)

// model is what a store should behave like: a map.
type model struct {
	t       testing.TB
	fs      vfs.FS
	store   *folder.Store
	records map[string]record
	now     int64
	step    int
	options folder.Options
}

type record struct {
	value   []byte
	expires int64
}

func (m *model) open() {
	var err error
	m.store, err = folder.Open(m.fs, m.options)
	require.NoError(m.t, err, "step %d", m.step)
}

func (m *model) lookup(k []byte) (record, bool) {
	r, ok := m.records[string(k)]
	if ok && guest.Expired(r.expires, m.now) {
		delete(m.records, string(k))
		return record{}, false
	}
	return r, ok
}

func (m *model) set(k, v []byte, expires, expect int64) {
	r, ok := m.lookup(k)
	err := m.store.Set(guest.Write{Key: k, Value: v, Expires: expires, Now: m.now, Expect: expect})
	allowed := expect == abi.ExpectAny || expect == abi.ExpectAbsent && !ok ||
		expect != abi.ExpectAbsent && ok && abi.Revision(r.value) == uint64(expect)
	if !allowed {
		require.ErrorIs(m.t, err, guest.ErrConflict, "step %d", m.step)
		return
	}
	require.NoError(m.t, err, "step %d", m.step)
	delete(m.records, string(k))
	if !guest.Expired(expires, m.now) {
		m.records[string(k)] = record{bytes.Clone(v), expires}
	}
}

func (m *model) touch(k []byte, expires int64) {
	r, ok := m.lookup(k)
	err := m.store.Touch(k, expires, m.now)
	if !ok {
		require.ErrorIs(m.t, err, guest.ErrNotFound, "step %d", m.step)
		return
	}
	require.NoError(m.t, err, "step %d", m.step)
	r.expires = expires
	m.records[string(k)] = r
}

func (m *model) check(k []byte) {
	r, ok := m.lookup(k)
	got, err := m.store.Get(k, m.now)
	if !ok {
		require.ErrorIs(m.t, err, guest.ErrNotFound, "step %d", m.step)
		return
	}
	require.NoError(m.t, err, "step %d", m.step)
	require.True(m.t, bytes.Equal(r.value, got), "step %d: another value", m.step)
}

// verify compares the whole store with the whole model.
func (m *model) verify() {
	for k := range m.records {
		m.check([]byte(k))
	}
	found := make(map[string]record)
	for _, w := range snapshot(m.t, m.store, m.now) {
		found[string(w.Key)] = record{bytes.Clone(w.Value), w.Expires}
	}
	require.Equal(m.t, m.records, found, "step %d", m.step)
	listed := make(map[string]bool)
	for _, k := range keys(m.t, m.store, m.now) {
		listed[string(k)] = true
	}
	require.Len(m.t, listed, len(m.records), "step %d", m.step)
}

func (m *model) random(rng *rand.Rand, most int) {
	m.step++
	k := key(rng.IntN(most))
	expires := int64(0)
	if rng.IntN(2) == 0 {
		expires = m.now - 2 + rng.Int64N(40)
	}
	switch n := rng.IntN(100); {
	case n < 30:
		size := 8 + rng.IntN(600)
		if rng.IntN(20) == 0 {
			size = rng.IntN(12000)
		}
		expect := int64(abi.ExpectAny)
		r, ok := m.lookup(k)
		switch rng.IntN(4) {
		case 0:
			expect = abi.ExpectAbsent
		case 1, 2:
			if ok {
				expect = int64(abi.Revision(r.value))
			}
		}
		m.set(k, value(m.step, size), expires, expect)
	case n < 50:
		m.check(k)
	case n < 60:
		m.touch(k, expires)
	case n < 75:
		require.NoError(m.t, m.store.Delete(k, m.now))
		delete(m.records, string(k))
	case n < 83:
		require.NoError(m.t, m.store.Save(m.now))
	case n < 90:
		_, err := m.store.Sweep(rng.IntN(100), m.now)
		require.NoError(m.t, err)
	case n < 96:
		m.now += rng.Int64N(5)
	case n < 98:
		if disk, ok := m.fs.(*crash.Disk); ok {
			disk.Kill(crash.Nothing)
		}
		m.open()
	case n == 98 && rng.IntN(4) == 0:
		require.NoError(m.t, m.store.Clear(m.now))
		clear(m.records)
	}
	m.lookup(k)
}

// Random operations on a store that is sometimes opened again, as after a
// process was killed.
func TestModel(t *testing.T) {
	for name, c := range map[string]struct {
		fs      func(*testing.T) vfs.FS
		keys    int
		options folder.Options
	}{
		"few keys":    {func(*testing.T) vfs.FS { return crash.New() }, 5, folder.Options{Shards: 1}},
		"many keys":   {func(*testing.T) vfs.FS { return crash.New() }, 300, folder.Options{Shards: 1}},
		"little kept": {func(*testing.T) vfs.FS { return crash.New() }, 100, folder.Options{Shards: 1, MaxPending: 16}},
		"real files":  {func(t *testing.T) vfs.FS { return vfs.OS(t.TempDir()) }, 30, folder.Options{Shards: 1}},
	} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprint(name, " ", seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 1))
				m := &model{t: t, fs: c.fs(t), records: make(map[string]record), now: 10, options: c.options}
				m.open()
				steps := 3000
				if name == "real files" {
					steps = 300
				}
				for range steps {
					m.random(rng, c.keys)
					if m.step%250 == 0 {
						for k := range m.records {
							m.lookup([]byte(k))
						}
						m.verify()
					}
				}

				// In the end only the store's own files are left.
				m.now = 1 << 40
				for k := range c.keys {
					require.NoError(t, m.store.Delete(key(k), m.now))
				}
				require.NoError(t, m.store.Save(m.now))
				for range 100 { // more than enough
					_, err := m.store.Sweep(1<<20, m.now)
					require.NoError(t, err)
				}
				require.ElementsMatch(t, []string{"format", "pending-0", "sessions-0"}, tree(t, m.fs))
			})
		}
	}
}

func keys(t testing.TB, s *folder.Store, now int64) (list [][]byte) {
	h := guest.NewHarness(opened{s}, guest.Info{Name: "keyfolder", CAS: true})
	require.NoError(t, h.Open())
	for cursor := int64(0); ; {
		some, next, err := h.Keys(cursor, now)
		require.NoError(t, err)
		list = append(list, some...)
		if next == 0 {
			return list
		}
		require.Greater(t, next, cursor)
		cursor = next
	}
}

func snapshot(t testing.TB, s *folder.Store, now int64) (list []guest.Write) {
	h := guest.NewHarness(opened{s}, guest.Info{Name: "keyfolder", CAS: true})
	require.NoError(t, h.Open())
	for cursor := int64(0); ; {
		records, next, err := h.Snapshot(cursor, now)
		require.NoError(t, err)
		for len(records) > 0 {
			k, v, expires, rest, ok := abi.NextRecord(records)
			require.True(t, ok)
			list = append(list, guest.Write{Key: k, Value: v, Expires: expires})
			records = rest
		}
		if next == 0 {
			return list
		}
		require.Greater(t, next, cursor)
		cursor = next
	}
}

// opened is a store as an engine that is already open.
type opened struct{ *folder.Store }

func (opened) Open(*guest.Config) error { return nil }
