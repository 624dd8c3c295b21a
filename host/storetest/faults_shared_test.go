package storetest_test

import (
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// sharedFault is what hosts over one backend do wrong, and the checks that find it.
type sharedFault struct {
	name   string
	store  func(b *backend, host int) *faulty
	checks string
	found  string // a part of what the first of them reports
}

// kept is what a host with a fault keeps to itself, by key.
type kept[T any] struct {
	mu sync.Mutex
	of map[string]T
}

func (k *kept[T]) get(key []byte) (T, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.of[string(key)]
	return v, ok
}

func (k *kept[T]) put(key []byte, v T) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil {
		k.of = make(map[string]T)
	}
	k.of[string(key)] = v
}

func (k *kept[T]) drop(key []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.of, string(key))
}

// pause lets other hosts run between the two steps of a fault.
func pause() { time.Sleep(20 * time.Microsecond) }

// apart compares and stores in two steps, under a lock that only this host has, for the
// writes that it is for. It still never stores where a record is gone, or over one where
// none was.
func apart(of func(w store.Write) bool) func(m *store.Memory, w store.Write) error {
	var mu sync.Mutex
	return func(m *store.Memory, w store.Write) error {
		if !of(w) {
			return m.Set(ctx, w)
		}
		mu.Lock()
		defer mu.Unlock()
		v, err := m.Get(ctx, w.Key, w.Now)
		switch {
		case w.Expect == store.Absent && err == nil, w.Expect != store.Absent && (err != nil || abi.Revision(v) != uint64(w.Expect)):
			return store.ErrConflict
		}
		pause()
		if w.Expect == store.Absent {
			w.Expect = store.Any
		} else if v, err := m.Get(ctx, w.Key, w.Now); err == nil {
			w.Expect = int64(abi.Revision(v))
		}
		return m.Set(ctx, w)
	}
}

// own returns a store that does something only to the records that this host stored.
func own(f func(mine *kept[bool]) *faulty) *faulty {
	mine := new(kept[bool])
	s := f(mine)
	s.set = func(m *store.Memory, w store.Write) error {
		err := m.Set(ctx, w)
		if err == nil {
			mine.put(w.Key, true)
		}
		return err
	}
	return s
}

func (k *kept[T]) has(key []byte) bool {
	_, ok := k.get(key)
	return ok
}

func past(expires, now store.Millis) bool { return expires != 0 && expires <= now }

func gone(w store.Write) bool { return past(w.Expires, w.Now) }

var sharedFaults = []sharedFault{
	{"a host remembers what it did not find", func(*backend, int) *faulty {
		var absent kept[bool]
		return &faulty{
			get: func(m *store.Memory, key []byte, now store.Millis) ([]byte, error) {
				if absent.has(key) {
					return nil, store.ErrNotFound
				}
				v, err := m.Get(ctx, key, now)
				if errors.Is(err, store.ErrNotFound) {
					absent.put(key, true)
				}
				return v, err
			},
			set: func(m *store.Memory, w store.Write) error {
				absent.drop(w.Key)
				return m.Set(ctx, w)
			},
			restore: func(m *store.Memory, records iter.Seq2[store.Record, error], now store.Millis) error {
				absent = kept[bool]{}
				return m.Restore(ctx, records, now)
			},
		}
	}, "shared/writes shared/clear shared/clocks shared/delete-wins shared/sequences", "NOT_FOUND"},
	{"a write that removes does so for the host that made it", func(*backend, int) *faulty {
		var removed kept[bool]
		return &faulty{
			get: func(m *store.Memory, key []byte, now store.Millis) ([]byte, error) {
				if removed.has(key) {
					return nil, store.ErrNotFound
				}
				return m.Get(ctx, key, now)
			},
			set: func(m *store.Memory, w store.Write) error {
				if gone(w) && w.Expect == store.Any {
					removed.put(w.Key, true)
					return nil
				}
				removed.drop(w.Key)
				return m.Set(ctx, w)
			},
		}
	}, "shared/writes shared/sequences", "the value"},
	{"a touch is known to the host that made it", func(*backend, int) *faulty {
		var expiries kept[store.Millis]
		return &faulty{
			get: func(m *store.Memory, key []byte, now store.Millis) ([]byte, error) {
				if at, ok := expiries.get(key); ok && at != 0 && at <= now {
					return nil, store.ErrNotFound
				}
				return m.Get(ctx, key, now)
			},
			touch: func(m *store.Memory, key []byte, expires, now store.Millis) error {
				before := store.Millis(0)
				for r := range m.Snapshot(ctx, now) {
					if string(r.Key) == string(key) {
						before = r.Expires
					}
				}
				expiries.put(key, expires)
				if expires != 0 && before != 0 && expires < before { // until then the backend keeps it
					_, err := m.Get(ctx, key, now)
					return err
				}
				return m.Touch(ctx, key, expires, now)
			},
			set: func(m *store.Memory, w store.Write) error {
				expiries.drop(w.Key)
				return m.Set(ctx, w)
			},
		}
	}, "shared/expiry shared/sequences", ""},
	{"a host knows that what it deleted is absent", func(*backend, int) *faulty {
		var deleted kept[bool]
		return &faulty{
			delete: func(m *store.Memory, key []byte, now store.Millis) error {
				deleted.put(key, true)
				return m.Delete(ctx, key, now)
			},
			set: func(m *store.Memory, w store.Write) error {
				if w.Expect == store.Absent && deleted.has(w.Key) {
					w.Expect = store.Any
				}
				deleted.drop(w.Key)
				return m.Set(ctx, w)
			},
		}
	}, "shared/revisions shared/sequences", "success"},
	{"clear removes what the host stored", func(*backend, int) *faulty {
		return own(func(mine *kept[bool]) *faulty {
			return &faulty{clear: func(m *store.Memory, now store.Millis) error {
				for key, err := range m.Keys(ctx, now) {
					if err != nil {
						return err
					}
					if mine.has(key) {
						_ = m.Delete(ctx, key, now)
					}
				}
				return nil
			}}
		})
	}, "shared/clear shared/sequences", "the value"},
	{"sweep removes what the host stored", func(*backend, int) *faulty {
		return own(func(mine *kept[bool]) *faulty {
			return &faulty{sweep: func(m *store.Memory, max int, now store.Millis) (int, error) {
				n := 0
				for r := range m.Snapshot(ctx, 1) {
					if r.Expires != 0 && r.Expires <= now && mine.has(r.Key) && n < max {
						_ = m.Delete(ctx, r.Key, 1)
						n++
					}
				}
				return n, nil
			}}
		})
	}, "shared/sweep", "4 records removed by one host"},
	{"keys are those that the host stored", func(*backend, int) *faulty {
		return own(func(mine *kept[bool]) *faulty {
			return &faulty{keys: func(m *store.Memory, now store.Millis) iter.Seq2[[]byte, error] {
				return func(yield func([]byte, error) bool) {
					for key, err := range m.Keys(ctx, now) {
						if mine.has(key) && !yield(key, err) {
							return
						}
					}
				}
			}}
		})
	}, "shared/keys shared/sequences", "is missing"},
	{"a snapshot has what the host stored", func(*backend, int) *faulty {
		return own(func(mine *kept[bool]) *faulty {
			return &faulty{snapshot: func(m *store.Memory, now store.Millis) iter.Seq2[store.Record, error] {
				return mapped(m, now, func(_ int, r store.Record) (store.Record, bool) { return r, mine.has(r.Key) })
			}}
		})
	}, "shared/snapshot shared/sequences", "is missing"},
	{"what is restored is there for the host that did it", func(*backend, int) *faulty {
		var restored kept[store.Record]
		return &faulty{
			get: func(m *store.Memory, key []byte, now store.Millis) ([]byte, error) {
				if r, ok := restored.get(key); ok && (r.Expires == 0 || now < r.Expires) {
					return r.Value, nil
				}
				return m.Get(ctx, key, now)
			},
			set: func(m *store.Memory, w store.Write) error {
				restored.drop(w.Key)
				return m.Set(ctx, w)
			},
			restore: func(_ *store.Memory, records iter.Seq2[store.Record, error], now store.Millis) error {
				for r, err := range records {
					if err != nil {
						return err
					}
					restored.put(r.Key, store.Record{Value: slices.Clone(r.Value), Expires: r.Expires})
				}
				return nil
			},
		}
	}, "shared/restore shared/sequences", ""},
	{"the newest time of any host decides", func(b *backend, _ int) *faulty {
		return &faulty{get: func(m *store.Memory, key []byte, now store.Millis) ([]byte, error) {
			return m.Get(ctx, key, b.seen(m, now))
		}}
	}, "shared/clocks", "NOT_FOUND"},
	{"clear clears namespaces of similar names", func(b *backend, _ int) *faulty {
		return &faulty{clear: func(own *store.Memory, now store.Millis) error {
			for _, m := range b.alike(own) {
				_ = m.Clear(ctx, now)
			}
			return nil
		}}
	}, "shared/namespaces", "NOT_FOUND"},
	{"sweep sweeps namespaces of similar names", func(b *backend, _ int) *faulty {
		return &faulty{sweep: func(own *store.Memory, max int, now store.Millis) (int, error) {
			all := 0
			for _, m := range b.alike(own) {
				n, _ := m.Sweep(ctx, max, now)
				all += n
			}
			return all, nil
		}}
	}, "shared/namespaces", "7 records removed"},
	{"keys are those of namespaces of similar names", func(b *backend, _ int) *faulty {
		return &faulty{keys: func(own *store.Memory, now store.Millis) iter.Seq2[[]byte, error] {
			return func(yield func([]byte, error) bool) {
				for _, m := range b.alike(own) {
					for key, err := range m.Keys(ctx, now) {
						// The same keys are there in both.
						if _, there := own.Get(ctx, key, now); m != own && there == nil {
							key = append([]byte("of another namespace: "), key...)
						}
						if !yield(key, err) {
							return
						}
					}
				}
			}
		}}
	}, "shared/namespaces", "which is not stored"},
	{"the end of a host takes along what it stored", func(*backend, int) *faulty {
		return own(func(mine *kept[bool]) *faulty {
			return &faulty{close: func(m *store.Memory) error {
				for key := range m.Keys(ctx, 1) {
					if mine.has(key) {
						_ = m.Delete(ctx, key, 1)
					}
				}
				return nil
			}}
		})
	}, "shared/a-host-ends shared/sequences", "NOT_FOUND"},
	{"the end of a host ends the backend", func(*backend, int) *faulty {
		return &faulty{close: func(m *store.Memory) error { return m.Close(ctx) }}
	}, "shared/a-host-ends shared/sequences", "closed"},
	{"a save stores again what the host had stored since the last one", func(*backend, int) *faulty {
		var stored kept[store.Write]
		return &faulty{
			set: func(m *store.Memory, w store.Write) error {
				err := m.Set(ctx, w)
				if err == nil {
					w.Key, w.Value, w.Expect = slices.Clone(w.Key), slices.Clone(w.Value), store.Any
					stored.put(w.Key, w)
				}
				return err
			},
			save: func(m *store.Memory, now store.Millis) error {
				for _, w := range stored.of {
					if _, err := m.Get(ctx, w.Key, now); err == nil {
						_ = m.Set(ctx, w)
					}
				}
				stored = kept[store.Write]{}
				return m.Save(ctx, now)
			},
		}
	}, "shared/sequences", ""},
	{"replacing is two steps", func(*backend, int) *faulty {
		return &faulty{set: apart(func(w store.Write) bool { return w.Expect > 0 && !gone(w) })}
	}, "shared/every-increment-counts", ""},
	{"creating is two steps", func(*backend, int) *faulty {
		return &faulty{set: apart(func(w store.Write) bool { return w.Expect == store.Absent })}
	}, "shared/one-creates", "have both created"},
	{"removing on condition is two steps", func(*backend, int) *faulty {
		return &faulty{set: apart(func(w store.Write) bool { return w.Expect > 0 && gone(w) })}
	}, "shared/one-removes", "have both removed or replaced"},
	{"a touch writes the value that it read", func(*backend, int) *faulty {
		return &faulty{touch: func(m *store.Memory, key []byte, expires, now store.Millis) error {
			v, err := m.Get(ctx, key, now)
			if err != nil || past(expires, now) {
				return errors.Join(err, m.Touch(ctx, key, expires, now))
			}
			pause()
			for {
				newest, err := m.Get(ctx, key, now)
				if err != nil {
					return err
				}
				err = m.Set(ctx, store.Write{Key: key, Value: v, Expires: expires, Now: now, Expect: int64(abi.Revision(newest))})
				if err == nil || len(newest) < 8 {
					return m.Touch(ctx, key, expires, now)
				}
			}
		}}
	}, "shared/touch-beside-writes", ""},
	{"a touch that was overtaken stores the record again", func(*backend, int) *faulty {
		return &faulty{touch: func(m *store.Memory, key []byte, expires, now store.Millis) error {
			for {
				if past(expires, now) {
					return m.Touch(ctx, key, expires, now)
				}
				v, err := m.Get(ctx, key, now)
				if err != nil {
					return err
				}
				pause()
				err = m.Set(ctx, store.Write{Key: key, Value: v, Expires: expires, Now: now, Expect: int64(abi.Revision(v))})
				if err == nil || len(v) < 8 {
					return m.Touch(ctx, key, expires, now)
				}
				if m.Set(ctx, store.Write{Key: key, Value: v, Expires: expires, Now: now, Expect: store.Absent}) == nil {
					return nil
				}
			}
		}}
	}, "shared/delete-wins", ""},
	{"a value is stored in two parts", func(b *backend, _ int) *faulty {
		half := func(v []byte) int { return max(min(8, len(v)), len(v)/2) }
		return &faulty{
			set: func(m *store.Memory, w store.Write) error {
				if w.Expect <= 0 || gone(w) {
					return m.Set(ctx, w)
				}
				v := w.Value
				w.Value = append(slices.Clone(v[:half(v)]), make([]byte, len(v)-half(v))...)
				if err := m.Set(ctx, w); err != nil {
					return err
				}
				pause()
				w.Value, w.Expect = v, int64(abi.Revision(v))
				_ = m.Set(ctx, w)
				return nil
			},
		}
	}, "shared/whole-values", "which differs from byte"},
	{"a sweep counts what another host removed", func(*backend, int) *faulty {
		return &faulty{sweep: func(m *store.Memory, max int, now store.Millis) (int, error) {
			var expired [][]byte
			for r := range m.Snapshot(ctx, 1) {
				if r.Expires != 0 && r.Expires <= now && len(expired) < max {
					expired = append(expired, r.Key)
				}
			}
			time.Sleep(time.Millisecond)
			for _, key := range expired {
				_ = m.Set(ctx, store.Write{Key: key, Expires: 1, Now: 1})
			}
			return len(expired), nil
		}}
	}, "shared/sweeps", "records removed by all hosts together"},
}
