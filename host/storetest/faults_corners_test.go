package storetest_test

import (
	"iter"
	"math"
	"sync"

	"github.com/waddle-sessions/waddle/host/store"
)

// counting returns a store that refuses writes that would take its count of
// bytes above most. count says how an answered call changes the count.
func counting(most int, count func(held *int, op string, size int, err error)) *faulty {
	var mu sync.Mutex
	held := 0
	answered := func(op string, size int, err error) error {
		mu.Lock()
		defer mu.Unlock()
		count(&held, op, size, err)
		return err
	}
	size := func(m *store.Memory, key []byte, now store.Millis) int {
		v, _ := m.Get(ctx, key, now)
		return len(v)
	}
	return &faulty{
		set: func(m *store.Memory, w store.Write) error {
			before := size(m, w.Key, w.Now)
			mu.Lock()
			full := held+len(w.Value)-before > most
			mu.Unlock()
			if full {
				return answered("set", len(w.Value)-before, store.ErrNoSpace)
			}
			return answered("set", len(w.Value)-before, m.Set(ctx, w))
		},
		delete: func(m *store.Memory, key []byte, now store.Millis) error {
			before := size(m, key, now)
			return answered("delete", before, m.Delete(ctx, key, now))
		},
		clear: func(m *store.Memory, now store.Millis) error { return answered("clear", 0, m.Clear(ctx, now)) },
	}
}

// faultsOfCorners are faults in places that few calls reach.
var faultsOfCorners = []fault{
	{"clear keeps the count of bytes", func() *faulty {
		return counting(8<<20, func(held *int, op string, size int, err error) {
			switch {
			case err == nil && op == "set":
				*held += size
			case op == "delete":
				*held -= size
			}
		})
	}, []string{"space/clear"}, "NO_SPACE for a record of 16384 bytes"},
	{"a write that expect refuses is counted", func() *faulty {
		return counting(8<<20, func(held *int, op string, size int, err error) {
			switch op {
			case "set":
				*held += size
			case "delete":
				*held -= size
			default:
				*held = 0
			}
		})
	}, []string{"space/create-refused", "space/replace-refused"}, "NO_SPACE for a write that expect does not allow"},
	{"restore drops values above a megabyte", func() *faulty {
		return &faulty{restore: func(m *store.Memory, records iter.Seq2[store.Record, error], now store.Millis) error {
			return m.Restore(ctx, func(yield func(store.Record, error) bool) {
				for r, err := range records {
					if len(r.Value) <= 1<<20 && !yield(r, err) {
						return
					}
				}
			}, now)
		}}
	}, []string{"restore/every-power-of-two"}, "NOT_FOUND"},
	{"a value of a mebibyte loses its last byte", func() *faulty {
		return &faulty{set: func(m *store.Memory, w store.Write) error {
			if len(w.Value) == 1<<20 {
				w.Value = w.Value[:1<<20-1]
			}
			return m.Set(ctx, w)
		}}
	}, []string{"set/every-power-of-two"}, "1048575 bytes instead of 1048576"},
	{"times have no sign", func() *faulty {
		return &faulty{get: func(m *store.Memory, key []byte, now store.Millis) ([]byte, error) {
			if now < 0 {
				now = math.MaxInt64
			}
			return m.Get(ctx, key, now)
		}}
	}, []string{"expiry/negative-times"}, "NOT_FOUND"},
	{"a snapshot leaves out what was written since it began", func() *faulty {
		var mu sync.Mutex
		written := map[string]bool{}
		return &faulty{
			set: func(m *store.Memory, w store.Write) error {
				mu.Lock()
				written[string(w.Key)] = true
				mu.Unlock()
				return m.Set(ctx, w)
			},
			snapshot: func(m *store.Memory, now store.Millis) iter.Seq2[store.Record, error] {
				return func(yield func(store.Record, error) bool) {
					mu.Lock()
					clear(written)
					mu.Unlock()
					for r, err := range m.Snapshot(ctx, now) {
						mu.Lock()
						newer := written[string(r.Key)]
						mu.Unlock()
						if !newer && !yield(r, err) {
							return
						}
					}
				}
			},
		}
	}, []string{"snapshot/overwritten-meanwhile"}, "is missing"},
	{"a read during an enumeration makes it skip one", func() *faulty {
		var mu sync.Mutex
		read := false
		return &faulty{
			get: func(m *store.Memory, key []byte, now store.Millis) ([]byte, error) {
				mu.Lock()
				read = true
				mu.Unlock()
				return m.Get(ctx, key, now)
			},
			keys: func(m *store.Memory, now store.Millis) iter.Seq2[[]byte, error] {
				return func(yield func([]byte, error) bool) {
					i := 0
					for key, err := range m.Keys(ctx, now) {
						mu.Lock()
						slips := read && i%50 == 49 // where a chunk ends
						read = false
						mu.Unlock()
						if i++; !slips && !yield(key, err) {
							return
						}
					}
				}
			},
		}
	}, []string{"keys/reads-meanwhile"}, "is missing"},
	{"a sweep counts what a clear removed", func() *faulty {
		var mu sync.Mutex
		cleared := 0
		return &faulty{
			clear: func(m *store.Memory, now store.Millis) error {
				mu.Lock()
				cleared += m.Len()
				mu.Unlock()
				return m.Clear(ctx, now)
			},
			sweep: func(m *store.Memory, max int, now store.Millis) (int, error) {
				n, err := m.Sweep(ctx, max, now)
				mu.Lock()
				defer mu.Unlock()
				n, cleared = n+cleared, 0
				return n, err
			},
		}
	}, []string{"sweep/after-clear"}, "removed after a clear"},
}
